"""Explain why this process may not read a path, and what to do."""

import os
import stat
from pathlib import Path

from vivavoce.errors import MissingDependency


def require_readable(*paths: Path) -> None:
    """Raise `MissingDependency` for the first of `paths` that exists and may not be read."""
    for path in paths:
        if why := why_unreadable(path):
            raise MissingDependency(why)


def why_unreadable(path: Path) -> str | None:
    """Return why this process may not read `path`, `None` if it may or if there is none."""
    try:
        if path.is_dir():
            os.scandir(path).close()
        else:
            path.open("rb").close()
    except PermissionError:
        return _explain(Path(os.path.realpath(path)))
    except OSError:  # for example absent, which its reader reports
        pass
    return None


def _explain(path: Path) -> str:
    closed = (folder for folder in path.parents[::-1] if not os.access(folder, os.X_OK))
    blocked = next(closed, path)
    status = blocked.stat()
    user = f"uid {os.geteuid()}" if hasattr(os, "geteuid") else "this user"
    return (
        f"{str(path)!r} cannot be read by {user}: {str(blocked)!r} belongs to uid {status.st_uid} "
        f"and has mode {stat.S_IMODE(status.st_mode):03o}; let this user read it "
        f"(chmod -R a+rX {str(blocked)!r}), or run as uid {status.st_uid}"
    )
