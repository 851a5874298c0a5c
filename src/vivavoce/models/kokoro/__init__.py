"""Kokoro-82M, the embedded voice of many languages: its options, and how it is made.

Importing this module imports nothing of the voice: the server makes options in one process, the
model in another.
"""

from dataclasses import dataclass
from pathlib import Path

from vivavoce.serving.base import AnyModel


@dataclass(frozen=True, slots=True)
class KokoroOptions:
    """Settings of the voice: its files are in `kokoro_dir`, or were pulled to `cache_dir`."""

    cache_dir: Path
    kokoro_dir: Path | None = None
    threads: int | None = None


def make_kokoro(options: KokoroOptions) -> AnyModel:
    """Load the voice.

    Raise `MissingDependency` for what is absent, `EngineFault` for broken files.
    """
    from vivavoce.models.kokoro.assets import locate

    folder = locate(
        options.cache_dir, options.kokoro_dir
    )  # before the import of what only the extra brings
    from vivavoce.models.kokoro.model import KokoroModel

    return KokoroModel(folder, threads=options.threads)
