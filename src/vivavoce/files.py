"""Write files that several processes read and write, and that outlast a power cut."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vivavoce.errors import DiskFull, SettingsError

try:
    import fcntl
except ImportError:  # Windows, where one process at a time is to use a folder
    fcntl = None  # type: ignore[assignment]

Stamp = tuple[int, int, int]  # differs whenever the file was replaced


def replace_file(path: Path, contents: Callable[[], bytes], *, of: str) -> None:
    """Replace the file atomically by `contents()`, which may read the old one.

    The new file is also the lock for one writer at a time. `of` names what the file holds, in the
    plural. Raises `SettingsError` and `DiskFull`, and the errors of `contents`.
    """
    new = path.with_name(f"{path.name}.new")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise SettingsError(
            f"{str(new)!r} exists, so another process changes the {of}: "
            "try again, or remove it if none does"
        ) from error
    except OSError as error:
        raise SettingsError(
            f"cannot write {str(new)!r} ({error.strerror}): choose another data_dir"
        ) from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(contents())
            file.flush()
            os.fsync(file.fileno())  # without it a power cut could leave an empty file
        new.replace(path)
    except OSError as error:
        raise DiskFull(
            f"cannot write {str(new)!r} ({error.strerror}): make room there. The {of} are unchanged"
        ) from error
    finally:
        new.unlink(missing_ok=True)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file `path` alone among all processes and threads. Raises `OSError`.

    The system lets go of it when a process ends. The file stays.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if fcntl is not None:
            with suppress(OSError):  # a file system without locks
                fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """Yield the name of a file to write, which then replaces `path`. Raises `OSError`.

    It is removed instead if the block raises. One process at a time writes to `path`.
    """
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)  # of a process that was killed
    try:
        yield new
        with new.open("rb+") as file:
            os.fsync(file.fileno())
        new.replace(path)
        sync_folder(path.parent)
    finally:
        new.unlink(missing_ok=True)


def stamp_of(path: Path) -> Stamp | None:
    """Return the stamp of the file, or None if it cannot be seen."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def write_new(path: Path, contents: bytes, *, synced: bool = True) -> None:
    """Write a file that does not exist yet, to the disk unless `sync_file` follows.

    Raises `OSError`.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(contents)
        if synced:
            file.flush()
            os.fsync(file.fileno())


def sync_file(path: Path) -> None:
    """Make a file and its name outlast a power cut. Raises `OSError`."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder outlast a power cut, on systems where a folder can be opened."""
    with suppress(PermissionError, FileNotFoundError):  # Windows, or removed meanwhile
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
