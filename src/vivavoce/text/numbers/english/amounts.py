"""Read money, measures and fractions: "five dollars", "two feet six inches", "one and a half"."""

import re
from collections.abc import Callable

from vivavoce.text.numbers.english.dates import date
from vivavoce.text.numbers.english.numerals import cardinal, fraction, mixed, number
from vivavoce.text.numbers.english.rules import (
    NUMBER,
    START,
    TABLE,
    TO,
    Rule,
    after,
    before,
    one_of,
    stop,
    words_of,
)

_CURRENCIES = TABLE["currencies"]
_UNITS = TABLE["units"]
_PER = {**{unit: one for unit, (one, _) in _UNITS.items()}, **TABLE["per"]}
_MAGNITUDES = TABLE["magnitudes"]
_NO_NOUN = words_of("measured", "not_a_noun")
_SINGULAR = words_of("measured", "singular")
_DIMENSIONS = words_of("measured", "dimensions")
_METERS = words_of("slashes", "meters")
_BEFORE_ONE = words_of("measured", "before_one")
_K_NOUNS = words_of("measured", "after_k")
_SCORED = words_of("slashes", "scored")
_DATED = words_of("slashes", "dated")
_DIRECTIONS = {"N": "north", "S": "south", "E": "east", "W": "west"}

_SIGN = one_of(sign for sign in _CURRENCIES if not sign.isalpha())
_CODE = one_of(code for code in _CURRENCIES if code.isalpha())
_SIGNS = "".join(sign for sign in _CURRENCIES if len(sign) == 1)
_UNIT = one_of(_UNITS)
_BARE = one_of(unit for unit in words_of("bare_units") if unit in _UNITS)
_LONG = one_of(word for word in _MAGNITUDES if len(word) > 3)
_SHORT = one_of(word for word in _MAGNITUDES if len(word) < 4)
_RATE = (
    rf"(?:\.? ?/ ?(?P<rate>{one_of(_PER)})(?:/(?P<then>{one_of(_PER)}))?(?![\w/])"
    rf"| per (?P<per>{one_of(word for word in _PER if len(word) < 4)})(?!\w))?"
)

_CENTS = r"(?:,\d\d(?![\d,]))?"  # €5,50


def _scale(name: str) -> str:
    return rf"(?:(?:[ -]?(?P<{name}>{_LONG}|{_SHORT}))(?!\w))?"


def _money_before(sign: str) -> re.Pattern[str]:
    """Return the pattern of amounts, or ranges of them, behind their sign."""
    return re.compile(
        rf"(?P<sign>{sign}) ?(?P<first>{NUMBER}{_CENTS}){_scale('scale')}"
        rf"(?:{TO}(?:{_SIGN} ?)?(?P<last>{NUMBER}){_scale('last_scale')})?{_RATE}"
    )


def _money_behind(sign: str) -> re.Pattern[str]:
    return re.compile(
        rf"{START}(?P<first>{NUMBER}{_CENTS})(?:{TO}(?P<last>{NUMBER}))?{_scale('scale')}"
        rf"[ -]?(?P<sign>{sign}){_RATE}"
    )


def _is_one(written: str) -> bool:
    return re.fullmatch(r"0*1(?:\.0+)?", written) is not None


def _before_noun(match: re.Match[str]) -> bool:
    """True if the measure stands before a noun of its own: "a 5 mile run"."""
    noun = after(match)
    return before(match).lower() in _BEFORE_ONE and noun != "" and noun not in _NO_NOUN


def _per(match: re.Match[str]) -> str:
    unit = match["rate"] or match["per"]
    spoken = f" per {_PER[unit]}" if unit else ""
    return spoken + (f" per {_PER[match['then']]}" if match["then"] else "")


def money(written: str, sign: str, scale: str | None = None, *, singular: bool = False) -> str:
    """Return an amount of money: "forty-two dollars and fifty cents"."""
    one, many, cent, cents = _CURRENCIES[sign]
    if scale:
        return f"{number(written)} {_MAGNITUDES[scale]} {one if singular else many}"
    whole, _, part = written.partition(".")
    if len(part) != 2 or not cents:
        return f"{number(written)} {one if singular or _is_one(written) else many}"
    has_whole = bool(whole.strip("0,"))
    spoken = f"{number(whole or '0')} {one if singular or _is_one(whole) else many}"
    if part == "00":
        return spoken
    hundredths = f"{cardinal(int(part))} {cent if int(part) == 1 else cents}"
    return f"{spoken} and {hundredths}" if has_whole else hundredths


def _money(match: re.Match[str]) -> str:
    """Return "$20–$30 million" and "$5/month" in words."""
    first, last, sign = match["first"], match["last"], match["sign"]
    first = re.sub(r",(?=\d\d\Z)", ".", first)  # €5,50
    scale, last_scale = match["scale"], match["last_scale"]
    singular = _before_noun(match)
    if not last:
        return money(first, sign, scale, singular=singular) + _per(match)
    if scale or last_scale or "." not in first:
        low = number(first) + (f" {_MAGNITUDES[scale]}" if scale and scale != last_scale else "")
    else:
        low = money(first, sign)
    return f"{low} to {money(last, sign, last_scale, singular=singular)}{_per(match)}"


def _money_after(match: re.Match[str]) -> str:
    """Return "5,000 €", "20–30 USD" in words."""
    low = f"{number(match['first'])} to " if match["last"] else ""
    written = re.sub(r",(?=\d\d\Z)", ".", match["last"] or match["first"])
    amount = money(written, match["sign"], match["scale"], singular=_before_noun(match))
    return f"{low}{amount}{_per(match)}"


def _measure(match: re.Match[str]) -> str:
    """Return "5–10 km/h" in words."""
    first, last, unit = match["first"], match["last"], match["unit"]
    one, many = _UNITS[unit]
    attributive = "-" in match["gap"] or (unit not in "%‰" and _before_noun(match))
    if unit in _SINGULAR:  # 2" cubes, a 9V battery
        attributive = attributive or after(match) not in {"", *_NO_NOUN, *_DIMENSIONS}
    singular = attributive or (not last and _is_one(first))
    low_unit = f" {_UNITS[match['low_unit']][1]}" if match["low_unit"] else ""
    low = f"{number(first)}{low_unit} to {match['minus'] or ''}" if last else ""
    return f"{low}{number(last or first)} {one if singular else many}{_per(match)}"


def _bare(match: re.Match[str]) -> str:
    """Return "per kg", "5 million km" and "in km" in words."""
    one, many = _UNITS[match["unit"]]
    return f"{match['head']}{one if match['head'] in ('per ', 'a ', 'each ', '/') else many}"


def _counted(match: re.Match[str]) -> str:
    """Return "10K" and "5M" in words. A race is "ten K"."""
    low, written, scale = match.groups()
    if low:
        return f"{number(low)} to {number(written)} {_MAGNITUDES[scale]}"
    is_race = written in ("5", "10") and before(match).lower() in _BEFORE_ONE
    if scale in "kK" and (written in ("2", "4", "8") or after(match) in _K_NOUNS or is_race):
        return f"{number(written)} K"
    return f"{number(written)} {_MAGNITUDES[scale]}"


def _feet(match: re.Match[str]) -> str:
    """Return 6′2 and 2′6″ in words."""
    feet, inches, mark = match.groups()
    is_height = inches and not (mark and after(match)) and feet in "345678"
    singular = is_height or _is_one(feet) or _before_noun(match)
    spoken = f"{number(feet)} {'foot' if singular else 'feet'}"
    if not inches:
        return spoken
    return f"{spoken} {number(inches)}" + (
        "" if is_height or not mark else " inch" if _is_one(inches) else " inches"
    )


def _one_measure(one: str, many: str) -> Callable[[re.Match[str]], str]:
    """Return what reads a number and its only unit."""

    def read(match: re.Match[str]) -> str:
        singular = _is_one(match[1]) or _before_noun(match) or "-" in match[0]
        return f"{number(match[1])} {one if singular else many}"

    return read


def _position(match: re.Match[str]) -> str:
    """Return 40° 42′ N in words."""
    degrees, minutes, seconds, direction = match.groups()
    spoken = f"{number(degrees)} degrees {number(minutes)} minutes"
    spoken += f" {number(seconds)} seconds" if seconds else ""
    return spoken + (f" {_DIRECTIONS[direction]}" if direction else "")


def _fraction(match: re.Match[str]) -> str:
    """Return "1 1/2 tbsp", "7/16 inch", "9/10" in words."""
    whole, unit = match["whole"], match["unit"]
    top, bottom = int(match["top"]), int(match["bottom"])
    if after(match) in _METERS:  # 3/4 time
        return f"{cardinal(top)} {cardinal(bottom)}"
    if whole and 0 < top < bottom:
        spoken = mixed(int(whole), top, bottom)
    elif bottom and (unit or _is_fraction(match, top, bottom)):
        spoken = fraction(top, bottom)
    else:
        return (f"{number(whole)} " if whole else "") + _slashed(match, top, bottom)
    if not unit:
        return spoken
    one, many = _UNITS.get(unit, ("inch", "inches"))
    singular = not whole or "-" in match["gap"] or _before_noun(match)
    return f"{spoken} {one if singular else many}"


def _is_fraction(match: re.Match[str], top: int, bottom: int) -> bool:
    word, noun = before(match), after(match)
    if word.lower() in _SCORED or word.lower() in _DATED or bottom == 1:
        return False
    if noun == "of" or noun in ("inch", "cup", "mile"):
        return True
    known = bottom in (2, 3, 4, 5, 6, 8, 16, 32, 64)
    return known and top < bottom and not (word[:1].isupper() and match.start() > len(word) + 1)


def _slashed(match: re.Match[str], top: int, bottom: int) -> str:
    """Return "9/10" as a date, a score, a pressure or two numbers."""
    one, two = number(match["top"]), number(match["bottom"])
    word = before(match)
    if word.lower() in _DATED and (day := date(bottom, top)):
        return day
    if word.lower() in _SCORED or (
        top <= bottom and bottom in (10, 20, 25, 50, 100) and not word[:1].isupper()
    ):
        return f"{one} out of {two}"
    if top == 20 and bottom in (15, 30, 40, 60, 70, 80, 200, 400):  # eyesight
        return f"{one} {two}"
    if 90 <= top <= 250 and 40 <= bottom < top:  # blood pressure
        return f"{one} over {two}"
    return f"{one} slash {two}"


def _by(match: re.Match[str]) -> str:
    """Return the sign of 5x7 as "by", that of "3 × 4 = 12" as "times"."""
    unit = match[1] or ""
    product = match[0] == " × " or _FACTOR.match(match.string, match.end())
    return f"{unit} times " if product and not unit else f"{unit} by "


_FACTOR = re.compile(rf"(?<![\d.,])(?:{NUMBER} ?=|10\^)")


def _range(match: re.Match[str]) -> str:
    """Return "1/2–3/4" as fractions, "12/26–1/2" as dates."""
    one, two, three, four = map(int, match.groups())
    are_fractions = one < two and three < four and {two, four} <= {2, 3, 4, 5, 6, 8, 16}
    if not are_fractions and (first := date(two, one)) and (last := date(four, three)):
        return f"{first} to {last}"
    return match[0].replace("–", "-").replace(" ", "").replace("-", " to ")


def _scientific(match: re.Match[str]) -> str:
    """Return "1e-5" as "one times ten to the power of minus five"."""
    minus = "minus " if match[2][0] == "-" else ""
    power = number(match[2].lstrip("+-"))
    return f"{number(match[1])} times ten to the power of {minus}{power}"


AMOUNTS: tuple[Rule, ...] = (
    # 1e-5, 6.02E23
    Rule(
        re.compile(r"(?<![\w.])(\d{1,15}(?:\.\d{1,15})?)[eE]([+-]?\d{1,3})(?!\w|\.\d)"), _scientific
    ),
    # 25 bps: of interest, below the speed of any line
    Rule(
        re.compile(r"(?<![\w.,])([12]?\d?\d(?:\.\d+)?)[ -]?bps(?!\w)"),
        _one_measure("basis point", "basis points"),
    ),
    # 12/26–1/2
    Rule(
        re.compile(rf"(?<![\w./])(\d\d?)/(\d\d?){TO}(\d\d?)/(\d\d?)(?![\w/]|[.,]\d)"),
        _range,
        "/",
    ),
    # $(500): a loss
    Rule(re.compile(rf"({_SIGN})\(({NUMBER})\)"), lambda m: f"minus {money(m[2], m[1])}", "("),
    # 40° 42′ N
    Rule(
        re.compile(r"(?<!\d)(\d++) ?[°º] ?(\d{1,2})′(?: ?(\d{1,2}(?:\.\d+)?)″)?(?: ?([NSEW])\b)?"),
        _position,
        "°º",
    ),
    # 5x7, 12 ft x 10 ft, 3 × 4 = 12
    Rule(
        re.compile(r"(?<=[\d′″])( ?(?:ft|feet|in|inches|mm|cm|m|km|yd)\.?)? ?([x×X]) ?(?=\d)"),
        _by,
        "xX×",
    ),
    # 5′11 1/2″
    Rule(
        re.compile(r"(?<![\w.,])(\d{1,2})′ ?(\d{1,2}) (\d{1,2})/(\d{1,2})(?!\d)″?"),
        lambda m: (
            f"{number(m[1])} {'foot' if m[1] in '345678' else 'feet'} "
            f"{mixed(int(m[2]), int(m[3]), int(m[4]))}"
            if int(m[3]) and int(m[4])
            else m[0]
        ),
        "′",
    ),
    # 6′2″, 8′, 5′10
    Rule(re.compile(rf"{START}({NUMBER})′(?:[ -]?(\d{{1,2}}(?:\.\d)?)(?!\d)(″?))?"), _feet, "′"),
    # 1-1 1/2, 1/2-1: the sign between
    Rule(
        re.compile(rf"{START}({NUMBER}) ?[-–] ?(?=\d{{1,3}} \d{{1,2}}/\d)"), lambda m: f"{m[1]} to "
    ),
    Rule(re.compile(r"(?<=\d/\d)[-–](?=\d{1,3}(?![\w/-]))"), lambda m: " to ", "/"),
    # 1 1/2 tbsp, 7/16 inch, 3-1/4, 9/10
    Rule(
        re.compile(
            r"(?<![\w.,/$£€:-])(?:(?P<whole>\d{1,4})(?: (?:and )?|-))?"
            r"(?P<top>\d{1,3})/(?P<bottom>\d{1,3})(?:th|rd|ths|rds)?(?![\w/]|[.,:]\d|-\d)"
            rf"(?:(?P<gap> ?-? ?)(?P<unit>{_UNIT}|in\.)(?![\w/²³]))?"
        ),
        _fraction,
        "/",
    ),
    # 9.5/10
    Rule(
        re.compile(r"(?<![\w.,/])(\d++\.\d++)/(5|10|20|50|100)(?![\w/]|[.,]\d)"),
        lambda m: f"{number(m[1])} out of {number(m[2])}",
        "/",
    ),
    # $5, $20-$30 million, US$5/month, USD 5
    Rule(_money_before(rf"(?<![A-Za-z]){_SIGN}"), _money, _SIGNS),
    Rule(_money_before(rf"(?<!\w){_CODE}(?=[ \d])"), _money),
    # 5,000 €, 20 USD
    Rule(_money_behind(rf"{_SIGN}(?! ?\d)"), _money_after, _SIGNS),
    Rule(_money_behind(rf"{_CODE}(?!\w)"), _money_after),
    # 50p
    Rule(re.compile(r"(?<![\w.,])(\d{1,2})p(?!\w)"), _one_measure("penny", "pence")),
    # 10K, 5M people, 7bn
    Rule(
        re.compile(
            rf"{START}(?<!-)(?:({NUMBER}){TO})?({NUMBER})"
            r"(k|K|M|bn|tn|[BTm](?= (?:people|users|views|copies|tons|parameters|tokens)))"
            r"(?![\w/])"
        ),
        _counted,
    ),
    # 5 in. wide, 5in
    Rule(
        re.compile(
            rf"{START}({NUMBER})"
            r"(?:-in\.(?= [a-z])|-?in\b| ?in\.(?= [a-z\d]|\s{0,4}\Z|[,;)])"
            r"| in(?= (?:x|by|wide|tall|long|deep|high|thick)\b))"
        ),
        _one_measure("inch", "inches"),
    ),
    # 5–10 km/h, -5 – -10 °C, 3 ft.
    Rule(
        re.compile(
            rf"{START}(?P<first>{NUMBER})"
            rf"(?:(?: ?(?P<low_unit>{_UNIT}))?{TO}(?P<minus>minus )?(?P<last>{NUMBER}))?"
            rf"(?P<gap> ?-? ?)(?P<unit>{_UNIT})(?![\w²³]){_RATE}(?:\.(?= ?[a-z\d,;]))?"
        ),
        _measure,
    ),
    # 40 degrees N
    Rule(re.compile(r"(?<=degrees )([NSEW])(?![\w'’])"), lambda m: _DIRECTIONS[m[1]], "NSEW"),
    # per lb.
    Rule(
        re.compile(
            rf"(?<=\b[Pp]er )({one_of(u for u in _UNITS if len(u) > 1 and u.isalpha())})(?!\w)\.?"
        ),
        lambda m: _UNITS[m[1]][0] + (stop(m) if m[0].endswith(".") else ""),
    ),
    # per kg, million km, 12/kg
    Rule(
        re.compile(
            rf"(?<!\w)(?P<head>(?:per|in|of|each|a|few|several|many|{_LONG}) )"
            rf"(?P<unit>{_BARE}|(?<=lion ){_UNIT})(?![\w/²³])"
        ),
        _bare,
    ),
    Rule(re.compile(rf"(?<=\d)/({one_of(_PER)})(?![\w/])"), lambda m: f" per {_PER[m[1]]}"),
    # 8 tabs/day
    Rule(
        re.compile(
            rf"(?<=[a-z]{{2}})\.?/({one_of(per for per in _PER if per.isalpha() and per[1:])})"
            r"(?![\w/])"
        ),
        lambda m: f" per {_PER[m[1]]}",
        "/",
    ),
)
