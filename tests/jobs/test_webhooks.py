"""Check webhooks against real receivers: who may get them, their form, their tries."""

import asyncio
import base64
import json
import secrets
import socket
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import httpx
import openai
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from tests.conftest import serving
from vivavoce.errors import BadRequest, DiskFull
from vivavoce.jobs.webhooks import WAITS_S, Hosts, Message, Webhooks, check_secret, signed_headers

SECRET = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
EVENT = {"type": "job.done", "data": {"id": "one"}}


def message(url: str, id: str = "msg_1") -> Message:
    return Message(id, url, SECRET, json.dumps(EVENT))


@dataclass
class Shelf:
    """An outbox in memory."""

    messages: dict[str, Message] = field(default_factory=dict)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.loop = asyncio.get_running_loop()

    def claim_messages(self, limit: int, now_s: float, until_s: float) -> Sequence[Message]:
        due = [one for one in self.messages.values() if one.due_s <= now_s][:limit]
        self.messages |= {one.id: replace(one, due_s=until_s) for one in due}
        return due

    def postpone_message(self, message: Message) -> None:
        self.messages[message.id] = message
        self.loop.call_soon_threadsafe(self.changed.set)

    def remove_message(self, id: str) -> None:
        del self.messages[id]
        self.loop.call_soon_threadsafe(self.changed.set)


@dataclass
class Receiver:
    """A server that answers with `statuses` in turn, and keeps what it got."""

    statuses: list[int]
    got: list[tuple[httpx.Headers, bytes]] = field(default_factory=list)

    async def take(self, request: Request) -> Response:
        self.got.append((httpx.Headers(request.headers.raw), await request.body()))
        status = self.statuses.pop(0)
        if status == 307:
            return RedirectResponse("/elsewhere")
        return Response(status_code=status)

    @property
    def app(self) -> Starlette:
        return Starlette(routes=[Route("/{path:path}", self.take, methods=["POST"])])


@asynccontextmanager
async def sending(shelf: Shelf, *allowed: str, now: float = 0) -> AsyncIterator[Webhooks]:
    webhooks = Webhooks(shelf, Hosts(allowed), clock_s=lambda: now or time.time())
    running = asyncio.create_task(webhooks.run())
    try:
        yield webhooks
    finally:
        running.cancel()
        await asyncio.wait((running,))


async def after_one_try(
    receiver: Receiver, *allowed: str, host: str = "127.0.0.1", tries: int = 0
) -> Message | None:
    """Return what waits after one try to send a message to `host`."""
    shelf = Shelf()
    with serving(receiver.app) as url:  # type: ignore[arg-type]  # any ASGI application
        sent = message(url.replace("127.0.0.1", host))
        shelf.messages["msg_1"] = replace(sent, tries=tries)
        async with sending(shelf, *allowed):
            await asyncio.wait_for(shelf.changed.wait(), 20)
    return shelf.messages.get("msg_1")


async def test_openai_and_standard_webhooks_accept_a_message() -> None:
    receiver = Receiver([204])
    assert await after_one_try(receiver, "127.0.0.1") is None
    headers, body = receiver.got[0]
    event = openai.OpenAI(api_key="-").webhooks.unwrap(body.decode(), headers, secret=SECRET)
    assert event.type == "job.done"  # type: ignore[comparison-overlap]  # none of OpenAI's own
    with pytest.raises(openai.InvalidWebhookSignatureError):
        openai.OpenAI(api_key="-").webhooks.unwrap(body.decode() + " ", headers, secret=SECRET)
    standard = pytest.importorskip("standardwebhooks", reason="pip install standardwebhooks")
    assert standard.Webhook(SECRET).verify(body, dict(headers)) == EVENT
    assert headers["content-type"] == "application/json"


@pytest.mark.parametrize("problem", [DiskFull("make room"), RuntimeError("a bug")])
async def test_outbox_that_fails_once_stops_no_later_message(problem: Exception) -> None:
    class Broken(Shelf):
        """An outbox on a disk that is full at first."""

        is_broken = True

        def claim_messages(self, limit: int, now_s: float, until_s: float) -> Sequence[Message]:
            if self.is_broken:
                self.is_broken = False
                raise problem
            return super().claim_messages(limit, now_s, until_s)

    receiver, shelf = Receiver([204]), Broken()
    with serving(receiver.app) as url:  # type: ignore[arg-type]  # any ASGI application
        shelf.messages["msg_1"] = message(url)
        async with sending(shelf, "127.0.0.1"):
            await asyncio.wait_for(shelf.changed.wait(), 20)
    assert shelf.messages == {}


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/", "https://evil-hooks.example.com/", "http://2130706433/",
        "http://127.0.0.1/", "http://[::1]/", "http://[::ffff:127.0.0.1]/", "http://0x7f.1/",
        "https://user:pw@hooks.example.com/", "ftp://hooks.example.com/", "hooks.example.com", "",
        "https://", "https://hooks.example.com:99999/", "https://hooks.example.com" + "/a" * 2_000,
        "https://hooks.example.com@example.org/", "http://10.1.0.1/", "https://\u2100.com/",
    ],
)  # fmt: skip
def test_urls_are_refused_that_the_operator_does_not_allow(url: str) -> None:
    with pytest.raises(BadRequest) as refused:
        Hosts(["hooks.example.com", "10.0.0.0/16"]).check(url)
    assert refused.value.field == "webhook_url"
    with pytest.raises(BadRequest):
        Hosts([]).check("https://hooks.example.com/")


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.example.com/a?b=c", "https://HOOKS.example.com.:8443/",
        "http://10.0.3.4:80/", "http://[fd00::5]/", "http://[::ffff:10.0.0.1]/",
    ],
)  # fmt: skip
def test_urls_are_taken_that_the_operator_allows(url: str) -> None:
    assert Hosts(["hooks.example.com", "10.0.0.0/16", "fd00::/8"]).check(url) == httpx.URL(url)


async def test_name_does_not_lead_into_the_own_network() -> None:
    receiver = Receiver([204, 204])
    waiting = await after_one_try(receiver, "localhost", host="localhost")
    assert waiting is not None
    assert waiting.tries == 1
    assert receiver.got == []
    assert await after_one_try(receiver, "localhost", "127.0.0.0/8", host="localhost") is None
    assert receiver.got[0][0]["host"].startswith("localhost:")


async def test_address_is_resolved_once_for_check_and_use(monkeypatch: pytest.MonkeyPatch) -> None:
    receiver, asked = Receiver([204]), list[str]()
    real = socket.getaddrinfo

    def first_public(host: str, *rest: object, **more: object) -> object:
        if host != "hooks.example.com":
            return real(host, *rest, **more)  # type: ignore[arg-type]  # as they came
        asked.append(host)
        address = "127.0.0.1" if len(asked) == 1 else "169.254.169.254"
        return real(address, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", first_public)
    sent = await after_one_try(receiver, "hooks.example.com", "127.0.0.1", host="hooks.example.com")
    assert (sent, len(receiver.got), asked) == (None, 1, ["hooks.example.com"])


async def test_failed_message_waits_longer_each_time_and_is_given_up() -> None:
    for tries, wait_s in enumerate(WAITS_S):
        start_s = time.time()
        waiting = await after_one_try(Receiver([500]), "127.0.0.1", tries=tries)
        assert waiting is not None
        assert waiting.tries == tries + 1
        assert start_s + wait_s <= waiting.due_s <= time.time() + wait_s
    assert await after_one_try(Receiver([500]), "127.0.0.1", tries=len(WAITS_S)) is None


@pytest.mark.parametrize(
    ("status", "kept"), [(200, False), (299, False), (410, False), (307, True)]
)
async def test_status_decides(status: int, kept: bool) -> None:
    receiver = Receiver([status])
    assert (await after_one_try(receiver, "127.0.0.1") is not None) is kept
    assert len(receiver.got) == 1  # a redirect was not followed


async def test_receiver_that_is_not_there_is_tried_again_with_the_same_id() -> None:
    shelf, receiver = Shelf(), Receiver([204])
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        shelf.messages["msg_1"] = message(f"http://127.0.0.1:{port}/")
        async with sending(shelf, "127.0.0.1"):
            await asyncio.wait_for(shelf.changed.wait(), 20)
    assert shelf.messages["msg_1"].tries == 1
    shelf.changed.clear()
    with serving(receiver.app, port):  # type: ignore[arg-type]  # any ASGI application
        async with sending(shelf, "127.0.0.1", now=time.time() + 10):  # another process, later
            await asyncio.wait_for(shelf.changed.wait(), 20)
    assert shelf.messages == {}
    assert receiver.got[0][0]["webhook-id"] == "msg_1"


@pytest.mark.parametrize(
    "secret",
    ["", "whsec_", "whsec_!!!!", "whsec_" + "A" * 28, SECRET.removeprefix("whsec_"),
     "whsec_" + "A" * 200, "whsec_ä"],
)  # fmt: skip
def test_secrets_are_refused_without_showing_them(secret: str) -> None:
    with pytest.raises(BadRequest) as refused:
        check_secret(secret)
    assert refused.value.field == "webhook_secret"
    assert len(secret) < 8 or secret not in refused.value.message


def test_signature_is_that_of_the_specification() -> None:
    # The example of the specification's reference implementations.
    sent = Message(
        "msg_p5jXN8AQM9LWM0D4loKWxJek", "", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        '{"test": 2432232314}',
    )  # fmt: skip
    signature = signed_headers(sent, 1614265330)["webhook-signature"]
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
