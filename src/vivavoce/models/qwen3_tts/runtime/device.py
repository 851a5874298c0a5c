"""Choose device, dtype and weight form from the values of settings, and handle device memory."""

import ctypes
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from vivavoce.errors import EngineFault, OutOfMemory
from vivavoce.models.qwen3_tts import QwenOptions, kernels
from vivavoce.models.qwen3_tts.network.linear import WeightFormat, works
from vivavoce.serving.model_errors import is_out_of_memory

log = logging.getLogger(__name__)

AUTO = "auto"
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def choose_numbers(options: QwenOptions) -> tuple[torch.device, torch.dtype, WeightFormat]:
    """Return device, dtype and weight form for `options`. Raises what the choices raise."""
    device = choose_device(options.device)
    dtype = choose_dtype(options.dtype, device)
    return device, dtype, choose_form(options.weights, device, dtype)


def choose_device(name: str) -> torch.device:
    """Return the device `name`. "auto" is CUDA if available, else the CPU.

    Raises `EngineFault` if torch cannot use it.
    """
    if name == AUTO:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    # torch's error depends on the backend.
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise EngineFault(
            f"torch cannot use the device {name!r} here ({error}): set 'qwen_device' to auto"
        ) from error
    return device


def choose_dtype(name: str, device: torch.device) -> torch.dtype:
    """Return the dtype `name`. "auto" is bfloat16 on CUDA and float32 elsewhere.

    Raises `EngineFault` for an unknown name.
    """
    if name == AUTO:
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    if name not in DTYPES:
        raise EngineFault(
            f"dtype {name!r} is not one of {', '.join((AUTO, *DTYPES))}: set 'qwen_dtype'"
        )
    return DTYPES[name]


def choose_form(name: str, device: torch.device, dtype: torch.dtype) -> WeightFormat:
    """Return the weight form `name`. "auto" is prepacked on a CPU that can, else plain.

    On CUDA "int8" keeps bytes that a kernel multiplies. A form that this processor, this torch or
    this device does not have falls back to plain, with a warning if it was asked for. Raises
    `EngineFault` for an unknown name.
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
            "weights %r are not available on %s with this torch: using plain ones", name, device
        )
    return WeightFormat.PLAIN


@contextmanager
def translate_oom() -> Iterator[None]:
    """Translate torch's out-of-memory errors into `OutOfMemory`, for work that can be retried."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:  # torch.OutOfMemoryError is a RuntimeError
        if not is_out_of_memory(error):
            raise
        raise OutOfMemory(f"torch found no memory: {str(error).splitlines()[0]}") from error


def release_memory(device: torch.device) -> None:
    """Return the memory of freed tensors to the system.

    torch and the C library keep it for later tensors otherwise.
    """
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()
    if sys.platform == "linux":
        # glibc keeps blocks of up to 32 MB, which is most of a model's matrices. Other C libraries
        # have no such call.
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
