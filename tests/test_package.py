"""The wheel and the source archive: both are built, and the wheel speaks when it is installed."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from vivavoce import __version__

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the wheel and the source archive of this tree."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_wheel_holds_the_package_and_no_more(built: Path) -> None:
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        names = set(wheel.namelist())
    assert {name.split("/")[0] for name in names} == {
        "vivavoce",
        f"vivavoce-{__version__}.dist-info",
    }
    assert {"vivavoce/py.typed", "vivavoce/web/index.html"} <= names


def test_source_archive_holds_what_the_tests_need(built: Path) -> None:
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"Makefile", "tests/test_package.py", "benchmarks/report.py", "constraints.txt"} <= names


def test_installed_wheel_speaks(built: Path, tmp_path: Path) -> None:
    installed, speech = tmp_path / "installed", tmp_path / "hello.wav"
    wheel = str(next(built.glob("*.whl")))
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--target", str(installed), wheel], check=True, timeout=120)
    # The working folder is elsewhere, so that the package is imported from where it was installed.
    say = "from vivavoce.cli import main; import vivavoce; print(vivavoce.__file__); main()"
    command = [sys.executable, "-c", say, "say", "Hello.", "--model", "hibari", "-o", str(speech)]
    environment = os.environ | {"PYTHONPATH": str(installed)}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(installed))
    assert speech.stat().st_size > 10_000
