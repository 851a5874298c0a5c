"""Keep the prepared form of a saved recording beside it, in one safetensors file a checkpoint.

- Whoever prepares a voice again gets the same numbers, so a file may be deleted at any time.
- A file that is damaged, or of another recording, counts as none.
- A recording that is erased meanwhile takes its forms with it.
"""

import hashlib
import logging
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final
from uuid import uuid4

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from vivavoce.files import write_new
from vivavoce.types import Reference

log = logging.getLogger(__name__)

FOLDER: Final = "prepared"  # beside the recording
KEPT: Final = 8  # forms of a voice, the latest ones
_VERSION: Final = "1"  # of what a file means
_SUM: Final = "sha256"

Tensors = Mapping[str, Tensor]


def form_name(folders: Sequence[Path], *facts: object) -> str:
    """Return the name of the forms that the checkpoint in `folders` makes.

    It names the files by size and time, not by contents, which would take seconds to read. `facts`
    are of what else changes the numbers.
    """
    digest = hashlib.sha256(repr((_VERSION, torch.__version__, *facts)).encode())
    for path in sorted(path for folder in folders for path in folder.glob("*.*")):
        status = path.stat()
        digest.update(f"{path.name}|{status.st_size}|{status.st_mtime_ns}|".encode())
    return digest.hexdigest()[:24]


def read_form(reference: Reference, name: str) -> Tensors | None:
    """Return the tensors that `write_form` has kept, or None."""
    if (path := _path(reference, name)) is None or not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - no mapping
            if (file.metadata() or {}).get(_SUM) == _sum(reference, tensors):
                return tensors
        log.warning("%s is damaged: the voice is prepared again", path)
    except FileNotFoundError:  # erased meanwhile
        pass
    except (OSError, SafetensorError, ValueError) as error:
        log.warning("%s cannot be read (%s): the voice is prepared again", path, error)
    return None


def write_form(reference: Reference, name: str, tensors: Tensors) -> None:
    """Keep `tensors` for `read_form`. A failure is told in the log alone."""
    if (path := _path(reference, name)) is None or reference.file is None:
        return
    new = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        kept = {key: tensor.cpu().contiguous() for key, tensor in tensors.items()}
        write_new(new, save(kept, {_SUM: _sum(reference, kept)}))
        new.replace(path)
        _drop_old(path.parent)
    except OSError as error:  # the voice is removed, the disk is full, or the folder read-only
        log.warning("%s cannot be kept (%s): a restart prepares the voice again", path, error)
    finally:
        with suppress(OSError):
            new.unlink(missing_ok=True)
    if not reference.file.exists():  # erased while this was written
        shutil.rmtree(path.parent, ignore_errors=True)


def _path(reference: Reference, name: str) -> Path | None:
    if reference.file is None:
        return None
    return reference.file.parent / FOLDER / f"{name}.safetensors"


def _sum(reference: Reference, tensors: Tensors) -> str:
    """Return a hash of the recording and what was made of it."""
    digest = hashlib.sha256(f"{reference.sample_rate_hz}|{reference.text!r}|".encode())
    digest.update(np.ascontiguousarray(reference.samples).data)
    for key in sorted(tensors):
        tensor = tensors[key].contiguous()
        digest.update(f"{key}|{tensor.dtype}|{tuple(tensor.shape)}|".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _drop_old(folder: Path) -> None:
    """Remove all but the latest forms, and what killed processes have left."""
    files = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in files[KEPT:]:
        path.unlink(missing_ok=True)
