"""Test the inputs of the images: the list of dependencies, and the files for the builder."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def dependencies(*extras: str, path: Path | None = None) -> list[str]:
    """What the script prints in a Python that has no package but those in `path`."""
    environment = os.environ | {"PYTHONPATH": str(path or "")}
    command = [sys.executable, "-S", "deploy/dependencies.py", *extras]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


def test_an_image_gets_the_dependencies_of_its_extras() -> None:
    optional = PROJECT["optional-dependencies"]
    assert dependencies() == PROJECT["dependencies"]
    assert dependencies("kokoro", "qwen") == [
        *PROJECT["dependencies"],
        *optional["kokoro"],
        *optional["qwen"],
    ]
    assert any(line.startswith("torch>") for line in dependencies("qwen"))


def test_a_torch_of_the_base_image_is_not_replaced(tmp_path: Path) -> None:
    tmp_path.joinpath("torch.py").touch()
    asked, without = dependencies("qwen"), dependencies("qwen", path=tmp_path)
    assert [line for line in asked if line not in without] == [
        line for line in asked if line.startswith("torch>")
    ]


def test_the_builder_gets_every_file_that_is_copied_and_no_other() -> None:
    dockerfile = (ROOT / "deploy/Dockerfile").read_text("utf-8")
    copied = {
        source
        for sources in re.findall(r"^COPY (?!--from)(.+) \S+$", dockerfile, re.MULTILINE)
        for source in sources.split()
    }
    sent = set(re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text("utf-8"), re.MULTILINE))
    assert copied == sent
    assert all((ROOT / source).exists() for source in copied)
