"""Require an API key, before a body is read or a model works.

- A path that is not listed as open needs a key, so a new endpoint needs one by default.
- The module knows no rules of single endpoints.
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

# Open without a key: the page, the documentation, health, and the lists that existing clients
# request without one.
_OPEN: Final = re.compile(
    r"/|/books|/v1/?|/web/.*|/docs|/swagger/.*|/openapi\.json|/health(?:/live|/ready)?"
    r"|/v1/tts/(?:speakers|languages)|/v1/audio/(?:voices|models)|/v1/models(?:/[^/]+)?"
)
# Open to read, not to change.
# A key makes and changes its own voices, consents and jobs here.
_OWN: Final = re.compile(
    r"/v1/(?:tts/voices|jobs)/[^/]+|/v1/tts/voices/[^/]+/consent|/v1/audio/voices(?:/[^/]+)?|/v1/audio/voice_consents/[^/]+"
    r"|(?:/elevenlabs)?/v1/voices/[^/]+(?:/edit)?"
)
_MANAGED: Final = re.compile(r"/v1/(?:audio/)?(?:models|voices)(?:/.*)?")
_NAMED_KEY: Final = re.compile(r"(?:\A|,)\s*(?:openai-insecure-)?api-key\.([^\s,]+)")
_READING: Final = frozenset({"GET", "HEAD"})
_CHANGING: Final = frozenset({"PUT", "PATCH", "DELETE"})


def needed_scope(method: str, path: str, lists: Collection[str] = ()) -> keys.Scope | None:
    """Return the scope that a request needs, or None. `lists` are more paths that need no key."""
    if method in _READING:
        return None if path in lists or _OPEN.fullmatch(path) else "speak"
    if _OWN.fullmatch(path):
        return "speak"
    return "manage" if method in _CHANGING or _MANAGED.fullmatch(path) else "speak"


SPEND: Final = "spend"  # in `request.state`: counts a request, or raises `RateLimited`


class AuthMiddleware:
    """Reject requests without a valid key, or over the limits of their key.

    The status is 401, 403 or 429. `request.state` gets the name of the key as `key`, and
    `can_manage`. For `lists` see `needed_scope`.
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
            self._name(scope)
            await self._app(scope, receive, send)
            return
        try:
            key = self._allowed(Headers(scope=scope), needed)
            usage = self._usages.setdefault(key.name, _Usage())
            usage.begin(key, self._clock_s())
        except VivavoceError as error:
            # This also rejects a WebSocket, if the server supports HTTP responses for those.
            await answer_to(HTTPConnection(scope), error)(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        state.update(key=key.name, can_manage="manage" in key.scopes)
        if scope["type"] == "websocket":  # which has many texts
            state[SPEND] = lambda: usage.spend(key, self._clock_s())
        try:
            await self._app(scope, receive, send)
        finally:
            usage.running -= 1

    def _name(self, scope: Scope) -> None:
        """Tell an open path whose key was sent, if it is one: lists show the key's own voices."""
        if not self._keyring.required:
            return
        state = scope.setdefault("state", {})
        key = self._keyring.find(given_key(Headers(scope=scope)).encode("latin-1"))
        if key is None:
            state["stranger"] = True
        else:
            state.update(key=key.name, can_manage="manage" in key.scopes)

    def _allowed(self, headers: Headers, needed: keys.Scope) -> Key:
        """Return the key. Raises `Unauthorized`, `Forbidden`. Neither shows the secret."""
        secret = given_key(headers)
        if not secret:
            problem = "an API key is needed here: send it in the header 'Authorization: Bearer KEY'"
            raise Unauthorized(problem)
        key = self._keyring.find(secret.encode("latin-1"))
        if key is None:
            raise Unauthorized(
                "the API key that was sent is not known here: check it, or make one with "
                "`vivavoce keys create` on the server"
            )
        if needed not in key.scopes:
            raise Forbidden(
                f"the API key {key.name!r} does not have the scope {needed!r}, which this needs: "
                "use one that has"
            )
        return key


def given_key(headers: Headers) -> str:
    """Return the key in `Authorization: Bearer` or `xi-api-key`, or an empty string.

    A page cannot set headers of a WebSocket, and names the key as a subprotocol.
    """
    scheme, _, credentials = headers.get("authorization", "").partition(" ")
    bearer = credentials.strip() if scheme.lower() == "bearer" else ""
    named = _NAMED_KEY.search(headers.get("sec-websocket-protocol", ""))
    return bearer or headers.get("xi-api-key", "").strip() or (named[1] if named else "")


@dataclass(slots=True)
class _Usage:
    """The running requests of a key, and its use of the limit per minute."""

    running: int = 0
    spent: float = 0.0  # requests, given back evenly at the rate of the limit
    at_s: float = -math.inf

    def begin(self, key: Key, now_s: float) -> None:
        """Count a request, unless it raises `RateLimited`. The caller decrements `running`."""
        if key.max_concurrent is not None and self.running >= key.max_concurrent:
            raise RateLimited(
                f"the API key {key.name!r} has {self.running} requests running, as many as it may: "
                "wait for one to end",
                retry_after_s=1.0,
            )
        self.spend(key, now_s)
        self.running += 1

    def spend(self, key: Key, now_s: float) -> None:
        """Count a request against the limit per minute, unless it raises `RateLimited`."""
        if (limit := key.requests_per_minute) is not None:
            spent = max(0.0, self.spent - (now_s - self.at_s) * limit / 60)
            if spent > limit - 1:
                raise RateLimited(
                    f"the API key {key.name!r} may start {limit} requests a minute, and has: "
                    "wait as Retry-After says",
                    retry_after_s=math.ceil((spent - (limit - 1)) * 60 / limit),
                )
            self.spent, self.at_s = spent + 1, now_s
