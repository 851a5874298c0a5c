"""Check the word times of models that tell none: a real voice, served by another server."""

import sys
from collections.abc import AsyncIterator

import httpx
import numpy as np
import pytest

from tests.api.test_times import EVENTS, NATIVE, events_of, timed
from tests.conftest import app_client, serving, tone_pool
from vivavoce.api.app import create_app
from vivavoce.client import AsyncClient
from vivavoce.settings import Settings

pytest.importorskip("hama", reason="the extra is not installed: pip install 'vivavoce[align]'")

SENTENCES = (
    "The train to the coast was late again, so we had coffee in the little station.",
    "My grandmother kept her letters in a wooden box, under the bed.",
    "At 8:30 about 45% of the 320 guests had arrived, and Dr. Lee paid $3.50 for tea.",
    "Nobody knew why the lights had gone out in the middle of the film.",
)
TEXT = " ".join(SENTENCES)


def gateway(url: str, model: str, **settings: object) -> Settings:
    """Return the settings of a server that asks another one to speak, and has no model loaded."""
    offer = {"models": ("kokoro",), "load_models": "lazy", "default_model": model}
    return Settings(remote=(f"{model}={url}",), **offer, **settings)  # type: ignore[arg-type]  # any


@pytest.fixture
async def client(hibari_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a server whose only model is hibari on another one, which sends it audio alone."""
    async with app_client(create_app(gateway(hibari_url, "hibari"))) as client:
        yield client


async def test_aligned_words_are_near_those_of_the_model(
    client: httpx.AsyncClient, hibari_url: str
) -> None:
    off: list[float] = []
    async with httpx.AsyncClient(base_url=hibari_url, timeout=60) as other:
        for text in SENTENCES:  # a pause between two is not the same when another server joins them
            found, true = await timed(client, text=text), await timed(other, text=text)
            assert (found["timing"], true["timing"]) == ("aligned", "model")
            assert found["duration_s"] == pytest.approx(true["duration_s"], abs=0.002)
            pairs = list(zip(found["words"], true["words"], strict=True))
            assert [one["word"] for one, _ in pairs] == [two["word"] for _, two in pairs]
            assert all(0 <= a["start_s"] <= a["end_s"] <= found["duration_s"] for a, _ in pairs)
            off += [1000 * abs(one["start_s"] - two["start_s"]) for one, two in pairs]
    assert np.percentile(off, 95) <= 60
    assert np.mean(off) <= 25


async def test_aligned_words_have_their_sounds(client: httpx.AsyncClient) -> None:
    found = await timed(client, text="Nobody is at home.", timestamps="phone")
    first = found["words"][0]
    assert "".join(phone["phone"] for phone in first["phones"]) == "noʊbɑdi"
    assert first["phones"][0]["start_s"] == first["start_s"]
    assert first["phones"][-1]["end_s"] == first["end_s"]


async def test_events_have_the_words_of_the_object(client: httpx.AsyncClient) -> None:
    body = {"text": TEXT, "timestamps": "word", "stream": True, "format": "pcm"}
    answer = await client.post(NATIVE, json=body, headers=EVENTS)
    *deltas, done = events_of(answer.text)
    words = [word for delta in deltas for word in delta["words"]]
    assert words == (await timed(client, text=TEXT, format="pcm"))["words"]
    assert done["timing"] == "aligned"


async def test_without_the_setting_times_are_estimated(hibari_url: str) -> None:
    async with app_client(create_app(gateway(hibari_url, "hibari", align="off"))) as client:
        assert (await timed(client, text=TEXT))["timing"] == "estimated"


async def test_without_the_extra_times_are_estimated(
    hibari_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "hama", None)  # as if it were not installed
    async with app_client(create_app(gateway(hibari_url, "hibari"))) as client:
        assert (await timed(client, text=TEXT))["timing"] == "estimated"


async def test_audio_that_says_something_else_is_not_aligned() -> None:
    with serving(create_app(Settings(), tone_pool())) as url:
        async with app_client(create_app(gateway(url, "tone"))) as client:
            assert (await timed(client, text="Hello there."))["timing"] == "estimated"


async def test_what_was_heard_is_right_to_a_word_by_aligned_times(hibari_url: str) -> None:
    """Cut live speech at 200 random moments, by aligned times and by the model's own."""
    chance, off = np.random.default_rng(1), []
    with serving(create_app(gateway(hibari_url, "hibari"))) as far_url:
        for text in SENTENCES:  # a pause between two is not the same when another server joins them
            aligned, true = [await heard_live(url, text) for url in (far_url, hibari_url)]
            assert aligned.keys() == true.keys()
            for cut in chance.uniform(0, max(true.values()), 50):
                heard = [sum(at <= cut for at in middles.values()) for middles in (aligned, true)]
                off.append(abs(heard[0] - heard[1]))
    assert np.mean(np.array(off) <= 1) >= 0.98


async def heard_live(url: str, text: str) -> dict[int, float]:
    """Return for each of the author's words when half of it has been heard."""
    async with AsyncClient(url, timeout_s=120) as client, client.live() as live:
        await live.send(text)
        await live.end()
        async for _ in live:
            pass
        return {word.end: (word.start_s + word.end_s) / 2 for word in live.words}
