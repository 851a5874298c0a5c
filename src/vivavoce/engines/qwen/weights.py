"""Weights from safetensors files into a module: straight to their device and dtype, one tensor at a time.

It knows files, names and shapes, not what the tensors mean. The module is built without storage (on torch's `meta`
device) and its parameters are filled one by one, so the peak is the model plus its largest tensor. A parameter may be
made of several tensors of the files (`Part`).
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from vivavoce.errors import EngineFault, MissingDependency
from vivavoce.permissions import require_readable

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
Place = Callable[[str], torch.device]  # a parameter's name → where it lives
Finish = Callable[[nn.Module], object]  # called with each part of the module as soon as its own parameters are there


@dataclass(frozen=True, slots=True)
class Part:
    """A module of the files whose parameters are `rows` rows of ours; `repeated`: one row of theirs is all of these."""

    name: str
    rows: int
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Released:
    """A tensor of the files: its name, its shape, and which rows of which of our parameters it fills."""

    name: str
    shape: tuple[int, ...]
    parameter: str
    rows: slice


def released(module: nn.Module, prefix: str = "") -> Iterator[Released]:
    """What the files call the parameters of `module`, whose own names they are, save where a module has `parts`."""
    for path, owner in module.named_modules():
        parts: tuple[Part, ...] = getattr(owner, "parts", ())
        for leaf, parameter in owner.named_parameters(recurse=False):
            name, shape = f"{path}.{leaf}".removeprefix("."), tuple(parameter.shape)
            if not parts:
                yield Released(prefix + name, shape, name, slice(None))
            start = 0
            for part in parts:
                size = shape[1:] if part.repeated else (part.rows, *shape[1:])
                within = ".".join((*path.split(".")[:-1], part.name, leaf))
                yield Released(prefix + within, size, name, slice(start, start + part.rows))
                start += part.rows


def load_weights(
    module: nn.Module,
    folder: Path,
    prefix: str,
    *,
    place: Place,
    dtype: torch.dtype,
    others: tuple[str, ...] = (),
    finish: Finish = lambda _: None,
) -> None:
    """Fills `module`, which was built on the meta device, with the tensors of `folder` whose names begin with `prefix`.

    Names that begin with one of `others` belong to another module and are left alone. `finish` gets every submodule
    once it is filled, before the next one is. Raises `MissingDependency` for an absent file and `EngineFault` for a
    damaged one, a wrong shape, and missing or unknown tensors.
    """
    with ExitStack() as stack:
        files = {path: _open(stack, path) for path in _shards(folder)}
        where = {name: path for path, file in files.items() for name in file.keys()}  # noqa: SIM118 - not a mapping
        wanted: dict[str, list[Released]] = defaultdict(list)  # our parameter → what it is made of
        for tensor in released(module, prefix):
            wanted[tensor.parameter].append(tensor)
        names = {tensor.name for tensors in wanted.values() for tensor in tensors}
        _check_names(folder, names, {name for name in where if not name.startswith(others)})
        for tensor in chain.from_iterable(wanted.values()):
            _check_shape(where[tensor.name], tensor, files[where[tensor.name]].get_slice(tensor.name).get_shape())
        for path, owner in module.named_modules():
            for leaf, parameter in list(owner.named_parameters(recurse=False)):
                name = f"{path}.{leaf}".removeprefix(".")
                target = torch.empty(parameter.shape, device=place(name), dtype=dtype)
                for tensor in wanted[name]:
                    target[tensor.rows] = _read(files[where[tensor.name]], where[tensor.name], tensor.name)
                setattr(owner, leaf, nn.Parameter(target, requires_grad=False))
            finish(owner)


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
    require_readable(path)
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


def _check_shape(path: Path, expected: Released, found: list[int]) -> None:
    if list(expected.shape) != list(found):
        raise EngineFault(
            f"{str(path)!r}: tensor {expected.name!r} has shape {list(found)}, config.json asks for "
            f"{list(expected.shape)}"
        )


def _read(file: Any, path: Path, name: str) -> torch.Tensor:
    """A tensor of the file, which on a CPU is a view of it: to be copied."""
    try:
        stored: torch.Tensor = file.get_tensor(name)
    except (SafetensorError, OSError) as error:
        raise EngineFault(f"{str(path)!r}: tensor {name!r} cannot be read ({error})") from error
    check_finite(stored, path, name)
    return stored


def check_finite(stored: torch.Tensor, path: Path, name: str) -> None:
    """Raises `EngineFault` if `stored` holds NaN or infinity, with which a model speaks noise and gives no error."""
    # The extremes see both, in one pass and without a copy: NaN counts as the largest and the smallest.
    if not all(map(torch.isfinite, torch.aminmax(stored))):
        raise EngineFault(
            f"{str(path)!r}: tensor {name!r} holds values that are not numbers: fetch the checkpoint again"
        )
