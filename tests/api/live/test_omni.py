"""Check the streamed text input and the batches of vLLM-Omni and SGLang-Omni."""

import asyncio
import base64
import io
import wave
from typing import Any

import httpx
import pytest

from tests.api.live.wire import Wire, audio_of, types_of, wire
from tests.api.test_streaming import Watched, wait_until
from tests.conftest import serving
from vivavoce.api.app import create_app
from vivavoce.models.tone import CHAR_S
from vivavoce.settings import Settings

PATH = "/v1/audio/speech/stream"
TEXT = "The lamp is on the table."
CONFIGURED = "session.configured"


async def configure(live: Wire, **config: Any) -> None:
    await live.send(type="session.config", **config)
    assert (await live.receive())["type"] == CONFIGURED


async def say(live: Wire, text: str) -> list[Any]:
    for word in text.split(" "):
        await live.send(type="input.text", text=word + " ")
    await live.send(type="input.done")
    return await live.until("session.done")


async def test_utterances_of_one_connection_have_one_file_each(tone_url: str) -> None:
    async with wire(tone_url, PATH) as live:
        await configure(live, voice="sine", task_type="CustomVoice", language="Auto")
        for index in range(2):
            got = await say(live, TEXT)
            assert types_of(got) == ["audio.start", "bytes", "audio.done", "session.done"]
            start, data, done, end = got
            assert (start["utterance_index"], start["sentence_index"]) == (index, 0)
            assert start["sentence_text"].strip() == TEXT
            assert (start["format"], start["sample_rate"], start["channels"]) == ("wav", 24_000, 1)
            with wave.open(io.BytesIO(data)) as file:  # its header has the exact length
                seconds = file.getnframes() / file.getframerate()
            assert seconds == pytest.approx(len(TEXT) * CHAR_S, rel=0.1)
            assert (done["total_bytes"], done["error"]) == (len(data), False)
            assert (end["utterance_index"], end["total_sentences"]) == (index, 1)
        await live.send(type="session.close")
        await live.socket.wait_closed()
        assert live.socket.close_code == 1000


async def test_streamed_audio_is_that_of_the_speech_api(tone_url: str) -> None:
    async with wire(tone_url, PATH) as live:
        await configure(live, speaker="hum", response_format="pcm", stream_audio=True)
        await live.send(type="input.text", text=TEXT)
        await live.send(type="input.done")
        got = await live.until("session.done")
    body = {"input": TEXT, "voice": "hum", "response_format": "pcm"}
    async with httpx.AsyncClient(timeout=60) as http:
        whole = (await http.post(f"{tone_url}/v1/audio/speech", json=body)).content
    assert audio_of(got) == whole
    assert got[-2]["total_bytes"] == len(whole)


async def test_audio_comes_before_the_text_is_complete(tone_url: str) -> None:
    async with wire(tone_url, PATH) as live:
        await configure(live, response_format="pcm", stream_audio=True)
        await live.send(type="input.text", text="The lamp is on the table. The cat ")
        assert types_of([await live.receive(), await live.receive()]) == ["audio.start", "bytes"]


@pytest.mark.parametrize("granularity", ["sentence", "clause"])
async def test_sentences_are_units(tone_url: str, granularity: str) -> None:
    async with wire(tone_url, PATH) as live:
        await configure(live, response_format="pcm", split_granularity=granularity)
        got = await say(live, "The lamp is on the table. The cat is under it.")
        starts = [one for one in got if not isinstance(one, bytes) and one["type"] == "audio.start"]
        assert [one["sentence_text"] for one in starts] == [
            "The lamp is on the table.", "The cat is under it.",
        ]  # fmt: skip
        assert [one["sentence_index"] for one in starts] == [0, 1]
        assert types_of(got).count("bytes") == 2
        assert got[-1]["total_sentences"] == 2


async def test_commit_is_answered_and_the_session_goes_on(tone_url: str) -> None:
    config = {"response_format": "pcm", "stream_audio": True}
    async with wire(tone_url, PATH) as live:
        await configure(live, session=config)  # as SGLang-Omni has it
        await live.send(type="input.text", text="Hello there")
        await live.send(type="input.commit")
        first = (await live.until("input.committed"))[-1]
        await live.send(type="input.text", text="Goodbye.")
        await live.send(type="input.done")
        last = (await live.until("session.done"))[-1]
    assert (first["segment_index"], first["segment_sentences"]) == (0, 1)
    assert last["total_sentences"] == 2


async def test_word_times_come_behind_the_audio(tone_url: str) -> None:
    config = {"response_format": "pcm", "stream_audio": True, "word_timestamps": True}
    async with wire(tone_url, PATH) as live:
        await configure(live, **config)
        got = await say(live, TEXT)
    chunks = [one for one in got if one["type"] == "audio.chunk"]
    assert [one["chunk_id"] for one in chunks] == list(range(len(chunks)))
    assert {one["timestamps"] is None for one in chunks[:-1]} == {True}
    assert [word["word"] for word in chunks[-1]["timestamps"]] == TEXT[:-1].split()
    data = b"".join(base64.b64decode(one["audio_b64"]) for one in chunks)
    assert len(data) == pytest.approx(len(TEXT) * CHAR_S * 48_000, rel=0.1)


async def test_errors_leave_the_session_open(tone_url: str) -> None:
    async with wire(tone_url, PATH) as live:
        await live.send(type="input.text", text=TEXT)
        assert "session.config" in (await live.receive())["message"]
        for config, param in (
            ({"speed": 9}, "speed"),
            ({"model": "nothing"}, "model"),
            ({"ref_audio": "https://a.example/b.wav"}, "ref_audio"),
            ({"word_timestamps": True}, "word_timestamps"),
            ({"session": []}, None),
        ):
            await live.send(type="session.config", **config)
            error = await live.receive()
            assert (error["type"], error["error_type"]) == ("error", "invalid_request_error")
            assert param is None or error["param"] == param
        await configure(live, voice="nobody")
        got = await say(live, TEXT)
        assert types_of(got) == ["error", "audio.done", "session.done"]
        assert got[1]["error"] is True
        await live.send(type="input.text", text="Hello")
        await live.send(type="session.config")
        assert "input.done" in (await live.until("error"))[-1]["message"]
        assert types_of(await say(live, ""))[-1] == "session.done"
        await configure(live, voice="sine")
        assert types_of(await say(live, TEXT))[1] == "bytes"


async def test_client_that_leaves_ends_its_speech() -> None:
    watched = Watched(real_time_factor=1.0)
    with serving(create_app(Settings(), watched.pool())) as url:
        async with wire(url, PATH) as live:
            await configure(live, voice="endless", response_format="pcm", stream_audio=True)
            await live.send(type="input.text", text=TEXT)
            await live.send(type="input.done")
            assert (await live.receive())["type"] == "audio.start"
            assert isinstance(await live.receive(), bytes)
            assert watched.is_(busy=True)
        await asyncio.to_thread(wait_until, lambda: watched.is_(busy=False), 5)


async def test_empty_utterance_is_done_at_once(tone_url: str) -> None:
    async with wire(tone_url, PATH) as live:
        await configure(live)
        got = await say(live, "")
        assert (types_of(got), got[0]["total_sentences"]) == (["session.done"], 0)


async def test_batch_has_a_result_for_each_item(client: httpx.AsyncClient) -> None:
    items = [
        {"input": TEXT},
        {"input": "Hello.", "voice": "hum", "response_format": "mp3"},
        {"input": "..."},
        {"input": "Hello.", "voice": "nobody"},
    ]
    answer = await client.post("/v1/audio/speech/batch", json={"items": items, "voice": "sine"})
    assert answer.status_code == 200
    body = answer.json()
    assert (body["total"], body["succeeded"], body["failed"]) == (4, 2, 2)
    assert [one["index"] for one in body["results"]] == [0, 1, 2, 3]
    first, second, *failed = body["results"]
    assert (first["media_type"], second["media_type"]) == ("audio/wav", "audio/mpeg")
    with wave.open(io.BytesIO(base64.b64decode(first["audio_data"]))) as file:
        seconds = file.getnframes() / file.getframerate()
    assert seconds == pytest.approx(len(TEXT) * CHAR_S, rel=0.1)
    assert first["usage"]["input_tokens"] == len(TEXT)
    assert [one["status"] for one in failed] == ["error", "error"]
    assert failed[1]["code"] == "voice_not_found"
    assert "audio_data" not in failed[0]


async def test_audio_that_is_sent_whole_has_a_limit(tone_url: str) -> None:
    text = "The lamp is on the table. " * 250  # more than 16 MiB of audio
    async with wire(tone_url, PATH, max_size=None) as live:
        await configure(live)
        got = await say(live, text)
        assert types_of(got) == ["error", "audio.done", "session.done"]
        assert "stream_audio" in got[0]["message"]
    async with httpx.AsyncClient(timeout=60) as http:
        answer = await http.post(
            f"{tone_url}/v1/audio/speech/batch", json={"items": [{"input": text}]}
        )
    (result,) = answer.json()["results"]
    assert (result["status"], result["code"]) == ("error", "invalid_request")


async def test_batch_is_as_the_speech_api_says_it(client: httpx.AsyncClient) -> None:
    common = {"voice": "hum", "response_format": "pcm", "speed": 1.5}
    whole = (await client.post("/v1/audio/speech", json={"input": TEXT, **common})).content
    body = (
        await client.post("/v1/audio/speech/batch", json={"items": [{"input": TEXT}], **common})
    ).json()
    assert base64.b64decode(body["results"][0]["audio_data"]) == whole


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"items": []}, "items"),
        ({"items": [{"input": "Hello."}] * 33}, "items"),
        ({"items": [{"voice": "sine"}]}, "items"),
        ({"items": [{"input": "a" * 60_000}] * 2}, "items"),
        ({}, "items"),
    ],
)
async def test_wrong_batch_is_refused(
    client: httpx.AsyncClient, body: dict[str, Any], param: str
) -> None:
    answer = await client.post("/v1/audio/speech/batch", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
