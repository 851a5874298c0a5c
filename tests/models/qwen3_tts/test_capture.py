"""Frames in the few shapes of graphs have the same codes and read nothing back.

A CPU captures nothing. It makes the calls that CUDA captures.
"""

import inspect
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from tests.models.qwen3_tts.small import CPU, WISHES, alone, small, spoken
from vivavoce.models.qwen3_tts.network.talker import Talker
from vivavoce.models.qwen3_tts.runtime.batch import Batch, BatchState, decode_frame
from vivavoce.models.qwen3_tts.runtime.cuda import CudaStream, HostCopy, bucket, buckets

SHAPES = [(rows, window) for rows in (1, 2, 3) for window in (128, 192)]


def fixed(slots: int, max_len: int = 192) -> Batch:
    """Return a batch whose steps have the shapes of graphs."""
    return small().batch(slots, max_len, CudaStream(CPU, fixed=True))


def tensors(state: BatchState) -> dict[str, Tensor]:
    """Return everything that a later frame reads of `state`, by name."""
    kept = {"past": state.cache.data[..., : state.cache.max_len, :], "lengths": state.cache.lengths}
    for name, owner in (
        ("state", state),
        ("sampler", state.sampler),
        ("knobs", state.sampler.talker),
    ):
        kept |= {
            f"{name}.{key}": value
            for key, value in vars(owner).items()
            if isinstance(value, Tensor)
        }
    return kept


@pytest.mark.parametrize(
    ("most", "sizes"),
    [
        (1, [1]),
        (6, [1, 2, 4, 6]),
        (64, [1, 2, 4, 8, 16, 32, 64]),
        (100, [1, 2, 4, 8, 16, 32, 64, 100]),
    ],
)
def test_every_count_fits_the_smallest_bucket_that_holds_it(most: int, sizes: list[int]) -> None:
    assert list(buckets(1, most)) == sizes
    for count in range(1, most + 1):
        assert bucket(count, most) == min(size for size in sizes if size >= count)


def test_streams_make_the_same_codes_in_wider_frames() -> None:
    batch = fixed(7)
    slots = [wish.open(batch) for wish in WISHES]
    for number, codes in enumerate(spoken(batch, slots, 24)):
        assert torch.equal(codes, alone(number))


def test_wider_windows_come_one_after_the_other_and_change_no_code() -> None:
    batch, plain = fixed(2, 300), small().batch(2, 300)
    prompt, trailing = small().prompt(WISHES[1].request)
    for one in (batch, plain):
        one.open(prompt, trailing, WISHES[1].sampling)
    frames = 60
    assert torch.equal(spoken(batch, [0], frames)[0], spoken(plain, [0], frames)[0])
    assert len(prompt) < 128 < len(prompt) + frames  # through windows of 128 and 256


def test_warming_up_beside_running_streams_leaves_no_trace() -> None:
    batch = fixed(3)
    slots = [WISHES[number].open(batch) for number in (0, 1)]
    start = spoken(batch, slots, 5)
    batch.warm_up()
    rest = spoken(batch, slots, 10)
    for number in (0, 1):
        assert torch.equal(torch.cat((start[number], rest[number])), alone(number)[:15])


@pytest.mark.parametrize(("rows", "window"), SHAPES)
def test_frame_with_nobody_alive_changes_nothing_that_is_read_later(rows: int, window: int) -> None:
    batch = fixed(3)
    slots = [WISHES[number].open(batch) for number in (0, 1, 3)]
    spoken(batch, slots, 3)
    for slot in slots:
        batch.pause(slot)
    before = {name: tensor.clone() for name, tensor in tensors(batch._state).items()}
    decode_frame(small().talker, batch._state, rows, window)
    after = tensors(batch._state)
    assert [name for name in before if not torch.equal(before[name], after[name])] == []
    batch.resume(slots[0])
    batch.step()
    assert not torch.equal(
        before["lengths"], tensors(batch._state)["lengths"]
    )  # the comparison would have seen it


def meta_state(slots: int = 3) -> tuple[Talker, BatchState]:
    """Return a talker and its state without storage.

    No value can be read, and no tensor of the host can be mixed in.
    """
    config = small().config
    with torch.device("meta"):
        talker = Talker(config).requires_grad_(False)
        pad = torch.zeros(config.talker.hidden_size)
    return talker, BatchState(talker, config, pad, slots, 192)


class Seen(TorchDispatchMode):
    """Recorder of every operator. It rejects copies from one device to another."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        self.names.add(func.overloadpacket.__name__)
        devices = {x.device.type for x in (*args, result) if isinstance(x, Tensor) and x.dim()}
        assert len(devices) <= 1, f"{func} takes something from {devices}"
        return result


@pytest.mark.parametrize(("rows", "window"), SHAPES)
def test_frame_never_waits_for_the_device(rows: int, window: int) -> None:
    talker, state = meta_state()
    with (
        Seen() as seen
    ):  # outside of inference mode, which would show operators before they are taken apart
        frame = inspect.unwrap(decode_frame)(talker, state, rows, window)
    assert frame.codes.shape == (rows, small().config.codebooks)
    assert frame.codes.device.type == "meta"
    assert {"mm", "index_put_"} & seen.names


@pytest.mark.parametrize(
    "waits",
    [
        lambda state: state.frame[0].item(),
        lambda state: state.alive.nonzero(),
        lambda state: state.frame[state.alive],
        lambda state: state.frame.tolist(),
        lambda state: state.frame + torch.arange(3),
        lambda state: state.frame.cpu(),
        lambda state: state.frame.copy_(torch.tensor([1, 2, 3])),
    ],
)
def test_whatever_waits_or_takes_from_the_host_would_be_found(
    waits: Callable[[BatchState], object],
) -> None:
    state = meta_state()[1]
    with pytest.raises((RuntimeError, NotImplementedError, AssertionError)), Seen():
        waits(state)


def test_track_of_a_cpu_calls_every_time_and_captures_nothing() -> None:
    cuda_stream, calls = CudaStream(CPU, fixed=True), []
    with cuda_stream.current():
        for number in range(3):
            assert (
                cuda_stream.run("key", lambda number=number: calls.append(number) or number)
                == number
            )
    assert calls == [0, 1, 2]
    assert not cuda_stream.capture("key", lambda: None)
    assert cuda_stream.graphs == 0
    here = torch.arange(3)
    assert HostCopy(here).wait() is here
    assert cuda_stream.upload(here) is here
