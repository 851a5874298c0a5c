"""Create, list, revoke and find API keys in one file.

- The module knows neither HTTP nor the use of a key.
- The file holds the SHA-256 of each key, never the key. A key is 256 random bits, so it needs no
  slow hash, which protects passwords that people choose.
"""

import hashlib
import hmac
import logging
import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias, get_args

from pydantic import Field, TypeAdapter, ValidationError

from vivavoce.errors import BadRequest, SettingsError
from vivavoce.files import replace_file, stamp_of
from vivavoce.permissions import why_unreadable

log = logging.getLogger(__name__)

Scope: TypeAlias = Literal["speak", "manage"]
SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)

FILE_NAME: Final = "keys.json"
_PREFIX: Final = "vv_"  # lets people and secret scanners recognise a key
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class Key:
    """The stored data of a key. `name` is its unique public id."""

    name: str
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]  # of the key, in hexadecimal
    scopes: tuple[Scope, ...]
    created: str  # ISO 8601, UTC
    requests_per_minute: Annotated[int, Field(ge=1)] | None = None
    max_concurrent: Annotated[int, Field(ge=1)] | None = None


@dataclass(frozen=True, slots=True)
class _Contents:
    keys: tuple[Key, ...]


_FORM: Final = TypeAdapter(_Contents)


class KeyFile:
    """The keys in the file `path`, to read and to change."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> tuple[Key, ...] | None:
        """Return the keys, `None` without a file. Raises `SettingsError` if unreadable."""
        try:
            return _FORM.validate_json(self.path.read_bytes()).keys
        except FileNotFoundError:
            return None
        except OSError as error:
            cannot = f"{str(self.path)!r} cannot be read ({error.strerror})"
            raise SettingsError(f"the key file {why_unreadable(self.path) or cannot}") from error
        except ValidationError as error:
            problem = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, problem["loc"])) or "the whole"
            raise SettingsError(
                f"the key file {str(self.path)!r} is not as `vivavoce keys` writes it "
                f"({where}: {problem['msg']}): restore it, or remove it and create the keys again"
            ) from error

    def create(
        self,
        name: str,
        scopes: Sequence[Scope] = ("speak",),
        *,
        requests_per_minute: int | None = None,
        max_concurrent: int | None = None,
    ) -> str:
        """Add a key and return it, once. Raises `BadRequest` for an invalid or used name."""
        if not _NAME.fullmatch(name):
            allowed = "take up to 64 letters, digits, dots, dashes or underscores"
            raise BadRequest(f"name {name!r} cannot be a key's: {allowed}", field="name")
        secret = _PREFIX + secrets.token_urlsafe(32)
        made = datetime.now(UTC).isoformat(timespec="seconds")
        limits = (requests_per_minute, max_concurrent)
        key = Key(name, _hash(secret.encode()), tuple(scopes), made, *limits)

        def added(keys: tuple[Key, ...]) -> tuple[Key, ...]:
            if any(other.name == name for other in keys):
                next_step = f"choose another, or `vivavoce keys revoke {name}` first"
                raise BadRequest(f"name {name!r} has a key already: {next_step}", field="name")
            return (*keys, key)

        self._change(added)
        return secret

    def revoke(self, name: str) -> None:
        """Remove the key of that name. Raises `BadRequest` if there is none."""

        def removed(keys: tuple[Key, ...]) -> tuple[Key, ...]:
            left = tuple(key for key in keys if key.name != name)
            if left == keys:
                message = f"name {name!r} has no key: see `vivavoce keys list`"
                raise BadRequest(message, field="name")
            return left

        self._change(removed)

    def _change(self, change: Callable[[tuple[Key, ...]], tuple[Key, ...]]) -> None:
        def contents() -> bytes:
            return _FORM.dump_json(_Contents(change(self.read() or ())), indent=2)

        replace_file(self.path, contents, of="keys")


class Keyring:
    """The current keys of a file, for a running server.

    Changes of the file apply at once. If the file becomes unreadable or is removed, the keys stay
    as they were. Raises `SettingsError` if the file cannot be read at the start.
    """

    def __init__(self, path: Path) -> None:
        self._file = KeyFile(path)
        self._stamp = stamp_of(self._file.path)
        self._keys = self._file.read()

    @property
    def required(self) -> bool:
        """True if requests need a key, which stays so when all keys are revoked."""
        return self._keys is not None

    def refresh(self) -> None:
        """Read the file again if it has changed, by one `stat`, cheap for each request."""
        stamp = stamp_of(self._file.path)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            keys = self._file.read()
        except SettingsError as error:
            log.error("the keys stay as they were: %s", error.message)
            return
        if keys is None:
            log.warning("the keys stay as they were until a restart: %s is gone", self._file.path)
            return
        self._keys = keys

    def find(self, secret: bytes) -> Key | None:
        """Return the key whose secret is `secret`, compared in constant time, or `None`."""
        digest = _hash(secret)
        same = [key for key in self._keys or () if hmac.compare_digest(key.sha256, digest)]
        return same[-1] if same else None


def parse_scopes(names: str) -> tuple[Scope, ...]:
    """Return the scopes in a list like `speak,manage`. Raises `BadRequest` for an unknown one."""
    wanted = [name.strip() for name in names.split(",")]
    scopes = tuple(scope for scope in SCOPES if scope in wanted)
    if unknown := [name for name in wanted if name not in SCOPES]:
        problem = f"scope {unknown[0]!r} is none: choose from {', '.join(SCOPES)}"
        raise BadRequest(problem, field="scopes")
    return scopes


def _hash(secret: bytes) -> str:
    return hashlib.sha256(secret).hexdigest()
