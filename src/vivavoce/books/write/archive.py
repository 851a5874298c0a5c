"""Write a zip member by member, all of one date."""

import shutil
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Final

_EARLIEST: Final = (1980, 1, 1, 0, 0, 0)  # that a zip can hold
_LATEST: Final = (2107, 12, 31, 23, 59, 58)


class Archive:
    """A zip that is written to `path`. Use it with `with`."""

    def __init__(self, path: Path, made: datetime) -> None:
        self._zip = zipfile.ZipFile(path, "w")
        self._part = path.with_name(f"{path.name}.part")
        date = made.astimezone(UTC).timetuple()[:6]
        self._date = min(max(date, _EARLIEST), _LATEST)

    def __enter__(self) -> "Archive":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._part.unlink(missing_ok=True)
        self._zip.close()

    def add(self, name: str, data: bytes, *, packed: bool = True) -> None:
        """Add a member."""
        self._zip.writestr(self._info(name, packed=packed), data)

    def add_file(self, name: str, write: Callable[[Path], None]) -> None:
        """Add a member, unpacked, which `write` writes to the path that it is given."""
        write(self._part)
        info = self._info(name, packed=False)
        info.file_size = self._part.stat().st_size  # says whether it needs the large form
        with self._part.open("rb") as source, self._zip.open(info, "w") as member:
            shutil.copyfileobj(source, member, 2**20)

    def _info(self, name: str, *, packed: bool) -> zipfile.ZipInfo:
        info = zipfile.ZipInfo(name, self._date)
        info.compress_type = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
        info.create_system, info.external_attr = 3, 0o100644 << 16  # readable for all
        return info
