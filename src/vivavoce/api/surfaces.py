"""Describe each HTTP API (a surface): its error format, its statuses and its field names.

- Native (`/v1/tts`, `/v1/jobs`, `/health`): {"error": {code, message, field, request_id}}.
- OpenAI (everything else): {"error": {message, type, param, code}}.
- Wit.ai (paths that a setting moves): {"error": message, "code": code}.
- ElevenLabs (its paths, and all below `/elevenlabs`): {"detail": {status, message}}.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from starlette.types import Scope

_KEY: Final = "vivavoce.surface"


@dataclass(frozen=True, slots=True)
class ErrorFacts:
    """The content of an error in any format."""

    status: int
    code: str
    message: str
    field: str | None
    request_id: str


@dataclass(frozen=True, slots=True)
class Surface:
    """One HTTP API."""

    name: str
    render_error: Callable[[ErrorFacts], Mapping[str, object]]
    status_map: Mapping[int, int] = field(default_factory=dict)  # native status → its own
    field_names: Mapping[str, str] = field(default_factory=dict)  # native name → its own


def _native_error(error: ErrorFacts) -> Mapping[str, object]:
    names = ("code", "message", "field", "request_id")
    return {"error": {name: getattr(error, name) for name in names}}


def _openai_error(error: ErrorFacts) -> Mapping[str, object]:
    kind = "invalid_request_error" if error.status < 500 else "server_error"
    kind = "rate_limit_error" if error.status == 429 else kind
    facts = {"message": error.message, "type": kind, "param": error.field, "code": error.code}
    return {"error": facts}


def _wit_error(error: ErrorFacts) -> Mapping[str, object]:
    return {"error": error.message, "code": error.code}


def _elevenlabs_error(error: ErrorFacts) -> Mapping[str, object]:
    return {"detail": {"status": error.code, "message": error.message}}


NATIVE: Final = Surface("native", _native_error)
_VOICES: Final = replace(NATIVE, field_names={"speaker": "formula"})
_IMPORT: Final = replace(NATIVE, field_names={"speaker": "file", "ref_audio": "file"})
_OPENAI_NAMES: Final = {
    "text": "input", "speaker": "voice", "instruct": "instructions", "format": "response_format",
    "task": "task_type",
}  # fmt: skip
OPENAI: Final = Surface("openai", _openai_error, {422: 400}, _OPENAI_NAMES)
_CUSTOM_NAMES: Final = {
    "ref_audio": "audio_sample", "speaker": "formula", "description": "prompt",
    "text": "script_hint",
}  # fmt: skip
_CUSTOM_VOICES: Final = replace(OPENAI, field_names=_CUSTOM_NAMES)
_CONSENTS: Final = replace(OPENAI, field_names={"ref_audio": "recording"})
WIT: Final = Surface("wit", _wit_error, {422: 400}, {"speaker": "voice", "instruct": "style"})

_ELEVENLABS_NAMES: Final = {
    "speaker": "voice_id", "model": "model_id", "language": "language_code",
    "format": "output_format", "sample_rate": "output_format", "temperature": "stability",
    "normalize": "apply_text_normalization",
}  # fmt: skip
ELEVENLABS: Final = Surface("elevenlabs", _elevenlabs_error, {}, _ELEVENLABS_NAMES)
_ELEVENLABS_PATHS: Final = (
    "/elevenlabs/", "/v1/text-to-speech/", "/v1/text-to-dialogue", "/v1/text-to-voice",
    "/v1/voices", "/v2/voices", "/v1/user",
)  # fmt: skip


def mark_surface(scope: Scope, wit_paths: Collection[str]) -> None:
    """Store the surface of a request in its scope."""
    scope[_KEY] = WIT if scope["path"] in wit_paths else _surface_at(scope["path"])


def surface_of(scope: Scope) -> Surface:
    """Return the surface of a request."""
    surface = scope.get(_KEY)
    return surface if isinstance(surface, Surface) else _surface_at(scope["path"])


def _surface_at(path: str) -> Surface:
    if path.startswith(_ELEVENLABS_PATHS):
        return ELEVENLABS
    if path.startswith("/v1/audio/voice"):
        return _CONSENTS if path.startswith("/v1/audio/voice_consents") else _CUSTOM_VOICES
    if path.startswith("/v1/tts/voices") and not path.endswith("/preview"):
        return _IMPORT if path == "/v1/tts/voices/import" else _VOICES
    return NATIVE if path.startswith(("/v1/tts", "/v1/jobs", "/health")) else OPENAI
