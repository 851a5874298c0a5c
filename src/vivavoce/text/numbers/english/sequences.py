"""Read numbers that are names (telephones, versions, rooms), ranges, and plain numbers."""

import re

from vivavoce.text.numbers.english.numerals import (
    digits,
    number,
    ordinal,
    pairs,
    version,
)
from vivavoce.text.numbers.english.rules import (
    NUMBER,
    START,
    Rule,
    after,
    before,
    one_of,
    spelled,
    words_of,
)
from vivavoce.text.tables import table

_BOOKS = one_of(words_of("verses", "books"))
_PAIRED = re.compile(rf"\b{one_of(words_of('in_pairs'))}(?: #)? ?(?:[A-Z]{{2,3}} )?\Z")
_IDENTIFIED = re.compile(
    rf"\b(?:{one_of(words_of('identifiers'))}|end(?:s|ing) in|last four)"
    r"(?:[:,]| is| was| number| no\.| code)?(?: is)? ?\Z",
    re.IGNORECASE,
)
_DIALLED = re.compile(r"\b(?:[Cc]all|[Dd]ial|[Dd]ialed|[Cc]alled|[Aa]rea code|CVV|CVV is) \Z")
_NEAR_CODE = re.compile(
    rf"\b{one_of(words_of('short_codes', 'near'))}\b[^.!?]{{0,40}}\Z", re.IGNORECASE
)
_SHORT_CODES = words_of("short_codes")
_CODE_NOUNS = words_of("short_codes", "nouns")
_PRODUCTS = table("products")["names"].split()
_VERSIONED = re.compile(
    rf"(?<![\w.]){one_of({'O S', *words_of('versions', 'names'), *_PRODUCTS})}(?:\.js)?[ -]?\Z"
)
_SAID = words_of("said")
_GROUP = re.compile(r"\d++|[A-Za-z]++|\+")
_ALPHANUMERIC = re.compile(r"\d++|[A-Z]+(?![a-z])|[A-Z]?[a-z'’]++")


def telephone(written: str) -> str:
    """Return a telephone number with pauses: "one, eight hundred, five five five"."""
    groups = _GROUP.findall(written)
    spoken = [
        "plus" if group == "+"
        else group if group.isalpha()
        else "eight hundred" if group == "800" and at
        else digits(group)
        for at, group in enumerate(groups)
    ]  # fmt: skip
    return ", ".join(spoken).replace("plus, ", "plus ")


def _groups(match: re.Match[str]) -> str:
    return ", ".join(digits(group) for group in re.findall(r"\d+", match[0]))


def _alphanumeric(match: re.Match[str]) -> str:
    """Return "MP3", "H2O", "B12" and "SW1A" in letters and numbers."""
    spoken = []
    parts = _ALPHANUMERIC.findall(match[0])
    for at, part in enumerate(parts):
        if part.isdecimal():
            long = len(part) > 3 or (part[0] == "0" and len(part) > 1)
            spoken.append(
                digits(part)
                if long
                else pairs(part)
                if len(part) == 3 and part[1:] != "00"
                else number(part)
            )
        elif part in ("'s", "’s") and spoken:
            spoken[-1] += part
        elif part in _SAID:
            spoken.append(part.capitalize())
        elif len(part) == 1 or part.isupper():
            spoken.append(spelled(part))
        elif part == "s" and at == len(parts) - 1 and spoken:
            spoken[-1] += "s"
        elif len(part) < 3 and not re.search("[aeiou]", part):
            spoken.append(spelled(part))
        else:
            spoken.append(part)
    return " ".join(spoken)


def _range(match: re.Match[str]) -> str:
    """Return "7 - 4" as a subtraction where it is one, "10–20" as a range."""
    low, sign, high = match.groups()
    spaced = sign == " - "
    falls = float(low.replace(",", "")) > float(high.replace(",", ""))
    if (spaced and falls) or _EQUALS.match(match.string, match.end()):
        return f"{number(low)} minus {number(high)}"
    return f"{number(low)} to {number(high)}"


_TWO_DIGITS = re.compile(r"\d\d(?!\d)( ?[€$£])?")
_OPERATOR = re.compile(r" ?(?:[-+=*/^²³]|(?:squared|cubed|to the power|minus|plus|equals)\b)")
_EQUALS = re.compile(r" ?=")


def _identifier(match: re.Match[str]) -> str:
    """Return "zip code 90210" and "call 911" digit by digit."""
    known = _is_short_code(match) if len(match[1]) == 3 else _IDENTIFIED.search(_head(match))
    if not known:
        return match[0]
    return f"{'number ' if match[0][0] in '#№' else ''}{digits(match[1])}"


def _is_short_code(match: re.Match[str]) -> bool:
    """True in "dial 911 or 112" and "a 999 call", False in "112 people"."""
    code, noun, head = match[1], after(match), _head(match)
    if noun in _CODE_NOUNS:
        return code in _SHORT_CODES
    if noun.endswith("s") or noun == "people" or head.endswith("Porsche "):
        return False
    near = code == "911" or (code in _SHORT_CODES and _NEAR_CODE.search(head))
    return bool(near or _DIALLED.search(head))


def _in_groups(written: str) -> str:
    """Return three or four digits in pairs, others one by one."""
    return pairs(written) if len(written) in (3, 4) and written[0] != "0" else digits(written)


def _version(match: re.Match[str]) -> str:
    """Return "Python 3.10" as a version."""
    if match[1]:
        said = before(match).lower() in ("version", "versions", "release")
        return version(match[2]) if said else f"version {version(match[2])}"
    return version(match[2]) if _VERSIONED.search(_head(match)) else match[0]


def _in_pairs(match: re.Match[str]) -> str:
    """Return "Room 101" as "one oh one"."""
    written = match[1]
    if not _PAIRED.search(_head(match)) or (len(written) == 3 and written.endswith("00")):
        return match[0]
    return pairs(written)


def _head(match: re.Match[str]) -> str:
    """Return some of the text before the match."""
    return match.string[max(0, match.start() - 40) : match.start()]


def _compared(match: re.Match[str]) -> str:
    """Return the sign before a lone number: "less than", "at least"."""
    return f"{_COMPARED[match[0].rstrip()]} "


_COMPARED = {
    "<": "less than", ">": "more than", "≤": "at most", "≥": "at least", "<=": "at most",
    ">=": "at least",
}  # fmt: skip
_KEYS = {"*": "star", "#": "hash"}


def _ungrouped(match: re.Match[str]) -> str:
    return re.sub(r"\D", "", match[0])


def _is_decimal_comma(match: re.Match[str]) -> bool:
    """True in "€5,50" and "5,50 €"."""
    text, start = match.string, match.start()
    head = text[max(0, start - 8) : start].rstrip("0123456789 ")
    cents = _TWO_DIGITS.match(text, match.end())
    return bool(cents and (head[-1:] in tuple("€$£") or cents[1]))


def _times(match: re.Match[str]) -> str:
    """Return "2x" as "two times", but as "two x" in a formula."""
    term = match.string[max(0, match.start() - 3) : match.start()].rstrip()[-1:]
    in_formula = (term and term in "+-=*/(") or _OPERATOR.match(match.string, match.end())
    return f"{number(match[1])} {'x' if in_formula else 'times'}"


# Numbers that count nothing. They come before dates and amounts.
NAMED_NUMBERS: tuple[Rule, ...] = (
    # +44 20 7946 0958
    Rule(
        re.compile(r"(?<![\w+])\+\d{1,3}(?:[ .-]?\(?\d{1,5}\)?){2,6}+(?![\w])"),
        lambda m: telephone(m[0]),
        "+",
    ),
    # 00 44 20 7946 0958
    Rule(re.compile(r"(?<![\w.,])00 ?\d{1,3}(?: \d{2,5}){2,5}+(?!\w)"), lambda m: telephone(m[0])),
    # 1-800-555-0199, (555) 123-4567, 555.123.4567, 1-800-FLOWERS
    Rule(
        re.compile(
            r"(?<![\w.,/$£€+-])(?:1[-. ])?(?:\(\d{3}\) ?-?|\d{3}[-. /])"
            r"(?:\d{3}[-. ]\d{4}|[A-Z][A-Z-]{3,9})(?![\w-])"
        ),
        lambda m: telephone(m[0]),
    ),
    # 555-0199, 020 7946 0958, 07700 900123, 123-45-6789, 4111 1111 1111 1111
    Rule(
        re.compile(
            r"(?<![\w.,/$£€+:-])(?:\d{3}-\d{4}|\(0\d{2,4}\) ?\d{3,4}[ -]?\d{3,4}"
            r"|0\d{2,4}(?:[ -]\d{3,8}){1,3}|\d{3}-\d\d-\d{4}"
            r"|\d{4}(?:[ -]\d{4}){3}|97[89]-(?:\d{1,7}-){3}\d)(?![\w-]|[.,]\d)"
        ),
        _groups,
    ),
    # zip code 90210, PIN: 0451, order #123456
    Rule(re.compile(r"(?<![\w.,/$£€-])(?:#|№)?(\d{3,}+)(?![\w%°/]|[.,-]\d)"), _identifier),
    # Python 3.10, v1.24.3
    Rule(re.compile(r"(?<![\w.,])(v?)(\d{1,4}(?:\.\d{1,4})++)(?![\w.]?\w)"), _version, "."),
    # not 3.10.1: a number with two points
    Rule(
        re.compile(r"(?<![\w.,])(?!\d\d?\.\d\d?\.(?:19|20)\d\d\b)\d++(?:\.\d++){2,}+(?!\w)"),
        lambda m: version(m[0]),
        ".",
    ),
    # Room 101, Flight UA 1492
    Rule(re.compile(r"(?<=[A-Za-z#] )([1-9]\d{2,3})(?![\w%°/]|[.,:-]\d)"), _in_pairs),
    # *69, *100#, #31#
    Rule(
        re.compile(r"(?<![\w*#])(?:(\*)(\d{2,4})(#?)|(#)(\d{2,4})(#))(?![\w*#])"),
        lambda m: " ".join(_KEYS.get(part) or digits(part) for part in m.groups() if part),
        "*#",
    ),
    # №5, #1
    Rule(re.compile(r"(?:№|(?<![\w&])#) ?(?=\d)"), lambda m: "number ", "#№"),
    # John 3:16, Genesis 1:1–3
    Rule(
        re.compile(rf"\b({_BOOKS} )(\d{{1,3}}):(\d{{1,3}})(?:[-–](\d{{1,3}}))?(?![\w:])"),
        lambda m: f"{m[1]}{number(m[2])} {number(m[3])}" + (f" to {number(m[4])}" if m[4] else ""),
        ":",
    ),
    # 1 Corinthians, II Kings
    Rule(
        re.compile(rf"\b([123]|I{{1,3}}) (?={_BOOKS} \d)"),
        lambda m: f"{ordinal(len(m[1]) if m[1][0] == 'I' else int(m[1])).capitalize()} ",
    ),
    # Boeing 737-800s
    Rule(
        re.compile(r"(?<=(?:Boeing|Airbus) )(A?)(\d{3})-(\d{2,4})"),
        lambda m: f"{m[1]} {_in_groups(m[2])} {_in_groups(m[3])}".strip(),
        "-",
    ),
    # § 5, §§ 5-7
    Rule(re.compile(r"§(§?) ?(?=\d)"), lambda m: "sections " if m[1] else "section ", "§"),
    # Number 19-1392
    Rule(
        re.compile(r"(?<=[Nn]umber )(\d{1,4})-(\d{1,6})(?![\w-])"),
        lambda m: f"{number(m[1])} dash {_in_groups(m[2])}",
        "-",
    ),
    # ±5, ~5, ≈5, +5, -5, -$5
    Rule(re.compile(r"± ?(?=[$£€]?\.?\d)"), lambda m: " plus or minus ", "±"),
    Rule(re.compile(r"(?<![\w.)\]/~])(?<!\b\w )[~≈] ?(?=[$£€¥]?\.?\d)"), lambda m: "about "),
    Rule(re.compile(r"(?<![\w.)\]%°€$£+′″])\+(?=[$£€¥]?\.?\d)"), lambda m: "plus "),
    Rule(
        re.compile(r"(?:(?<=[–—-])|(?<![\w.)\]%°€£+′″–—-]))[-–](?=(?:[$£€¥]|US\$)?\.?\d)"),
        lambda m: "minus ",
    ),
    # under <5 min, Python >= 3.9
    Rule(
        re.compile(r"(?<=[A-Za-z]{2} )([<>≤≥])=?(?=[$£€¥]?\.?\d)"),
        _compared,
        "<>≤≥",
    ),
    Rule(
        re.compile(
            r"\b((?:[Rr]equires?|[Nn]eeds?|[Uu]ses?|[Ss]upports?|with) [A-Za-z][\w.+#]{0,20}"
            r"|be|is|are|was|were) ?([<>≤≥]=?) ?(?=[$£€]?\.?\d)"
        ),
        lambda m: f"{m[1]} {_COMPARED[m[2]]} ",
        "<>≤≥",
    ),
    # <5, >5, ≥5
    Rule(
        re.compile(r"(?<![\w)\]<>|-] )(?<![\w)\]<>|-])([<>≤≥])=? ?(?=[$£€¥]?\.?\d)"),
        _compared,
        "<>≤≥",
    ),
    # 1 000 000, 1'000'000, 1,00,000
    Rule(
        re.compile(
            r"(?<![\d+])(?<!\d[ .,'’-])\d{1,3}(?:(?: \d{3}){0,3} 000|(?:['’]\d{3})++)(?![\d'’])"
        ),
        _ungrouped,
    ),
    Rule(re.compile(r"(?<![\w.,])\d{1,2}(?:,\d\d)++,\d{3}(?![\d,])"), _ungrouped),
    # 1,2,3: a list
    Rule(
        re.compile(r"(?<=\d),(?=\d)(?!\d{3}(?!\d))"),
        lambda m: ", " if not _is_decimal_comma(m) else ",",
        ",",
    ),
)

# What is left, after dates and amounts.
PLAIN_NUMBERS: tuple[Rule, ...] = (
    # 5! = 120
    Rule(re.compile(r"(?<=[\da-z)])!(?= ?[=+*/×÷])"), lambda m: " factorial", "!"),
    # 1/n
    Rule(re.compile(r"(?<=\d)/(?=[a-z](?!\w))"), lambda m: " over ", "/"),
    # 3:1, 16:9
    Rule(
        re.compile(rf"{START}(?<!:)(\d{{1,5}}(?:\.\d+)?):({NUMBER})(?![\w:]|[.,]\d)"),
        lambda m: f"{number(m[1])} to {number(m[2])}",
        ":",
    ),
    # 7 - 4 = 3, 10–20
    Rule(
        re.compile(rf"{START}(?<![-–/:])({NUMBER})( ?[-–—] ?)({NUMBER})(?![\w/]|[-–]\d)"),
        _range,
        "-–—",
    ),
    # 2-1-3: a list
    Rule(re.compile(r"(?<=\d)[-–](?=\d)"), lambda m: ", ", "-–"),
    # 3/7
    Rule(re.compile(r"(?<=\d)/(?=\d)"), lambda m: " slash ", "/"),
    # 5 * 4, 10 / 2, 2^8, x ^ 2, 3!
    Rule(re.compile(r"(?<=[\w)]) ?\* ?(?=\d)|(?<=\d) ?\* ?(?=[\w(])"), lambda m: " times "),
    Rule(re.compile(r"(?<=[\d)]) / (?=[\d(])"), lambda m: " divided by "),
    Rule(re.compile(r"(?<=[\w)]) ?\^ ?(?=[\w({-])"), lambda m: " to the power of "),
    Rule(
        re.compile(
            r"(?<=[\w)²³]) - (?=\w{1,20} = )|(?<== )-(?=\d)"
            r"|(?<=[\w)²³]) - (?=\d{0,4}[a-z]?[²³]? ?[-+*/=)])"
            r"|(?<=[²³]) - (?=[\da-z])|(?<=[a-z]\d) - (?=\d)"
        ),
        lambda m: " minus ",
    ),
    Rule(re.compile(r"\b([b-df-hj-np-tv-z]{2,3}+)(?=[²³])"), lambda m: spelled(m[1]), "²³"),
    Rule(re.compile(r"(?<=[\w)]) ?²"), lambda m: " squared", "²"),
    Rule(re.compile(r"(?<=[\w)]) ?³"), lambda m: " cubed", "³"),
    # 2x faster, 10×
    Rule(re.compile(rf"{START}({NUMBER})[x×](?!\w)"), _times, "x×"),
    # 18+, 100+
    Rule(re.compile(rf"{START}({NUMBER})\+(?! ?[\w(])"), lambda m: f"{number(m[1])} plus", "+"),
    # 21st, 102nd
    Rule(
        re.compile(
            r"(?<![\w.,])(\d{1,3}(?:,\d{3})++|\d{1,15}+)(?:st|nd|rd|th|ST|ND|RD|TH)(?:(?=s)|(?!\w))"
        ),
        lambda m: ordinal(int(m[1].replace(",", ""))),
    ),
    # MP3, CO2, 4K, B12, COVID-19, SW1A
    Rule(
        re.compile(
            r"(?<![\w.,'’])(?:(?=[A-Za-z]++-?\d)|(?=\d++[A-Za-z]))[A-Za-z\d]++(?:-[A-Za-z\d]++)*+(?![\w])(?:['’]s)?"
        ),
        _alphanumeric,
    ),
    Rule(re.compile(r"(?<=[^\W\d_])-?(?=\d)|(?<=\d)(?=[^\W\d_])"), lambda m: " "),
    # beta.2
    Rule(re.compile(r"(?<=[a-z])\.(?=\d)"), lambda m: " point ", "."),
    # 1,234,567 and 3.14
    Rule(re.compile(r"\d++(?:,\d{3})*+(?:\.\d++)?+|(?<![\w.])\.\d++"), lambda m: number(m[0])),
    # ² alone
    Rule(re.compile("[²³]"), lambda m: " two " if m[0] == "²" else " three ", "²³"),
)
