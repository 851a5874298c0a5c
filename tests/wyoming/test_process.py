"""Run `vivavoce serve --wyoming`, and speak with it as Home Assistant does."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from queue import Queue

import pytest
import typer.main
from wyoming.client import AsyncTcpClient
from wyoming.info import Describe, Info
from wyoming.tts import SynthesizeChunk, SynthesizeStart, SynthesizeVoice

from tests.api.test_lifecycle import environment_with
from tests.decoding import wav_seconds
from tests.wyoming.house import SINE, audio, hear, hear_error, say, write
from vivavoce.cli import app
from vivavoce.keys import FILE_NAME, KeyFile
from vivavoce.network.mdns import WYOMING, advertise

HOME_ASSISTANT = os.environ.get("HOME_ASSISTANT_PYTHON")  # see `home_assistant.py`
needs_signals = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")


@dataclass(frozen=True, slots=True)
class Running:
    """A server in a process of its own."""

    process: subprocess.Popen[str]
    port: int
    log: Path

    def client(self) -> AsyncTcpClient:
        return AsyncTcpClient("127.0.0.1", self.port)


def serve(folder: Path, *options: str, **settings: object) -> list[object]:
    """Return what `Popen` takes: a command and an environment."""
    command = [
        sys.executable, "-m", "vivavoce", "serve", "--host", "127.0.0.1", "--port", "0", *options,
    ]  # fmt: skip
    return [command, environment_with(folder, data_dir=folder / "data", **settings)]


@contextmanager
def running(folder: Path, **settings: object) -> Iterator[Running]:
    command, environment = serve(folder, "--wyoming", "tcp://127.0.0.1:0", **settings)
    log = folder / "log"
    with log.open("w") as stderr, subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=stderr, text=True  # type: ignore[call-overload]  # as `serve` says
    ) as process:  # fmt: skip
        try:
            for line in process.stdout:
                if line.startswith("  Wyoming  tcp://127.0.0.1:"):
                    port = int(line.rpartition(":")[2])
                if line.startswith("  try"):
                    break
            else:
                raise AssertionError(log.read_text())
            yield Running(process, port, log)
        finally:
            process.kill()


@needs_signals
async def test_home_assistants_order_is_served_and_sigterm_cuts_nothing(tmp_path: Path) -> None:
    with running(tmp_path, tone_real_time_factor=0.3) as server:
        async with server.client() as client:
            await client.write_event(Describe().event())
            (program,) = Info.from_event((await hear(client, "info"))[-1]).tts
            assert [voice.name for voice in program.voices] == ["sine", "hum"]
        async with server.client() as client:  # Home Assistant opens one for each answer
            await write(client, ["The lamp is o", "n. The wind", "ow is open."])
            whole = audio(await hear(client, "synthesize-stopped"))
            assert len(whole) > 2 * 24_000 * 0.06 * 30
        async with server.client() as client:
            await write(client, ["The lamp is o", "n. The wind", "ow is open."])
            begun = await hear(client, "audio-chunk")
            server.process.send_signal(signal.SIGTERM)
            rest = await hear(client, "synthesize-stopped")
            assert audio([*begun, *rest]) == whole
        assert await asyncio.to_thread(server.process.wait, 20) == 0
        log = server.log.read_text()
        assert "Traceback" not in log
        assert " ERROR " not in log


@needs_signals
async def test_text_that_is_never_ended_does_not_keep_the_server(tmp_path: Path) -> None:
    with running(tmp_path, shutdown_timeout_s=600) as server:
        async with server.client() as client, server.client() as idle:
            await client.write_event(SynthesizeStart(SINE).event())
            await client.write_event(SynthesizeChunk("The lamp is on. And the").event())
            begun = await hear(client, "audio-chunk")
            server.process.send_signal(signal.SIGTERM)
            assert audio([*begun, *await hear(client, "synthesize-stopped")])
            assert await hear(client) == await hear(idle) == []
        assert await asyncio.to_thread(server.process.wait, 20) == 0


@pytest.mark.parametrize("allowed", [False, True])
async def test_server_with_keys_says_what_that_means_for_wyoming(
    allowed: bool, tmp_path: Path
) -> None:
    KeyFile(tmp_path / "data" / FILE_NAME).create("phone")
    with running(tmp_path, wyoming_without_key=allowed) as server:
        async with server.client() as client:
            await say(client, "Hello.")
            if allowed:
                assert audio(await hear(client))
            else:
                assert (await hear_error(client))[0] == "invalid_api_key"
        log = server.log.read_text()
    assert "clients of Wyoming cannot send an API key" in log
    assert ("does not speak for them" in log) is not allowed


async def test_key_that_is_made_later_counts_at_once(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        async with server.client() as client:
            await say(client, "Hello.")
            assert audio(await hear(client))
            KeyFile(tmp_path / "data" / FILE_NAME).create("phone")
            await say(client, "Hello.")
            assert (await hear_error(client))[0] == "invalid_api_key"


def test_port_that_is_taken_is_an_error_that_names_the_option(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        uri = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        command, environment = serve(tmp_path, "--wyoming", uri)
        result = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False  # type: ignore[call-overload]
        )  # fmt: skip
    assert result.returncode == 3
    assert "choose another with --wyoming" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--wyoming"], "tcp://0.0.0.0:10200"),
        (["--wyoming", "--mdns"], "tcp://0.0.0.0:10200"),
        (["--wyoming", "tcp://127.0.0.1:9", "--mdns"], "tcp://127.0.0.1:9"),
        (["--wyoming=tcp://[::]:9"], "tcp://[::]:9"),
        ([], None),
    ],
)
def test_option_may_come_without_an_address(arguments: list[str], expected: str | None) -> None:
    command = typer.main.get_command(app).commands["serve"]  # type: ignore[attr-defined]
    context = command.make_context("serve", arguments)
    assert context.params["wyoming"] == expected
    assert bool(context.params["mdns"]) is ("--mdns" in arguments)


@pytest.mark.skipif(find_spec("zeroconf") is None, reason="the extra lan is not installed")
def test_port_is_found_by_browsing() -> None:
    from zeroconf import ServiceBrowser, Zeroconf

    found: Queue[str] = Queue()

    class Listener:
        def add_service(self, zc: Zeroconf, type_: str, name: str) -> None:
            found.put(name)

        def update_service(self, zc: Zeroconf, type_: str, name: str) -> None: ...
        def remove_service(self, zc: Zeroconf, type_: str, name: str) -> None: ...

    zeroconf = Zeroconf(interfaces=["127.0.0.1"])
    try:
        with advertise("127.0.0.1", 8009, tls=False, wyoming_port=10209):
            ServiceBrowser(zeroconf, WYOMING, Listener())  # type: ignore[arg-type]  # has the methods of its class
            while "10209" not in (name := found.get(timeout=20)):
                pass  # another server of this machine
            info = zeroconf.get_service_info(WYOMING, name, 5000)
            assert info is not None
            assert (info.parsed_addresses()[0], info.port) == ("127.0.0.1", 10209)
    finally:
        zeroconf.close()


async def test_example_of_the_page_speaks(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "home-assistant.md").read_text("utf-8")
    example = page.split("```python\n")[1].split("```")[0]
    with running(tmp_path) as server:
        assert "10200" in example
        code = example.replace("10200", str(server.port)).replace("localhost", "127.0.0.1")
        command = [sys.executable, "-W", "ignore", "-c", code]
        said = await asyncio.to_thread(subprocess.run, command, cwd=tmp_path, check=True)
        assert said.returncode == 0
    assert wav_seconds((tmp_path / "hello.wav").read_bytes()) > 0.5


@pytest.mark.skipif(HOME_ASSISTANT is None, reason="HOME_ASSISTANT_PYTHON names no Python")
async def test_home_assistants_own_integration_hears_it(tmp_path: Path) -> None:
    script = Path(__file__).parent / "home_assistant.py"
    with running(tmp_path) as server:
        async with server.client() as client:  # what reads languages is loaded
            await say(client, "Hello.", SynthesizeVoice(name="hum"))
            expected_s = len(audio(await hear(client))) / 2 / 24_000
        command = [HOME_ASSISTANT, script, "127.0.0.1", str(server.port), tmp_path]
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        said = await asyncio.to_thread(
            subprocess.run, command, env=environment, capture_output=True, check=False, cwd=tmp_path
        )
        assert said.returncode == 0, said.stderr.decode()
    report = json.loads(said.stdout.splitlines()[-1])
    assert report["name"] == "vivavoce"
    assert report["platforms"] == ["tts"]
    assert report["streams"] is True
    assert report["voices"] == ["hum", "sine"]
    assert "de" in report["languages"]
    assert report["whole_s"] > expected_s
    assert report["unknown"] is None
    assert report["unknown_parts"] == []
    times = [at_s for at_s, _ in report["parts"]]
    assert times[0] < 2
    assert max(later - earlier for earlier, later in pairwise(times)) < 4.8  # a satellite waits 5 s
    assert sum(size for _, size in report["parts"]) > 2 * 24_000 * 2
