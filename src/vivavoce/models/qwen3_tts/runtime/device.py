"""Where a checkpoint runs, in which numbers and form, from the words that settings use; and what the device keeps."""

import ctypes
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from vivavoce.errors import EngineFault, OutOfMemory
from vivavoce.models.qwen3_tts import kernels
from vivavoce.models.qwen3_tts.network.linear import WeightFormat, works
from vivavoce.serving.model_errors import is_out_of_memory

log = logging.getLogger(__name__)

AUTO = "auto"
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def choose_device(name: str) -> torch.device:
    """Return the device called `name`; "auto" is CUDA where there is some, else the CPU.

    Raises `EngineFault`.
    """
    if name == AUTO:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (
        RuntimeError,
        AssertionError,
        NotImplementedError,
    ) as error:  # what torch raises depends on the backend
        raise EngineFault(
            f"torch cannot use the device {name!r} here ({error}): set 'qwen_device' to auto"
        ) from error
    return device


def choose_dtype(name: str, device: torch.device) -> torch.dtype:
    """Return the dtype called `name`; "auto" is bfloat16 on CUDA and float32 elsewhere.

    Raises `EngineFault`.
    """
    if name == AUTO:
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    if name not in DTYPES:
        raise EngineFault(
            f"dtype {name!r} is not one of {', '.join((AUTO, *DTYPES))}: set 'qwen_dtype'"
        )
    return DTYPES[name]


def choose_form(name: str, device: torch.device, dtype: torch.dtype) -> WeightFormat:
    """Return the form of weights called `name`; "auto" is prepacked on the CPU, where it can be,
    and plain elsewhere.

    On CUDA "int8" keeps bytes that a kernel multiplies.

    A form that this processor, this torch or this device does not have falls back to plain, with a
    warning if it was asked for. Raises `EngineFault` for an unknown name.
    """
    names = [form.value for form in WeightFormat if form is not WeightFormat.INT8_WEIGHTS]
    if name not in (AUTO, *names):
        raise EngineFault(
            f"weights {name!r} are not one of {', '.join((AUTO, *names))}: set 'qwen_weights'"
        )
    wanted = WeightFormat.PREPACKED if name == AUTO else WeightFormat(name)
    if wanted is WeightFormat.PLAIN or (device.type == "cpu" and works(wanted, dtype)):
        return wanted
    if wanted is WeightFormat.INT8 and device.type == "cuda" and kernels.used_on(device, dtype):
        return WeightFormat.INT8_WEIGHTS
    if name != AUTO:
        log.warning(
            "weights %r are not to be had on %s with this torch: they are plain", name, device
        )
    return WeightFormat.PLAIN


@contextmanager
def translate_oom() -> Iterator[None]:
    """Turn torch's ways to say that there is no memory into `OutOfMemory`; for work that can be done again."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:  # torch.OutOfMemoryError is a RuntimeError
        if not is_out_of_memory(error):
            raise
        raise OutOfMemory(f"torch found no memory: {str(error).splitlines()[0]}") from error


def release_memory(device: torch.device) -> None:
    """Give the memory of freed tensors, which torch and the C library keep for later ones, back to the system."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()
    if sys.platform == "linux":
        # glibc keeps blocks of up to 32 MB, which is most of a model's matrices; other C libraries
        # have no such call.
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
