"""Reject requests of foreign web pages to a server that serves its own machine only.

A browser on that machine reaches the server, so any page that is open in it could. These headers
reveal such a page:

- `Origin` names the host of the page.
- `Sec-Fetch-Site` reveals images and players in another site's page, which send no `Origin`.
- `Host` is the page's own host after DNS rebinding.

Other clients send `Host` alone.
"""

import re
from collections.abc import Collection
from typing import Final
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from vivavoce.api.errors import refuse
from vivavoce.network.addresses import is_loopback

_HOST: Final = re.compile(
    r"(?:\[([\da-f:.]+)\]|([\w.-]+?)\.?)(?::\d{0,5})?", re.ASCII | re.IGNORECASE
)
_ORIGIN: Final = re.compile(r"[a-z][a-z\d+.-]*://(.+)", re.IGNORECASE)
PAGES: Final = frozenset({"/", "/docs"})  # a link on another site may lead to these


class OriginMiddleware:
    """Answer 403 to requests whose `Host` or `Origin` is not in `hosts` and not loopback."""

    def __init__(self, app: ASGIApp, *, hosts: Collection[str]) -> None:
        self._app = app
        self._hosts = frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or not (problem := self._problem(scope)):
            await self._app(scope, receive, send)
            return
        message = (
            f"{problem}, and this server is for this machine alone: add the host to the setting "
            "'allowed_hosts', or listen on another address with --host"
        )
        response = refuse(scope, 403, code="foreign_origin", message=message)
        await response(scope, receive, send)

    def _problem(self, scope: Scope) -> str:
        """Return the problem of the request, or an empty string."""
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        host, origin = headers.get(b"host"), headers.get(b"origin")
        if host and not self._is_own(host):
            return f"the request is for the host {host[:100]!r}"
        if origin is not None:
            url = _ORIGIN.fullmatch(origin)
            own = url is not None and self._is_own(url[1])
            return "" if own else f"the request is from a page of {origin[:100]!r}"
        leads_here = headers.get(b"sec-fetch-mode") == "navigate" and scope["path"] in PAGES
        if headers.get(b"sec-fetch-site") == "cross-site" and not leads_here:
            return "the request is from a page of another site"
        return ""

    def _is_own(self, authority: str) -> bool:
        """True if `authority` is a host of this server, with or without a port, and no more."""
        if (found := _HOST.fullmatch(authority)) is None:
            return False
        host = (found[1] or found[2]).lower()
        # Browsers never look up the names below `localhost`.
        return host in self._hosts or is_loopback(host) or host.endswith(".localhost")


def host_of(url: str) -> str:
    """Return the host in the URL of a setting, in lower case, or an empty string."""
    try:
        return (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        return ""
