"""Prompts of joining streams are read in pieces, one beside each frame of running streams."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import pytest
from torch import Tensor

from tests.models.qwen3_tts.small import WISHES, alone, small, spoken
from tests.models.qwen3_tts.whole import segment, whole_checkpoint
from vivavoce.errors import OutOfMemory
from vivavoce.models.qwen3_tts import QwenOptions, runtime
from vivavoce.models.qwen3_tts.runtime.batch import Batch
from vivavoce.models.qwen3_tts.runtime.model import QwenModel
from vivavoce.models.qwen3_tts.runtime.stop_rules import FRAME_S
from vivavoce.types import StopReason

PIECE = 16
LONG = "Speak slowly, like somebody who reads a very long letter to a friend. " * 5


@pytest.fixture(params=[0, 1])
def model(request: pytest.FixtureRequest) -> Iterator[QwenModel]:
    with TemporaryDirectory() as folder:
        made = whole_checkpoint(Path(folder), size="1b7", frames=200)
        loaded = QwenModel(made, QwenOptions(max_batch=6), lag=request.param, fixed=True)
    loaded._batch.piece = PIECE
    yield loaded
    loaded.unload()


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that records positions as they are read, and 0 for each frame."""
    seen: list[int] = []
    read, step = Batch._read, Batch.step

    def reading(self: Batch, slot: int, prompt: Tensor, start: int) -> None:
        seen.append(len(prompt))
        read(self, slot, prompt, start)

    def stepping(self: Batch) -> object:
        seen.append(0)
        return step(self)

    monkeypatch.setattr(Batch, "_read", reading)
    monkeypatch.setattr(Batch, "step", stepping)
    return seen


def between_frames(events: list[int]) -> list[int]:
    """Return the positions that were read before each frame."""
    sums = [0]
    for positions in events:
        if positions:
            sums[-1] += positions
        else:
            sums.append(0)
    return sums[:-1]


def test_running_stream_makes_a_frame_in_every_step_while_long_prompts_join(
    model: QwenModel, events: list[int]
) -> None:
    running = model.open(segment("A running stream, with a text that takes a while to read. " * 4))
    model.step([running])
    events.clear()
    joining = [model.open(segment(seed=seed, instruct=LONG)) for seed in (1, 2, 3)]
    joining.append(model.open(segment("No.", seed=4)))
    assert events == []  # nothing is read while they open
    positions = sum(model._batch._joining[one.slot].past for one in joining if one.slot is not None)
    assert positions > 20 * PIECE
    steps = 0
    while not all(stream.requested for stream in joining):
        made = running.requested
        model.step([running, *joining])
        assert running.requested == made + 1
        steps += 1
    read = between_frames(events)
    assert len(read) == steps >= 20
    assert max(read) <= PIECE
    assert sum(read) < positions  # the second and third copy the prefix of the first


def test_short_prompts_are_read_one_in_a_step(model: QwenModel, events: list[int]) -> None:
    running = model.open(segment("A running stream, with a text that takes a while to read. " * 4))
    model.step([running])
    joining = [model.open(segment("No.", seed=seed)) for seed in (1, 2, 3)]
    model._batch.piece = 1000
    events.clear()
    for _ in joining:
        model.step([running, *joining])
    # On a CPU each takes a pass over all weights, as a frame does.
    assert [positions > 0 for positions in events] == [True, False] * 3


def test_piece_takes_no_longer_than_a_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 0.0

    def reading(self: Batch, slot: int, prompt: Tensor, start: int) -> None:
        nonlocal now_s
        now_s += 0.010 + 0.001 * len(prompt)

    monkeypatch.setattr(Batch, "_read", reading)
    monkeypatch.setattr(runtime.batch, "time", SimpleNamespace(perf_counter=lambda: now_s))
    batch = small().batch(2, 192)
    for frame_s, piece in ((0.1, 64), (0.05, 32), (0.03, 16), (0.001, 16)):
        batch.fit_piece(frame_s / FRAME_S)
        assert batch.piece == piece


def test_measuring_pieces_changes_no_codes() -> None:
    batch = small().batch(2, 192)
    batch.fit_piece(batch.pace())
    slots = [WISHES[number].open(batch) for number in (0, 1)]
    for number, codes in enumerate(spoken(batch, slots, 12)):
        assert (codes == alone(number)[:12]).all()


def test_first_prompt_is_read_at_once_where_nobody_speaks(
    model: QwenModel, events: list[int]
) -> None:
    streams = [model.open(segment(seed=seed, instruct=LONG)) for seed in (1, 2)]
    model.step(streams)
    assert [stream.requested for stream in streams] == [1, 0]
    assert sum(events) > 5 * PIECE


def test_stream_closed_while_its_prompt_is_read_frees_its_slot(model: QwenModel) -> None:
    running = model.open(segment("A running stream. " * 8))
    model.step([running])
    for seed in range(12):  # twice as many as there are slots
        left = model.open(segment(seed=seed, instruct=LONG))
        model.step([running, left])
        assert left.requested == 0
        model.close(left)
    assert model.slots_taken == 1


def test_want_of_memory_while_a_prompt_is_read_loses_nothing(
    model: QwenModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def speech(fail: bool) -> list[bytes]:
        streams = [model.open(segment(seed=seed, instruct=LONG)) for seed in (1, 2)]
        heard = [b"", b""]
        fails = iter([fail] * 3)
        plain = Batch._read

        def failing(*args: object) -> None:
            if next(fails, False):
                raise RuntimeError("CUDA out of memory")
            plain(*args)  # type: ignore[arg-type]  # its own arguments

        monkeypatch.setattr(Batch, "_read", failing)
        for _ in range(60):
            try:
                results = model.step(streams)
            except OutOfMemory:
                continue
            for row, samples in enumerate(results):
                if not isinstance(samples, StopReason):
                    heard[row] += samples.tobytes()
        for stream in streams:
            model.close(stream)
        monkeypatch.setattr(Batch, "_read", plain)
        model._batch.prefixes.__init__(1 << 20)  # type: ignore[misc]  # forget what was read
        return heard

    unhurt, hurt = speech(fail=False), speech(fail=True)
    assert all(unhurt)
    for one, other in zip(unhurt, hurt, strict=True):
        shorter = min(len(one), len(other))
        assert one[:shorter] == other[:shorter]
        assert shorter > 0.8 * len(one)


@pytest.mark.parametrize("piece", [1, 3, 7, 64])
def test_pieces_of_any_size_give_the_codes_of_a_whole_prompt(piece: int) -> None:
    batch = small().batch(len(WISHES), 192)
    batch.piece = piece
    slots = [wish.open(batch) for wish in WISHES]
    for number, codes in enumerate(spoken(batch, slots, 12)):
        assert (codes == alone(number)[:12]).all()


def test_pieces_are_as_few_as_they_can_be() -> None:
    batch = small().batch(1, 192)
    batch.piece = 10
    prompt, trailing, prefix = small().shared_prompt(WISHES[1].request)
    batch.shortest_prefix = 1
    lengths: Callable[[], list[int]] = lambda: list(pieces(batch, slot))  # noqa: E731
    slot = batch.join(prompt, trailing, WISHES[1].sampling, prefix)
    first = lengths()
    assert sum(first) == len(prompt) - 1
    rest = len(prompt) - 1 - prefix.length
    assert len(first) == math.ceil(prefix.length / 10) + math.ceil(rest / 10)
    batch.close(slot)
    slot = batch.join(prompt, trailing, WISHES[1].sampling, prefix)
    assert sum(lengths()) == rest


def pieces(batch: Batch, slot: int) -> Iterator[int]:
    """Read the prompt of `slot`, and yield the lengths of the pieces."""
    while batch.joins(slot):
        length = batch.next_piece(slot)
        batch.read(slot)
        yield length
