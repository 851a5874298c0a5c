"""Test that out-of-memory steps are retried in smaller batches, with the same audio."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing

import httpx
import numpy as np
import pytest

from tests.conftest import app_client
from vivavoce.api.app import create_app
from vivavoce.errors import OutOfMemory
from vivavoce.models.tone import CHAR_S, RATE_HZ, Fault, ToneModel, ToneStream, tones
from vivavoce.serving.events import NoEvents
from vivavoce.serving.local import LocalEngine
from vivavoce.serving.pool import Pool
from vivavoce.serving.queue import CAUTION_S, BatchLimit
from vivavoce.settings import Settings
from vivavoce.types import Samples, Segment, StopReason

FAULTS = {"oom": Fault("oom", 3)}
TEXTS = ("the first of them", "another", "a third one here", "number four", "and the last")


class Steps(NoEvents):
    """A model that records the number of streams of each step."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def stepped(self, model: str, seconds: float, streams: int) -> None:
        self.sizes.append(streams)


async def answers(model: ToneModel, speakers: Sequence[str]) -> list[httpx.Response]:
    """Return the answers to as many concurrent requests, with `TEXTS`."""
    async with app_client(
        create_app(Settings(), Pool({"tone": lambda: LocalEngine(model)}))
    ) as client:
        return await asyncio.gather(
            *(
                client.post(
                    "/v1/tts/synthesize", json={"text": text, "speaker": speaker, "format": "pcm"}
                )
                for text, speaker in zip(TEXTS, speakers, strict=False)
            )
        )


async def test_step_without_memory_is_tried_again_in_halves_and_says_the_same() -> None:
    alone = [(await answers(ToneModel(), ["sine"] * 5))[number].content for number in range(5)]
    together = await answers(ToneModel(real_time_factor=0.2, fits=3), ["sine"] * 5)
    assert [answer.status_code for answer in together] == [200] * 5
    assert [answer.content for answer in together] == alone


@pytest.mark.parametrize("requests", [1, 5])
async def test_without_memory_for_one_stream_the_answer_is_503_with_retry_after(
    requests: int,
) -> None:
    for answer in await answers(ToneModel(real_time_factor=0.2, fits=0), ["sine"] * requests):
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert answer.json()["error"]["code"] == "out_of_memory"


def segment(text: str, voice: str = "sine") -> Segment:
    return Segment(text, voice, "en")


def whole(text: str) -> Samples:
    return tones(segment(text), 0, int(len(text) * CHAR_S * RATE_HZ))


async def heard(engine: LocalEngine, spoken: Segment) -> Samples:
    async with aclosing(engine.speak(spoken)) as stream:
        return np.concatenate([chunk.samples async for chunk in stream])


async def test_all_but_the_stream_that_takes_all_memory_speak_on() -> None:
    engine, steps = LocalEngine(ToneModel(real_time_factor=0.2, faults=FAULTS)), Steps()
    engine.observe(steps)
    greedy = engine.speak(segment("the greedy one", "oom"))
    others = [asyncio.create_task(heard(engine, segment(text))) for text in TEXTS]
    await asyncio.sleep(0)
    await engine.start()
    try:
        with pytest.raises(OutOfMemory):
            async for _ in greedy:
                pass
        for text, samples in zip(TEXTS, await asyncio.gather(*others), strict=True):
            assert np.array_equal(samples, whole(text))
        assert set(steps.sizes[: steps.sizes.index(3)]) == {6}
        assert (
            max(steps.sizes[steps.sizes.index(3) :]) == 3
        )  # as many as were stepped at once after that
    finally:
        await engine.aclose()


async def test_steps_stay_small_after_memory_ran_out() -> None:
    engine, steps = LocalEngine(ToneModel(real_time_factor=0.2, fits=2)), Steps()
    engine.observe(steps)
    tasks = [asyncio.create_task(heard(engine, segment(text))) for text in TEXTS[:4]]
    await asyncio.sleep(0)
    await engine.start()
    try:
        for text, samples in zip(TEXTS, await asyncio.gather(*tasks), strict=False):
            assert np.array_equal(samples, whole(text))
        ran_out = next(number for number, size in enumerate(steps.sizes) if size > 2)
        assert max(steps.sizes[ran_out + 1 :]) == 2
    finally:
        await engine.aclose()


def test_larger_steps_are_tried_again_after_a_while() -> None:
    limit = BatchLimit(8)
    assert limit.current(0) == 8
    limit.reduce(4, 0)
    limit.reduce(2, 1)
    limit.reduce(4, 2)  # what did not fit before does not now
    assert limit.current(CAUTION_S + 1) == 2
    assert limit.current(CAUTION_S + 2) == 8


class Narrow(ToneModel):
    """A model with memory for two open streams, and for none once `full`."""

    def __init__(self) -> None:
        super().__init__(real_time_factor=0.2)
        self.streams, self.refused = 0, 0
        self.full = False

    def open(self, segment: Segment) -> ToneStream:  # type: ignore[override]  # as the protocol has it
        if self.full or self.streams == 2:
            self.refused += 1
            raise OutOfMemory("there is no memory to open a stream")
        self.streams += 1
        return super().open(segment)

    def close(self, stream: ToneStream) -> None:
        self.streams -= 1


async def test_stream_that_finds_no_memory_to_open_waits_until_another_has_ended() -> None:
    model = Narrow()
    engine = LocalEngine(model)
    await engine.start()
    try:
        done = await asyncio.gather(*(heard(engine, segment(text)) for text in TEXTS))
        assert all(
            np.array_equal(samples, whole(text)) for text, samples in zip(TEXTS, done, strict=True)
        )
        assert model.refused == 1
        model.full = True
        with pytest.raises(OutOfMemory) as refused:
            await heard(engine, segment("one more"))
        assert refused.value.retry_after_s == 5
    finally:
        await engine.aclose()


class Leaking(ToneModel):
    """A model that runs out of memory somewhere within a step."""

    def step(
        self, streams: Sequence[ToneStream], ahead_s: Sequence[float] = ()
    ) -> Sequence[Samples | StopReason]:
        raise MemoryError


async def test_step_that_may_be_half_done_is_not_tried_again() -> None:
    engine, steps = LocalEngine(Leaking()), Steps()
    engine.observe(steps)
    tasks = [asyncio.create_task(heard(engine, segment(text))) for text in TEXTS]
    await asyncio.sleep(0)
    await engine.start()
    try:
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            assert isinstance(result, OutOfMemory)
    finally:
        await engine.aclose()
    assert steps.sizes == [5]
