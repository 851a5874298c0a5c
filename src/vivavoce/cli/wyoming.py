"""Open the port for clients of Wyoming beside the HTTP application."""

import socket
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand

from vivavoce.network.addresses import EVERYWHERE, network_address

if TYPE_CHECKING:
    from vivavoce.api.dependencies import Server
    from vivavoce.settings import Settings

OPTION = "--wyoming"


class WithWyoming(TyperCommand):
    """A command whose option `--wyoming` may come without an address."""

    # Any: Typer's context class is not public.
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        from vivavoce.settings.types import WYOMING

        given = [
            f"{arg}={WYOMING}" if arg == OPTION and following.startswith("-") else arg
            for arg, following in pairwise([*args, "-"])
        ]
        return super().parse_args(ctx, given)


def beside(
    settings: "Settings", listener: socket.socket
) -> "Callable[[Server], AbstractAsyncContextManager[None]]":
    """Return what serves clients of Wyoming on `listener`, for `create_app`."""
    from vivavoce.keys import FILE_NAME, Keyring
    from vivavoce.wyoming.server import serving
    from vivavoce.wyoming.services import Options

    keyring = Keyring(settings.data_dir / FILE_NAME)

    def is_open() -> bool:
        keyring.refresh()
        return settings.wyoming_without_key or not keyring.required

    if keyring.required:
        typer.echo(_warning(settings), err=True)
    return partial(
        serving,
        listener=listener,
        options=Options(send_timeout_s=settings.send_timeout_s, is_open=is_open),
    )


def _warning(settings: "Settings") -> str:
    problem = "warning: clients of Wyoming cannot send an API key, and this server asks for one"
    if settings.wyoming_without_key:
        return f"{problem}. Whoever reaches {settings.wyoming} can make it speak without a key."
    return (
        f"{problem}, so it does not speak for them. The setting wyoming_without_key lets whoever "
        f"reaches {settings.wyoming} make it speak without a key."
    )


def reachable(listener: socket.socket) -> str:
    """Return the URL of `listener`, for a client on the network if it listens there."""
    host, port = listener.getsockname()[:2]
    if host in EVERYWHERE:
        host = network_address() or "localhost"
    return f"tcp://{f'[{host}]' if ':' in host else host}:{port}"
