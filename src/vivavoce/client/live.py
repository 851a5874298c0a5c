"""Speak a text while it is written, over a WebSocket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from vivavoce.client import wire
from vivavoce.client.answers import WordTime
from vivavoce.errors import NotReady, VivavoceError

MAX_MESSAGE_BYTES = 16 * 2**20
MAX_WAITING = 64  # chunks that were received and not asked for


@dataclass(frozen=True, slots=True)
class LiveChunk:
    """Encoded bytes, and the words that begin in them. Times and places are in the whole text."""

    data: bytes
    words: tuple[WordTime, ...]
    start_s: float  # in the audio of the text
    end_s: float


@dataclass(frozen=True, slots=True)
class Heard:
    """A text in two parts, which are all of it, and the seconds of its audio that were heard."""

    heard: str
    unheard: str
    audio_s: float


def begin_message(options: wire.SpeechOptions) -> dict[str, object]:
    """Return the message that begins a text, with the times of its words."""
    fields = wire.speech_body("", {"format": "pcm", **options}, stream=False)
    del fields["text"], fields["stream"]
    return {**fields, "timestamps": "word"}


def live_url(base_url: str) -> str:
    """Return the address of live speech at a server."""
    return f"ws{base_url.removeprefix('http').rstrip('/')}/{wire.LIVE}"


class LiveSpeech:
    """One connection for texts that are spoken one after the other. `AsyncClient.live` opens it.

    `send` adds to the current text, and begins the next one after `end` or `interrupt`. Iterate it
    for the audio of the current text until its end, and again for the next text. One task may
    iterate while another writes and interrupts.
    """

    def __init__(self, url: str, headers: Mapping[str, str], begin: Mapping[str, object]) -> None:
        self.text = ""  # of the current text
        self.words: list[WordTime] = []  # of its audio so far
        self.received_s = 0.0  # of its audio
        self.facts: Mapping[str, Any] = {}  # model, voice, language, format and so on
        self._url = url
        self._headers = headers
        self._begin = begin
        self._context = 0
        self._ended = True
        self._socket: ClientConnection | None = None
        self._reading: asyncio.Task[None] | None = None
        # None is the end of a text.
        self._chunks: asyncio.Queue[LiveChunk | VivavoceError | None] = asyncio.Queue(MAX_WAITING)
        self._interrupted: asyncio.Future[Mapping[str, Any]] | None = None

    async def connect(self) -> None:
        """Connect with the server. Raises `NotReady` if there is none, or the server's error."""
        try:
            self._socket = await connect(
                self._url,
                additional_headers=self._headers,
                max_size=MAX_MESSAGE_BYTES,
                compression=None,
            )
            await self._socket.recv()  # that it is ready
        except InvalidStatus as error:
            raise wire.refused(
                error.response.status_code, bytes(error.response.body or b"")
            ) from error
        except (OSError, WebSocketException) as error:
            raise NotReady(
                f"no server answers at {self._url!r} ({error}): start one with `vivavoce serve`, "
                "or check the address"
            ) from error
        self._reading = asyncio.create_task(self._read(self._socket))

    async def aclose(self) -> None:
        """Close the connection."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait((self._reading,))
        if self._socket is not None:
            await self._socket.close()

    async def send(self, text: str, *, flush: bool = False) -> None:
        """Add to the text. With `flush` it is spoken at once, up to here."""
        if self._ended:
            self._context += 1
            self._ended, self.text, self.words, self.received_s = False, "", [], 0.0
            await self._send({**self._begin, "type": "begin", "context": str(self._context)})
        self.text += text
        await self._send({"type": "text", "text": text, "flush": flush})

    async def end(self) -> None:
        """Have all of the text spoken. Nothing is added to it."""
        if not self._ended:
            self._ended = True
            await self._send({"type": "end"})

    async def interrupt(self, played_s: float | None = None) -> Heard:
        """Stop at once. Returns what was heard in `played_s`, by default in all that was received.

        Whoever iterates gets no more of the text.
        """
        played_s = self.received_s if played_s is None else played_s
        self._ended = True
        self._interrupted = asyncio.get_running_loop().create_future()
        self._drop()
        try:
            message = {"type": "interrupt", "played_ms": 1000 * played_s}
            await self._send({**message, "context": str(self._context)})
            answer = await self._interrupted
        finally:
            self._interrupted = None
            self._drop()
            self._chunks.put_nowait(None)
        for one in answer["contexts"]:
            if one["context"] == str(self._context):
                return Heard(one["heard"], one["unheard"], one["audio_ms"] / 1000)
        return Heard(self.text, "", self.received_s)  # all of it had been sent

    async def resume(self) -> None:
        """Connect again after the connection broke, and go on with the next word.

        That is the one after the last that was received whole. The rest of the text becomes a text
        of its own, whose times and places begin at 0.
        """
        whole = [word.end for word in self.words if word.end_s <= self.received_s]
        left, ended = self.text[max(whole, default=0) :], self._ended
        await self.aclose()
        self._drop()
        await self.connect()
        self._ended = True
        await self.send(left)
        if ended:
            await self.end()

    async def __aiter__(self) -> AsyncGenerator[LiveChunk]:
        while (chunk := await self._chunks.get()) is not None:
            if isinstance(chunk, VivavoceError):
                raise chunk
            self.words += chunk.words
            self.received_s = chunk.end_s
            yield chunk

    async def _read(self, socket: ClientConnection) -> None:
        """Take in all messages of a connection until it ends."""
        try:
            async for text in socket:
                message = json.loads(text)
                current = message.get("context") == str(self._context)
                match message["type"]:
                    case "audio":
                        chunk = _chunk(message, await socket.recv())
                        if current and self._interrupted is None:
                            await self._chunks.put(chunk)
                    case "started":
                        self.facts = message
                    case "interrupted":
                        if self._interrupted is not None:
                            self._interrupted.set_result(message)
                    case "done" if current:
                        await self._chunks.put(None)
                    case "error":
                        await self._chunks.put(wire.sent_error(message))
            problem = "it was closed"
        except (ConnectionClosed, OSError) as error:
            problem = str(error)
        broken = self._broken(problem)
        if self._interrupted is not None:
            self._interrupted.set_exception(broken)
        await self._chunks.put(broken)

    def _broken(self, problem: str) -> NotReady:
        return NotReady(
            f"the live connection to {self._url!r} broke ({problem}): call resume to go on where "
            "it did"
        )

    async def _send(self, message: Mapping[str, object]) -> None:
        assert self._socket is not None
        try:
            await self._socket.send(json.dumps(message))
        except (ConnectionClosed, OSError) as error:
            raise self._broken(str(error)) from error

    def _drop(self) -> None:
        while not self._chunks.empty():
            self._chunks.get_nowait()


def _chunk(message: Mapping[str, Any], data: str | bytes) -> LiveChunk:
    assert isinstance(data, bytes)
    start_s, duration_s = message["start_ms"] / 1000, message["duration_ms"] / 1000
    return LiveChunk(data, wire.read_words(message), start_s, start_s + duration_s)
