"""Weights from safetensors files into a module: straight to their device and dtype, one tensor at a time.

It knows files, names and shapes, not what the tensors mean. The module is built without storage (on torch's `meta`
device) and its parameters are filled one by one, so the peak is the model plus its largest tensor.
"""

import json
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from vivavoce.errors import EngineFault, MissingDependency

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
Place = Callable[[str], torch.device]  # a parameter's name → where it lives


def load_weights(
    module: nn.Module, folder: Path, prefix: str, *, place: Place, dtype: torch.dtype, others: tuple[str, ...] = ()
) -> None:
    """Fills `module`, which was built on the meta device, with the tensors of `folder` whose names begin with `prefix`.

    Names that begin with one of `others` belong to another module and are left alone. Raises `MissingDependency` for
    an absent file and `EngineFault` for a damaged one, a wrong shape, and missing or unknown tensors.
    """
    with ExitStack() as stack:
        files = {path: _open(stack, path) for path in _shards(folder)}
        where = {name: path for path, file in files.items() for name in file.keys()}  # noqa: SIM118 - not a mapping
        wanted = {prefix + name: (name, parameter) for name, parameter in module.named_parameters()}
        _check_names(folder, set(wanted), {name for name in where if not name.startswith(others)})
        for full, (_, parameter) in wanted.items():
            _check_shape(where[full], full, files[where[full]].get_slice(full).get_shape(), parameter.shape)
        for full, (name, _) in wanted.items():
            tensor = _read(files[where[full]], where[full], full, place(name), dtype)
            _assign(module, name, tensor)


def tensor_shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor in the weight files of `folder`, by name; reads their headers alone.

    Raises `MissingDependency` for an absent file and `EngineFault` for a damaged one.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for path in _shards(folder):
        with ExitStack() as stack:
            file = _open(stack, path)
            shapes |= {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118 - as above
    return shapes


def _shards(folder: Path) -> list[Path]:
    """The weight files of `folder`: those its index names, or the single one."""
    if not (folder / INDEX).exists():
        if not (folder / SINGLE).exists():
            raise MissingDependency(f"{str(folder)!r} holds no {SINGLE}: download the whole checkpoint again")
        return [folder / SINGLE]
    names = sorted(set(_weight_map(folder / INDEX).values()))
    for name in names:
        if not (folder / name).is_file():
            raise MissingDependency(f"{str(folder / name)!r}, named by {INDEX}, is missing: fetch the checkpoint again")
    return [folder / name for name in names]


def _weight_map(path: Path) -> Mapping[str, str]:
    try:
        entries: Any = json.loads(path.read_text(encoding="utf-8"))["weight_map"]  # JSON: checked on the next line
        return {str(name): Path(str(file)).name for name, file in entries.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise EngineFault(f"{str(path)!r} is no index of weights ({error!r}): fetch the checkpoint again") from error


def _open(stack: ExitStack, path: Path) -> Any:  # safetensors types `safe_open` loosely
    try:
        return stack.enter_context(safe_open(path, framework="pt"))
    except (SafetensorError, OSError) as error:
        raise EngineFault(f"{str(path)!r} is damaged or cut short ({error}): fetch the checkpoint again") from error


def _check_names(folder: Path, wanted: set[str], present: set[str]) -> None:
    for what, names in (("lacks", wanted - present), ("has unknown", present - wanted)):
        if names:
            shown = ", ".join(map(repr, sorted(names)[:5]))
            raise EngineFault(
                f"the checkpoint {str(folder)!r} {what} {len(names)} tensors, among them {shown}: "
                "its weights and its config.json do not belong together"
            )


def _check_shape(path: Path, name: str, found: list[int], expected: torch.Size) -> None:
    if list(expected) != list(found):
        raise EngineFault(
            f"{str(path)!r}: tensor {name!r} has shape {list(found)}, config.json asks for {list(expected)}"
        )


def _read(file: Any, path: Path, name: str, device: torch.device, dtype: torch.dtype) -> torch.Tensor:
    """A tensor of our own: a copy, since what safetensors gives on a CPU is a view of the file."""
    try:
        target = torch.empty(file.get_slice(name).get_shape(), device=device, dtype=dtype)
        return target.copy_(file.get_tensor(name))
    except (SafetensorError, OSError) as error:
        raise EngineFault(f"{str(path)!r}: tensor {name!r} cannot be read ({error})") from error


def _assign(module: nn.Module, name: str, tensor: torch.Tensor) -> None:
    parent, _, leaf = name.rpartition(".")
    setattr(module.get_submodule(parent), leaf, nn.Parameter(tensor, requires_grad=False))
