"""Serve ElevenLabs' WebSockets: `stream-input` for one text, `multi-stream-input` for many."""

from collections.abc import Mapping
from typing import Any, Final

from fastapi import APIRouter, WebSocket

from vivavoce.api.elevenlabs.bodies import ClientMessage, ContextMessage
from vivavoce.api.elevenlabs.socket import Context, ElevenLabsSocket, close_code
from vivavoce.errors import VivavoceError

router = APIRouter(tags=["elevenlabs"])

MAX_UNWRITTEN: Final = (
    64  # contexts without a word: the oldest is forgotten, not the newest refused
)


@router.websocket("/v1/text-to-speech/{voice_id}/stream-input")
async def stream_input(socket: WebSocket, voice_id: str) -> None:
    await OneText(socket, voice_id).run()


@router.websocket("/v1/text-to-speech/{voice_id}/multi-stream-input")
async def multi_stream_input(socket: WebSocket, voice_id: str) -> None:
    await ManyTexts(socket, voice_id).run()


class OneText(ElevenLabsSocket):
    """A client with one text, which an empty one ends. The first error ends the connection."""

    _context: Context | None = None
    _ended = False

    async def on_message(self, message: Mapping[str, Any]) -> None:
        sent = ClientMessage.model_validate(message)
        if self._ended:
            return
        if self._context is None:
            self._context = Context("", sent.voice_settings)
        if sent.text != "":
            self.write(self._context, sent)
            return
        self._ended = True
        self.end(self._context)
        if self._context.utterance is None:
            await self.on_finished(self._context)

    async def on_error(self, error: VivavoceError, message: Mapping[str, Any]) -> None:
        await self.send_error(error, "")
        await self.close(close_code(error), error.message)

    async def on_finished(self, context: Context) -> None:
        await self.send_final("")
        await self.close()

    async def on_failed(self, context: Context, error: VivavoceError) -> None:
        await self.close(close_code(error), error.message)


class ManyTexts(ElevenLabsSocket):
    """A client with many texts, its contexts."""

    _closing = False

    def __init__(self, socket: WebSocket, voice_id: str) -> None:
        super().__init__(socket, voice_id)
        self._open: dict[str, Context] = {}  # those that may still be written

    def about(self, name: str) -> Mapping[str, object]:
        return {"contextId": name}

    async def on_message(self, message: Mapping[str, Any]) -> None:
        sent = ContextMessage.model_validate(message)
        if sent.close_socket:
            await self._close_socket()
        elif sent.close_context:
            await self._close_context(sent.name)
        elif sent.text or sent.flush:
            self._write(sent)

    async def on_error(self, error: VivavoceError, message: Mapping[str, Any]) -> None:
        name = message.get("context_id") or message.get("contextId")
        await self.send_error(error, name if isinstance(name, str) else "default")

    async def on_finished(self, context: Context) -> None:
        if self._open.get(context.name) is context:
            del self._open[context.name]
        await self.send_final(context.name)
        if self._closing and not self.speaking:
            await self.close()

    async def on_failed(self, context: Context, error: VivavoceError) -> None:
        await self.on_finished(context)  # there are clients that wait for it after an error too

    def _write(self, sent: ContextMessage) -> None:
        if self._closing:
            return
        context = self._open.get(sent.name)
        if context is None:
            context = self._open[sent.name] = Context(sent.name, sent.voice_settings)
            unwritten = [one for one in self._open.values() if one.utterance is None]
            if len(unwritten) > MAX_UNWRITTEN:
                del self._open[unwritten[0].name]
        self.write(context, sent)

    async def _close_context(self, name: str) -> None:
        """Let a text that was flushed be spoken to its end. Another one stops at once.

        Clients close a context after its last flush, and again when they are interrupted.
        """
        context = self._open.pop(name, None)
        if context is not None and context.utterance is not None and context.is_flushed:
            self.end(context)
            return
        stopped = [one for one in self.speaking.values() if one.name == name]
        for one in stopped:
            assert one.utterance is not None
            del self.speaking[one.utterance.name]
            await one.utterance.aclose()
        if stopped or context is not None:
            await self.send_final(name)

    async def _close_socket(self) -> None:
        """Finish all texts, then close the connection."""
        self._closing = True
        for context in list(self.speaking.values()):
            self.end(context)
        if not self.speaking:
            await self.close()
