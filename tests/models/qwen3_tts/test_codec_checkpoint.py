"""Loading the codec from the released layout, and clear errors for damage."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import load_file, save_file  # noqa: E402 - after the check for torch

from tests.models.qwen3_tts.codec_checkpoints import (  # noqa: E402
    SLOW_RATE,
    random_codes,
    voice_like,
    write_codec,
)
from vivavoce.errors import EngineFault, MissingDependency  # noqa: E402
from vivavoce.models.qwen3_tts.codec import load_decoder, load_encoder, read_codec_config  # noqa: E402

CPU = torch.device("cpu")
LOADERS = [load_decoder, load_encoder]
TENSORS = {
    load_decoder: "decoder.decoder.0.conv.weight",
    load_encoder: (
        "encoder.quantizer.acoustic_residual_vector_quantizer.layers.14.codebook.embed_sum"
    ),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_codec(tmp_path / "speech_tokenizer", SLOW_RATE)


def load(loader: Callable[..., Any], folder: Path, dtype: "torch.dtype" = torch.float32) -> Any:
    return loader(folder, CPU, dtype)


def change_config(folder: Path, path: str, value: object) -> None:
    raw = json.loads((folder / "config.json").read_text())
    *parents, leaf = path.split(".")
    section = raw
    for parent in parents:
        section = section[parent]
    section[leaf] = value
    (folder / "config.json").write_text(json.dumps(raw))


def change_tensors(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_every_tensor_is_in_the_dtype_asked_for_and_needs_no_gradient(
    folder: Path, loader: Callable[..., Any], dtype: "torch.dtype"
) -> None:
    module = load(loader, folder, dtype)
    tensors = [*module.parameters(), *module.buffers()]
    assert {tensor.dtype for tensor in tensors} == {dtype}
    assert not any(tensor.requires_grad or tensor.is_meta for tensor in tensors)


def test_loaded_weights_outlive_the_file(folder: Path) -> None:
    decoder = load(load_decoder, folder)
    before = decoder.decode(random_codes(SLOW_RATE, 3, seed=0))
    weights = folder / "model.safetensors"
    weights.write_bytes(
        bytes(weights.stat().st_size)
    )  # in place: a mapping of the file would see the zeros
    assert torch.equal(before, decoder.decode(random_codes(SLOW_RATE, 3, seed=0)))


def test_shards_load_like_one_file(folder: Path) -> None:
    whole = load(load_encoder, folder).encode(voice_like(5000, seed=0))
    tensors = load_file(folder / "model.safetensors")
    places = {
        name: f"model-0000{1 + i % 2}-of-00002.safetensors"
        for i, name in enumerate(sorted(tensors))
    }
    for file in set(places.values()):
        save_file(
            {name: tensor for name, tensor in tensors.items() if places[name] == file},
            folder / file,
        )
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))
    (folder / "model.safetensors").unlink()
    assert torch.equal(load(load_encoder, folder).encode(voice_like(5000, seed=0)), whole)
    (folder / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(
        MissingDependency,
        match=r"model-00002-of-00002\.safetensors.*is missing.*download the whole checkpoint",
    ):
        load(load_encoder, folder)


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_missing_file_is_named_with_the_command_that_brings_it(
    folder: Path, loader: Callable[..., Any], name: str
) -> None:
    (folder / name).unlink()
    with pytest.raises(
        MissingDependency, match=rf"{re.escape(name)}.*download the whole checkpoint"
    ):
        load(loader, folder)


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize("kept", [0, 4, 3000, -5])
def test_a_truncated_file_is_told_from_a_whole_one(
    folder: Path, loader: Callable[..., Any], kept: int
) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:kept])
    with pytest.raises(EngineFault, match="damaged or cut short"):
        load(loader, folder)


@pytest.mark.parametrize("loader", LOADERS)
def test_a_missing_tensor_is_named(folder: Path, loader: Callable[..., Any]) -> None:
    name = TENSORS[loader]
    change_tensors(folder, lambda tensors: tensors.pop(name))
    with pytest.raises(EngineFault, match=re.escape(repr(name))):
        load(loader, folder)


@pytest.mark.parametrize("loader", LOADERS)
def test_a_tensor_of_the_wrong_shape_is_named_with_both_shapes(
    folder: Path, loader: Callable[..., Any]
) -> None:
    name = TENSORS[loader]
    change_tensors(folder, lambda tensors: tensors.update({name: torch.zeros(3, 5)}))
    with pytest.raises(
        EngineFault, match=rf"{re.escape(repr(name))}.*shape \[3, 5\], config.json asks for \["
    ):
        load(loader, folder)


@pytest.mark.parametrize("loader", LOADERS)
def test_a_tensor_that_is_not_all_numbers_is_named(
    folder: Path, loader: Callable[..., Any]
) -> None:
    name = TENSORS[loader]
    change_tensors(folder, lambda tensors: tensors[name].view(-1)[3].fill_(torch.nan))
    with pytest.raises(
        EngineFault, match=rf"{re.escape(repr(name))} holds values that are not numbers"
    ):
        load(loader, folder)


@pytest.mark.parametrize("text", ["{", "[]", "\xff"])
def test_a_config_that_is_no_json_object_is_refused(folder: Path, text: str) -> None:
    (folder / "config.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(EngineFault, match=r"config\.json"):
        read_codec_config(folder)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("model_type", "qwen3_tts_tokenizer_25hz"),
        ("decode_upsample_rate", 1920),
        ("encoder_valid_num_quantizers", 8),
        ("decoder_config", [1]),
        ("decoder_config.hidden_act", "relu"),
        ("decoder_config.num_key_value_heads", 3),
        ("decoder_config.sliding_window", 0),
        ("decoder_config.hidden_size", "20"),
        ("decoder_config.num_hidden_layers", -1),
        ("decoder_config.upsample_rates", [2, 2.5, 2, 2]),
        ("encoder_config.use_causal_conv", False),
        ("encoder_config.audio_channels", 2),
        ("encoder_config.num_quantizers", 4),
        ("encoder_config.upsampling_ratios", [8, 6, 5, 4]),
        ("encoder_config.vector_quantization_hidden_dimension", 9),
    ],
)
def test_a_config_we_cannot_run_names_the_field(folder: Path, path: str, value: object) -> None:
    change_config(folder, path, value)
    with pytest.raises(EngineFault, match=re.escape(path.rpartition(".")[2])):
        read_codec_config(folder)


def test_fields_that_a_released_file_leaves_out_have_the_published_defaults(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "qwen3_tts_tokenizer_12hz"}))
    config = read_codec_config(tmp_path)
    assert (config.sample_rate_hz, config.samples_per_frame, config.frame_rate_hz) == (
        24000,
        1920,
        12.5,
    )
    assert (config.num_code_groups, config.decoder.sliding_window) == (16, 72)
    assert config.encoder.attention_head_dim == 64
