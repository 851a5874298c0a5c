"""Check that the packages of Qwen3-TTS are installed, without importing them."""

from importlib.util import find_spec

from vivavoce.errors import MissingDependency

HUB = "huggingface_hub"
PACKAGES = ("torch", "safetensors", "tokenizers", HUB)
INSTALL = "pip install 'vivavoce[qwen]'"


def require_packages(*names: str) -> None:
    """Raise `MissingDependency` with the command for what is missing of `names` (default: all)."""
    missing = [name for name in names or PACKAGES if find_spec(name) is None]
    if missing:
        raise MissingDependency(f"Qwen3-TTS needs {', '.join(missing)}: {INSTALL}")
