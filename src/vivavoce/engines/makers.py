"""How each model on this machine is made: a function each, which imports what it needs and no more.

They are plain functions of plain values, so that a process of the model's own can be told which to call.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from vivavoce.engines.base import Model


def make_hibari() -> Model:
    """The embedded English voice."""
    from vivavoce.engines.hibari import HibariModel

    return HibariModel()


def make_kokoro(cache_dir: Path, kokoro_dir: Path | None, threads: int | None) -> Model:
    """The voice of many languages, of the files in `kokoro_dir` or those pulled to `cache_dir`."""
    from vivavoce.engines.kokoro.assets import locate

    folder = locate(cache_dir, kokoro_dir)  # before the import of what only the extra brings
    from vivavoce.engines.kokoro.model import KokoroModel

    return KokoroModel(folder, threads=threads)


def make_tone(real_time_factor: float, faults: Sequence[str] = ()) -> Model:
    """The test model, with a voice for each of the kinds of `faults`."""
    from vivavoce.engines.tone import ToneModel, faults_named

    return ToneModel(real_time_factor=real_time_factor, faults=faults_named(faults))


def make_qwen(
    name: str,
    source: Path | str,
    *,
    device: str,
    dtype: str,
    weights: str,
    max_batch: int,
    threads: int | None,
    graphs: Literal["auto", "startup", "off"],
) -> Model:
    """A checkpoint of Qwen3-TTS: a folder, or a hub id that was pulled."""
    from vivavoce.engines.qwen.hub import locate
    from vivavoce.engines.qwen.packages import require_packages

    require_packages()  # before the import of what only the extra brings
    folder = locate(source)
    from vivavoce.engines.qwen.model import QwenModel

    return QwenModel(
        folder,
        name=name,
        device=device,
        dtype=dtype,
        weights=weights,
        max_batch=max_batch,
        threads=threads,
        graphs=graphs,
    )
