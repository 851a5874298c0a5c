"""Test the embedded voices with real sentences through the HTTP API.

Every language and the names of the Qwen voices are covered.
"""

from collections.abc import AsyncIterator

import httpx
import numpy as np
import pytest
import pytest_asyncio

from tests.conftest import app_client
from tests.decoding import decode
from vivavoce.api.app import create_app
from vivavoce.settings import Settings

pytestmark = pytest.mark.slow

QWEN_SPEAKERS = [
    "vivian", "serena", "uncle_fu", "dylan", "eric", "ryan", "aiden", "ono_anna", "sohee",
]  # fmt: skip

SENTENCES = [
    # language, text, the model and the voice that answer when nobody is named, seconds that a
    # person would take
    ("en", "The train to Bristol leaves at half past nine.", "hibari", "heart", (2.0, 5.0)),
    ("es", "El tren para Sevilla sale a las nueve y media.", "kokoro", "ef_dora", (2.0, 5.5)),
    ("fr", "Le train pour Lyon part à neuf heures et demie.", "kokoro", "ff_siwis", (2.0, 5.5)),
    ("it", "Il treno per Firenze parte alle nove e mezza.", "kokoro", "if_sara", (2.0, 5.5)),
    (
        "pt",
        "O comboio para o Porto não parte às nove e meia da manhã.",
        "kokoro",
        "pf_dora",
        (2.0, 6.5),
    ),
    ("ja", "京都行きの電車は九時半に出発します。", "kokoro", "jf_alpha", (2.0, 6.0)),
    ("zh", "去上海的火车九点半出发。", "kokoro", "zm_yunjian", (1.5, 5.5)),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with app_client(create_app(Settings(load_models="lazy", isolate_models=False))) as client:
        yield client


def assert_speech(data: bytes, seconds: tuple[float, float]) -> None:
    samples, rate = decode(data)
    assert rate == 24_000
    assert seconds[0] < len(samples) / rate < seconds[1]
    assert 0.01 < float(np.sqrt(np.mean(samples**2))) < 0.4
    assert np.abs(samples).max() < 1.0


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("language", "text", "model", "voice", "seconds"), SENTENCES)
async def test_each_language_is_detected_and_spoken_by_a_native_voice(
    client: httpx.AsyncClient,
    language: str,
    text: str,
    model: str,
    voice: str,
    seconds: tuple[float, float],
) -> None:
    response = await client.post("/v1/tts/synthesize", json={"text": text})
    assert response.status_code == 200, response.text
    answered = [response.headers[f"x-{name}"] for name in ("model", "voice", "language")]
    assert answered == [model, voice, language]
    assert_speech(response.content, seconds)


@pytest.mark.asyncio(loop_scope="module")
async def test_client_written_for_qwen_works_unchanged(client: httpx.AsyncClient) -> None:
    speakers = (await client.get("/v1/tts/speakers?model=kokoro")).json()["speakers"]
    assert speakers == QWEN_SPEAKERS
    assert set(QWEN_SPEAKERS) < set((await client.get("/v1/tts/speakers")).json()["speakers"])
    languages = (await client.get("/v1/tts/languages")).json()["languages"]
    assert set(languages) == {
        "auto", "english", "spanish", "french", "italian", "portuguese", "japanese", "chinese",
    }  # fmt: skip
    for speaker, language, text in (
        ("Vivian", "Chinese", "你好，很高兴见到你。"),
        ("vivian", "English", "It is good to meet you."),
        ("Ono_Anna", "auto", "お会いできて嬉しいです。"),
    ):
        body = {"text": text, "speaker": speaker, "language": language, "instruct": "Speak warmly."}
        response = await client.post("/v1/tts/synthesize", json=body)
        assert response.status_code == 200, response.text
        assert response.headers["x-model"] == "kokoro"
        assert response.headers["x-voice"] == speaker.lower()
        assert response.headers["x-ignored"] == "instruct"
        assert_speech(response.content, (0.8, 5.0))


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("voice", "text", "language"),
    [
        ("alloy", "It is good to meet you.", "en"),
        ("onyx", "Es un placer conocerte, de verdad, amigo mío.", "es"),
        ("af_bella", "It is good to meet you.", "en"),
    ],
)
async def test_openai_and_kokoro_names_are_accepted(
    client: httpx.AsyncClient, voice: str, text: str, language: str
) -> None:
    body = {"model": "tts-1", "input": text, "voice": voice, "response_format": "wav"}
    response = await client.post("/v1/audio/speech", json=body)
    assert response.status_code == 200, response.text
    answered = [response.headers[f"x-{name}"] for name in ("model", "voice", "language")]
    assert answered == ["kokoro", voice, language]


@pytest.mark.asyncio(loop_scope="module")
async def test_words_of_one_phrase_have_times_at_any_speed(client: httpx.AsyncClient) -> None:
    text = "It costs $4.50 at 3 p.m. on Jan. 5, e.g. in the U.S. market (No. 5). See this one."
    for speed in (1.3, 2.0, 4.0):
        body = {"text": text, "model": "hibari", "speed": speed, "timestamps": "phone"}
        response = await client.post("/v1/tts/synthesize", json=body)
        assert response.status_code == 200, response.text
        words = response.json()["words"]
        assert " ".join(word["spoken"] for word in words).endswith("Number five See this one")


@pytest.mark.asyncio(loop_scope="module")
async def test_all_voices_are_listed_with_their_languages(client: httpx.AsyncClient) -> None:
    voices = (await client.get("/v1/audio/voices?model=kokoro")).json()["voices"]
    assert len({voice["name"] for voice in voices}) == len(voices)
    assert sum(voice["alias_of"] is not None for voice in voices) == 13
    own = {
        voice["id"]: voice["languages"]
        for voice in voices
        if not voice["listed"] and not voice["alias_of"]
    }
    assert len(own) == 54
    assert own["ff_siwis"] == ["fr"]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"text": "오늘은 날씨가 정말 좋네요."}, "language"),
        ({"text": "Сегодня очень хорошая погода."}, "language"),
        ({"text": "Heute ist das Wetter sehr schön.", "language": "german"}, "language"),
        ({"text": "今天天气很好。", "speaker": "heart"}, "speaker"),
        ({"text": "今天天气很好。", "model": "hibari"}, "language"),
        ({"text": "今天天气很好。", "language": "english", "speaker": "ryan"}, "text"),
    ],
)
async def test_language_that_nobody_here_speaks_is_refused(
    client: httpx.AsyncClient, body: dict[str, str], field: str
) -> None:
    response = await client.post("/v1/tts/synthesize", json=body)
    assert 400 <= response.status_code < 500
    assert response.json()["error"]["message"]
    assert response.json()["error"]["field"] in (field, "language")


@pytest.mark.asyncio(loop_scope="module")
async def test_guess_at_a_language_refuses_no_text_that_can_be_read(
    client: httpx.AsyncClient,
) -> None:
    body = {"text": "Heute ist das Wetter wirklich sehr schön, nicht wahr?"}
    response = await client.post("/v1/tts/synthesize", json=body)
    assert response.status_code == 200
    assert response.headers["X-Language"] == "en"


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("short", "long"),
    [
        ("El precio es alto.", "El precio es 1.250 euros el 3 de marzo de 2024."),
        ("Le prix est élevé.", "Le prix est de 1 250 euros le 3 mars 2024."),
        ("价格很高。", "价格是一月三日的1250元。"),
    ],
)
async def test_numbers_are_spoken_not_skipped(
    client: httpx.AsyncClient, short: str, long: str
) -> None:
    lengths = [
        len(decode((await client.post("/v1/tts/synthesize", json={"text": text})).content)[0])
        for text in (short, long)
    ]
    assert lengths[1] > 1.8 * lengths[0]
