"""The codec encoder: the same codes as the published one."""

import math
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import load_file  # noqa: E402 - after the check for torch

from tests.models.qwen3_tts.codec_checkpoints import SHAPES, voice_like, write_codec  # noqa: E402
from vivavoce.models.qwen3_tts.codec import CodecEncoder, load_encoder  # noqa: E402

CPU = torch.device("cpu")
DATA = Path(__file__).parent / "data"


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> CodecEncoder:
    return load_encoder(
        write_codec(tmp_path_factory.mktemp("codec"), SHAPES["small"], 3), CPU, torch.float32
    )


@pytest.mark.parametrize(("name", "seed"), [("small", 7), ("grouped", 8)])
def test_codes_are_those_of_the_published_package(tmp_path: Path, name: str, seed: int) -> None:
    encoder = load_encoder(write_codec(tmp_path, SHAPES[name], seed), CPU, torch.float32)
    expected = load_file(DATA / f"codec_{name}.safetensors")
    for number, length in enumerate((1919, 24007)):
        codes = encoder.encode(voice_like(length, seed + number))
        assert len(codes.unique()) > 5  # codes that never change would match by accident
        assert torch.equal(codes, expected[f"codes{number}"].long())


@pytest.mark.parametrize("samples", [1, 2, 959, 960, 1919, 1920, 1921, 24000])
def test_every_begun_frame_has_a_code_of_each_codebook(encoder: CodecEncoder, samples: int) -> None:
    codes = encoder.encode(voice_like(samples, seed=1))
    assert codes.shape == (16, math.ceil(samples / 1920))
    assert codes.dtype == torch.int64
    assert 0 <= int(codes.min()) <= int(codes.max()) < SHAPES["small"].entries


def test_codes_of_a_beginning_are_the_beginning_of_the_codes(encoder: CodecEncoder) -> None:
    audio = voice_like(20 * 1920, seed=2)
    assert torch.equal(encoder.encode(audio[: 12 * 1920]), encoder.encode(audio)[:, :12])


def test_attention_reaches_further_back_than_ten_seconds(encoder: CodecEncoder) -> None:
    # As published: the configuration's window of 250 latents is not applied by the encoder.
    transformer = encoder.encoder_transformer
    latents = torch.randn(1, 270, 16, generator=torch.Generator().manual_seed(0))
    changed = latents.clone()
    changed[:, 0] = changed[:, 0].roll(3)
    with torch.no_grad():
        difference = (transformer(latents) - transformer(changed))[0, -1].abs().max()
    assert float(difference) > 1e-5
