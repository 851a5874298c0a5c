"""Check the native API through the application."""

import io
import struct
import wave

import httpx
import numpy as np
import pytest

from tests.conftest import app_client, tone_pool
from tests.decoding import decode, wav_seconds
from vivavoce.api.app import create_app
from vivavoce.models.tone import CHAR_S
from vivavoce.settings import Settings

TEXT = "The lamp is on the table."
SECONDS = len(TEXT) * CHAR_S


async def synthesize(client: httpx.AsyncClient, **fields: object) -> httpx.Response:
    return await client.post("/v1/tts/synthesize", json={"text": TEXT, **fields})


async def test_the_quest_request_gives_one_exact_wav(client: httpx.AsyncClient) -> None:
    response = await synthesize(client, speaker="sine", language="English")
    assert response.status_code == 200
    assert response.headers["content-type"] == "audio/wav"
    assert int(response.headers["content-length"]) == len(response.content)
    riff, size = struct.unpack("<4sI", response.content[:8])
    assert (riff, size) == (b"RIFF", len(response.content) - 8)
    assert wav_seconds(response.content) == pytest.approx(SECONDS, abs=0.1)
    with wave.open(io.BytesIO(response.content)) as file:
        assert file.getframerate() == 24_000


async def test_answer_names_who_spoke(client: httpx.AsyncClient) -> None:
    response = await synthesize(client, speaker="HUM", language="zh-CN", text="你好，世界。")
    assert response.headers["x-model"] == "tone"
    assert response.headers["x-voice"] == "hum"
    assert response.headers["x-language"] == "zh"
    assert response.headers["x-sample-rate"] == "24000"
    assert response.headers["x-request-id"]


@pytest.mark.parametrize("audio_format", ["wav", "pcm", "mp3", "opus", "aac", "flac"])
@pytest.mark.parametrize("stream", [False, True])
async def test_every_format_decodes_to_the_right_length(
    client: httpx.AsyncClient, audio_format: str, stream: bool
) -> None:
    response = await synthesize(client, format=audio_format, stream=stream)
    assert response.status_code == 200
    assert ("content-length" in response.headers) is not stream
    if audio_format == "pcm":
        samples, rate = np.frombuffer(response.content, "<i2"), 24_000
    else:
        samples, rate = decode(response.content)
    assert len(samples) / rate == pytest.approx(SECONDS, abs=0.15)


async def test_streamed_wav_says_very_long_rather_than_a_wrong_size(
    client: httpx.AsyncClient,
) -> None:
    response = await synthesize(client, stream=True)
    start = response.content.index(b"data") + 8
    riff, data = (
        struct.unpack("<I", response.content[4:8])[0],
        struct.unpack("<I", response.content[start - 4 : start])[0],
    )
    assert (riff, data) == (0x7FFFF000 + start - 8, 0x7FFFF000)
    whole = (await synthesize(client)).content
    assert response.content[start:] == whole[44 : whole.index(b"LIST")]


@pytest.mark.parametrize(("speed", "factor"), [(0.25, 4.0), (0.5, 2.0), (2.0, 0.5), (4.0, 0.25)])
async def test_speed_changes_the_length_and_nothing_else(
    client: httpx.AsyncClient, speed: float, factor: float
) -> None:
    normal = await synthesize(client)
    response = await synthesize(client, speed=speed)
    assert wav_seconds(response.content) == pytest.approx(
        wav_seconds(normal.content) * factor, rel=0.02
    )


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000])
async def test_sample_rate_is_honoured(client: httpx.AsyncClient, rate: int) -> None:
    response = await synthesize(client, sample_rate=rate)
    samples, decoded_rate = decode(response.content)
    assert decoded_rate == rate == int(response.headers["x-sample-rate"])
    assert len(samples) / rate == pytest.approx(SECONDS, abs=0.1)


async def test_seed_repeats_and_changes_the_speech(client: httpx.AsyncClient) -> None:
    one, again, other = [await synthesize(client, seed=seed) for seed in (1, 1, 2)]
    assert one.content == again.content != other.content


async def test_get_form_gives_the_same_file(client: httpx.AsyncClient) -> None:
    got = await client.get(
        "/v1/tts/synthesize", params={"text": TEXT, "speaker": "sine", "speed": "1.5"}
    )
    posted = await synthesize(client, speaker="sine", speed=1.5)
    assert got.status_code == 200
    assert got.content == posted.content


async def test_field_that_cannot_be_honoured_is_named_and_logged(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", "vivavoce"):
        assert (await synthesize(client, instruct="whisper")).headers["x-ignored"] == "instruct"
    assert "tone does without the request's instruct" in caplog.text
    assert "x-ignored" not in (await synthesize(client)).headers


async def test_sampling_is_named_where_a_model_has_none(client: httpx.AsyncClient) -> None:
    answer = await synthesize(client, temperature=0.5, subtalker_top_k=3)
    assert answer.headers["x-ignored"] == "temperature, subtalker_top_k"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("temperature", -1),
        ("top_p", 0),
        ("top_k", 1.5),
        ("subtalker_top_p", 2),
        ("max_new_tokens", 0),
    ],
)
async def test_sampling_out_of_its_bounds_is_refused(
    client: httpx.AsyncClient, field: str, value: float
) -> None:
    answer = await synthesize(client, **{field: value})
    assert (answer.status_code, answer.json()["error"]["field"]) == (422, field)


async def test_whole_answer_tells_that_it_is_complete(client: httpx.AsyncClient) -> None:
    assert (await synthesize(client)).headers["x-finish-reason"] == "complete"


async def test_null_means_not_sent(client: httpx.AsyncClient) -> None:
    nothing = dict.fromkeys(
        (
            "speaker",
            "language",
            "instruct",
            "model",
            "format",
            "sample_rate",
            "speed",
            "seed",
            "stream",
        )
    )
    assert (await synthesize(client, **nothing)).content == (await synthesize(client)).content


async def test_lists_name_speakers_and_languages(client: httpx.AsyncClient) -> None:
    speakers = (await client.get("/v1/tts/speakers")).json()["speakers"]
    assert {"sine", "hum"} <= set(speakers)
    languages = (await client.get("/v1/tts/languages")).json()["languages"]
    assert languages[0] == "auto"
    assert {"english", "chinese", "korean"} <= set(languages)
    assert (await client.get("/v1/tts/speakers?model=tone")).json()["speakers"] == speakers


async def test_health_tells_what_is_loaded(client: httpx.AsyncClient) -> None:
    await synthesize(client)
    health = (await client.get("/health")).json()
    assert health["status"] == "ok"
    assert health["model_loaded"] is True
    assert health["models"] == {"tone": "ready"}
    assert (await client.get("/health/live")).status_code == 200
    assert (await client.get("/health/ready")).status_code == 200


async def test_lazy_model_is_loaded_by_the_first_request() -> None:
    async with app_client(create_app(Settings(load_models="lazy"), tone_pool())) as client:
        assert (await client.get("/health")).json()["model_loaded"] is False
        assert (await client.get("/health/ready")).status_code == 200
        assert (await synthesize(client)).status_code == 200
        assert (await client.get("/health")).json()["model_loaded"] is True


async def test_other_origins_may_call_with_a_key_and_read_the_headers(
    client: httpx.AsyncClient,
) -> None:
    preflight = await client.options(
        "/v1/tts/synthesize",
        headers={
            "Origin": "https://quest.example",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type",
        },
    )
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == "*"
    assert "authorization" in preflight.headers["access-control-allow-headers"].lower()
    response = await client.get("/health", headers={"Origin": "https://quest.example"})
    assert "X-Model" in response.headers["access-control-expose-headers"]


async def test_configured_origins_keep_others_out() -> None:
    async with app_client(
        create_app(Settings(cors_origins=("https://mine.example",)), tone_pool())
    ) as client:
        for origin, allowed in (("https://mine.example", True), ("https://other.example", False)):
            response = await client.get("/health", headers={"Origin": origin})
            assert ("access-control-allow-origin" in response.headers) is allowed


async def test_joins_have_no_clicks_and_pauses_in_between(client: httpx.AsyncClient) -> None:
    text = (
        "First there is a sentence that is long enough to stand for itself and to be spoken alone. "
        * 8
    )
    response = await client.post("/v1/tts/synthesize", json={"text": text})
    samples, rate = decode(response.content)
    # The steepest slope of the tone model's own beeps: amplitude x angular frequency of its highest
    # pitch.
    steepest = 0.3 * 2 * np.pi * 840 / rate
    assert np.abs(np.diff(samples)).max() < steepest * 1.1
    quiet = np.abs(samples) < 1e-4
    runs = (
        np.diff(np.flatnonzero(np.diff(np.concatenate(([0], quiet.astype(np.int8), [0])))))[::2]
        / rate
    )
    assert (runs > 0.15).sum() >= 3


async def test_docs_and_page_load_nothing_from_elsewhere(client: httpx.AsyncClient) -> None:
    for path in ("/docs", "/"):
        html = (await client.get(path)).text
        assert "<script" in html
        assert 'src="http' not in html
        assert 'href="http' not in html
    assert (await client.get("/swagger/swagger-ui-bundle.js")).status_code == 200
    schema = (await client.get("/openapi.json")).json()
    assert "/v1/tts/synthesize" in schema["paths"]


async def test_page_is_asked_for_again_after_an_upgrade(client: httpx.AsyncClient) -> None:
    assert (await client.get("/web/app.js")).headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    ("sent", "media_type"),
    [("MP3", "audio/mpeg"), ("Wav", "audio/wav"), ("", "audio/wav"), (None, "audio/wav")],
)
async def test_format_is_taken_in_any_case_and_empty_as_the_default(
    client: httpx.AsyncClient, sent: str | None, media_type: str
) -> None:
    posted = await synthesize(client, format=sent)
    got = await client.get("/v1/tts/synthesize", params={"text": TEXT, "format": sent or ""})
    assert {posted.headers["content-type"], got.headers["content-type"]} == {media_type}


@pytest.mark.parametrize("speaker", [None, "", "sine"])
async def test_speaker_that_is_null_or_empty_is_the_default_voice(
    client: httpx.AsyncClient, speaker: str | None
) -> None:
    assert (await synthesize(client, speaker=speaker)).headers["x-voice"] == "sine"
