"""Check OpenAI's realtime protocol with the `openai` SDK over a real socket."""

import base64
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

import httpx
import numpy as np
import openai
import pytest
from openai.resources.realtime.realtime import AsyncRealtimeConnection

from tests.conftest import serving, tone_pool
from vivavoce.api.app import create_app
from vivavoce.audio import open_encoder
from vivavoce.models.tone import CHAR_S, ToneModel
from vivavoce.serving.local import LocalEngine
from vivavoce.serving.pool import Pool
from vivavoce.settings import Settings

TEXT = "The lamp is on the table."
OPENING = [
    "response.created",
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
]
CLOSING = [
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    "response.content_part.done",
    "conversation.item.done",
    "response.output_item.done",
    "response.done",
]


@pytest.fixture
async def live(tone_url: str) -> AsyncIterator[AsyncRealtimeConnection]:
    """Yield a connection of the SDK, after its greeting."""
    async with (
        openai.AsyncOpenAI(base_url=f"{tone_url}/v1", api_key="none") as sdk,
        sdk.realtime.connect(model="gpt-realtime") as live,
    ):
        assert (await live.recv()).type == "session.created"
        yield live


async def add(live: AsyncRealtimeConnection, text: str, **more: Any) -> Any:
    """Create an item, and return it."""
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
    await live.conversation.item.create(item={**item, **more})  # type: ignore[typeddict-item]  # of tests
    added, done = await live.recv(), await live.recv()
    assert (added.type, done.type) == ("conversation.item.added", "conversation.item.done")
    return done.item


async def until(live: AsyncRealtimeConnection, kind: str) -> list[Any]:
    """Return the events until one of that type."""
    events = [await live.recv()]
    while events[-1].type != kind:
        events.append(await live.recv())
    return events


def audio_of(events: list[Any]) -> bytes:
    deltas = [event.delta for event in events if event.type == "response.output_audio.delta"]
    return b"".join(map(base64.b64decode, deltas))


def transcript_of(events: list[Any]) -> str:
    kind = "response.output_audio_transcript.delta"
    return "".join(event.delta for event in events if event.type == kind)


async def test_response_has_all_events_in_order_and_the_audio_of_the_text(
    live: AsyncRealtimeConnection,
) -> None:
    item = await add(live, TEXT)
    await live.response.create(response={"metadata": {"client_event_id": "mine"}})
    events = await until(live, "response.done")
    kinds = [event.type for event in events]
    assert kinds[:4] == OPENING
    assert kinds[-6:] == CLOSING
    assert set(kinds[4:-6]) == {
        "response.output_audio.delta", "response.output_audio_transcript.delta",
    }  # fmt: skip
    assert len({event.event_id for event in events}) == len(events)
    assert events[0].response.metadata == {"client_event_id": "mine"}
    assert events[2].previous_item_id == item.id
    assert transcript_of(events) == TEXT
    assert len(audio_of(events)) == pytest.approx(len(TEXT) * CHAR_S * 48_000, rel=0.1)
    done = events[-1].response
    assert (done.status, done.metadata) == ("completed", {"client_event_id": "mine"})
    assert done.output[0].content[0].transcript == TEXT
    assert done.usage.input_tokens == len(TEXT)
    assert done.usage.output_tokens == pytest.approx(len(TEXT) * CHAR_S / 0.08, abs=2)


async def test_audio_is_that_of_the_speech_api(
    live: AsyncRealtimeConnection, tone_url: str
) -> None:
    content: Any = [{"type": "input_text", "text": TEXT}]
    await live.response.create(
        response={
            "conversation": "none",
            "input": [{"type": "message", "role": "user", "content": content}],
            "audio": {"output": {"voice": "hum"}},
        }
    )
    events = await until(live, "response.done")
    body = {"input": TEXT, "voice": "hum", "response_format": "pcm"}
    async with httpx.AsyncClient(timeout=60) as http:
        whole = (await http.post(f"{tone_url}/v1/audio/speech", json=body)).content
    assert audio_of(events) == whole
    assert "conversation.item.added" not in [event.type for event in events]
    assert events[0].response.conversation_id is None


@pytest.mark.parametrize(("kind", "law"), [("audio/pcmu", "ulaw"), ("audio/pcma", "alaw")])
async def test_telephone_formats_have_a_byte_for_each_sample_at_8_khz(
    live: AsyncRealtimeConnection, kind: Any, law: Any
) -> None:
    await live.session.update(
        session={"type": "realtime", "audio": {"output": {"format": {"type": kind}}}}
    )
    updated: Any = await live.recv()
    assert updated.session.audio.output.format.type == kind
    await add(live, TEXT)
    await live.response.create()
    data = audio_of(await until(live, "response.done"))
    assert len(data) == pytest.approx(len(TEXT) * CHAR_S * 8_000, rel=0.1)
    assert data.startswith(open_encoder(law, 8_000).write(np.zeros(1, np.float32)))


async def test_session_keeps_voice_speed_and_instructions(live: AsyncRealtimeConnection) -> None:
    output: Any = {"voice": "marin", "speed": 1.5}
    await live.session.update(
        session={"type": "realtime", "instructions": "Whisper.", "audio": {"output": output}}
    )
    updated: Any = await live.recv()
    assert updated.type == "session.updated"
    assert updated.session.audio.output.voice == "marin"
    assert updated.session.instructions == "Whisper."
    await live.session.update(session={"type": "realtime", "audio": {"output": {"voice": "sine"}}})
    assert (await live.recv()).type == "session.updated"
    await add(live, TEXT)
    await live.response.create()
    events = await until(live, "response.done")
    seconds = len(audio_of(events)) / 48_000
    assert seconds == pytest.approx(len(TEXT) * CHAR_S / 1.5, rel=0.1)
    assert transcript_of(events) == TEXT  # and not the persona
    assert events[-1].response.ignored == ["instructions"]


async def test_say_in_the_instructions_is_spoken_where_there_is_nothing_else(
    live: AsyncRealtimeConnection,
) -> None:
    await live.response.create(response={"instructions": "Say: Good evening."})
    assert transcript_of(await until(live, "response.done")) == "Good evening."
    await live.response.create(response={"instructions": "Be kind."})
    error: Any = await live.recv()
    assert (error.type, error.error.code) == ("error", "nothing_to_say")


async def test_each_item_is_spoken_once(live: AsyncRealtimeConnection) -> None:
    await add(live, "You are a lamp.", role="system")
    await add(live, "First.")
    await live.response.create()
    assert transcript_of(await until(live, "response.done")) == "First."
    await live.response.create(event_id="again")
    error: Any = await live.recv()
    assert (error.error.code, error.error.event_id) == ("nothing_to_say", "again")


async def test_truncated_item_keeps_what_was_heard(live: AsyncRealtimeConnection) -> None:
    await add(live, TEXT)
    await live.response.create()
    done = (await until(live, "response.done"))[-1].response
    name = done.output[0].id
    heard_ms = round(1000 * CHAR_S * len("The lamp is"))
    await live.conversation.item.truncate(item_id=name, content_index=0, audio_end_ms=heard_ms)
    cut: Any = await live.recv()
    assert (cut.type, cut.audio_end_ms) == ("conversation.item.truncated", heard_ms)
    assert cut.transcript + cut.unheard == TEXT
    assert cut.transcript == "The lamp is"
    await live.conversation.item.retrieve(item_id=name)
    kept: Any = await live.recv()
    assert kept.item.content[0].transcript == "The lamp is"
    await live.conversation.item.truncate(item_id=name, content_index=0, audio_end_ms=60_000)
    error: Any = await live.recv()
    assert error.error.param == "audio_end_ms"


async def test_responses_apart_from_the_conversation_are_spoken_in_order(
    live: AsyncRealtimeConnection,
) -> None:
    texts = ("The first of them.", "The second one, which is longer.")
    for text in texts:
        content: Any = [{"type": "input_text", "text": text}]
        await live.response.create(
            response={
                "conversation": "none",
                "input": [{"type": "message", "role": "user", "content": content}],
            }
        )
    events = await until(live, "response.done")
    events += await until(live, "response.done")
    first, second = (event.response.id for event in events if event.type == "response.created")
    spoken = [event.response_id for event in events if event.type.endswith("audio.delta")]
    assert list(dict.fromkeys(spoken)) == [first, second]
    said = [event.transcript for event in events if event.type.endswith("transcript.done")]
    assert said == list(texts)


def untimed() -> ToneModel:
    """Return a model that takes live text and tells no times, as Qwen3-TTS."""
    model = ToneModel()
    capabilities = replace(model.info.capabilities, timed=False)
    model.info = replace(model.info, capabilities=capabilities)
    return model


async def test_model_without_times_has_a_transcript_and_estimates_what_was_heard() -> None:
    text = f"{TEXT} The cat is under it."
    pool = Pool({"tone": lambda: LocalEngine(untimed())})
    with serving(create_app(Settings(), pool)) as url:
        async with (
            openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none") as sdk,
            sdk.realtime.connect(model="gpt-realtime") as live,
        ):
            await live.recv()
            await add(live, text)
            await live.response.create()
            events = await until(live, "response.done")
            assert transcript_of(events) == text
            assert transcript_of(events[:8])  # and not only at the end
            cut_ms = round(1000 * CHAR_S * len("The lamp is on"))
            name = events[-1].response.output[0].id
            await live.conversation.item.truncate(
                item_id=name, content_index=0, audio_end_ms=cut_ms
            )
            cut: Any = await live.recv()
            assert cut.transcript + cut.unheard == text
            assert cut.transcript in ("The lamp is", "The lamp is on", "The lamp is on the")


async def test_items_are_deleted(live: AsyncRealtimeConnection) -> None:
    item = await add(live, TEXT, id="mine")
    assert item.id == "mine"
    await live.conversation.item.delete(item_id="mine")
    assert (await live.recv()).type == "conversation.item.deleted"
    await live.conversation.item.retrieve(item_id="mine")
    error: Any = await live.recv()
    assert error.error.code == "item_not_found"


@pytest.fixture
def slow_url() -> Iterator[str]:
    """Yield a server that speaks as fast as it is heard."""
    with serving(create_app(Settings(), tone_pool(real_time_factor=1.0))) as url:
        yield url


async def test_cancelled_response_ends_and_the_next_one_is_spoken(slow_url: str) -> None:
    async with (
        openai.AsyncOpenAI(base_url=f"{slow_url}/v1", api_key="none") as sdk,
        sdk.realtime.connect(model="gpt-realtime") as live,
    ):
        await live.recv()
        await add(live, "The lamp is on the table. " * 20)
        await live.response.create()
        await until(live, "response.output_audio.delta")
        await add(live, "Next.")
        await live.response.create()
        refused = (await until(live, "error"))[-1]
        assert refused.error.code == "conversation_already_has_active_response"
        await live.response.cancel()
        events = await until(live, "response.done")
        assert [event.type for event in events][-6:] == CLOSING
        done = events[-1].response
        assert (done.status, done.status_details.reason) == ("cancelled", "client_cancelled")
        assert done.output[0].status == "incomplete"
        await live.response.create()
        assert transcript_of(await until(live, "response.done")) == "Next."
        await live.response.cancel()
        error: Any = await live.recv()
        assert error.error.code == "response_cancel_not_active"
        assert error.error.message.startswith("Cancellation failed")


async def test_output_is_cleared_and_a_running_item_can_be_truncated(slow_url: str) -> None:
    async with (
        openai.AsyncOpenAI(base_url=f"{slow_url}/v1", api_key="none") as sdk,
        sdk.realtime.connect(model="gpt-realtime") as live,
    ):
        await live.recv()
        for kind in ("output_audio_buffer.cleared", "conversation.item.truncated"):
            await add(live, "The lamp is on the table. " * 20)
            await live.response.create()
            delta = (await until(live, "response.output_audio.delta"))[-1]
            if kind == "output_audio_buffer.cleared":
                await live.output_audio_buffer.clear()
            else:
                await live.conversation.item.truncate(
                    item_id=delta.item_id, content_index=0, audio_end_ms=100
                )
            events = await until(live, kind)
            assert events[-2].response.status == "cancelled"


async def test_audio_and_tools_are_refused_clearly(live: AsyncRealtimeConnection) -> None:
    await live.input_audio_buffer.append(audio="AAAA")
    await live.input_audio_buffer.append(audio="AAAA")  # told once
    await live.input_audio_buffer.clear()
    first: Any = await live.recv()
    assert "speaks and does not listen" in first.error.message
    assert (await live.recv()).type == "input_audio_buffer.cleared"
    tool: Any = {"type": "function", "name": "f", "parameters": {}}
    await live.session.update(session={"type": "realtime", "tools": [tool]})
    refused: Any = await live.recv()
    assert (refused.error.type, refused.error.param) == ("invalid_request_error", "tools")
    content: Any = {"type": "input_audio", "audio": "AAAA"}
    await live.conversation.item.create(
        item={"type": "message", "role": "user", "content": [content]}
    )
    refused = await live.recv()
    assert "does not listen" in refused.error.message


async def test_failed_response_says_why(live: AsyncRealtimeConnection) -> None:
    for voice, code in (("nobody", "voice_not_found"), ("crash", "engine_fault")):
        await add(live, TEXT)
        await live.response.create(response={"audio": {"output": {"voice": voice}}})
        done = (await until(live, "response.done"))[-1].response
        assert (done.status, done.status_details.error.code) == ("failed", code)
