"""Build the environment of the published `qwen-tts` package once, in a cache folder.

It pins versions that conflict with the product's, so nothing is installed into the product's
environment. Scripts that need the package run under its interpreter.
"""

import os
import subprocess
import sys
import venv
from pathlib import Path

from platformdirs import user_cache_path

REQUIREMENTS = (
    ("torch==2.13.0",),
    ("transformers==4.57.3", "accelerate==1.12.0", "librosa", "soundfile", "einops", "onnxruntime"),
    ("--no-deps", "qwen-tts==0.1.1"),
)
# Imported by the package for its 25 Hz tokenizer alone, which is not compared.
STUBS = {
    "sox.py": "",
    "torchaudio/__init__.py": "__version__ = '0'\n",
    "torchaudio/compliance/__init__.py": "",
    "torchaudio/compliance/kaldi.py": "",
}


def oracle_python() -> Path:
    """Return the interpreter of the oracle's environment.

    The first call builds it, which takes minutes and a few gigabytes.

    `QWEN_ORACLE` names an environment that exists already.
    """
    given = os.environ.get("QWEN_ORACLE")
    folder = Path(given) if given else user_cache_path("vivavoce") / "parity-oracle"
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    if not (folder / "stubs").is_dir():  # written last: without it, an earlier build was cut short
        if not (given and python.exists()):
            print(
                f"building the environment of qwen-tts 0.1.1 in {folder} (once, some minutes) …",
                flush=True,
            )
            build(folder, python)
        write_stubs(folder / "stubs")
    return python


def build(folder: Path, python: Path) -> None:
    """Make the environment and install the package into it."""
    venv.create(folder, with_pip=True)
    for requirements in REQUIREMENTS:
        subprocess.run([python, "-m", "pip", "install", "--quiet", *requirements], check=True)


def write_stubs(folder: Path) -> None:
    """Write empty modules for packages that are imported but not used."""
    for name, text in STUBS.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


def oracle_environment() -> dict[str, str]:
    """Return the environment variables for the oracle's interpreter.

    With them it finds the stubs and prints no warnings.
    """
    stubs = oracle_python().parent.parent / "stubs"
    return {
        **os.environ,
        "PYTHONWARNINGS": "ignore",
        "TRANSFORMERS_VERBOSITY": "error",
        "PYTHONPATH": str(stubs),
    }


def run_oracle(script: Path, *arguments: str | Path) -> None:
    """Run `script` in the oracle's environment. Raises `CalledProcessError` if it fails."""
    subprocess.run([oracle_python(), script, *arguments], check=True, env=oracle_environment())
