"""Choose the numbers that the codec multiplies, by the noise that they add to its samples.

float32 is the reference. TF32, on CUDA, rounds the factors of a product to 10 bits of mantissa. In
bfloat16 every value has 7 bits.
"""

import logging

import torch
from torch import Tensor

from vivavoce.errors import EngineFault
from vivavoce.models.qwen3_tts.codec.decoder import CodecDecoder

log = logging.getLogger(__name__)

PRECISIONS = ("auto", "float32", "tf32", "bfloat16")
LEAST_DB = 50.0  # of what "auto" chooses
PROBE_FRAMES = 25  # two seconds


def codec_dtype(name: str) -> torch.dtype:
    """Return the dtype of the codec's weights for the setting `name`.

    Raises `EngineFault` for an unknown name.
    """
    if name not in PRECISIONS:
        raise EngineFault(
            f"precision {name!r} is not one of {', '.join(PRECISIONS)}: set 'qwen_codec_precision'"
        )
    return torch.bfloat16 if name == "bfloat16" else torch.float32


def set_precision(decoder: CodecDecoder, name: str) -> None:
    """Let a loaded `decoder` multiply in TF32 or not, as the setting `name` asks.

    "auto" is TF32 on CUDA if its signal-to-noise ratio there is `LEAST_DB` or more. Other devices
    have no TF32.
    """
    if decoder.device.type != "cuda":
        if name == "tf32":
            log.warning("there is no TF32 on %s: the codec multiplies in float32", decoder.device)
        return
    decoder.tf32 = name == "tf32" or (name == "auto" and tf32_is_enough(decoder))


def tf32_is_enough(decoder: CodecDecoder) -> bool:
    """True if samples in TF32 have a signal-to-noise ratio of `LEAST_DB` or more, as measured."""
    decoder.tf32 = False
    exact = probe(decoder)
    decoder.tf32 = True
    ratio_db = signal_to_noise_db(exact, probe(decoder))
    enough = ratio_db >= LEAST_DB
    log.info(
        "TF32: %.0f dB, so the codec multiplies in %s", ratio_db, "TF32" if enough else "float32"
    )
    return enough


def probe(decoder: CodecDecoder, frames: int = PROBE_FRAMES) -> Tensor:
    """Return the samples [1, n] of random codes, the same every time."""
    shape, generator = (1, decoder.config.num_quantizers, frames), torch.Generator().manual_seed(0)
    codes = torch.randint(decoder.config.codebook_size, shape, generator=generator)
    return decoder.decode(codes.to(decoder.device)).float()


def signal_to_noise_db(exact: Tensor, other: Tensor) -> float:
    """Return the power of `exact` over that of its difference from `other`, in dB.

    A constant is no signal.
    """
    noise = (other.double() - exact.double()).square().mean()
    return float(10 * (exact.double().var(correction=0) / noise).log10())
