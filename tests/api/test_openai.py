"""Check the OpenAI API with the `openai` SDK over a real socket."""

import base64
import io
import json
from pathlib import Path

import httpx
import numpy as np
import openai
import pytest

from tests.conftest import app_client
from tests.decoding import decode
from vivavoce.api.app import create_app
from vivavoce.models.hibari import HibariModel
from vivavoce.models.tone import CHAR_S, Fault, ToneModel
from vivavoce.serving.local import LocalEngine
from vivavoce.serving.pool import Pool
from vivavoce.settings import Settings

TEXT = "The quick brown fox jumps over the lazy dog."
SECONDS = len(TEXT) * CHAR_S
FORMATS = ("wav", "pcm", "mp3", "opus", "aac", "flac")


@pytest.fixture
def sdk(tone_url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{tone_url}/v1", api_key="none", max_retries=0)


def seconds(data: bytes, audio_format: str) -> float:
    if audio_format == "pcm":
        return len(data) / 2 / 24_000
    samples, rate = decode(data)
    return len(samples) / rate


@pytest.mark.parametrize("audio_format", [*FORMATS, "m4a"])
def test_create_gives_audio_of_the_right_length(sdk: openai.OpenAI, audio_format: str) -> None:
    with sdk:
        answer = sdk.audio.speech.create(
            model="tts-1", voice="sine", input=TEXT, response_format=audio_format
        )  # type: ignore[arg-type]  # parametrized
        assert seconds(answer.content, audio_format) == pytest.approx(SECONDS, abs=0.15)


def test_default_format_is_mp3(sdk: openai.OpenAI) -> None:
    with sdk:
        answer = sdk.audio.speech.create(model="gpt-4o-mini-tts", voice="sine", input=TEXT)
    assert answer.response.headers["content-type"] == "audio/mpeg"
    assert answer.response.headers["x-model"] == "tone"
    assert answer.response.headers["x-request-id"]


@pytest.mark.parametrize("audio_format", FORMATS)
def test_streaming_response_arrives_in_parts_and_equals_the_whole(
    sdk: openai.OpenAI, audio_format: str, tmp_path: Path
) -> None:
    with sdk:
        with sdk.audio.speech.with_streaming_response.create(
            model="tts-1-hd",
            voice="sine",
            input=TEXT,
            response_format=audio_format,  # type: ignore[arg-type]  # parametrized
        ) as answer:
            parts = list(answer.iter_bytes())
        whole = sdk.audio.speech.create(
            model="tts-1", voice="sine", input=TEXT, response_format=audio_format
        )  # type: ignore[arg-type]  # parametrized
    assert len(parts) > 1
    assert b"".join(parts) == whole.content
    assert seconds(b"".join(parts), audio_format) == pytest.approx(SECONDS, abs=0.15)


def test_stream_to_file_writes_what_was_said(sdk: openai.OpenAI, tmp_path: Path) -> None:
    with (
        sdk,
        sdk.audio.speech.with_streaming_response.create(
            model="tone", voice="hum", input=TEXT
        ) as answer,
    ):
        answer.stream_to_file(tmp_path / "speech.mp3")
    assert seconds((tmp_path / "speech.mp3").read_bytes(), "mp3") == pytest.approx(
        SECONDS, abs=0.15
    )


@pytest.mark.parametrize("audio_format", FORMATS)
def test_sse_carries_the_same_audio_and_the_usage(sdk: openai.OpenAI, audio_format: str) -> None:
    with (
        sdk,
        sdk.audio.speech.with_streaming_response.create(
            model="tts-1",
            voice="sine",
            input=TEXT,
            response_format=audio_format,
            stream_format="sse",  # type: ignore[arg-type]  # parametrized
        ) as answer,
    ):
        assert answer.headers["content-type"].startswith("text/event-stream")
        events = [json.loads(line.removeprefix("data: ")) for line in answer.iter_lines() if line]
    *deltas, done = events
    assert {event["type"] for event in deltas} == {"speech.audio.delta"}
    audio = b"".join(base64.b64decode(event["audio"]) for event in deltas)
    assert seconds(audio, audio_format) == pytest.approx(SECONDS, abs=0.15)
    assert (done["type"], done["finish_reason"]) == ("speech.audio.done", "complete")
    usage = done["usage"]
    assert usage["input_tokens"] == len(TEXT)
    assert usage["output_tokens"] == pytest.approx(SECONDS * 12.5, abs=2)
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]


def test_speed_and_instructions_are_taken(sdk: openai.OpenAI) -> None:
    with sdk:
        answer = sdk.audio.speech.create(
            model="tts-1",
            voice="sine",
            input=TEXT,
            response_format="pcm",
            speed=2.0,
            instructions="Whisper.",
        )
    assert seconds(answer.content, "pcm") == pytest.approx(SECONDS / 2, rel=0.02)
    assert answer.response.headers["x-ignored"] == "instructions"


def test_models_are_listed_with_their_state(sdk: openai.OpenAI) -> None:
    with sdk:
        sdk.audio.speech.create(model="tone", voice="sine", input="Load.")
        models = {model.id: model for model in sdk.models.list()}
        assert models["tone"].state == "ready"  # type: ignore[attr-defined]  # ours, beyond OpenAI's fields
        assert {"auto", "tts-1", "tts-1-hd", "gpt-4o-mini-tts"} <= set(models)
        assert sdk.models.retrieve("tone").owned_by == "vivavoce"
        with pytest.raises(openai.NotFoundError, match="'nothing'"):
            sdk.models.retrieve("nothing")


def test_errors_arrive_as_the_sdks_own(sdk: openai.OpenAI) -> None:
    with sdk:
        with pytest.raises(openai.NotFoundError, match="'nobody'") as unknown:
            sdk.audio.speech.create(model="tts-1", voice="nobody", input=TEXT)
        assert unknown.value.param == "voice"
        with pytest.raises(openai.BadRequestError, match="speed"):
            sdk.audio.speech.create(model="tts-1", voice="sine", input=TEXT, speed=9)
        with pytest.raises(openai.InternalServerError, match="told to fail"):
            sdk.audio.speech.create(model="tts-1", voice="crash-at-once", input=TEXT)


async def test_async_sdk_speaks_beside_itself(tone_url: str) -> None:
    import asyncio

    async with openai.AsyncOpenAI(base_url=f"{tone_url}/v1", api_key="none", max_retries=0) as sdk:
        answers = await asyncio.gather(
            *(
                sdk.audio.speech.create(
                    model="tts-1", voice="sine", input=f"{TEXT} {i}", response_format="flac"
                )
                for i in range(8)
            )
        )
    assert len({answer.content for answer in answers}) == 8


async def test_voice_may_be_an_object_and_optional_fields_null(client: httpx.AsyncClient) -> None:
    body = {
        "input": TEXT, "voice": {"id": "hum"}, "model": None, "speed": None, "instructions": None,
    }  # fmt: skip
    response = await client.post(
        "/v1/audio/speech",
        json={**body, "response_format": None, "stream_format": None, "extra": [1]},
    )
    assert response.status_code == 200
    assert response.headers["x-voice"] == "hum"
    assert response.headers["content-type"] == "audio/mpeg"


async def test_voices_and_models_come_in_the_shapes_that_open_webui_reads(
    client: httpx.AsyncClient,
) -> None:
    voices = (await client.get("/v1/audio/voices")).json()["voices"]
    assert {"id", "name"} <= set(voices[0])
    assert "sine" in {voice["id"] for voice in voices}
    models = (await client.get("/v1/audio/models")).json()["models"]
    assert {"id": "tone"} in models
    assert (await client.get("/v1/")).status_code == 200


def test_hibari_speaks_through_the_sdk(hibari_url: str) -> None:
    with openai.OpenAI(base_url=f"{hibari_url}/v1", api_key="none") as sdk:
        answer = sdk.audio.speech.create(
            model="tts-1", voice="alloy", input=TEXT, response_format="wav"
        )
    assert answer.response.headers["x-model"] == "hibari"
    samples, rate = decode(answer.content)
    assert 2.0 < len(samples) / rate < 5.0
    assert 0.01 < float(np.sqrt(np.mean(samples**2))) < 0.5
    assert io.BytesIO(answer.content).read(4) == b"RIFF"


@pytest.mark.parametrize(
    ("sent", "media_type"), [("WAV", "audio/wav"), ("Opus", "audio/ogg"), ("", "audio/mpeg")]
)
def test_format_is_taken_in_any_case_and_empty_as_the_default(
    sdk: openai.OpenAI, sent: str, media_type: str
) -> None:
    with sdk:
        answer = sdk.audio.speech.create(
            model="tts-1", voice="sine", input=TEXT, response_format=sent
        )  # type: ignore[arg-type]  # not in the SDK's list
    assert answer.response.headers["content-type"] == media_type


@pytest.mark.parametrize("fields", [{}, {"voice": None}, {"voice": ""}])
async def test_voice_that_is_missing_null_or_empty_is_the_default_voice(
    client: httpx.AsyncClient, fields: dict[str, str | None]
) -> None:
    answer = await client.post("/v1/audio/speech", json={"input": TEXT, **fields})
    assert (answer.status_code, answer.headers["x-voice"]) == (200, "sine")


async def test_list_of_voices_ends_with_the_names_of_openai_and_its_names_differ() -> None:
    several = Pool(
        {
            "hibari": lambda: LocalEngine(HibariModel()),
            "tone": lambda: LocalEngine(ToneModel(faults={"heart": Fault("raise", 3)})),
        }
    )
    async with app_client(create_app(Settings(), several)) as client:
        voices = (await client.get("/v1/audio/voices")).json()["voices"]
        answer = await client.post("/v1/audio/speech", json={"input": "Hi.", "voice": "nobody"})
    aliases = [voice for voice in voices if voice["alias_of"]]
    assert aliases == voices[-13:]
    assert {"alloy", "cedar", "verse"} <= {voice["id"] for voice in aliases}
    assert {(voice["alias_of"], voice["listed"]) for voice in aliases} == {("heart", False)}
    names = [voice["name"] for voice in voices]
    assert len(set(names)) == len(names)
    assert {"Heart (hibari)", "Heart (tone)", "Sine", "Alloy (OpenAI)"} <= set(names)
    assert (
        "choose one of heart, sine, hum, or one of 13 more in GET /v1/audio/voices"
        in answer.json()["error"]["message"]
    )
