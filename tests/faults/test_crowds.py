"""Check that silent connections do not take the descriptors of a server that may have few."""

import contextlib
import shutil
import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path

import httpx
import pytest

from tests.faults.test_disks import server
from vivavoce.cli.server import files_for

resource = pytest.importorskip("resource", reason="needs a system with limits for processes")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("prlimit") is None, reason="needs prlimit, of util-linux"),
]
OWN_FILES = 200  # of the tests themselves


def allowed(soft: int, hard: int) -> Sequence[str]:
    return ("prlimit", f"--nofile={soft}:{hard}", "--")


@contextmanager
def silent(url: httpx.URL, count: int) -> Iterator[None]:
    """So many connections that send nothing."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < count + OWN_FILES:
        pytest.skip(f"this process may open {hard} files, and it takes {count + OWN_FILES}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count + OWN_FILES), hard))
    with ExitStack() as stack:
        for _ in range(count):
            connection = stack.enter_context(socket.socket())
            connection.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                connection.connect((url.host, url.port or 0))
        yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def answers(url: httpx.URL, folder: Path | None = None) -> int:
    """How many of twenty clients, each with a connection of its own, were answered."""
    trusting: ssl.SSLContext | bool = True
    if folder is not None:
        trusting = ssl.create_default_context(cafile=folder / "cache" / "tls" / "certificate.pem")
    good = 0
    for _ in range(20):
        with contextlib.suppress(httpx.TransportError):
            good += (
                httpx.get(url.join("/health/live"), verify=trusting, timeout=2).status_code == 200
            )
    return good


@pytest.mark.parametrize("files", [40, 256])
def test_three_hundred_silent_connections_do_not_keep_the_server_from_answering(
    files: int, tmp_path: Path
) -> None:
    with server(tmp_path, under=allowed(files, files)) as (_, client), silent(client.base_url, 300):
        assert answers(client.base_url) >= 19
    log = (tmp_path / "log").read_text()
    assert f"max_connections is {max((files - 192) // 2, 1)}, not 512" in log
    assert "Traceback" not in log
    assert log.count("cannot accept connections") <= 60  # once a second at most


def test_eleven_hundred_silent_connections_over_tls_do_not_either(tmp_path: Path) -> None:
    if find_spec("cryptography") is None:
        pytest.skip("the extra lan is not installed")
    settings = {"tls_self_signed": True, "cache_dir": tmp_path / "cache"}
    with (
        server(tmp_path, under=allowed(1024, 1024), **settings) as (_, client),
        silent(client.base_url, 1_100),
    ):
        assert answers(client.base_url, tmp_path) >= 19
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_the_limit_of_open_files_is_raised_to_what_the_connections_need(tmp_path: Path) -> None:
    with server(tmp_path, under=allowed(256, 4096)) as (process, client):
        assert client.get("/health/live").status_code == 200
        limits = Path(f"/proc/{process.pid}/limits").read_text()
    assert next(line for line in limits.splitlines() if "open files" in line).split()[3] == str(
        files_for(512)
    )
    assert "max_connections is" not in (tmp_path / "log").read_text()
