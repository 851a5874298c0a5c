"""A stream's result is its own, for any order of joining, waiting and leaving."""

import random
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor

from tests.models.qwen3_tts.small import Wish, small, spoken
from tests.models.qwen3_tts.whole import whole_checkpoint
from vivavoce.models.qwen3_tts import QwenOptions
from vivavoce.models.qwen3_tts.checkpoint.config import SamplingDefaults
from vivavoce.models.qwen3_tts.network.sampler import Sampling
from vivavoce.models.qwen3_tts.runtime.batch import Batch
from vivavoce.models.qwen3_tts.runtime.model import QwenModel
from vivavoce.models.qwen3_tts.runtime.stream import SegmentStream
from vivavoce.types import Samples, SamplingOptions, Segment, StopReason

FRAMES = 16  # that are compared, a stream
MAX_LEN = 160
TOLERANCE = 1e-4
TEXTS = (
    "Hi.", "The lamp is on the table.", "你好，世界。",
    "One, two, three, four, five, six, seven, eight.", "¡Olé!",
)  # fmt: skip
SOME = settings(
    max_examples=8, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)


def random_knobs(chance: random.Random) -> SamplingDefaults:
    """Return sampling settings from greedy to nearly uniform."""
    return SamplingDefaults(
        temperature=chance.choice([0.3, 0.9, 1.7, 4.0]),
        top_k=chance.choice([0, 1, 2, 7, 50, 5000]),
        top_p=chance.choice([1.0, 0.95, 0.5, 0.05]),
        greedy=chance.random() < 0.25,
    )


def random_wish(chance: random.Random) -> Wish:
    """Return a text with sampling settings of its own."""
    sampling = Sampling(
        random_knobs(chance),
        random_knobs(chance),
        repetition_penalty=chance.choice([1.0, 1.05, 1.5, 3.0, 0.7]),
        seed=chance.randrange(-(1 << 63), 1 << 63),
        min_frames=chance.choice([0, 2, 9]),
    )
    return Wish(chance.choice(TEXTS), sampling, stream_text=chance.random() < 0.4)


WISHES = tuple(random_wish(random.Random(seed)) for seed in range(24))


@cache
def alone(number: int) -> Tensor:
    """Return the codes [FRAMES, codebooks] of `WISHES[number]` in a batch of its own."""
    batch = small().batch(1, MAX_LEN)
    return spoken(batch, [WISHES[number].open(batch)], FRAMES)[0]


class Speakers:
    """Streams in one batch, each compared with itself alone at every frame."""

    def __init__(self, slots: int) -> None:
        self.batch: Batch = small().batch(slots, MAX_LEN)
        self.slots = slots
        self.owner: dict[int, int] = {}  # slot → number of its wish
        self.frame: dict[int, int] = {}
        self.running: set[int] = set()

    def open(self, number: int) -> None:
        slot = WISHES[number].open(self.batch)
        self.owner[slot], self.frame[slot] = number, 0
        self.running.add(slot)

    def step(self) -> None:
        codes = self.batch.step().codes
        for slot in tuple(self.running):
            assert torch.equal(codes[slot], alone(self.owner[slot])[self.frame[slot]]), WISHES[
                self.owner[slot]
            ]
            self.frame[slot] += 1
            if self.frame[slot] == FRAMES:
                self.close(slot)

    def pause(self, slot: int) -> None:
        self.batch.pause(slot)
        self.running.discard(slot)

    def resume(self, slot: int) -> None:
        self.batch.resume(slot)
        self.running.add(slot)

    def close(self, slot: int) -> None:
        self.batch.close(slot)
        self.running.discard(slot)
        del self.owner[slot], self.frame[slot]


@SOME
@given(
    st.lists(
        st.sampled_from(["open", "open", "close", "pause", "resume", *["step"] * 6]), max_size=60
    ),
    st.data(),
)
def test_codes_are_those_of_the_stream_alone_in_any_order_of_events(
    events: list[str], data: st.DataObject
) -> None:
    speakers = Speakers(4)
    for event in events:
        if event == "open" and len(speakers.owner) < speakers.slots:
            speakers.open(data.draw(st.integers(0, len(WISHES) - 1)))
        elif event == "step" and speakers.running:
            speakers.step()
        elif event in ("close", "pause", "resume") and speakers.owner:
            getattr(speakers, event)(data.draw(st.sampled_from(sorted(speakers.owner))))


def test_codes_after_preemption_are_those_without() -> None:
    chance, speakers = random.Random(1), Speakers(6)
    for number in (0, 1, 2):
        speakers.open(number)
    for _ in range(7):
        speakers.step()
    for slot in (0, 1, 2):
        speakers.pause(slot)
    for _ in range(24):  # others come, speak and go in the meantime
        if len(speakers.owner) < speakers.slots:
            speakers.open(chance.randrange(3, len(WISHES)))
        speakers.step()
        if chance.random() < 0.3:
            speakers.close(chance.choice([slot for slot in speakers.owner if slot > 2] or [3]))
        if not speakers.running:
            speakers.open(5)
    for slot in (0, 1, 2):
        assert speakers.frame[slot] == 7
        speakers.resume(slot)
    while 0 in speakers.owner:
        speakers.step()
    assert not {1, 2} & speakers.owner.keys()  # all through, every frame compared


@pytest.mark.parametrize("frames", [0, 1, 9])
@pytest.mark.parametrize("poison", [torch.nan, torch.inf, 3e38])
def test_nothing_that_a_closed_stream_left_reaches_the_next(poison: float, frames: int) -> None:
    speakers = Speakers(2)
    speakers.open(3)
    speakers.open(4)
    for _ in range(frames):
        speakers.step()
    state = speakers.batch._state
    for tensor in (
        state.cache.data[:, :, 0],
        state.frame_cache.data[:, :, 0],
        state.inputs[0],
        state.text[0],
    ):
        tensor.fill_(poison)
    for tensors in (state.sampler.talker, state.sampler.predictor):
        tensors.temperature[0], tensors.top_p[0], tensors.top_k[0], tensors.greedy[0] = (
            poison, poison, 1, True,
        )  # fmt: skip
    state.sampler.penalty[0] = poison
    state.sampler.seen[0] = True
    for counter in (
        state.sampler.seed,
        state.sampler.min_frames,
        state.text_length,
        state.frame,
        state.cache.lengths,
    ):
        counter[0] = MAX_LEN - 1
    speakers.close(0)
    if frames % 2:  # its row is computed beside the neighbour's before it is taken again
        speakers.step()
    speakers.open(5)
    assert set(speakers.owner) == {0, 1}
    while speakers.owner:
        speakers.step()


# -- the model ------------------------------------------------------------------------------------


@cache
def model() -> QwenModel:
    """Return a model with four slots and a limit of 16 frames.

    Its speech often ends before the limit.
    """
    with TemporaryDirectory() as name:
        folder = whole_checkpoint(Path(name), frames=16)
        tensors = load_file(folder / "model.safetensors")
        tensors["talker.codec_head.weight"][2150] *= (
            2.5  # the end of speech: often far down, often on top
        )
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        return QwenModel(folder, QwenOptions(max_batch=4))


def random_segment(chance: random.Random) -> Segment:
    """Return a segment with a seed and sampling of its own."""
    talker, predictor = random_knobs(chance), random_knobs(chance)
    options = SamplingOptions(
        do_sample=not talker.greedy,
        temperature=talker.temperature,
        top_k=talker.top_k,
        top_p=talker.top_p,
        repetition_penalty=chance.choice([1.0, 1.05, 2.0]),
        subtalker_dosample=not predictor.greedy,
        subtalker_temperature=predictor.temperature,
        subtalker_top_k=predictor.top_k,
        subtalker_top_p=predictor.top_p,
        max_new_tokens=chance.choice([None, None, 1, 5, 13]),
    )
    voice, language = chance.choice(
        [("ryan", "en"), ("vivian", "zh"), ("eric", "zh"), ("sohee", "ko")]
    )
    return Segment(chance.choice(TEXTS), voice, language, None, chance.randrange(1 << 63), options)


SEGMENTS = tuple(random_segment(random.Random(seed)) for seed in range(16))


@cache
def heard_alone(number: int) -> tuple[Samples, StopReason]:
    """Return the speech of `SEGMENTS[number]` alone, and its ending."""
    stream, made = model().open(SEGMENTS[number]), []
    while not isinstance(result := model().step([stream], [0.0])[0], StopReason):
        made.append(result)
    model().close(stream)
    return np.concatenate(made) if made else np.zeros(0, np.float32), result


def test_segments_of_these_tests_end_in_different_ways_and_places() -> None:
    results = [heard_alone(number) for number in range(len(SEGMENTS))]
    assert {ending for _, ending in results} == {StopReason.COMPLETE, StopReason.LENGTH}
    assert len({len(samples) for samples, _ in results}) > 4


@SOME
@given(
    st.lists(st.sampled_from(["open", "open", "cancel", *["step"] * 6]), min_size=5, max_size=40),
    st.data(),
)
def test_sound_and_ending_are_those_of_the_segment_alone_in_any_order_of_events(
    events: list[str], data: st.DataObject
) -> None:
    running: dict[SegmentStream, tuple[int, list[Samples]]] = {}
    for event in events:
        if event == "open" and len(running) < model().max_batch:
            number = data.draw(st.integers(0, len(SEGMENTS) - 1))
            running[model().open(SEGMENTS[number])] = (number, [])
        elif event == "cancel" and running:
            model().close(stream := data.draw(st.sampled_from(list(running))))
            del running[stream]
        elif event == "step" and running:
            # Some listeners have enough for now; those who listen have a second to go, or nothing.
            stepped = [stream for stream in running if data.draw(st.booleans())]
            step(running, stepped, data.draw(st.sampled_from([0.0, 0.1, 1.0, -0.5])))
    while running:
        step(running, list(running), 0.2)
    assert model().slots_taken == 0


def step(
    running: dict[SegmentStream, tuple[int, list[Samples]]],
    stepped: list[SegmentStream],
    ahead_s: float,
) -> None:
    """Step some of the `running` streams, and remove and compare those that have ended."""
    for stream, result in zip(
        stepped, model().step(stepped, [ahead_s] * len(stepped)), strict=True
    ):
        number, made = running[stream]
        if not isinstance(result, StopReason):
            made.append(result)
            continue
        model().close(stream)
        del running[stream]
        samples, ending = heard_alone(number)
        ours = np.concatenate([*made, np.zeros(0, np.float32)])
        assert result is ending
        assert ours.shape == samples.shape
        assert float(np.abs(ours - samples).max(initial=0)) <= TOLERANCE


def test_sixteen_at_once_sound_as_each_alone() -> None:
    with TemporaryDirectory() as name:
        crowded = QwenModel(whole_checkpoint(Path(name), frames=5), QwenOptions(max_batch=16))
    streams = [crowded.open(segment) for segment in SEGMENTS]
    together = heard(crowded, streams)
    for segment, (samples, ending) in zip(SEGMENTS, together, strict=True):
        (single, single_ending) = heard(crowded, [crowded.open(segment)])[0]
        assert ending is single_ending
        assert samples.shape == single.shape
        assert float(np.abs(samples - single).max()) <= TOLERANCE


def heard(speaker: QwenModel, streams: list[SegmentStream]) -> list[tuple[Samples, StopReason]]:
    """Return the speech of each of `streams` to its end, stepped together."""
    made: dict[SegmentStream, list[Samples]] = {stream: [] for stream in streams}
    ended: dict[SegmentStream, StopReason] = {}
    while running := [stream for stream in streams if stream not in ended]:
        for stream, result in zip(
            running, speaker.step(running, [0.0] * len(running)), strict=True
        ):
            if isinstance(result, StopReason):
                ended[stream] = result
                speaker.close(stream)
            else:
                made[stream].append(result)
    return [(np.concatenate(made[stream]), ended[stream]) for stream in streams]
