"""Check word times and subtitles of both APIs, with the model that beeps."""

import base64
import io
import json
import wave
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import httpx
import openai
import pytest
import webvtt

from vivavoce.api.routes.timed import MAX_OBJECT_CHARS

NATIVE = "/v1/tts/synthesize"
TEXT = "Dr. Lee paid $4.50. Fine, she said, and went home."
JSON = {"Accept": "application/json"}
EVENTS = {"Accept": "text/event-stream"}


async def timed(client: httpx.AsyncClient, **fields: object) -> dict[str, Any]:
    body = {"text": TEXT, "timestamps": "word", **fields}
    answer = await client.post(NATIVE, json=body, headers=JSON)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    return dict(answer.json())


def events_of(body: str) -> Iterator[Mapping[str, Any]]:
    for event in body.split("\n\n"):
        if event:
            yield json.loads(event.removeprefix("data: "))


async def test_object_has_the_audio_and_the_facts(client: httpx.AsyncClient) -> None:
    found = await timed(client)
    plain = await client.post(NATIVE, json={"text": TEXT})
    assert base64.b64decode(found["audio"]) == plain.content
    with wave.open(io.BytesIO(plain.content)) as file:
        assert found["duration_s"] == pytest.approx(file.getnframes() / 24_000, abs=1e-4)
    facts = ("model", "voice", "language", "format", "sample_rate", "finish_reason")
    assert [found[name] for name in facts] == ["tone", "sine", "en", "wav", 24_000, "complete"]
    assert found["timing"] in ("model", "estimated")
    assert [part["speaker"] for part in found["voice_segments"]] == ["sine"]
    assert "subtitles" not in found


async def test_words_are_the_authors_in_order_and_inside_the_audio(
    client: httpx.AsyncClient,
) -> None:
    found = await timed(client)
    words = found["words"]
    assert [word["word"] for word in words] == [TEXT[w["start"] : w["end"]] for w in words]
    assert {"Lee", "Fine", "home"} <= {word["word"] for word in words}
    starts = [word["start_s"] for word in words]
    assert starts == sorted(starts)
    assert all(0 <= word["start_s"] < word["end_s"] <= found["duration_s"] for word in words)
    assert all(
        word["input"] == 0 and "phones" not in word and "chars" not in word for word in words
    )


@pytest.mark.parametrize("format", ["wav", "pcm", "mp3", "opus", "flac", "aac"])
async def test_object_holds_every_format(client: httpx.AsyncClient, format: str) -> None:
    found = await timed(client, format=format)
    plain = await client.post(NATIVE, json={"text": TEXT, "format": format})
    assert base64.b64decode(found["audio"]) == plain.content


async def test_long_audio_is_sent_in_pieces(client: httpx.AsyncClient) -> None:
    text = "Hello there. " * 700  # 18 MB of audio: more than a spool keeps in memory
    found = await timed(client, text=text, sample_rate=48_000)
    plain = await client.post(NATIVE, json={"text": text, "sample_rate": 48_000})
    assert base64.b64decode(found["audio"]) == plain.content


async def test_a_text_too_long_for_an_object_is_refused_before_the_work(
    client: httpx.AsyncClient,
) -> None:
    body = {"text": "a " * MAX_OBJECT_CHARS, "timestamps": "word"}
    answer = await client.post(NATIVE, json=body, headers=JSON)
    error = answer.json()["error"]
    assert (answer.status_code, error["field"]) == (422, "text")
    assert "text/event-stream" in error["message"]


async def test_chars_divide_the_word_evenly(client: httpx.AsyncClient) -> None:
    for word in (await timed(client, timestamps="char"))["words"]:
        chars = word["chars"]
        assert "".join(char["char"] for char in chars) == word["word"]
        assert chars[0]["start_s"] == word["start_s"]
        assert chars[-1]["end_s"] == pytest.approx(word["end_s"], abs=2e-4)
        assert all(a["end_s"] == b["start_s"] for a, b in pairwise(chars))


async def test_phones_are_inside_their_words(client: httpx.AsyncClient) -> None:
    for word in (await timed(client, timestamps="phone"))["words"]:
        for phone in word["phones"]:
            assert word["start_s"] <= phone["start_s"] <= phone["end_s"] <= word["end_s"]


@pytest.mark.parametrize("form", ["srt", "vtt"])
async def test_subtitles_show_the_text(client: httpx.AsyncClient, form: str) -> None:
    found = await timed(client, timestamps=None, subtitles=form)
    captions = webvtt.from_buffer(io.StringIO(found["subtitles"]), form)
    assert " ".join(" ".join(caption.lines) for caption in captions) == TEXT


async def test_words_come_with_or_before_their_audio(client: httpx.AsyncClient) -> None:
    body = {"text": TEXT, "timestamps": "word", "subtitles": "vtt", "stream": True, "format": "pcm"}
    answer = await client.post(NATIVE, json=body, headers=EVENTS)
    *deltas, done = events_of(answer.text)
    found = await timed(client, subtitles="vtt", format="pcm")
    received, words = b"", []
    for delta in deltas:
        assert delta["type"] == "speech.audio.delta"
        words += delta["words"]
        received += base64.b64decode(delta["audio"])
        heard_s = len(received) / 2 / 24_000
        due = [word for word in found["words"] if word["start_s"] < heard_s]
        assert due == words[: len(due)]
    assert words == found["words"]
    assert received == base64.b64decode(found["audio"])
    assert done["type"] == "speech.audio.done"
    for name in ("timing", "marks", "duration_s", "finish_reason", "voice_segments", "subtitles"):
        assert done[name] == found[name]


async def test_words_of_a_dialogue_name_their_input(client: httpx.AsyncClient) -> None:
    inputs = [{"text": "Who is there?"}, {"text": "Me.", "speaker": "hum"}]
    body = {"inputs": inputs, "subtitles": "srt"}
    found = (await client.post(NATIVE, json=body)).json()
    assert [(word["word"], word["input"]) for word in found["words"]][-2:] == [
        ("there", 0), ("Me", 1),
    ]  # fmt: skip
    assert [part["speaker"] for part in found["voice_segments"]] == ["sine", "hum"]
    assert "Who is there?" in found["subtitles"]


@pytest.mark.parametrize(
    ("accept", "stream", "media_type"),
    [
        ("*/*", False, "application/json"),
        ("*/*", True, "text/event-stream"),
        ("application/json", True, "application/json"),
        ("text/event-stream", False, "text/event-stream"),
        ("application/json, text/plain, */*", True, "text/event-stream"),
        ("text/*;q=0.5", False, "text/event-stream"),
    ],
)
async def test_accept_chooses_the_form_and_then_stream(
    client: httpx.AsyncClient, accept: str, stream: bool, media_type: str
) -> None:
    body = {"text": "Hello.", "timestamps": "word", "stream": stream}
    answer = await client.post(NATIVE, json=body, headers={"Accept": accept})
    assert answer.headers["content-type"].partition(";")[0] == media_type


async def test_a_client_that_takes_audio_alone_is_refused(client: httpx.AsyncClient) -> None:
    body = {"text": "Hello.", "timestamps": "word"}
    answer = await client.post(NATIVE, json=body, headers={"Accept": "audio/wav"})
    assert (answer.status_code, answer.json()["error"]["field"]) == (422, "Accept")


async def test_accept_changes_nothing_without_times(client: httpx.AsyncClient) -> None:
    answer = await client.post(NATIVE, json={"text": "Hello."}, headers=JSON)
    assert answer.headers["content-type"] == "audio/wav"


async def test_a_failure_is_a_status(client: httpx.AsyncClient) -> None:
    body = {"text": "Hello.", "timestamps": "word", "speaker": "crash-at-once"}
    answer = await client.post(NATIVE, json=body, headers=JSON)
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "engine_fault")


async def test_a_lone_surrogate_does_not_break_the_json(client: httpx.AsyncClient) -> None:
    content = r'{"text": "Hello \ud800there.", "timestamps": "word"}'
    headers = {**JSON, "Content-Type": "application/json"}
    answer = await client.post(NATIVE, content=content, headers=headers)
    assert answer.json()["words"]


async def test_neither_texts_nor_times_are_kept(client: httpx.AsyncClient) -> None:
    headers = {**JSON, "X-Request-Id": "kept"}
    await client.post(NATIVE, json={"text": TEXT, "timestamps": "word"}, headers=headers)
    record = await client.get("/v1/tts/requests/kept")
    assert record.json()["finish_reason"] == "complete"
    assert "words" not in record.json()
    assert "Lee" not in record.text


async def test_openai_events_have_words_when_asked(tone_url: str) -> None:
    async with (
        openai.AsyncOpenAI(base_url=f"{tone_url}/v1", api_key="none") as client,
        client.audio.speech.with_streaming_response.create(
            model="tone", voice="sine", input=TEXT, stream_format="sse", response_format="pcm",
            extra_body={"timestamps": "word"},
        ) as answer,
    ):  # fmt: skip
        body = "".join([part async for part in answer.iter_text()])
    *deltas, done = events_of(body)
    words = [word["word"] for delta in deltas for word in delta["words"]]
    assert {"Lee", "home"} <= set(words)
    assert done["timing"]


async def test_openai_audio_has_no_place_for_times(client: httpx.AsyncClient) -> None:
    body = {"input": "Hello.", "model": "tone", "timestamps": "word"}
    answer = await client.post("/v1/audio/speech", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "timestamps")


async def test_openai_events_have_no_words_unless_asked(client: httpx.AsyncClient) -> None:
    body = {"input": "Hello.", "model": "tone", "stream_format": "sse"}
    answer = await client.post("/v1/audio/speech", json=body)
    first, *_, done = events_of(answer.text)
    assert "words" not in first
    assert "timing" not in done


async def test_speed_scales_the_times(client: httpx.AsyncClient) -> None:
    whole, half = [(await timed(client, speed=speed))["words"] for speed in (1.0, 2.0)]
    assert half[-1]["start_s"] == pytest.approx(whole[-1]["start_s"] / 2, abs=0.15)


MARKED = (
    '<speak><mark name="first"/>Go to <mark name="door"/>the door. <break time="1s"/>'
    '<mark name="then"/>Then wait.<mark name="end"/></speak>'
)


async def test_marks_have_the_time_of_the_word_behind_them(client: httpx.AsyncClient) -> None:
    found = await timed(client, text=MARKED)
    starts = {word["word"]: word["start_s"] for word in found["words"]}
    times = {mark["name"]: mark["time_s"] for mark in found["marks"]}
    assert list(times) == ["first", "door", "then", "end"]
    assert times == {
        "first": starts["Go"],
        "door": starts["the"],
        "then": starts["Then"],
        "end": found["duration_s"],
    }


async def test_marks_of_a_dialogue_name_their_input(client: httpx.AsyncClient) -> None:
    inputs = [{"text": "Who is there?"}, {"text": MARKED, "speaker": "hum"}]
    body = {"inputs": inputs, "timestamps": "word", "format": "pcm", "stream": True}
    answer = await client.post(NATIVE, json=body, headers=EVENTS)
    *deltas, done = events_of(answer.text)
    words = [word for delta in deltas for word in delta["words"]]
    go = next(word for word in words if word["word"] == "Go")
    assert done["marks"][0] == {"name": "first", "time_s": go["start_s"], "input": 1}
