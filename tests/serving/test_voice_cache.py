"""Test that voices are prepared once, one at a time, and cached within a bound."""

import asyncio
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vivavoce.errors import EngineFault, NotReady, Overloaded, Unsupported
from vivavoce.models.hibari import HibariModel
from vivavoce.models.tone import ToneModel
from vivavoce.serving.local import LocalEngine
from vivavoce.serving.voice_cache import VoiceCache, content_hash
from vivavoce.types import PreparedVoice, Reference


def recording(number: int, text: str | None = None) -> Reference:
    return Reference(np.full(24_000, number / 100, np.float32), 24_000, text)


class Bench:
    """A `prepare` that waits for its permission and records the order."""

    def __init__(self) -> None:
        self.done: list[Reference] = []
        self.at_work = 0
        self.most_at_work = 0
        self.begun = threading.Semaphore(0)
        self.let = threading.Semaphore(0)

    def prepare(self, reference: Reference) -> PreparedVoice:
        self.at_work += 1
        self.most_at_work = max(self.most_at_work, self.at_work)
        self.begun.release()
        assert self.let.acquire(timeout=20)
        self.at_work -= 1
        self.done.append(reference)
        return ("voice", content_hash(reference))

    async def wait_for_work(self) -> None:
        assert await asyncio.to_thread(self.begun.acquire, timeout=20)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    yield bench
    bench.let.release(100)


async def asked(*tasks: "asyncio.Task[PreparedVoice]", voices: VoiceCache, coming: int) -> None:
    """Wait until `coming` recordings wait or are being prepared."""
    while len(voices._in_flight) < coming and not all(task.done() for task in tasks):  # noqa: ASYNC110 - a yield
        await asyncio.sleep(0)


def test_hash_is_that_of_samples_rate_and_words() -> None:
    one = recording(1, "Hello.")
    assert content_hash(one) == content_hash(recording(1, "Hello."))
    others = [
        recording(2, "Hello."),
        recording(1, "Hallo."),
        recording(1),
        replace(one, sample_rate_hz=16_000),
    ]
    assert len({content_hash(one), *map(content_hash, others)}) == 5


async def test_recording_that_comes_again_is_not_prepared_again(bench: Bench) -> None:
    bench.let.release(2)
    voices = VoiceCache(bench.prepare)
    first, again, other = [
        await voices.get(wanted) for wanted in (recording(1), recording(1), recording(1, "Hi."))
    ]
    assert first is again
    assert other != first
    assert len(bench.done) == 2


async def test_those_used_last_are_kept(bench: Bench) -> None:
    bench.let.release(10)
    voices = VoiceCache(bench.prepare, kept=2)
    for number in (1, 2, 1, 3, 1):
        await voices.get(recording(number))
    assert len(bench.done) == 3
    assert len(voices._ready) == 2
    await voices.get(recording(2))
    assert len(bench.done) == 4


async def test_all_who_ask_at_once_wait_for_one_preparation(bench: Bench) -> None:
    voices = VoiceCache(bench.prepare)
    tasks = [asyncio.create_task(voices.get(recording(1))) for _ in range(5)]
    await bench.wait_for_work()
    tasks[0].cancel()
    bench.let.release()
    assert len({id(voice) for voice in await asyncio.gather(*tasks[1:])}) == 1
    assert tasks[0].cancelled()
    assert len(bench.done) == 1


async def test_one_is_prepared_at_a_time_and_who_leaves_gives_up_its_turn(bench: Bench) -> None:
    voices = VoiceCache(bench.prepare)
    tasks = [asyncio.create_task(voices.get(recording(number))) for number in range(4)]
    await bench.wait_for_work()
    await asked(*tasks, voices=voices, coming=4)
    at_work = next(iter(voices._in_flight))
    gone = next(number for number in range(4) if content_hash(recording(number)) != at_work)
    tasks[gone].cancel()
    bench.let.release(4)
    await asyncio.gather(*tasks, return_exceptions=True)
    assert len(bench.done) == 3
    assert bench.most_at_work == 1
    assert not voices._in_flight


async def test_who_leaves_alone_does_not_spoil_the_work_that_has_begun(bench: Bench) -> None:
    voices = VoiceCache(bench.prepare)
    task = asyncio.create_task(voices.get(recording(1)))
    await bench.wait_for_work()
    task.cancel()
    await asyncio.wait([task])
    bench.let.release()
    await voices.get(recording(1))
    assert len(bench.done) == 1


async def test_too_many_waiting_recordings_are_refused(bench: Bench) -> None:
    voices = VoiceCache(bench.prepare, max_waiting=2)
    tasks = [asyncio.create_task(voices.get(recording(number))) for number in range(3)]
    await asked(*tasks, voices=voices, coming=3)
    with pytest.raises(Overloaded, match="2 recordings wait"):
        await voices.get(recording(9))
    bench.let.release(3)
    await asyncio.gather(*tasks)


async def test_stopping_ends_every_wait_and_lets_the_work_finish(bench: Bench) -> None:
    voices = VoiceCache(bench.prepare)
    tasks = [asyncio.create_task(voices.get(recording(number))) for number in range(3)]
    await bench.wait_for_work()
    await asked(*tasks, voices=voices, coming=3)
    closing = asyncio.create_task(voices.aclose())
    await asyncio.sleep(0)
    bench.let.release()
    await closing
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert len(bench.done) == 1
    assert sum(isinstance(result, NotReady) for result in ended) == 2
    with pytest.raises(NotReady):
        await voices.get(recording(1))


@pytest.mark.parametrize("make", [ToneModel, HibariModel])
async def test_model_with_voices_of_its_own_clones_nothing(
    make: type[ToneModel] | type[HibariModel],
) -> None:
    engine = LocalEngine(make())
    await engine.start()
    try:
        with pytest.raises(Unsupported, match="clones no voice") as caught:
            await engine.prepare_voice(recording(1))
        assert caught.value.field == "ref_audio"
    finally:
        await engine.aclose()
    with pytest.raises(NotReady):
        await engine.prepare_voice(recording(1))


class Broken(ToneModel):
    """A model whose device fails."""

    def prepare(self, reference: Reference) -> PreparedVoice:
        raise RuntimeError("the device is gone")


async def test_model_that_fails_is_an_engine_fault_and_is_asked_again() -> None:
    engine = LocalEngine(Broken())
    for _ in range(2):
        with pytest.raises(EngineFault, match="could not prepare the voice: the device is gone"):
            await engine.prepare_voice(recording(1))
    await engine.aclose()


@pytest.mark.parametrize("saved_first", [True, False])
async def test_recording_that_a_client_sends_too_ends_with_the_saved_one(
    bench: Bench, saved_first: bool
) -> None:
    bench.let.release(9)
    voices, file = VoiceCache(bench.prepare), Path("anna/recording.flac")
    sent, saved = recording(1), replace(recording(1), file=file)
    for reference in (saved, sent) if saved_first else (sent, saved):
        await voices.get(reference)
    assert len(bench.done) == 1
    await voices.forget(file)
    assert not voices._ready
    await voices.get(sent)  # whose consent is up to who sends it
    await voices.forget(file)
    assert len(voices._ready) == 1


async def test_voice_whose_recording_is_taken_back_is_held_by_nobody(bench: Bench) -> None:
    dropped = threading.Event()
    voices = VoiceCache(bench.prepare, dropped.set)
    gone, stays = Path("gone/recording.flac"), Path("stays/recording.flac")
    bench.let.release(2)
    for number, file in enumerate((gone, stays)):
        await voices.get(replace(recording(number), file=file))
    await voices.forget(gone)
    assert [file for file, _ in voices._ready.values()] == [stays]
    assert dropped.is_set()
    late = replace(recording(3), file=gone)  # in preparation when its recording is taken back
    waiter = asyncio.create_task(voices.get(late))
    await bench.wait_for_work()
    await bench.wait_for_work()
    await bench.wait_for_work()
    forgetting = asyncio.create_task(voices.forget(gone))
    while not forgetting.done() and not voices._in_flight[content_hash(late)].is_gone:  # noqa: ASYNC110 - a yield
        await asyncio.sleep(0)
    bench.let.release()
    await waiter
    await forgetting
    assert [file for file, _ in voices._ready.values()] == [stays]
    await voices.aclose()
