"""The speaker encoder: the same x-vectors as the published one, and clear errors."""

import json
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import load_file, save_file  # noqa: E402 - after the check for torch

from tests.models.qwen3_tts.codec_checkpoints import SPEAKERS, voice_like, write_speaker  # noqa: E402
from vivavoce.errors import BadRequest, EngineFault, MissingDependency, Unsupported  # noqa: E402
from vivavoce.models.qwen3_tts.network.mel import mel_filters  # noqa: E402
from vivavoce.models.qwen3_tts.network.speaker_encoder import (  # noqa: E402
    SpeakerConfig,
    SpeakerEncoder,
    load_speaker_encoder,
)

CPU = torch.device("cpu")
DATA = Path(__file__).parent / "data"


def load(folder: Path) -> SpeakerEncoder:
    return load_speaker_encoder(folder, CPU, torch.float32)


def change_config(folder: Path, **changes: object) -> None:
    raw = json.loads((folder / "config.json").read_text())
    raw["speaker_encoder_config"] |= changes
    (folder / "config.json").write_text(json.dumps(raw))


@pytest.mark.parametrize(
    ("reference", "shape", "seed"), [("small", "small", 7), ("grouped", "deep", 8)]
)
def test_x_vectors_equal_those_of_the_published_package(
    tmp_path: Path, reference: str, shape: str, seed: int
) -> None:
    encoder = load(write_speaker(tmp_path, SPEAKERS[shape], seed))
    expected = load_file(DATA / f"codec_{reference}.safetensors")["vector"]
    vector = encoder.embed(voice_like(30000, seed))
    assert float(vector.std()) > 0.1
    torch.testing.assert_close(vector, expected, atol=1e-4, rtol=0)


def test_different_voices_have_different_x_vectors(tmp_path: Path) -> None:
    encoder = load(write_speaker(tmp_path))
    assert (
        float(
            (encoder.embed(voice_like(30000, 1)) - encoder.embed(voice_like(30000, 2))).abs().max()
        )
        > 0.01
    )


@pytest.mark.parametrize("shape", SPEAKERS)
def test_the_shortest_sample_is_encoded_and_a_shorter_one_refused(
    tmp_path: Path, shape: str
) -> None:
    encoder = load(write_speaker(tmp_path, SPEAKERS[shape]))
    assert encoder.embed(voice_like(encoder.min_samples, 1)).isfinite().all()
    with pytest.raises(BadRequest, match=f"{encoder.min_samples - 1} samples") as error:
        encoder.embed(voice_like(encoder.min_samples - 1, 1))
    assert error.value.field == "ref_audio"


def test_silence_has_an_x_vector(tmp_path: Path) -> None:
    assert load(write_speaker(tmp_path)).embed(torch.zeros(24000)).isfinite().all()


def test_mel_filters_are_overlapping_triangles_of_equal_area() -> None:
    filters = mel_filters(24000, 128)
    assert filters.shape == (128, 513)
    assert (filters.sum(dim=1) > 0).all()
    # Narrow triangles are sampled coarsely by the bins; from about 3 kHz on their sums show the
    # equal areas.
    areas = filters.sum(dim=1)[80:] * 12000 / 512
    torch.testing.assert_close(areas, torch.ones(48), atol=0.02, rtol=0)
    assert (filters.argmax(dim=1).diff() >= 0).all()


@pytest.mark.parametrize("task", ["custom_voice", "voice_design"])
def test_a_checkpoint_of_another_task_cannot_clone(tmp_path: Path, task: str) -> None:
    write_speaker(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"tts_model_type": task}))
    with pytest.raises(Unsupported, match=f"{task!r} has no speaker encoder"):
        load(tmp_path)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_missing_file_is_named_with_the_command_that_brings_it(tmp_path: Path, name: str) -> None:
    write_speaker(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(MissingDependency, match=f"{name}.*download the whole checkpoint"):
        load(tmp_path)


def test_a_config_that_is_no_json_is_refused(tmp_path: Path) -> None:
    write_speaker(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(EngineFault, match="cannot be read as JSON"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("enc_dim", "64"),
        ("enc_dim", 0),
        ("enc_channels", [16, 16, 16, 16, 40]),
        ("enc_channels", [16, 16]),
        ("enc_kernel_sizes", [5, 3, 3]),
        ("enc_dilations", 2),
        ("enc_res2net_scale", 5),
    ],
)
def test_a_config_we_cannot_run_names_the_field(tmp_path: Path, field: str, value: object) -> None:
    change_config(write_speaker(tmp_path), **{field: value})
    with pytest.raises(EngineFault, match=field):
        load(tmp_path)


def test_weights_that_do_not_fit_the_config_are_named_with_both_shapes(tmp_path: Path) -> None:
    change_config(write_speaker(tmp_path), enc_dim=65)
    with pytest.raises(
        EngineFault,
        match=r"'speaker_encoder\.fc\.weight'.*shape \[64, 96, 1\], config.json asks for "
        r"\[65, 96, 1\]",
    ):
        load(tmp_path)


def test_a_checkpoint_without_the_speaker_encoders_tensors_is_refused(tmp_path: Path) -> None:
    write_speaker(tmp_path)
    save_file({"talker.codec_head.weight": torch.zeros(2, 2)}, tmp_path / "model.safetensors")
    with pytest.raises(EngineFault, match="speaker_encoder"):
        load(tmp_path)


def test_the_released_shape_is_the_default() -> None:
    with torch.device("meta"):
        encoder = SpeakerEncoder(SpeakerConfig())
    assert encoder.fc.weight.shape == (1024, 3072, 1)
    assert [len(list(block.parameters())) for block in encoder.blocks] == [2, 22, 22, 22]
