"""Show texts of the server and its errors as Streamlit's Markdown."""

import re

import streamlit as st

from vivavoce.errors import BadRequest, Overloaded, VivavoceError


def draw_error(error: VivavoceError) -> None:
    """Draw an error in the colour of who can mend it."""
    message = sentence(error.message)
    if isinstance(error, Overloaded):
        message += f" (try again in {error.retry_after_s:g} s)"
        st.warning(message, icon=":material/hourglass_top:")
    elif isinstance(error, BadRequest):
        st.warning(message, icon=":material/edit:")
    else:
        st.error(message, icon=":material/error:")


def sentence(message: str) -> str:
    """Return a message with its first letter large, and its Markdown escaped."""
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
