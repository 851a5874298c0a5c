"""Live text through model and scheduler equals the speech of the whole text."""

import asyncio
import random
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.models.qwen3_tts.small import CPU
from tests.models.qwen3_tts.test_model import indifferent, same
from tests.models.qwen3_tts.whole import segment, whole_checkpoint
from vivavoce.errors import BadRequest, UnknownVoice
from vivavoce.models.qwen3_tts import QwenOptions
from vivavoce.models.qwen3_tts.codec import load_decoder
from vivavoce.models.qwen3_tts.runtime.model import QwenModel
from vivavoce.models.qwen3_tts.runtime.stream import SegmentStream
from vivavoce.models.qwen3_tts.tools.trace import read_request, trace
from vivavoce.serving.local import LocalEngine, LocalStream
from vivavoce.types import Samples, SamplingOptions, Segment, StopReason

FRAME = 1920
FRAMES = 30  # more than the longest text has tokens
TEXTS = ("The lamp, 1 2 3: it's on.", "你好，世界。It's 42!", "  Hi\n\nthe e\u0301nd", "A")


@cache
def shared() -> QwenModel:
    """Return one model with four slots for the tests that close what they open."""
    with TemporaryDirectory() as folder:
        return QwenModel(
            whole_checkpoint(Path(folder, "Tiny"), frames=FRAMES), QwenOptions(max_batch=4)
        )


def live(text: str = "", *, seed: int = 1, voice: str = "ryan") -> Segment:
    return replace(segment(text, seed=seed, voice=voice), live=True)


def rest(model: QwenModel, stream: SegmentStream) -> list[Samples]:
    """Return the results of all steps until the speech ends, then close its stream."""
    made: list[Samples] = []
    while not isinstance(samples := model.step([stream])[0], StopReason):
        made.append(samples)
    model.close(stream)
    return made


def at_once(model: QwenModel, wanted: Segment) -> Samples:
    stream = model.open(wanted)
    model.feed(stream, "", last=True)
    return np.concatenate(rest(model, stream))


@cache
def whole(number: int) -> Samples:
    """Return the speech of `TEXTS[number]`, known from the start, with nobody beside it."""
    return at_once(shared(), live(TEXTS[number], seed=number))


def test_speech_is_that_of_the_trace_in_streaming_mode(tmp_path: Path) -> None:
    folder = whole_checkpoint(tmp_path, frames=FRAMES)
    decoder = load_decoder(folder / "speech_tokenizer", CPU, torch.float32)
    for number, text in enumerate(TEXTS):
        request = {
            "text": text, "speaker": "ryan", "language": "english", "seed": number,
            "max_frames": FRAMES,
        }  # fmt: skip
        codes = trace(folder, read_request(request | {"non_streaming": False}, shared().config))[
            "codes"
        ]
        assert same(whole(number), decoder.decode(codes.T[None])[0].numpy())


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 2**32))
def test_pieces_that_come_at_any_time_beside_others_make_the_speech_of_the_whole(seed: int) -> None:
    """Feed random pieces between random steps, while other streams join, leave and wait."""
    chance, model = random.Random(seed), shared()
    waiting = chance.sample(range(len(TEXTS)), len(TEXTS))
    running: dict[int, SegmentStream] = {}
    coming: dict[int, str] = {}
    heard: dict[int, list[Samples]] = {}
    while waiting or running:
        if waiting and len(running) < model.max_batch and chance.random() < 0.4:
            number = waiting.pop()
            known = chance.choice([0, 0, 1, len(TEXTS[number])])
            coming[number], heard[number] = TEXTS[number][known:], []
            running[number] = model.open(live(TEXTS[number][:known], seed=number))
        for number in [number for number in coming if chance.random() < 0.3]:
            size = chance.choice([0, 1, 1, 2, 5, 30])
            piece, coming[number] = coming[number][:size], coming[number][size:]
            model.feed(running[number], piece, last=not coming[number])
            if not coming[number]:
                del coming[number]
        stepped = [number for number in running if chance.random() < 0.7]
        for number, samples in zip(stepped, model.step([running[n] for n in stepped]), strict=True):
            if isinstance(samples, StopReason):
                model.close(running.pop(number))
            else:
                heard[number].append(samples)
    assert all(same(np.concatenate(made), whole(number)) for number, made in heard.items())
    assert model.slots_taken == 0


def starve(model: QwenModel, stream: SegmentStream) -> list[Samples]:
    """Return the speech of the text that the stream knows."""
    made = []
    while not model.starving(stream):
        made.append(model.step([stream])[0])
    assert all(isinstance(samples, np.ndarray) for samples in made)
    return made


def test_text_that_stops_for_long_makes_no_frame_and_loses_none() -> None:
    model = shared()
    stream, other = model.open(live(seed=0)), model.open(segment(seed=9))
    assert model.starving(stream)
    assert model.slots_taken == 1  # the other's
    made: list[Samples] = []
    for piece in ("The l", "amp", ", 1", " 2 3: it's", " on."):
        model.feed(stream, piece, last=False)
        made += starve(model, stream)
        spoken = stream.spoken
        assert not stream.pending  # nothing that could be heard is kept back
        for _ in range(50):
            model.step([other])
        assert all(samples.size == 0 for samples in [model.step([stream])[0] for _ in range(50)])
        assert stream.spoken == spoken == stream.live.trailing
    model.close(other)
    model.feed(stream, "", last=True)
    made += rest(model, stream)
    assert same(np.concatenate(made), whole(0))


@pytest.mark.parametrize("lag", [1, 2])
def test_codes_that_are_read_late_change_nothing(tmp_path: Path, lag: int) -> None:
    model = QwenModel(whole_checkpoint(tmp_path, frames=FRAMES), QwenOptions(max_batch=2), lag=lag)
    stream, made = model.open(live(seed=0)), []
    for piece in ("The l", "amp", ", 1", " 2 3: it's", " on."):
        model.feed(stream, piece, last=False)
        made += starve(model, stream)
        assert stream.spoken == stream.live.trailing
    model.feed(stream, "", last=True)
    assert same(np.concatenate([*made, *rest(model, stream)]), whole(0))


def test_sound_comes_with_the_first_frame_after_each_wait_for_text() -> None:
    model = shared()
    stream = model.open(live())
    for piece in ("abcdefgh ijklmnop", " abcdefgh", " ijklmnop"):
        model.feed(stream, piece, last=False)
        sizes = [len(samples) // FRAME for samples in starve(model, stream)]
        assert sizes[0] == 1
        assert sum(sizes) in (7, 8, 9)
        assert sizes[1:3] == [0, 2]
    model.close(stream)


def test_text_without_a_whole_first_token_takes_no_slot() -> None:
    model = shared()
    stream = model.open(live("H"))
    assert model.slots_taken == 0
    model.feed(stream, "i", last=False)
    assert model.slots_taken == 0
    model.feed(stream, " ", last=False)
    assert model.slots_taken == 1
    model.close(stream)
    assert model.slots_taken == 0


def test_closing_a_stream_that_waits_for_text_frees_its_slot() -> None:
    model = shared()
    stream = model.open(live("Some words "))
    starve(model, stream)
    assert model.slots_taken == 1
    model.close(stream)
    assert model.slots_taken == 0


def test_live_text_that_cannot_be_said_is_refused_and_takes_no_slot() -> None:
    model = shared()
    with pytest.raises(UnknownVoice):
        model.open(live(voice="nobody"))
    stream = model.open(live())
    with pytest.raises(BadRequest, match="empty"):
        model.feed(stream, "", last=True)
    long = model.open(live("A word."))
    with pytest.raises(BadRequest, match="tokens by now"):
        model.feed(long, "👍" * 1000 + "!a", last=False)
    model.close(stream)
    model.close(long)
    assert model.slots_taken == 0


def test_speech_cannot_end_before_its_text_is_read_nor_before_it_can_have_been_said(
    tmp_path: Path,
) -> None:
    model = indifferent(whole_checkpoint(tmp_path, frames=300), codec_eos_token_id=0)
    text = "abc def ghi."
    assert (
        len(at_once(model, live(text))) == len(text) * FRAME
    )  # a token a letter, the end's beside the last frame
    stream = model.open(live(text))
    made = starve(model, stream)
    model.feed(stream, "", last=True)
    assert sum(map(len, [*made, *rest(model, stream)])) == len(text) * FRAME
    assert stream.ending is StopReason.COMPLETE


def test_limit_follows_the_whole_text(tmp_path: Path) -> None:
    model = QwenModel(whole_checkpoint(tmp_path, frames=200), QwenOptions(max_batch=1))
    stream = model.open(live("He"))
    for piece, last in (("y", False), (".", True)):
        model.feed(stream, piece, last=last)
    assert sum(map(len, rest(model, stream))) == (50 + 3 * 4) * FRAME
    assert stream.ending is StopReason.LENGTH
    asked = replace(live("Hey."), sampling=SamplingOptions(max_new_tokens=5))
    assert len(at_once(model, asked)) == 5 * FRAME


# -- the scheduler --------------------------------------------------------------------------------


async def hear(stream: LocalStream) -> Samples:
    async with aclosing(stream):
        return np.concatenate([chunk.samples async for chunk in stream])


async def test_first_audio_comes_before_the_text_is_complete(tmp_path: Path) -> None:
    model = QwenModel(whole_checkpoint(tmp_path, frames=FRAMES), QwenOptions(max_batch=1))
    engine = LocalEngine(model)
    assert model.info.capabilities.live_text
    assert engine.info.capabilities.live_text
    await engine.start()
    try:
        stream = engine.speak(live("The lamp, 1", seed=0))
        parts = [(await anext(stream)).samples]
        stream.feed(TEXTS[0].removeprefix("The lamp, 1"))
        parts.append((await anext(stream)).samples)
        stream.feed("", last=True)
        parts.append(await hear(stream))
        assert stream.ending is StopReason.LENGTH
        assert same(np.concatenate(parts), whole(0))
        nothing = engine.speak(live())
        nothing.feed("", last=True)
        with pytest.raises(BadRequest, match="empty"):
            await hear(nothing)
    finally:
        await engine.aclose()
    assert model.slots_taken == 0


async def test_eight_live_streams_with_writers_of_different_pace_say_what_each_was_given(
    tmp_path: Path,
) -> None:
    async def write(stream: LocalStream, text: str, pace: int) -> None:
        for place in range(0, len(text), 1 + pace % 3):
            for _ in range(pace * 3):
                await asyncio.sleep(0)
            stream.feed(text[place : place + 1 + pace % 3])
        stream.feed("", last=True)

    async def all_of(engine: LocalEngine, wanted: Sequence[tuple[str, int]]) -> list[Samples]:
        streams = [engine.speak(live(seed=number % len(TEXTS))) for _, number in wanted]
        writers = [write(stream, *one) for stream, one in zip(streams, wanted, strict=True)]
        heard, _ = await asyncio.gather(
            asyncio.gather(*map(hear, streams)), asyncio.gather(*writers)
        )
        return heard

    model = QwenModel(whole_checkpoint(tmp_path, frames=FRAMES), QwenOptions(max_batch=8))
    engine = LocalEngine(model)
    await engine.start()
    try:
        heard = await all_of(engine, [(TEXTS[number % len(TEXTS)], number) for number in range(8)])
    finally:
        await engine.aclose()
    assert all(same(samples, whole(number % len(TEXTS))) for number, samples in enumerate(heard))
    assert model.slots_taken == 0
