"""Test that speech holds its model's lease until any kind of end."""

import asyncio
import random
from contextlib import aclosing, suppress

import httpx
import pytest

from tests.conftest import FAULTS, LONG_TEXT, app_client, serving, tone_pool
from vivavoce.api.app import create_app
from vivavoce.errors import EngineFault, Overloaded, UnknownVoice
from vivavoce.models.tone import ToneModel
from vivavoce.serving.local import LocalEngine
from vivavoce.serving.pool import Pool
from vivavoce.serving.queue import Limits
from vivavoce.settings import Settings
from vivavoce.synthesis.synthesizer import Synthesizer
from vivavoce.types import SpeechRequest


async def test_speech_that_is_finished_lets_the_model_go() -> None:
    pool = tone_pool()
    speech = await Synthesizer(pool).open(SpeechRequest("Hello there. And more."))
    assert pool.leases == 1
    assert sum([len(samples) async for samples in speech.samples()]) > 0
    assert pool.leases == 0
    await speech.aclose()
    assert pool.leases == 0
    await pool.aclose()


async def test_speech_that_fails_lets_the_model_go() -> None:
    pool = tone_pool()
    speech = await Synthesizer(pool).open(SpeechRequest("A text of many steps.", speaker="crash"))
    with pytest.raises(EngineFault):
        async for _ in speech.samples():
            pass
    assert pool.leases == 0
    await pool.aclose()


@pytest.mark.parametrize("begun", [False, True])
async def test_speech_that_is_closed_lets_the_model_go(begun: bool) -> None:
    pool = tone_pool()
    speech = await Synthesizer(pool).open(SpeechRequest("Endless.", speaker="endless"))
    async with aclosing(speech), aclosing(speech.samples()) as samples:
        if begun:
            await anext(samples)
        assert pool.leases == 1
    assert pool.leases == 0
    await pool.aclose()


async def test_request_that_is_refused_holds_nothing() -> None:
    pool = Pool(
        {
            "tone": lambda: LocalEngine(
                ToneModel(max_batch=1, faults=FAULTS), Limits(max_queued_requests=1)
            )
        }
    )
    synthesizer = Synthesizer(pool)
    with pytest.raises(UnknownVoice):
        await synthesizer.open(SpeechRequest("Hello.", speaker="nobody"))
    assert pool.leases == 0
    running = await synthesizer.open(SpeechRequest("Hello.", speaker="endless"))
    async with aclosing(running), aclosing(running.samples()) as samples:
        await anext(samples)
        async with aclosing(await synthesizer.open(SpeechRequest("Hello."))):
            with pytest.raises(Overloaded):
                await synthesizer.open(SpeechRequest("Hello."))
            assert pool.leases == 2
    assert pool.leases == 0
    await pool.aclose()


async def test_two_hundred_random_cancels_leave_no_lease() -> None:
    draw = random.Random(7)
    pool = tone_pool(max_batch=4)
    synthesizer = Synthesizer(pool)
    voices = ("sine", "endless", "crash", "crash-at-once")

    async def use() -> None:
        async with (
            aclosing(
                await synthesizer.open(SpeechRequest("Hello there.", speaker=draw.choice(voices)))
            ) as speech,
            aclosing(speech.samples()) as samples,
        ):
            async for _ in samples:
                pass

    tasks = []
    for _ in range(200):
        tasks.append(asyncio.create_task(use()))
        for _ in range(draw.randrange(6)):
            await asyncio.sleep(0)
        draw.choice(tasks).cancel()
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert pool.leases == 0
    await pool.aclose()


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/tts/synthesize", {"text": "Hello there."}),
        ("/v1/tts/synthesize", {"text": "Hello there.", "stream": True}),
        ("/v1/tts/synthesize", {"text": "Hello there.", "speaker": "crash", "stream": True}),
        ("/v1/tts/synthesize", {"text": "Hello there.", "speaker": "crash-at-once"}),
        ("/v1/audio/speech", {"input": "Hello there.", "stream_format": "sse"}),
        ("/v1/audio/speech", {"input": "Hello there.", "voice": "crash", "stream_format": "sse"}),
    ],
)
async def test_answer_that_is_sent_or_has_failed_holds_nothing(
    path: str, body: dict[str, object]
) -> None:
    pool = tone_pool()
    async with app_client(create_app(Settings(), pool)) as client:
        with suppress(
            RuntimeError
        ):  # a failure after the status was sent: the transport in process passes it on
            await client.post(path, json=body)
        assert pool.leases == 0


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/tts/synthesize", {"text": LONG_TEXT, "speaker": "endless", "stream": True}),
        ("/v1/tts/synthesize", {"text": LONG_TEXT, "speaker": "endless"}),
        ("/v1/audio/speech", {"input": LONG_TEXT, "voice": "endless", "stream_format": "sse"}),
    ],
)
async def test_client_that_leaves_lets_the_model_go(path: str, body: dict[str, object]) -> None:
    pool = tone_pool()
    with serving(create_app(Settings(), pool)) as url:
        async with httpx.AsyncClient() as client:
            leaving = asyncio.create_task(client.post(f"{url}{path}", json=body, timeout=30))
            async with asyncio.timeout(10):
                while pool.leases == 0:  # noqa: ASYNC110 - the server runs in another thread
                    await asyncio.sleep(0.005)
                leaving.cancel()
                await asyncio.wait([leaving])
                while pool.leases:  # noqa: ASYNC110 - likewise
                    await asyncio.sleep(0.005)
