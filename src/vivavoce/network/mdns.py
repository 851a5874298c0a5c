"""Announce the server on the local network by mDNS."""

import asyncio
import ipaddress
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from vivavoce import __version__
from vivavoce.errors import MissingDependency, SettingsError
from vivavoce.network.addresses import EVERYWHERE, mdns_host, network_address

if TYPE_CHECKING:
    from zeroconf import ServiceInfo, Zeroconf

log = logging.getLogger(__name__)

SERVICE = "_vivavoce._tcp.local."
WYOMING = "_wyoming._tcp.local."


@contextmanager
def advertise(host: str, port: int, *, tls: bool, wyoming_port: int | None = None) -> Iterator[str]:
    """Announce a server on `host` during the block, and yield its mDNS name.

    The services are `_vivavoce._tcp`, and `_http._tcp` or `_https._tcp` for programs that look for
    pages. With `wyoming_port` there is `_wyoming._tcp`, which Home Assistant looks for. A server on
    one address is announced only on that network. Raises `MissingDependency`
    without the package zeroconf, and `SettingsError` if there is no address to announce.
    """
    try:
        from zeroconf import InterfaceChoice, ServiceInfo, Zeroconf
    except ImportError as error:
        problem = "mdns needs the package zeroconf: pip install 'vivavoce[lan]'"
        raise MissingDependency(problem) from error
    address = network_address() if host in EVERYWHERE else host
    hostname = socket.gethostname().partition(".")[0]
    properties = {"path": "/", "api": "/v1/tts", "tls": "1" if tls else "0", "version": __version__}
    name, web = f"vivavoce on {hostname}, port {port}", "_https" if tls else "_http"
    where, server = [_packed(address, host)], f"{mdns_host()}."
    services = [
        ServiceInfo(kind, f"{name}.{kind}", port, 0, 0, properties, server, addresses=where)
        for kind in (SERVICE, f"{web}._tcp.local.")
    ]
    if wyoming_port is not None:
        here = f"vivavoce on {hostname}, port {wyoming_port}.{WYOMING}"
        facts = {"version": __version__}
        services.append(
            ServiceInfo(WYOMING, here, wyoming_port, 0, 0, facts, server, addresses=where)
        )
    try:
        zeroconf = Zeroconf(interfaces=InterfaceChoice.Default if host in EVERYWHERE else [host])
    except OSError as error:
        problem = f"mdns cannot announce on host {host!r} ({error}): turn it off"
        raise SettingsError(problem) from error
    # Checking that a name is free takes seconds, so it runs on zeroconf's own loop.
    loop = zeroconf.loop
    assert loop is not None
    works = (_announce(zeroconf, service) for service in services)
    announcing = [asyncio.run_coroutine_threadsafe(work, loop) for work in works]
    try:
        yield services[0].name
    finally:
        for announcement in announcing:
            announcement.cancel()
        zeroconf.close()  # withdraws each service


async def _announce(zeroconf: "Zeroconf", service: "ServiceInfo") -> None:
    from zeroconf import NonUniqueNameException

    try:
        await (await zeroconf.async_register_service(service))
    except (NonUniqueNameException, OSError) as error:
        log.warning("mdns could not announce %r: %s", service.name, error)


def _packed(address: str | None, host: str) -> bytes:
    try:
        return ipaddress.ip_address(address or "").packed
    except ValueError as error:
        raise SettingsError(
            f"mdns has no address to announce for host {host!r}: connect a network, or give host "
            "as an address"
        ) from error
