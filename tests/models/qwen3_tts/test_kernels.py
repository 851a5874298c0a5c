"""Triton kernels equal their plain torch twins.

They are interpreted on a CPU and compiled on a GPU.
"""

from collections.abc import Iterator
from contextlib import nullcontext

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.models.qwen3_tts.small import small
from vivavoce.models.qwen3_tts import kernels
from vivavoce.models.qwen3_tts.checkpoint.config import SamplingDefaults, StackConfig
from vivavoce.models.qwen3_tts.kernels import plain
from vivavoce.models.qwen3_tts.network.kv_cache import KvCache, PredictorStep, Step
from vivavoce.models.qwen3_tts.network.sampler import Sampler, Sampling

pytestmark = pytest.mark.skipif(
    not kernels.installed(), reason="needs Triton: pip install triton, on Linux"
)
FEW = settings(max_examples=12, deadline=None)
DTYPES = st.sampled_from([torch.float32, torch.bfloat16])


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)], scope="module")
def device(request: pytest.FixtureRequest) -> Iterator[torch.device]:
    """Return the device of the kernels: interpreted on a CPU, compiled on a GPU."""
    if request.param == "cpu" and not kernels.is_interpreting():
        pytest.skip("Triton compiles in this process: set TRITON_INTERPRET=1 to interpret instead")
    with kernels.interpreted() if request.param == "cpu" else nullcontext():
        yield torch.device(request.param)


def noise(device: torch.device, dtype: torch.dtype, *shape: int, seed: int = 0) -> Tensor:
    """Return normal numbers, the same on every device."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(device, dtype)


def close(made: Tensor, expected: Tensor) -> bool:
    """True if `made` is `expected` within the rounding of its type.

    The tolerance is a few steps of the type at the largest number.
    """
    assert made.dtype == expected.dtype
    assert made.shape == expected.shape
    steps = 2**-6 if made.dtype is torch.bfloat16 else 2e-6
    return (
        float((made.float() - expected.float()).abs().max())
        <= steps * float(expected.abs().max()) + 1e-6
    )


def exact(tensor: Tensor | None) -> Tensor | None:
    """Return `tensor` in float32, for a reference that rounds once, at its end."""
    return None if tensor is None else tensor.float()


@FEW
@given(
    rows=st.integers(1, 40),
    inputs=st.integers(1, 200),
    outputs=st.integers(1, 70),
    dtype=DTYPES,
    flags=st.tuples(*[st.booleans()] * 5),
)
def test_product_is_that_of_plain_torch(
    device: torch.device,
    rows: int,
    inputs: int,
    outputs: int,
    dtype: torch.dtype,
    flags: tuple[bool, ...],
) -> None:
    scaled, biased, normed, added, gated = flags
    weight = noise(device, dtype, outputs * (1 + gated), inputs, seed=1)
    scale = noise(device, torch.float32, len(weight), seed=2).abs() / 50 if scaled else None
    if scaled:
        weight = (weight.float() * 40).clamp(-127, 127).round().to(torch.int8)
    bias = noise(device, dtype, outputs, seed=3) if biased and not gated else None
    norm = noise(device, dtype, inputs, seed=4) if normed else None
    residual = noise(device, dtype, rows, 1, outputs, seed=5) if added else None
    x = noise(device, dtype, rows, 1, inputs, seed=6)
    made = kernels.product(
        x, weight, scale, bias, norm=norm, eps=1e-6, residual=residual, gated=gated
    )
    numbers = weight if scaled else weight.float()
    expected = plain.product(
        x.float(),
        numbers,
        scale,
        exact(bias),
        norm=exact(norm),
        eps=1e-6,
        residual=exact(residual),
        gated=gated,
    )
    assert close(made, expected.to(dtype))


def test_product_of_a_row_is_the_same_beside_others(device: torch.device) -> None:
    x, weight, norm = (
        noise(device, torch.bfloat16, 20, 150),
        noise(device, torch.bfloat16, 48, 150),
        None,
    )
    together = kernels.product(x, weight, norm=norm)
    for row in range(0, 20, 7):
        assert torch.equal(
            kernels.product(x[row : row + 1], weight, norm=norm), together[row : row + 1]
        )


@FEW
@given(rows=st.integers(1, 5), size=st.integers(1, 130), dtype=DTYPES)
def test_norm_is_that_of_plain_torch(
    device: torch.device, rows: int, size: int, dtype: torch.dtype
) -> None:
    x, weight = noise(device, dtype, rows, size), noise(device, dtype, size, seed=1)
    assert close(
        kernels.rms_norm(x, weight, 1e-6), plain.rms_norm(x.float(), weight.float(), 1e-6).to(dtype)
    )


def filled_cache(
    device: torch.device,
    dtype: torch.dtype,
    heads: tuple[int, int],
    head_dim: int,
    lengths: list[int],
    max_len: int,
) -> KvCache:
    """Return a cache with a past of noise, and NaN beyond each row's length."""
    config = StackConfig(8, 8, 2, *heads, head_dim, 1e4, 1e-6)
    cache = KvCache(config, len(lengths) + 1, max_len, device=device, dtype=dtype)
    cache.data[:] = noise(device, dtype, *cache.data.shape, seed=9)
    for slot, length in enumerate(lengths):
        cache.data[:, :, slot, :, length:] = torch.nan
        cache.lengths[slot] = length
    return cache


def attended(cache: KvCache, memory: Step | PredictorStep, heads: Tensor, norm: Tensor) -> Tensor:
    """Return plain torch's result in float32, on a copy of `cache`."""
    config = StackConfig(
        8, 8, 2, len(norm) - cache.data.shape[3], cache.data.shape[3], heads.shape[-1], 1e4, 1e-6
    )
    copy = KvCache(
        config, cache.data.shape[2], cache.max_len, device=heads.device, dtype=torch.float32
    )
    copy.data[:] = cache.data.nan_to_num().float()
    copy.lengths[:] = cache.lengths
    rows = heads.shape[0]
    twin = (
        Step(copy, rows, cache.max_len, memory.alive)
        if isinstance(memory, Step)
        else PredictorStep(copy, rows, memory.start, heads.shape[1])
    )
    return plain.attend(heads.float(), norm.float(), 1e-6, twin, 1)


@FEW
@given(
    lengths=st.lists(st.integers(0, 69), min_size=1, max_size=4),
    heads=st.sampled_from([(2, 2), (4, 2), (3, 1), (8, 1)]),
    head_dim=st.sampled_from([4, 16]),
    dtype=DTYPES,
    data=st.data(),
)
def test_step_attends_as_plain_torch_to_each_rows_own_past(
    device: torch.device,
    lengths: list[int],
    heads: tuple[int, int],
    head_dim: int,
    dtype: torch.dtype,
    data: st.DataObject,
) -> None:
    alive = [True, *(data.draw(st.booleans()) for _ in lengths[1:])]
    cache = filled_cache(device, dtype, heads, head_dim, lengths, 70)
    rows, kv_heads = len(lengths), heads[1]
    new = noise(device, dtype, rows, 1, heads[0] + 2 * kv_heads, head_dim, seed=3)
    norm = noise(device, dtype, heads[0] + kv_heads, head_dim, seed=4)
    step = Step(cache, rows, cache.max_len, torch.tensor(alive, device=device))
    expected = attended(cache, step, new, norm).to(dtype)
    before = cache.data.clone()
    made = kernels.attend(new, norm, 1e-6, step, 1)
    there = step.alive.nonzero()[:, 0]
    assert close(made[there], expected[there])
    assert torch.equal(cache.data[0].nan_to_num(), before[0].nan_to_num())  # another layer
    for row, length in enumerate(lengths):
        written = (cache.data[1, :, row] != before[1, :, row]) & ~(cache.data[1, :, row].isnan())
        assert written.any(dim=(0, 1, 3)).nonzero().tolist() == [
            [length if alive[row] else cache.max_len]
        ]


@FEW
@given(
    rows=st.integers(1, 3),
    start=st.integers(0, 9),
    time=st.sampled_from([1, 1, 2]),
    heads=st.sampled_from([(4, 2), (3, 1)]),
    dtype=DTYPES,
)
def test_burst_attends_as_plain_torch(
    device: torch.device,
    rows: int,
    start: int,
    time: int,
    heads: tuple[int, int],
    dtype: torch.dtype,
) -> None:
    cache = filled_cache(device, dtype, heads, 8, [start] * rows, 12)
    new = noise(device, dtype, rows, time, heads[0] + 2 * heads[1], 8, seed=3)
    norm = noise(device, dtype, sum(heads), 8, seed=4)
    frame_cache = PredictorStep(cache, rows, start, time)
    expected = attended(cache, frame_cache, new, norm).to(dtype)
    assert close(kernels.attend(new, norm, 1e-6, frame_cache, 1), expected)


DRAWS = st.builds(
    SamplingDefaults,
    temperature=st.sampled_from([0.3, 0.9, 2.0]),
    top_k=st.sampled_from([0, 1, 3, 50, 4000]),
    top_p=st.sampled_from([1.0, 1.0, 0.95, 0.6, 0.05]),
    greedy=st.sampled_from([False, False, False, True]),
)
WISHES = st.builds(
    Sampling,
    talker=DRAWS,
    predictor=DRAWS,
    repetition_penalty=st.sampled_from([1.0, 1.05, 0.7, 2.0]),
    seed=st.integers(-(1 << 63), (1 << 63) - 1),
    min_frames=st.integers(0, 4),
)


@settings(max_examples=30, deadline=None)
@given(
    wishes=st.lists(WISHES, min_size=1, max_size=4),
    dtype=DTYPES,
    tied=st.booleans(),
    data=st.data(),
)
def test_draws_are_those_of_plain_torch(
    device: torch.device,
    wishes: list[Sampling],
    dtype: torch.dtype,
    tied: bool,
    data: st.DataObject,
) -> None:
    config, rows, seed = small().config, len(wishes), data.draw(st.integers(0, 999))
    sampler = Sampler(config, rows + 1, device, fixed=True)
    for slot, wish in enumerate(wishes):
        sampler.set(slot, wish)
    sampler.seen[:] = noise(device, torch.float32, *sampler.seen.shape, seed=seed + 1) > 0.5
    frame = torch.tensor([data.draw(st.integers(0, 5)) for _ in wishes], device=device)
    codebook = data.draw(st.integers(1, config.codebooks - 1))
    for size, drawn, expected in (
        (config.codec_vocab_size, sampler.sample_first, sampler.sample_first_plain),
        (
            config.code_vocab_size,
            lambda scores, number: sampler.sample_rest(scores, number, codebook, None),
            lambda scores, number: sampler.sample_rest_plain(
                scores, made_before(sampler, number)[codebook - 1]
            ),
        ),
    ):
        logits = 4 * noise(device, dtype, rows, size, seed=seed)
        if tied:
            logits = logits.round()
        assert torch.equal(drawn(logits, frame), expected(logits, frame))


def made_before(sampler: Sampler, frame: Tensor) -> Tensor:
    """Return the noise of all codebooks, which a frame without kernels makes at once."""
    made = sampler.noise_plain(frame)
    assert made is not None
    return made


def test_machine_on_which_no_kernel_runs_is_left_to_plain_torch(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    if torch.cuda.is_available():
        pytest.skip("kernels may well run on the GPU of this machine")
    kernels.runs.cache_clear()
    monkeypatch.setattr(
        torch.cuda, "is_available", lambda: True
    )  # as with a driver that torch cannot use
    assert not kernels.used_on(torch.device("cuda"), torch.bfloat16)
    assert "frames are made by plain torch" in caplog.text
    kernels.runs.cache_clear()
