"""Whether the packages that Qwen3-TTS runs on are installed; it imports none of them."""

from importlib.util import find_spec

from vivavoce.errors import MissingDependency

HUB = "huggingface_hub"
PACKAGES = ("torch", "safetensors", "tokenizers", HUB)
INSTALL = "pip install 'vivavoce[qwen]'"


def require_packages(*names: str) -> None:
    """Raise `MissingDependency` with the command that brings what is missing of `names`, or of all."""
    missing = [name for name in names or PACKAGES if find_spec(name) is None]
    if missing:
        raise MissingDependency(f"Qwen3-TTS needs {', '.join(missing)}: {INSTALL}")
