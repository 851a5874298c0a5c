"""Decode the bytes of a text, whose encoding is told wrongly or not at all.

The order: a byte order mark, UTF-8 if the bytes are valid as such, UTF-16 by its zero bytes, the
encoding that the file declares, the one that its letters speak for, Windows-1252.
"""

import codecs
import re
from typing import Final

from vivavoce.errors import MissingDependency

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_DECLARED = re.compile(rb"(?:encoding|charset)\s{0,9}=\s{0,9}[\"']?([\w.:-]{1,40})")
_DECLARED_WITHIN = 2_000  # bytes
# Others take more than linear time (punycode), or are no character sets.
_KNOWN = re.compile(
    r"utf-(?:8|16|32)(?:-[bl]e)?|(?:iso|cp|koi8|mac|tis|ptcp|kz|hp)[\w-]+|ascii|shift_jis\w*|euc_\w+"
    r"|gb\w+|big5\w*|johab|hz"
)
_AS_ON_THE_WEB: Final = {"iso8859-1": "cp1252", "ascii": "cp1252", "gb2312": "gb18030"}
_ESCAPED = re.compile(r"iso2022\w*|hz")  # seven bits, so also valid as UTF-8
# What text that is not Unicode is in. Of the Latin sets, Windows-1252 alone: they differ in letters
# that occur in each, so a guess among them is often wrong.
_GUESSES: Final = [
    "cp1252", "cp1251", "koi8_r", "cp866", "cp932", "euc_jp", "gb18030", "big5", "cp949",
]  # fmt: skip
_KANA = re.compile("[\u3041-\u30fe]")
_KANA_SHARE: Final = 0.3
_SAMPLE_BYTES = 2**16
_WIDE_STOPS = re.compile(b"\xa3\xac|\xa1\xa3")  # of Chinese; Korean has ASCII's, Japanese has kana
# XML 1.0 and HTML know no others. NUL ends a text for C.
_CONTROLS = re.compile("[\0-\x08\x0b\x0e-\x1f\x7f\ufffe\uffff\ud800-\udfff]")


def decode(data: bytes, *, markup: bool = False) -> str:
    """Return the text of `data`. With `markup`, its head may name the encoding.

    Control characters become spaces. A byte that means nothing becomes U+FFFD.
    """
    return _CONTROLS.sub(" ", _decoded(data, markup))


def _decoded(data: bytes, markup: bool) -> str:
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, "replace")
    if wide := _wide(data):
        return data.decode(wide, "replace")
    declared = _declared(data) if markup else None
    orders = [declared, "utf-8"] if _ESCAPED.match(declared or "") else ["utf-8", declared]
    for encoding in filter(None, orders):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    return _guessed(data)


def _wide(data: bytes) -> str | None:
    """Return the form of UTF-16 without a mark, or None."""
    start = data[:_DECLARED_WITHIN]
    even, odd = start[::2].count(0), start[1::2].count(0)
    if max(even, odd) * 5 < len(start):  # less than two fifths of the letters are Latin
        return None
    return "utf-16-be" if even > odd else "utf-16-le"


def _declared(data: bytes) -> str | None:
    found = _DECLARED.search(data, 0, _DECLARED_WITHIN)
    if not found:
        return None
    try:
        name = codecs.lookup(found[1].decode("ascii")).name
    except (LookupError, ValueError):
        return None
    return _AS_ON_THE_WEB.get(name, name) if _KNOWN.fullmatch(name) else None


def _guessed(data: bytes) -> str:
    sample = _foreign(data)
    for encoding in ("cp932", "euc_jp"):  # in short texts taken for Korean below
        letters = [each for each in sample.decode(encoding, "replace") if not each.isascii()]
        if letters and len(_KANA.findall("".join(letters))) >= _KANA_SHARE * len(letters):
            return data.decode(encoding, "replace")
    try:
        from charset_normalizer import from_bytes
    except ImportError as error:
        raise MissingDependency(
            "a text that is not UTF-8 needs charset-normalizer: pip install 'vivavoce[books]'"
        ) from error
    likely = from_bytes(sample, cp_isolation=_GUESSES, enable_fallback=False).best()
    encoding = likely.encoding if likely else "cp1252"
    if encoding in ("cp949", "cp932") and _WIDE_STOPS.search(sample):
        encoding = "gb18030"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def _foreign(data: bytes) -> bytes:
    """Return a sample with the lines that have other letters than ASCII's."""
    lines: list[bytes] = []
    size = 0
    for line in data.splitlines(keepends=True):
        if not line.isascii():
            lines.append(line[:_SAMPLE_BYTES])
            size += len(lines[-1])
            if size >= _SAMPLE_BYTES:
                break
    return b"".join(lines)
