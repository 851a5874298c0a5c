"""Run Qwen3-TTS: a released checkpoint folder in, codes and speech out, on torch alone.

Importing this module imports no torch: the server makes options in one process, the model in
another.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from vivavoce.serving.base import AnyModel, Preview

Graphs: TypeAlias = Literal["auto", "startup", "off"]


@dataclass(frozen=True, slots=True)
class QwenOptions:
    """Settings of all checkpoints.

    - `device` is "auto" (CUDA if available, else the CPU) or a torch device.
    - `dtype` is "auto" (bfloat16 on CUDA, float32 elsewhere), "float32", "bfloat16" or "float16".
    - `weights` is "auto" (prepacked on the CPU, plain elsewhere), "plain", "prepacked" or "int8",
      see `linear`.
    - `max_batch` is the most segments spoken at once. "auto" is what fits into the memory of a CUDA
      device, and 8 on a CPU.
    - `threads` limits torch on the CPU, for the whole process. None uses the available cores.
    - `graphs` are captured while loading ("auto", "startup") or not at all ("off"), on CUDA only.
    - `codec_precision` is "auto" (TF32 on CUDA if it is good enough, else float32), "float32",
      "tf32" or "bfloat16", see `codec.precision`.
    - `cache_dir` holds the files of random checkpoints. None is the folder for temporary files.
    """

    device: str = "auto"
    dtype: str = "auto"
    weights: str = "auto"
    max_batch: int | Literal["auto"] = "auto"
    threads: int | None = None
    graphs: Graphs = "auto"
    codec_precision: str = "auto"
    cache_dir: Path | None = None


def make_qwen(name: str, source: Path | str, options: QwenOptions) -> AnyModel:
    """Load a checkpoint: a folder, a hub id that was pulled, or random weights ("random:1.7b").

    Raise what `QwenModel` and `locate` raise.
    """
    folder = _located(source, options)
    from vivavoce.models.qwen3_tts.runtime.model import QwenModel

    return QwenModel(folder, options, name=name)


def preview_qwen(name: str, source: Path | str, options: QwenOptions) -> Preview:
    """Return what `make_qwen` would load, without loading it. Raise what it raises."""
    folder = _located(source, options)
    from vivavoce.models.qwen3_tts.runtime.preview import preview

    return preview(folder, options, name=name)


def _located(source: Path | str, options: QwenOptions) -> Path:
    from vivavoce.models.qwen3_tts.checkpoint.hub import locate
    from vivavoce.models.qwen3_tts.checkpoint.packages import require_packages

    require_packages()  # before modules that import the extra's packages
    if isinstance(source, str) and source.startswith("random:"):
        from vivavoce.models.qwen3_tts.tools.random_checkpoint import random_folder

        return random_folder(source, options.cache_dir)
    return locate(source)
