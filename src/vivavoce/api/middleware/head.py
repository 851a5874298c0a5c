"""Answer HEAD like GET on every path, without the body."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vivavoce.api.errors import HEAD


class HeadMiddleware:
    """Pass HEAD on as GET with a mark, and drop the body of the answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def send_headers(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        scope.update({"method": "GET", HEAD: True})
        try:
            await self._app(scope, receive, send_headers)
        finally:
            scope["method"] = "HEAD"  # for the layers around this one
