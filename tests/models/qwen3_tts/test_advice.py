"""A CPU that int8 weights would make fast enough is told so, by the log and by `doctor`."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.models.qwen3_tts.whole import whole_checkpoint
from vivavoce.cli import app as command_line
from vivavoce.models.qwen3_tts import QwenOptions, advice
from vivavoce.models.qwen3_tts.advice import int8_advice
from vivavoce.models.qwen3_tts.runtime.batch import Batch
from vivavoce.models.qwen3_tts.runtime.codec_runner import CodecRunner
from vivavoce.models.qwen3_tts.runtime.model import QwenModel

SLOW = "Qwen3-TTS custom_voice, 0.6B on cpu, float32 weights, prepacked."


@pytest.mark.parametrize(
    ("description", "factor", "advised"),
    [
        (SLOW, 1.3, True),
        (SLOW, 0.9, False),  # fast enough
        (SLOW, 9.0, False),  # int8 would not be enough
        (SLOW.replace("float32", "bfloat16"), 1.2, True),
        (SLOW.replace("float32 weights, prepacked", "int8 weights"), 1.3, False),
        (SLOW.replace("cpu", "cuda"), 1.3, False),
        ("A voice of another kind.", 1.3, False),
    ],
)
def test_advice_is_given_where_it_helps(description: str, factor: float, advised: bool) -> None:
    given = int8_advice(description, factor)
    assert bool(given) is advised
    assert ('qwen_weights = "int8"' in given) is advised


def slowed(monkeypatch: pytest.MonkeyPatch, factor: float) -> None:
    """Let batch and codec measure that they take `factor` seconds together for one of audio."""
    for owner, seconds in ((Batch, factor), (CodecRunner, 0.0)):
        # Measured all the same. On a busy machine the codec alone may be slower than real time.
        def pace(self: Any, measured: Any = owner.pace, seconds: float = seconds) -> float:
            assert measured(self) > 0
            return seconds

        monkeypatch.setattr(owner, "pace", pace)


@pytest.mark.parametrize(
    ("weights", "factor", "advised"),
    [("auto", 1.1, True), ("auto", 0.1, False), ("int8", 1.5, False)],
)
def test_log_says_at_load_that_int8_would_be_fast_enough(
    weights: str,
    factor: float,
    advised: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    slowed(monkeypatch, factor)
    QwenModel(whole_checkpoint(tmp_path), QwenOptions(device="cpu", weights=weights))
    assert ('qwen_weights = "int8"' in caplog.text) is advised


def test_doctor_prints_the_advice_below_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIVAVOCE_QWEN", str(whole_checkpoint(tmp_path / "tiny")))
    monkeypatch.setenv("VIVAVOCE_QWEN_DEVICE", "cpu")
    assert "int8" not in CliRunner().invoke(command_line, ["doctor"]).stdout
    monkeypatch.setattr(advice, "REAL_TIME", 1e-4)  # which the tiny model does not reach
    monkeypatch.setitem(advice.SHARE, "float32", 1e-9)
    shown = CliRunner().invoke(command_line, ["doctor"])
    assert shown.exit_code == 0, shown.output
    assert 'qwen_weights = "int8"' in shown.stdout
