"""Ask for a key before anything that costs: a plain ASGI layer around every endpoint; knows no
endpoint's own rules.

What is not in the list of open paths needs a key, so an endpoint that is added is guarded from its
first day.
"""

import math
import re
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from vivavoce import keys
from vivavoce.api.errors import answer_to
from vivavoce.errors import Forbidden, RateLimited, Unauthorized, VivavoceError
from vivavoce.keys import Key, Keyring

# To look at, without a key: the page, the documentation, health, and the lists that real clients
# ask for without one.
_OPEN: Final = re.compile(
    r"/|/v1/?|/web/.*|/docs|/swagger/.*|/openapi\.json|/health(?:/live|/ready)?"
    r"|/v1/tts/(?:speakers|languages)|/v1/audio/(?:voices|models)|/v1/models(?:/[^/]+)?"
)
_MANAGED: Final = re.compile(
    r"/v1/(?:audio/)?(?:models|voices)(?:/.*)?"
)  # open to look at, not to change
_LOOKING: Final = frozenset({"GET", "HEAD"})
_CHANGING: Final = frozenset({"PUT", "PATCH", "DELETE"})


def needed_scope(method: str, path: str, lists: Collection[str] = ()) -> keys.Scope | None:
    """What a key must allow for this request, or `None` if it needs no key.

    `lists` are paths that settings have moved, to look at without a key as well.
    """
    if method in _LOOKING:
        return None if path in lists or _OPEN.fullmatch(path) else "speak"
    return "manage" if method in _CHANGING or _MANAGED.fullmatch(path) else "speak"


class AuthMiddleware:
    """Lets requests through whose key allows them; `request.state` then has its name and whether it
    `can_manage`.

    Answers 401, 403, or 429 where a key's own limits are reached, before a body is read. `lists`
    are those of `needed_scope`.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        keyring: Keyring,
        lists: Collection[str] = (),
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app = app
        self._lists = lists
        self._keyring = keyring
        self._clock_s = clock_s
        self._usages: dict[str, _Usage] = {}  # as many as there are keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        self._keyring.refresh()
        needed = needed_scope(scope.get("method", "WEBSOCKET"), scope["path"], self._lists)
        if needed is None or not self._keyring.required:
            await self._app(scope, receive, send)
            return
        try:
            key = self._allowed(Headers(scope=scope), needed)
            usage = self._usages.setdefault(key.name, _Usage())
            usage.begin(key, self._clock_s())
        except VivavoceError as error:
            # For a WebSocket this is its refusal, which the server may only send in HTTP's form if
            # it offers to.
            await answer_to(HTTPConnection(scope), error)(scope, receive, send)
            return
        scope.setdefault("state", {}).update(key=key.name, can_manage="manage" in key.scopes)
        try:
            await self._app(scope, receive, send)
        finally:
            usage.running -= 1

    def _allowed(self, headers: Headers, needed: keys.Scope) -> Key:
        """Return the key that came with the request.

        Raises `Unauthorized` or `Forbidden`; neither shows what was sent.
        """
        secret = given_key(headers)
        if not secret:
            raise Unauthorized(
                "an API key is needed here: send it in the header 'Authorization: Bearer KEY'"
            )
        key = self._keyring.find(secret.encode("latin-1"))
        if key is None:
            raise Unauthorized(
                "the API key that was sent is not known here: check it, or make one with `vivavoce keys create` on "
                "the server"
            )
        if needed not in key.scopes:
            raise Forbidden(
                f"the API key {key.name!r} does not have the scope {needed!r}, which this needs: use one that has"
            )
        return key


def given_key(headers: Headers) -> str:
    """Return the key in `Authorization: Bearer` or `xi-api-key`; an empty one is none."""
    scheme, _, credentials = headers.get("authorization", "").partition(" ")
    bearer = credentials.strip() if scheme.lower() == "bearer" else ""
    return bearer or headers.get("xi-api-key", "").strip()


@dataclass(slots=True)
class _Usage:
    """How a key is used at the moment: what runs, and what it may still start of this minute's requests."""

    running: int = 0
    spent: float = (
        0.0  # requests; what has been spent comes back evenly, as many as are allowed in a minute
    )
    at_s: float = -math.inf

    def begin(self, key: Key, now_s: float) -> None:
        """Count a request in, which the caller counts out of `running`.

        Raises `RateLimited` and counts nothing.
        """
        if key.max_concurrent is not None and self.running >= key.max_concurrent:
            raise RateLimited(
                f"the API key {key.name!r} has {self.running} requests running, as many as it may: wait for one to end",
                retry_after_s=1.0,
            )
        if (limit := key.requests_per_minute) is not None:
            spent = max(0.0, self.spent - (now_s - self.at_s) * limit / 60)
            if spent > limit - 1:
                raise RateLimited(
                    f"the API key {key.name!r} may start {limit} requests a minute, and has: wait as Retry-After says",
                    retry_after_s=math.ceil((spent - (limit - 1)) * 60 / limit),
                )
            self.spent, self.at_s = spent + 1, now_s
        self.running += 1
