"""The codec's noise in fewer bits is measured, and `auto` accepts no more than 50 dB of it.

A CPU has no TF32. Its factors are rounded here instead, as a GPU does before it multiplies.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from tests.models.qwen3_tts.small import CPU
from tests.models.qwen3_tts.whole import whole_checkpoint
from vivavoce.errors import EngineFault
from vivavoce.models.qwen3_tts import QwenOptions
from vivavoce.models.qwen3_tts.checkpoint.random_weights import CODEC, RandomTensors
from vivavoce.models.qwen3_tts.checkpoint.weights import build
from vivavoce.models.qwen3_tts.codec import CodecDecoder
from vivavoce.models.qwen3_tts.codec import decoder as decoder_module
from vivavoce.models.qwen3_tts.codec.precision import (
    LEAST_DB,
    probe,
    set_precision,
    signal_to_noise_db,
    tf32_is_enough,
)
from vivavoce.models.qwen3_tts.runtime.model import QwenModel

MANTISSA = 23  # bits of float32


class Rounded(TorchFunctionMode):
    """Products whose factors have `bits` bits of mantissa."""

    def __init__(self, bits: int) -> None:
        super().__init__()
        self.left_out = MANTISSA - bits

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        factors = {F.linear: 2, F.conv1d: 2, F.scaled_dot_product_attention: 3}.get(function, 0)
        args = [*map(self.rounded, args[:factors]), *args[factors:]]
        return function(*args, **(kwargs or {}))

    def rounded(self, x: Tensor) -> Tensor:
        """Round to the nearest number, to the even one of two."""
        bits, half = x.contiguous().view(torch.int32), (1 << (self.left_out - 1)) - 1
        odd = (bits >> self.left_out) & 1
        return ((bits + half + odd) >> self.left_out << self.left_out).view(torch.float32)


@cache
def released(seed: int) -> CodecDecoder:
    """Return a codec of the released shape in float32, as CUDA computes it."""
    return build(lambda: CodecDecoder(CODEC), RandomTensors(CPU, seed), "decoder.")


@pytest.fixture
def mantissa(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Return a list whose number is the bits of what a decoder's `tf32` allows."""
    bits = [10]

    @contextmanager
    def multiplying(tf32: bool | None) -> Iterator[None]:
        if not tf32:
            yield
            return
        with Rounded(bits[0]):
            yield

    monkeypatch.setattr(decoder_module, "_multiplying", multiplying)
    yield bits
    released(0).tf32 = released(1).tf32 = None


@pytest.mark.parametrize("seed", [0, 1])
def test_tf32_reaches_50_db_and_bfloat16_does_not(seed: int, mantissa: list[int]) -> None:
    decoder = released(seed)
    exact = probe(decoder)
    assert exact.std() > 0.005
    assert exact.abs().max() < 0.9  # nothing is clipped, which would hide a difference
    decoder.tf32 = True
    assert 52 < signal_to_noise_db(exact, probe(decoder)) < 65
    lower = build(lambda: CodecDecoder(CODEC), RandomTensors(CPU, seed), "decoder.").bfloat16()
    assert 28 < signal_to_noise_db(exact, probe(lower)) < LEAST_DB - 10


@pytest.mark.parametrize(("bits", "enough"), [(10, True), (7, False)])
def test_auto_accepts_what_reaches_50_db(
    bits: int, enough: bool, mantissa: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    mantissa[0] = bits
    with caplog.at_level("INFO"):
        assert tf32_is_enough(released(0)) is enough
    assert f"the codec multiplies in {'TF32' if enough else 'float32'}" in caplog.text


def test_rounding_leaves_the_bits_that_it_should() -> None:
    numbers = torch.randn(1000, generator=torch.Generator().manual_seed(0))
    assert torch.equal(Rounded(7).rounded(numbers), numbers.bfloat16().float())
    assert torch.equal(Rounded(10).rounded(numbers), numbers.half().float())


def test_tf32_on_a_cpu_is_float32_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    decoder = released(0)
    set_precision(decoder, "tf32")
    assert decoder.tf32 is None
    assert "there is no TF32 on cpu" in caplog.text


@pytest.mark.parametrize(("name", "dtype"), [("auto", torch.float32), ("bfloat16", torch.bfloat16)])
def test_model_decodes_in_the_numbers_of_the_setting(
    name: str, dtype: torch.dtype, tmp_path: Any
) -> None:
    options = QwenOptions(codec_precision=name, max_batch=1, device="cpu")
    model = QwenModel(whole_checkpoint(tmp_path), options)
    assert model._codec_runner._memory.dtype is dtype
    model.unload()


def test_unknown_precision_is_refused(tmp_path: Any) -> None:
    with pytest.raises(EngineFault, match="qwen_codec_precision"):
        QwenModel(whole_checkpoint(tmp_path), QwenOptions(codec_precision="half", max_batch=1))
