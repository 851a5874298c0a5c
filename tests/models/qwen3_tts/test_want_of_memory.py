"""A step without enough memory can be repeated with fewer streams, with the same result."""

from contextlib import nullcontext
from itertools import count
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from tests.models.qwen3_tts.whole import segment, whole_checkpoint
from vivavoce.errors import OutOfMemory
from vivavoce.models.qwen3_tts import QwenOptions
from vivavoce.models.qwen3_tts.runtime.model import QwenModel
from vivavoce.models.qwen3_tts.runtime.stream import SegmentStream
from vivavoce.types import Samples

FRAMES = 6
SEGMENTS = (
    segment("Hello.", seed=1),
    segment("Somebody else.", seed=2, voice="vivian"),
    segment("Me.", seed=3),
)


class OutAt(TorchDispatchMode):
    """Let the n-th operation that allocates fail, with torch's error on CUDA."""

    def __init__(self, number: int | None = None) -> None:
        super().__init__()
        self._number = number
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if not func._schema.is_mutable and not func.is_view:
            self.count += 1
            if self.count == self._number:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 MiB.")
        return func(*args, **(kwargs or {}))


@pytest.fixture(scope="module", params=[False, True], ids=["as it comes", "in fixed shapes"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> QwenModel:
    folder = whole_checkpoint(tmp_path_factory.mktemp("tiny") / "Tiny", frames=FRAMES)
    return QwenModel(folder, QwenOptions(max_batch=3), fixed=request.param)


def spoken(
    model: QwenModel, *, at_step: int = -1, number: int | None = None
) -> tuple[list[Samples], int]:
    """Return the speech of `SEGMENTS`, and the operations of step `at_step`.

    One of these operations runs out of memory.
    """
    heard: dict[SegmentStream, list[Samples]] = {model.open(wanted): [] for wanted in SEGMENTS}
    running, operations = list(heard), 0
    for step in count():
        out = OutAt(number)
        try:
            with out if step == at_step else nullcontext():
                advance(model, running, heard)
        except OutOfMemory:
            assert step == at_step
            for group in (running[:2], running[2:]):
                advance(model, group, heard)
        operations += out.count
        running = [stream for stream in running if stream.slot is not None or not stream.is_through]
        if not running:
            break
    for stream in heard:
        model.close(stream)
    assert model.slots_taken == 0
    return [np.concatenate(parts) for parts in heard.values()], operations


def advance(
    model: QwenModel, group: list[SegmentStream], heard: dict[SegmentStream, list[Samples]]
) -> None:
    """Run one step in which the third stream is decoded separately.

    Its listener has more buffered than the others.
    """
    ahead_s = [0.3 if stream.segment is SEGMENTS[2] else 0.0 for stream in group]
    for stream, result in zip(group, model.step(group, ahead_s), strict=True):
        assert isinstance(result, np.ndarray)
        heard[stream].append(result)


def test_streams_of_a_step_that_finds_no_memory_anywhere_say_the_same_when_stepped_again(
    model: QwenModel,
) -> None:
    whole, _ = spoken(model)
    _, operations = spoken(model, at_step=2)
    assert operations > 100
    for number in {*range(1, operations, operations // 4), operations - 1, operations}:
        again, _ = spoken(model, at_step=2, number=number)
        for ours, theirs in zip(again, whole, strict=True):
            assert ours.shape == theirs.shape, number
            assert np.abs(ours - theirs).max() < 1e-4, number


def test_opening_that_finds_no_memory_takes_no_slot(model: QwenModel) -> None:
    whole = spoken(model)[0][0]
    with OutAt() as all_of_it:
        model.close(model.open(SEGMENTS[0]))
    for number in range(1, all_of_it.count + 1, all_of_it.count // 8):
        with pytest.raises(OutOfMemory), OutAt(number):
            model.open(SEGMENTS[0])
        assert model.slots_taken == 0
    assert np.abs(spoken(model)[0][0] - whole).max() < 1e-4
