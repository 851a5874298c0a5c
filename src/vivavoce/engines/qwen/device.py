"""Where a checkpoint runs and in which numbers, from the words that settings use for it; and what the device keeps."""

import ctypes
import sys

import torch

from vivavoce.errors import EngineFault

AUTO = "auto"
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def choose_device(name: str) -> torch.device:
    """The device called `name`; "auto" is CUDA where there is some, else the CPU. Raises `EngineFault`."""
    if name == AUTO:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:  # what torch raises depends on the backend
        raise EngineFault(f"torch cannot use the device {name!r} here ({error}): set 'qwen_device' to auto") from error
    return device


def choose_dtype(name: str, device: torch.device) -> torch.dtype:
    """The dtype called `name`; "auto" is bfloat16 on CUDA and float32 elsewhere. Raises `EngineFault`."""
    if name == AUTO:
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    if name not in DTYPES:
        raise EngineFault(f"dtype {name!r} is not one of {', '.join((AUTO, *DTYPES))}: set 'qwen_dtype'")
    return DTYPES[name]


def dtype_name(dtype: torch.dtype) -> str:
    """The word that settings use for `dtype`."""
    return str(dtype).removeprefix("torch.")


def release_memory(device: torch.device) -> None:
    """Gives the memory of freed tensors, which torch and the C library keep for later ones, back to the system."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()
    if sys.platform == "linux":
        # glibc keeps blocks of up to 32 MB, which is most of a model's matrices; other C libraries have no such call.
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
