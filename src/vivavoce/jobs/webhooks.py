"""Tell another server what became of a job, in the form of Standard Webhooks.

- Messages go only to hosts that the operator allows. Redirects are not followed.
- No name leads to an address that is not public, unless the operator allows the address too.
- Messages wait in the store, so a restart loses none. Each has a bounded number of tries.
"""

import asyncio
import base64
import binascii
import hashlib
import hmac
import logging
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final, Protocol

import httpx

from vivavoce.errors import BadRequest

log = logging.getLogger(__name__)

# Seconds between the tries, as the specification of Standard Webhooks proposes: a day in all.
WAITS_S: Final = (5, 300, 1_800, 7_200, 18_000, 36_000, 36_000)
TIMEOUT_S: Final = 15.0  # of one try, with the resolution of the name
AT_ONCE: Final = 8
MAX_URL_CHARS: Final = 2_000
_PREFIX: Final = "whsec_"
_MIN_SECRET, _MAX_SECRET = 24, 64  # bytes, as the specification says
_NAT64: Final = ip_network("64:ff9b::/96")
_GONE: Final = 410  # the receiver wants no more

Address = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class Webhook:
    """Who is to be told of a job, and the secret that signs it."""

    url: str
    secret: str


@dataclass(frozen=True, slots=True)
class Message:
    """A message that waits for its next try, `due_s` in Unix time."""

    id: str  # the same in each try, so that a receiver can drop copies
    url: str
    secret: str
    body: str
    tries: int = 0
    due_s: float = 0.0


class Outbox(Protocol):
    """Where messages wait. Its methods block."""

    def waiting_messages(self, limit: int) -> Sequence[Message]:
        """Return the messages that are due first."""

    def postpone_message(self, message: Message) -> None:
        """Store the new `tries` and `due_s` of a message."""

    def remove_message(self, id: str) -> None:
        """Remove a message that was delivered or given up."""


class Hosts:
    """The receivers that the operator allows: names, addresses, and networks like 10.0.0.0/8."""

    def __init__(self, allowed: Sequence[str]) -> None:
        self._networks = [found for one in allowed if (found := _network(one)) is not None]
        self._names = {one.lower().rstrip(".") for one in allowed if _network(one) is None}

    def check(self, url: str) -> httpx.URL:
        """Return `url` in parts. Raises `BadRequest` if no message may go there."""
        try:
            parts = httpx.URL(url) if len(url) <= MAX_URL_CHARS else httpx.URL()
        except (httpx.InvalidURL, ValueError):
            parts = httpx.URL()
        is_address = parts.scheme in ("http", "https") and (parts.port or 1) < 2**16
        if not is_address or not parts.host or parts.userinfo:
            raise BadRequest(
                f"webhook_url {url[:80]!r} is not an address of a server: send one like "
                "https://hooks.example.com/jobs, without a user in it",
                field="webhook_url",
            )
        if self._allows(_host(parts)):
            return parts
        raise BadRequest(
            f"webhook_url leads to {_host(parts)[:80]!r}, which this server does not send to: name "
            "it in the setting webhook_hosts",
            field="webhook_url",
        )

    async def address(self, parts: httpx.URL) -> str:
        """Return an allowed address of a host. Raises `OSError` if it has none."""
        host = _host(parts)
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, parts.port or 443, type=socket.SOCK_STREAM)
        addresses = [str(where[0]).partition("%")[0] for *_, where in found]
        if (allowed := next(filter(self._reachable, addresses), None)) is None:
            raise OSError(f"{host!r} leads to {addresses[0]}, which webhook_hosts does not allow")
        return allowed

    def _allows(self, host: str) -> bool:
        return host in self._names or ((ip := _ip(host)) is not None and self._listed(ip))

    def _reachable(self, address: str) -> bool:
        ip = _ip(address)
        return ip is not None and (self._listed(ip) or (ip.is_global and not ip.is_multicast))

    def _listed(self, ip: Address) -> bool:
        return any(ip.version == one.version and ip in one for one in self._networks)


def _network(text: str):  # type: ignore[no-untyped-def]  # a network of either version
    try:
        return ip_network(text.strip("[]"), strict=False)
    except ValueError:
        return None


def _host(parts: httpx.URL) -> str:
    return parts.raw_host.decode("ascii").lower().rstrip(".")


def _ip(text: str) -> Address | None:
    """Return an address, that of IPv4 if it is inside one of IPv6."""
    try:
        ip = ip_address(text)
    except ValueError:
        return None
    if isinstance(ip, IPv4Address):
        return ip
    if ip in _NAT64:
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or ip


def check_secret(secret: str) -> bytes:
    """Return the bytes of a secret. Raises `BadRequest` if it is not one of Standard Webhooks."""
    with suppress(binascii.Error, ValueError):
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
        if secret.startswith(_PREFIX) and _MIN_SECRET <= len(key) <= _MAX_SECRET:
            return key
    raise BadRequest(  # without the value, which is secret
        f"webhook_secret is not one of Standard Webhooks: send {_PREFIX} and {_MIN_SECRET} to "
        f"{_MAX_SECRET} random bytes in base64",
        field="webhook_secret",
    )


def signed_headers(message: Message, now_s: float) -> dict[str, str]:
    """Return the headers that show a message to be ours."""
    stamp = str(int(now_s))
    signed = f"{message.id}.{stamp}.{message.body}".encode()
    digest = hmac.digest(check_secret(message.secret), signed, hashlib.sha256)
    return {
        "Content-Type": "application/json",
        "User-Agent": "vivavoce",
        "webhook-id": message.id,
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode('ascii')}",
    }


class Webhooks:
    """Sends the messages of an outbox as long as `run` runs. `wake` tells it of new ones."""

    def __init__(
        self, outbox: Outbox, hosts: Hosts, *, clock_s: Callable[[], float] = time.time
    ) -> None:
        self.hosts = hosts
        self._outbox = outbox
        self._clock_s = clock_s
        self._new = asyncio.Event()

    def wake(self) -> None:
        """Look for messages now."""
        self._new.set()

    async def run(self) -> None:
        """Send what is due, again and again."""
        async with httpx.AsyncClient(follow_redirects=False, trust_env=False) as client:
            while True:
                self._new.clear()
                waiting = await asyncio.to_thread(self._outbox.waiting_messages, AT_ONCE)
                now_s = self._clock_s()
                if due := [message for message in waiting if message.due_s <= now_s]:
                    await asyncio.gather(*(self._try(client, message) for message in due))
                    continue
                wait_s = min((message.due_s - now_s for message in waiting), default=None)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._new.wait(), wait_s)

    async def _try(self, client: httpx.AsyncClient, message: Message) -> None:
        """Send a message once. Keep it for later if that fails, and it has tries left."""
        try:
            status: int | None = await self._send(client, message)
            problem = f"the answer was {status}"
        except BadRequest as error:  # the settings have changed
            status, problem = _GONE, error.message
        except (OSError, httpx.HTTPError, UnicodeError) as error:
            status, problem = None, str(error) or type(error).__name__
        if status is not None and 200 <= status < 300:
            await asyncio.to_thread(self._outbox.remove_message, message.id)
        elif status == _GONE or message.tries >= len(WAITS_S):
            log.warning("gave up the webhook %s after %d tries: %s", message.id, message.tries + 1,
                        problem)  # fmt: skip
            await asyncio.to_thread(self._outbox.remove_message, message.id)
        else:
            due_s = self._clock_s() + WAITS_S[message.tries]
            later = replace(message, tries=message.tries + 1, due_s=due_s)
            log.info("the webhook %s waits for try %d: %s", message.id, later.tries + 1, problem)
            await asyncio.to_thread(self._outbox.postpone_message, later)

    async def _send(self, client: httpx.AsyncClient, message: Message) -> int:
        """Return the status of the answer, whose body is not read."""
        parts = self.hosts.check(message.url)
        async with asyncio.timeout(TIMEOUT_S):
            # The address that was checked is the one that is used, whatever the name says next.
            address = await self.hosts.address(parts)
            headers = {**signed_headers(message, self._clock_s()), "Host": parts.netloc.decode()}
            async with client.stream(
                "POST",
                parts.copy_with(host=address),
                content=message.body.encode(),
                headers=headers,
                timeout=TIMEOUT_S,
                extensions={"sni_hostname": _host(parts)},
            ) as answer:
                return answer.status_code
