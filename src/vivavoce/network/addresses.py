"""Find the addresses and URLs of this server for other devices.

- It sends nothing.
- A server on a loopback address has no address for other devices.
"""

import ipaddress
import socket

EVERYWHERE = frozenset({"0.0.0.0", "::", ""})


def network_address() -> str | None:
    """Return this machine's network address, or `None` without a network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # a documentation address: connecting UDP sends nothing
        except OSError:
            return None
        address = str(probe.getsockname()[0])
    return None if address.startswith("127.") else address


def origin(host: str, port: int, *, tls: bool) -> str:
    """Return the URL of this server at `host`, without a path."""
    return f"{'https' if tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"


def network_url(host: str, port: int, *, tls: bool) -> str | None:
    """Return the URL of `host` for other devices, `None` if loopback or without a network."""
    address = network_address() if host in EVERYWHERE else None if is_loopback(host) else host
    return None if address is None else f"{origin(address, port, tls=tls)}/"


def is_loopback(host: str) -> bool:
    """True if `host` is a loopback name or address."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:  # a name
        return host.lower() == "localhost"
    # An IPv4 address in IPv6 is what its IPv4 address is, which Python knows since 3.13.
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def mdns_host() -> str:
    """Return this server's mDNS host name, not the machine's own, which others announce."""
    return f"vivavoce-{socket.gethostname().partition('.')[0]}.local"


def own_names(host: str) -> tuple[str, ...]:
    """Return the names and addresses of a server that listens on `host`, each once."""
    hostname = socket.gethostname()
    names = ["localhost", "127.0.0.1", "::1", hostname, mdns_host()]
    names.append(f"{hostname.partition('.')[0]}.local")
    names += [] if host in EVERYWHERE else [host]
    names += [address] if (address := network_address()) else []
    return tuple(dict.fromkeys(name.lower() for name in names if name))
