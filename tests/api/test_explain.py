"""`POST /v1/tts/explain`: what it says is what is spoken, and where each word comes from."""

import re
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import app_client
from vivavoce.api.app import create_app
from vivavoce.models.tone import ToneModel
from vivavoce.serving.local import LocalEngine
from vivavoce.serving.pool import Pool
from vivavoce.settings import Settings
from vivavoce.text.pipeline import Voicing, parsed, prepared, spoken
from vivavoce.types import Segment

LANGUAGES = ("en", "es", "fr", "it", "pt", "ja", "zh")
TEXTS = {
    "en": "# News\n\nDr. Lee paid **$4.50** on 3/4 (β version). It was nega-\ntive: -5 °C!\n\n- a",
    "es": "El 3 de mayo costó 21.000 €. ¿Y tú?",
    "fr": "M. Dupont arrive à 14h30 avec 1 pomme.",
    "it": "Enrico VIII pagò 1.250,50 €.",
    "pt": "Vi 2 meninas às 9h05min.",
    "ja": "東京は-5℃です。プラスαの機能。",
    "zh": "今天气温-5℃，电话13812345678。",
}


class ReadingModel(ToneModel):
    """A tone model that takes words, and keeps what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.info = replace(self.info, reads="words", languages=LANGUAGES)
        self.heard: list[str] = []

    def open(self, segment: Segment):  # type: ignore[no-untyped-def]  # as its base
        self.heard.append(segment.text)
        return super().open(segment)


@pytest.mark.parametrize("language", LANGUAGES)
async def test_what_it_says_is_what_is_spoken(language: str) -> None:
    model = ReadingModel()
    app = create_app(Settings(models=("tone",)), Pool({"tone": lambda: LocalEngine(model)}))
    body = {"text": TEXTS[language], "language": language}
    async with app_client(app) as client:
        explained = (await client.post("/v1/tts/explain", json=body)).json()
        assert not model.heard
        assert (await client.post("/v1/tts/synthesize", json=body)).status_code == 200
    said = [segment["spoken"] for segment in explained["segments"]]
    assert said == model.heard
    assert not re.search(r"[\d$€°℃]", "".join(said))
    assert explained["language"] == language
    assert explained["unspoken"] == []


async def test_a_model_without_sounds_says_the_normalised_text_of_a_phoneme() -> None:
    app = create_app(Settings(models=("tone",)), Pool({"tone": lambda: LocalEngine(ToneModel())}))
    text = '<phoneme ph="x">Go 😀\ue000 𝐁old</phoneme> now.'
    async with app_client(app) as client:
        [segment] = (await client.post("/v1/tts/explain", json={"text": text})).json()["segments"]
    assert segment["spoken"] == "Go Bold now."


async def test_foreign_letters_in_say_as_are_said_in_the_reader_s() -> None:
    app = create_app(
        Settings(models=("tone",)), Pool({"tone": lambda: LocalEngine(ReadingModel())})
    )
    text = '<speak><say-as interpret-as="currency">20個</say-as> left. And 𓀀.</speak>'
    async with app_client(app) as client:
        answer = (await client.post("/v1/tts/explain", json={"text": text})).json()
    spoken = " ".join(segment["spoken"] for segment in answer["segments"])
    assert spoken.isascii()
    assert spoken.startswith("twenty")
    assert answer["unspoken"] == ["𓀀"]


async def test_words_have_their_place_in_the_text() -> None:
    app = create_app(
        Settings(models=("tone",)), Pool({"tone": lambda: LocalEngine(ReadingModel())})
    )
    text = "Dr. Lee paid **$4.50** at [the shop](https://example.com/shop)."
    async with app_client(app) as client:
        [segment] = (await client.post("/v1/tts/explain", json={"text": text})).json()["segments"]
    places = [(word["spoken"], text[word["start"] : word["end"]]) for word in segment["words"]]
    assert places[:3] == [("Doctor", "Dr."), ("Lee", "Lee"), ("paid", "paid")]
    assert dict(places[3:-3]) == dict.fromkeys(
        ("four", "dollars", "and", "fifty", "cents"), "$4.50"
    )
    assert places[-3:] == [("at", "at"), ("the", "the"), ("shop", "shop")]
    assert segment["text"] == text


async def test_model_that_reads_text_gets_it_as_it_is_unless_asked() -> None:
    app = create_app(Settings(models=("tone",)), Pool({"tone": lambda: LocalEngine(ToneModel())}))
    async with app_client(app) as client:
        for extra, said in [({}, "It is **5**."), ({"normalize": True}, "It is five.")]:
            body = {"text": "It is **5**.", "language": "en", **extra}
            [segment] = (await client.post("/v1/tts/explain", json=body)).json()["segments"]
            assert segment["spoken"] == said.replace("**", "")


@pytest.mark.parametrize(
    ("body", "status"),
    [({"text": "🎉"}, 422), ({"text": "x", "speaker": "nobody"}, 404), ({"text": 1}, 422)],
)
async def test_bad_requests_are_refused_as_for_speech(body: dict[str, object], status: int) -> None:
    app = create_app(Settings(models=("tone",)), Pool({"tone": lambda: LocalEngine(ToneModel())}))
    async with app_client(app) as client:
        explained = await client.post("/v1/tts/explain", json=body)
        refused = await client.post("/v1/tts/synthesize", json=body)
    assert explained.status_code == refused.status_code == status
    assert explained.json()["error"]["code"] == refused.json()["error"]["code"]


TOKENS = st.sampled_from(
    [
        "hello",
        "world",
        "Dr.",
        "Smith",
        "3.5",
        "$20",
        "10:30",
        "5-10",
        "km",
        "May",
        "3rd,",
        "1990s",
        "A.B.C.",
        "NASA",
        "(yes)",
        "—",
        "ok.",
        "β",
        "12%",
        "Müller",
        "東京",
        "IV",
        "don't",
        "well-known",
        "1/2",
        "e.g.",
        "No.",
        "5",
        "🎉",
        "Привет",
        "«oui»",
        "0800-555",
        "C#",
        "a@b.org",
        "7°C",
    ]
)


@pytest.mark.parametrize("language", LANGUAGES)
@settings(max_examples=60, deadline=None)
@given(tokens=st.lists(TOKENS, min_size=1, max_size=30))
def test_words_cover_the_text_in_order(language: str, tokens: Sequence[str]) -> None:
    text = " ".join(tokens)
    voicing = Voicing(language, (language,), in_words=True, takes_phonemes=False, max_chars=200)
    segments = list(spoken(prepared(parsed(text, "text")), voicing))
    words = [word for segment in segments for word in segment.words]
    spans = [(word.start, word.end) for word in words]
    assert spans == sorted(spans)
    assert all(0 <= start < end <= len(text) for start, end in spans)
    covered = {at for start, end in spans for at in range(start, end)}
    left_out = {
        at for at, character in enumerate(text) if character.isalnum() and at not in covered
    }
    assert not left_out, [text[at] for at in sorted(left_out)]
    assert not any(map(str.isdigit, "".join(segment.text for segment in segments)))
