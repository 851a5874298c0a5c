"""Make the requests of `benchmarks.attacks`: long texts, large bodies, numbers, names."""

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Final

import numpy as np

from vivavoce.audio import wav_bytes

NATIVE: Final = "/v1/tts/synthesize"
OPENAI: Final = "/v1/audio/speech"
FAR_VOICE: Final = "中文女"
FAR_MODEL: Final = "far"
DESIGN: Final = "design"
BASE: Final = "base"
_TEXT_CHARS: Final = 100_000  # as many as `max_text_chars` allows
_LARGE_BYTES: Final = 12_000_000
_SMALL_BYTES: Final = 1_900_000  # below the limit for a body without a recording
INSTRUCT_CHARS: Final = 7_000_000
_SENTENCE: Final = "The ship came in late and the harbour was quiet by then. "


@dataclass(frozen=True, slots=True)
class Request:
    """A body to post to `path`. Large bodies are made on first use."""

    path: str
    body: Callable[[], bytes]


def native(**fields: object) -> Request:
    """Return a request for a stream of raw audio."""
    return _request(NATIVE, {"text": "Hello.", "format": "pcm", "stream": True, **fields})


def openai(**fields: object) -> Request:
    """Return the equivalent of `native` for the OpenAI API."""
    return _request(OPENAI, {"input": "Hello.", "response_format": "pcm", **fields})


def _request(path: str, fields: dict[str, object]) -> Request:
    return Request(path, cache(partial(_json, fields)))


def _json(fields: dict[str, object]) -> bytes:
    return json.dumps(fields).encode("ascii")


def run(token: str) -> str:
    """Return a text of nearly 100,000 characters: `token` repeated between two letters."""
    return f"a {token * ((_TEXT_CHARS - 4) // len(token))} a"


_TOKENS = (
    "😀", "http://", "😀 ", "http://", "🇩🇪", "😀", "👍🏽", "https://", "☺️", "mailto:", "<b x=", "½",
)  # fmt: skip
TEXTS: Final = [native(text=run(token)) for token in _TOKENS]


def _filled(path: str, opening: str, unit: str, closing: str, size: int) -> Request:
    """Return a request whose JSON is `unit` repeated to about `size` bytes."""
    text = "text" if path == NATIVE else "input"

    def body() -> bytes:
        filling = unit * (size // len(unit))
        return f'{{"{text}":"Hello.",{opening}{filling}{closing}}}'.encode("ascii")

    return Request(path, cache(body))


def _fields(path: str, size: int) -> Request:
    def body() -> bytes:
        keys = "".join(f'"f{number:07d}":0,' for number in range(size // 13))
        return f'{{{keys}"{"text" if path == NATIVE else "input"}":"Hello."}}'.encode("ascii")

    return Request(path, cache(body))


def _bodies(size: int) -> Sequence[Request]:
    return [
        _fields(NATIVE, size),
        _fields(OPENAI, size),
        _filled(NATIVE, '"speaker":[0', ",0", "]", size),
        _filled(OPENAI, '"voice":[0', ",0", "]", size),
        _filled(NATIVE, '"speaker":', '{"a":', "0" + "}", size),  # not closed: not even JSON
        _nested(NATIVE, size),
        _nested(OPENAI, size),
    ]


def _nested(path: str, size: int) -> Request:
    return _filled(path, '"a":', "[", "]" * (size // 2), size // 2)


_PAIRS = zip(_bodies(_LARGE_BYTES), _bodies(_SMALL_BYTES), strict=True)
BODIES: Final = [request for pair in _PAIRS for request in pair]


def _recording() -> str:
    noise = np.random.default_rng(0).uniform(-0.3, 0.3, 24_000).astype(np.float32)
    return base64.b64encode(wav_bytes(noise, 24_000)).decode("ascii")


def _long_fields(length: int, design: str | None, base: str | None) -> Sequence[Request]:
    words = "slowly " * (length // 7)
    return [
        native(instruct=words, model=design),
        openai(instructions=words, model=design),
        native(ref_audio=_recording(), ref_text=words, model=base),
    ]


def instructions(design: str | None = None, base: str | None = None) -> Sequence[Request]:
    """Return requests with megabytes of instructions and reference texts for these models."""
    lengths = (INSTRUCT_CHARS, _SMALL_BYTES)
    return [one for length in lengths for one in _long_fields(length, design, base)]


def qwen_instructions() -> Sequence[Request]:
    """Return the same for a voice-design model and a cloning model."""
    return instructions(DESIGN, BASE)


def _numbers() -> Sequence[str]:
    counted = ",".join(str(number) for number in range(1, 25))
    groups = "$1" + ",000" * 14
    both = f"Count: {counted}, and {groups}."
    return [counted, groups, "1234567890" * 6, "9" * 5000, both, "1," * 200 + "1"]


_IN_BOTH = ((native(text=text), openai(input=text)) for text in _numbers())
NUMBERS: Final = [request for pair in _IN_BOTH for request in pair]

FAR_AWAY: Final = [
    native(model=FAR_MODEL, speaker=FAR_VOICE),
    openai(model=FAR_MODEL, voice=FAR_VOICE),
    native(model=FAR_MODEL, speaker=FAR_VOICE, format="wav", stream=False),
    openai(model=FAR_MODEL, voice=FAR_VOICE, stream_format="sse"),
]

_LONG: Final = (_SENTENCE * (_TEXT_CHARS // len(_SENTENCE) + 1))[:_TEXT_CHARS]
LONG_WHOLE: Final = native(text=_LONG, model="tone", format="wav", sample_rate=48_000, stream=False)

CHUNK: Final = b"1\r\na\r\n"


def chunked_head(host: str) -> bytes:
    """Return the beginning of a chunked request, up to the middle of its text."""
    lines = [f"POST {NATIVE} HTTP/1.1", f"Host: {host}", "Content-Type: application/json"]
    head = "\r\n".join([*lines, "Transfer-Encoding: chunked", "", ""])
    return f'{head}b\r\n{{"text":"aa\r\n'.encode("ascii")
