"""The whole GPU kit on a CPU with tiny shapes, to find mistakes early."""

import json
import os
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest
from benchmarks.gpu import STEPS, markdown, missing, unpacked

from vivavoce.models.qwen3_tts import kernels

KIT = Path(__file__).parents[3] / "benchmarks" / "gpu.py"


@pytest.mark.timeout(1800)
@pytest.mark.skipif(not kernels.installed(), reason="needs Triton: pip install triton, on Linux")
def test_dry_run_goes_through_every_step_and_keeps_what_each_found(tmp_path: Path) -> None:
    command = [sys.executable, str(KIT), "--dry-run", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads((tmp_path / "gpu.json").read_text("utf-8"))
    assert list(results) == list(STEPS)
    assert results["tests"][0]["passed"] is True
    assert [(row["streams"], row["real_time"] > 0) for row in results["bench"]] == [
        (1, True),
        (2, True),
    ] * 2
    precisions = {row["precision"]: row["snr_db"] for row in results["codec"]}
    assert precisions["float32"] is None
    assert 30 < precisions["bfloat16"] < 50
    assert results["load"][0]["good"] == results["load"][0]["answers"] > 0
    assert len(results["profile"]) == 21
    assert "## bench" in (tmp_path / "gpu.md").read_text("utf-8")


def test_step_that_is_cut_off_leaves_what_it_has(tmp_path: Path) -> None:
    program = "import sys, time; print('{\"found\": 1}', flush=True); time.sleep(600)"
    kit = f"""
import time
from pathlib import Path
from benchmarks import gpu
kit = gpu.Kit(Path({str(tmp_path)!r}), True, None, Path({str(tmp_path)!r}))
def slow(kit, until_s):
    return kit.run("slow", "-c", {program!r}, until_s=until_s)

gpu.STEPS = {{"slow": (slow, 1)}}
assert not gpu.attempt(kit, "slow")
"""
    subprocess.run([sys.executable, "-c", kit], cwd=KIT.parents[1], check=True, timeout=120)
    found = json.loads((tmp_path / "gpu.json").read_text("utf-8"))
    assert found == {"slow": [{"found": 1}, {"ended": "cut off at its time limit"}]}


def test_what_has_to_be_carried_is_what_a_bare_machine_lacks() -> None:
    needed = missing("vivavoce", "3.12")
    assert {"fastapi", "uvicorn", "pydantic", "sentencex", "starlette"} <= needed
    assert not {"torch", "httpx", "hibari-tts", "onnxruntime"} & needed


def test_carried_wheels_become_a_path_of_packages(tmp_path: Path) -> None:
    with ZipFile(tmp_path / "carried-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("carried/__init__.py", "NUMBER = 7")
        wheel.writestr("carried-1.0.data/purelib/beside.py", "NUMBER = 8")
    packages = unpacked(tmp_path, tmp_path / "packages")
    program = "import carried, beside; print(carried.NUMBER + beside.NUMBER)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(packages)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "15"


def test_results_of_a_step_are_a_table_of_all_their_columns() -> None:
    assert markdown({"bench": [{"a": 1}, {"a": 2, "b": 0.12345}]}) == (
        "## bench\n\n| a | b |\n| --- | --- |\n| 1 |  |\n| 2 | 0.123 |\n"
    )
