"""Read what a book tells of itself: the date of its latest change, and its language."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from vivavoce.errors import BadRequest
from vivavoce.text.language.names import parse_language

# ISO 8601, and PDF's `D:20240131120000+01'00'` (ISO 32000-2, section 7.9.4)
_DATE: Final = re.compile(
    r"(?:D:)?(\d{4})-?(?:(\d\d)-?(?:(\d\d)(?:[T ]?(\d\d):?(\d\d):?(\d\d)?(?:\.\d{1,9})?)?)?)?"
    r"(?:Z|([+-])(\d\d)[:']?(\d\d)?'?)?"
)


def date_of(text: str) -> datetime | None:
    """Return the moment that a text names, in UTC, or None if it names none."""
    found = _DATE.match(text.strip())
    if not found:
        return None
    year, month, day, hour, minute, second = (int(each or 0) for each in found.groups()[:6])
    sign, hours, minutes = found.groups()[6:]
    try:
        moment = datetime(year, month or 1, day or 1, hour, minute, second, tzinfo=UTC)
        ahead = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
        return moment + ahead if sign == "-" else moment - ahead
    except (ValueError, OverflowError):
        return None


def language_code(tag: str) -> str | None:
    """Return the ISO 639-1 code of a language tag, or None if it is unknown here."""
    try:
        return parse_language(tag) if tag else None
    except BadRequest:
        return None
