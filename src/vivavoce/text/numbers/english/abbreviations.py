"""Read abbreviations: titles, streets, "No. 5", "etc.", initials.

A full stop that is left ends a sentence. A word that may be ordinary ("no", "Sun", "Jan", "fig") is
an abbreviation only where its neighbours say so.
"""

import re
from collections.abc import Mapping

from vivavoce.text.numbers.english.numerals import digits, pairs
from vivavoce.text.numbers.english.rules import (
    DIGITS,
    TABLE,
    Rule,
    before,
    ends_sentence,
    one_of,
    spelled,
    stop,
    words_of,
)

_TITLES = TABLE["titles"]
_BEFORE_NUMBER = TABLE["before_number"]
_BOOKS = TABLE["books"]
_AFTER_ORDINAL = TABLE["after_ordinal"]
_ABBREVIATIONS = {
    # at the beginning of a sentence too, but "v." and "V."
    **{
        key[0].upper() + key[1:]: words[0].upper() + words[1:]
        for key, words in TABLE["abbreviations"].items()
        if len(key) > 3 and key.endswith(".")
    },
    **TABLE["abbreviations"],
}
_STREETS = TABLE["streets"]
_DIRECTIONS = TABLE["directions"]
_STATES = TABLE["states"]
_ORDINARY = words_of("calendar", "ordinary")


def _all_cases(names: Mapping[str, str]) -> dict[str, str]:
    """Return "Jan", "JAN" and "jan", but not "mar" or "sun"."""
    lower = {name.lower(): spoken for name, spoken in names.items() if name not in _ORDINARY}
    return {**lower, **{name.upper(): spoken for name, spoken in names.items()}, **names}


_MONTHS = _all_cases(TABLE["months"])
_CALENDAR = _MONTHS | _all_cases(TABLE["weekdays"])
_PLAIN = words_of("calendar", "plain")
_BEFORE_DAYS = words_of("calendar", "before")
_DIRECTION = one_of(_DIRECTIONS)
_WITHOUT_STOP = [word for word in _ABBREVIATIONS if not word.endswith(".")]

_NAME = re.compile(r" (?:[A-Z][\w'’]|[A-Z]\.|(?:and|or|&) (?:Mr|Mrs|Ms|Dr)\b)")
_NUMBER = re.compile(r" ?(?:[#№]?\d|(?:[IVXLC]{1,8}|[ivxl]{2,8}|i(?=[-–]))\b)")
_DIGIT = re.compile(r" ?[#№]?\d")
_ORDINAL_OF = re.compile(r"(?:st|nd|rd|th) of \Z")
_DATE = re.compile(rf",? ?['’]?\d|,? {one_of(_MONTHS)}\b|,? the \d")
_SENIOR = re.compile(rf" {one_of(words_of('seniors'))}\b")


def _dotted(match: re.Match[str]) -> str:
    """Return "U.S." and "p.m." as letters, "e.g." as its words."""
    written = match[0]
    if before(match)[-1:].isdigit() and written.lower().startswith(("a.m", "p.m")):
        return written  # a time of day
    known = _ABBREVIATIONS.get(written) or _ABBREVIATIONS.get(f"{written}.")
    return (known or spelled(written)) + (stop(match) if written.endswith(".") else "")


def _abbreviation(match: re.Match[str]) -> str:
    word, text, end = match[1], match.string, match.end()
    previous = before(match)
    after_name = previous[:1].isupper() and not previous.isupper()
    if previous[-1:].isdigit() and word in TABLE["units"]:  # "5 min. left" is a measure
        return match[0]
    honours = word in _TITLES and previous.isdecimal() and _NAME.match(text, end)  # 7 St. John Rd.
    if word in _STREETS and (after_name or previous[:1].isdigit()) and not honours:
        return f"{_STREETS[word]}{stop(match)}"
    if word == "Sr" and _SENIOR.match(text, end):
        return "Senior"
    if word in _TITLES and _NAME.match(text, end):
        return str(_TITLES[word])
    number = _DIGIT if word in ("No", "no") else _NUMBER
    if (
        word in _BEFORE_NUMBER
        and number.match(text, end)
        and (word == "No" or not previous.isdecimal())
    ):
        gap = "" if text[end : end + 1] == " " else " "
        return f"{_BEFORE_NUMBER[word]}{gap}"
    if word in _CALENDAR:
        return _calendar(match, word, previous)
    if match[0] in _ABBREVIATIONS:
        return f"{_ABBREVIATIONS[match[0]]}{stop(match)}"
    return match[0]


def _calendar(match: re.Match[str], word: str, previous: str) -> str:
    if _CALENDAR[word] == word:
        return match[0]
    dated = (
        _DATE.match(match.string, match.end())
        or _ORDINAL_OF.search(match.string, max(0, match.start() - 6), match.start())
        or previous.lower() in _BEFORE_DAYS
    )
    if (
        dated
        or previous.isdecimal()
        or (word in _PLAIN and not ends_sentence(match.string, match.end()))
    ):
        return _CALENDAR[word] + stop(match)
    return match[0]


def _initial(match: re.Match[str]) -> str:
    """Return "J" for the "J." of a name, but not for the end of "plan B. John left"."""
    previous = before(match)
    if len(previous) == 1:  # the last of some letters: "J F K. About"
        return match[0]
    is_named = not previous or previous[0].isupper() or previous in ("and", "by", "of")
    return match[1] if is_named and not ends_sentence(match.string, match.end()) else match[0]


def _state(match: re.Match[str]) -> str:
    zip_code = f" {digits(match[2])}" if match[2] else ""
    return f"{_STATES[match[1]]}{zip_code}" + (f" {digits(match[3])}" if match[3] else "")


_ROADS = one_of({*_STREETS.values(), "Way"})

ABBREVIATIONS: tuple[Rule, ...] = (
    # Austin, TX 78701
    Rule(
        re.compile(
            rf"(?<=[a-z.], )({one_of(_STATES)})(?![\w.'’])(?:,? (\d{{5}})(?:-(\d{{4}}))?\b)?"
        ),
        _state,
        ",",
    ),
    # U.S., p.m, e.g.
    Rule(
        re.compile(r"(?<![\w.])[A-Za-z]\.(?:[A-Za-z]\.)*+(?:[A-Za-z](?![\w.'’])|(?<=[.]\w\.))"),
        _dotted,
        ".",
    ),
    # w/o, n/a, PhD
    Rule(
        re.compile(rf"(?<![\w./]){one_of(_WITHOUT_STOP)}(?![\w'’/])"),
        lambda m: _ABBREVIATIONS[m[0]],
    ),
    # Gen. 1:1, 1 Cor. 13:4, Ps. 23
    Rule(
        re.compile(
            rf"(?<![\w.])({one_of(_BOOKS)})\.? ?(?=\d{{1,3}}:\d)|(?<![\w.])(Pss?)\. ?(?=\d)"
        ),
        lambda m: f"{_BOOKS[m[1] or m[2]]} ",
        DIGITS,
    ),
    # the 14th fl., 2nd ed.
    Rule(
        re.compile(rf"(?<=\d[snrt][tdh] )({one_of(_AFTER_ORDINAL)})(?:\.|(?![\w'’]))"),
        lambda m: _AFTER_ORDINAL[m[1]] + (stop(m) if m[0].endswith(".") else ""),
        DIGITS,
    ),
    # My no. is 5, phone no. 555-0199
    Rule(
        re.compile(
            rf"\b({one_of(words_of('numbered'))})\.? no\.?(?= is\b| was\b|:| [A-Z]{{1,3}}-?\d)",
            re.IGNORECASE,
        ),
        lambda m: f"{_ABBREVIATIONS.get(f'{m[1]}.', m[1])} number",
    ),
    # Ph.D., et al.
    Rule(
        re.compile(r"(?<![\w.])(?:Ph\.D\.|Ed\.D\.|M\.Sc\.|B\.Sc\.|et al\.)"),
        lambda m: _ABBREVIATIONS[m[0]] + stop(m),
        ".",
    ),
    # Highway 101 N.
    Rule(
        re.compile(
            rf"\b((?:Highway|Hwy\.?|Route|Rte\.?|Rt\.?|Interstate|I) ?-?\d{{1,4}} )"
            rf"({_DIRECTION})(?![\w'’])\.?"
        ),
        lambda m: f"{m[1]}{_DIRECTIONS[m[2]]}" + (stop(m) if m[0][-1] == "." else ""),
        DIGITS,
    ),
    # 12 miles NE of Reno
    Rule(
        re.compile(rf"(?<![\w.'’])({_DIRECTION})(?= of (?:the )?[A-Z])"),
        lambda m: _DIRECTIONS[m[1]].lower(),
    ),
    # go N 3 mi.
    Rule(
        re.compile(
            rf"\b((?:go|head|turn|drive|walk|ride|sail|fly|due|heading|facing|then) )({_DIRECTION})"
            r"(?![\w'’.])",
            re.IGNORECASE,
        ),
        lambda m: f"{m[1]}{_DIRECTIONS[m[2].upper()].lower()}",
    ),
    # SF 94108
    Rule(
        re.compile(r"(?<=\b[A-Z]{2} )(\d{5})(?![\w,.-]?\w| [a-z])"), lambda m: digits(m[1]), DIGITS
    ),
    # E. 3rd St., N. Main St.
    Rule(
        re.compile(
            rf"(?<![\w.'’])({_DIRECTION})\.? (?=(?:\d{{1,3}}(?:st|nd|rd|th)|[A-Z][a-z]{{2,15}}) "
            rf"{one_of({*_STREETS, *_STREETS.values()})}\b)"
        ),
        lambda m: f"{_DIRECTIONS[m[1]]} ",
    ),
    # 12 S. 1st St., 1600 Elm Ave. NW
    Rule(
        re.compile(rf"(?<=\d )({_DIRECTION})\.?(?= (?:[A-Z][a-z]|\d))"),
        lambda m: _DIRECTIONS[m[1]],
        DIGITS,
    ),
    # Apt 4, Vol 3, pp 5-9
    Rule(
        re.compile(rf"(?<![\w.'’-])({one_of(words_of('bare_before_number'))})(?= (?:no\. ?|#)?\d)"),
        lambda m: _BEFORE_NUMBER[m[1]],
        DIGITS,
    ),
    # Jan–Mar, Mon.–Fri.
    Rule(
        re.compile(
            rf"(?<![\w.'’-])({one_of(_CALENDAR)})\.? ?(-|–|—|to|/) ?"
            rf"({one_of(_CALENDAR)})(?![\w'’])\.?"
        ),
        lambda m: f"{_CALENDAR[m[1]]} to {_CALENDAR[m[3]]}" + (stop(m) if m[0][-1] == "." else ""),
    ),
    # Dr., St., No., Inc.
    Rule(re.compile(r"(?<![\w.'’/])([A-Za-z][A-Za-z']{0,7})\.(?!\w\w)"), _abbreviation, "."),
    # J. R. R. Tolkien
    Rule(re.compile(r"(?<![\w.'’-])([A-Z])\.(?= ?[A-Z])"), _initial, "."),
    # Dr Watson, St Paul
    Rule(
        re.compile(rf"(?<![\w.'’])({one_of(words_of('bare_titles', 'names'))})(?= [A-Z][\w'’])"),
        lambda m: _TITLES[m[1]],
    ),
    # 123 Main St, 5th Ave
    Rule(
        re.compile(rf"(?<=[a-z] )({one_of(_STREETS)})(?![\w.'’])"),
        lambda m: _STREETS[m[1]] if before(m)[:1].isupper() or before(m)[:1].isdigit() else m[0],
    ),
    # Pennsylvania Avenue NW
    Rule(
        re.compile(rf"\b({one_of(_STREETS.values())},? )({_DIRECTION})(?![\w'’])\.?"),
        lambda m: f"{m[1]}{_DIRECTIONS[m[2]]}" + (stop(m) if m[0].endswith(".") else ""),
    ),
    # 221B Baker Street
    Rule(
        re.compile(
            rf"(?<![\w.,:/-])([1-9]\d{{2,3}})(?=[A-Z]? (?:[A-Z][\w'’.-]{{0,20}} ){{1,4}}{_ROADS}\b)"
        ),
        lambda m: pairs(m[1]),
        DIGITS,
    ),
    # on Sat
    Rule(
        re.compile(
            rf"\b((?:[Oo]n|[Tt]his|[Nn]ext|[Ll]ast|[Ee]very) )({one_of(TABLE['weekdays'])})\b"
        ),
        lambda m: m[1] + _CALENDAR[m[2]],
    ),
    # Sept 5, 3 Feb
    Rule(
        re.compile(
            rf"(?<![\w.'’])({one_of(_CALENDAR)})"
            rf"(?=,? \d|[-/]\d|, {one_of(_CALENDAR)}\b| (?:at|and|or) \d)"
        ),
        lambda m: _CALENDAR[m[1]],
    ),
    Rule(
        re.compile(rf"(?:(?<=\d[ -])|(?<=\d(?:st|nd|rd|th) ))({one_of(_MONTHS)})(?![\w'’])\.?"),
        lambda m: _MONTHS[m[1]] + (stop(m) if m[0][-1] == "." else ""),
    ),
    Rule(re.compile(rf"(?<![\w.'’])({one_of(_PLAIN)})(?![\w'’.])"), lambda m: _CALENDAR[m[1]]),
)
