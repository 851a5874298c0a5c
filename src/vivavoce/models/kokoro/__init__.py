"""Load Kokoro-82M, the embedded model of seven languages.

Importing this module imports nothing of the model: the server makes the options in one process and
the model in another.
"""

from dataclasses import dataclass
from pathlib import Path

from vivavoce.serving.base import AnyModel


@dataclass(frozen=True, slots=True)
class KokoroOptions:
    """Options of the model, whose files are in `kokoro_dir` or were pulled to `cache_dir`."""

    cache_dir: Path
    kokoro_dir: Path | None = None
    threads: int | None = None


def make_kokoro(options: KokoroOptions) -> AnyModel:
    """Load the model. Raises `MissingDependency` or, for broken files, `EngineFault`."""
    from vivavoce.models.kokoro.assets import locate

    # Report absent files before the import of packages that only the extra installs.
    folder = locate(options.cache_dir, options.kokoro_dir)
    from vivavoce.models.kokoro.model import KokoroModel

    return KokoroModel(folder, threads=options.threads)
