"""Extend uvicorn's protocol for WebSockets."""

from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol


class LiveProtocol(WebSocketsSansIOProtocol):
    """A connection whose refusal before the handshake is no fault of the server.

    uvicorn 0.54 logs an error for each, since it forgets that an answer was sent.
    """

    # Any: uvicorn's union of messages is not public.
    async def send(self, message: Any) -> None:
        await super().send(message)
        if self.initial_response is not None and self.close_sent:
            self.handshake_complete = True
