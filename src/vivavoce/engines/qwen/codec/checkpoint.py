"""Reads named tensors of a checkpoint folder straight to their device and fills modules with them.

It knows safetensors files and tensor names, not what the tensors mean. Every tensor is checked for presence and shape
before it is used, and each mistake names the tensor, what was found and what to do.
"""

import json
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar, runtime_checkable

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from vivavoce.engines.qwen.weights import check_finite
from vivavoce.errors import EngineFault, MissingDependency

M = TypeVar("M", bound=nn.Module)

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
AGAIN = "download the whole checkpoint again"


@runtime_checkable
class FillsItself(Protocol):
    """A module whose tensors are not stored as it uses them."""

    def load(self, file: "TensorFile", prefix: str) -> None: ...


class TensorFile:
    """The tensors of one folder, in one safetensors file or in shards; a context manager that closes them."""

    def __init__(self, folder: Path, device: torch.device, dtype: torch.dtype) -> None:
        self.folder = folder
        self.device = device
        self.dtype = dtype
        self._shards = _shards(folder)
        self._open = ExitStack()
        self._files: dict[Path, Any] = {}  # Any: safe_open has no annotations

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._files.clear()
        self._open.close()

    def read(self, name: str, shape: tuple[int, ...], dtype: torch.dtype | None = None) -> Tensor:
        """The tensor `name` on the device, as `dtype` (None: the dtype asked for when the folder was opened).

        Raises `EngineFault` if it is absent or of another shape.
        """
        path = self._shards.get(name) or self._shards.get("")
        if path is None:
            raise EngineFault(f"checkpoint tensor {name!r} is not listed in {str(self.folder / INDEX)!r}; {AGAIN}")
        file = self._file(path)
        try:
            found = tuple(file.get_slice(name).get_shape())
            if found != shape:
                raise EngineFault(
                    f"checkpoint tensor {name!r} in {str(path)!r} has shape {list(found)!r}, expected {list(shape)!r}: "
                    f"its config.json belongs to other weights; {AGAIN}"
                )
            # What safetensors gives on a CPU is a view of the file, which may go away while we run: always copy.
            target = torch.empty(shape, device=self.device, dtype=dtype or self.dtype)
            stored = file.get_tensor(name)
        except SafetensorError as error:
            raise EngineFault(f"checkpoint tensor {name!r} is not in {str(path)!r} ({error}); {AGAIN}") from error
        check_finite(stored, path, name)
        return target.copy_(stored)

    def _file(self, path: Path) -> Any:
        if path not in self._files:
            self._files[path] = self._open.enter_context(_open(path))
        return self._files[path]


def _shards(folder: Path) -> dict[str, Path]:
    """Which file holds which tensor; the empty name stands for a folder with one file."""
    index = folder / INDEX
    if not index.exists():
        return {"": folder / SINGLE}
    try:
        places = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        return {str(name): folder / str(file) for name, file in places.items()}
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, AttributeError) as error:
        raise EngineFault(f"checkpoint index {str(index)!r} cannot be read ({error!r}); {AGAIN}") from error


def _open(path: Path) -> Any:
    try:
        return safe_open(path, framework="pt")
    except FileNotFoundError as error:
        raise MissingDependency(f"checkpoint file {str(path)!r} is missing; {AGAIN}") from error
    except SafetensorError as error:
        raise EngineFault(
            f"checkpoint file {str(path)!r} is truncated or not a safetensors file ({error}); delete it and {AGAIN}"
        ) from error


def build(make: Callable[[], M], file: TensorFile, prefix: str) -> M:
    """The module that `make` builds, holding the tensors of `file` whose names start with `prefix`.

    The module is built without memory of its own, so a tensor exists once, on its device, in its dtype.
    """
    with torch.device("meta"):
        module = make()
    for name, part in module.named_modules():
        inner = f"{prefix}{name}." if name else prefix
        if isinstance(part, FillsItself):
            part.load(file, inner)
        for own, parameter in part.named_parameters(recurse=False):
            tensor = file.read(inner + own, tuple(parameter.shape))
            setattr(part, own, nn.Parameter(tensor, requires_grad=False))
    filled: M = module.eval()
    return filled
