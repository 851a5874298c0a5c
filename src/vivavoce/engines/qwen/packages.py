"""Whether the packages that Qwen3-TTS runs on are installed; it imports none of them."""

from importlib.util import find_spec

from vivavoce.errors import MissingDependency

PACKAGES = ("torch", "safetensors", "tokenizers")
INSTALL = "pip install 'vivavoce[qwen]'"


def require_packages() -> None:
    """Raises `MissingDependency` with the command that brings what is missing."""
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise MissingDependency(f"Qwen3-TTS needs {', '.join(missing)}: {INSTALL}")
