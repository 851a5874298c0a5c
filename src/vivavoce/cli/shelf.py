"""Keep saved voices in `data_dir` or on a server, by the methods of `client.Voices`."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vivavoce.client import Consent, SavedVoice, VoicePreview, Voices
    from vivavoce.synthesis.design import Preview
    from vivavoce.voices import record

DESIGN_S = 900.0  # four previews on a CPU


@contextmanager
def opened(server: str | None, key: str | None, config: Path | None) -> "Iterator[Here | Voices]":
    """Yield the voices of `server`, or those of this machine."""
    if server is None:
        yield Here(config)
        return
    from vivavoce.client import Client

    with Client(server, api_key=key, timeout_s=DESIGN_S) as client:
        yield client.voices


class Here:
    """The saved voices in the `data_dir` of the settings."""

    def __init__(self, config: Path | None) -> None:
        from vivavoce.settings import Settings
        from vivavoce.voices.library import FOLDER, VoiceLibrary
        from vivavoce.voices.record import Viewer

        self._settings = Settings.read(config)
        self._library = VoiceLibrary(
            self._settings.data_dir / FOLDER, require_consent=self._settings.require_consent
        )
        self._viewer = Viewer(manages=True)
        self._previews: dict[str, Preview] = {}

    def list(self) -> "tuple[SavedVoice, ...]":
        self._library.refresh()
        return tuple(map(_told, self._library.visible(self._viewer)))

    def get(self, voice: str) -> "SavedVoice":
        return _told(self._library.get(voice, self._viewer))

    def add(
        self, name: str, audio: Path, *, words: str | None, consent: "Consent | None", **facts: Any
    ) -> "SavedVoice":
        from vivavoce.errors import BadRequest
        from vivavoce.registry import TAKEN_NAMES
        from vivavoce.voices.library import draft
        from vivavoce.voices.recording import take_recording

        taken = take_recording(_contents(audio))
        kept = None if consent is None else _recorded(consent)
        if kept is None and self._library.require_consent:
            raise BadRequest(
                "consent is missing: say who speaks with --consent-by, and what they agreed to "
                "with --consent-words, or set require_consent = false",
                field="consent",
            )
        voice = draft(name, "cloned", consent=kept, words=words or None, **_facts(facts))
        saved = self._library.add(voice, self._viewer, taken, TAKEN_NAMES)
        return _told(saved, taken.warnings)

    def mix(self, name: str, formula: str, **facts: Any) -> "SavedVoice":
        from vivavoce.models.kokoro.voices import native_of, parse_mix
        from vivavoce.registry import TAKEN_NAMES
        from vivavoce.voices.library import draft

        parsed = parse_mix(formula)
        languages, gender = native_of(parsed)
        more = {"languages": languages, "gender": gender, **_facts(facts)}
        voice = draft(name, "mixed", formula=str(parsed), **more)
        return _told(self._library.add(voice, self._viewer, None, TAKEN_NAMES))

    def design(self, description: str, **options: Any) -> "Sequence[VoicePreview]":
        from vivavoce.cli.in_process import design_previews
        from vivavoce.client import VoicePreview
        from vivavoce.synthesis.design import Wish
        from vivavoce.text.language.names import parse_language

        language = options["language"] and parse_language(options["language"])
        wish = Wish(description, **{**options, "language": language})
        made = design_previews(self._settings, wish)
        self._previews = {preview.id: preview for preview in made}
        return [
            VoicePreview(one.id, one.audio, one.seed, one.recording.seconds, one.language)
            for one in made
        ]

    def keep(self, name: str, preview: str) -> "SavedVoice":
        from vivavoce.registry import TAKEN_NAMES

        voice, recording = self._previews[preview].drafted(name)
        return _told(self._library.add(voice, self._viewer, recording, TAKEN_NAMES))

    def update(
        self, voice: str, *, name: str | None, words: str | None, **facts: Any
    ) -> "SavedVoice":
        from vivavoce.api.schemas.voices import exact_words
        from vivavoce.registry import TAKEN_NAMES

        exact = None if words is None else exact_words(words, "words")
        values = _facts({"name": name, "words": exact, **facts})
        return _told(self._library.change(voice, self._viewer, TAKEN_NAMES, **values))

    def renew(self, voice: str, consent: "Consent") -> "SavedVoice":
        return _told(self._library.renew(voice, self._viewer, _recorded(consent)))

    def remove(self, voice: str) -> "SavedVoice":
        return _told(self._library.remove(voice, self._viewer))

    def revoke(self, voice: str) -> "SavedVoice":
        return _told(self._library.revoke(voice, self._viewer))

    def export(self, voice: str) -> bytes:
        return self._library.export(voice, self._viewer)

    def import_(self, file: Path, *, name: str | None) -> "SavedVoice":
        from vivavoce.models.kokoro.voices import parse_mix
        from vivavoce.registry import TAKEN_NAMES
        from vivavoce.voices.archive import unpack

        voice, recording = unpack(_contents(file))
        voice = replace(voice, name=name or voice.name)
        if voice.formula is not None:
            voice = replace(voice, formula=str(parse_mix(voice.formula)))
        return _told(self._library.add(voice, self._viewer, recording, TAKEN_NAMES))


def _told(voice: "record.SavedVoice", warnings: Sequence[str] = ()) -> "SavedVoice":
    """Return a voice as a server tells it."""
    from vivavoce.client.voice_calls import voice_in
    from vivavoce.voices.store import FORM

    body = FORM.dump_python(voice, mode="json")
    return voice_in(
        {**body, "ended": voice.ended(), "warnings": list(warnings), "changeable": True}
    )


def _recorded(consent: "Consent") -> "record.Consent":
    from vivavoce.voices.record import Consent

    return Consent(consent.by, consent.words, consent.scope, consent.expires)


def _facts(given: dict[str, Any]) -> dict[str, Any]:
    """Return what is said of a voice as its record has it. Any: fields of `SavedVoice`."""
    from vivavoce.text.language.names import parse_language

    facts = {name: value for name, value in given.items() if value is not None}
    if "languages" in facts:
        codes = map(parse_language, facts["languages"])
        facts["languages"] = tuple(code for code in codes if code is not None)
    return facts


def _contents(path: Path) -> bytes:
    from vivavoce.audio.decode import MAX_BYTES
    from vivavoce.errors import BadRequest

    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise BadRequest(
            f"{str(path)!r} cannot be read ({error.strerror})", field="file"
        ) from error
