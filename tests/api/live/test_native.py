"""Live speech over our own protocol: a real server, the Python client and bare WebSockets."""

import asyncio
import json
import random
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.api.test_lifecycle import server
from tests.conftest import serving, tone_pool
from vivavoce.api.app import create_app
from vivavoce.client import AsyncClient
from vivavoce.errors import BadRequest, NotReady, RateLimited, Unauthorized, UnknownVoice
from vivavoce.keys import FILE_NAME, KeyFile
from vivavoce.settings import Settings

TEXT = "Good morning, Dr. Smith. It costs $4.50, I think. Are you sure? Then we go home."
JUNK = [
    None, 1, -1, 1e308, "", "a", "x" * 5_000, True, [], {}, [{}], "text", "\ud800", {"type": "a"},
]  # fmt: skip
TYPES = ["begin", "text", "flush", "end", "interrupt", "ping", "audio", "", "begin ", 3, None]
FIELDS = [
    "context", "text", "flush", "played_ms", "speaker", "language", "speed", "format", "timestamps",
    "sample_rate", "model", "seed", "pronunciations", "ref_audio", "nonsense",
]  # fmt: skip


@asynccontextmanager
async def socket_to(url: str, **options: Any) -> AsyncIterator[ClientConnection]:
    # The client leaves unread what it is sent, so it does not wait for the end of that either.
    options = {"close_timeout": 0.2, **options}
    async with connect(f"ws{url.removeprefix('http')}/v1/tts/stream", **options) as socket:
        assert json.loads(await socket.recv())["type"] == "ready"
        yield socket


async def told(socket: ClientConnection, kind: str) -> dict[str, Any]:
    """Return the next message of type `kind`."""
    async with asyncio.timeout(30):
        while True:
            text = await socket.recv()
            if isinstance(text, str) and (message := json.loads(text))["type"] == kind:
                assert isinstance(message, dict)
                return message


async def say(socket: ClientConnection, **message: Any) -> None:
    await socket.send(json.dumps(message))


async def test_a_text_is_heard_while_it_is_written_and_told_word_by_word(hibari_url: str) -> None:
    async with AsyncClient(hibari_url) as client, client.live() as live:
        data = b""
        await live.send("Good morning, Dr. ")
        await live.send("Smith. It costs $4")
        chunks = aiter(live)
        data += (await anext(chunks)).data
        assert live.facts["model"] == "hibari"
        await live.send(".50, I think. Are you sure? Then we go home.")
        await live.end()
        async for chunk in chunks:
            data += chunk.data
        assert len(data) == pytest.approx(2 * 24_000 * live.received_s, abs=100)
        assert [live.text[word.start : word.end] for word in live.words] == [
            word.word for word in live.words
        ]
        spoken = " ".join(word.spoken for word in live.words)
        expected = "Good morning Doctor Smith It costs four dollars and fifty cents I think"
        assert spoken.startswith(expected)
        starts = [word.start_s for word in live.words]
        assert starts == sorted(starts)


async def test_an_interruption_tells_what_was_heard_and_the_next_text_is_spoken(
    hibari_url: str,
) -> None:
    async with AsyncClient(hibari_url) as client, client.live() as live:
        await live.send(TEXT)
        chunks = aiter(live)
        await anext(chunks)
        heard = await live.interrupt(0.9)
        assert heard.heard + heard.unheard == TEXT
        assert heard.heard == "Good morning,"
        assert heard.audio_s == pytest.approx(0.9)
        assert [chunk async for chunk in chunks] == []
        await live.send("And now to something else.")
        await live.end()
        words = [word.word async for chunk in live for word in chunk.words]
        assert words[0] == "And"


async def test_one_task_may_interrupt_while_another_plays(hibari_url: str) -> None:
    async with AsyncClient(hibari_url) as client, client.live() as live:
        for _ in range(5):
            await live.send(TEXT * 5)

            async def play() -> None:
                async for _ in live:
                    await asyncio.sleep(0.01)

            playing = asyncio.create_task(play())
            await asyncio.sleep(0.1)
            assert (await live.interrupt(0.5)).unheard
            await asyncio.wait_for(playing, 5)


async def test_texts_of_several_contexts_come_one_after_the_other(tone_url: str) -> None:
    async with socket_to(tone_url) as socket:
        for name in ("a", "b"):
            await say(
                socket, type="begin", context=name, text=f"This is {name}. ", timestamps="word"
            )
            await say(socket, type="end", context=name)
        order = []
        while len(order) < 2 or order[-1][0] != "done" or order[-1][1] != "b":
            text = await asyncio.wait_for(socket.recv(), 10)
            if isinstance(text, str):
                message = json.loads(text)
                order.append((message["type"], message["context"]))
    assert [kind for kind, name in order if name == "a"][-1] == "done"
    assert [name for _, name in order] == sorted(name for _, name in order)


async def test_formats_of_files_are_whole_over_a_text(tone_url: str) -> None:
    for audio_format, begins in (("mp3", b"ID3"), ("opus", b"OggS"), ("wav", b"RIFF")):
        async with socket_to(tone_url) as socket:
            await say(socket, type="begin", format=audio_format)
            await say(socket, type="text", text="Hello there. This is ", flush=True)
            await say(socket, type="text", text="all.")
            await say(socket, type="end")
            data = b""
            while (message := await socket.recv())[:15] != '{"type": "done"':
                data += message if isinstance(message, bytes) else b""
            assert data.startswith(begins)


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ({"type": "begin", "speed": 9}, "speed"),
        ({"type": "begin", "language": "klingon"}, "language"),
        ({"type": "begin", "nonsense": 1}, "nonsense"),
        ({"type": "begin", "ref_audio": "http://example.com/a.wav"}, "ref_audio"),
        ({"type": "begin", "format": "opus", "sample_rate": 44_100}, "sample_rate"),
        ({"type": "text", "text": 5}, "text"),
        ({"type": "text", "text": "a", "context": "none"}, "context"),
        ({"type": "text", "text": "a" * 100_001}, "text"),
        ({"type": "flush"}, "context"),
        ({"type": "interrupt", "played_ms": -1}, "played_ms"),
        ({"type": "speak"}, "type"),
        ({}, "type"),
        ([], "message"),
    ],
)
async def test_a_wrong_message_is_told_with_its_field(
    tone_url: str, message: Any, field: str
) -> None:
    async with socket_to(tone_url) as socket:
        await socket.send(json.dumps(message))
        assert (await told(socket, "error"))["field"] == field
        await say(socket, type="ping")
        await told(socket, "pong")  # it is still served


async def test_an_unknown_voice_is_an_error_of_its_text_alone(tone_url: str) -> None:
    async with AsyncClient(tone_url) as client, client.live(speaker="nobody") as live:
        await live.send("Hello.")
        await live.end()
        with pytest.raises(UnknownVoice, match="nobody"):
            async for _ in live:
                pass
    async with AsyncClient(tone_url) as client, client.live(language="klingon") as live:
        await live.send("Hello.")
        with pytest.raises(BadRequest, match="klingon"):
            await anext(aiter(live))


async def test_five_thousand_wrong_messages_hang_nothing_and_mix_nothing(
    tone_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    chance = random.Random(9)
    async with socket_to(tone_url) as other:
        await say(other, type="begin", context="mine", timestamps="word")
        for _ in range(10):
            async with socket_to(tone_url) as socket:
                for _ in range(500):
                    await socket.send(_wrong(chance))
                await say(socket, type="ping")
                await told(socket, "pong")
        await say(other, type="text", text="Only mine.")
        await say(other, type="end")
        assert [w["word"] for w in (await told(other, "audio"))["words"]][:1] == ["Only"]
    assert "Traceback" not in caplog.text


def _wrong(chance: random.Random) -> str | bytes:
    kind = chance.random()
    if kind < 0.05:
        return bytes(chance.randrange(256) for _ in range(20))
    if kind < 0.1:
        return chance.choice(["{", "[[[[", "null", '"text"', '{"type":', "NaN", "[" * 2_000])
    message = {"type": chance.choice(TYPES)}
    for _ in range(chance.randrange(4)):
        message[chance.choice(FIELDS)] = chance.choice(JUNK)  # type: ignore[assignment]
    return json.dumps(message)


async def test_keys_scopes_and_limits_are_those_of_http(tmp_path: Path) -> None:
    keys = KeyFile(tmp_path / FILE_NAME)
    key = keys.create("agent", requests_per_minute=2)
    reader = keys.create("reader", scopes=("manage",))
    with serving(create_app(Settings(data_dir=tmp_path), tone_pool())) as url:
        with pytest.raises(Unauthorized):
            async with AsyncClient(url) as client, client.live():
                pass
        with pytest.raises(InvalidStatus) as refused:
            async with socket_to(url, additional_headers={"xi-api-key": reader}):
                pass
        assert refused.value.response.status_code == 403
        async with socket_to(url, subprotocols=["vivavoce", f"api-key.{key}"]) as socket:
            assert socket.subprotocol == "vivavoce"
            await say(socket, type="begin", text="One.")
            await say(socket, type="begin", text="Two.")
            error = await told(socket, "error")
            assert error["code"] == RateLimited.code


async def test_the_outcome_of_a_text_is_known_afterwards(tone_url: str) -> None:
    async with AsyncClient(tone_url) as client, client.live() as live:
        await live.send("Hello.")
        await live.end()
        async for _ in live:
            pass
        outcome = await client.outcome(live.facts["request_id"])
        assert outcome.finish_reason == "complete"
        assert outcome.audio_s == pytest.approx(live.received_s, abs=0.01)


async def test_metrics_count_live_connections(tone_url: str) -> None:
    async with socket_to(tone_url), httpx.AsyncClient(base_url=tone_url) as client:
        assert "vivavoce_live_connections 1.0" in (await client.get("/metrics")).text


async def test_there_are_no_more_connections_than_the_setting(tmp_path: Path) -> None:
    with serving(create_app(Settings(max_live_connections=1), tone_pool())) as url:
        async with socket_to(url):
            with pytest.raises(InvalidStatus) as refused:
                async with socket_to(url):
                    pass
            assert refused.value.response.status_code == 429


async def test_a_silent_connection_is_closed_after_a_while() -> None:
    with serving(create_app(Settings(live_timeout_s=0.2), tone_pool())) as url:
        async with socket_to(url) as socket:
            with pytest.raises(ConnectionClosed) as closed:
                await socket.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1001


async def test_sigterm_lets_a_text_end_and_says_why_it_closes(tmp_path: Path) -> None:
    with server(tmp_path, tone_real_time_factor=0.3) as (process, url):
        async with AsyncClient(url) as client, client.live() as live:
            await live.send("Hello there. This is what was begun, and it is said to its end. ")
            chunks = aiter(live)
            await anext(chunks)
            process.send_signal(signal.SIGTERM)
            async for _ in chunks:
                pass
            assert live.words[-1].word == "end"
            with pytest.raises(NotReady, match="broke"):
                await anext(aiter(live))
            assert await asyncio.to_thread(process.wait, 20) == 0


async def test_a_client_goes_on_with_the_next_word_after_the_server_was_killed(
    tmp_path: Path,
) -> None:
    words: list[str] = []
    with server(tmp_path, tone_real_time_factor=0.3) as (process, url):
        async with AsyncClient(url) as client, client.live() as live:
            await live.send(TEXT)
            await live.end()

            async def play() -> None:
                async for _ in live:
                    if live.received_s > 1.0:
                        process.kill()

            with pytest.raises(NotReady, match="broke"):
                await play()
            words += [word.word for word in live.words if word.end_s <= live.received_s]
            assert words
            process.wait()
            with server(tmp_path, port=int(url.rsplit(":", 1)[1])):
                await live.resume()
                async for chunk in live:
                    words += [word.word for word in chunk.words]
    with server(tmp_path) as (_, url):
        async with AsyncClient(url) as client:
            explained = await client.explain(TEXT)
    said = [TEXT[word.start : word.end] for one in explained.segments for word in one.words]
    assert words == said


async def test_a_slow_reader_holds_up_itself_alone(tone_url: str) -> None:
    async with socket_to(tone_url, max_queue=1) as slow, AsyncClient(tone_url) as client:
        await say(slow, type="begin", text="This goes on. " * 2_000)
        await say(slow, type="end")
        async with client.live() as live:
            for _ in range(3):
                await live.send("Quick.")
                await live.end()
                async with asyncio.timeout(5):
                    samples = np.frombuffer(b"".join([c.data async for c in live]), np.int16)
                assert samples.any()
