"""Send 5,000 messages to each dialect, most of them wrong, beside a client that does all right.

- Each answer has the dialect's form, and the server goes on.
- The other client hears its own text, each time.
- Nothing is logged as an error.
"""

import asyncio
import base64
import copy
import json
import logging
import random
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.api.live.wire import Wire, audio_of, wire
from tests.conftest import serving, tone_pool
from vivavoce.api.app import create_app
from vivavoce.settings import Settings

MESSAGES = 5_000
PROBED = 250  # messages between two questions that must be answered
TEXT = "The lamp is on the table."
CLOSED = (1000, 1008)  # as the client asked, or after too many errors

WORDS: Any = {"stream_audio": True, "response_format": "pcm", "word_timestamps": True}
PHONE: Any = {"output": {"format": {"type": "audio/pcmu"}}}
JUNK: Sequence[Any] = (
    None, True, False, 0, -1, 1, 1.5, 1e308, -(10**30), float("nan"), float("inf"),
    "", " ", "a", "x" * 300, "\ud800", "ﷺ\u0000", "auto", "none", "say: hello", "<speak>",
    "session.update", [], {}, [None], [[]], {"type": []}, {"text": 1}, [{}] * 3,
)  # fmt: skip
RAW = (
    "",
    "{",
    "[]",
    "null",
    '"a"',
    "[" * 3_000,
    "1" * 5_000,
    '{"type": "a", "type": }',
    b"\x00\xff",
)


def content(text: str, kind: str = "input_text") -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": [{"type": kind, "text": text}]}


def task(action: str, name: str = "t", **payload: Any) -> dict[str, Any]:
    return {"header": {"action": action, "task_id": name}, "payload": payload}


OPENAI: Sequence[Any] = (
    {"type": "session.update", "session": {"type": "realtime", "instructions": "Be kind."}},
    {"type": "session.update", "session": {"audio": PHONE}},
    {"type": "session.update", "session": {"voice": "sine", "speed": 1.5, "tools": []}},
    {"type": "conversation.item.create", "item": content("Hello."), "previous_item_id": "root"},
    {"type": "conversation.item.create", "item": {**content("Hello."), "id": "i"}},
    {"type": "conversation.item.retrieve", "item_id": "i"},
    {"type": "conversation.item.delete", "item_id": "i"},
    {"type": "conversation.item.truncate", "item_id": "i", "content_index": 0, "audio_end_ms": 5},
    {"type": "response.create"},
    {"type": "response.create", "response": {"conversation": "none", "input": [content("Good.")]}},
    {"type": "response.create", "response": {"input": [{"type": "item_reference", "id": "i"}]}},
    {"type": "response.create", "response": {"instructions": "Say: a.", "metadata": {"a": "b"}}},
    {"type": "response.cancel"},
    {"type": "output_audio_buffer.clear"},
    {"type": "input_audio_buffer.clear"},
    {"type": "input_audio_buffer.append", "audio": "AAAA"},
    {"type": "input_audio_buffer.commit"},
)  # fmt: skip
OMNI: Sequence[Any] = (
    {"type": "session.config", "voice": "sine"},
    {"type": "session.config", "stream_audio": True, "response_format": "pcm"},
    {"type": "session.config", "split_granularity": "clause", "response_format": "mp3"},
    {"type": "session.config", "session": WORDS},
    {"type": "input.text", "text": "Hello there. How are"},
    {"type": "input.text", "text": " you, my friend?"},
    {"type": "input.commit"},
    {"type": "input.done"},
    {"type": "input.done"},
)  # fmt: skip
QWEN: Sequence[Any] = (
    {"type": "session.update", "session": {"voice": "sine", "mode": "commit"}},
    {"type": "session.update", "session": {"mode": "server_commit", "response_format": "mp3"}},
    {"type": "input_text_buffer.append", "text": "Hello there. "},
    {"type": "input_text_buffer.append", "text": "How are you?"},
    {"type": "input_text_buffer.commit"},
    {"type": "input_text_buffer.clear"},
    {"type": "response.cancel"},
)  # fmt: skip
COSY: Sequence[Any] = (
    task("run-task", parameters={"voice": "sine", "format": "pcm", "sample_rate": 24_000}),
    task("run-task", parameters={"format": "mp3", "word_timestamp_enabled": True, "rate": 1.5}),
    task("run-task", "u", input={"text": "Hello."}),
    task("continue-task", input={"text": "Hello there. "}),
    task("continue-task", "u", input={"text": "How are you?", "flush": True}),
    task("finish-task", input={}),
    task("finish-task", "u", input={"directive": "cancel"}),
)  # fmt: skip


async def speak_openai(live: Wire) -> bytes:
    await live.send(type="response.create", response={"input": [content(TEXT)], "voice": "hum"})
    events = await live.until("response.done")
    kind = "response.output_audio.delta"
    return b"".join(base64.b64decode(one["delta"]) for one in events if one["type"] == kind)


async def speak_omni(live: Wire) -> bytes:
    config = {"stream_audio": True, "response_format": "pcm", "voice": "hum"}
    await live.send(type="session.config", **config)
    await live.send(type="input.text", text=TEXT)
    await live.send(type="input.done")
    return audio_of(await live.until("session.done"))


async def speak_qwen(live: Wire) -> bytes:
    await live.send(type="session.update", session={"voice": "hum", "mode": "commit"})
    await live.send(type="input_text_buffer.append", text=TEXT)
    await live.send(type="input_text_buffer.commit")
    events = await live.until("response.done")
    kind = "response.audio.delta"
    return b"".join(base64.b64decode(one["delta"]) for one in events if one["type"] == kind)


async def speak_cosy(live: Wire) -> bytes:
    given = {"voice": "hum", "format": "pcm", "sample_rate": 24_000}
    await live.send(**task("run-task", parameters=given, input={"text": TEXT}))
    await live.send(**task("finish-task"))
    got = [await live.receive()]
    while isinstance(got[-1], bytes) or got[-1]["header"]["event"] != "task-finished":
        got.append(await live.receive())
    return audio_of(got)


@dataclass(frozen=True)
class Dialect:
    path: str
    messages: Sequence[Any]
    speak: Callable[[Wire], Awaitable[bytes]]
    events: tuple[str, ...]  # how the types of all its messages begin
    audio: bool  # there are binary frames
    by_header: bool = False

    def check(self, got: str | bytes) -> None:
        """Fail if a message has not the dialect's form."""
        if isinstance(got, bytes):
            assert self.audio
            return
        message = json.loads(got)
        kind = message["header"]["event"] if self.by_header else message["type"]
        assert kind.startswith(self.events), kind
        if kind == "error":
            error = message.get("error", message)
            assert error["message"]
            assert error["code"]
        if kind == "task-failed":
            assert message["header"]["error_code"]
            assert message["header"]["error_message"]

    def probe(self, name: str) -> str:
        """Return a message whose answer has `name` in it."""
        return json.dumps(task(name, name) if self.by_header else {"type": name})


REALTIME = ("error", "session.", "response.", "conversation.", "input_", "output_audio_buffer.")
DIALECTS = {
    "openai": Dialect("/v1/realtime", OPENAI, speak_openai, REALTIME, False),
    "omni": Dialect(
        "/v1/audio/speech/stream", OMNI, speak_omni, ("error", "session.", "audio.", "input."), True
    ),
    "qwen": Dialect("/api-ws/v1/realtime", QWEN, speak_qwen, REALTIME, False),
    "cosyvoice": Dialect(
        "/api-ws/v1/inference", COSY, speak_cosy, ("task-", "result-generated"), True, True
    ),
}


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the paths of all values in `value`, but for that of the whole."""
    items: Any = value.items() if isinstance(value, Mapping) else ()
    items = enumerate(value) if isinstance(value, list) else items
    for key, inner in items:
        yield (*path, key)
        yield from places(inner, (*path, key))


def mutated(message: Any, chance: random.Random) -> Any:
    message = copy.deepcopy(message)
    for _ in range(chance.choice((0, 0, 1, 1, 2, 3))):
        paths = list(places(message))
        if not paths:
            return message
        *way, last = chance.choice(paths)
        inside = message
        for key in way:
            inside = inside[key]
        match chance.randrange(4):
            case 0:
                del inside[last]
            case 1 if isinstance(inside, dict):
                inside[chance.choice(("a", "text", "voice", "event_id", "id"))] = chance.choice(
                    JUNK
                )
            case _:
                inside[last] = copy.deepcopy(chance.choice(JUNK))
    return message


def written(dialect: Dialect, chance: random.Random) -> str | bytes:
    if chance.random() < 0.05:
        return chance.choice(RAW)
    return json.dumps(mutated(chance.choice(dialect.messages), chance))


class Fuzzer:
    """A client that reads all the time, and comes back when it was sent away."""

    def __init__(self, url: str, dialect: Dialect) -> None:
        self.url = url.replace("http", "ws", 1) + dialect.path
        self.dialect = dialect
        self.answered = asyncio.Event()
        self.wanted = ""
        self.received = self.connections = 0

    async def run(self, chance: random.Random) -> None:
        left = MESSAGES
        while left:
            async with connect(self.url, max_size=None) as socket:
                self.connections += 1
                reading = asyncio.create_task(self._read(socket))
                with suppress(ConnectionClosed):
                    while left and not reading.done():
                        await socket.send(written(self.dialect, chance))
                        left -= 1
                        if left % PROBED == 0:
                            await self._probe(socket, reading, f"probe-{left}")
                if not left:
                    await socket.close()
                await reading
                assert not left or socket.close_code in CLOSED, socket.close_code

    async def _probe(
        self, socket: ClientConnection, reading: "asyncio.Task[None]", name: str
    ) -> None:
        self.wanted = name
        self.answered.clear()
        await socket.send(self.dialect.probe(name))
        answer = asyncio.create_task(self.answered.wait())
        done, _ = await asyncio.wait(
            (answer, reading), timeout=60, return_when=asyncio.FIRST_COMPLETED
        )
        answer.cancel()
        assert done, f"{name} was not answered"

    async def _read(self, socket: ClientConnection) -> None:
        with suppress(ConnectionClosed):
            async for message in socket:
                self.received += 1
                self.dialect.check(message)
                if isinstance(message, str) and self.wanted and self.wanted in message:
                    self.answered.set()


@pytest.fixture
def errors() -> Iterator[list[logging.LogRecord]]:
    """Yield the errors that are logged, those of uvicorn too."""
    records: list[logging.LogRecord] = []

    class Keeping(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)

    handler = Keeping(logging.ERROR)
    loggers = [logging.getLogger(name) for name in (None, "uvicorn", "uvicorn.error")]
    for logger in loggers:
        logger.addHandler(handler)
    yield records
    for logger in loggers:
        logger.removeHandler(handler)


@pytest.mark.parametrize("name", DIALECTS)
async def test_wrong_messages_harm_nobody(name: str, errors: list[logging.LogRecord]) -> None:
    dialect = DIALECTS[name]
    pool = tone_pool(char_s=0.01)
    with serving(create_app(Settings(max_text_chars=1_000), pool)) as url:
        body = {"input": TEXT, "voice": "hum", "response_format": "pcm"}
        async with httpx.AsyncClient(timeout=60) as http:
            whole = (await http.post(f"{url}/v1/audio/speech", json=body)).content
        fuzzer = Fuzzer(url, dialect)
        fuzzing = asyncio.create_task(fuzzer.run(random.Random(name)))
        times = 0
        async with wire(url, dialect.path) as live:
            while not fuzzing.done() or times < 3:
                async with asyncio.timeout(60):
                    assert await dialect.speak(live) == whole
                times += 1
                await asyncio.sleep(0.05)
        await fuzzing
        async with httpx.AsyncClient() as http:
            health = (await http.get(f"{url}/health")).json()
    assert health["status"] == "ok"
    assert fuzzer.received > MESSAGES / 2
    assert [record.getMessage() for record in errors] == []
