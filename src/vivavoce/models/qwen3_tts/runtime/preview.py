"""Describe a checkpoint and its size in memory before it is loaded.

It reads JSON and headers, and asks torch for its devices. No weight is read.
"""

from pathlib import Path

from vivavoce.models.qwen3_tts import QwenOptions
from vivavoce.models.qwen3_tts.checkpoint.config import read_config
from vivavoce.models.qwen3_tts.checkpoint.folder import check_folder
from vivavoce.models.qwen3_tts.network.linear import item_sizes, stored_as
from vivavoce.models.qwen3_tts.prompt.voices import describe
from vivavoce.models.qwen3_tts.runtime.device import choose_numbers
from vivavoce.models.qwen3_tts.runtime.memory import choose_slots, footprint
from vivavoce.serving.base import Preview


def preview(folder: Path, options: QwenOptions, *, name: str) -> Preview:
    """Return the description and the memory of a `QwenModel` with the same arguments.

    Raises `MissingDependency` for absent files, `EngineFault` for damaged ones or an unavailable
    device.
    """
    check_folder(folder)
    config = read_config(folder)
    where, numbers, form = choose_numbers(options)
    info = describe(config, name, str(where), stored_as(form, numbers))
    sizes = item_sizes(form, numbers)
    slots = choose_slots(options.max_batch, folder, config, where, **sizes)
    return Preview(info, footprint(folder, config, **sizes, slots=slots))
