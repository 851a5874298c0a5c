"""Checkpoints of random weights have the released layout, and a server speaks with them."""

import json
import math
from pathlib import Path

import httpx
import numpy as np
import pytest
from scripts.make_checkpoint import SHAPES, tensor_shapes

from tests.conftest import app_client
from tests.models.qwen3_tts.codec_checkpoints import CodecShape, codec_tensors
from vivavoce.api.app import create_app
from vivavoce.errors import EngineFault, SettingsError
from vivavoce.models.qwen3_tts.checkpoint.config import read_config
from vivavoce.models.qwen3_tts.checkpoint.weights import tensor_shapes as stored_shapes
from vivavoce.models.qwen3_tts.tools.random_checkpoint import (
    TEXT_VOCABULARY,
    layout,
    random_folder,
)
from vivavoce.settings import Settings


@pytest.mark.parametrize("size", ["0.6b", "1.7b"])
def test_tensors_are_those_of_the_released_language_model(size: str) -> None:
    assert layout(size).talker == dict(tensor_shapes(SHAPES[size], TEXT_VOCABULARY))


def test_tensors_of_the_codec_are_those_that_a_released_one_has() -> None:
    shape = CodecShape(
        latent=32, codebook_dim=32, entries=2048, decoder_dim=32, hidden=16, layers=1,
        heads=16, kv_heads=16, head_dim=64,
    )  # fmt: skip
    released = {name: tuple(tensor.shape) for name, tensor in codec_tensors(shape, 0).items()}
    made = layout("tiny").codec
    # A decoder only looks codes up: it needs no projection to find them.
    assert {name: released.get(name) for name in made} == made
    left_out = {name for name in released if name.startswith("decoder.")} - {*made}
    assert all(".input_proj." in name for name in left_out)


def test_files_are_written_once_and_whole(tmp_path: Path) -> None:
    folder = random_folder("random:tiny", tmp_path)
    written = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert random_folder("random:tiny", tmp_path) == folder
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == written
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]
    assert stored_shapes(folder) == layout("tiny").talker
    assert list(read_config(folder).speakers) == ["random"]
    with pytest.raises(EngineFault, match=r"none of random:0\.6b"):
        random_folder("random:3b", tmp_path)


async def test_server_speaks_noise_under_the_name_of_random_weights(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings(
        default_model="random:tiny", models=("tone",), cache_dir=tmp_path, isolate_models=False,
        qwen_device="cpu", threads=1,
    )  # fmt: skip
    async with app_client(create_app(settings)) as client:
        body = {"text": "Hello there.", "max_new_tokens": 20, "format": "pcm"}
        answer = await client.post("/v1/tts/synthesize", json=body, timeout=60)
        samples = np.frombuffer(answer.content, "<i2")
        assert (answer.status_code, answer.headers["x-model"]) == (200, "random:tiny")
        assert answer.headers["x-voice"] == "random"
        assert len(samples) / 24_000 == pytest.approx(20 * 0.08, abs=0.1)
        assert math.sqrt(np.square(samples / 32768).mean()) > 0.005
        assert_named(await client.get("/v1/models/random:tiny"))
    assert "makes noise, for load tests" in caplog.text


def assert_named(card: httpx.Response) -> None:
    assert (card.json()["id"], card.json()["state"]) == ("random:tiny", "ready")


def test_unknown_size_is_refused_with_the_known_ones() -> None:
    with pytest.raises(SettingsError, match=r"random:tiny, random:0\.6b, random:1\.7b"):
        Settings.read(default_model="random:9b")


def test_list_of_models_has_random_weights(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from vivavoce.cli import app

    environment = {"VIVAVOCE_QWEN": "random:1.7b", "VIVAVOCE_CACHE_DIR": str(tmp_path)}
    listed = CliRunner().invoke(app, ["models", "list", "--json"], env=environment)
    rows = {row["name"]: row for row in json.loads(listed.stdout)}
    assert "random weights" in rows["random:1.7b"]["detail"]
    assert list(tmp_path.iterdir()) == []
