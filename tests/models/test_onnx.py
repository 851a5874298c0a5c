"""Check that onnxruntime's telemetry leaves no files, in a process with its own home."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


def spoken_at(home: Path, **environment: str) -> list[str]:
    """Speak with hibari in a new process, and return the files in its home."""
    environment = {
        **os.environ, "HOME": str(home), "XDG_CACHE_HOME": str(home / ".cache"), **environment,
    }  # fmt: skip
    command = [
        sys.executable, "-m", "vivavoce", "say", "Hello.", "--model", "hibari", "--output",
        str(home / "hello.wav"),
    ]  # fmt: skip
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=120)
    assert (home / "hello.wav").stat().st_size > 10_000
    return [str(file.relative_to(home)) for file in home.rglob("*") if file.is_file()]


def test_onnxruntime_keeps_no_identifier_and_no_reports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ORT_DISABLE_TELEMETRY", raising=False)
    assert [file for file in spoken_at(tmp_path) if "onnxruntime" in file.lower()] == []
