"""On a CUDA device, captured equals called, and a lag changes nothing.

Run with `pytest -m gpu tests/models/qwen3_tts`. The tests are deselected where torch finds no
device.
"""

import gc
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import torch
from scripts.make_checkpoint import make_checkpoint

from tests.models.qwen3_tts.codec_checkpoints import write_codec
from tests.models.qwen3_tts.small import CPU, SMALL, WISHES
from tests.models.qwen3_tts.test_model import SEGMENTS, chunks, same
from tests.models.qwen3_tts.whole import CODEC, whole_checkpoint
from vivavoce.models.qwen3_tts import QwenOptions
from vivavoce.models.qwen3_tts.checkpoint.folder import Checkpoint, load_checkpoint
from vivavoce.models.qwen3_tts.checkpoint.random_weights import random_codec
from vivavoce.models.qwen3_tts.codec import load_decoder
from vivavoce.models.qwen3_tts.codec.precision import (
    LEAST_DB,
    probe,
    set_precision,
    signal_to_noise_db,
)
from vivavoce.models.qwen3_tts.runtime.batch import Batch
from vivavoce.models.qwen3_tts.runtime.codec_runner import CodecRunner
from vivavoce.models.qwen3_tts.runtime.cuda import CudaStream
from vivavoce.models.qwen3_tts.runtime.model import QwenModel

pytestmark = pytest.mark.gpu
CUDA = torch.device("cuda")


@pytest.fixture(autouse=True)
def exact() -> Iterator[None]:
    """Multiply float32 numbers in float32. By default, convolutions on CUDA round to fewer bits."""
    matrices, convolutions = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = matrices, convolutions


@cache
def small(dtype: torch.dtype, device: torch.device = CUDA) -> Checkpoint:
    with TemporaryDirectory() as folder:
        return load_checkpoint(
            make_checkpoint(Path(folder), "custom_voice", SMALL, seed=5), device, dtype
        )


def frames(
    checkpoint: Checkpoint, cuda_stream: CudaStream, count: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the codes [frames, streams, codebooks] and logits of all `WISHES` at once.

    They are copied before the next frame.
    """
    with cuda_stream.current():
        batch: Batch = checkpoint.batch(len(WISHES), 192, cuda_stream)
        for wish in WISHES:
            batch.open(*checkpoint.prompt(wish.request), wish.sampling)
        made = [
            (frame.codes.cpu(), frame.logits.float().cpu())
            for frame in (batch.step() for _ in range(count))
        ]
    codes, logits = zip(*made, strict=True)
    return torch.stack(codes)[:, : len(WISHES)], torch.stack(logits)[:, : len(WISHES)]


def test_captured_frames_have_the_codes_of_plain_ones() -> None:
    captured, plain = CudaStream(CUDA, fixed=True), CudaStream(CUDA)
    assert torch.equal(
        frames(small(torch.float32), captured, 40)[0], frames(small(torch.float32), plain, 40)[0]
    )
    assert captured.graphs
    assert not plain.graphs


def test_codes_on_cuda_are_those_of_the_cpu() -> None:
    here = frames(small(torch.float32, CPU), CudaStream(CPU), 40)[0]
    assert torch.equal(frames(small(torch.float32), CudaStream(CUDA, fixed=True), 40)[0], here)


def test_captured_bfloat16_frames_stay_close_to_plain_float32_ones() -> None:
    half, single = (
        frames(small(dtype), CudaStream(CUDA, fixed=True), 1)[1].log_softmax(-1)
        for dtype in (torch.bfloat16, torch.float32)
    )
    assert float((single.exp() * (single - half)).sum(-1).max()) < 1e-3


def test_captured_codec_sounds_as_the_plain_one_does() -> None:
    with TemporaryDirectory() as folder:
        write_codec(Path(folder), CODEC, 3)
        decoder = load_decoder(Path(folder), CUDA, torch.float32)
    torch.cuda.synchronize()  # the codebooks are quotients, computed on the default stream
    cuda_stream = CudaStream(CUDA, fixed=True)
    codec_runner = CodecRunner(decoder, cuda_stream, 3)
    codes = torch.randint(0, CODEC.entries, (3, CODEC.codebooks, 45))
    states = [codec_runner.open() for _ in range(3)]
    cuts = [
        (start, start + size)
        for start, size in zip((0, 1, 3, 7, 15, 30), (1, 2, 4, 8, 15, 15), strict=True)
    ]
    host_copies = [codec_runner.decode(codes[..., start:end], states) for start, end in cuts]
    heard = torch.cat([host_copy.wait() for host_copy in host_copies], dim=-1)
    whole = decoder.decode(codes.to(CUDA)).cpu()
    assert float((heard - whole).abs().max()) <= 1e-4
    assert cuda_stream.graphs


def test_codec_in_tf32_has_50_db_where_auto_chooses_it() -> None:
    codec = random_codec(CUDA)
    set_precision(codec, "float32")
    exact = probe(codec)
    set_precision(codec, "auto")
    assert signal_to_noise_db(exact, probe(codec)) > (LEAST_DB if codec.tf32 else 80)


@pytest.mark.parametrize("graphs", ["off", "auto", "startup"])
def test_model_says_on_cuda_what_it_says_on_a_cpu(tmp_path: Path, graphs: str) -> None:
    folder = whole_checkpoint(tmp_path, frames=24)
    here = QwenModel(folder, QwenOptions(device="cpu", max_batch=2))
    exact = {"dtype": "float32", "codec_precision": "float32"}
    there = QwenModel(folder, QwenOptions(device="cuda", max_batch=2, graphs=graphs, **exact))  # type: ignore[arg-type]
    for wanted in (*SEGMENTS, *SEGMENTS):
        assert same(np.concatenate(chunks(there, wanted)), np.concatenate(chunks(here, wanted)))


def test_memory_is_free_again_after_a_model(tmp_path: Path) -> None:
    def speak() -> None:
        model = QwenModel(
            whole_checkpoint(tmp_path), QwenOptions(device="cuda", max_batch=2, graphs="startup")
        )
        chunks(model, SEGMENTS[0])
        model.synchronize()

    speak()  # what CUDA's libraries keep for themselves
    gc.collect()
    torch.cuda.empty_cache()
    before = torch.cuda.memory_reserved()
    speak()
    gc.collect()
    torch.cuda.empty_cache()
    assert torch.cuda.memory_reserved() <= before


def test_replaying_is_faster_than_calling() -> None:
    """Check that a replay is faster at all. Benchmarks at released shapes measure by how much."""
    seconds = []
    for fixed in (False, True):
        cuda_stream = CudaStream(CUDA, fixed=fixed)
        with cuda_stream.current():
            batch = small(torch.bfloat16).batch(1, 192, cuda_stream)
            batch.open(*small(torch.bfloat16).prompt(WISHES[0].request), WISHES[0].sampling)
            for _ in range(3):
                batch.step()
            cuda_stream.synchronize()
            start = time.perf_counter()
            for _ in range(50):
                batch.step()
            cuda_stream.synchronize()
            seconds.append(time.perf_counter() - start)
    assert seconds[1] < seconds[0]
