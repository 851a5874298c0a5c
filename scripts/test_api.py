"""Test every endpoint of a running server and report the results.

It needs only Python.

    python3 scripts/test_api.py http://localhost:8000

Each endpoint of the server's own `openapi.json` is called: speech in every format, whole and
streamed, lists, health, and requests that must be rejected. The headers, sizes, length and loudness
of the audio are checked. `benchmarks/intelligibility.py --server` measures its intelligibility.
The exit code is 0 if all is right, 1 if something is wrong, 2 if no server answers or it is not
ready in time.
"""

import argparse
import base64
import json
import math
import re
import ssl
import struct
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from array import array
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

TEXT = "The lamp is on the table."
LEAST_S, MOST_S = 0.5, 30.0  # limits for any voice's length of the text
QUIETEST = 0.003  # root mean square of full scale; speech is around 0.05
OPEN_SIZE = 2**31 - 2**16  # a WAV header that says more does not know the size yet
FORMATS: Mapping[str, tuple[str, tuple[bytes, ...]]] = {  # content type, and how a file begins
    "wav": ("audio/wav", (b"RIFF",)),
    "pcm": ("audio/pcm", (b"",)),
    "mp3": ("audio/mpeg", (b"ID3", b"\xff\xf3", b"\xff\xfb", b"\xff\xf2", b"\xff\xfa")),
    "opus": ("audio/ogg", (b"OggS",)),
    "aac": ("audio/aac", (b"\xff\xf1", b"\xff\xf9")),
    "flac": ("audio/flac", (b"fLaC", b"ID3")),  # a signed file has its manifest before it
    "m4a": ("audio/mp4", tuple(bytes((0, 0, 0, size)) + b"ftyp" for size in (24, 28, 32))),
}
TTS, SPEECH = "/v1/tts/synthesize", "/v1/audio/speech"
EXPLAIN = "/v1/tts/explain"
LEXICON = "/v1/tts/lexicon"
WIT = "/wit"  # unless the setting `wit_prefix` says otherwise


class Wrong(Exception):
    """An answer is wrong. The message says how."""


@dataclass(frozen=True)
class Answer:
    """The answer to a request, and its timing."""

    status: int
    headers: Mapping[str, str]  # by lower-case name
    body: bytes
    first_s: float  # seconds to the first byte of the body

    def json(self) -> dict[str, object]:
        try:
            value = json.loads(self.body)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise Wrong(f"the answer is no JSON object: {self.body[:60]!r}")
        return value


@dataclass(frozen=True)
class Server:
    """The server at `url`. `fields` are added to each request for speech, on both APIs."""

    url: str
    key: str | None
    timeout_s: float
    context: ssl.SSLContext | None
    folder: Path | None  # where audio is saved
    fields: Mapping[str, str]

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        """Return the server's answer, even if it is an error.

        Raises `Wrong` for an answer that breaks off or never comes.
        """
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if data is not None:
            sent["Content-Type"] = "application/json"
        if self.key:
            sent["Authorization"] = f"Bearer {self.key}"
        request = urllib.request.Request(self.url + path, data, sent, method=method)
        begin = time.perf_counter()
        try:
            try:
                response = urllib.request.urlopen(
                    request, timeout=self.timeout_s, context=self.context
                )
            except urllib.error.HTTPError as refusal:
                response = refusal
            with response:
                first = response.read(1)
                first_s = time.perf_counter() - begin
                names = {name.lower(): value for name, value in response.headers.items()}
                return Answer(response.status, names, first + response.read(), first_s)
        except (OSError, HTTPException) as error:
            raise Wrong(f"no whole answer: {error!r}") from error

    def speak(self, method: str, path: str, fields: Mapping[str, object], **headers: str) -> Answer:
        """Return the audio answer to a request for speech. Raises `Wrong` if it has none."""
        wanted = {**self.fields, **fields}
        if method == "GET":
            path, wanted = f"{path}?{urllib.parse.urlencode(wanted)}", {}
        answer = self.ask(method, path, wanted or None, **headers)
        expect(
            answer.status == 200, f"{answer.status}: {answer.body[:160].decode('utf-8', 'replace')}"
        )
        return answer

    def save(self, name: str, data: bytes) -> None:
        if self.folder:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.folder.joinpath(name).write_bytes(data)


Check = Callable[[Server], str]  # says what it saw, or raises Wrong
CHECKS: list[tuple[str, str, str, Check]] = []  # method, path as in openapi.json, what is checked


def check(method: str, path: str, what: str) -> Callable[[Check], Check]:
    """Register a check. `path` is the endpoint that it tests."""

    def put(function: Check) -> Check:
        CHECKS.append((method, path, what, function))
        return function

    return put


def expect(right: bool, otherwise: str) -> None:
    if not right:
        raise Wrong(otherwise)


# --- audio ------------------------------------------------------------


def read_wav(data: bytes, *, exact: bool) -> tuple[bytes, int]:
    """Return the samples and their rate.

    Raises `Wrong` if it is no 16-bit mono WAV, or if `exact` and the header states another size.
    """
    expect(
        len(data) > 44 and data[:4] == b"RIFF" and data[8:12] == b"WAVE",
        f"no RIFF/WAVE file: {data[:12]!r}",
    )
    riff_size, place, rate = struct.unpack_from("<I", data, 4)[0], 12, 0
    while place + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, place)
        place += 8
        if name == b"fmt ":
            kind, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", data, place)
            expect(
                (kind, channels, bits) == (1, 1, 16),
                f"not 16-bit mono PCM: {kind=} {channels=} {bits=}",
            )
        if name == b"data":
            ends = riff_size + 8, place + size  # a comment may follow the samples
            fits = ends[0] == len(data) >= ends[1]
            expect(fits or not exact, f"its header says {ends} bytes of {len(data)}")
            expect(exact or size >= OPEN_SIZE, f"a stream that claims to know its size: {size}")
            expect(rate > 0, "no format before the data")
            return data[place : place + size], rate
        place += size + size % 2
    raise Wrong("a WAV file without data")


def heard(samples: bytes, rate: int) -> tuple[str, float]:
    """Return a description of the audible content, and its seconds.

    Raises `Wrong` if the audio cannot be the text.
    """
    expect(len(samples) % 2 == 0, "half a sample at the end")
    values = array("h", samples)
    if sys.byteorder == "big":
        values.byteswap()
    seconds = len(values) / rate
    expect(LEAST_S <= seconds <= MOST_S, f"{seconds:.2f} s of audio for {TEXT!r}")
    rms = math.sqrt(sum(value * value for value in values) / len(values)) / 2**15
    expect(rms >= QUIETEST, f"silence: RMS {rms:.5f}")
    return f"{seconds:.2f} s, RMS {rms:.3f}", seconds


def check_file(answer: Answer, audio_format: str, *, whole: bool) -> str:
    """Check audio in any format.

    Compressed audio is recognised by its first bytes and must not be too small.
    """
    media_type, beginnings = FORMATS[audio_format]
    sent_as = answer.headers.get("content-type", "").partition(";")[0]
    expect(sent_as == media_type, f"{audio_format} sent as {sent_as!r}, not {media_type!r}")
    expect(
        answer.body.startswith(beginnings),
        f"no {audio_format} file: it begins with {answer.body[:8]!r}",
    )
    length = answer.headers.get("content-length")
    if whole:
        expect(
            length == str(len(answer.body)),
            f"Content-Length {length!r} of {len(answer.body)} bytes",
        )
    else:
        expect(length is None, "a stream with a Content-Length")
    for name in ("x-model", "x-voice", "x-language", "x-sample-rate"):
        expect(bool(answer.headers.get(name)), f"no header {name}")
    rate = int(answer.headers["x-sample-rate"])
    if audio_format == "wav":
        samples, stated = read_wav(answer.body, exact=whole)
        expect(stated == rate, f"X-Sample-Rate {rate}, and {stated} in the file")
        return heard(samples, rate)[0]
    if audio_format == "pcm":
        return heard(answer.body, rate)[0]
    expect(len(answer.body) > 1_000, f"{len(answer.body)} bytes of {audio_format}")
    return f"{len(answer.body):,} bytes"


# --- what a server should do ------------------------------------------


@check("GET", "/health", "state of the models")
def health(server: Server) -> str:
    state = answer_of(server, "/health")
    expect(state.get("status") == "ok" and bool(state.get("models")), f"not ready: {state}")
    return f"version {state['version']}, {state['models']}"


@check("GET", "/health/live", "alive")
def live(server: Server) -> str:
    return str(answer_of(server, "/health/live")["status"])


@check("GET", "/health/ready", "ready")
def ready(server: Server) -> str:
    state = answer_of(server, "/health/ready")
    expect(state.get("status") == "ok", f"{state}")
    return "ok"


def answer_of(server: Server, path: str) -> dict[str, object]:
    answer = server.ask("GET", path)
    expect(answer.status == 200, f"{answer.status}: {answer.body[:160]!r}")
    return answer.json()


def items_of(server: Server, path: str, name: str) -> list[object]:
    """Return the list called `name` in the answer. Raises `Wrong` if it is empty."""
    items = answer_of(server, path).get(name)
    if not isinstance(items, list) or not items:
        raise Wrong(f"no list of {name}")
    return items


@check("GET", "/metrics", "counted")
def metrics(server: Server) -> str:
    answer = server.ask("GET", "/metrics")
    if answer.status != 200 or b"vivavoce_open_requests" not in answer.body:
        raise Wrong(f"/metrics answers {answer.status}, and without vivavoce_open_requests")
    return f"{len(answer.body):,} bytes"


@check("GET", "/v1/tts/speakers", "names to choose from")
def speakers(server: Server) -> str:
    names = items_of(server, "/v1/tts/speakers", "speakers")
    return f"{len(names)}: {', '.join(map(str, names[:4]))} …"


@check("GET", "/v1/tts/languages", "auto and others")
def languages(server: Server) -> str:
    names = items_of(server, "/v1/tts/languages", "languages")
    expect(names[0] == "auto" and "english" in names, f"{names}")
    return ", ".join(map(str, names))


@check("POST", EXPLAIN, "what will be said")
def explained(server: Server) -> str:
    answer = server.ask("POST", EXPLAIN, {**server.fields, "text": TEXT})
    expect(answer.status == 200, f"{answer.status}: {answer.body[:160]!r}")
    segments = answer.json().get("segments")
    if not isinstance(segments, list) or not segments:
        raise Wrong("no segments")
    return " ".join(str(segment["spoken"]) for segment in segments)


@check("GET", LEXICON, "the rules")
def lexicon(server: Server) -> str:
    rules = answer_of(server, LEXICON).get("rules")
    expect(isinstance(rules, list), f"no list of rules: {rules!r}")
    return f"{len(rules) if isinstance(rules, list) else 0} rules"


@check("PUT", LEXICON, "refuses: a rule without a word")
def lexicon_refuses(server: Server) -> str:
    return refused_change(server.ask("PUT", LEXICON, {"rules": [{"word": "", "alias": "x"}]}), 422)


@check("DELETE", LEXICON, "refuses: a word that has no rule")
def lexicon_has_no_such_rule(server: Server) -> str:
    return refused_change(server.ask("DELETE", f"{LEXICON}?word=no+such+word+here"), 404)


def refused_change(answer: Answer, status: int) -> str:
    """Return the code of the refusal. A key without the scope `manage` may change nothing."""
    return str(error_of(answer, 403 if answer.status == 403 else status)["code"])


@check("POST", TTS, "one exact WAV file")
def whole_wav(server: Server) -> str:
    answer = server.speak("POST", TTS, {"text": TEXT})
    seen = check_file(answer, "wav", whole=True)
    expect(
        answer.headers.get("x-finish-reason") in ("complete", "retried"),
        f"ended: {answer.headers.get('x-finish-reason')!r}",
    )
    server.save("native.wav", answer.body)
    return f"{seen}, {answer.headers['x-model']} as {answer.headers['x-voice']}"


@check("POST", TTS, "a WAV stream")
def streamed_wav(server: Server) -> str:
    answer = server.speak("POST", TTS, {"text": TEXT, "stream": True})
    server.save("native-stream.wav", answer.body)
    return (
        f"{check_file(answer, 'wav', whole=False)}, first byte after {1000 * answer.first_s:.0f} ms"
    )


def add_formats(path: str, field: str, text: str, surface: str) -> None:
    """Register a check for each format of `POST path`.

    The audio is whole on the native API and streamed on OpenAI's, but for m4a.
    """
    for name in FORMATS:
        is_whole = surface == "native" or name == "m4a"

        @check("POST", path, f"{name} {'file' if is_whole else 'stream'}")
        def in_format(server: Server, name: str = name, is_whole: bool = is_whole) -> str:
            answer = server.speak("POST", path, {text: TEXT, field: name})
            server.save(f"{surface}-format.{name}", answer.body)
            return check_file(answer, name, whole=is_whole)


add_formats(TTS, "format", "text", "native")


@check("POST", TTS, "another sample rate")
def other_rate(server: Server) -> str:
    answer = server.speak("POST", TTS, {"text": TEXT, "sample_rate": 48_000})
    expect(
        answer.headers.get("x-sample-rate") == "48000",
        f"{answer.headers.get('x-sample-rate')!r} Hz",
    )
    return check_file(answer, "wav", whole=True)


@check("POST", TTS, "double speed")
def double_speed(server: Server) -> str:
    # The same seed, because a model that draws its speech does not take the same time twice.
    plain, fast = (
        server.speak("POST", TTS, {"text": TEXT, "seed": 1, "speed": speed}) for speed in (1.0, 2.0)
    )
    lengths = [heard(*read_wav(answer.body, exact=True))[1] for answer in (plain, fast)]
    expect(
        0.35 < lengths[1] / lengths[0] < 0.7,
        f"{lengths[0]:.2f} s, and {lengths[1]:.2f} s at double speed",
    )
    return f"{lengths[0]:.2f} s → {lengths[1]:.2f} s"


@check("POST", TTS, "every model that is ready speaks")
def every_model(server: Server) -> str:
    spoke = []
    for card in items_of(server, "/v1/models", "data"):
        assert isinstance(card, dict)
        # A Base checkpoint needs a recording to speak with, and one that designs voices needs the
        # design.
        if card["state"] == "ready" and card.get("task") != "base":
            design = {"instruct": "A calm voice."} if card.get("task") == "voice_design" else {}
            answer = server.speak("POST", TTS, {"text": TEXT, **design, "model": card["id"]})
            check_file(answer, "wav", whole=True)
            server.save(f"model-{card['id']}.wav", answer.body)
            spoke.append(str(card["id"]))
    expect(bool(spoke), "none is ready")
    return ", ".join(spoke)


@check("POST", TTS, "a request's own id comes back")
def request_id(server: Server) -> str:
    answer = server.ask("POST", TTS, {"text": ""}, X_Request_Id="test-api.1")
    expect(
        answer.headers.get("x-request-id") == "test-api.1",
        f"{answer.headers.get('x-request-id')!r}",
    )
    return "test-api.1"


REFUSED: tuple[tuple[str, object, int, str, str | None], ...] = (  # what, body, status, code, field
    ("unknown field", {"text": TEXT, "volume": 3}, 422, "invalid_request", "volume"),
    ("nothing to say", {"text": " "}, 422, "invalid_request", "text"),
    ("impossible speed", {"text": TEXT, "speed": 9}, 422, "invalid_request", "speed"),
    (
        "unknown speaker",
        {"text": TEXT, "speaker": "nobody-here"},
        404,
        "voice_not_found",
        "speaker",
    ),
    ("unknown model", {"text": TEXT, "model": "none-such"}, 404, "model_not_found", "model"),
    ("broken JSON", b"{", 400, "invalid_request", None),
)


def add_refusals() -> None:
    for what, body, status, code, field in REFUSED:

        @check("POST", TTS, f"refuses: {what}")
        def refuses(
            server: Server,
            body: object = body,
            status: int = status,
            code: str = code,
            field: str | None = field,
        ) -> str:
            error = error_of(server.ask("POST", TTS, body), status)
            expect((error.get("code"), error.get("field")) == (code, field), f"{error}")
            expect(bool(error.get("request_id")), "no request_id")
            return f"{status} {code}"


def error_of(answer: Answer, status: int) -> dict[str, object]:
    expect(answer.status == status, f"{answer.status} instead of {status}: {answer.body[:100]!r}")
    error = answer.json().get("error")
    if not isinstance(error, dict) or not error.get("message"):
        raise Wrong(f"an error without a message: {answer.body[:100]!r}")
    return error


add_refusals()


@check("GET", TTS, "one exact WAV file")
def by_get(server: Server) -> str:
    return check_file(server.speak("GET", TTS, {"text": TEXT}), "wav", whole=True)


@check("GET", TTS, "an MP3 stream")
def by_get_streamed(server: Server) -> str:
    answer = server.speak("GET", TTS, {"text": TEXT, "format": "mp3", "stream": "true"})
    return check_file(answer, "mp3", whole=False)


@check("GET", TTS, "refuses: no text")
def get_without_text(server: Server) -> str:
    return str(error_of(server.ask("GET", TTS), 422)["code"])


add_formats(SPEECH, "response_format", "input", "openai")


@check("POST", SPEECH, "OpenAI's names, mp3 by default")
def openai_names(server: Server) -> str:
    answer = server.ask(
        "POST", SPEECH, {"model": "tts-1", "voice": "alloy", "input": TEXT, "unknown": 1}
    )
    expect(answer.status == 200, f"{answer.status}: {answer.body[:160]!r}")
    return check_file(answer, "mp3", whole=False)


@check("POST", SPEECH, "server-sent events")
def server_sent_events(server: Server) -> str:
    answer = server.speak(
        "POST", SPEECH, {"input": TEXT, "stream_format": "sse", "response_format": "pcm"}
    )
    sent_as = answer.headers.get("content-type", "").partition(";")[0]
    expect(sent_as == "text/event-stream", f"sent as {sent_as!r}")
    lines = [line for line in answer.body.decode().splitlines() if line]
    expect(all(line.startswith("data: ") for line in lines), "a line that is no event")
    events = [json.loads(line.removeprefix("data: ")) for line in lines]
    deltas = [event for event in events if event["type"] == "speech.audio.delta"]
    expect(
        events[-1]["type"] == "speech.audio.done" and len(deltas) == len(events) - 1,
        f"the end is {lines[-1][:80]}",
    )
    pcm = b"".join(base64.b64decode(event["audio"]) for event in deltas)
    return f"{len(deltas)} of audio, {heard(pcm, int(answer.headers['x-sample-rate']))[0]}"


@check("POST", SPEECH, "refuses: unknown voice")
def openai_unknown_voice(server: Server) -> str:
    error = error_of(server.ask("POST", SPEECH, {"input": TEXT, "voice": "nobody-here"}), 404)
    expect((error.get("code"), error.get("param")) == ("voice_not_found", "voice"), f"{error}")
    return str(error.get("type"))


@check("POST", SPEECH, "refuses: no input")
def openai_no_input(server: Server) -> str:
    error = error_of(server.ask("POST", SPEECH, {"voice": "alloy"}), 400)
    expect(error.get("param") == "input", f"{error}")
    return str(error.get("type"))


@check("GET", "/v1/models", "models and other names")
def models(server: Server) -> str:
    cards = items_of(server, "/v1/models", "data")
    return ", ".join(f"{card['id']} {card['state']}" for card in cards if card["state"] != "alias")  # type: ignore[index]


@check("GET", "/v1/models/{model}", "one of them, and none")
def one_model(server: Server) -> str:
    name = items_of(server, "/v1/models", "data")[0]["id"]  # type: ignore[index]
    expect(answer_of(server, f"/v1/models/{name}").get("id") == name, f"not {name!r}")
    error_of(server.ask("GET", "/v1/models/none-such"), 404)
    return str(name)


@check("GET", "/v1/audio/models", "names, for Open WebUI")
def audio_models(server: Server) -> str:
    return f"{len(items_of(server, '/v1/audio/models', 'models'))} names"


@check("GET", "/v1/audio/voices", "all voices")
def audio_voices(server: Server) -> str:
    voices = items_of(server, "/v1/audio/voices", "voices")
    expect(
        all(isinstance(one, dict) and one["id"] and one["languages"] for one in voices),
        "one has no language",
    )
    return f"{len(voices)} voices"


@check("GET", "/v1/tts/models", "whole descriptions, for other servers")
def described_models(server: Server) -> str:
    cards = items_of(server, "/v1/tts/models", "models")
    return f"{len(cards)} models"


@check("GET", "/v1/tts/requests/{request_id}", "how a request ended")
def outcome(server: Server) -> str:
    spoken = server.speak("POST", TTS, {"text": TEXT, "stream": True}, X_Request_Id="test-api.2")
    state = answer_of(server, f"/v1/tts/requests/{spoken.headers['x-request-id']}")
    expect(
        state.get("id") == "test-api.2" and state.get("finish_reason") in ("complete", "retried"),
        f"{state}",
    )
    return f"{state['finish_reason']}, {state['audio_s']} s of audio"


@check("POST", f"{WIT}/synthesize", "raw audio for Meta's Voice SDK")
def wit_raw(server: Server) -> str:
    answer = server.ask(
        "POST", f"{WIT}/synthesize", {"q": TEXT, "voice": "Charlie"}, Accept="audio/raw"
    )
    expect(answer.status == 200, f"{answer.status}: {answer.body[:160]!r}")
    return heard(answer.body, 24_000)[0]


@check("POST", f"{WIT}/synthesize", "audio with the times of visemes")
def wit_events(server: Server) -> str:
    answer = server.ask(
        "POST", f"{WIT}/synthesize", {"q": TEXT, "viseme": "true"}, Accept="audio/raw"
    )
    expect(answer.status == 200, f"{answer.status}: {answer.body[:160]!r}")
    audio, kinds, place = b"", set[str](), 0
    while place < len(answer.body):
        _, json_size, audio_size = struct.unpack_from("<Bqq", answer.body, place)
        place += struct.calcsize("<Bqq")
        if json_size:
            events = json.loads(answer.body[place : place + json_size])
            kinds |= {event["type"] for event in (events if isinstance(events, list) else [events])}
        audio += answer.body[place + json_size : place + json_size + audio_size]
        place += json_size + audio_size
    expect({"WORD", "VISEME"} <= kinds, f"events: {sorted(kinds)}")
    return f"{heard(audio, 24_000)[0]}, {', '.join(sorted(kinds))}"


@check("GET", f"{WIT}/voices", "voices by language")
def wit_voices(server: Server) -> str:
    by_language = answer_of(server, f"{WIT}/voices")
    expect(bool(by_language), "no voices")
    return ", ".join(by_language)


def voice_of(server: Server) -> str:
    """Return the id of the first voice in ElevenLabs' list."""
    return str(items_of(server, "/v1/voices", "voices")[0]["voice_id"])  # type: ignore[index]


@check("POST", "/v1/audio/speech/batch", "several texts at once")
def batch(server: Server) -> str:
    answer = server.ask("POST", f"{SPEECH}/batch", {"items": [{"input": TEXT}, {"input": TEXT}]})
    results = answer.json().get("results")
    expect(answer.status == 200 and len(results or []) == 2, f"{answer.body[:160]!r}")  # type: ignore[arg-type]  # a list
    return "2 results"


def add_elevenlabs(path: str, what: str, *, timed: bool = False) -> None:
    """Register a check of one of ElevenLabs' endpoints that speak."""

    def speaks(server: Server) -> str:
        voice = voice_of(server)
        line = {"text": TEXT, "voice_id": voice}
        body: dict[str, object] = {"inputs": [line]} if "dialogue" in path else {"text": TEXT}
        answer = server.ask("POST", path.replace("{voice_id}", voice), body)
        expect(answer.status == 200, f"{answer.status}: {answer.body[:160]!r}")
        if not timed:
            return check_file(answer, "mp3", whole=not path.endswith("/stream"))
        first = json.loads(answer.body.splitlines()[0])
        expect(bool(first["audio_base64"] and first["alignment"]["characters"]), "no times")
        return f"{len(answer.body):,} bytes with times"

    check("POST", path, what)(speaks)


for suffix in ("", "/stream"):
    add_elevenlabs(f"/v1/text-to-speech/{{voice_id}}{suffix}", "ElevenLabs' speech")
    add_elevenlabs(f"/v1/text-to-dialogue{suffix}", "ElevenLabs' dialogue")
    timed_path = f"/v1/text-to-speech/{{voice_id}}{suffix}/with-timestamps"
    add_elevenlabs(timed_path, "ElevenLabs' times", timed=True)


def add_elevenlabs_list(path: str, name: str) -> None:
    """Register a check that an answer of ElevenLabs' API has something called `name`."""

    def lists(server: Server) -> str:
        asked = path.replace("{voice_id}", voice_of(server)) if "{" in path else path
        expect(name in answer_of(server, asked), f"no {name}")
        return name

    check("GET", path, f"ElevenLabs' {name}")(lists)


for listing, field in (
    ("/v1/voices", "voices"),
    ("/v2/voices", "has_more"),
    ("/v1/voices/{voice_id}", "voice_id"),
    ("/v1/voices/{voice_id}/settings", "stability"),
    ("/v1/voices/settings/default", "stability"),
    ("/v1/user", "subscription"),
    ("/v1/user/subscription", "tier"),
):
    add_elevenlabs_list(listing, field)


VOICES = "/v1/tts/voices"


@check("GET", VOICES, "saved voices")
def saved_voices(server: Server) -> str:
    voices = answer_of(server, VOICES).get("voices")
    expect(isinstance(voices, list), "no list of voices")
    return f"{len(voices)} saved"  # type: ignore[arg-type]  # a list


def add_refusal(method: str, path: str, body: object, status: int) -> None:
    """Register a check that changes nothing: a voice that is not there, or a wrong one."""

    def refused(server: Server) -> str:
        asked = re.sub(r"\{\w+\}", "nobody", path)
        return refused_change(server.ask(method, asked, body), status)

    check(method, path, "nobody, or a wrong voice")(refused)


add_refusal("POST", VOICES, {"name": "", "formula": "-"}, 422)
add_refusal("POST", f"{VOICES}/check", {"ref_audio": ""}, 422)
add_refusal("POST", f"{VOICES}/design", {"description": ""}, 422)
add_refusal("POST", f"{VOICES}/import", {"file": "!"}, 422)
add_refusal("POST", f"{VOICES}/{{voice}}/revoke", None, 404)
add_refusal("POST", f"{VOICES}/{{voice}}/preview", {}, 404)
add_refusal("PUT", f"{VOICES}/{{voice}}/consent", {"by": "-", "words": "-"}, 404)
add_refusal("PATCH", f"{VOICES}/{{voice}}", {"description": "-"}, 404)
for refused_method, refused_path in (("GET", ""), ("DELETE", ""), ("GET", "/export")):
    add_refusal(refused_method, f"{VOICES}/{{voice}}{refused_path}", None, 404)

CUSTOM, CONSENTS = "/v1/audio/voices", "/v1/audio/voice_consents"


@check("GET", CONSENTS, "recorded consents")
def recorded_consents(server: Server) -> str:
    consents = answer_of(server, CONSENTS).get("data")
    expect(isinstance(consents, list), "no list of consents")
    return f"{len(consents)} kept"  # type: ignore[arg-type]  # a list


add_refusal("POST", CUSTOM, {"name": "nobody"}, 400)
add_refusal("POST", CONSENTS, {"name": "Nobody", "language": "en"}, 400)
for refused_method in ("GET", "DELETE"):
    add_refusal(refused_method, f"{CUSTOM}/{{voice_id}}", None, 404)
    add_refusal(refused_method, f"{CONSENTS}/{{consent_id}}", None, 404)
for refused_method in ("POST", "PATCH"):
    add_refusal(refused_method, f"{CONSENTS}/{{consent_id}}", {"name": "Nobody"}, 404)


def add_elevenlabs_refusal(method: str, path: str, body: object, status: int) -> None:
    """Register such a check of one of ElevenLabs' endpoints."""

    def refused(server: Server) -> str:
        answer = server.ask(method, re.sub(r"\{\w+\}", "nobody", path), body)
        detail = answer.json().get("detail")
        right = answer.status == status and isinstance(detail, dict) and bool(detail["message"])
        expect(right, f"{answer.status} instead of {status}: {answer.body[:160]!r}")
        return str(status)

    check(method, path, "nobody, or a wrong voice")(refused)


DESIGN = "/v1/text-to-voice"
for refused_path in (f"{DESIGN}/design", f"{DESIGN}/create-previews"):
    add_elevenlabs_refusal("POST", refused_path, {"voice_description": ""}, 422)
add_elevenlabs_refusal("POST", DESIGN, {"voice_name": "-", "generated_voice_id": "nobody"}, 404)
add_elevenlabs_refusal("GET", f"{DESIGN}/{{generated_voice_id}}/stream", None, 404)
add_elevenlabs_refusal("POST", "/v1/voices/add", {"name": "-"}, 422)
add_elevenlabs_refusal("POST", "/v1/voices/{voice_id}/edit", {"name": "-"}, 404)
add_elevenlabs_refusal("DELETE", "/v1/voices/{voice_id}", None, 404)


JOBS, JOB = "/v1/jobs", "/v1/jobs/{id}"
job_ids: list[str] = []  # of the one job of a run, which the last of its checks removes


def at_job(path: str) -> str:
    expect(bool(job_ids), "no job was made")
    return path.replace("{id}", job_ids[0])


@check("POST", JOBS, "a text becomes a job, which waits")
def new_job(server: Server) -> str:
    book = {"text": f"# One\n\n{TEXT}\n", "name": "test.md", "formats": ["flac"], "paused": True}
    answer = server.ask("POST", JOBS, {**server.fields, **book})
    expect(answer.status == 201, f"{answer.status}: {answer.body[:160]!r}")
    job_ids[:] = [str(answer.json()["id"])]
    return str(answer.json()["state"])


@check("GET", JOBS, "the jobs of this key")
def all_jobs(server: Server) -> str:
    return f"{len(items_of(server, JOBS, 'jobs'))} jobs"


@check("GET", f"{JOB}/plan", "chapters and times before it is spoken")
def job_plan(server: Server) -> str:
    plan = answer_of(server, at_job(f"{JOB}/plan"))
    return f"{plan['audio_s']} s predicted"


def add_action(action: str, states: set[str], body: object = None) -> None:
    """Register a check that an action leaves the job in one of the states."""

    def acts(server: Server) -> str:
        answer = server.ask("POST", at_job(f"{JOB}/{action}"), body)
        state = str(answer.json().get("state"))
        expect(answer.status == 200 and state in states, f"{answer.body[:160]!r}")
        return state

    check("POST", f"{JOB}/{action}", "of a job")(acts)


def job_events(server: Server) -> str:
    answer = server.ask("GET", at_job(f"{JOB}/events"))
    lines = answer.body.decode().splitlines()
    data = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
    expect(bool(data) and data[-1]["state"] in ("done", "cancelled"), f"{answer.body[-200:]!r}")
    return f"{len(data)} events, {data[-1]['state']}"


RUNS = {"queued", "running", "done"}
add_action("cancel", {"cancelled"})
for again, change in (
    ("retry", None),
    ("redo", {"chapter": 1}),
    ("pronunciations", {"pronunciations": [{"word": "lamp", "alias": "light"}]}),
):
    add_action(again, RUNS, change)
    check("GET", f"{JOB}/events", f"progress after {again}, to the end")(job_events)


def add_wrong_state(action: str) -> None:
    """Register a check that an action is refused for a job that is done."""

    def refuses_action(server: Server) -> str:
        return str(error_of(server.ask("POST", at_job(f"{JOB}/{action}")), 409)["code"])

    check("POST", f"{JOB}/{action}", "refuses: the job is done")(refuses_action)


add_wrong_state("pause")
add_wrong_state("resume")


@check("GET", JOB, "one job")
def one_job(server: Server) -> str:
    return str(answer_of(server, at_job(JOB))["state"])


def add_job_list(path: str, name: str) -> None:
    """Register a check that an answer about the job has a list called `name`."""

    def lists(server: Server) -> str:
        found = answer_of(server, at_job(path.replace("{number}", "1"))).get(name)
        expect(isinstance(found, list), f"no list of {name}")
        return f"{len(found)} {name}"  # type: ignore[arg-type]  # a list

    check("GET", path, f"{name} of a job")(lists)


add_job_list(f"{JOB}/chapters", "chapters")
add_job_list(f"{JOB}/chapters/{{number}}/sentences", "sentences")
add_job_list(f"{JOB}/files", "files")
add_job_list(f"{JOB}/skipped", "skipped")


def add_job_audio(path: str) -> None:
    """Register a check of audio that a job has made."""

    def sends(server: Server) -> str:
        answer = server.ask("GET", at_job(path.replace("{number}", "1").replace("{file}", "flac")))
        starts = answer.body.startswith(FORMATS["flac"][1])
        expect(answer.status == 200 and starts, f"{answer.body[:160]!r}")
        expect(answer.headers.get("accept-ranges") == "bytes", "no ranges")
        return f"{len(answer.body):,} bytes"

    check("GET", path, "flac")(sends)


add_job_audio(f"{JOB}/chapters/{{number}}")
add_job_audio(f"{JOB}/files/{{file}}")


@check("GET", f"{JOB}/playlist.m3u8", "the chapters that can be heard")
def job_playlist(server: Server) -> str:
    lines = server.ask("GET", at_job(f"{JOB}/playlist.m3u8")).body.decode().splitlines()
    expect(lines[0] == "#EXTM3U" and lines[-1] == "chapters/1", f"{lines}")
    return f"{len(lines)} lines"


@check("DELETE", JOB, "removed with its files")
def job_removed(server: Server) -> str:
    status = server.ask("DELETE", at_job(JOB)).status
    expect(status == 204, f"{status}")
    error_of(server.ask("GET", at_job(JOB)), 404)
    return "gone"


# --- running ----------------------------------------------------------


def endpoints(server: Server) -> set[tuple[str, str]]:
    """Return method and path of every endpoint in the server's description."""
    paths = answer_of(server, "/openapi.json").get("paths")
    if not isinstance(paths, dict):
        raise Wrong("openapi.json has no paths")
    return {(method.upper(), path) for path, methods in paths.items() for method in methods}


def wait(server: Server, seconds: float) -> None:
    """Wait until the server is ready, and report on stderr.

    Raises `Wrong` after some seconds.
    """
    end, shown = time.monotonic() + seconds, ""
    while True:
        try:
            answer = server.ask("GET", "/health/ready")
            state = (
                "ready" if answer.status == 200 else str(answer_of(server, "/health").get("models"))
            )
        except Wrong as wrong:
            state = str(wrong)
        if state != shown:
            print(
                f"{time.monotonic() - end + seconds:5.0f} s  {state}", file=sys.stderr, flush=True
            )
        if state == "ready":
            return
        expect(time.monotonic() < end, f"not ready after {seconds:g} s: {state}")
        shown = state
        time.sleep(0.5)


def run(server: Server, offered: set[tuple[str, str]]) -> Iterator[tuple[str, str, str, bool, str]]:
    """Run the checks one by one and yield their results.

    A result has the method, the path, the name of the check, True if it passed, and a detail.
    """
    for method, path, what, function in CHECKS:
        try:
            yield method, path, what, True, function(server)
        except Wrong as wrong:
            yield method, path, what, False, str(wrong)
        except (
            LookupError,
            TypeError,
            ValueError,
        ) as surprise:  # an answer of another shape than expected
            yield method, path, what, False, f"an answer of another shape: {surprise!r}"
    for method, path in sorted(offered - {(method, path) for method, path, _, _ in CHECKS}):
        yield method, path, "is tested", False, "the server offers it, and no check here knows it"


def main() -> int:
    parser = argparse.ArgumentParser(description="Test every endpoint of a running speech server.")
    parser.add_argument(
        "url", nargs="?", default="http://localhost:8000", help="the server; %(default)s"
    )
    parser.add_argument("--save", type=Path, metavar="DIR", help="keep the audio in this folder")
    parser.add_argument("--model", help="ask this model instead of the server's choice")
    parser.add_argument("--api-key", help="sent as a bearer token")
    parser.add_argument(
        "--timeout", type=float, default=120.0, metavar="S", help="for each answer, in seconds; 120"
    )
    parser.add_argument(
        "--until-ready",
        type=float,
        metavar="S",
        help="only wait until it is ready, S seconds at most",
    )
    parser.add_argument(
        "--insecure", action="store_true", help="take any certificate, as a self-signed one"
    )
    given = parser.parse_args()
    context = ssl._create_unverified_context() if given.insecure else None
    fields = {"model": given.model} if given.model else {}
    server = Server(
        given.url.rstrip("/"), given.api_key, given.timeout, context, given.save, fields
    )
    try:
        if given.until_ready is not None:
            wait(server, given.until_ready)
            return 0
        offered = endpoints(server)
    except Wrong as wrong:
        print(f"{server.url}: {wrong}", file=sys.stderr)
        return 2
    counts = {True: 0, False: 0}
    for method, path, what, right, seen in run(server, offered):
        counts[right] += 1
        print(f"{'ok  ' if right else 'FAIL'} {method:4} {path:22} {what:34} {seen}", flush=True)
    print(f"\n{counts[True]} right, {counts[False]} wrong, at {server.url}")
    return 1 if counts[False] else 0


if __name__ == "__main__":
    sys.exit(main())
