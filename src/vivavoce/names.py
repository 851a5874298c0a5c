"""Check names of voices and models, and carry them through HTTP headers."""

import unicodedata
from urllib.parse import quote, unquote

MAX_NAME_CHARS = 200
# Controls, lone surrogates, line and paragraph separators, which break headers, log lines and
# terminals.
_FORBIDDEN = frozenset({"Cc", "Cs", "Zl", "Zp"})
# Printable ASCII, without the percent sign that begins an encoded byte.
_PLAIN = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")


def is_name(value: str) -> bool:
    """True if `value` can name a voice, a language or a model."""
    return 0 < len(value) <= MAX_NAME_CHARS and not any(
        unicodedata.category(char) in _FORBIDDEN for char in value
    )


def to_header(value: str) -> str:
    """Encode all but printable ASCII of `value` as percent signs, in UTF-8 (RFC 3986, 2.1)."""
    return quote(value, safe=_PLAIN, errors="replace")


def from_header(value: str) -> str:
    """Return the text that `to_header` encoded."""
    return unquote(value)
