"""Speak what is not a number: addresses, abbreviations, Roman numerals, capitals, symbols."""

import re
import unicodedata

from vivavoce.text.numbers.romance.language import Language, language
from vivavoce.text.numbers.romance.numerals import cardinal, is_feminine, ordinal, roman
from vivavoce.text.tracked import Piece, Tracked

_ADDRESS = re.compile(
    r"(?:https?://|www\.)[^\s<>\"“”«»]*[\w/]|(?<![\w.+-])[\w.+-]++@[\w-]++(?:\.[\w-]++)+"
    r"|(?<![\w-])(?<![\w-]\.)\w[\w-]*+(?:\.[\w-]++)*\.(?:com|org|net|edu|gov|info|io|dev|app|ai|eu|es|fr|it|pt|br|mx|ar|de|uk)\b(?:/[\w/.-]*\w)?"
)
_ESCAPE = re.compile(r"(?<=\w)%[0-9A-F]{2}(?=\w)")
_STOP = re.compile(r"\s*\Z|\s+[A-ZÀ-Ý¿¡«\"“(]")
_ORDINAL = re.compile(
    r"(?<![\w.,])(\d{1,4})(?:\.?(º|ª|°(?!\s?[CF\d])(?=\s[^\W\d_A-Z]))([s]?)|\.?(os?|as?)|(er|ers|ère|ères|re|res|ème|èmes|eme|emes|es?|nde?|ro|ra|do|da|to|ta))(?!\w)"
)
_ROMAN_ORDINAL = re.compile(r"(?<![\w'’-])([IVX]+)(er|re|ère|ème|eme|es?|nde?|º|ª|°)(?!\w)")
_PERSON = re.compile(
    r"(?<=[a-zà-ÿ] )([IVX]{2,6})(?![\w'’])|(?<=[a-zà-ÿ] )([VX])(?=\s*(?:[.,;:!?)]|\Z))"
)
_HEADING = re.compile(r"(?<![^\n])([IVX]{2,6}|[IVX](?=[.)] [A-ZÀ-Ý][^.!?\n]{2,60}\Z))[.)]\s")
_GREEK = re.compile(r"(?<![\u0370-\u03ff])[Α-Ωα-ω](?![\u0370-\u03ff])")
_SHARP = re.compile(r"(?<![\w])([A-G])#(?!\w)")
_HASH = re.compile(r"#\s?(?=\d)")
_DOT_INSIDE = re.compile(r"(?<![^\W_])\.(?=[A-Za-z]{2})|(?<=\w)\.(?=[^\W_])")
_INSIDE = re.compile(r"(?<=\w)/(?=\w)|[_*~^|\\`/]")
_OTHER = re.compile(r"[^\w\s.,;:!?…¿¡'’‘\"“”«»„()\[\]—–-]|_")
_SPACES = re.compile(r"[ \t\u00a0\u202f]{2,}+|[\t\u00a0\u202f]")
_BEFORE_STOP = re.compile(r"(?<! ) +(?=[,.;:!?…](?:\s|\Z))")

_INITIALS = re.compile(r"(?<![\w.])(?:[A-ZÀ-Ý]\.)(?:\s?[A-ZÀ-Ý]\.)++")
_INITIAL = re.compile(r"(?:(?<=[a-zà-ÿ] )|(?<![^\n«“\"(]))([A-ZÀ-Ý])\.(?= [A-ZÀ-Ý][a-zà-ÿ])")
_RUN = re.compile(r"(?<!\w)[A-ZÀ-Ý]++(?!\w)(?:[ ,'’]{1,2}+[A-ZÀ-Ý]++(?!\w))++")
_CAPITALS = re.compile(r"(?<![^\W_])[A-ZÀ-Ý]{2,}+(?!\w)")
_NO_VOWEL = re.compile(r"(?<![\w'’-])[bcdfghjklmnpqrstvwxzBCDFGHJKLMNPQRSTVWXZ]{2,8}(?![\w'’])")
_SINGLE = re.compile(r"(?<![\w'’-])[a-z](?![\w'’-])")
_NAMES = re.compile(r"(?<![\w'’])[A-ZÑ](?: [A-ZÑ](?![\w'’]))*+(?![\w'’])")
_INTERJECTIONS = frozenset("mm mmm hm hmm pst psst sh shh shhh brr pff pfff zzz grr tsk".split())
_CONSONANT = "[bcdfghjklmnñpqrstvwxz]"
_CLUSTERS = re.compile("[bcdfghjklmnpqrstvwxz]+")
_ONSETS = frozenset(
    "pr br tr dr cr gr fr vr pl bl cl gl fl ch sh ph th gn gu qu ll rr st sp sc sk sm sn sl "
    "str spr scr spl scl ps kn wh tz".split()
)
_CODAS = frozenset(
    "ns ms rs ls ts ps cs nt rt st lt ct pt nd rd ld nc rc lc nk rk lk ck ch sh th ph mp rp lp mb "
    "rb ng rg ss ll ff tt nn mm rr nts rts sts rds nds x".split()
)


def read_addresses(text: Tracked, lang: Language) -> Tracked:
    """Return the text with the dots, slashes and at-signs of addresses in words."""

    def spoken(match: re.Match[str]) -> str:
        address = re.sub(r"^https?://", "", match[0])
        marks = lang["address"]
        return re.sub(r"\W|_", lambda m: f" {marks.get(m[0], '')} ", address).strip()

    return text.sub(_ESCAPE, " ").sub(_ADDRESS, spoken)


def read_abbreviations(text: Tracked, lang: Language) -> Tracked:
    ending = {key.replace(" ", "") for key in lang["abbreviations"]}

    def spoken(match: re.Match[str]) -> str:
        written = re.sub(r"\s", "", match[0])
        may_end = written in ending and written.endswith(".")
        ends = may_end and _STOP.match(match.string, match.end())
        return lang.abbreviations[written] + ("." if ends else "")

    return text.sub(lang.patterns["abbreviation"], spoken)


def read_romans(text: Tracked, lang: Language) -> Tracked:
    """Return the text with Roman numerals in words: centuries, kings, chapters, headings."""
    patterns = lang.patterns
    text = text.sub(_ROMAN_ORDINAL, lambda m: _roman_ordinal(m, lang))
    text = text.sub(patterns["roman_before"], lambda m: _in_words(m[0], m[1], "ordinal", lang))
    text = text.sub(patterns["century"], lambda m: _chapter(m, lang))
    text = text.sub(patterns["regnal"], lambda m: _king(m, lang))
    text = text.sub(_HEADING, lambda m: _in_words(m[0], m[1], "cardinal", lang, ", "))
    return text.sub(_PERSON, lambda m: _in_words(m[0], m[0], "regnal", lang))


def _in_words(all_: str, numeral: str, kind: str, lang: Language, after: str = "") -> str:
    number = roman(numeral)
    if not number:
        return all_
    ordinals = kind == "ordinal" or (
        kind == "regnal" and (lang.code == "it" or (lang.code in ("es", "pt") and number <= 10))
    )
    return (ordinal if ordinals else cardinal)(number, lang) + after


def _roman_ordinal(match: re.Match[str], lang: Language) -> str:
    number, ending = roman(match[1]), match[2]
    if not number or (ending[0] not in "ºª°" and lang.code != "fr"):
        return match[0]
    feminine = ending in ("re", "ère", "nde", "ª")
    return ordinal(number, lang, feminine=feminine, plural=ending == "es")


def _chapter(match: re.Match[str], lang: Language) -> str | list[Piece]:
    name, plain = match[1], match[2]
    number = roman(match[3])
    if not number:
        return match[0]
    as_ordinal = bool(name) and (lang.code == "it" or number <= 10)
    spoken = ordinal(number, lang) if as_ordinal else cardinal(number, lang)
    if as_ordinal and lang.code == "it" and name.lower() in ("parte", "scena", "classe"):
        spoken = spoken[:-1] + "a"
    return [(name or plain, 1 if name else 2), " ", (spoken, 3)]


def _king(match: re.Match[str], lang: Language) -> str | list[Piece]:
    number = roman(match[2])
    if not number:
        return match[0]
    feminine = is_feminine(match[1], lang)
    if lang.code == "it" or (lang.code in ("es", "pt") and number <= 10):
        spoken = ordinal(number, lang, feminine=feminine)
    elif lang.code == "fr" and number == 1:
        spoken = ordinal(number, lang, feminine=feminine)
    else:
        spoken = cardinal(number, lang)
    return [(match[1], 1), " ", (spoken, 2)]


def read_ordinals(text: Tracked, lang: Language) -> Tracked:
    return text.sub(_ORDINAL, lambda m: _ordinal(m, lang))


def _ordinal(match: re.Match[str], lang: Language) -> str:
    number, sign, plural, letters, ending = match.groups()
    value = int(number)
    if letters:
        if lang.code not in ("es", "pt"):
            return match[0]
        return ordinal(value, lang, feminine=letters[0] == "a", plural=len(letters) > 1)
    if (
        sign == "º"
        and value > 12
        and not re.match(r"\s[^\W\d_A-Z]", match.string[match.end() :][:2])
    ):
        return f"{cardinal(value, lang)} {lang['symbols']['°']}"
    if sign:
        return ordinal(value, lang, feminine=sign == "ª", plural=bool(plural))
    if lang.code == "es" and ending in ("er", "ro", "ra", "do", "da", "to", "ta"):
        spoken = ordinal(value, lang, feminine=ending in ("ra", "da", "ta"))
        return spoken.removesuffix("o") if ending == "er" else spoken
    if lang.code != "fr" or ending in ("ro", "ra", "do", "da", "to", "ta"):
        return match[0]
    feminine = ending in ("re", "ère", "res", "ères", "nde")
    plurals = ("ers", "res", "ères", "èmes", "emes", "es")
    return ordinal(value, lang, feminine=feminine, plural=ending in plurals)


def read_symbols(text: Tracked, lang: Language) -> Tracked:
    """Return the text with every symbol in words, or left out."""
    symbols, greek = lang["symbols"], lang["greek"]
    text = text.sub(_GREEK, lambda m: f" {greek.get(m[0].lower(), '')} ")
    text = text.sub(_SHARP, r"\1 sharp").sub(_HASH, f"{lang['number']} ")
    text = text.sub(lang.patterns["symbol"], lambda m: f" {symbols[m[0]]} ")
    text = text.sub(_DOT_INSIDE, f" {lang['point']} ")
    return text.sub(_INSIDE, " ").sub(_OTHER, _kept_mark)


def _kept_mark(match: re.Match[str]) -> str:
    return match[0] if unicodedata.category(match[0])[0] == "M" else " "


def tidy(text: Tracked) -> Tracked:
    return text.sub(_SPACES, " ").sub(_BEFORE_STOP, "").strip()


def read_capitals(text: Tracked, lang: Language) -> Tracked:
    """Spell initialisms, with spaces between the letters. Capitals that read as a word stay."""
    text = text.sub(_INITIALS, lambda m: _initials(m, lang)).sub(_INITIAL, r"\1")
    text = text.sub(_RUN, lambda m: _shouted(m[0], lang))
    text = text.sub(_CAPITALS, lambda m: m[0] if _reads_as_word(m[0], lang) else " ".join(m[0]))
    text = text.sub(
        _NO_VOWEL, lambda m: m[0] if m[0].lower() in _INTERJECTIONS else " ".join(m[0].upper())
    )
    return text.sub(_SINGLE, lambda m: m[0] if m[0] in lang["one_letter_words"] else m[0].upper())


def _initials(match: re.Match[str], lang: Language) -> str:
    letters = re.findall(r"[^\W\d_]", match[0])
    word = "".join(letters)
    ends = not re.match(r"\s+[^\W\d_]", match.string[match.end() : match.end() + 3])
    return (word if word in lang.lists["acronyms"] else " ".join(letters)) + ("." if ends else "")


def _shouted(run: str, lang: Language) -> str:
    """Return a run of capitals in lower case if it is words, not a row of initialisms."""
    words = re.findall(r"[^\W\d_]+", run)
    plain = [word for word in words if word not in lang.lists["acronyms"]]
    long = [word for word in plain if len(word) > 3 and _reads_as_word(word, lang)]
    short = [word for word in plain if word.lower() in lang.lists["short_words"] and len(word) > 1]
    if 2 * (len(long) + len(short)) < len(words) or (not long and len(short) < 2):
        return run
    return re.sub(
        r"[^\W\d_]+",
        lambda m: m[0] if m[0] in lang.lists["acronyms"] or _unsayable(m[0]) else m[0].lower(),
        run,
    )


def _reads_as_word(capitals: str, lang: Language) -> bool:
    """True if capitals read as a word: ONU, NUNCA, but not PDF, UE, RER."""
    if capitals in lang.lists["acronyms"] or capitals.lower() in lang.lists["short_words"]:
        return True
    return len(capitals) > 3 and not _unsayable(capitals)


def _unsayable(capitals: str) -> bool:
    """True if no syllables can be made of the letters, as far as the clusters tell."""
    plain = "".join(c for c in unicodedata.normalize("NFD", capitals.lower()) if c.isalpha())
    if not re.search("[aeiouy]", plain) or re.search("[aeiouy]{4}", plain):
        return True
    return any(
        not _sayable(found[0], start=found.start() == 0, end=found.end() == len(plain))
        for found in _CLUSTERS.finditer(plain)
    )


def _sayable(cluster: str, *, start: bool, end: bool) -> bool:
    """True if the consonants split into those that end a syllable and those that begin one."""
    ends = [len(cluster)] if end else [0] if start else range(len(cluster) + 1)
    return any(
        (at < 2 or cluster[:at] in _CODAS) and (len(cluster) - at < 2 or cluster[at:] in _ONSETS)
        for at in ends
    )


def name_letters(text: Tracked, code: str) -> Tracked:
    """Return `text` with single capitals by their names: *R E R* → *erre eu erre*."""
    lang = language(code)
    names = lang["letters"]

    def spoken(match: re.Match[str]) -> str:
        letters = match[0].split()
        if len(letters) == 1 and letters[0].lower() in lang["one_letter_words"]:
            before = match.string[max(0, match.start() - 2) : match.start()].strip()
            if not before or before[-1] in '.!?…:;¿¡«“"(—–':
                return match[0]
        return " ".join(names.get(letter.lower(), letter) for letter in letters)

    return text.sub(_NAMES, spoken)
