"""Check both WebSockets message by message, over a real socket."""

import base64
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.conftest import FAULTS, serving, tone_pool
from vivavoce.api.app import create_app
from vivavoce.keys import FILE_NAME, KeyFile
from vivavoce.models.tone import CHAR_S, ToneModel
from vivavoce.serving.local import LocalEngine
from vivavoce.serving.pool import Pool
from vivavoce.settings import Settings

TEXT = "The quick brown fox jumps over the lazy dog. "
BYTES_PER_S = 48_000
ONE, MANY = "stream-input", "multi-stream-input"
Message = dict[str, Any]


def opened(url: str, path: str, voice: str = "sine", **query: object) -> ClientConnection:
    asked = {"output_format": "pcm_24000", **query}
    parameters = "&".join(f"{name}={value}" for name, value in asked.items())
    address = url.replace("http:", "ws:")
    return connect(f"{address}/v1/text-to-speech/{voice}/{path}?{parameters}")


def say(socket: ClientConnection, **message: object) -> None:
    socket.send(json.dumps(message))


def heard(socket: ClientConnection, context: str | None = None) -> list[Message]:
    """Return the messages up to the final one, of a context if it is named."""
    found = list[Message]()
    while not found or not found[-1].get("isFinal"):
        message = json.loads(socket.recv(timeout=20))
        if context is None or message.get("contextId") == context:
            found.append(message)
    return found


def audio(messages: Sequence[Message]) -> bytes:
    return b"".join(base64.b64decode(message.get("audio") or "") for message in messages)


def seconds(messages: Sequence[Message]) -> float:
    return len(audio(messages)) / BYTES_PER_S


def chars(messages: Sequence[Message], name: str = "alignment") -> str:
    return "".join("".join(one[name]["chars"]) for one in messages if one.get(name))


def word_times_s(messages: Sequence[Message], *, absolute: bool) -> list[tuple[str, float]]:
    """Return the words with their starts, by the clock of pipecat or that of LiveKit."""
    words, clock_ms, word, start = list[tuple[str, float]](), 0, "", 0.0
    for times in (one["alignment"] for one in messages if one.get("alignment")):
        starts, lengths = times["charStartTimesMs"], times["charDurationsMs"]
        for char, at in zip(times["chars"], starts, strict=True):
            if char != " ":
                start = start if word else (clock_ms + at) / 1000
                word += char
            elif word:
                words.append((word, start))
                word = ""
        if not absolute:
            clock_ms += starts[-1] + lengths[-1]
    assert word == ""  # a space behind the last one
    return words


@pytest.fixture
def slow_url() -> Iterator[str]:
    """Yield a server that speaks in real time."""
    model = ToneModel(real_time_factor=1.0, faults=FAULTS)
    app = create_app(Settings(), Pool({"tone": lambda: LocalEngine(model)}))
    with serving(app) as url:
        yield url


def test_one_text_is_spoken_and_the_connection_closed(url: str) -> None:
    with opened(url, ONE) as socket:
        say(socket, text=" ", voice_settings={"stability": 0.5}, xi_api_key="none")
        for word in TEXT.split():
            say(socket, text=f"{word} ", try_trigger_generation=True)
        say(socket, text="")
        messages = heard(socket)
        assert seconds(messages) == pytest.approx(len(TEXT.strip()) * CHAR_S, abs=0.1)
        assert chars(messages) == chars(messages, "normalizedAlignment") == TEXT
        assert messages[-1]["audio"] is None
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=20)
        assert socket.close_code == 1000


@pytest.mark.parametrize("sync", [False, True])
def test_times_of_words_are_those_of_the_audio(url: str, sync: bool) -> None:
    with opened(url, ONE, sync_alignment=sync) as socket:
        say(socket, text=TEXT)
        say(socket, text=TEXT)
        say(socket, text="")
        words = word_times_s(heard(socket), absolute=sync)
    assert [word for word, _ in words] == (TEXT * 2).split()
    first = dict(words[:9])
    assert first["fox"] == pytest.approx(TEXT.index("fox") * CHAR_S, abs=0.03)
    assert first["lazy"] == pytest.approx(TEXT.index("lazy") * CHAR_S, abs=0.03)
    assert [at for _, at in words] == sorted(at for _, at in words)


def test_flush_speaks_a_few_words_and_the_text_goes_on(url: str) -> None:
    with opened(url, ONE) as socket:
        say(socket, text="Only two", flush=True)
        first = json.loads(socket.recv(timeout=20))
        assert first["audio"]
        assert first["isFinal"] is None
        say(socket, text=" more words")
        say(socket, text="")
        assert chars([first, *heard(socket)]) == "Only two more words "


def test_client_without_a_word_gets_the_end(url: str) -> None:
    with opened(url, ONE) as socket:
        say(socket, text=" ")
        say(socket, text="")
        assert heard(socket) == [
            {"audio": None, "isFinal": True, "alignment": None, "normalizedAlignment": None}
        ]


@pytest.mark.parametrize(
    ("path", "voice", "query", "status", "says"),
    [
        (ONE, "nobody", {}, 404, "sine"),
        (MANY, "nobody", {}, 404, "sine"),
        (MANY, "sine", {"model_id": "gpt"}, 404, "tone"),
        (MANY, "sine", {"output_format": "mp4"}, 422, "mp3_44100_128"),
        (MANY, "sine", {"output_format": "pcm_12345"}, 422, "24000"),
        (ONE, "sine", {"language_code": "xx"}, 422, "english"),
        (ONE, "sine", {"inactivity_timeout": "no"}, 422, "inactivity_timeout"),
    ],
)
def test_wrong_address_is_refused_before_the_handshake(
    url: str, path: str, voice: str, query: Message, status: int, says: str
) -> None:
    with pytest.raises(InvalidStatus) as refused:
        opened(url, path, voice, **query)
    assert refused.value.response.status_code == status
    assert says in json.loads(refused.value.response.body or b"")["detail"]["message"]


def test_error_closes_a_single_text(url: str) -> None:
    with opened(url, ONE, "crash-at-once") as socket:
        say(socket, text=TEXT, flush=True)
        error = json.loads(socket.recv(timeout=20))
        assert (error["error"], error["code"]) == ("engine_fault", 1011)
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=20)
        assert socket.close_code == 1011


def test_error_ends_one_of_many_texts_and_no_other(url: str) -> None:
    with opened(url, MANY) as socket:
        say(socket, context_id="a", text=TEXT, voice_settings={"speed": "fast"})
        error = json.loads(socket.recv(timeout=20))
        assert error["contextId"] == "a"
        assert "voice_settings" in error["message"]
        say(socket, context_id="b", text=TEXT, flush=True)
        say(socket, context_id="b", close_context=True)
        assert chars(heard(socket, "b")) == TEXT


def test_clients_that_close_a_context_after_its_flush_hear_all_of_it(url: str) -> None:
    with opened(url, MANY) as socket:
        say(socket, text=" ", context_id="a", voice_settings={"stability": 0.5})
        say(socket, text=TEXT, context_id="a", flush=True)
        say(socket, text="", context_id="a", flush=True)
        say(socket, context_id="a", close_context=True)
        messages = heard(socket, "a")
        assert seconds(messages) == pytest.approx(len(TEXT.strip()) * CHAR_S, abs=0.1)
        assert chars(messages) == TEXT
        say(socket, text=TEXT, context_id="a", flush=True)  # the name is free again
        say(socket, context_id="a", close_context=True)
        assert chars(heard(socket, "a")) == TEXT


@pytest.mark.parametrize("flushed", [False, True])
def test_interrupted_context_stops_and_the_next_one_speaks_at_once(
    slow_url: str, flushed: bool
) -> None:
    """Without a flush a client closes the context once, and after one a second time."""
    with opened(slow_url, MANY) as socket:
        say(socket, text=TEXT * 10, context_id="a", flush=flushed)
        if flushed:
            say(socket, context_id="a", close_context=True)
        assert json.loads(socket.recv(timeout=20))["contextId"] == "a"
        say(socket, context_id="a", close_context=True)
        assert len(heard(socket, "a")) < 40
        say(socket, text="Yes? ", context_id="b", flush=True)
        message = json.loads(socket.recv(timeout=20))
        assert message["contextId"] == "b"  # and nothing more of the first
        assert message["audio"]


def test_contexts_do_not_wait_for_each_other(slow_url: str) -> None:
    """A client that is interrupted may say nothing about the text that it drops."""
    with opened(slow_url, MANY) as socket:
        say(socket, text=TEXT * 10, context_id="a", flush=True)
        say(socket, context_id="a", close_context=True)
        assert json.loads(socket.recv(timeout=20))["contextId"] == "a"
        began = time.monotonic()
        say(socket, text="Yes? ", context_id="b", flush=True)
        while json.loads(socket.recv(timeout=20))["contextId"] != "b":
            pass
        assert time.monotonic() - began < 5  # the first takes 27


def test_empty_text_keeps_many_alive_and_ends_none(url: str) -> None:
    with opened(url, MANY) as socket:
        say(socket, text="")
        say(socket, text=TEXT, context_id="a")
        say(socket, text="", context_id="a")
        say(socket, text="Goodbye. ", context_id="a")
        say(socket, close_socket=True)
        assert chars(heard(socket, "a")) == f"{TEXT}Goodbye. "
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=20)
        assert socket.close_code == 1000


def test_silent_client_hears_its_text_and_is_closed(url: str) -> None:
    with opened(url, ONE, inactivity_timeout=0.5) as socket:
        say(socket, text="Unfinished business")
        assert chars(heard(socket)) == "Unfinished business "
    with opened(url, MANY, inactivity_timeout=0.5) as socket:
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=20)
        assert socket.close_code == 1001


def test_contexts_without_words_cost_nothing(url: str) -> None:
    with opened(url, MANY) as socket:
        for number in range(200):
            say(socket, text=" ", context_id=str(number))
        say(socket, text=TEXT, context_id="last", flush=True)
        say(socket, context_id="last", close_context=True)
        assert chars(heard(socket, "last")) == TEXT


def test_key_comes_in_the_header(tmp_path: Path) -> None:
    key = KeyFile(tmp_path / FILE_NAME).create("phone")
    app = create_app(Settings(data_dir=tmp_path), tone_pool())
    with serving(app) as url:
        with pytest.raises(InvalidStatus) as refused:
            opened(url, MANY)
        assert refused.value.response.status_code == 401
        detail = json.loads(refused.value.response.body or b"")["detail"]
        assert detail["status"] == "invalid_api_key"
        address = f"{url.replace('http:', 'ws:')}/elevenlabs/v1/text-to-speech/sine/{MANY}"
        with connect(address, additional_headers={"xi-api-key": key}) as socket:
            say(socket, text=TEXT, flush=True)
            assert json.loads(socket.recv(timeout=20))["contextId"] == "default"


def test_lists_are_elevenlabs_for_its_header_alone(url: str) -> None:
    with httpx.Client(base_url=url) as client:
        assert client.get("/v1/models").json()["object"] == "list"
        models = client.get("/v1/models", headers={"xi-api-key": "none"}).json()
        assert models == client.get("/elevenlabs/v1/models").json()
        assert models[0]["model_id"] == "tone"
