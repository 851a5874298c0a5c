"""Decide which hosts may be told of a job: those that the operator allows.

No name leads to an address that is not public, unless the operator allows the address too.
"""

import asyncio
import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

import httpx

from vivavoce.errors import BadRequest

MAX_URL_CHARS: Final = 2_000
_NAT64: Final = ip_network("64:ff9b::/96")

Address = IPv4Address | IPv6Address


class Hosts:
    """The receivers that the operator allows: names, addresses, and networks like 10.0.0.0/8."""

    def __init__(self, allowed: Sequence[str]) -> None:
        self._networks = [found for one in allowed if (found := _network(one)) is not None]
        self._names = {one.lower().rstrip(".") for one in allowed if _network(one) is None}

    def __bool__(self) -> bool:
        return bool(self._names or self._networks)

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
        if self._allows(host_of(parts)):
            return parts
        raise BadRequest(
            f"webhook_url leads to {host_of(parts)[:80]!r}, which this server does not tell: name "
            "it in the setting webhook_hosts",
            field="webhook_url",
        )

    async def address(self, parts: httpx.URL) -> str:
        """Return an allowed address of a host. Raises `OSError` if it has none."""
        host = host_of(parts)
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


def host_of(parts: httpx.URL) -> str:
    """Return the host of a URL in ASCII, in lower case."""
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
