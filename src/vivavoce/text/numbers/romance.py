"""Write Spanish, French, Italian and Portuguese text out in words.

Works on plain text by patterns, most specific first. This module orders the steps. It handles
letters, addresses, abbreviations, ordinals, Roman numerals and symbols. `amounts` and `dates` do
the rest.
"""

import re
from collections.abc import Callable
from functools import cache

from num2words import num2words  # type: ignore[import-untyped]  # the package ships no types

from vivavoce.text.numbers.amounts import (
    alternatives,
    cardinal,
    plain_digits,
    speak_leftovers,
    speak_money,
    speak_numbers,
    speak_units,
)
from vivavoce.text.numbers.dates import speak_dates, speak_times
from vivavoce.text.numbers.words import NUMBER_WORDS, NumberWords, word_set

Step = Callable[[str], str]

_ROMAN = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}
_ADDRESS = re.compile(
    r"(?:https?://|www\.)[^\s<>\"“”«»]*[\w/]|(?<![\w.+-])[\w.+-]++@[\w-]++(?:\.[\w-]++)+"
    r"|(?<![\w-])(?<![\w-]\.)\w[\w-]*+(?:\.[\w-]++)*\.(?:com|org|net|edu|gov|info|io|dev|app|ai|eu|es|fr|it|pt|br|mx|ar|de|uk)\b(?:/[\w/.-]*\w)?"
)
_ORDINAL = re.compile(
    r"(?<![\w.,])(\d{1,4})\s?\.?(?:(os?|º|as?|ª|°(?!\s?[CF\d]))(?![\w])|(ers?|re|res|èmes?|emes?|ème|es?|nde?)(?![\w]))"
)
_CENTURY = re.compile(
    r"\b([Ss]iglos?|[Ss]éculos?|[Ss]ecolo) ([IVXL]+)\b|\b([IVXL]+)(e|ème)?( siècles?| secolo)\b"
)
_REGNAL = re.compile(r"(?<=[a-zà-ÿ] )([IVXL]{2,7}|[VX])(?![\w'’.])")
_INITIALS = re.compile(r"\b(?<![A-Z]\.)(?<![A-Z]\.\s)(?:[A-Z]\.\s?){2,}(?!\w)")
_NO_VOWEL = re.compile(r"(?<![\w'’-])[bcdfghjklmnpqrstvwxzBCDFGHJKLMNPQRSTVWXZ]{2,8}(?![\w'’])")
_CAPITALS = re.compile(r"(?<!\w)[A-Z]{2,5}(?![\w'’])")
_SINGLE = re.compile(r"(?<![\w'’-])[A-Za-z](?![\w'’-])")
_SHORT_WORDS = word_set(
    """
    no si el la de en un es ya lo se su mi tu me te le les ne il et du au je on ma ta sa di da io
    sì sí os as um em na do eu ok oh ah eh ha he non oui per con che sin por qué que ser más
    """
)
_INTERJECTIONS = word_set("mm mmm hm hmm pst psst sh shh shhh brr pff pfff zzz grr")
_SPACES = re.compile(r"[ \t]+")


def verbalize_romance(text: str, language: str) -> str:
    """Return `text` in `language` (es, fr, it, pt) with digits and symbols in words."""
    for step in _steps(language):
        text = step(text)
    return re.sub(r"(?<! ) +([,.;:!?…])(?=\s|$)", r"\1", _SPACES.sub(" ", text)).strip()


@cache
def _steps(language: str) -> tuple[Step, ...]:
    words = NUMBER_WORDS[language]
    return (
        plain_digits,
        lambda text: _ADDRESS.sub(lambda m: _address(m.group(), words), text),
        lambda text: _abbreviation_pattern(language).sub(lambda m: _abbreviation(m, words), text),
        lambda text: speak_dates(text, words),
        lambda text: speak_times(text, language, words),
        lambda text: speak_money(text, words),
        lambda text: speak_units(text, words),
        lambda text: _romans(text, language),
        lambda text: _ORDINAL.sub(lambda m: _written_ordinal(m, language), text),
        lambda text: speak_numbers(text, words),
        lambda text: speak_leftovers(text, words),
        lambda text: _INITIALS.sub(lambda m: _letter_names(m.group(), words) + " ", text),
        lambda text: _symbols(text, words),
        lambda text: _spelled(text, words),
    )


def _address(address: str, words: NumberWords) -> str:
    """Return a web or mail address with its dots, slashes and at-signs in words."""
    address = re.sub(r"^https?://", "", address)
    marks = {
        ".": words.point,
        "@": words.symbols["@"],
        "/": words.symbols["/"],
        "_": words.symbols["_"],
    }
    marks |= {
        "-": words.symbols["-"],
        "+": words.symbols["+"],
        "=": words.symbols["="],
        "&": words.symbols["&"],
    }
    return re.sub(r"\W|_", lambda m: f" {marks.get(m.group(), '')} ", address).strip()


@cache
def _abbreviation_pattern(language: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w.])(?:{alternatives(NUMBER_WORDS[language].abbreviations)})(?!\w)")


def _abbreviation(match: re.Match[str], words: NumberWords) -> str:
    ends = match.group().endswith(".") and match.end() == len(
        match.string
    )  # the dot also ends the sentence
    return words.abbreviations[match.group()] + ("." if ends else "")


def _written_ordinal(match: re.Match[str], language: str) -> str:
    number, romance, french = match.groups()
    if language == "es" and french == "er":  # primer, tercer
        return ordinal(int(number), language).removesuffix("o")
    if (french and language != "fr") or (
        romance in ("a", "as", "o", "os") and language not in ("es", "pt")
    ):
        return match.group()
    feminine = bool(romance and romance[0] in "aª") or french in ("re", "res", "nde")
    spoken = ordinal(int(number), language, feminine=feminine)
    return spoken + (
        "s" if (romance or french or "").endswith("s") and len(romance or french or "") > 1 else ""
    )


def ordinal(number: int, language: str, *, feminine: bool = False) -> str:
    """Return the ordinal numeral in words: 3 → *tercero*, *troisième*, *terzo*, *terceiro*."""
    spoken = str(num2words(number, lang=NUMBER_WORDS[language].numerals, to="ordinal"))
    if not feminine:
        return spoken
    if language == "fr":
        return "première" if number == 1 else spoken
    return re.sub(r"o\b", "a", spoken)


def _romans(text: str, language: str) -> str:
    text = _CENTURY.sub(lambda m: _century(m, language), text)
    return _REGNAL.sub(lambda m: _regnal(m.group(), language), text)


def _century(match: re.Match[str], language: str) -> str:
    if match.group(1):
        number = _roman(match.group(2))
        italian = language == "it"
        spoken = ordinal(number, language) if italian else cardinal(number, NUMBER_WORDS[language])
        return f"{match.group(1)} {spoken}"
    return ordinal(_roman(match.group(3)), language) + match.group(5)


def _regnal(numeral: str, language: str) -> str:
    number = _roman(numeral)
    if language == "it" or (language in ("es", "pt") and number <= 10):
        return ordinal(number, language)
    return cardinal(number, NUMBER_WORDS[language])


def _roman(numeral: str) -> int:
    values = [_ROMAN[c] for c in numeral]
    return sum(-v if v < after else v for v, after in zip(values, [*values[1:], 0], strict=True))


def _spelled(text: str, words: NumberWords) -> str:
    """Spell initialisms and single letters. Capitals that read as a word stay."""
    shouted = not re.search(r"[a-zà-ÿ]", text)
    if not shouted:
        text = _CAPITALS.sub(
            lambda m: m.group() if _reads_as_word(m.group()) else _letter_names(m.group(), words),
            text,
        )
    text = _NO_VOWEL.sub(
        lambda m: (
            m.group() if m.group().lower() in _INTERJECTIONS else _letter_names(m.group(), words)
        ),
        text,
    )
    return _SINGLE.sub(
        lambda m: (
            m.group()
            if m.group().lower() in words.one_letter_words
            else words.letters[m.group().lower()]
        ),
        text,
    )


def _letter_names(letters: str, words: NumberWords) -> str:
    return " ".join(words.letters[c] for c in letters.lower() if c in words.letters)


def _reads_as_word(capitals: str) -> bool:
    """True if capitals read as a word: ONU, NASA, COVID, but not PDF, UE, USB."""
    shape = "".join("v" if c in "AEIOU" else "c" for c in capitals)
    if capitals.lower() in _SHORT_WORDS:
        return True
    if len(shape) < 4:
        return shape in ("vcv", "cvv", "cvc")
    return shape.count("v") > 1 and not re.search("^cc|ccc|cc$|vvv", shape)


def _symbols(text: str, words: NumberWords) -> str:
    text = re.sub(r"(?<=\w)\.(?=\w)", f" {words.point} ", text)
    for symbol, spoken in words.symbols.items():
        if symbol not in "/-_":
            text = text.replace(symbol, f" {spoken} ")
    return re.sub(r"(?<=\w)[/_](?=\w)|[*_~^|\\]", " ", text)
