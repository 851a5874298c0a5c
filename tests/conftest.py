"""Doors to the real application: in process over ASGI, and over a real socket.

And which tests need a CUDA device.
"""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from vivavoce.api.app import create_app
from vivavoce.api.live.socket import WEBSOCKETS
from vivavoce.api.middleware.connections import Bounds, bounded_http
from vivavoce.models.tone import Fault, ToneModel
from vivavoce.serving.local import LocalEngine
from vivavoce.serving.pool import Pool
from vivavoce.settings import Settings

EQUAL = Settings(provenance="tags")  # equal requests give equal bytes, which manifests do not

FAULTS = {
    "crash": Fault("raise", 3),
    "crash-at-once": Fault("raise", 0),
    "nan": Fault("nan", 2),
    "endless": Fault("endless"),
}

LONG_TEXT = (
    "Hello there. " * 100
)  # what "endless" says of it lasts for minutes, though each piece is cut in time

NEEDS_CUDA = pytest.StashKey[int]()  # tests that were deselected for want of a device


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect what is marked `gpu` where there is no CUDA device."""
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if marked and not _cuda_is_there():
        config.stash[NEEDS_CUDA] = len(marked)
        config.hook.pytest_deselected(items=marked)
        items[:] = [item for item in items if item not in marked]


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    if count := config.stash.get(NEEDS_CUDA, 0):
        terminalreporter.write_line(
            f"{count} tests marked gpu did not run: torch finds no CUDA device here"
        )


def _cuda_is_there() -> bool:
    if find_spec("torch") is None:
        return False
    import torch

    return torch.cuda.is_available()


def tone_pool(**model: float) -> Pool:
    """A pool with a tone model alone, which has a voice for each of `FAULTS`."""
    return Pool({"tone": lambda: LocalEngine(ToneModel(faults=FAULTS, **model))})  # type: ignore[arg-type]  # numbers


@asynccontextmanager
async def app_client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client of `app` in this process, with the application started and stopped around it."""
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost", timeout=60) as client,
    ):
        yield client


@contextmanager
def serving(
    app: FastAPI,
    port: int = 0,
    make: Callable[[uvicorn.Config], uvicorn.Server] = uvicorn.Server,
    **options: Any,
) -> Iterator[str]:
    """Serve `app` with uvicorn in a thread and yield its base URL.

    `options` are passed to uvicorn.
    """
    options = {
        "http": bounded_http(Bounds(512, 20.0, 60.0)),
        "timeout_graceful_shutdown": 5,
        **WEBSOCKETS,
        **options,
    }
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # of a server before it
        sock.bind(("127.0.0.1", port))
        sock.listen()
        server = make(uvicorn.Config(app, log_level="warning", **options))
        started = threading.Event()

        async def run() -> None:
            serve = asyncio.create_task(server.serve(sockets=[sock]))
            while not server.started and not serve.done():  # noqa: ASYNC110 - uvicorn tells it no other way
                await asyncio.sleep(0.01)
            started.set()
            await serve

        thread = threading.Thread(target=lambda: asyncio.run(run()))
        thread.start()
        try:
            assert started.wait(30)
            yield f"http://127.0.0.1:{sock.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(30)


@contextmanager
def own_data_folder(folder: Path) -> Iterator[None]:
    """Let `data_dir` of settings be below `folder` by default."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("XDG_DATA_HOME", "LOCALAPPDATA"):
            patch.setenv(name, str(folder))
        yield


@pytest.fixture(autouse=True, scope="session")
def nothing_of_this_machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Whoever runs the tests may have API keys and voices, which no server in them is to use."""
    with own_data_folder(tmp_path_factory.mktemp("data")):
        yield


@pytest.fixture(autouse=True, scope="module")
def nothing_of_other_modules(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One module may save voices, which no server of another one is to list."""
    with own_data_folder(tmp_path_factory.mktemp("data")):
        yield


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """Yield the application with the tone model, in process."""
    async with app_client(create_app(EQUAL, tone_pool())) as client:
        yield client


@pytest.fixture
def tone_url() -> Iterator[str]:
    """Yield the application with the tone model, over a socket."""
    with serving(create_app(EQUAL, tone_pool())) as url:
        yield url


@pytest.fixture(scope="session")
def hibari_url() -> Iterator[str]:
    """Yield the application with the embedded English voice, over a socket, when it can speak."""
    with serving(create_app(Settings(models=("hibari",), isolate_models=False))) as url:
        httpx.post(
            f"{url}/v1/tts/synthesize", json={"text": "Hello."}, timeout=60
        ).raise_for_status()
        yield url


@pytest.fixture(scope="module")
def designing_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the application with random checkpoints, one designs voices and one clones them."""
    from tests.models.qwen3_tts.whole import whole_checkpoint  # needs torch

    folder = tmp_path_factory.mktemp("checkpoints")
    whole_checkpoint(folder / "Design", "voice_design", size="1b7", frames=40)
    whole_checkpoint(folder / "Base", "base", frames=12)
    settings = Settings(
        qwen=(folder / "Design", folder / "Base"),
        models=("tone",),
        isolate_models=False,
        data_dir=folder / "data",
    )
    with serving(create_app(settings)) as url:
        yield url
