"""`vivavoce bench qwen` through the command line, on small random checkpoints."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

for package in ("torch", "safetensors", "tokenizers"):
    pytest.importorskip(
        package,
        reason=f"Qwen3-TTS needs {package}: make test-qwen, or pip install 'vivavoce[qwen]'",
    )

import torch  # noqa: E402 - after the check for it

from tests.models.qwen3_tts.small import small  # noqa: E402
from tests.models.qwen3_tts.whole import whole_checkpoint  # noqa: E402
from vivavoce.cli import app as command_line  # noqa: E402
from vivavoce.models.hardware import available_cores, cpu_quota, processor_name  # noqa: E402
from vivavoce.models.qwen3_tts.checkpoint.config import read_config  # noqa: E402
from vivavoce.models.qwen3_tts.checkpoint.random_weights import random_talker, released_config  # noqa: E402
from vivavoce.models.qwen3_tts.network.linear import Linear, WeightFormat  # noqa: E402
from vivavoce.models.qwen3_tts.network.talker import Talker  # noqa: E402
from vivavoce.models.qwen3_tts.tools.bench import frame_bytes  # noqa: E402


@pytest.mark.parametrize("weights", ["plain", "prepacked", "int8"])
def test_bench_measures_a_checkpoint_with_its_codec(weights: str, tmp_path: Path) -> None:
    folder, out = whole_checkpoint(tmp_path / "Tiny"), tmp_path / "bench.json"
    threads = str(torch.get_num_threads())
    arguments = [
        "--batch", "1,3", "--frames", "16", "--weights", weights, "--json", str(out), "--threads",
        threads,
    ]  # fmt: skip
    result = CliRunner().invoke(
        command_line, ["bench", "qwen", "--checkpoint", str(folder), *arguments]
    )
    assert result.exit_code == 0, result.output
    measured = json.loads(out.read_text("utf-8"))
    assert measured["machine"]["read_gb_s"] > 0.1
    assert measured["peak_memory_bytes"] > 1e7
    assert [pace["batch"] for pace in measured["paces"]] == [1, 3]
    for pace in measured["paces"]:
        assert pace["frame_ms"] > pace["floor_ms"] > 0
        assert pace["codec_ms"] > 0
        # A first sound takes a prompt, a frame and its samples.
        assert pace["first_audio_ms"] > pace["floor_ms"]
        assert pace["frames_per_s"] == pytest.approx(
            1000 * pace["batch"] / (pace["frame_ms"] + pace["codec_ms"])
        )
        assert pace["real_time"] == pytest.approx(0.08 * pace["frames_per_s"])
        assert f"{pace['frame_ms']:.1f}" in result.stdout
    assert "GB/s" in result.stdout
    assert measured["machine"]["processor"] == processor_name()
    assert measured["machine"]["cores"] == available_cores()
    assert processor_name() in " ".join(result.stdout.split())
    assert weights.replace("plain", "float32") in measured["weights"]


def test_streams_of_a_measurement_never_end(tmp_path: Path) -> None:
    folder, out = whole_checkpoint(tmp_path / "Tiny", frames=4), tmp_path / "bench.json"
    arguments = [
        "--checkpoint", str(folder), "--batch", "2", "--frames", "64", "--no-codec", "--json",
        str(out),
    ]  # fmt: skip
    result = CliRunner().invoke(command_line, ["bench", "qwen", *arguments])
    assert result.exit_code == 0, result.output
    assert json.loads(out.read_text("utf-8"))["paces"][0]["codec_ms"] == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "either --checkpoint DIR or --random 0.6b"),
        (["--checkpoint", "x", "--random", "0.6b"], "either --checkpoint DIR or --random 0.6b"),
        (["--random", "0.6b", "--batch", "1,zwei"], "--batch is '1,zwei'"),
        (["--random", "0.6b", "--batch", "0"], "--batch is '0'"),
        (["--checkpoint", "nowhere"], "nowhere"),
    ],
)
def test_wrong_usage_is_said_in_a_line(arguments: list[str], words: str) -> None:
    result = CliRunner().invoke(command_line, ["bench", "qwen", *arguments])
    assert result.exit_code in (1, 2)
    assert words in result.stderr


def test_random_shapes_read_as_many_bytes_a_frame_as_the_released_ones() -> None:
    # 440.5 and 1409.4 million weights in the talker's layers; 78.6 in the predictor's, read 15
    # times; heads once.
    for size, weights in (("0.6b", 1.655e9), ("1.7b", 2.66e9)):
        config = released_config(size)
        with torch.device("meta"):
            talker = Talker(config)
        for matrix in (module for module in talker.modules() if isinstance(module, Linear)):
            matrix.stored_bytes = matrix.weight.numel() if matrix.weight is not None else 0
        assert frame_bytes(talker, config) == pytest.approx(weights, rel=0.005)


def test_random_weights_are_packed_like_loaded_ones(tmp_path: Path) -> None:
    config = read_config(whole_checkpoint(tmp_path))
    made = random_talker(config, torch.device("cpu"), torch.float32, WeightFormat.PREPACKED)
    loaded = small(WeightFormat.PREPACKED).talker
    assert [name for name, _ in made.named_parameters()] == [
        name for name, _ in loaded.named_parameters()
    ]
    assert frame_bytes(made, config) == frame_bytes(loaded, config)


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({"cpu.max": "150000 100000\n"}, 1.5),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "400000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 4.0),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({}, None),
    ],
)
def test_limit_of_a_container_is_read_from_its_cgroup(
    files: dict[str, str], cores: float | None, tmp_path: Path
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, "ascii")
    assert cpu_quota(tmp_path) == cores
    assert available_cores() >= 1


def test_processor_is_named_as_the_system_names_it(tmp_path: Path) -> None:
    told = tmp_path / "cpuinfo"
    told.write_text(
        "processor\t: 0\ncpu family\t: 26\nmodel\t\t: 2\nmodel name\t: AMD EPYC\n\n"
        "processor\t: 1\nmodel name\t: another\n",
        "utf-8",
    )
    assert processor_name(told) == "AMD EPYC (family 26, model 2)"
    assert processor_name(tmp_path / "nothing")
