"""Check DashScope's two protocols, as its SDK speaks them."""

import base64
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.api.live.wire import Wire, audio_of, wire
from tests.conftest import serving, tone_pool
from tests.decoding import decode
from vivavoce.api.app import create_app
from vivavoce.models.tone import CHAR_S
from vivavoce.settings import Settings

QWEN = "/api-ws/v1/realtime?model=qwen3-tts-flash-realtime"
COSY = "/api-ws/v1/inference"
TEXT = "The lamp is on the table."
RESPONSE = [
    "response.created",
    "response.output_item.added",
    "response.content_part.added",
    "response.audio.delta",
    "response.audio.done",
    "response.content_part.done",
    "response.output_item.done",
    "response.done",
]


@pytest.fixture
def slow_url() -> Iterator[str]:
    """Yield a server that speaks as fast as it is heard."""
    with serving(create_app(Settings(), tone_pool(real_time_factor=1.0))) as url:
        yield url


async def updated(live: Wire, **session: Any) -> Any:
    """Configure the session, and return what it is then."""
    assert (await live.receive())["type"] == "session.created"
    await live.send(type="session.update", session=session)
    answer = await live.receive()
    assert answer["type"] == "session.updated"
    return answer["session"]


def deltas(events: list[Any]) -> bytes:
    kind = "response.audio.delta"
    return b"".join(base64.b64decode(one["delta"]) for one in events if one["type"] == kind)


def kinds(events: list[Any]) -> list[str]:
    return list(dict.fromkeys(one["type"] for one in events))


async def said(url: str, **body: Any) -> bytes:
    """Return the audio of the speech API."""
    async with httpx.AsyncClient(timeout=60) as http:
        answer = await http.post(f"{url}/v1/audio/speech", json={"input": TEXT, **body})
    return answer.content


async def test_commit_mode_speaks_each_commit(tone_url: str) -> None:
    async with wire(tone_url, QWEN) as live:
        session = await updated(live, voice="hum", mode="commit")
        assert (session["mode"], session["sample_rate"]) == ("commit", 24_000)
        whole = await said(tone_url, voice="hum", response_format="pcm")
        for _ in range(2):
            for word in TEXT.split():
                await live.send(type="input_text_buffer.append", text=f" {word}")
            await live.send(type="input_text_buffer.commit")
            events = await live.until("response.done")
            assert kinds(events) == ["input_text_buffer.committed", *RESPONSE]
            assert len(deltas(events)) == pytest.approx(len(whole), rel=0.1)
            assert events[-1]["response"]["status"] == "completed"
            assert events[-1]["response"]["usage"]["characters"] == len(TEXT) + 1
        await live.send(type="session.finish")
        assert (await live.receive())["type"] == "session.finished"
        await live.socket.wait_closed()
        assert live.socket.close_code == 1000


async def test_server_commit_mode_speaks_before_the_text_is_complete(tone_url: str) -> None:
    async with wire(tone_url, QWEN) as live:
        await updated(live, voice="sine", language_type="English")
        await live.send(type="input_text_buffer.append", text="The lamp is on the table. The ")
        events = await live.until("response.audio.delta")
        await live.send(type="input_text_buffer.append", text="cat is under it.")
        await live.send(type="session.finish")
        events += await live.until("session.finished")
        assert kinds(events)[:4] == RESPONSE[:4]
        assert kinds(events)[-5:] == [*RESPONSE[-4:], "session.finished"]
        assert "input_text_buffer.committed" in kinds(events)
        seconds = len(deltas(events)) / 48_000
        assert seconds > len("The lamp is on the table. The cat is under it.") * CHAR_S


async def test_settings_of_the_session_are_heard(tone_url: str) -> None:
    async with wire(tone_url, QWEN) as live:
        await updated(
            live, voice="sine", mode="commit", response_format="wav", sample_rate=16_000,
            speech_rate=2.0, volume=60, instructions="Whisper.", optimize_instructions=True,
        )  # fmt: skip
        await live.send(type="input_text_buffer.append", text=TEXT)
        await live.send(type="input_text_buffer.commit")
        samples, rate_hz = decode(deltas(await live.until("response.done")))
        assert rate_hz == 16_000
        assert len(samples) / rate_hz == pytest.approx(len(TEXT) * CHAR_S / 2, rel=0.1)


async def test_text_is_cleared_and_responses_are_cancelled(slow_url: str) -> None:
    async with wire(slow_url, QWEN) as live:
        await updated(live, mode="commit")
        await live.send(type="input_text_buffer.append", text=TEXT)
        await live.send(type="input_text_buffer.clear")
        assert (await live.receive())["type"] == "input_text_buffer.cleared"
        await live.send(type="input_text_buffer.commit", event_id="mine")
        error = await live.receive()
        assert (error["type"], error["error"]["event_id"]) == ("error", "mine")
        await live.send(type="input_text_buffer.append", text=TEXT * 20)
        await live.send(type="input_text_buffer.commit")
        await live.until("response.audio.delta")
        await live.send(type="response.cancel")
        done = (await live.until("response.done"))[-1]["response"]
        assert done["status"] == "cancelled"
        await live.send(type="response.cancel")
        assert (await live.receive())["error"]["code"] == "response_cancel_not_active"


async def test_clear_forgets_what_is_not_spoken_yet_in_server_commit_mode(tone_url: str) -> None:
    async with wire(tone_url, QWEN) as live:
        await updated(live)
        await live.send(type="input_text_buffer.append", text="The lamp is on the table. Unfin")
        await live.until("response.audio.delta")
        await live.send(type="input_text_buffer.clear")
        await live.send(type="session.finish")
        done = [one for one in await live.until("session.finished") if one["type"][-5:] == ".done"]
        assert done[-1]["response"]["usage"]["characters"] == len("The lamp is on the table.")


async def test_errors_name_the_problem(tone_url: str) -> None:
    async with wire(tone_url, QWEN) as live:
        await live.receive()
        for session in (
            {"sample_rate": -1}, {"mode": "none"}, {"response_format": "midi"}, {"speech_rate": 9},
            {"language_type": "Klingon"},
        ):  # fmt: skip
            await live.send(type="session.update", session=session)
            assert (await live.receive())["error"]["type"] == "invalid_request_error"
        await live.send(type="session.update", session={"voice": "nobody"})
        await live.until("session.updated")
        await live.send(type="input_text_buffer.append", text=TEXT)
        events = await live.until("response.done")
        assert kinds(events) == ["response.created", "error", "response.done"]
        assert events[1]["error"]["code"] == "voice_not_found"
        assert events[-1]["response"]["status"] == "failed"
        await live.send(type="session.update", session={"voice": "sine"})
        await live.send(type="input_text_buffer.append", text=TEXT)
        await live.send(type="input_text_buffer.commit")
        events = await live.until("response.done")  # what follows a failure is not lost
        assert events[-1]["response"]["status"] == "completed"
        await live.send(type="session.finish")
        await live.until("session.finished")
    async with wire(tone_url, "/api-ws/v1/realtime?model=nothing") as live:
        assert (await live.receive())["error"]["code"] == "model_not_found"
        await live.socket.wait_closed()


async def task(live: Wire, action: str, task_id: str = "t1", **payload: Any) -> None:
    header = {"action": action, "task_id": task_id, "streaming": "duplex"}
    await live.send(header=header, payload=payload)


async def events_of(live: Wire, last: str) -> list[Any]:
    got = [await live.receive()]
    while isinstance(got[-1], bytes) or got[-1]["header"]["event"] != last:
        got.append(await live.receive())
    return got


def parameters(**more: Any) -> dict[str, Any]:
    """Return the parameters that the SDK sends."""
    own = {"volume": 50, "text_type": "PlainText", "rate": 1.0, "pitch": 1.0, "seed": 0, "type": 0}
    return {"voice": "sine", "sample_rate": 24_000, "format": "pcm", **own, **more}


async def test_tasks_follow_one_another_on_a_connection(tone_url: str) -> None:
    whole = await said(tone_url, voice="hum", response_format="pcm", seed=0)
    async with wire(tone_url, COSY) as live:
        for name in ("t1", "t2"):
            about = {"model": "cosyvoice-v2", "task_group": "audio", "input": {}}
            await task(live, "run-task", name, parameters=parameters(voice="hum"), **about)
            started = await live.receive()
            assert started["header"] == {"task_id": name, "event": "task-started", "attributes": {}}
            await task(live, "continue-task", name, input={"text": TEXT})
            await task(live, "finish-task", name, input={})
            got = await events_of(live, "task-finished")
            assert audio_of(got) == whole
            results = [one for one in got if not isinstance(one, bytes)]
            outputs = [one["payload"]["output"]["type"] for one in results[:-1]]
            assert outputs[0] == "sentence-begin"
            assert outputs[-1] == "sentence-end"
            assert got[-1]["payload"]["usage"]["characters"] == len(TEXT)


async def test_default_format_is_mp3_and_words_have_times(tone_url: str) -> None:
    async with wire(tone_url, COSY) as live:
        given = parameters(format="Default", sample_rate=0, word_timestamp_enabled=True)
        await task(live, "run-task", parameters=given)
        await task(live, "continue-task", input={"text": "The lamp is"})
        await task(live, "continue-task", input={"flush": True})
        got = await events_of(live, "result-generated")
        await task(live, "continue-task", input={"text": " on the table."})
        await task(live, "finish-task", input={})
        got += await events_of(live, "task-finished")
    samples, rate_hz = decode(audio_of(got))
    assert (rate_hz, len(samples) > rate_hz) == (22_050, True)
    words = got[-2]["payload"]["output"]["sentence"]["words"]
    assert [word["text"] for word in words] == TEXT[:-1].split()
    assert [TEXT[word["begin_index"] : word["end_index"]] for word in words] == TEXT[:-1].split()


async def test_task_is_cancelled(slow_url: str) -> None:
    async with wire(slow_url, COSY) as live:
        await task(live, "run-task", parameters=parameters())
        await task(live, "continue-task", input={"text": TEXT * 20})
        while not isinstance(await live.receive(), bytes):
            pass
        await task(live, "finish-task", input={"directive": "cancel"})
        got = await events_of(live, "task-finished")
        assert len(audio_of(got)) < 48_000


async def test_failed_tasks_say_why_and_the_connection_goes_on(tone_url: str) -> None:
    async with wire(tone_url, COSY) as live:
        await task(live, "continue-task", "none", input={"text": TEXT})
        assert (await live.receive())["header"]["event"] == "task-failed"
        for given, code in (
            ({"voice": "nobody"}, "voice_not_found"),
            ({"format": "midi"}, "invalid_request"),
            ({"sample_rate": 12_345}, "invalid_request"),
            ({"rate": 9}, "invalid_request"),
        ):
            await task(live, "run-task", parameters=parameters(**given))
            await task(live, "finish-task", input={"text": TEXT})
            header = (await events_of(live, "task-failed"))[-1]["header"]
            assert (header["task_id"], header["error_code"]) == ("t1", code)
            if code == "invalid_request":  # and the finish-task of a task that never ran
                await events_of(live, "task-failed")
        await task(live, "run-task", parameters=parameters())
        await task(live, "run-task", "t2", parameters=parameters())
        header = (await events_of(live, "task-failed"))[-1]["header"]
        assert header["task_id"] == "t2"
        await task(live, "finish-task", input={"text": TEXT})
        assert audio_of(await events_of(live, "task-finished"))
