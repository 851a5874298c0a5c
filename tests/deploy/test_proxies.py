"""The examples of deploy/proxy in the real HAProxy and the real nginx, before two real servers."""

import asyncio
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect

from tests.api.test_streaming import Watched, wait_until
from tests.conftest import serving, tone_pool
from vivavoce.api.app import create_app
from vivavoce.client import AsyncClient
from vivavoce.models.tone import ToneModel
from vivavoce.serving.events import Load
from vivavoce.serving.local import LocalEngine
from vivavoce.serving.pool import Pool
from vivavoce.serving.queue import Limits
from vivavoce.settings import Settings

EXAMPLES = Path(__file__).parent.parent.parent / "deploy" / "proxy"
PROXIES = ("haproxy", "nginx")
BODY = {"text": "A sentence that takes three seconds to say.", "stream": True, "format": "pcm"}


@contextmanager
def proxy(name: str, folder: Path, *servers: str) -> Iterator[str]:
    """The base URL of the example of that name before `servers`, in a process of its own."""
    program = shutil.which(name) or shutil.which(name, path="/usr/sbin")
    if program is None:
        pytest.skip(f"{name} is not installed (apt-get install {name})")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    text = (EXAMPLES / {"haproxy": "haproxy.cfg", "nginx": "nginx.conf"}[name]).read_text("utf-8")
    for example, real in zip(("127.0.0.1:8001", "127.0.0.1:8002"), servers, strict=True):
        assert example in text
        text = text.replace(example, real.removeprefix("http://"))
    config = folder / "proxy.conf"
    config.write_text(text.replace("127.0.0.1:8080", f"127.0.0.1:{port}"), "utf-8")
    here = (
        ["-p", str(folder), "-e", "stderr", "-g", f"daemon off; pid {folder}/pid;"]
        if name == "nginx"
        else []
    )
    command = [program, *here, {"haproxy": "-f", "nginx": "-c"}[name], str(config)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: process.poll() is not None or answers(url), 10)
        assert process.poll() is None, (folder / "log").read_text("utf-8")
        yield url
    finally:
        process.terminate()
        process.wait(10)


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health").status_code == 200
    except httpx.HTTPError:
        return False


@pytest.fixture(params=PROXIES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def slow_server() -> Pool:
    """Speak a chunk of 80 ms every 80 ms, as a voice that is just fast enough."""
    return tone_pool(real_time_factor=1.0)


def test_chunks_arrive_as_they_are_made(name: str, tmp_path: Path) -> None:
    with (
        serving(create_app(Settings(), slow_server())) as one,
        serving(create_app(Settings(), slow_server())) as two,
        proxy(name, tmp_path, one, two) as url,
        httpx.stream("POST", f"{url}/v1/tts/synthesize", json=BODY, timeout=60) as response,
    ):
        times = [time.monotonic() for _ in response.iter_raw()]
    assert response.status_code == 200
    gaps = sorted(after - before for before, after in pairwise(times))
    # A chunk is made every 80 ms. What gathers them sends several at once, and most gaps are then
    # nothing at all.
    assert 0.04 < gaps[len(gaps) // 2] < 0.15


def test_live_speech_passes(name: str, tmp_path: Path) -> None:
    with (
        serving(create_app(Settings(), tone_pool())) as one,
        serving(create_app(Settings(), tone_pool())) as two,
        proxy(name, tmp_path, one, two) as url,
        connect(f"{url.replace('http', 'ws')}/v1/tts/stream") as socket,
    ):
        socket.send('{"type": "begin", "text": "Hello there."}')
        socket.send('{"type": "end"}')
        messages = []
        for message in socket:
            messages.append(message)
            if isinstance(message, str) and '"done"' in message:
                break
    assert any(isinstance(message, bytes) and message for message in messages)


def test_a_client_that_leaves_frees_its_slot_behind_the_proxy(name: str, tmp_path: Path) -> None:
    watched = Watched(real_time_factor=1.0)
    with (
        serving(create_app(Settings(), watched.pool())) as one,
        proxy(name, tmp_path, one, one) as url,
    ):
        body = {"text": "Hello.", "speaker": "endless", "stream": True}
        with httpx.stream("POST", f"{url}/v1/tts/synthesize", json=body, timeout=60) as response:
            next(response.iter_raw())
            assert watched.is_(busy=True)
        wait_until(lambda: watched.is_(busy=False), 5)


async def test_live_speech_passes_and_is_interrupted(name: str, tmp_path: Path) -> None:
    with (
        serving(create_app(Settings(), slow_server())) as one,
        proxy(name, tmp_path, one, one) as url,
    ):
        async with AsyncClient(url) as client, client.live() as live:
            await live.send("A sentence that is still being written, ")
            await live.send("and another one. ", flush=True)
            await anext(aiter(live))
            assert (await live.interrupt(0.05)).unheard


async def test_a_second_listener_gets_the_other_server(name: str, tmp_path: Path) -> None:
    body = {"text": "Hello.", "speaker": "endless", "stream": True}
    watched = [Watched(real_time_factor=1.0) for _ in range(2)]
    with (
        serving(create_app(Settings(), watched[0].pool())) as one,
        serving(create_app(Settings(), watched[1].pool())) as two,
        proxy(name, tmp_path, one, two) as url,
    ):
        async with (
            httpx.AsyncClient(base_url=url, timeout=60) as client,
            client.stream("POST", "/v1/tts/synthesize", json=body) as first,
            client.stream("POST", "/v1/tts/synthesize", json=body) as second,
        ):
            assert [first.status_code, second.status_code] == [200, 200]
            assert [server.is_(busy=True) for server in watched] == [True, True]


def test_a_server_that_is_gone_costs_no_request(name: str, tmp_path: Path) -> None:
    with serving(create_app(Settings(), tone_pool())) as one:
        with (
            serving(create_app(Settings(), tone_pool())) as two,
            proxy(name, tmp_path, one, two) as url,
        ):
            pass  # both are known to the example; the second stops
        with proxy(name, tmp_path, one, two) as url:
            statuses = {
                httpx.post(
                    f"{url}/v1/tts/synthesize", json={"text": "Hello."}, timeout=60
                ).status_code
                for _ in range(10)
            }
    assert statuses == {200}


async def test_a_busy_server_hands_over_to_the_other(tmp_path: Path) -> None:
    """Test that nginx retries a 429 on the other server. HAProxy has no such rule."""
    engine = LocalEngine(
        ToneModel(real_time_factor=20.0, max_batch=1), Limits(max_queued_requests=1)
    )
    full = Pool({"tone": lambda: engine})
    with (
        serving(create_app(Settings(), full)) as one,
        serving(create_app(Settings(), tone_pool())) as two,
        proxy("nginx", tmp_path, one, two) as url,
    ):
        async with httpx.AsyncClient(timeout=60) as client:
            stuck = []
            for full_at in (Load(running=1, waiting=0), Load(running=1, waiting=1)):
                said = client.post(f"{one}/v1/tts/synthesize", json={"text": "Hi."})
                stuck.append(asyncio.create_task(said))
                while engine.load != full_at:  # noqa: ASYNC110 - a lane's thread tells nobody
                    await asyncio.sleep(0.01)
            answers = [
                await client.post(f"{url}/v1/tts/synthesize", json={"text": "Hello."})
                for _ in range(4)
            ]
            assert not any(task.done() for task in stuck)  # nobody waited for the full server
            for task in stuck:
                task.cancel()
            await asyncio.gather(*stuck, return_exceptions=True)
    assert [answer.status_code for answer in answers] == [200] * 4
