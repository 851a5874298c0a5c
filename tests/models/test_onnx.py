"""What a voice leaves on the machine, in a process with a home of its own: no trace of onnxruntime's telemetry."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


def spoken_at(home: Path, **environment: str) -> list[str]:
    """Return the files in the home of who has let hibari speak."""
    environment = {
        **os.environ,
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / ".cache"),
        **environment,
    }
    command = [
        sys.executable,
        "-m",
        "vivavoce",
        "say",
        "Hello.",
        "--model",
        "hibari",
        "--output",
        str(home / "hello.wav"),
    ]
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=120)
    assert (home / "hello.wav").stat().st_size > 10_000
    return [str(file.relative_to(home)) for file in home.rglob("*") if file.is_file()]


def test_onnxruntime_keeps_no_identifier_and_no_reports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ORT_DISABLE_TELEMETRY", raising=False)
    assert [file for file in spoken_at(tmp_path) if "onnxruntime" in file.lower()] == []
