"""Qwen3-TTS without its packages: the server says what to install, and goes on speaking."""

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.conftest import app_client
from vivavoce.api.app import create_app
from vivavoce.cli import app as command_line
from vivavoce.settings import Settings


@pytest.fixture(autouse=True)
def no_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python's own way of saying that a module cannot be imported."""
    monkeypatch.setitem(sys.modules, "torch", None)


async def test_server_names_the_extra_and_speaks_with_the_others(tmp_path: Path) -> None:
    async with app_client(
        create_app(Settings(qwen=(tmp_path / "Tiny",), models=("tone",), isolate_models=False))
    ) as client:
        answer = await client.post("/v1/tts/synthesize", json={"text": "Hello.", "model": "tiny"})
        assert answer.status_code == 503
        assert "pip install 'vivavoce[qwen]'" in answer.json()["error"]["message"]
        assert (await client.get("/health")).json()["models"]["tiny"] == "missing"
        spoken = await client.post("/v1/tts/synthesize", json={"text": "Hello."})
        assert spoken.headers["x-model"] == "tone"


def test_trace_names_the_extra(tmp_path: Path) -> None:
    arguments = ["trace", "--checkpoint", str(tmp_path), "--request", "r.json", "--out", "out"]
    done = CliRunner().invoke(command_line, arguments)
    assert done.exit_code == 1
    assert "pip install 'vivavoce[qwen]'" in done.stderr
