"""Word texts for the demo page, in Markdown where it shows them."""

import re


def sentence(message: str) -> str:
    """Return a message with a capital letter, escaped."""
    return plain(message[:1].upper() + message[1:])


def plain(text: str) -> str:
    """Escape the Markdown in `text`, except for code in backticks."""
    return re.sub(r"([\\*_\[\]$<>#:~|{}])", r"\\\1", text)


def duration(seconds: float) -> str:
    """Return a time like "1 h 7 min"."""
    if seconds < 60:
        return f"{max(round(seconds), 1)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
