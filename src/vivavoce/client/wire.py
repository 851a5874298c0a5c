"""Build the native API's requests and read its answers, without sending anything.

Only this module turns error answers into exceptions. It goes by their `code`, never by their text.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict, TypeVar
from urllib.parse import quote

import httpx

from vivavoce import errors
from vivavoce.client.answers import (
    Audio,
    ExplainedSegment,
    ExplainedWord,
    Explanation,
    Health,
    MarkTime,
    ModelEntry,
    Outcome,
    SoundTime,
    SpeechEnd,
    TimedAudio,
    TimedChunk,
    VoiceEntry,
    WordTime,
)
from vivavoce.errors import BadRequest, EngineFault, NotReady, Overloaded, VivavoceError
from vivavoce.names import from_header

if TYPE_CHECKING:  # `types` imports numpy, which a client does not need
    from vivavoce.types import AudioFormat, Timestamps

T = TypeVar("T")

DEFAULT_URL = "http://localhost:8000"
DEFAULT_FORMAT: AudioFormat = "wav"
SYNTHESIZE = "v1/tts/synthesize"  # relative, so that a base URL may have a path of its own
EXPLAIN = "v1/tts/explain"
LIVE = "v1/tts/stream"
SPEAKERS = "v1/tts/speakers"
LANGUAGES = "v1/tts/languages"
REQUESTS = "v1/tts/requests"
VOICES = "v1/audio/voices"
MODELS = "v1/models"
HEALTH = "health"
DESCRIPTION = "openapi.json"
OBJECT = {"Accept": "application/json"}  # headers
EVENTS = {"Accept": "text/event-stream"}

# All other errors of a server are a `VivavoceError` to its client.
_OTHERS = {errors.OutOfMemory, errors.DiskFull, errors.BindError}
_KINDS: dict[str, type[VivavoceError]] = {
    kind.code: kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, VivavoceError)
    if "code" in vars(kind) and kind not in _OTHERS
}


class SpeechOptions(TypedDict, total=False):
    """Options of `speak` and `stream`, named as the fields of the HTTP API.

    The server chooses what is absent.
    """

    speaker: str | None
    language: str | None
    instruct: str | None
    model: str | None
    format: AudioFormat
    sample_rate: int | None
    speed: float | None
    seed: int | None
    ref_audio: Path | bytes | None  # a recording of the voice to speak with, a file or its bytes
    ref_text: str | None  # the words of that recording
    x_vector_only: bool | None


class TimeOptions(TypedDict, total=False):
    """Options of `speak_timed` and `stream_timed`, besides those of speech."""

    timestamps: Timestamps
    subtitles: Literal["srt", "vtt"] | None


class TimedOptions(SpeechOptions, TimeOptions, total=False):
    """All options of `speak_timed` and `stream_timed`."""


class Facts(TypedDict):
    """Keyword arguments for `SpeechFacts` and its subclasses."""

    format: AudioFormat
    model: str
    voice: str
    language: str
    sample_rate_hz: int | None
    ignored: tuple[str, ...]
    request_id: str
    synthetic: str


def auth_headers(api_key: str | None) -> dict[str, str]:
    """Return the header that carries the key, or none."""
    return {"Authorization": f"Bearer {api_key}"} if api_key else {}


def model_query(model: str | None) -> dict[str, str]:
    """Return the query for one model, or for the server's default."""
    return {"model": model} if model else {}


def speech_body(text: str, options: SpeechOptions, *, stream: bool) -> dict[str, object]:
    """Return the JSON body of a speech request, without fields that are `None`.

    Reads the file that `ref_audio` names. Raises `BadRequest` if it cannot be read, and `TypeError`
    for an unknown option.
    """
    if unknown := options.keys() - SpeechOptions.__annotations__:
        choices = ", ".join(SpeechOptions.__annotations__)
        raise TypeError(f"unknown option {min(unknown)!r}: choose from {choices}")
    body: dict[str, object] = {"text": text, "format": DEFAULT_FORMAT, **options, "stream": stream}
    if (recording := options.get("ref_audio")) is not None:
        body["ref_audio"] = base64_of(recording, "ref_audio")
    return {name: value for name, value in body.items() if value is not None}


def timed_body(text: str, options: TimedOptions, *, stream: bool) -> dict[str, object]:
    """Return the JSON body of a request for speech with times, as `speech_body` does."""
    times = {name: options[name] for name in TimeOptions.__annotations__ if name in options}  # type: ignore[literal-required]  # its own keys
    speech = {name: value for name, value in options.items() if name not in times}
    body = speech_body(text, speech, stream=stream)  # type: ignore[arg-type]  # the others
    return {**body, "timestamps": "word", **{k: v for k, v in times.items() if v is not None}}


def refused(status: int, body: bytes) -> VivavoceError:
    """Return the exception for a WebSocket that was refused."""
    return _error(httpx.Response(status, content=body, request=httpx.Request("GET", LIVE)))


def base64_of(file: Path | bytes, field: str) -> str:
    """Return a file in base64. Raises `BadRequest` (`field`) if it cannot be read."""
    if isinstance(file, Path):
        try:
            file = file.read_bytes()
        except OSError as error:
            problem = f"{field} {str(file)!r} cannot be read ({error.strerror}): name a file"
            raise BadRequest(problem, field=field) from error
    return base64.b64encode(file).decode("ascii")


def kept_connections() -> httpx.Limits:
    """Return limits that close idle connections before a server does, which is noticed too late."""
    return httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=2.0)


@contextmanager
def network_errors(base_url: str) -> Iterator[None]:
    """Convert network errors into `NotReady`, `EngineFault` or `BadRequest`."""
    try:
        yield
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise BadRequest(
            f"base_url {base_url!r} is not an address of a server: write it like {DEFAULT_URL!r}",
            field="base_url",
        ) from error
    except httpx.ConnectError as error:
        raise NotReady(
            f"no server answers at {base_url!r} ({error}): start one with `vivavoce serve`, or "
            "check the address"
        ) from error
    except httpx.TimeoutException as error:
        raise NotReady(
            f"the server at {base_url!r} did not answer in time: stream long texts, or raise "
            "timeout_s"
        ) from error
    except httpx.TransportError as error:
        raise EngineFault(
            f"the server at {base_url!r} closed the connection early ({error}): see its log, and "
            "try again"
        ) from error


def successful(response: httpx.Response) -> httpx.Response:
    """Return `response`, or raise the error in its body, which must have been read."""
    if response.is_success:
        return response
    raise _error(response)


def read_facts(response: httpx.Response, options: SpeechOptions) -> Facts:
    """Return the facts in the headers of a speech response."""
    headers = response.headers
    rate = headers.get("x-sample-rate", "")
    ignored = map(str.strip, headers.get("x-ignored", "").split(","))
    return {
        "format": options.get("format", DEFAULT_FORMAT),
        "model": from_header(headers.get("x-model", "")),
        "voice": from_header(headers.get("x-voice", "")),
        "language": from_header(headers.get("x-language", "")),
        "sample_rate_hz": int(rate) if rate.isdecimal() else None,
        "ignored": tuple(map(from_header, filter(None, ignored))),
        "request_id": headers.get("x-request-id", ""),
        "synthetic": headers.get("x-synthetic", ""),
    }


def read_audio(response: httpx.Response, options: SpeechOptions) -> Audio:
    """Return a whole speech response."""
    return Audio(data=response.content, **read_facts(response, options))


def read_timed(response: httpx.Response, options: SpeechOptions) -> TimedAudio:
    """Return a whole speech response with the times of its words."""
    with expected_shape(response):
        body = response.json()
        data = base64.b64decode(body["audio"])
        return TimedAudio(
            data=data, words=read_words(body), end=_end(body), **read_facts(response, options)
        )


def timed_chunk(line: str) -> TimedChunk | None:
    """Return what a line of server-sent events holds, if anything. Raises the error in it."""
    name, _, value = line.partition(":")
    if name != "data":
        return None
    event = json.loads(value)
    match event["type"]:
        case "speech.audio.delta":
            return TimedChunk(base64.b64decode(event["audio"]), read_words(event))
        case "speech.audio.done":
            return TimedChunk(end=_end(event))
    raise sent_error(event["error"])


def read_words(body: Mapping[str, Any]) -> tuple[WordTime, ...]:
    names = ("word", "spoken", "start", "end", "start_s", "end_s", "input")
    return tuple(
        WordTime(
            **{name: word[name] for name in names},
            phones=_sounds(word.get("phones", ()), "phone"),
            chars=_sounds(word.get("chars", ()), "char"),
        )
        for word in body["words"]
    )


def _sounds(sounds: Sequence[Mapping[str, Any]], name: str) -> tuple[SoundTime, ...]:
    return tuple(SoundTime(one[name], one["start_s"], one["end_s"]) for one in sounds)


def _end(body: Mapping[str, Any]) -> SpeechEnd:
    names = ("timing", "duration_s", "finish_reason")
    return SpeechEnd(
        **{name: body[name] for name in names},
        subtitles=body.get("subtitles"),
        marks=tuple(MarkTime(m["name"], m["time_s"], m["input"]) for m in body.get("marks", ())),
    )


def read_voices(response: httpx.Response) -> tuple[VoiceEntry, ...]:
    """Parse the answer of `/v1/audio/voices`, without aliases."""
    with expected_shape(response):
        return tuple(
            _read(VoiceEntry, {**voice, "languages": tuple(voice["languages"])})
            for voice in response.json()["voices"]
            if not voice.get("alias_of")
        )


def read_names(response: httpx.Response, key: str) -> tuple[str, ...]:
    """Return the list of names under `key` of the answer."""
    with expected_shape(response):
        return tuple(str(name) for name in response.json()[key])


def read_models(response: httpx.Response) -> tuple[ModelEntry, ...]:
    """Parse the answer of `/v1/models`."""
    with expected_shape(response):
        return tuple(
            ModelEntry(id=model["id"], state=model["state"], detail=model.get("detail") or "")
            for model in response.json()["data"]
        )


def read_fields(response: httpx.Response) -> dict[str, dict[str, Any]]:
    """Return the schemas of a speech request's fields, without null, in an OpenAPI description."""
    with expected_shape(response):
        fields = response.json()["components"]["schemas"]["SynthesizeBody"]["properties"]
        return {name: {**field.get("anyOf", [{}])[0], **field} for name, field in fields.items()}


def read_health(response: httpx.Response) -> Health:
    """Parse the answer of `/health`, which has the same shape with any status."""
    if response.is_error and "status" not in _object(response):
        raise _error(response)
    with expected_shape(response):
        return _read(Health, response.json())


def request_path(request_id: str) -> str:
    """Return the path of a request's record, with the id escaped."""
    return f"{REQUESTS}/{quote(request_id, safe='')}"


def read_outcome(response: httpx.Response) -> Outcome:
    """Parse the answer of `/v1/tts/requests/{id}`."""
    with expected_shape(response):
        return _read(Outcome, response.json())


def _read(kind: type[T], values: dict[str, Any]) -> T:
    return kind(**{field.name: values[field.name] for field in fields(kind)})  # type: ignore[arg-type]  # a dataclass


def read_explanation(response: httpx.Response) -> Explanation:
    """Parse the answer of `/v1/tts/explain`."""
    with expected_shape(response):
        return explanation(response.json())


def explanation(body: Mapping[str, Any]) -> Explanation:
    """Return the explanation in a JSON object of the server."""
    names = ("text", "spoken", "language", "speaker", "pause_s")
    segments = (
        ExplainedSegment(
            **{name: segment[name] for name in names},
            words=tuple(ExplainedWord(**word) for word in segment["words"]),
        )
        for segment in body["segments"]
    )
    named = {name: body[name] for name in ("language", "model", "speaker")}
    return Explanation(**named, segments=tuple(segments), unspoken=tuple(body["unspoken"]))


@contextmanager
def expected_shape(response: httpx.Response) -> Iterator[None]:
    """Raise `VivavoceError` if an answer is read as what it is not."""
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise VivavoceError(
            f"{str(response.url)!r} does not answer as a vivavoce server does: "
            "check the address, and that client and server are of the same version"
        ) from error


def _object(response: httpx.Response) -> dict[str, Any]:
    """Return the JSON object in the body, or an empty one.

    `Any`: the other side may send any values.
    """
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _error(response: httpx.Response) -> VivavoceError:
    """Return the exception for an error response, whether our server or a proxy sent it."""
    error = _object(response).get("error")
    if not isinstance(error, dict) or "message" not in error:
        return VivavoceError(
            f"{str(response.url)!r} answered {response.status_code} {response.reason_phrase}, "
            "not as a vivavoce server does: check the address and any proxy before it"
        )
    return sent_error(error, _retry_after_s(response))


def sent_error(error: Mapping[str, Any], retry_after_s: float = 1.0) -> VivavoceError:
    """Return the exception for an error of our server."""
    kind, message = _KINDS.get(str(error.get("code")), VivavoceError), str(error["message"])
    if issubclass(kind, BadRequest):
        field = error.get("field") or error.get("param") or ""  # `param` on the OpenAI paths
        return kind(message, field=str(field))
    if issubclass(kind, Overloaded):
        return kind(message, retry_after_s=retry_after_s)
    if request_id := error.get("request_id"):
        message = f"{message} (request {request_id})"
    return kind(message)


def _retry_after_s(response: httpx.Response) -> float:
    try:
        return float(response.headers["retry-after"])
    except (KeyError, ValueError):  # absent, or a date, which only a proxy would send
        return 1.0
