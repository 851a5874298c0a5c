"""Check that an interruption tears no message and no response, whenever it comes."""

import asyncio
import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

from tests.api.live.wire import wire
from tests.conftest import serving, tone_pool
from vivavoce.api.app import create_app
from vivavoce.settings import Settings


async def test_interruption_leaves_audio_with_its_message() -> None:
    app, inbox, sent = create_app(Settings(), tone_pool()), asyncio.Queue[Any](), list[Any]()
    sending, may_send, interrupted = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def send(message: Any) -> None:
        if message.get("bytes") is not None:  # a client that reads slowly
            sending.set()
            await may_send.wait()
        sent.append(message)
        if "interrupted" in message.get("text", ""):
            interrupted.set()

    def say(**message: Any) -> None:
        inbox.put_nowait({"type": "websocket.receive", "text": json.dumps(message)})

    scope = {"type": "websocket", "path": "/v1/tts/stream", "headers": [(b"host", b"localhost")]}
    scope |= {
        "raw_path": b"/v1/tts/stream",
        "query_string": b"",
        "scheme": "ws",
        "subprotocols": [],
    }
    async with app.router.lifespan_context(app):
        inbox.put_nowait({"type": "websocket.connect"})
        serving = asyncio.create_task(app(scope, inbox.get, send))
        say(type="begin", text="The lamp is on the table. The cat is under it.")
        await sending.wait()
        say(type="interrupt")
        for _ in range(100):  # until the interruption waits for what is being sent
            await asyncio.sleep(0)
        may_send.set()
        await interrupted.wait()
        inbox.put_nowait({"type": "websocket.disconnect", "code": 1000})
        await serving
    kinds = ["bytes" if "bytes" in one else json.loads(one["text"])["type"] for one in sent[1:]]
    assert kinds == ["ready", "started", "audio", "bytes", "interrupted"]


@pytest.fixture
def url() -> Iterator[str]:
    """Yield a server that speaks at twenty times the speed of speech."""
    with serving(create_app(Settings(), tone_pool(real_time_factor=0.05))) as url:
        yield url


async def test_responses_that_are_cancelled_at_any_moment_end_once(url: str) -> None:
    chance = random.Random(1)
    content = [{"type": "input_text", "text": "The lamp is on the table. The cat is under it."}]
    response = {"input": [{"type": "message", "role": "user", "content": content}]}
    ends = set()
    async with wire(url, "/v1/realtime") as live:
        await live.receive()
        for number in range(60):
            await live.send(type="response.create", response=response)
            got = [await live.receive() for _ in range(chance.randrange(1, 12))]
            await live.send(type="response.cancel")
            await live.send(type="conversation.item.retrieve", item_id=f"none-{number}")
            while "error" not in got[-1] or f"none-{number}" not in got[-1]["error"]["message"]:
                got.append(await live.receive())
            kinds = [one["type"] for one in got if one["type"] != "error"]
            assert kinds[0] == "response.created"
            assert kinds[-1] == "response.done"
            assert kinds.count("response.done") == 1
            for begin, end in (
                ("response.output_item.added", "response.output_item.done"),
                ("response.content_part.added", "response.content_part.done"),
                ("conversation.item.added", "conversation.item.done"),
            ):
                assert (
                    kinds.count(begin)
                    == kinds.count(end)
                    == kinds.count("response.output_audio.done")
                )
                assert begin not in kinds or kinds.index(begin) < kinds.index(end)
            done = next(one for one in got if one["type"] == "response.done")
            ends.add(done["response"]["status"])
    assert "cancelled" in ends
