"""Define a saved voice and a recorded consent: what is known of them, and who may use them."""

import hashlib
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Annotated, Final, Literal
from uuid import uuid4

from pydantic import Field, StringConstraints

from vivavoce.errors import BadRequest
from vivavoce.types import MAX_REFERENCE_CHARS, Gender

Kind = Literal["cloned", "designed", "mixed"]
Provenance = Literal["recorded", "described", "formula", "imported"]
# Without control characters, which break terminals and log lines.
Line = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")]
Label = Annotated[str, StringConstraints(max_length=64, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")]
Paragraph = Annotated[
    str, StringConstraints(max_length=2_000, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f]*$")
]

MAX_LABELS: Final = 20
MAX_FORMER: Final = 20  # ids and consents that a voice had before, the latest ones
MAX_NAME: Final = 64
NAME_RULE: Final = "take 1 to 64 letters from a to z, digits, dots, dashes or underscores"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
CONSENT_MARK: Final = "cons_"
_ID: Final = re.compile(rf"[0-9a-f]{{24}}(?:-[0-9a-f]{{8}})?|{CONSENT_MARK}[0-9a-f]{{32}}")
# Names that mean something else to a client or to a file system.
_RESERVED: Final = frozenset({"auto", "default", "none", "null", "con", "prn", "aux", "nul"})


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who asks: the name of a key, or none. `manages` sees and changes all voices.

    A stranger has sent no key where keys are needed, and owns nothing.
    """

    name: str = ""
    manages: bool = False
    stranger: bool = False


@dataclass(frozen=True, slots=True)
class Consent:
    """A record of whose voice it is, and what they agreed to, in their words."""

    by: Line
    words: Paragraph
    scope: Paragraph = ""
    expires: date | None = None  # the last day of it
    recorded: Label = ""  # the id of the `RecordedConsent` that it is, if it is one

    def __post_init__(self) -> None:
        for name in ("by", "words"):
            if not getattr(self, name).strip():
                raise BadRequest(
                    f"consent lacks {name!r}: say who agrees, and how", field="consent"
                )

    def is_over(self, on: date) -> bool:
        return self.expires is not None and on > self.expires


@dataclass(frozen=True, slots=True)
class FormerConsent:
    """A record of consent that another one has replaced, at the time `until`."""

    consent: Consent
    until: Line


@dataclass(frozen=True, slots=True)
class RecordedConsent:
    """A recording in which somebody consents, to be named by the voices made with it."""

    id: str
    name: Line
    language: Label  # a BCP 47 tag
    created: Line
    owner: Line = ""  # the name of a key, none for the operator
    revoked: Line | None = None

    def to_consent(self) -> Consent:
        """Return what a voice keeps of it."""
        words = f"As said in the recording {self.id} ({self.language})."
        return Consent(self.name, words, recorded=self.id)

    def visible_to(self, viewer: Viewer) -> bool:
        return self.revoked is None and (viewer.manages or self.owner == viewer.name)


@dataclass(frozen=True, slots=True)
class SavedVoice:
    """One voice of the library. Times are ISO 8601 in UTC."""

    id: str
    name: str
    kind: Kind
    languages: Annotated[tuple[Label, ...], Field(max_length=MAX_LABELS)] = ()  # none: any
    gender: Gender = "neutral"
    description: Paragraph = ""
    labels: Annotated[Mapping[Label, Line], Field(max_length=MAX_LABELS)] = field(
        default_factory=dict
    )
    consent: Consent | None = None
    former_consents: Annotated[tuple[FormerConsent, ...], Field(max_length=MAX_FORMER)] = ()
    provenance: Provenance = "recorded"
    created: Line = ""
    owner: Line = ""  # the name of a key, none for the operator
    shared: bool = False
    formula: Paragraph | None = None  # of a mix
    words: Annotated[str, StringConstraints(max_length=MAX_REFERENCE_CHARS)] | None = None
    formerly: Annotated[tuple[Label, ...], Field(max_length=MAX_FORMER)] = ()  # ids, other words
    revoked: Line | None = None

    def ended(self, on: date | None = None) -> str | None:
        """Return why the voice may not be used any more, or None. By default today."""
        if self.revoked is not None:
            return f"its consent was revoked on {self.revoked[:10]}"
        if self.consent is not None and self.consent.is_over(on or today()):
            return f"its consent ended on {self.consent.expires}"
        return None

    def visible_to(self, viewer: Viewer) -> bool:
        return viewer.manages or self.shared or (self.owner == viewer.name)

    def changeable_by(self, viewer: Viewer) -> bool:
        return viewer.manages or (self.owner == viewer.name and not viewer.stranger)

    def told_to(self, viewer: Viewer) -> "SavedVoice":
        """Return what the viewer may know: of another's voice not whose it is, and what is said."""
        if self.changeable_by(viewer):
            return self
        return replace(self, consent=None, former_consents=(), owner="", words=None, formerly=())


def check_name(name: str, taken: frozenset[str] = frozenset()) -> str:
    """Return `name`. Raises `BadRequest` if no voice can have it; `taken` are in lower case."""
    if not _NAME.fullmatch(name):
        raise BadRequest(f"name {name[:80]!r} cannot be a voice's: {NAME_RULE}", field="name")
    if name.lower() in _RESERVED or name.lower() in taken or _ID.fullmatch(name.lower()):
        raise BadRequest(f"name {name!r} means another voice already: choose another", field="name")
    return name


def is_id(text: str) -> bool:
    """True if `text` is written as the id of a voice or of a recorded consent."""
    return _ID.fullmatch(text) is not None


def voice_id(sound: bytes, words: str | None, owner: str) -> str:
    """Return the id of what makes a voice sound: 16-bit samples and their words, or a formula.

    Two keys with the same voice each have their own, so neither learns of the other's.
    """
    digest = hashlib.sha256(sound + b"\0" + (words or "").encode("utf-8", "replace"))
    mark = f"-{hashlib.sha256(owner.encode()).hexdigest()[:8]}" if owner else ""
    return digest.hexdigest()[:24] + mark


def new_consent_id() -> str:
    return f"{CONSENT_MARK}{uuid4().hex}"


def now() -> str:
    """Return the time, as records have it."""
    return datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="milliseconds")


def today() -> date:
    """Return the day in UTC, by which consents end."""
    return datetime.fromtimestamp(time.time(), UTC).date()


def seconds_of_today() -> float:
    """Return how long the day in UTC still is, at least a moment."""
    return 86_400 - time.time() % 86_400 + 0.01
