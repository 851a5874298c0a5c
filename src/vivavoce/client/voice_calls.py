"""Define the saved voices of a server, the requests that make and change them, and the answers."""

from __future__ import annotations

import base64
import builtins
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict
from urllib.parse import quote

import httpx

from vivavoce.client import wire
from vivavoce.errors import UnknownVoice

if TYPE_CHECKING:  # `types` imports numpy, which a client does not need
    from vivavoce.types import Gender

SAVED = "v1/tts/voices"

Making = Literal["clone", "mix", "design"]


@dataclass(frozen=True, slots=True)
class Consent:
    """A record of whose voice it is, and what they agreed to, in their words."""

    by: str
    words: str
    scope: str = ""
    expires: date | None = None  # the last day of it


@dataclass(frozen=True, slots=True)
class FormerConsent:
    """A record that another one has replaced."""

    consent: Consent
    until: str  # ISO 8601


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedVoice:
    """A voice that a server keeps. Its `name` is a speaker for requests.

    Of a voice that the key may not change, `consent`, `owner` and `words` are not told.
    """

    id: str
    name: str
    kind: Literal["cloned", "designed", "mixed"]
    languages: tuple[str, ...]  # ISO 639-1 codes; none: all of its model
    gender: Gender
    description: str
    labels: Mapping[str, str]
    consent: Consent | None
    former_consents: tuple[FormerConsent, ...]  # the oldest first
    provenance: Literal["recorded", "described", "formula", "imported"]
    created: str  # ISO 8601
    owner: str  # the name of a key, empty for the operator's
    shared: bool
    formula: str | None  # of a mix
    words: str | None  # of the recording
    formerly: tuple[str, ...]  # ids that it had with other words, which work
    changeable: bool  # by the key
    ended: str | None  # why it may not be used any more
    warnings: tuple[str, ...]  # what would make a better recording


@dataclass(frozen=True, slots=True)
class RecordingCheck:
    """What a server thinks of a recording. `warnings` say what would make a better one."""

    duration_s: float  # without the silence at both ends
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class VoicePreview:
    """One of the voices that a description made, for `keep`. A server knows it for an hour."""

    id: str
    audio: bytes  # a WAV file
    seed: int
    duration_s: float
    language: str  # ISO 639-1 code


@dataclass(frozen=True, slots=True)
class VoiceTerms:
    """What a server asks of new voices, and what it lacks to speak with them."""

    requires_consent: bool  # for a recording
    missing: Mapping[Making, str]  # the ways that no model here has, with what brings one


class VoiceFacts(TypedDict, total=False):
    """What may be said of a voice. The server chooses what is absent."""

    languages: Sequence[str] | None  # names or ISO codes, the native one first
    gender: Gender | None
    description: str | None
    labels: Mapping[str, str] | None
    shared: bool | None  # needs a key with the scope `manage`


class DesignOptions(TypedDict, total=False):
    """Options of `design`. The server chooses what is absent."""

    text: str | None  # what the previews say
    language: str | None
    count: int | None  # of previews
    seed: int | None  # of the first preview


class PreviewOptions(TypedDict, total=False):
    """Options of `preview`. The server chooses what is absent."""

    text: str | None  # at most 250 letters
    language: str | None
    seed: int | None


@dataclass(frozen=True, slots=True)
class Call:
    """A request for a server. `path` is relative, as in `wire`."""

    method: str
    path: str
    body: dict[str, object] | None = None


LIST = Call("GET", SAVED)


def path_of(voice: str) -> str:
    """Return the path of a voice. Raises `UnknownVoice` for a name that would be another path."""
    if "/" in voice or not voice.strip("."):
        raise UnknownVoice(f"no voice {voice[:80]!r} can be saved on a server", field="voice_id")
    return f"{SAVED}/{quote(voice, safe='')}"


def add_call(
    name: str, audio: Path | bytes, words: str | None, consent: Consent | None, facts: VoiceFacts
) -> Call:
    """Return the request that saves a recording. Raises `BadRequest` if it cannot be read."""
    agreed = None if consent is None else _recorded(consent)
    sent = {"ref_audio": wire.base64_of(audio, "ref_audio"), "ref_text": words, "consent": agreed}
    return _creating({"name": name, **sent}, facts)


def check_call(audio: Path | bytes) -> Call:
    """Return the request that checks a recording. Raises `BadRequest` if it cannot be read."""
    return Call("POST", f"{SAVED}/check", {"ref_audio": wire.base64_of(audio, "ref_audio")})


def mix_call(name: str, formula: str, facts: VoiceFacts) -> Call:
    return _creating({"name": name, "formula": formula}, facts)


def design_call(description: str, options: DesignOptions) -> Call:
    _check("option", options, DesignOptions)
    return Call("POST", f"{SAVED}/design", _without_none({"description": description, **options}))


def keep_call(name: str, preview: str, facts: VoiceFacts) -> Call:
    return _creating({"name": name, "preview": preview}, facts)


def update_call(voice: str, name: str | None, words: str | None, facts: VoiceFacts) -> Call:
    changes = {"name": name, "words": words, **_checked(facts)}
    return Call("PATCH", path_of(voice), _without_none(changes))


def preview_call(voice: str, options: PreviewOptions) -> Call:
    _check("option", options, PreviewOptions)
    return Call("POST", f"{path_of(voice)}/preview", _without_none(options))


def consent_call(voice: str, consent: Consent) -> Call:
    return Call("PUT", f"{path_of(voice)}/consent", _recorded(consent))


def import_call(file: Path | bytes, name: str | None) -> Call:
    """Return the request that saves a file. Raises `BadRequest` if it cannot be read."""
    body = _without_none({"file": wire.base64_of(file, "file"), "name": name})
    return Call("POST", f"{SAVED}/import", body)


def read_voice(response: httpx.Response) -> SavedVoice:
    """Return the voice in an answer."""
    with wire.expected_shape(response):
        return voice_in(response.json())


def read_list(response: httpx.Response) -> tuple[SavedVoice, ...]:
    """Parse the voices of `GET /v1/tts/voices`."""
    with wire.expected_shape(response):
        return tuple(map(voice_in, response.json()["voices"]))


def read_check(response: httpx.Response) -> RecordingCheck:
    """Parse the answer of `/v1/tts/voices/check`."""
    with wire.expected_shape(response):
        body = response.json()
        return RecordingCheck(body["duration_s"], tuple(body["warnings"]))


def read_previews(response: httpx.Response) -> tuple[VoicePreview, ...]:
    """Parse the answer of `/v1/tts/voices/design`."""
    with wire.expected_shape(response):
        return tuple(
            VoicePreview(**{**preview, "audio": base64.b64decode(preview["audio"])})
            for preview in response.json()["previews"]
        )


def read_terms(response: httpx.Response) -> VoiceTerms:
    """Parse the rest of `GET /v1/tts/voices`."""
    with wire.expected_shape(response):
        body = response.json()
        return VoiceTerms(body["requires_consent"], body["missing"])


def voice_in(body: Mapping[str, Any]) -> SavedVoice:
    """Return the voice in an object of JSON. Any: its values."""
    values = {field.name: body[field.name] for field in fields(SavedVoice)}
    lists = {name: tuple(values[name]) for name in ("languages", "formerly", "warnings")}
    former = tuple(
        FormerConsent(_consent(one["consent"]), one["until"]) for one in values["former_consents"]
    )
    consent = None if values["consent"] is None else _consent(values["consent"])
    return SavedVoice(**{**values, **lists, "consent": consent, "former_consents": former})


def _consent(body: Mapping[str, Any]) -> Consent:
    expires = None if body["expires"] is None else date.fromisoformat(body["expires"])
    return Consent(body["by"], body["words"], body["scope"], expires)


def _recorded(consent: Consent) -> dict[str, object]:
    """Return the record as JSON."""
    expires = None if consent.expires is None else consent.expires.isoformat()
    return _without_none({**asdict(consent), "expires": expires})


def _creating(body: Mapping[str, object], facts: VoiceFacts) -> Call:
    return Call("POST", SAVED, _without_none({**body, **_checked(facts)}))


def _checked(facts: VoiceFacts) -> dict[str, object]:
    """Return the facts as JSON. Raises `TypeError` for an unknown one."""
    _check("fact", facts, VoiceFacts)
    languages = facts.get("languages")
    return {**facts, "languages": None if languages is None else builtins.list(languages)}


def _check(what: str, given: Mapping[str, object], known: type) -> None:
    if unknown := given.keys() - known.__annotations__:
        choices = ", ".join(known.__annotations__)
        raise TypeError(f"unknown {what} {min(unknown)!r}: choose from {choices}")


def _without_none(values: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in values.items() if value is not None}
