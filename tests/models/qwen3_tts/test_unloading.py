"""The preview of a checkpoint before loading, and its memory after unloading."""

from pathlib import Path
from weakref import ref

import pytest
import torch

from tests.models.qwen3_tts.whole import segment, whole_checkpoint
from vivavoce.errors import EngineFault, MissingDependency
from vivavoce.models.qwen3_tts import QwenOptions
from vivavoce.models.qwen3_tts.network.linear import Linear
from vivavoce.models.qwen3_tts.runtime.memory import (
    CODEC,
    CODEC_ITEM_BYTES,
    _elements,
    _encoder_elements,
)
from vivavoce.models.qwen3_tts.runtime.model import QwenModel
from vivavoce.models.qwen3_tts.runtime.preview import preview
from vivavoce.registry import build_pool
from vivavoce.serving.local import LocalEngine
from vivavoce.serving.pool import Pool
from vivavoce.serving.pool_entry import ModelSource
from vivavoce.settings import Settings

SLOTS = 3


def tensors(model: QwenModel) -> list[torch.Tensor]:
    """Return the bytes of an idle model, without the sampling tensors of its slots."""
    state = model._batch._state
    modules = (model._checkpoint.talker, model._codec_runner._decoder)
    weights = [tensor for module in modules for tensor in (*module.parameters(), *module.buffers())]
    return [*weights, state.cache.data, state.frame_cache.data, state.text]


@pytest.mark.parametrize("task", ["custom_voice", "voice_design", "base"])
@pytest.mark.parametrize("weights", ["plain", "prepacked", "int8"])
@pytest.mark.parametrize("dtype", ["auto", "bfloat16"])
def test_preview_is_what_the_loaded_model_says_and_takes(
    tmp_path: Path, task: str, dtype: str, weights: str
) -> None:
    folder = whole_checkpoint(tmp_path / "Tiny", task)
    seen = preview(folder, QwenOptions("cpu", dtype, weights, max_batch=SLOTS), name="tiny")
    model = QwenModel(
        folder, QwenOptions(device="cpu", dtype=dtype, weights=weights, max_batch=SLOTS)
    )
    assert seen.info == model.info
    assert seen.info.task == task
    # What is packed is no tensor: matrices know their size. The codec and what clones a voice are
    # as large as in files.
    matrices = (
        module for module in model._checkpoint.talker.modules() if isinstance(module, Linear)
    )
    packed = sum(matrix.stored_bytes for matrix in matrices if matrix.weight is None)
    codec = model._codec_runner._decoder
    apart = {id(tensor) for tensor in (*codec.parameters(), *codec.buffers())}
    others = sum(tensor.nbytes for tensor in tensors(model) if id(tensor) not in apart)
    filed = _elements(folder / CODEC, "decoder.")
    if task == "base":
        filed += _elements(folder, "speaker_encoder.") + _encoder_elements(
            folder / CODEC, model.config.codebooks
        )
    taken = packed + others + filed * CODEC_ITEM_BYTES
    assert seen.memory_bytes == taken


def test_preview_of_a_checkpoint_that_is_not_whole_says_so(tmp_path: Path) -> None:
    def look() -> None:
        preview(tmp_path / "Tiny", QwenOptions("cpu", max_batch=1), name="tiny")

    with pytest.raises(MissingDependency, match="is not there"):
        look()
    folder = whole_checkpoint(tmp_path / "Tiny")
    weights = folder / "speech_tokenizer" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(EngineFault, match="damaged or cut short"):
        look()
    weights.unlink()
    with pytest.raises(MissingDependency, match=r"model\.safetensors"):
        look()


async def test_unloaded_model_leaves_no_weight_behind(tmp_path: Path) -> None:
    for name in ("One", "Two"):
        whole_checkpoint(tmp_path / name, frames=5)
    seen = preview(tmp_path / "One", QwenOptions("cpu", "float32", max_batch=SLOTS), name="one")
    weak: dict[str, list[ref[torch.Tensor]]] = {}

    def make(name: str) -> LocalEngine:
        model = QwenModel(tmp_path / name, QwenOptions(device="cpu", max_batch=SLOTS))
        weak[name] = [ref(tensor) for tensor in tensors(model)]
        return LocalEngine(model)

    offers = {
        name: ModelSource(lambda name=name: make(name), lambda: seen) for name in ("One", "Two")
    }
    pool = Pool(offers, max_memory_bytes=int(1.5 * seen.memory_bytes))
    for name, other in (("One", "Two"), ("Two", "One")):
        async with pool.lease(name) as engine:
            stream = engine.speak(segment())
            await anext(stream)
            assert all(tensor() is not None for tensor in weak[name])
            await stream.aclose()  # in the middle of its speech
        assert all(tensor() is None for tensor in weak.get(other, ()))
    assert list(pool.ready) == ["Two"]
    await pool.aclose()
    assert all(tensor() is None for tensors in weak.values() for tensor in tensors)


async def test_pool_of_the_settings_looks_at_checkpoints_without_loading_them(
    tmp_path: Path,
) -> None:
    folder = whole_checkpoint(tmp_path / "Tiny", "voice_design")
    pool = build_pool(
        Settings(
            models=("tone",),
            isolate_models=False,
            cache_dir=tmp_path,
            qwen=(folder,),
            qwen_max_batch=SLOTS,
        )
    )
    info = await pool.info("tiny")
    states = pool.states()
    assert (info.task, states["tiny"].task, states["tiny"].state) == (
        "voice_design",
        "voice_design",
        "unloaded",
    )
    assert states["tiny"].memory_bytes
    assert pool.memory_bytes == 0
    async with pool.lease("tiny") as engine:
        assert engine.info == info
        assert pool.memory_bytes == states["tiny"].memory_bytes
    await pool.aclose()
