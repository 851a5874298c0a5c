"""Draw the fields of a record of consent."""

from datetime import date

import streamlit as st

from vivavoce.client import Consent


def draw_consent(key: str, *, required: bool, before: Consent | None = None) -> Consent | None:
    """Draw the fields, filled in as `before`, and return the record, or None if none is given.

    The keys of the fields end with `key`.
    """
    by, words, scope, last = ("", "", "", None) if before is None else _parts(before)
    left, right = st.columns(2)
    by = left.text_input("Who speaks, and agrees", by, key=f"consent by {key}")
    first = date.today() if last is None else min(last, date.today())
    expires = right.date_input(
        "Last day (optional)", last, first, date.max, key=f"consent until {key}"
    )
    words = st.text_input("What they said to agree", words, key=f"consent words {key}")
    scope = st.text_input("What it may be used for (optional)", scope, key=f"consent scope {key}")
    if not (required or by.strip() or words.strip()):
        return None
    return Consent(by.strip(), words.strip(), scope.strip(), expires)


def _parts(consent: Consent) -> tuple[str, str, str, date | None]:
    return consent.by, consent.words, consent.scope, consent.expires
