"""Load weights from safetensors files into modules, one tensor at a time.

It knows files, names and shapes, not the meaning of tensors.

- A module is built without storage (on torch's `meta` device). Its parameters are filled one by
  one, directly on their device and in their dtype. The peak is the model plus its largest tensor.
- A parameter may be made of several tensors of the files (`TensorPart`).
- A module may also fill itself (`FillsItself`).
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar, runtime_checkable

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from vivavoce.errors import EngineFault, MissingDependency
from vivavoce.permissions import require_readable

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
AGAIN = "download the whole checkpoint again"
M = TypeVar("M", bound=nn.Module)
Place = Callable[[str], torch.device]  # a parameter's name → where it lives
Finish = Callable[[nn.Module], object]  # called with each submodule once its parameters are filled


@dataclass(frozen=True, slots=True)
class TensorPart:
    """A module of the files that fills `rows` of our rows, all with one row if `repeated`."""

    name: str
    rows: int
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Released:
    """A tensor of the files: its name, its shape, and the rows of our parameter that it fills."""

    name: str
    shape: tuple[int, ...]
    parameter: str
    rows: slice


def released(module: nn.Module, prefix: str = "") -> Iterator[Released]:
    """Yield the tensors of the files for the parameters of `module`, by name or by `parts`."""
    for path, owner in module.named_modules():
        parts: tuple[TensorPart, ...] = getattr(owner, "parts", ())
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
    """Fill `module` with the tensors of `folder` whose names begin with `prefix`.

    The module was built on the meta device. Names that begin with one of `others` belong to another
    module and are skipped. `finish` is called with every submodule once it is filled, before the
    next one is. Raises `MissingDependency` for an absent file and `EngineFault` for a damaged one,
    a wrong shape, and missing or unknown tensors.
    """
    wanted: dict[str, list[Released]] = defaultdict(list)  # our parameter → its tensors
    for tensor in released(module, prefix):
        wanted[tensor.parameter].append(tensor)
    tensors = list(chain.from_iterable(wanted.values()))
    with TensorFile(folder, torch.device("cpu"), dtype) as file:
        present = {name for name in file.names if not name.startswith(others)}
        _check_names(folder, {tensor.name for tensor in tensors}, present)
        for tensor in tensors:
            file.check(tensor.name, tensor.shape)
        for path, owner in module.named_modules():
            for leaf, parameter in list(owner.named_parameters(recurse=False)):
                name = f"{path}.{leaf}".removeprefix(".")
                target = torch.empty(parameter.shape, device=place(name), dtype=dtype)
                for tensor in wanted[name]:
                    target[tensor.rows] = file.stored(tensor.name, tensor.shape)
                setattr(owner, leaf, nn.Parameter(target, requires_grad=False))
            finish(owner)


@runtime_checkable
class FillsItself(Protocol):
    """A module that stores its tensors in another form than the files."""

    def load(self, file: "TensorFile", prefix: str) -> None: ...


def build(make: Callable[[], M], file: "TensorFile", prefix: str) -> M:
    """Return the module that `make` builds, filled with the tensors of `file` under `prefix`.

    The module is built without storage, so a tensor exists once, on its device.
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


class TensorFile:
    """Tensors of a folder, in one safetensors file or in shards, open inside the context.

    Raises `MissingDependency` for a file that is absent or not readable, `EngineFault` for a
    damaged one.
    """

    def __init__(self, folder: Path, device: torch.device, dtype: torch.dtype) -> None:
        self.folder = folder
        self.device = device
        self.dtype = dtype
        self._open = ExitStack()
        with self._open:  # closes what is open if a later file is not there
            files = [(path, _open(self._open, path)) for path in _shards(folder)]
            self._open = self._open.pop_all()
        # A file of safetensors is no mapping, and must be asked for its keys.
        self._places = {name: place for place in files for name in place[1].keys()}  # noqa: SIM118

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._places.clear()
        self._open.close()

    @property
    def names(self) -> Iterable[str]:
        return self._places

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of the tensor `name`, which must be there."""
        return tuple(self._places[name][1].get_slice(name).get_shape())

    def check(self, name: str, shape: tuple[int, ...]) -> None:
        """Raise `EngineFault` if the tensor `name` is absent or of another shape."""
        if name not in self._places:
            raise EngineFault(f"{str(self.folder)!r} has no tensor {name!r}: {AGAIN}")
        if self.shape(name) != shape:
            raise EngineFault(
                f"{str(self._places[name][0])!r}: tensor {name!r} has shape "
                f"{list(self.shape(name))}, config.json asks for {list(shape)}: its config.json "
                f"belongs to other weights; {AGAIN}"
            )

    def stored(self, name: str, shape: tuple[int, ...]) -> Tensor:
        """Return the tensor `name` as a view of the file, to be copied."""
        self.check(name, shape)
        path, file = self._places[name]
        try:
            stored: Tensor = file.get_tensor(name)
        except (SafetensorError, OSError) as error:
            problem = f"tensor {name!r} cannot be read ({error}): {AGAIN}"
            raise EngineFault(f"{str(path)!r}: {problem}") from error
        # The extremes see NaN and infinity, in one pass and without a copy: NaN counts as both.
        if not all(map(torch.isfinite, torch.aminmax(stored))):
            # With such a value a model makes noise and raises no error.
            problem = f"tensor {name!r} holds values that are not numbers: {AGAIN}"
            raise EngineFault(f"{str(path)!r}: {problem}")
        return stored

    def read(self, name: str, shape: tuple[int, ...], dtype: torch.dtype | None = None) -> Tensor:
        """Return a copy of the tensor `name` on the device, as `dtype` (None: the file's own)."""
        target = torch.empty(shape, device=self.device, dtype=dtype or self.dtype)
        return target.copy_(self.stored(name, shape))


def tensor_shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Return the shape of every tensor of `folder` by name, from the file headers alone.

    Raises `MissingDependency` for an absent file and `EngineFault` for a damaged one.
    """
    with TensorFile(folder, torch.device("meta"), torch.float32) as file:
        return {name: file.shape(name) for name in file.names}


def _shards(folder: Path) -> list[Path]:
    """Return the weight files of `folder`: those named by its index, or the single one."""
    if not (folder / INDEX).exists():
        if not (folder / SINGLE).exists():
            raise MissingDependency(f"{str(folder / SINGLE)!r} is missing: {AGAIN}")
        return [folder / SINGLE]
    names = sorted(set(_weight_map(folder / INDEX).values()))
    for name in names:
        if not (folder / name).is_file():
            problem = f"{str(folder / name)!r}, named by {INDEX}, is missing: {AGAIN}"
            raise MissingDependency(problem)
    return [folder / name for name in names]


def _weight_map(path: Path) -> Mapping[str, str]:
    try:
        # Any: JSON, checked on the next line
        entries: Any = json.loads(path.read_text(encoding="utf-8"))["weight_map"]
        return {str(name): Path(str(file)).name for name, file in entries.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise EngineFault(f"{str(path)!r} is no index of weights ({error!r}): {AGAIN}") from error


def _open(stack: ExitStack, path: Path) -> Any:  # safetensors types `safe_open` loosely
    require_readable(path)
    try:
        return stack.enter_context(safe_open(path, framework="pt"))
    except (SafetensorError, OSError) as error:
        raise EngineFault(f"{str(path)!r} is damaged or cut short ({error}): {AGAIN}") from error


def _check_names(folder: Path, wanted: set[str], present: set[str]) -> None:
    for what, names in (("lacks", wanted - present), ("has unknown", present - wanted)):
        if names:
            shown = ", ".join(map(repr, sorted(names)[:5]))
            raise EngineFault(
                f"the checkpoint {str(folder)!r} {what} {len(names)} tensors, among them {shown}: "
                "its weights and its config.json do not belong together"
            )
