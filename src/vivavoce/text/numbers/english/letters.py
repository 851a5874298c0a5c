"""Read Roman numerals, capitals (emphasis or letters) and sounds: "the eighth", "B B C", "hmm"."""

import re

from vivavoce.text.numbers.english.numerals import cardinal, ordinal, roman, year
from vivavoce.text.numbers.english.rules import (
    TABLE,
    Rule,
    after,
    before,
    spelled,
    words_of,
)

_HEADINGS = words_of("headings")
_REGNAL = words_of("regnal", "names")
_RULERS = words_of("regnal", "ruler")
_SPELLED = words_of("spelled")
_SAID = words_of("said")
_SHORT = words_of("short_words")
_SOUNDS = frozenset(TABLE["sounds"])

_ROMAN = r"(?=[IVXLCDM])M{0,3}(?:CM|CD|D?C{0,3})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})"
# A vowel, and no run of consonants or vowels that no English word has.
_WORDLIKE = re.compile(
    r"\A(?=[a-z]*[aeiouy])(?!.*(?:[^aeiouy]{5}|[aeiou]{4}|[^aeiouylrnmsh][bcdfgjkpqvwxz][^aeiouylrwh]))"
    r"(?!(?:[^aeiouylrwhsn][^aeiouylrwh]|[lrn][^aeiouy]|s[bdfgjrvxz]))[a-z]+"
)


def _value(numeral: str) -> str:
    value = roman(numeral)
    return year(value) if value > 1000 else cardinal(value)


def _after_word(match: re.Match[str]) -> str:
    """Return "Henry the eighth", "Chapter four", "World War two"."""
    word, numeral = match.groups()
    previous = before(match)
    following = after(match)
    if word.isupper() and word.capitalize() in _HEADINGS | _REGNAL:
        word = word.capitalize()
    regnal = word in _REGNAL or (previous in _RULERS and word not in _HEADINGS)
    if word == "Series" and len(numeral) == 1:  # Xbox Series X
        return match[0]
    if word in _HEADINGS and not (len(numeral) == 1 and numeral not in "IVX" and word != "Bowl"):
        if numeral == "I" and word.islower():
            return match[0]
        return f"{word} {_value(numeral)}"
    if word.islower():
        return match[0]
    closes = numeral == "I" and _CLOSES.match(match.string, match.end())
    if len(numeral) == 1 and not (
        regnal
        and (previous in _RULERS or numeral in "VX" or following == "of" or closes)
        and word != "Malcolm"
    ):
        return match[0]
    if len(numeral) == 1 and numeral not in "IVX":
        return match[0]
    is_name = (len(previous) == 1 and previous.isupper()) or previous in _REGNAL  # J. P. Shaw III
    if regnal or (is_name and numeral in ("II", "III", "IV")):
        return f"{word} the {ordinal(roman(numeral))}"
    if set(numeral) <= set("IVX") and word not in _NO_NUMERAL and numeral not in ("XX", "XXX"):
        return f"{word} {_value(numeral)}"
    return match[0]


# After the "I" of a name, which is no pronoun.
_CLOSES = re.compile(r"[.,;:)]|\s{0,4}\Z| (?:and|was|ruled|reigned|died|became)\b")
_NO_NUMERAL = frozenset(["An", "The", "This", "That", "Start", "Give", "An", "Her", "His"])


def _alone(match: re.Match[str]) -> str:
    """Return "two" for a Roman numeral without a heading. "IV drip" is none."""
    if match[0] in ("IV", "VI", "XX", "XXX", "XI", "MIX", "DI") and after(match)[:1].islower():
        return match[0]
    return _value(match[0])


def _small(match: re.Match[str]) -> str:
    """Return "scene ii" and "pages xii–xv" in words."""
    numerals = [numeral.upper() for numeral in match.groups()[1:] if numeral]
    if match[1] != "(" and match[1][:-1] not in _HEADINGS:
        return match[0]
    if not all(map(_IS_ROMAN.fullmatch, numerals)):
        return match[0]
    return match[1] + " to ".join(map(_value, numerals))


_IS_ROMAN = re.compile(r"X{0,3}(?:IX|IV|V?I{0,3})")


def _is_word(word: str) -> bool:
    """True if capitals are emphasis and no abbreviation."""
    if word.upper() in _SPELLED:
        return False
    plain = word.lower().replace("'", "")
    if len(plain) < 5:
        return plain in _SHORT or plain in _SOUNDS
    return _WORDLIKE.fullmatch(plain) is not None


def _capitals(match: re.Match[str]) -> str:
    """Return a run of capitals: words in lower case, the others letter by letter."""
    run = match[0]
    words = [found[1] for found in _WORD.finditer(run)]
    emphatic = sum(word not in _SAID and _is_word(word) for word in words) > 0 and len(words) > 1
    return _WORD.sub(lambda m: _capital(m, emphatic), run)


def _capital(match: re.Match[str], emphatic: bool) -> str:
    word, possessive = match[1], match[2] or ""
    if len(word) == 1:
        return match[0].lower() if emphatic and word == "A" and not possessive else match[0]
    if word in _SAID:
        return word.capitalize() + possessive.lower()
    if _is_word(word) or (
        emphatic and (word in _EMPHATIC or len(word) > 3) and word not in _SPELLED
    ):
        return word.lower() + possessive.lower()
    return spelled(word) + _plural(possessive)


def _plural(ending: str) -> str:
    """Return the end of "CDs" and "NASA's"."""
    return f"'{ending[-1].lower()}" if ending else ""


_LOWER = words_of("lower_words")
_EMPHATIC = frozenset(["IT", "US", "AM", "OR", "IN", "ME", "HI", "OK", "ID", "PM", "WHO", "AN"])
_WORD = re.compile(r"(?<![\w'’])([A-Z](?:[A-Z]|['’](?=[A-Z]{2}))*+)(['’][sS]|s)?(?![\w])")


def _sound(match: re.Match[str]) -> str:
    """Return "Shhhh" and "sooo" without the letters that only draw them out."""
    numeral = set(match[0].upper()) <= set("IVXLCDM")
    if (match[0].isupper() and (len(match[0]) < 4 or numeral)) or match[0] == "iii":  # AAA, LVIII
        return match[0]
    short = _LONG.sub(r"\1\1", match[0])
    if short.lower() in _SOUNDS:
        return short
    return _LONG.sub(r"\1", match[0]) if short.lower() not in _DOUBLED else short


_LONG = re.compile(r"([A-Za-z])\1{2,}+", re.IGNORECASE)
_DOUBLED = frozenset(
    [
        "too",
        "see",
        "ooh",
        "aah",
        "woo",
        "boo",
        "zoo",
        "moo",
        "all",
        "yell",
        "hell",
        "ball",
        "call",
        "well",
        "shh",
    ]
)

_IN_CAPITALS = r"[A-Z][A-Z'’]*+(?:(?:['’]s|s)(?!\w))?"

LETTERS: tuple[Rule, ...] = (
    # a B+ and an A-
    Rule(re.compile(r"(?<![\w-])([A-F])-(?![\w-]| (?:and|or) )"), lambda m: f"{m[1]} minus", "-"),
    # XIXth century, XX century
    Rule(
        re.compile(rf"\b({_ROMAN})(?:th|st|nd|rd)?(?= [Cc]entur)"),
        lambda m: ordinal(roman(m[1])),
    ),
    # IV–VI
    Rule(
        re.compile(r"(?<![\w'’-])([IVX]{1,7})[-–]([IVX]{1,7})(?![\w'’-]|\.\w)"),
        lambda m: (
            f"{_value(m[1])} to {_value(m[2])}"
            if len(m[0]) > 3 and all(map(_IS_ROMAN.fullmatch, m.groups()))
            else m[0]
        ),
        "-–",
    ),
    # Henry VIII, Chapter IV, World War II
    Rule(
        re.compile(
            rf"\b([A-Z]?[a-z]++|[A-Z]{{3,}}+) ({_ROMAN})(?:th|st|nd|rd)?"
            r"(?:(?![\w'’-]|\.\w)|(?=['’]s\b))"
        ),
        _after_word,
    ),
    # Scene ii, (iv), pages xii–xv
    Rule(
        re.compile(r"(\b[A-Za-z]+ |\()([ivx]{2,7}|i(?=[-–][ivx]))(?:[-–]([ivx]{1,7}))?(?![\w'’-])"),
        _small,
        "iv",
    ),
    # II. Methods: a heading
    Rule(
        re.compile(rf"(?:(?<=\A)|(?<=\n))({_ROMAN})(?=[.):] )"),
        lambda m: _value(m[1]) if m[1] not in ("C", "D", "L", "M") else m[0],
    ),
    # II and III
    Rule(
        re.compile(r"(?<![\w'’-])(?=[IVX]{2})(?:X{0,3}(?:IX|IV|V?I{0,3}))(?![\w'’-]|\.\w)"), _alone
    ),
    # Shhhh, sooo
    Rule(re.compile(r"\b[A-Za-z]*?([A-Za-z])\1\1[A-Za-z]*+"), _sound),
    # npm, html
    Rule(
        re.compile(r"(?<![\w'’-])[b-df-hj-np-tv-xz]{2,5}+(?![\w'’-])"),
        lambda m: m[0] if m[0] in _SOUNDS or m[0] in _LOWER else spelled(m[0]),
    ),
    # NASA, the FBI, DO NOT TOUCH
    Rule(
        re.compile(rf"(?<![\w'’]){_IN_CAPITALS}(?:[ ,;:–—-]{{1,2}}{_IN_CAPITALS}(?!\w))*+(?!\w)"),
        _capitals,
    ),
)
