"""Make, show and change the saved voices of a server: `Client.voices`, `AsyncClient.voices`.

Both classes send what `voice_calls` builds, and return what it reads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Unpack

import httpx

from vivavoce.client.answers import VoiceEntry
from vivavoce.client.voice_calls import (
    LIST,
    Call,
    Consent,
    DesignOptions,
    PreviewOptions,
    RecordingCheck,
    SavedVoice,
    VoiceFacts,
    VoicePreview,
    VoiceTerms,
    add_call,
    check_call,
    consent_call,
    design_call,
    import_call,
    keep_call,
    mix_call,
    path_of,
    preview_call,
    read_check,
    read_list,
    read_previews,
    read_terms,
    read_voice,
    update_call,
)


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

    def check(self, audio: Path | bytes) -> RecordingCheck:
        """Return what a recording lacks, before `add`. Raises `BadRequest` if it makes no voice."""
        return read_check(self._send(check_call(audio)))

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
        self, voice: str, *, name: str | None = None, words: str | None = None,
        **facts: Unpack[VoiceFacts],
    ) -> SavedVoice:  # fmt: skip
        """Change the name of a voice, the words of its recording, or what is said of it.

        With other words the voice has another id, and is found by the former one as well.
        """
        return read_voice(self._send(update_call(voice, name, words, facts)))

    def preview(self, voice: str, **options: Unpack[PreviewOptions]) -> bytes:
        """Return a short text in a saved voice, as a WAV file."""
        return (self._send(preview_call(voice, options))).content

    def renew(self, voice: str, consent: Consent) -> SavedVoice:
        """Replace the record of consent. The former one is kept in `former_consents`."""
        return read_voice(self._send(consent_call(voice, consent)))

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

    async def check(self, audio: Path | bytes) -> RecordingCheck:
        """Return what a recording lacks, as `Voices.check` does."""
        return read_check(await self._send(await asyncio.to_thread(check_call, audio)))

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
        self, voice: str, *, name: str | None = None, words: str | None = None,
        **facts: Unpack[VoiceFacts],
    ) -> SavedVoice:  # fmt: skip
        """Change the name of a voice, the words of its recording, or what is said of it.

        With other words the voice has another id, and is found by the former one as well.
        """
        return read_voice(await self._send(update_call(voice, name, words, facts)))

    async def preview(self, voice: str, **options: Unpack[PreviewOptions]) -> bytes:
        """Return a short text in a saved voice, as a WAV file."""
        return (await self._send(preview_call(voice, options))).content

    async def renew(self, voice: str, consent: Consent) -> SavedVoice:
        """Replace the record of consent. The former one is kept in `former_consents`."""
        return read_voice(await self._send(consent_call(voice, consent)))

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
