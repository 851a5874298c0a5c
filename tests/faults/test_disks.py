"""Disks that are full, read-only or unreadable, and a clock that jumps, around real processes."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx
import pytest

from tests.api.test_lifecycle import environment_with

ROOT = hasattr(os, "geteuid") and os.geteuid() == 0
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        shutil.which("setpriv") is None, reason="needs setpriv and prlimit, of util-linux"
    ),
]
NEEDS_MOUNTS = pytest.mark.skipif(not ROOT, reason="needs root, to mount a small disk")

# The permissions of files bind everybody but root with all of its rights.
BOUND = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--") if ROOT else ()
SHORT = {"text": "Good morning.", "model": "tone"}
LONG = {
    "text": "A text that goes on and on. " * 60,
    "model": "tone",
    "sample_rate": 48_000,
}  # 9.7 MB, as a whole


@contextmanager
def server(
    folder: Path,
    *,
    under: Sequence[str] = (),
    program: Sequence[str] = ("-m", "vivavoce"),
    variables: Mapping[str, str] | None = None,
    **settings: object,
) -> Iterator[tuple[subprocess.Popen[str], httpx.Client]]:
    """`vivavoce serve`, started by the command `under`, and a client; it is gone afterwards."""
    environment = environment_with(folder, **{"data_dir": folder / "data", **settings}) | dict(
        variables or {}
    )
    command = [*under, sys.executable, *program, "serve", "--host", "127.0.0.1", "--port", "0"]
    with (folder / "log").open("w") as log, subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=log, text=True
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            lines = iter(process.stdout)
            url = next(
                (line.split()[1].rstrip("/") for line in lines if line.startswith("  page ")), None
            )
            assert url, (folder / "log").read_text()
            with httpx.Client(base_url=url, timeout=60) as client:
                yield process, client
        finally:
            process.kill()


def speak(client: httpx.Client, body: Mapping[str, object]) -> httpx.Response:
    return client.post("/v1/tts/synthesize", json=body)


def folders(client: httpx.Client) -> dict[str, str]:
    return dict(client.get("/health").json()["folders"])


def told_to(
    *arguments: str, folder: Path, under: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    """What a command of `vivavoce` ends with."""
    return subprocess.run(
        [*under, sys.executable, "-m", "vivavoce", *arguments],
        env=environment_with(folder, data_dir=folder / "data"),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def at_most(size: int) -> Sequence[str]:
    """No file of the process gets larger, as on a disk with no more room."""
    return ("prlimit", f"--fsize={size}", "--")


def test_full_disk_refuses_the_large_answer_alone_and_says_why(tmp_path: Path) -> None:
    with server(tmp_path, under=at_most(9 * 2**20)) as (process, client):
        refused = speak(client, LONG)
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "no_room")
        assert "temporary folder" in refused.json()["error"]["message"]
        streamed = speak(client, LONG | {"stream": True})
        assert (streamed.status_code, len(streamed.content) > 9 * 2**20) == (200, True)
        assert speak(client, SHORT).status_code == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert "Traceback" not in (tmp_path / "log").read_text()


@NEEDS_MOUNTS
def test_health_tells_of_a_disk_that_has_filled_up(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=160m", "tmpfs", str(disk)], check=False
    ).returncode:
        pytest.skip("a file system cannot be mounted here")
    try:
        with server(tmp_path, variables={"TMPDIR": str(disk)}) as (_, client):
            assert folders(client)["temporary"] == "ok"
            assert len(speak(client, LONG).content) > 9 * 2**20  # and languages can be told apart
            give_up_s = time.monotonic() + 30
            while shutil.disk_usage(disk).used:  # that is unpacked there
                assert time.monotonic() < give_up_s
            (disk / "full").write_bytes(bytes(shutil.disk_usage(disk).free))
            assert str(disk) in folders(client)["temporary"]
            assert speak(client, LONG).json()["error"]["code"] == "no_room"
            assert (
                client.get("/health/ready").status_code == 200
            )  # what is short, or streamed, needs no disk
            (disk / "full").unlink()
            assert folders(client)["temporary"] == "ok"
            assert len(speak(client, LONG).content) > 9 * 2**20
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_read_only_folders_keep_nobody_from_speaking_and_health_tells(tmp_path: Path) -> None:
    for name in ("data", "cache"):
        (tmp_path / name).mkdir(mode=0o500)
    with server(tmp_path, under=BOUND) as (_, client):
        assert "not written" in folders(client)["data"]
        assert "not written" in folders(client)["cache"]
        assert speak(client, SHORT).status_code == 200
    done = told_to("keys", "create", "quest", folder=tmp_path, under=BOUND)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert "choose another data_dir" in done.stderr


def test_unreadable_keys_end_the_start_and_later_stay_in_force(tmp_path: Path) -> None:
    made = told_to("keys", "create", "quest", folder=tmp_path)
    key = {"Authorization": f"Bearer {made.stdout.split()[-1]}"}
    with server(tmp_path, under=BOUND) as (_, client):
        assert client.post("/v1/tts/synthesize", json=SHORT, headers=key).status_code == 200
        (tmp_path / "data").chmod(0)
        assert "cannot be read" in folders(client)["data"]
        assert client.post("/v1/tts/synthesize", json=SHORT).status_code == 401
        assert client.post("/v1/tts/synthesize", json=SHORT, headers=key).status_code == 200
    done = told_to("serve", "--port", "0", folder=tmp_path, under=BOUND)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert "cannot be read" in done.stderr


def test_unreadable_cache_is_told_by_the_model_and_by_health(tmp_path: Path) -> None:
    (tmp_path / "cache" / "kokoro").mkdir(parents=True)
    (tmp_path / "cache").chmod(0)
    with server(tmp_path, under=BOUND, models="tone,kokoro") as (_, client):
        assert "cannot be read" in folders(client)["cache"]
        refused = speak(client, SHORT | {"model": "kokoro"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "missing_dependency")
        assert "let this user read it" in refused.json()["error"]["message"]
        assert speak(client, SHORT).status_code == 200


def test_full_disk_leaves_the_keys_as_they_were(tmp_path: Path) -> None:
    told_to("keys", "create", "quest", folder=tmp_path)
    before = (tmp_path / "data" / "keys.json").read_bytes()
    done = told_to("keys", "create", "phone", folder=tmp_path, under=at_most(len(before)))
    assert (done.returncode, "Traceback" in done.stderr) == (5, False)
    assert "make room" in done.stderr
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["keys.json"]
    assert (tmp_path / "data" / "keys.json").read_bytes() == before


def test_a_log_that_cannot_be_written_silences_the_log_alone(tmp_path: Path) -> None:
    (tmp_path / "log").symlink_to("/dev/full")
    with server(tmp_path) as (process, client):
        assert speak(client, SHORT).status_code == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


JUMPING = """
import sys, time
from pathlib import Path
seconds, nanoseconds = time.time, time.time_ns
clock = Path(sys.argv[1])
jump_s = lambda: int(clock.read_text() or 0)
time.time = lambda: seconds() + jump_s()
time.time_ns = lambda: nanoseconds() + jump_s() * 10**9
sys.argv[1:2] = []
from vivavoce.cli import main
main()
"""
TEN_YEARS_S = 315_360_000


def test_clock_that_jumps_by_years_changes_no_answer(tmp_path: Path) -> None:
    clock = tmp_path / "clock"
    clock.write_text("0")
    body = SHORT | {
        "text": "The lamp is on the table.",
        "format": "pcm",
        "stream": True,
        "timeout_s": 60,
    }
    started = ("-c", JUMPING, str(clock))
    with server(tmp_path, program=started, tone_real_time_factor=0.3, idle_unload_s=600) as (
        process,
        client,
    ):
        whole = speak(client, body).content
        year = year_of(client)
        give_up_s = time.monotonic() + 30
        for jump_s, years in ((TEN_YEARS_S, 10), (-TEN_YEARS_S, -10), (0, 0)):
            with client.stream("POST", "/v1/tts/synthesize", json=body) as running:
                chunks = running.iter_raw()
                received = next(chunks)
                clock.write_text(str(jump_s))
                received += b"".join(chunks)
            assert received == whole
            while abs(year_of(client) - year - years) > 1:  # it looks once a second
                assert process.poll() is None
                assert time.monotonic() < give_up_s, client.get("/health/live").headers["date"]
            assert client.get("/health/ready").json() == {"status": "ok"}
            assert client.get("/health").json()["models"] == {"tone": "ready"}
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def year_of(client: httpx.Client) -> int:
    return parsedate_to_datetime(client.get("/health/live").headers["date"]).year
