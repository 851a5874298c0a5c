"""Define `vivavoce serve`, which binds the address and runs the application."""

import errno
import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from vivavoce import __version__
from vivavoce.cli.options import Config, option
from vivavoce.cli.wyoming import OPTION as WYOMING
from vivavoce.cli.wyoming import beside, reachable
from vivavoce.errors import BindError
from vivavoce.network.addresses import EVERYWHERE, is_loopback, network_url, origin, own_names
from vivavoce.network.certificate import Certificate, load_certificate, self_signed
from vivavoce.network.mdns import advertise

if TYPE_CHECKING:
    from vivavoce.settings import Settings

_BACKLOG = 2048  # connections that wait to be accepted, without descriptors


def serve(
    host: Annotated[
        str | None,
        option("Address to listen on. 127.0.0.1 for this machine only.", default="0.0.0.0"),
    ] = None,
    port: Annotated[int | None, option("Port. 0 takes any free one.", default="8000")] = None,
    models: Annotated[
        str | None, option("Models to offer, comma-separated.", default="hibari,kokoro")
    ] = None,
    default_model: Annotated[
        str | None,
        option(
            "Model for requests that name none: a name, or the folder or hub id of a Qwen3-TTS "
            "checkpoint.",
            "--default-model",
            "--model",
            default="auto",
        ),
    ] = None,
    qwen: Annotated[
        str | None,
        option(
            "Qwen3-TTS checkpoints to offer, before all other models: folders or hub ids.",
            metavar="DIR|ID[,…]",
        ),
    ] = None,
    qwen_device: Annotated[
        str | None, option("Device for Qwen3-TTS, like cuda or cpu.", default="auto")
    ] = None,
    remote: Annotated[
        str | None,
        option(
            "Models of other speech servers. The least busy server speaks.", metavar="MODEL=URL[,…]"
        ),
    ] = None,
    ray: Annotated[
        str | None,
        option("Models that the Ray cluster of this machine speaks.", metavar="NAME[,…]"),
    ] = None,
    load_models: Annotated[
        Literal["startup", "lazy"] | None,
        option("Time to load models.", "--load-models", "--load", default="startup"),
    ] = None,
    tls_self_signed: Annotated[
        bool | None,
        option("Serve https with a self-signed certificate.", "--tls-self-signed", default=False),
    ] = None,
    wyoming: Annotated[
        str | None,
        option(
            "Address for Home Assistant and other clients of the Wyoming protocol. Without a "
            "value: tcp://0.0.0.0:10200.",
            WYOMING,
            metavar="[tcp://HOST:PORT]",
            default="none",
        ),
    ] = None,
    mdns: Annotated[
        bool | None, option("Announce the server on the local network.", "--mdns", default=False)
    ] = None,
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"] | None,
        option("Least severe messages to log.", default="info"),
    ] = None,
    log_format: Annotated[
        Literal["text", "json"] | None,
        option("Format of log lines, for people or for programs.", default="text"),
    ] = None,
    config: Config = None,
) -> None:
    """Start the speech server.

    Options override VIVAVOCE_… environment variables, which override the
    settings file. After the first SIGTERM or Ctrl-C running requests finish.
    A second one stops the server at once.

    Exit codes: 0 ended by SIGTERM, and all requests were answered · 1 no
    model could be loaded, or requests were cut · 2 wrong settings · 3 the
    server cannot listen on its address · 4 the models are missing · 5 no disk
    space for temporary files · 130 Ctrl-C · 143 a second SIGTERM.

    Examples:
      vivavoce serve
      vivavoce serve --models hibari --port 9000
      vivavoce serve --model Qwen/Qwen3-TTS-12Hz-0.6B-CustomVoice
      vivavoce serve --model ./my-checkpoint
      vivavoce serve --tls-self-signed --mdns
      vivavoce serve --wyoming --mdns
      vivavoce serve --remote kokoro=http://10.0.0.2:8000 --models hibari
      VIVAVOCE_LOG_LEVEL=debug vivavoce serve --config /etc/vivavoce.toml
    """
    given = locals()  # each option is a setting of its name
    from vivavoce.settings import Settings

    _run(Settings.read(**given))


def _run(settings: "Settings") -> None:
    """Serve until a signal.

    Raises `BindError`, `DiskFull`, or the error that keeps every model from loading.
    """
    from vivavoce.api.app import create_app
    from vivavoce.api.live.socket import WEBSOCKETS
    from vivavoce.api.middleware.connections import Bounds, bounded_http
    from vivavoce.cli.server import check_disk, fit_connections, run
    from vivavoce.observability.logs import set_up

    set_up(settings.log_level, settings.log_format)
    check_disk()
    certificate = _certificate(settings)
    with ExitStack() as stack:
        wyoming = None
        if settings.wyoming_address is not None:
            wyoming = stack.enter_context(listen(*settings.wyoming_address, option=WYOMING))
            app = create_app(settings, beside=beside(settings, wyoming))
        else:
            app = create_app(settings)
        others = 0 if wyoming is None else settings.max_live_connections
        max_connections = fit_connections(settings.max_connections, others)
        bounds = Bounds(max_connections, settings.receive_timeout_s, settings.send_timeout_s)
        listener = stack.enter_context(listen(settings.host, settings.port))
        port = listener.getsockname()[1]
        _announce(settings, port, certificate, wyoming)
        _warn_if_open(settings)
        if settings.mdns:
            is_tls = certificate is not None
            wyoming_port = None if wyoming is None else wyoming.getsockname()[1]
            found = advertise(settings.host, port, tls=is_tls, wyoming_port=wyoming_port)
            typer.echo(f"  mDNS     {stack.enter_context(found).removesuffix('.')}")
        whole = run(
            app,
            app.state.server.lifecycle,
            listener,
            log_level=settings.log_level,
            http=bounded_http(bounds),
            **WEBSOCKETS,
            ssl_certfile=certificate.certificate if certificate else None,
            ssl_keyfile=certificate.key if certificate else None,
        )
    if not whole:
        raise typer.Exit(1)  # the log has the reason


def _certificate(settings: "Settings") -> Certificate | None:
    """Return the certificate for https, or `None` for http."""
    if settings.tls_certificate is not None and settings.tls_key is not None:
        return load_certificate(settings.tls_certificate, settings.tls_key)
    if settings.tls_self_signed:
        return self_signed(settings.cache_dir / "tls", own_names(settings.host))
    return None


def listen(host: str, port: int, *, option: str = "--port") -> socket.socket:
    """Return a listening socket, before any model is loaded. Raises `BindError`.

    `option` is the one to change if the port cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    both = host == "::" and socket.has_dualstack_ipv6()
    try:
        listening = socket.create_server(
            (host, port), family=family, backlog=_BACKLOG, dualstack_ipv6=both
        )
        # Connections inherit it. asyncio sets it only on sockets that name their protocol, and
        # without it a small message may wait 40 ms for the client's acknowledgement.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listening
    except OSError as error:
        raise BindError(_bind_problem(host, port, option, error)) from error


def _bind_problem(host: str, port: int, option: str, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        taken = f"port {port} on {host!r} is taken"
        return f"{taken}: stop what listens there, or choose another with {option}"
    if error.errno in (errno.EACCES, errno.EPERM):
        problem = f"port {port} needs rights that this user does not have"
        return f"{problem}: choose one from 1024 up with {option}"
    problem = f"cannot listen on host {host!r}, port {port} ({error.strerror})"
    option = option.replace("--port", "--host")
    return f"{problem}: choose an address of this machine with {option}"


def _announce(
    settings: "Settings",
    port: int,
    certificate: Certificate | None,
    wyoming: socket.socket | None,
) -> None:
    """Print the server's addresses and an example, unbuffered."""
    here = _url(settings.host, port, tls=certificate is not None)
    pinned = certificate if settings.tls_self_signed else None
    trusting = f"--cacert {pinned.certificate} " if pinned else ""
    lines = [
        f"vivavoce {__version__} serves {', '.join(settings.offered)}",
        *reachable_at(settings.host, port, tls=certificate is not None),
        *([] if wyoming is None else [f"  Wyoming  {reachable(wyoming)}"]),
        f"  API      {here}/docs",
        f"  try      curl {trusting}{here}/v1/tts/synthesize -H 'content-type: application/json' "
        """-d '{"text": "Hello there."}' -o hello.wav""",
    ]
    if pinned:
        lines.append(
            f"  SHA-256  {pinned.fingerprint()} of the certificate, for clients that pin it"
        )
    typer.echo("\n".join(lines))


def _warn_if_open(settings: "Settings") -> None:
    """Warn on stderr if anyone can use the server."""
    from vivavoce.keys import FILE_NAME, KeyFile

    hosts = (settings.host, *(settings.wyoming_address or ())[:1])
    host = next((host for host in hosts if not is_loopback(str(host))), None)
    if host is not None and KeyFile(settings.data_dir / FILE_NAME).read() is None:
        typer.echo(
            f"warning: no API key is asked for, so whoever reaches {host!r} can use this "
            "server, and so can any web page that is open in a browser there, GET included. "
            "`vivavoce keys create NAME` makes a key; --host 127.0.0.1 keeps the server to this "
            "machine.",
            err=True,
        )


def reachable_at(host: str, port: int, *, tls: bool = False) -> list[str]:
    """Return lines with the URLs of a page, on this machine and on the network."""
    lines = [f"  page     {_url(host, port, tls=tls)}/"]
    if host in EVERYWHERE and (url := network_url(host, port, tls=tls)):
        lines.append(f"  network  {url}")
    return lines


def _url(host: str, port: int, *, tls: bool) -> str:
    return origin("localhost" if host in EVERYWHERE else host, port, tls=tls)
