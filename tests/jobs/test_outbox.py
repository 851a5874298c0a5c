"""Let jobs of real servers tell receivers of every kind, across restarts and beside each other."""

import asyncio
import json
import socket
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import httpx
import openai
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.conftest import app_client, serving, tone_pool
from tests.jobs.test_server_stops import serve, url_of
from tests.jobs.test_webhooks import SECRET
from vivavoce.api.app import create_app
from vivavoce.settings import Settings

JOBS = "/v1/jobs"
TEXT = {"text": "It rains.", "name": "rain.txt", "formats": ["vtt"]}
ALLOWED = {"VIVAVOCE_WEBHOOK_HOSTS": "127.0.0.1"}


@dataclass
class Receiver:
    """A server with paths that answer well, late, badly, elsewhere, or never."""

    got: defaultdict[str, list[tuple[httpx.Headers, bytes]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    told: list[str] = field(default_factory=list)  # the paths, in the order of their answers
    released: asyncio.Event = field(default_factory=asyncio.Event)

    async def take(self, request: Request) -> Response:
        path = request.url.path
        self.got[path].append((httpx.Headers(request.headers.raw), await request.body()))
        if path in ("/hang", "/slow"):
            await self.released.wait()
        self.told.append(path)
        if path == "/drips":
            return StreamingResponse(self._endless(), 200)
        if path == "/elsewhere":
            return RedirectResponse("/ok", 307)
        return Response(status_code=500 if path == "/flaky" and len(self.got[path]) == 1 else 204)

    async def _endless(self) -> AsyncIterator[bytes]:
        while not self.released.is_set():
            yield b"more"
            await asyncio.sleep(0.05)

    @property
    def app(self) -> Starlette:
        return Starlette(routes=[Route("/{path:path}", self.take, methods=["POST"])])


async def until(met: Callable[[], bool], limit_s: float = 60.0) -> None:
    """Wait for what another thread or process does."""
    async with asyncio.timeout(limit_s):
        while not met():  # noqa: ASYNC110 - the receiver runs in another loop
            await asyncio.sleep(0.02)


async def job_with(client: httpx.AsyncClient, url: str, **options: object) -> str:
    body = {**TEXT, "webhook_url": url, "webhook_secret": SECRET, **options}
    answer = await client.post(JOBS, json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def events_of(receiver: Receiver, path: str) -> list[dict[str, object]]:
    """Return what a path was told, checked as the SDKs of others check it."""
    found = []
    for headers, body in receiver.got[path]:
        event = openai.OpenAI(api_key="-").webhooks.unwrap(body.decode(), headers, secret=SECRET)
        if find_spec("standardwebhooks"):
            from standardwebhooks import Webhook

            assert Webhook(SECRET).verify(body, dict(headers)) == json.loads(body)
        assert event.id == headers["webhook-id"]
        assert event.data.id == json.loads(body)["data"]["id"]  # as docs/jobs.md shows
        found.append(json.loads(body))
    return found


async def test_each_receiver_is_told_whatever_the_others_do(tmp_path: Path) -> None:
    receiver = Receiver()
    paths = ("hang", "slow", "elsewhere", "drips", "flaky", "ok")
    with serving(receiver.app) as there, socket.socket() as unused:  # type: ignore[arg-type]  # any ASGI application
        unused.bind(("127.0.0.1", 0))  # and does not listen
        dead = f"http://127.0.0.1:{unused.getsockname()[1]}/"
        async with (
            serve(tmp_path, "0", **ALLOWED) as server,
            httpx.AsyncClient(base_url=url_of(server), timeout=60) as client,
        ):
            ids = {path: await job_with(client, f"{there}/{path}") for path in paths}
            await job_with(client, dead)
            await until(lambda: {"/ok", "/flaky", "/elsewhere", "/drips"} <= set(receiver.told))
            # Two receivers still hang. Nobody else of the server notices.
            assert not {"/hang", "/slow"} & set(receiver.told)
            await until(lambda: {"/hang", "/slow"} <= set(receiver.got))
            spoken = await client.post("/v1/tts/synthesize", json={"text": "Hello."})
            assert spoken.status_code == 200
            assert (await client.get("/health")).status_code == 200
            await job_with(client, f"{there}/later")
            await until(lambda: "/later" in receiver.told)
            receiver.released.set()
            await until(lambda: {"/hang", "/slow"} <= set(receiver.told))
            await until(lambda: receiver.told.count("/flaky") == 2)
        for path, id in ids.items():
            events = events_of(receiver, f"/{path}")
            assert {(one["type"], one["data"]["id"]) for one in events} == {("job.done", id)}  # type: ignore[index]  # JSON
            assert len({one["id"] for one in events}) == 1
        counts = {path: len(receiver.got[path]) for path in ("/ok", "/drips", "/later", "/flaky")}
        assert counts == {"/ok": 1, "/drips": 1, "/later": 1, "/flaky": 2}  # no redirect to /ok


@pytest.mark.slow
async def test_restarted_server_tries_again_with_the_same_message(tmp_path: Path) -> None:
    receiver = Receiver()
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with serving(receiver.app) as there:  # type: ignore[arg-type]  # any ASGI application
        async with (
            serve(tmp_path, "0", **ALLOWED) as server,
            httpx.AsyncClient(base_url=url_of(server), timeout=60) as client,
        ):
            flaky = await job_with(client, f"{there}/flaky")
            dead = await job_with(client, f"http://127.0.0.1:{port}/dead")
            await client.get(f"{JOBS}/{dead}/events")
            await until(lambda: receiver.told == ["/flaky"])
        other = Receiver()
        with serving(other.app, port):  # type: ignore[arg-type]  # any ASGI application
            async with serve(tmp_path, "0", **ALLOWED):
                await until(lambda: receiver.told == ["/flaky"] * 2 and other.told == ["/dead"])
    first, second = events_of(receiver, "/flaky")
    assert first == second
    assert [one["data"]["id"] for one in (first, *events_of(other, "/dead"))] == [flaky, dead]  # type: ignore[index]  # JSON


async def test_two_servers_with_one_folder_send_each_message_once(tmp_path: Path) -> None:
    receiver, jobs = Receiver(), 12
    with serving(receiver.app) as there:  # type: ignore[arg-type]  # any ASGI application
        async with AsyncExitStack() as stack:
            servers = [
                await stack.enter_async_context(serve(tmp_path, "0", **ALLOWED)) for _ in range(2)
            ]
            clients = [
                await stack.enter_async_context(httpx.AsyncClient(base_url=url_of(one), timeout=60))
                for one in servers
            ]
            ids = [
                await job_with(clients[n % 2], f"{there}/ok", text=f"It rains {n}.")
                for n in range(jobs)
            ]
            for id in ids:
                await clients[0].get(f"{JOBS}/{id}/events")
            await until(lambda: len(receiver.told) >= jobs)
            last = await job_with(clients[1], f"{there}/last")
            await until(lambda: "/last" in receiver.told)
    told = Counter(one["data"]["id"] for one in events_of(receiver, "/ok"))  # type: ignore[index]  # JSON
    assert told == Counter(ids)
    assert [one["data"]["id"] for one in events_of(receiver, "/last")] == [last]  # type: ignore[index]  # JSON


async def test_another_webhook_is_another_request_of_the_same_key(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, provenance="tags", webhook_hosts=("hooks.example.com",))
    hook = {"webhook_url": "https://hooks.example.com/a", "webhook_secret": SECRET}
    once = {"Idempotency-Key": "one"}
    async with app_client(create_app(settings, tone_pool())) as client:
        body = {**TEXT, **hook, "paused": True}
        answers = [await client.post(JOBS, json=body, headers=once) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [201, 200]
        for other in (
            {**body, "webhook_url": "https://hooks.example.com/b"},
            {**body, "webhook_secret": "whsec_" + "B" * 40},
            {**TEXT, "paused": True},
            {**TEXT, **hook},
        ):
            refused = await client.post(JOBS, json=other, headers=once)
            assert (refused.status_code, refused.json()["error"]["field"]) == (
                422,
                "Idempotency-Key",
            )
