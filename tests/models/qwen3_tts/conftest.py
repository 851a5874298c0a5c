"""Skip the tests of Qwen3-TTS, with the reason, where its packages are not installed."""

import os
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

import pytest

MISSING = [name for name in ("torch", "safetensors", "tokenizers") if find_spec(name) is None]

if not MISSING:
    import torch

    if not torch.cuda.is_available():
        # Read when Triton is imported, which torch does on its own: without a GPU kernels can only
        # be interpreted.
        os.environ["TRITON_INTERPRET"] = "1"


class _Skipped(pytest.Module):
    """A test module that is not imported: its imports would fail."""

    def collect(self) -> Iterable[pytest.Item]:
        pytest.skip(f"Qwen3-TTS needs {', '.join(MISSING)}: pip install 'vivavoce[qwen]'")


def pytest_pycollect_makemodule(
    module_path: Path, parent: pytest.Collector
) -> pytest.Module | None:
    """Return a replacement for every module of this folder if a package is missing.

    A skip raised here would end the whole run.
    """
    return _Skipped.from_parent(parent, path=module_path) if MISSING else None
