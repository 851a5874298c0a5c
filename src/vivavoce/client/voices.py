"""Make, show and change the saved voices of a server: `Client.voices`, `AsyncClient.voices`.

Both classes send what the functions of this module build, and return what they read.
"""

from __future__ import annotations

import asyncio
import base64
import builtins
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack
from urllib.parse import quote

import httpx

from vivavoce.client import wire
from vivavoce.client.answers import VoiceEntry

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


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedVoice:
    """A voice that a server keeps. Its `name` is a speaker for requests."""

    id: str
    name: str
    kind: Literal["cloned", "designed", "mixed"]
    languages: tuple[str, ...]  # ISO 639-1 codes; none: all of its model
    gender: Gender
    description: str
    labels: Mapping[str, str]
    consent: Consent | None
    created: str  # ISO 8601
    owner: str  # the name of a key, empty for the operator's
    shared: bool
    formula: str | None  # of a mix
    words: str | None  # of the recording
    ended: str | None  # why it may not be used any more
    warnings: tuple[str, ...]  # what would make a better recording


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


@dataclass(frozen=True, slots=True)
class Call:
    """A request for a server. `path` is relative, as in `wire`."""

    method: str
    path: str
    body: dict[str, object] | None = None


class Voices:
    """The voices of a server. Call it for those of its models, too.

    `voice` is a name or an id. Methods raise `UnknownVoice` for one that the key may not see, and
    `BadRequest` with the `field` that is wrong.
    """

    def __init__(
        self,
        send: Callable[[Call], httpx.Response],
        entries: Callable[[str | None], tuple[VoiceEntry, ...]],
    ) -> None:
        self._send = send
        self._entries = entries

    def __call__(self, model: str | None = None) -> tuple[VoiceEntry, ...]:
        """Return every voice of `model`, or of all models, with the saved ones they can speak."""
        return self._entries(model)

    def list(self) -> tuple[SavedVoice, ...]:
        """Return the saved voices that the key may use, its own first."""
        return read_list(self._send(LIST))

    def terms(self) -> VoiceTerms:
        """Return what the server asks of new voices, and what it lacks."""
        return read_terms(self._send(LIST))

    def add(
        self, name: str, audio: Path | bytes, *, words: str | None = None,
        consent: Consent | None = None, **facts: Unpack[VoiceFacts],
    ) -> SavedVoice:  # fmt: skip
        """Save the voice of a recording: 1 to 30 s of speech, with its exact `words` if known.

        Example: `client.voices.add("anna", Path("anna.wav"), consent=Consent("Anna", "Yes."))`.
        """
        return read_voice(self._send(add_call(name, audio, words, consent, facts)))

    def mix(self, name: str, formula: str, **facts: Unpack[VoiceFacts]) -> SavedVoice:
        """Save a mix of Kokoro's voices, such as `af_bella(2)+af_sky(1)`."""
        return read_voice(self._send(mix_call(name, formula, facts)))

    def design(
        self, description: str, **options: Unpack[DesignOptions]
    ) -> tuple[VoicePreview, ...]:
        """Return previews of a voice that is described, for `keep`. It may take a minute.

        Raises `Unsupported` if the server has no models for it.
        """
        return read_previews(self._send(design_call(description, options)))

    def keep(self, name: str, preview: str, **facts: Unpack[VoiceFacts]) -> SavedVoice:
        """Save the voice of a preview, by its id."""
        return read_voice(self._send(keep_call(name, preview, facts)))

    def get(self, voice: str) -> SavedVoice:
        """Return one saved voice."""
        return read_voice(self._send(Call("GET", path_of(voice))))

    def update(
        self, voice: str, *, name: str | None = None, **facts: Unpack[VoiceFacts]
    ) -> SavedVoice:
        """Change the name of a voice, or what is said of it."""
        return read_voice(self._send(update_call(voice, name, facts)))

    def remove(self, voice: str) -> SavedVoice:
        """Remove a voice with its recording and its record of consent, and return it."""
        return read_voice(self._send(Call("DELETE", path_of(voice))))

    def revoke(self, voice: str) -> SavedVoice:
        """End the consent to a voice. Its recording is erased, and the record stays."""
        return read_voice(self._send(Call("POST", f"{path_of(voice)}/revoke")))

    def export(self, voice: str) -> bytes:
        """Return a voice of one's own as one file, for `import_`."""
        return self._send(Call("GET", f"{path_of(voice)}/export")).content

    def import_(self, file: Path | bytes, *, name: str | None = None) -> SavedVoice:
        """Save the voice in a file of `export`, by default with the name in it."""
        return read_voice(self._send(import_call(file, name)))


class AsyncVoices:
    """The voices of a server, for asyncio. Arguments and results are those of `Voices`."""

    def __init__(
        self,
        send: Callable[[Call], Awaitable[httpx.Response]],
        entries: Callable[[str | None], Awaitable[tuple[VoiceEntry, ...]]],
    ) -> None:
        self._send = send
        self._entries = entries

    async def __call__(self, model: str | None = None) -> tuple[VoiceEntry, ...]:
        """Return every voice of `model`, or of all models, with the saved ones they can speak."""
        return await self._entries(model)

    async def list(self) -> tuple[SavedVoice, ...]:
        """Return the saved voices that the key may use, its own first."""
        return read_list(await self._send(LIST))

    async def terms(self) -> VoiceTerms:
        """Return what the server asks of new voices, and what it lacks."""
        return read_terms(await self._send(LIST))

    async def add(
        self, name: str, audio: Path | bytes, *, words: str | None = None,
        consent: Consent | None = None, **facts: Unpack[VoiceFacts],
    ) -> SavedVoice:  # fmt: skip
        """Save the voice of a recording, as `Voices.add` does."""
        call = await asyncio.to_thread(add_call, name, audio, words, consent, facts)
        return read_voice(await self._send(call))

    async def mix(self, name: str, formula: str, **facts: Unpack[VoiceFacts]) -> SavedVoice:
        """Save a mix of Kokoro's voices, such as `af_bella(2)+af_sky(1)`."""
        return read_voice(await self._send(mix_call(name, formula, facts)))

    async def design(
        self, description: str, **options: Unpack[DesignOptions]
    ) -> tuple[VoicePreview, ...]:
        """Return previews of a voice that is described, as `Voices.design` does."""
        return read_previews(await self._send(design_call(description, options)))

    async def keep(self, name: str, preview: str, **facts: Unpack[VoiceFacts]) -> SavedVoice:
        """Save the voice of a preview, by its id."""
        return read_voice(await self._send(keep_call(name, preview, facts)))

    async def get(self, voice: str) -> SavedVoice:
        """Return one saved voice."""
        return read_voice(await self._send(Call("GET", path_of(voice))))

    async def update(
        self, voice: str, *, name: str | None = None, **facts: Unpack[VoiceFacts]
    ) -> SavedVoice:
        """Change the name of a voice, or what is said of it."""
        return read_voice(await self._send(update_call(voice, name, facts)))

    async def remove(self, voice: str) -> SavedVoice:
        """Remove a voice with its recording and its record of consent, and return it."""
        return read_voice(await self._send(Call("DELETE", path_of(voice))))

    async def revoke(self, voice: str) -> SavedVoice:
        """End the consent to a voice. Its recording is erased, and the record stays."""
        return read_voice(await self._send(Call("POST", f"{path_of(voice)}/revoke")))

    async def export(self, voice: str) -> bytes:
        """Return a voice of one's own as one file, for `import_`."""
        return (await self._send(Call("GET", f"{path_of(voice)}/export"))).content

    async def import_(self, file: Path | bytes, *, name: str | None = None) -> SavedVoice:
        """Save the voice in a file of `export`, by default with the name in it."""
        call = await asyncio.to_thread(import_call, file, name)
        return read_voice(await self._send(call))


LIST = Call("GET", SAVED)


def path_of(voice: str) -> str:
    """Return the path of a voice, with its name escaped."""
    return f"{SAVED}/{quote(voice, safe='')}"


def add_call(
    name: str, audio: Path | bytes, words: str | None, consent: Consent | None, facts: VoiceFacts
) -> Call:
    """Return the request that saves a recording. Raises `BadRequest` if it cannot be read."""
    agreed = None if consent is None else _without_none(asdict(consent))
    if agreed and consent and consent.expires is not None:
        agreed["expires"] = consent.expires.isoformat()
    sent = {"ref_audio": wire.base64_of(audio, "ref_audio"), "ref_text": words, "consent": agreed}
    return _creating({"name": name, **sent}, facts)


def mix_call(name: str, formula: str, facts: VoiceFacts) -> Call:
    return _creating({"name": name, "formula": formula}, facts)


def design_call(description: str, options: DesignOptions) -> Call:
    _check("option", options, DesignOptions)
    return Call("POST", f"{SAVED}/design", _without_none({"description": description, **options}))


def keep_call(name: str, preview: str, facts: VoiceFacts) -> Call:
    return _creating({"name": name, "preview": preview}, facts)


def update_call(voice: str, name: str | None, facts: VoiceFacts) -> Call:
    return Call("PATCH", path_of(voice), _without_none({"name": name, **_checked(facts)}))


def import_call(file: Path | bytes, name: str | None) -> Call:
    """Return the request that saves a file. Raises `BadRequest` if it cannot be read."""
    body = _without_none({"file": wire.base64_of(file, "file"), "name": name})
    return Call("POST", f"{SAVED}/import", body)


def read_voice(response: httpx.Response) -> SavedVoice:
    """Return the voice in an answer."""
    with wire.expected_shape(response):
        return _voice(response.json())


def read_list(response: httpx.Response) -> tuple[SavedVoice, ...]:
    """Parse the voices of `GET /v1/tts/voices`."""
    with wire.expected_shape(response):
        return tuple(map(_voice, response.json()["voices"]))


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


def _voice(body: Mapping[str, Any]) -> SavedVoice:
    values = {field.name: body[field.name] for field in fields(SavedVoice)}
    lists = {name: tuple(values[name]) for name in ("languages", "warnings")}
    if (consent := values["consent"]) is not None:
        last = consent["expires"]
        expires = None if last is None else date.fromisoformat(last)
        consent = Consent(consent["by"], consent["words"], consent["scope"], expires)
    return SavedVoice(**{**values, **lists, "consent": consent})


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
