"""Read signs in text: operators, slashes, and what no other rule has read."""

import re
import unicodedata

from vivavoce.text.numbers.english.rules import TABLE, Rule, one_of, words_of
from vivavoce.text.tracked import Tracked

_SYMBOLS = TABLE["symbols"]
_OPERATORS = TABLE["operators"]
_GREEK = TABLE["greek"]
_EITHER = words_of("alternatives")
_KEPT = "²³°º′″…–—‘’“”«»‹›¿¡‚„"
_SPACES = "\u00a0\u2002\u2003\u2007\u2009\u200a\u202f\u3000"


def plain_character(char: str) -> str:
    """Return a digit, dash, space or fraction in its plain form."""
    if char.isascii() or (char.isalpha() and char not in "ªº"):
        return char
    if char in _PLAIN:
        return _PLAIN[char]
    if char.isdecimal():
        return str(unicodedata.decimal(char))
    if char in _KEPT:
        return char
    if unicodedata.category(char) in ("No", "Nl"):
        form = unicodedata.normalize("NFKC", char)
        if "\u2044" in form:
            return f" {form.replace(chr(0x2044), '/')}"
        value = form if form.isascii() and form.isalnum() else f"{unicodedata.numeric(char):g}"
        return f" {value} "
    return char


_PLAIN = {
    "−": "-", "‐": "-", "‑": "-", "‒": "–", "―": "—", "⁄": "/", "∕": "/", "ʼ": "'", "´": "'",
    "º": "°", "％": "%", "＋": "+", "＄": "$", "℃": "°C", "℉": "°F", "₀": "0", "₁": "1", "₂": "2",
    "₃": "3", "₄": "4", "₅": "5", "₆": "6", "₇": "7", "₈": "8", "₉": "9",
    **dict.fromkeys(_SPACES, " "),
}  # fmt: skip


_QUOTES = re.compile(r"[\"'‘’“”]")


def mark_inches(text: Tracked) -> Tracked:
    """Return `text` with ″ and ′ for quotes that are measures: after a digit, and none is open."""
    is_open = {"′": False, "″": False}

    def read(match: re.Match[str]) -> str:
        sign = "′" if match[0] in "'‘’" else "″"
        last = match.string[match.start() - 1 : match.start()]
        after = match.string[match.end() : match.end() + 1]
        if last.isdigit() and (after.isdigit() or not (is_open[sign] or after.isalpha())):
            return sign
        if sign == "″":
            is_open[sign] = not is_open[sign]
        elif not (last.isalnum() and after.isalnum()):  # no apostrophe
            is_open[sign] = not last.isalnum() and after.isalpha()
        return match[0]

    return text.sub(_QUOTES, read)


def _slash(match: re.Match[str]) -> str:
    """Return "he/she" with "or", other pairs without a word between."""
    one, two = match.groups()
    if {one.lower(), two.lower()} <= _EITHER and "or" not in (one, two):
        return f"{one} or {two}"
    return f"{one} {two}"


SYMBOLS: tuple[Rule, ...] = (
    # a != b
    Rule(
        re.compile(rf"(?<=[\w)\]]) ?({one_of(_OPERATORS)}) ?(?=[\w(\[-])"),
        lambda m: f" {_OPERATORS[m[1]]} ",
    ),
    # press * or #: a key
    Rule(
        re.compile(rf"\b({one_of(words_of('keys'))} )([*#])(?![\w*#])", re.IGNORECASE),
        lambda m: f"{m[1]}{'star' if m[2] == '*' else 'hash'}",
        "*#",
    ),
    # he/she, TCP/IP
    Rule(re.compile(r"(?<![\w/])([^\W_]++)/([^\W_]++)(?![\w/])"), _slash, "/"),
    Rule(re.compile(r"(?<=\w)/(?=\w)"), lambda m: " "),
    # α
    Rule(
        re.compile(f"(?<![\\w])[{''.join(_GREEK)}](?![\\w])"),
        lambda m: f" {_GREEK[m[0]]} ",
        "".join(_GREEK),
    ),
    # is < 7
    Rule(re.compile(r"\bis ([<>≤≥≈≠])(?= )"), lambda m: _SYMBOLS[m[1]], "<>≤≥≈≠"),
    # & and what else has a name
    Rule(
        re.compile(
            f"([{re.escape(''.join(s for s in _SYMBOLS if s not in '<>#'))}])\\1*+"
            r"(?:(?<=[∑∏∫√∛]) of(?=\s))?"
        ),
        lambda m: f" {_SYMBOLS[m[1]]} ",
    ),
    # the ∑ of: once "the"
    Rule(
        re.compile(r"\b([Tt]he) {1,3}the (?=(?:sum|product|integral|square|cube|empty)\b)"),
        lambda m: f"{m[1]} ",
    ),
    Rule(re.compile(r"(?<=[\w)]) ?([<>]) ?(?=[\w(])"), lambda m: f" {_SYMBOLS[m[1]]} "),
    Rule(re.compile(r"(?<=\w)#(?=\w)|#(?= ?\w)"), lambda m: " hash "),
    # Done.Next
    Rule(re.compile(r"(?<=\w)\.(?=[^\W\d_]{2})"), lambda m: ". ", "."),
    Rule(re.compile(r"(?<![\w.])\.(?=\w)"), lambda m: "", "."),
    # what has none
    Rule(
        re.compile(r"[^\w\s.,;:!?…–—'’‘\"“”()\[\]«»‹›¿¡‚„、。！？，；：「」『』（）-]++|_++"),
        lambda m: " ",
    ),
    Rule(re.compile(r"(?<![\w-])-++(?=\w)|(?<= )-++(?= )"), lambda m: "", "-"),
    Rule(re.compile(r"[ \t]{2,}+|\t"), lambda m: " "),
    Rule(re.compile(r"(?<! ) ++(?=[,.;:!?…)\]](?!\w))"), lambda m: ""),
    Rule(re.compile(r"(?<=[(\[]) +"), lambda m: ""),
)
