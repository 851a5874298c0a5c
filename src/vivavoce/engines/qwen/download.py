"""Asks a model hub what a repository holds and brings its files, going on where an earlier attempt stopped.

It knows the hub's HTTP API, its checksums and half-finished files; what the files are for and where they belong is the
caller's business. huggingface_hub's own download throws a half-finished file away when the process ends, which for
files of gigabytes on a home connection is too dear: hence this one.
"""

import hashlib
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from vivavoce import __version__
from vivavoce.errors import MissingDependency, UnknownModel, VivavoceError

if TYPE_CHECKING:
    import httpx

HEX = re.compile(r"[0-9a-f]{40,64}")  # commits and checksums, which become file names
AGAIN = "pull it again, which goes on where it stopped"
TRIES = 4  # connections in a row that bring nothing, before it is given up
BLOCK = 1 << 20
TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class HubFile:
    """One file of a repository."""

    path: str  # in the repository, with slashes
    size: int  # bytes
    checksum: str  # SHA-256 of a large file, git's SHA-1 of a small one: what the hub calls its ETag


@dataclass(frozen=True, slots=True)
class Listing:
    """What a repository holds at one commit."""

    commit: str
    files: tuple[HubFile, ...]


@dataclass(frozen=True, slots=True)
class Hub:
    """A connection to a hub; `repo` in its methods is `owner/name`."""

    endpoint: str
    client: "httpx.Client"

    def files(self, repo: str, revision: str) -> Listing:
        """The files of `repo` at `revision`, a branch, a tag or a commit.

        Raises `UnknownModel` if there is none and `MissingDependency` if the hub keeps it back or is not there.
        """
        import httpx

        url = f"{self.endpoint}/api/models/{repo}/revision/{quote(revision, safe='')}"
        try:
            answer = self.client.get(url, params={"blobs": "true"})
        except httpx.HTTPError as error:
            raise self.unreachable(error) from error
        if answer.status_code != 200:
            raise self._refusal(answer, repo, revision)
        try:
            return _listing(answer.json())
        except (ValueError, KeyError, TypeError) as error:
            raise MissingDependency(
                f"the hub {self.endpoint!r} lists {repo!r} without sizes and checksums ({error!r}): set HF_ENDPOINT "
                "to one that does, or download the checkpoint into a folder by other means and name the folder"
            ) from error

    def fetch(self, repo: str, commit: str, file: HubFile, partial: Path, watch: Callable[[int], None]) -> None:
        """Brings `file` to `partial`, after the bytes that are there already, and checks the whole.

        `watch` is told how many bytes are there. What came stays in `partial` when it breaks off, unless it is wrong.
        Raises `MissingDependency`, and `OSError` if it cannot be written.
        """
        import httpx

        url = f"{self.endpoint}/{repo}/resolve/{commit}/{quote(file.path)}"
        idle = 0
        while (here := _size(partial)) != file.size:
            try:
                self._append(url, partial, here if 0 < here < file.size else 0, watch)
                break
            except httpx.HTTPStatusError as error:
                status = error.response.status_code
                raise MissingDependency(f"the hub answered {status} for {file.path!r} of {repo!r}: {AGAIN}") from error
            except httpx.RequestError as error:
                idle = 0 if _size(partial) > here else idle + 1
                if idle == TRIES:
                    raise self.unreachable(error) from error
                time.sleep(idle)  # at once if the last connection brought something
        if _size(partial) != file.size or checksum(partial, file) != file.checksum:
            size = _size(partial)
            partial.unlink(missing_ok=True)
            raise MissingDependency(
                f"{file.path!r} of {repo!r} came as {size} bytes that are not the {file.size} which the hub lists, by "
                "size or checksum; they were removed: pull it again"
            )

    def _append(self, url: str, partial: Path, here: int, watch: Callable[[int], None]) -> None:
        # Identity: a compressed answer could not be gone on with by bytes.
        headers = {"accept-encoding": "identity"} | ({"range": f"bytes={here}-"} if here else {})
        with self.client.stream("GET", url, headers=headers, follow_redirects=True) as answer:
            answer.raise_for_status()
            goes_on = answer.status_code == 206  # else the whole file comes, whatever was asked for
            here = here if goes_on else 0
            with partial.open("ab" if goes_on else "wb") as file:
                for block in answer.iter_raw():  # as it comes: what waited to fill a block would be lost in a cut
                    here += file.write(block)
                    watch(here)

    def unreachable(self, error: Exception) -> MissingDependency:
        """The error for a hub that does not answer, or stopped to."""
        return MissingDependency(
            f"the hub {self.endpoint!r} cannot be reached ({error}): check the network, the proxy and HF_ENDPOINT, "
            f"then {AGAIN}"
        )

    def _refusal(self, answer: "httpx.Response", repo: str, revision: str) -> VivavoceError:
        """What an answer other than 200 to the question for files means."""
        status, reason = answer.status_code, answer.headers.get("x-error-code", "")
        if reason == "GatedRepo" or status == 403:
            return MissingDependency(
                f"{repo!r} is gated: accept its terms at {self.endpoint}/{repo}, set HF_TOKEN to a token of your "
                "account that may read it, and pull it again"
            )
        if reason == "RevisionNotFound":
            return UnknownModel(
                f"{repo!r} has no revision {revision!r}: leave out --revision, or see {self.endpoint}/{repo}/tree/main",
                field="revision",
            )
        if status in (401, 404):  # the hub does not tell a stranger whether a private repository exists
            return UnknownModel(
                f"the hub {self.endpoint!r} has no model {repo!r} that you may see: check the spelling, or set "
                "HF_TOKEN if it is private",
                field="model",
            )
        return MissingDependency(f"the hub {self.endpoint!r} answered {status} when asked for {repo!r}: try again")


@contextmanager
def open_hub(endpoint: str, token: str | None) -> Iterator[Hub]:
    """Yields a connection to the hub at `endpoint`, with the token of an account if there is one."""
    import httpx

    headers = {"user-agent": f"vivavoce/{__version__}"} | ({"authorization": f"Bearer {token}"} if token else {})
    # httpx itself leaves the token out where a redirect leads to another host.
    with httpx.Client(headers=headers, timeout=TIMEOUT_S, follow_redirects=True) as client:
        yield Hub(endpoint.rstrip("/"), client)


def checksum(path: Path, file: HubFile) -> str:
    """The checksum of `path`, of the kind that the hub states for `file`."""
    large = len(file.checksum) == 64
    with path.open("rb") as stream:
        digest: Any = hashlib.sha256() if large else hashlib.sha1(usedforsecurity=False)  # hashlib's type is private
        if not large:
            digest.update(b"blob %d\0" % path.stat().st_size)
        while block := stream.read(BLOCK):
            digest.update(block)
    return str(digest.hexdigest())


def _listing(answer: Any) -> Listing:  # JSON: a ValueError, KeyError or TypeError says that it is of another shape
    return Listing(_hex(answer["sha"]), tuple(_file(entry) for entry in answer["siblings"]))


def _file(entry: Any) -> HubFile:
    large = entry.get("lfs")
    return HubFile(str(entry["rfilename"]), int(entry["size"]), _hex(large["sha256"] if large else entry["blobId"]))


def _hex(value: object) -> str:
    if not isinstance(value, str) or not HEX.fullmatch(value):
        raise ValueError(f"{value!r} is no checksum")
    return value


def _size(path: Path) -> int:
    """The bytes of `path`; -1 if it is not there."""
    return path.stat().st_size if path.exists() else -1
