"""Builds the native API's requests and reads its answers, without sending anything.

Errors become exceptions here and nowhere else in the client: by the `code` in the server's answer, never by its text.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict
from urllib.parse import quote

import httpx

from vivavoce.client.answers import Audio, Health, ModelEntry, Outcome, VoiceEntry
from vivavoce.errors import (
    BadRequest,
    DeadlineExceeded,
    EngineFault,
    Forbidden,
    MissingDependency,
    NotReady,
    Overloaded,
    RateLimited,
    SettingsError,
    Unauthorized,
    UnknownModel,
    UnknownRequest,
    UnknownVoice,
    Unsupported,
    VivavoceError,
)

if TYPE_CHECKING:  # `types` brings numpy, which a client has no use for at run time
    from vivavoce.types import AudioFormat

DEFAULT_URL = "http://localhost:8000"
SYNTHESIZE = "v1/tts/synthesize"  # relative, so that a base URL may have a path of its own
SPEAKERS = "v1/tts/speakers"
LANGUAGES = "v1/tts/languages"
REQUESTS = "v1/tts/requests"
VOICES = "v1/audio/voices"
MODELS = "v1/models"
HEALTH = "health"

_BAD_REQUESTS: dict[str, type[BadRequest]] = {
    kind.code: kind for kind in (BadRequest, UnknownModel, UnknownVoice, UnknownRequest, Unsupported)
}
_FAULTS: dict[str, type[VivavoceError]] = {
    kind.code: kind
    for kind in (DeadlineExceeded, NotReady, EngineFault, MissingDependency, SettingsError, Unauthorized, Forbidden)
}
_OVERLOADS: dict[str, type[Overloaded]] = {kind.code: kind for kind in (Overloaded, RateLimited)}


class Facts(TypedDict):
    """The fields of `SpeechFacts`, to be spread into one of its kinds."""

    format: AudioFormat
    model: str
    voice: str
    language: str
    sample_rate_hz: int | None
    ignored: tuple[str, ...]
    request_id: str


def auth_headers(api_key: str | None) -> dict[str, str]:
    """Returns the header that carries the key, or none."""
    return {"Authorization": f"Bearer {api_key}"} if api_key else {}


def model_query(model: str | None) -> dict[str, str]:
    """Returns the query that asks about one model, or about whatever the server chooses."""
    return {"model": model} if model else {}


def speech_body(
    text: str,
    speaker: str | None,
    language: str | None,
    instruct: str | None,
    model: str | None,
    format: AudioFormat,
    sample_rate: int | None,
    speed: float | None,
    seed: int | None,
    recording: Mapping[str, object],
    *,
    stream: bool,
) -> dict[str, object]:
    """Returns the JSON body of a speech request, without what was left to the server."""
    fields = {
        "text": text,
        "speaker": speaker,
        "language": language,
        "instruct": instruct,
        "model": model,
        "format": format,
        "sample_rate": sample_rate,
        "speed": speed,
        "seed": seed,
        "stream": stream,
        **recording,
    }
    return {name: value for name, value in fields.items() if value is not None}


def recording_fields(
    ref_audio: Path | bytes | None, ref_text: str | None, x_vector_only: bool | None
) -> dict[str, object]:
    """Returns the fields of a speech request that say whose voice to clone; a file is read.

    Raises `BadRequest` if it cannot be read.
    """
    if isinstance(ref_audio, Path):
        try:
            ref_audio = ref_audio.read_bytes()
        except OSError as error:
            raise BadRequest(
                f"ref_audio {str(ref_audio)!r} cannot be read ({error.strerror}): name a recording", field="ref_audio"
            ) from error
    encoded = None if ref_audio is None else base64.b64encode(ref_audio).decode("ascii")
    return {"ref_audio": encoded, "ref_text": ref_text, "x_vector_only": x_vector_only}


@contextmanager
def network_errors(base_url: str) -> Iterator[None]:
    """Turns what can go wrong between here and the server into `NotReady`, `EngineFault` or `BadRequest`."""
    try:
        yield
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise BadRequest(
            f"base_url {base_url!r} is not an address of a server: write it like {DEFAULT_URL!r}", field="base_url"
        ) from error
    except httpx.ConnectError as error:
        raise NotReady(
            f"no server answers at {base_url!r} ({error}): start one with `vivavoce serve`, or check the address"
        ) from error
    except httpx.TimeoutException as error:
        raise NotReady(
            f"the server at {base_url!r} did not answer in time: stream long texts, or raise timeout_s"
        ) from error
    except httpx.TransportError as error:
        raise EngineFault(
            f"the server at {base_url!r} broke off before it was done ({error}): see its log, and try again"
        ) from error


def checked(response: httpx.Response) -> httpx.Response:
    """Returns `response` if it is a success. Raises the error that it carries; its body must have been read."""
    if response.is_success:
        return response
    raise _error(response)


def read_facts(response: httpx.Response, format: AudioFormat) -> Facts:
    """Returns what the headers of a speech response say."""
    headers = response.headers
    rate = headers.get("x-sample-rate", "")
    return {
        "format": format,
        "model": headers.get("x-model", ""),
        "voice": headers.get("x-voice", ""),
        "language": headers.get("x-language", ""),
        "sample_rate_hz": int(rate) if rate.isdecimal() else None,
        "ignored": tuple(name.strip() for name in headers.get("x-ignored", "").split(",") if name.strip()),
        "request_id": headers.get("x-request-id", ""),
    }


def read_audio(response: httpx.Response, format: AudioFormat) -> Audio:
    """Returns a whole speech response."""
    return Audio(data=response.content, **read_facts(response, format))


def read_voices(response: httpx.Response) -> tuple[VoiceEntry, ...]:
    """Return the voices in the answer of `/v1/audio/voices`, without other names of them."""
    with _expected_shape(response):
        return tuple(
            VoiceEntry(
                id=voice["id"],
                name=voice["name"],
                model=voice["model"],
                languages=tuple(voice["languages"]),
                gender=voice["gender"],
                listed=voice["listed"],
            )
            for voice in response.json()["voices"]
            if not voice.get("alias_of")
        )


def read_names(response: httpx.Response, key: str) -> tuple[str, ...]:
    """Returns the list of names under `key` of the answer."""
    with _expected_shape(response):
        return tuple(str(name) for name in response.json()[key])


def read_models(response: httpx.Response) -> tuple[ModelEntry, ...]:
    """Returns the answer of `/v1/models`."""
    with _expected_shape(response):
        return tuple(
            ModelEntry(id=model["id"], state=model["state"], detail=model.get("detail") or "")
            for model in response.json()["data"]
        )


def read_health(response: httpx.Response) -> Health:
    """Returns the answer of `/health`, which is the same whatever its status."""
    if response.is_error and "status" not in _object(response):
        raise _error(response)
    with _expected_shape(response):
        body = response.json()
        return Health(
            status=body["status"],
            model_loaded=body["model_loaded"],
            models=body["models"],
            version=body["version"],
        )


def request_path(request_id: str) -> str:
    """Returns where a request is asked for; whatever is not fit for an address in its id is escaped."""
    return f"{REQUESTS}/{quote(request_id, safe='')}"


def read_outcome(response: httpx.Response) -> Outcome:
    """Returns the answer of `/v1/tts/requests/{id}`."""
    with _expected_shape(response):
        body = response.json()
        return Outcome(**{field.name: body[field.name] for field in fields(Outcome)})


@contextmanager
def _expected_shape(response: httpx.Response) -> Iterator[None]:
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise VivavoceError(
            f"{str(response.url)!r} does not answer as a vivavoce server does: check the address, and that "
            "client and server are of the same version"
        ) from error


def _object(response: httpx.Response) -> dict[str, Any]:
    """Returns the JSON object in the body, or an empty one. Any: the values are whatever the other side sent."""
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _error(response: httpx.Response) -> VivavoceError:
    """Returns the exception for an error response, also when something other than our server sent it."""
    error = _object(response).get("error")
    if not isinstance(error, dict) or "message" not in error:
        return VivavoceError(
            f"{str(response.url)!r} answered {response.status_code} {response.reason_phrase}, "
            "not as a vivavoce server does: check the address and any proxy before it"
        )
    code, message = str(error.get("code")), str(error["message"])
    if code in _BAD_REQUESTS:
        field = error.get("field") or error.get("param") or ""  # `param` on the paths that OpenAI's API shares
        return _BAD_REQUESTS[code](message, field=str(field))
    if code in _OVERLOADS:
        return _OVERLOADS[code](message, retry_after_s=_retry_after_s(response))
    if request_id := error.get("request_id"):
        message = f"{message} (request {request_id})"
    return _FAULTS.get(code, VivavoceError)(message)


def _retry_after_s(response: httpx.Response) -> float:
    try:
        return float(response.headers["retry-after"])
    except (KeyError, ValueError):  # absent, or a date, which only a proxy would send
        return 1.0
