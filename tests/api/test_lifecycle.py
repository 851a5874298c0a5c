"""Check starts and shutdowns of a server with real processes, signals and sockets."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.conftest import app_client
from vivavoce.api.app import create_app
from vivavoce.errors import MissingDependency
from vivavoce.models.tone import ToneModel
from vivavoce.serving.local import LocalEngine
from vivavoce.serving.pool import Pool
from vivavoce.settings import Settings

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")

TEXT = "The lamp is on the table."
PCM = {"text": TEXT, "format": "pcm", "stream": True}


@contextmanager
def server(
    folder: Path, port: int = 0, **settings: object
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run `vivavoce serve` with the tone model, and yield its process and address."""
    environment = environment_with(folder, **settings)
    command = [
        sys.executable, "-m", "vivavoce", "serve", "--host", "127.0.0.1", "--port", str(port),
    ]  # fmt: skip
    with (folder / "log").open("a") as log, subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=log, text=True
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if line.startswith("  page "):
                    url = line.split()[1].rstrip("/")
                if line.startswith("  try"):
                    break
            else:
                raise AssertionError((folder / "log").read_text())
            yield process, url
        finally:
            process.kill()


def environment_with(folder: Path, **settings: object) -> dict[str, str]:
    """This one, with these settings alone."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.upper().startswith("VIVAVOCE_")
    }
    given = {"models": "tone", "cache_dir": folder / "cache", **settings}
    return kept | {f"VIVAVOCE_{name.upper()}": str(value) for name, value in given.items()}


def draining(client: httpx.Client) -> bool:
    """True if the server reports that it is draining."""
    answer = client.get("/health/ready")
    assert answer.status_code == (200 if answer.json()["status"] == "ok" else 503)
    return bool(answer.json()["status"] == "draining")


def test_sigterm_is_seen_then_turns_new_work_away_and_ends_streams_whole(tmp_path: Path) -> None:
    with server(tmp_path, tone_real_time_factor=0.5) as (process, url):
        whole = httpx.post(f"{url}/v1/tts/synthesize", json=PCM, timeout=60).content
        with (
            httpx.Client(base_url=url, timeout=60) as client,
            client.stream("POST", "/v1/tts/synthesize", json=PCM) as running,
        ):
            chunks = running.iter_raw()
            received = next(chunks)
            assert not draining(client)
            process.send_signal(signal.SIGTERM)
            while not draining(client):
                pass
            assert client.get("/health/live").status_code == 200
            assert client.get("/health").json()["status"] == "draining"
            for path, body in (
                ("/v1/tts/synthesize", PCM),
                ("/v1/audio/speech", {"input": TEXT, "voice": "sine"}),
            ):
                refused = client.post(path, json=body)
                assert refused.status_code == 503
                assert int(refused.headers["retry-after"]) > 0
                assert refused.json()["error"]["code"] == "not_ready"
            received += b"".join(chunks)
        assert received == whole
        assert process.wait(20) == 0


def test_idle_server_ends_at_once(tmp_path: Path) -> None:
    with server(tmp_path, shutdown_timeout_s=600) as (process, url):
        assert httpx.get(f"{url}/health/live", timeout=60).status_code == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


@pytest.mark.parametrize(("second", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_second_signal_ends_it_where_it_stands(
    second: signal.Signals, code: int, tmp_path: Path
) -> None:
    with (
        server(tmp_path, tone_real_time_factor=20, shutdown_timeout_s=600) as (process, url),
        httpx.Client(base_url=url, timeout=60) as client,
        client.stream("POST", "/v1/tts/synthesize", json=PCM) as running,
    ):
        chunks = running.iter_raw()
        next(chunks)
        process.send_signal(signal.SIGTERM)
        while not draining(client):
            pass
        process.send_signal(second)
        assert process.wait(20) == code
        with pytest.raises(httpx.RemoteProtocolError):
            b"".join(chunks)


def test_what_takes_longer_than_the_grace_is_cut_and_told(tmp_path: Path) -> None:
    with (
        server(tmp_path, tone_real_time_factor=4, shutdown_timeout_s=0.2) as (process, url),
        httpx.stream(
            "POST", f"{url}/v1/tts/synthesize", json=PCM | {"text": TEXT * 4}, timeout=60
        ) as running,
    ):
        chunks = running.iter_raw()
        next(chunks)
        process.send_signal(signal.SIGTERM)
        with pytest.raises(httpx.RemoteProtocolError):  # never a short answer that looks whole
            b"".join(chunks)
        assert process.wait(20) == 1
    assert "1 requests were cut" in (tmp_path / "log").read_text()


def test_killed_server_starts_again_on_its_port_and_speaks(tmp_path: Path) -> None:
    with server(tmp_path, tone_real_time_factor=1) as (process, url):
        port = int(url.rpartition(":")[2])
        with httpx.stream("POST", f"{url}/v1/tts/synthesize", json=PCM, timeout=60) as running:
            chunks = running.iter_raw()
            next(chunks)
            process.kill()
            with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
                b"".join(chunks)
        assert process.wait(20) == -signal.SIGKILL
    with server(tmp_path, port=port) as (process, url):
        assert httpx.post(f"{url}/v1/tts/synthesize", json=PCM, timeout=60).status_code == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def failed_start(
    folder: Path, *arguments: str, limits: str = "", **settings: object
) -> tuple[int, str]:
    """Return the exit code of a failed start and its last line on stderr."""
    command = f'{limits} exec "$0" -m vivavoce serve --host 127.0.0.1 "$@"'
    done = subprocess.run(
        ["bash", "-c", command, sys.executable, *arguments],
        env=environment_with(folder, **settings), capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr.splitlines()[-1]


def test_reasons_not_to_start_are_told_and_have_codes_of_their_own(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert failed_start(tmp_path, "--port", str(taken.getsockname()[1])) == (
            3,
            f"vivavoce: port {taken.getsockname()[1]} on '127.0.0.1' is taken: stop what listens "
            "there, or choose another with --port",
        )
    code, said = failed_start(tmp_path, "--config", str(tmp_path / "absent.toml"))
    assert (code, "cannot read the settings file" in said) == (2, True)
    code, said = failed_start(tmp_path, "--port", "0", models="kokoro")
    assert (code, "vivavoce models pull kokoro" in said) == (4, True)
    code, said = failed_start(
        tmp_path, "--port", "0", limits="ulimit -f 64;"
    )  # as a disk with 64 KiB left
    assert (code, "cannot write 8,388,608 bytes to the temporary folder" in said) == (5, True)


def test_model_that_is_named_for_requests_has_to_be_there(tmp_path: Path) -> None:
    code, said = failed_start(tmp_path, "--port", "0", "--model", "kokoro", models="tone,kokoro")
    assert (code, "vivavoce models pull kokoro" in said) == (4, True)


async def test_one_model_of_several_is_enough_to_start() -> None:
    def absent() -> LocalEngine:
        raise MissingDependency("it is not there: bring it")

    app = create_app(Settings(), Pool({"absent": absent, "tone": lambda: LocalEngine(ToneModel())}))
    async with app_client(app) as client:
        assert (
            await client.post("/v1/tts/synthesize", json={"text": TEXT, "model": "tone"})
        ).status_code == 200
        assert (await client.get("/health/ready")).json() == {"status": "ok"}
        assert app.state.server.lifecycle.failure is None


async def test_ready_says_why_not(tmp_path: Path) -> None:
    settings = Settings(models=("kokoro",), cache_dir=tmp_path, isolate_models=False)
    async with app_client(create_app(settings)) as client:
        answer = await client.post("/v1/tts/synthesize", json={"text": TEXT})
        assert answer.status_code == 503
        ready = await client.get("/health/ready")
        assert (ready.status_code, ready.json()["status"]) == (503, "failed")
        assert "vivavoce models pull kokoro" in ready.json()["reason"]
