"""Decoding in the few shapes of graphs gives the codec's own samples."""

import random
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch

from tests.models.qwen3_tts.codec_checkpoints import write_codec
from tests.models.qwen3_tts.small import CPU
from tests.models.qwen3_tts.test_capture import Seen
from tests.models.qwen3_tts.test_frame_operations import Operations
from tests.models.qwen3_tts.whole import CODEC
from vivavoce.errors import Overloaded
from vivavoce.models.qwen3_tts.codec import CodecDecoder, load_decoder
from vivavoce.models.qwen3_tts.codec.state import Past
from vivavoce.models.qwen3_tts.runtime.codec_runner import (
    LARGEST_CHUNK,
    CodecRunner,
    CodecSlot,
    powers,
)
from vivavoce.models.qwen3_tts.runtime.cuda import CudaStream


@cache
def decoder() -> CodecDecoder:
    with TemporaryDirectory() as folder:
        write_codec(Path(folder), CODEC, 3)
        return load_decoder(Path(folder), CPU, torch.float32)


@pytest.mark.parametrize("frames", range(1, 20))
def test_pieces_are_powers_of_two_and_leave_nothing_out(frames: int) -> None:
    cuts = list(powers(frames))
    assert [start for start, _ in cuts] == [0, *(end for _, end in cuts[:-1])]
    assert cuts[-1][1] == frames
    assert all(end - start in (1, 2, 4, LARGEST_CHUNK) for start, end in cuts)


@pytest.mark.parametrize(("rows", "frames"), [(1, 1), (3, 2), (2, 8)])
def test_codec_never_waits_for_the_device(rows: int, frames: int) -> None:
    config = decoder().config
    with torch.device("meta"):
        plain = CodecDecoder(config).requires_grad_(False)
        past = Past(torch.zeros(rows, plain.state_elements), torch.zeros(rows, dtype=torch.int64))
        codes = torch.zeros(rows, CODEC.codebooks, frames, dtype=torch.int64)
    with Seen() as seen:
        samples = plain(codes, past)
    assert samples.shape == (rows, frames * plain.samples_per_frame)
    assert samples.device.type == "meta"
    assert "convolution" in seen.names


@pytest.mark.parametrize("fixed", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_streams_in_any_company_and_chunks_sound_as_they_do_whole(seed: int, fixed: bool) -> None:
    chance, frames = random.Random(seed), 24
    codec_runner = CodecRunner(decoder(), CudaStream(CPU, fixed=fixed), 5)
    if fixed:
        codec_runner.warm_up()
    codes = torch.randint(
        0,
        CODEC.entries,
        (5, CODEC.codebooks, frames),
        generator=torch.Generator().manual_seed(seed),
    )
    states, heard, at = [codec_runner.open() for _ in range(5)], [[] for _ in range(5)], [0] * 5
    host_copies = []
    while min(at) < frames:
        ready = [stream for stream in range(5) if at[stream] < frames]
        company = chance.sample(ready, chance.randint(1, len(ready)))
        size = min(chance.randint(1, 9), *(frames - at[stream] for stream in company))
        cut = torch.stack([codes[stream, :, at[stream] : at[stream] + size] for stream in company])
        host_copy = codec_runner.decode(cut, [states[stream] for stream in company])
        for row, stream in enumerate(company):
            host_copies.append((stream, row, host_copy))
            at[stream] += size
    for stream, row, host_copy in host_copies:  # read when all is done, as late as can be
        heard[stream].append(host_copy.wait()[row])
    for stream in range(5):
        whole = decoder().decode(codes[stream][None])[0]
        assert float((torch.cat(heard[stream]) - whole).abs().max()) <= 1e-4


def operations(codec_runner: CodecRunner, slots: list[CodecSlot], frames: int) -> int:
    """Return the number of torch calls that decode `frames` frames of each of `slots`."""
    codes = torch.zeros(len(slots), CODEC.codebooks, frames, dtype=torch.int64)
    with Operations() as seen:
        codec_runner.decode(codes, slots, undo=True)
    return seen.names.total()


@pytest.mark.parametrize("frames", [1, 3])
def test_calls_of_a_step_do_not_grow_with_the_streams(frames: int) -> None:
    codec_runner = CodecRunner(decoder(), CudaStream(CPU, fixed=True), 8)
    slots = [codec_runner.open() for _ in range(8)]
    assert operations(codec_runner, slots[:2], frames) == operations(codec_runner, slots, frames)


def test_slot_is_free_again_when_it_is_closed_or_forgotten() -> None:
    codec_runner = CodecRunner(decoder(), CudaStream(CPU), 2)
    first, second = codec_runner.open(), codec_runner.open()
    with pytest.raises(Overloaded, match="all 2 slots"):
        codec_runner.open()
    first.close()
    first.close()
    third = codec_runner.open()
    assert third.index == first.index
    del second
    assert codec_runner.open().index == 1


@pytest.mark.parametrize("fixed", [False, True])
def test_slot_of_an_earlier_stream_leaves_nothing_behind(fixed: bool) -> None:
    codec_runner = CodecRunner(decoder(), CudaStream(CPU, fixed=fixed), 1)
    codes = torch.randint(
        0, CODEC.entries, (1, CODEC.codebooks, 4), generator=torch.Generator().manual_seed(1)
    )
    heard = []
    for _ in range(2):
        slot = codec_runner.open()
        heard.append(codec_runner.decode(codes, [slot]).wait())
        slot.close()
    assert torch.equal(*heard)
