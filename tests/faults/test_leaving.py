"""Test that a client that leaves frees its slot at every stage of its request."""

import asyncio
import json
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from tests.conftest import FAULTS, serving
from vivavoce.api.app import create_app
from vivavoce.models.tone import ToneModel, ToneStream
from vivavoce.serving.base import ChunkStream
from vivavoce.serving.local import LocalEngine, LocalStream
from vivavoce.serving.pool import Pool
from vivavoce.serving.scheduler import Load
from vivavoce.settings import Settings
from vivavoce.types import Samples, Segment, StopReason

STEP_S = 0.3  # so long that the server has noticed who left before the next one
SURFACES = {
    "whole": ("/v1/tts/synthesize", {"text": "Hello.", "speaker": "endless"}),
    "streamed": ("/v1/tts/synthesize", {"text": "Hello.", "speaker": "endless", "stream": True}),
    "openai": ("/v1/audio/speech", {"input": "Hello.", "voice": "endless"}),
    "events": ("/v1/audio/speech", {"input": "Hello.", "voice": "endless", "stream_format": "sse"}),
}


class CountedModel(ToneModel):
    """One slot, and a count of what was done in it."""

    def __init__(self) -> None:
        super().__init__(real_time_factor=STEP_S / 0.08, max_batch=1, faults=FAULTS)
        self.opened = self.steps = 0

    def open(self, segment: Segment) -> Any:  # the stream is the model's own affair
        self.opened += 1
        return super().open(segment)

    def step(
        self, streams: Sequence[ToneStream], ahead_s: Sequence[float] = ()
    ) -> Sequence[Samples | StopReason]:
        self.steps += 1
        return super().step(streams, ahead_s)


@contextmanager
def asking(url: str, path: str, body: dict[str, object]) -> Iterator[None]:
    """Somebody who has sent a request and leaves in the end."""
    address, content = httpx.URL(url), json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1",
        "Host: localhost",
        "Content-Type: application/json",
        f"Content-Length: {len(content)}",
    )
    with socket.create_connection((address.host, address.port or 0), timeout=30) as connection:
        connection.sendall("\r\n".join((*head, "", "")).encode() + content)
        yield


def wait_until(condition: Callable[[], bool]) -> None:
    """Polls, as the model's thread tells nobody."""
    give_up_s = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < give_up_s, "it did not come true"
        time.sleep(0.002)


@pytest.mark.parametrize("steps", [1, 3], ids=["begins", "speaks"])
@pytest.mark.parametrize("surface", SURFACES)
def test_who_leaves_costs_at_most_one_more_step(surface: str, steps: int) -> None:
    model = CountedModel()
    engine = LocalEngine(model)
    with serving(create_app(Settings(), Pool({"tone": lambda: engine}))) as url:
        with asking(url, *SURFACES[surface]):
            wait_until(lambda: model.steps == steps)
        wait_until(lambda: engine.load == Load(waiting=0, running=0))
    assert model.steps <= steps + 1


@pytest.mark.parametrize("surface", SURFACES)
def test_who_leaves_while_it_waits_costs_nothing(surface: str) -> None:
    model = CountedModel()
    engine = LocalEngine(model)
    with (
        serving(create_app(Settings(), Pool({"tone": lambda: engine}))) as url,
        asking(url, *SURFACES["streamed"]),
    ):
        wait_until(lambda: engine.load == Load(waiting=0, running=1))
        with asking(url, *SURFACES[surface]):
            wait_until(lambda: engine.load == Load(waiting=1, running=1))
        wait_until(lambda: engine.load == Load(waiting=0, running=1))
    assert model.opened == 1


class CountedEngine(LocalEngine):
    """Counts the segments that were asked of it."""

    asked = 0

    def speak(self, segment: Segment, *, follows: ChunkStream | None = None) -> LocalStream:
        self.asked += 1
        return super().speak(segment, follows=follows)


async def test_crowd_that_has_left_is_not_read() -> None:
    """A newcomer does not wait while the texts of a crowd are read that has left already."""
    engine = CountedEngine(CountedModel())
    pool = Pool({"tone": lambda: engine})
    app = create_app(Settings(), pool)
    path, body = SURFACES["streamed"]
    async with app.router.lifespan_context(app):
        (await pool.acquire("tone")).release()  # loaded, so that nobody waits for it
        await asyncio.gather(*(asked_and_left(app, path, body) for _ in range(40)))
    assert engine.asked <= 2


async def asked_and_left(app: FastAPI, path: str, body: dict[str, object]) -> None:
    """Send a request whose client has left when it is read."""
    content = json.dumps(body).encode()
    headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
    scope = {
        "type": "http", "http_version": "1.1", "method": "POST", "scheme": "http", "path": path,
        "raw_path": path.encode(), "root_path": "", "query_string": b"", "headers": headers,
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80),
    }  # fmt: skip
    messages = iter([{"type": "http.request", "body": content, "more_body": False}])

    async def receive() -> dict[str, object]:
        return next(messages, {"type": "http.disconnect"})

    async def send(message: dict[str, object]) -> None:
        pass

    await app(scope, receive, send)  # type: ignore[arg-type]  # messages are mappings
