"""Send 5,000 messages that are wrong in some way, beside a client who is right."""

import asyncio
import json
import random
from collections.abc import Callable
from typing import Any, Final

import pytest
from wyoming.event import Event, async_read_event

from tests.conftest import tone_pool
from tests.wyoming.house import House, audio, hear, house, say
from vivavoce.wyoming.wire import MAX_DATA_BYTES, MAX_HEADER_BYTES, MAX_PAYLOAD_BYTES

MESSAGES: Final = 5_000
AT_ONCE: Final = 8
TYPES: Final = (
    "describe", "ping", "synthesize", "synthesize-start", "synthesize-chunk", "synthesize-stop",
    "audio-start", "audio-stop", "select-program", "transcribe", "", "\0", "SYNTHESIZE",
)  # fmt: skip
TEXTS: Final = (
    "", "Hi. ", "One, two. ", "1,250.5 euros", "…", "\0\x1b[0m", "<speak>", "[pause:9s]", "`" * 300,
    "\ud800", "日本語。", "🎉", "a" * 3_000, "</speak>" * 40, "\u202eabc", "%s%n",
)  # fmt: skip
VALUES: Final[tuple[Any, ...]] = (
    None, True, 0, -1, 1e308, 10**400, "", "hum", "x" * 300, [], [[]], {}, {"name": "hum"},
    {"name": None}, {"name": 5}, {"language": "tlh"}, {"speaker": "a/b"}, {"name": "tone/"},
)  # fmt: skip
PING: Final = b'{"type": "ping", "data": {"text": "fuzz"}}\n'
WITNESS: Final = "The witness says this."
ENDS: Final = ("pong", "error", "closed")


def value(chance: random.Random) -> Any:
    return chance.choice(TEXTS) if chance.random() < 0.6 else chance.choice(VALUES)


def framed(chance: random.Random) -> bytes:
    """Return an event of any type with any data, whose lengths are right."""
    fields = ("text", "voice", "text_format", "context", "name")
    data = {field: value(chance) for field in fields if chance.random() < 0.4}
    if chance.random() < 0.7:
        data["text"] = chance.choice(TEXTS)
        data["voice"] = {"name": chance.choice(("hum", "crash", "nan", "nobody", "alloy"))}
    payload = bytes(chance.choice((0, 0, 0, 1, 70_000)))
    header: dict[str, Any] = {"type": chance.choice(TYPES[:6] if chance.random() < 0.8 else TYPES)}
    encoded = json.dumps(data).replace("1" + "0" * 400, "1e999").encode()
    if chance.random() < 0.5:
        header["data"] = data
        encoded = b""
    else:
        header["data_length"] = len(encoded)
    if payload:
        header["payload_length"] = len(payload)
    return json.dumps(header).encode() + b"\n" + encoded + payload


def raw(chance: random.Random) -> bytes:
    """Return what is no event, or only a part of one."""
    whole = framed(chance)
    damage: tuple[Callable[[], bytes], ...] = (
        lambda: whole[: chance.randrange(len(whole))],
        lambda: chance.randbytes(chance.randrange(1, 400)),
        lambda: chance.randbytes(40) + b"\n" + whole,
        lambda: bytes(byte ^ (chance.random() < 0.02) for byte in whole[:2_000]),
        lambda: b"{" * (MAX_HEADER_BYTES + 9),
        lambda: b"[" * 20_000 + b"\n",
        lambda: b'{"type": "ping", "data_length": %d}\n' % chance.choice((5, MAX_DATA_BYTES + 1)),
        lambda: b'{"type": "ping", "payload_length": %d}\n{}' % (MAX_PAYLOAD_BYTES + 1),
        lambda: b'{"type": "ping", "data_length": "5", "payload_length": -1}\nabcde',
        lambda: b'{"type": "ping", "data_length": %d}\n' % 10**30,
        lambda: b'{"type": "ping", "data_length": 3}\n[1]' + whole,
        lambda: b'{"type": "ping", "data_length": 1.5}\n',
        lambda: b'{"type": 5}\n' + whole,
        lambda: b'"ping"\nnull\n[]\n',
        lambda: b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        lambda: b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        lambda: b"\n",
        lambda: b'{"type": "synthesize", "data": {"text": "\xff\xfe"}}\n',
    )
    return chance.choice(damage)()


async def outcome(running: House, messages: list[bytes], *, complete: bool) -> str:
    """Send `messages` and a ping, and return how the server ends it, also for a truncated one."""
    reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
    try:
        async with asyncio.timeout(20):
            try:
                writer.write(b"".join(messages) + PING)
                await writer.drain()
                if not complete:
                    writer.write_eof()
                while (event := await async_read_event(reader)) is not None:
                    assert_own(event)
                    if event.type == "error" or event.data.get("text") == "fuzz":
                        return event.type
            except ConnectionError:
                pass
            return "closed"
    finally:
        writer.transport.abort()


def assert_own(event: Event) -> None:
    """Each event is one that a server sends, and errors are for people."""
    assert event.type in ("info", "pong", "error", "audio-start", "audio-chunk", "audio-stop",
                          "synthesize-stopped")  # fmt: skip
    if event.type == "error":
        assert len(event.data["text"]) > 10
        assert event.data["code"] != "error"


async def witness(running: House, expected: bytes) -> None:
    """Speak until cancelled, and check every answer."""
    while True:
        async with running.client() as client:
            await say(client, WITNESS)
            assert audio(await hear(client)) == expected


async def test_wrong_messages_get_an_error_or_a_close_and_touch_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    chance = random.Random(1)
    sent = 0
    seen = dict.fromkeys(ENDS, 0)
    async with house(pool=tone_pool(max_batch=8)) as running:
        async with running.client() as client:
            await say(client, WITNESS)
            expected = audio(await hear(client))
        speaking = asyncio.create_task(witness(running, expected))

        async def fuzz() -> None:
            nonlocal sent
            while sent < MESSAGES:
                complete = chance.random() < 0.6
                make = framed if complete else raw
                messages = [make(chance) for _ in range(chance.randrange(1, 6))]
                sent += len(messages)
                seen[await outcome(running, messages, complete=complete)] += 1

        await asyncio.gather(*(fuzz() for _ in range(AT_ONCE)))
        assert not speaking.done()
        speaking.cancel()
        await asyncio.wait((speaking,))
        await running.is_free()
        async with running.client() as client:
            await say(client, WITNESS)
            assert audio(await hear(client)) == expected
    assert all(seen.values()), seen
    # The model was told to fail, and says so.
    records = [one for one in caplog.records if not one.name.startswith("vivavoce.serving.")]
    assert [one.getMessage() for one in records if one.exc_info or one.levelname == "ERROR"] == []
