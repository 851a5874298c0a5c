"""Test the scheduler's invariants with the tone model and hypothesis."""

import asyncio
import math
import threading
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace
from queue import SimpleQueue

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.serving.models import Meeting
from vivavoce.errors import BadRequest, EngineFault, NotReady, Overloaded, Unsupported
from vivavoce.models.hibari import HibariModel
from vivavoce.models.tone import (
    CHAR_S,
    MAX_LIVE_CHARS,
    RATE_HZ,
    Fault,
    ToneModel,
    ToneStream,
    tones,
)
from vivavoce.serving.local import LocalEngine, LocalStream
from vivavoce.serving.queue import Limits, QueuedSegment
from vivavoce.serving.scheduler import Delivery, Load, Scheduler, _Running
from vivavoce.types import Samples, Segment, StopReason


def segment(text: str = "hello", voice: str = "sine", seed: int | None = None) -> Segment:
    return Segment(text, voice, "en", seed=seed)


def whole(spoken: Segment) -> Samples:
    """Return the audio of the tone model for a segment, without an engine."""
    return tones(spoken, 0, int(len(spoken.text) * CHAR_S * RATE_HZ))


async def heard(engine: LocalEngine, spoken: Segment) -> Samples:
    async with aclosing(engine.speak(spoken)) as stream:
        return np.concatenate(
            [chunk.samples async for chunk in stream] or [np.zeros(0, np.float32)]
        )


class Engine:
    """A started engine as a context manager."""

    def __init__(self, model: ToneModel, **limits: float) -> None:
        self._engine = LocalEngine(model, Limits(**limits))  # type: ignore[arg-type]  # max_queued_requests is an int, given as one

    async def __aenter__(self) -> LocalEngine:
        await self._engine.start()
        return self._engine

    async def __aexit__(self, *exc: object) -> None:
        await self._engine.aclose()


class Gate(ToneModel):
    """A tone model whose steps set `stepping` and wait for `gate`."""

    def __init__(self, **kwargs: float) -> None:
        super().__init__(**kwargs)  # type: ignore[arg-type]  # whole numbers where it takes them
        self.gate = threading.Event()
        self.stepping = threading.Event()
        self.steps = 0

    def step(
        self, streams: Sequence[ToneStream], ahead_s: Sequence[float] = ()
    ) -> Sequence[Samples | StopReason]:
        self.stepping.set()
        assert self.gate.wait(10)
        self.steps += 1
        return super().step(streams)


async def test_segment_is_spoken_whole_and_in_order() -> None:
    async with Engine(ToneModel()) as engine:
        assert np.array_equal(
            await heard(engine, segment("one two three")), whole(segment("one two three"))
        )


@pytest.mark.parametrize(("max_batch", "lanes"), [(64, 1), (1, 2), (3, 2)])
async def test_streams_beside_each_other_do_not_mix(max_batch: int, lanes: int) -> None:
    spoken = [segment(f"text number {i} " * (1 + i % 5), seed=i) for i in range(40)]
    async with Engine(
        ToneModel(max_batch=max_batch, lanes=lanes), max_queued_requests=100
    ) as engine:
        results = await asyncio.gather(*(heard(engine, s) for s in spoken))
    for one, result in zip(spoken, results, strict=True):
        assert np.array_equal(result, whole(one))


async def test_requests_beside_each_other_are_spread_over_the_lanes() -> None:
    engine = LocalEngine(Meeting(), Limits())  # a step ends when another lane steps too
    streams = [engine.speak(segment(seed=i)) for i in range(2)]
    await engine.start()
    for stream in streams:
        assert [chunk async for chunk in stream]
    await engine.aclose()


async def test_full_queue_refuses_at_once_but_not_what_continues() -> None:
    model = Gate(max_batch=1)
    async with Engine(model, max_queued_requests=2) as engine:
        first = engine.speak(segment())
        await asyncio.to_thread(model.stepping.wait)
        waiting = [engine.speak(segment()) for _ in range(2)]
        with pytest.raises(Overloaded) as refusal:
            engine.speak(segment())
        assert refusal.value.retry_after_s > 0
        continuing = engine.speak(segment(), follows=first)
        model.gate.set()
        for stream in (first, *waiting, continuing):
            assert sum([chunk.samples.size async for chunk in stream]) == whole(segment()).size


async def test_new_request_comes_before_what_its_listener_needs_later() -> None:
    model = Gate(max_batch=1)
    order: list[str] = []

    async def note(name: str, stream: LocalStream) -> None:
        order.extend([name async for _ in stream])

    async with Engine(model) as engine:
        first = engine.speak(segment("the first of two"))
        await asyncio.to_thread(model.stepping.wait)
        later = engine.speak(segment("!", seed=1), follows=first)
        new = engine.speak(segment("?", seed=2))
        model.gate.set()
        await asyncio.gather(note("first", first), note("later", later), note("new", new))
    assert order[-2:] == ["new", "later"]


def test_lead_of_a_listener_counts_what_it_has_not_heard_yet() -> None:
    first = QueuedSegment(segment(), submitted_s=10.0)
    following = QueuedSegment(segment(), submitted_s=10.0, follows=first)
    assert first.buffered_s(RATE_HZ, 11.0) == 0.0  # nothing to hear yet, and nothing to lose
    assert following.buffered_s(RATE_HZ, 11.0) == math.inf  # not before the first has begun
    following.count(RATE_HZ, RATE_HZ, 11.0)
    assert following.ahead_s == 0.0, "nobody knows when it will be heard, so it must not wait"
    following = QueuedSegment(segment(), submitted_s=10.0, follows=first)
    first.play_started_s, first.made = 12.0, 3 * RATE_HZ
    assert [first.buffered_s(RATE_HZ, now) for now in (12.0, 14.0, 16.0)] == [3.0, 1.0, -1.0]
    assert [following.buffered_s(RATE_HZ, now) for now in (12.0, 14.0, 16.0)] == [3.0, 1.0, 0.0]


async def test_every_step_is_told_the_lead_of_each_listener() -> None:
    leads: list[float] = []

    class Noting(ToneModel):
        def step(
            self, streams: Sequence[ToneStream], ahead_s: Sequence[float] = ()
        ) -> Sequence[Samples | StopReason]:
            leads.extend(ahead_s)
            return super().step(streams)

    async with Engine(Noting()) as engine:
        await heard(engine, segment("one two three"))
    assert leads[0] == 0.0
    assert leads[-1] == pytest.approx(len("one two three") * CHAR_S, abs=0.2)
    assert leads == sorted(leads)


async def test_stream_tells_how_it_ended_once_it_has() -> None:
    async with Engine(ToneModel(), max_ahead_s=0.1) as engine:
        spoken, left = engine.speak(segment()), engine.speak(segment())
        await anext(spoken)
        assert spoken.ending is None
        async for _ in spoken:
            pass
        await left.aclose()
        assert (spoken.ending, left.ending) == (StopReason.COMPLETE, None)


async def test_raising_step_fails_its_streams_and_the_next_is_spoken() -> None:
    async with Engine(ToneModel(faults={"crash": Fault("raise", 3)})) as engine:
        with pytest.raises(EngineFault, match="told to fail at step 3"):
            await heard(engine, segment("a long enough text", voice="crash"))
        assert np.array_equal(await heard(engine, segment()), whole(segment()))
        assert engine.load.running == 0


async def test_closed_stream_leaves_its_place_to_the_next() -> None:
    async with Engine(
        ToneModel(max_batch=1, faults={"endless": Fault("endless")}), max_ahead_s=0.2
    ) as engine:
        endless = engine.speak(segment(voice="endless"))
        await anext(endless)
        await endless.aclose()
        assert np.array_equal(await asyncio.wait_for(heard(engine, segment()), 5), whole(segment()))


async def test_stream_closed_before_it_is_read_is_cancelled() -> None:
    async with Engine(ToneModel(max_batch=1, faults={"endless": Fault("endless")})) as engine:
        await engine.speak(segment(voice="endless")).aclose()
        assert (await asyncio.wait_for(heard(engine, segment()), 5)).size


async def test_listener_that_stops_reading_stops_the_work() -> None:
    model = Gate(faults={"endless": Fault("endless")})  # type: ignore[arg-type]  # passed on to ToneModel
    model.gate.set()
    async with Engine(model, max_ahead_s=1.0) as engine:
        stream = engine.speak(segment(voice="endless"))
        await anext(stream)
        await heard(
            engine,
            segment("this one is read to its end, and is much longer than a second of audio"),
        )
        chunks_ahead = int(1.0 / 0.08) + 2
        assert 0 < stream._inbox.samples <= chunks_ahead * 1_920
        await stream.aclose()


class Permitted(ToneModel):
    """A tone model that makes a step for each of its `permits`."""

    def __init__(self) -> None:
        super().__init__()
        self.permits = threading.Semaphore(0)

    def step(
        self, streams: Sequence[ToneStream], ahead_s: Sequence[float] = ()
    ) -> Sequence[Samples | StopReason]:
        assert self.permits.acquire(timeout=10)
        return super().step(streams)


async def next_sizes(stream: LocalStream, samples: int) -> list[int]:
    """Return the sizes of the next pieces of audio, `samples` in all."""
    while stream._inbox.samples < samples:  # noqa: ASYNC110 - no future tells of held samples
        await asyncio.sleep(0.001)
    sizes: list[int] = []
    while sum(sizes) < samples:
        sizes.append((await asyncio.wait_for(anext(stream), 5)).samples.size)
    return sizes


async def test_audio_comes_at_once_first_and_in_larger_pieces_while_its_listener_has_some() -> None:
    model, chunk = Permitted(), 1_920
    async with (
        Engine(model, max_ahead_s=4.0) as engine,  # pieces of a quarter of a second
        aclosing(engine.speak(segment("a long text " * 20))) as stream,
    ):
        model.permits.release()
        assert await next_sizes(stream, chunk) == [chunk]
        model.permits.release(20)
        assert await next_sizes(stream, 20 * chunk) == [4 * chunk] * 5
        # A model that makes no more does not keep from its listener what it has made.
        model.permits.release()
        assert await next_sizes(stream, chunk) == [chunk]
        model.permits.release(1_000)


async def test_stopping_ends_everyone_with_not_ready() -> None:
    model = Gate(max_batch=1)
    engine = LocalEngine(model)
    await engine.start()
    running, waiting = engine.speak(segment()), engine.speak(segment())
    await asyncio.to_thread(model.stepping.wait)
    closing = asyncio.create_task(engine.aclose())
    await asyncio.sleep(0)
    model.gate.set()
    await closing
    for stream in (running, waiting):
        with pytest.raises(NotReady):
            async for _ in stream:
                pass
    with pytest.raises(NotReady):
        engine.speak(segment())


@settings(max_examples=25, deadline=None)
@given(
    plan=st.lists(
        st.tuples(st.text("abc", min_size=1, max_size=12), st.none() | st.integers(0, 6)),
        min_size=1,
        max_size=30,
    ),
    max_batch=st.integers(1, 4),
    lanes=st.integers(1, 3),
)
def test_every_segment_ends_once_and_nothing_leaks_whoever_leaves(
    plan: list[tuple[str, int | None]], max_batch: int, lanes: int
) -> None:
    """Let each listener read to the end, or leave after some chunks."""

    async def listen(engine: LocalEngine, text: str, leave_after: int | None) -> None:
        parts: list[Samples] = []
        async with aclosing(engine.speak(segment(text))) as stream:
            while leave_after is None or len(parts) < leave_after:
                try:
                    parts.append((await anext(stream)).samples)
                except StopAsyncIteration:
                    break
        result = np.concatenate([np.zeros(0, np.float32), *parts])
        expected = whole(segment(text))
        assert np.array_equal(result, expected[: result.size])
        assert leave_after is not None or result.size == expected.size

    async def run() -> None:
        model = ToneModel(max_batch=max_batch, lanes=lanes)
        async with Engine(model, max_queued_requests=100) as engine:
            await asyncio.gather(*(listen(engine, text, leave) for text, leave in plan))
            while engine.load != Load(0, 0):  # noqa: ASYNC110 - a lane frees its slots without telling anyone
                await asyncio.sleep(0)
            assert not engine._listeners

    asyncio.run(asyncio.wait_for(run(), 30))


async def test_no_stream_leaks_after_a_thousand_random_cancels() -> None:
    random = np.random.default_rng(7)
    async with Engine(ToneModel(max_batch=8), max_queued_requests=2000) as engine:

        async def leave(after: int) -> None:
            async with aclosing(
                engine.speak(segment("a text to leave in the middle of"))
            ) as stream:
                for _ in range(after):
                    await anext(stream, None)

        await asyncio.gather(*(leave(int(after)) for after in random.integers(0, 20, 1000)))
        assert np.array_equal(await heard(engine, segment()), whole(segment()))
        assert not engine._listeners
        assert engine.load.waiting == 0


# -- live text ---------------------------------------------------------------------------------


def live(text: str = "", **fields: object) -> Segment:
    return replace(segment(text), live=True, **fields)  # type: ignore[arg-type]  # names of its fields


async def rest(stream: LocalStream) -> Samples:
    return np.concatenate([chunk.samples async for chunk in stream] or [np.zeros(0, np.float32)])


async def free(engine: LocalEngine) -> None:
    """Wait until no segment waits or runs."""
    while engine.load != Load(0, 0):  # noqa: ASYNC110 - a lane frees its slots without telling anyone
        await asyncio.sleep(0)


async def test_live_text_is_heard_before_it_is_complete_and_is_the_text_as_a_whole() -> None:
    async with Engine(ToneModel()) as engine:
        stream = engine.speak(live("one "))
        parts = [(await anext(stream)).samples]
        stream.feed("two ")
        while sum(map(len, parts)) < 0.4 * RATE_HZ:
            parts.append((await anext(stream)).samples)
        stream.feed("three", last=True)
        parts.append(await rest(stream))
        assert stream.ending is StopReason.COMPLETE
    assert np.array_equal(np.concatenate(parts), whole(segment("one two three")))


@settings(max_examples=25, deadline=None)
@given(
    speakers=st.lists(
        st.lists(st.text("abc ", max_size=6), min_size=1, max_size=6), min_size=1, max_size=12
    ),
    max_batch=st.integers(1, 12),
    lanes=st.integers(1, 2),
    data=st.data(),
)
def test_pieces_fed_at_any_pace_beside_each_other_sound_as_the_whole(
    speakers: list[list[str]], max_batch: int, lanes: int, data: st.DataObject
) -> None:
    pauses = data.draw(st.lists(st.integers(0, 5), min_size=8, max_size=8))
    # A place is kept until the text is complete, so as many must be there as wait for each other's
    # end.
    max_batch = max(max_batch, len(speakers))

    async def write(stream: LocalStream, pieces: list[str], number: int) -> None:
        for index, piece in enumerate(pieces):
            for _ in range(pauses[(number + index) % len(pauses)]):
                await asyncio.sleep(0)
            stream.feed(piece, last=index == len(pieces) - 1)

    async def run() -> None:
        async with Engine(ToneModel(max_batch=max_batch, lanes=lanes)) as engine:
            streams = [engine.speak(live()) for _ in speakers]
            writers = [
                write(stream, pieces, n)
                for n, (stream, pieces) in enumerate(zip(streams, speakers, strict=True))
            ]
            heard_by, _ = await asyncio.gather(
                asyncio.gather(*map(rest, streams)), asyncio.gather(*writers)
            )
            for samples, pieces in zip(heard_by, speakers, strict=True):
                assert np.array_equal(samples, whole(segment("".join(pieces))))
            await free(engine)

    asyncio.run(asyncio.wait_for(run(), 30))


class Turns(Scheduler):
    """A model that counts the visits of its lane."""

    turns = 0

    def _wait_for_work(self, running: list[_Running]) -> bool:
        self.turns += 1
        return super()._wait_for_work(running)


def test_stream_that_waits_for_text_is_not_stepped_and_its_lane_sleeps() -> None:
    model, delivered = (
        Gate(chunk_s=0.125, char_s=0.125),
        SimpleQueue[Delivery](),
    )  # a chunk a letter
    model.gate.set()
    scheduler = Turns(model, delivered.put, Limits(max_queued_requests=4, max_ahead_s=100.0))
    scheduler.start()
    queued, letters = scheduler.submit(live()), 50
    for _ in range(letters):
        scheduler.feed(queued, "a", last=False)
        delivered.get(timeout=10)
    assert model.steps == letters
    assert scheduler.turns <= 2 * letters + 2
    for number in range(20):  # others come and go meanwhile
        other = scheduler.submit(segment("four"))
        while all(
            done is not other or isinstance(event, np.ndarray)
            for done, event in delivered.get(timeout=10)
        ):
            pass
        assert model.steps == letters + 5 * (number + 1)  # four of samples, one that says it ended
    scheduler.feed(queued, "", last=True)
    assert delivered.get(timeout=10) == [(queued, StopReason.COMPLETE)]
    scheduler.stop()


async def test_live_stream_without_text_leaves_its_place_to_others() -> None:
    async with Engine(ToneModel(max_batch=1)) as engine:
        idle = engine.speak(live())
        assert np.array_equal(await heard(engine, segment()), whole(segment()))
        idle.feed("now", last=True)
        assert np.array_equal(await rest(idle), whole(segment("now")))


@pytest.mark.parametrize("text", ["", "a few words"])
async def test_closing_a_stream_that_waits_for_text_frees_its_place_at_once(text: str) -> None:
    async with Engine(ToneModel(max_batch=1)) as engine:
        stream = engine.speak(live(text))
        if text:
            await anext(stream)
        await stream.aclose()
        assert np.array_equal(await asyncio.wait_for(heard(engine, segment()), 5), whole(segment()))
        stream.feed("nobody hears this", last=True)
        await free(engine)


@pytest.mark.parametrize("text", ["", "a few words"])
async def test_stopping_ends_who_waits_for_text_with_not_ready(text: str) -> None:
    async with Engine(ToneModel()) as engine:
        stream = engine.speak(live(text))
        if text:
            await anext(stream)
        await engine.aclose()
        with pytest.raises(NotReady):
            await rest(stream)


async def test_text_after_the_last_and_text_that_is_too_long_are_refused_and_change_nothing() -> (
    None
):
    async with Engine(ToneModel()) as engine:
        stream = engine.speak(live("ab"))
        with pytest.raises(BadRequest, match=f"speaks {MAX_LIVE_CHARS:,} in one go") as refusal:
            stream.feed("c" * (MAX_LIVE_CHARS - 1))
        assert refusal.value.field == "text"
        stream.feed("cd", last=True)
        for piece in ("e", ""):
            with pytest.raises(BadRequest, match="was complete before"):
                stream.feed(piece)
        assert np.array_equal(await rest(stream), whole(segment("abcd")))
        with pytest.raises(BadRequest, match="in one go"):
            engine.speak(live("c" * (MAX_LIVE_CHARS + 1)))
        assert engine.load == Load(0, 0)


async def test_only_live_segments_grow_and_only_models_with_live_text_take_them() -> None:
    async with Engine(ToneModel()) as engine:
        stream = engine.speak(segment())
        with pytest.raises(Unsupported, match="only a live one grows"):
            stream.feed("more")
        await stream.aclose()
    hibari = LocalEngine(HibariModel())
    assert not hibari.info.capabilities.live_text
    with pytest.raises(Unsupported, match="'hibari' reads a text only as a whole") as refusal:
        hibari.speak(live("Hello"))
    assert refusal.value.field == "text"


async def test_model_that_fails_over_a_text_ends_its_stream_alone() -> None:
    class Picky(ToneModel):
        def feed(self, stream: ToneStream, text: str, *, last: bool) -> None:
            if "?" in text:
                raise BadRequest("no questions", field="text")
            super().feed(stream, text, last=last)

    async with Engine(Picky()) as engine:
        asked, other = engine.speak(live("well ")), engine.speak(live("well "))
        await anext(asked)
        asked.feed("?")
        with pytest.raises(BadRequest, match="no questions"):
            await rest(asked)
        asked.feed("never mind", last=True)
        other.feed("yes", last=True)
        assert np.array_equal(await rest(other), whole(segment("well yes")))
        await free(engine)
