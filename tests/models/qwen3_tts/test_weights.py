"""Weights: one file or many shards give the same model, and damage is an error."""

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from scripts.make_checkpoint import make_checkpoint

from tests.models.qwen3_tts.small import CPU, SMALL
from vivavoce.errors import EngineFault, MissingDependency
from vivavoce.models.qwen3_tts.checkpoint.folder import Checkpoint, load_checkpoint
from vivavoce.models.qwen3_tts.checkpoint.weights import released


def load(folder: Path, dtype: torch.dtype = torch.float32) -> Checkpoint:
    return load_checkpoint(folder, CPU, dtype)


@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_every_tensor_arrives_in_its_place_and_dtype(
    shards: int, dtype: torch.dtype, tmp_path: Path
) -> None:
    make_checkpoint(tmp_path, "base", SMALL, shards=shards)
    files = sorted(tmp_path.glob("*.safetensors"))
    assert len(files) == shards
    stored = {name: tensor for file in files for name, tensor in load_file(file).items()}
    talker = load(tmp_path, dtype).talker
    loaded = dict(talker.named_parameters())
    assert all(
        parameter.dtype == dtype and not parameter.requires_grad for parameter in loaded.values()
    )
    found = {
        tensor.name: loaded[tensor.parameter][tensor.rows] for tensor in released(talker, "talker.")
    }
    assert found.keys() == stored.keys()
    assert all((found[name] == stored[name].to(dtype)).all() for name in stored)
    assert sum(map(torch.numel, loaded.values())) == sum(
        map(torch.numel, found.values())
    )  # no row is left unfilled
    assert len(loaded) < len(stored)  # what has the same input is one matrix


def test_loaded_weights_do_not_depend_on_the_file_any_more(tmp_path: Path) -> None:
    make_checkpoint(tmp_path, "base", SMALL)
    head = load(tmp_path, torch.bfloat16).talker.codec_head.weight
    before = head.clone()
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"\0" * path.stat().st_size)
    assert torch.equal(head, before)


def test_speaker_encoder_in_the_same_file_is_left_to_its_own_module(tmp_path: Path) -> None:
    change(
        make_checkpoint(tmp_path, "base", SMALL),
        lambda t: t.update({"speaker_encoder.fc.bias": torch.ones(2)}),
    )
    load(tmp_path)


def test_text_embedding_may_stay_on_another_device(tmp_path: Path) -> None:
    make_checkpoint(tmp_path, "base", SMALL)
    talker = load_checkpoint(tmp_path, CPU, torch.float32, text_device=torch.device("meta")).talker
    assert talker.model.text_embedding.weight.is_meta
    assert not any(
        p.is_meta for name, p in talker.named_parameters() if "text_embedding" not in name
    )


def change(folder: Path, edit: Callable[[dict[str, torch.Tensor]], object]) -> None:
    """Rewrite the weights in `folder` as `edit` changes them."""
    tensors = load_file(folder / "model.safetensors")
    edit(tensors)
    save_file(tensors, folder / "model.safetensors")


HEAD = "talker.codec_head.weight"


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda t: t.pop(HEAD), f"lacks 1 tensors, among them '{HEAD}'"),
        (lambda t: t.update(extra=torch.zeros(1)), "unknown 1 tensors, among them 'extra'"),
        (
            lambda t: t.update({HEAD: torch.zeros(3, 32)}),
            f"'{HEAD}' has shape [3, 32], config.json asks for",
        ),
    ],
)
def test_weights_that_do_not_fit_the_configuration_are_named(
    edit: Callable[[dict[str, torch.Tensor]], object], words: str, tmp_path: Path
) -> None:
    change(make_checkpoint(tmp_path, "base", SMALL), edit)
    with pytest.raises(EngineFault) as caught:
        load(tmp_path)
    assert words in caught.value.message


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_weight_that_is_not_a_number_is_refused(value: float, tmp_path: Path) -> None:
    change(make_checkpoint(tmp_path, "base", SMALL), lambda t: t[HEAD][5, 7].fill_(value))
    with pytest.raises(EngineFault, match=f"'{HEAD}' holds values that are not numbers: download"):
        load(tmp_path)


@pytest.mark.parametrize("keep", [0, 5, 1000, -1])
def test_file_that_was_cut_short_is_recognised(keep: int, tmp_path: Path) -> None:
    path = make_checkpoint(tmp_path, "base", SMALL) / "model.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(EngineFault, match="cut short"):
        load(tmp_path)


def test_absent_weights_say_how_to_get_them(tmp_path: Path) -> None:
    make_checkpoint(tmp_path, "base", SMALL)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(MissingDependency, match="download the whole checkpoint"):
        load(tmp_path)


def test_missing_shard_is_named(tmp_path: Path) -> None:
    make_checkpoint(tmp_path, "base", SMALL, shards=2)
    (tmp_path / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(MissingDependency, match="model-00002-of-00002"):
        load(tmp_path)


@pytest.mark.parametrize("index", ["", "[]", "{}", '{"weight_map": 3}'])
def test_index_that_lists_no_weights_is_refused(index: str, tmp_path: Path) -> None:
    make_checkpoint(tmp_path, "base", SMALL, shards=2)
    (tmp_path / "model.safetensors.index.json").write_text(index, encoding="utf-8")
    with pytest.raises(EngineFault, match="index"):
        load(tmp_path)


def test_index_cannot_name_a_file_outside_the_folder(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path / "checkpoint", "base", SMALL, shards=2)
    (tmp_path / "elsewhere.safetensors").write_bytes(b"")
    index = json.dumps({"weight_map": {HEAD: "../elsewhere.safetensors"}})
    (folder / "model.safetensors.index.json").write_text(index, encoding="utf-8")
    with pytest.raises(MissingDependency, match="checkpoint/elsewhere"):
        load(folder)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.data())
def test_header_with_any_byte_changed_loads_or_is_refused(data: st.DataObject) -> None:
    with TemporaryDirectory() as name:
        path = make_checkpoint(Path(name), "custom_voice", SMALL) / "model.safetensors"
        content = bytearray(path.read_bytes())
        header = 8 + int.from_bytes(content[:8], "little")
        content[data.draw(st.integers(0, header - 1))] ^= data.draw(st.integers(1, 255))
        path.write_bytes(content)
        with suppress(EngineFault):
            load(Path(name))
