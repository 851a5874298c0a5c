"""Connect one client of Wyoming with a session.

- One text is spoken at a time. A request behind it is read when it is done.
- An error ends the connection: a client waits for its audio, or for that.
"""

import asyncio
import logging
import time

from vivavoce.errors import BadRequest, EngineFault, NotReady, Unauthorized, VivavoceError
from vivavoce.sessions.events import Audio, Done, Event, Failed, Started
from vivavoce.sessions.session import Session
from vivavoce.sessions.utterance import Utterance
from vivavoce.wyoming.messages import (
    Chunk,
    Describe,
    Message,
    Ping,
    Start,
    Stop,
    Synthesize,
    parse,
)
from vivavoce.wyoming.output import AudioOutput
from vivavoce.wyoming.services import Options, Services
from vivavoce.wyoming.voices import described, offered
from vivavoce.wyoming.wire import read_event

log = logging.getLogger(__name__)


class WyomingConnection:
    """One client, from its first event to its end."""

    def __init__(
        self,
        services: Services,
        options: Options,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._services = services
        self._is_open = options.is_open
        self._reader = reader
        self._output = AudioOutput(writer, options)
        self._session = Session(
            services.synthesizer,
            self._emit,
            max_chars=services.max_text_chars,
            on_end=self._count_end,
        )
        self._models = frozenset(name.lower() for name in services.synthesizer.pool.names)
        self._latest: Utterance | None = None
        self._in_parts = False  # the latest text is written in parts
        self._written: Utterance | None = None  # such a text, until its last part
        self._heard_s = time.monotonic()  # moment of the client's latest event
        self._draining = False

    async def run(self) -> None:
        """Serve the client until it leaves, or until the connection is to end."""
        try:
            with self._services.live.admit(self, ""):
                await self._serve()
        except VivavoceError as error:  # too many are connected
            await self._output.fail(error)
        finally:
            await self._session.aclose()
            await self._output.close(self._reader)

    async def drain(self) -> None:
        """Speak what was written, then end the connection."""
        self._draining = True
        await self._session.finish()
        self.end()

    def end(self) -> None:
        """End the connection now."""
        self._output.ended.set()

    async def _serve(self) -> None:
        tasks = (
            asyncio.create_task(self._read_all()),
            asyncio.create_task(self._output.ended.wait()),
        )
        timeout_s = self._services.live_timeout_s
        try:
            left_s = timeout_s
            while not (await asyncio.wait(tasks, timeout=left_s, return_when="FIRST_COMPLETED"))[0]:
                if self._listens():
                    self._heard_s = time.monotonic()
                left_s = self._heard_s + timeout_s - time.monotonic()
                if left_s <= 0:
                    log.info("a client said nothing for %g s, its connection ends", timeout_s)
                    return
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    def _listens(self) -> bool:
        """True if something is being spoken, and not waited for."""
        return any(
            one is not self._written or (one.text and not one.is_idle)
            for one in self._session.utterances
        )

    async def _read_all(self) -> None:
        """Do what the client asks for, until it leaves or is wrong."""
        try:
            while (event := await read_event(self._reader)) is not None:
                self._heard_s = time.monotonic()
                if (message := parse(event)) is not None:
                    await self._do(message)
        except VivavoceError as error:
            await self._output.fail(error)
        except Exception:  # the top of a task: whatever happened, the client is told
            log.exception("a client could not be served")
            await self._output.fail(EngineFault("the server failed; its log has the details"))

    async def _do(self, message: Message) -> None:
        match message:
            case Describe():
                voices = await offered(self._services.synthesizer)
                await self._output.send("info", described(voices))
            case Ping(text=text):
                await self._output.send("pong", {"text": text})
            case Synthesize():
                if self._written is not None:
                    return  # all of the text once more, for servers that take no parts
                utterance = await self._begin(message)
                self._session.append(utterance, message.text)
                utterance.end()
            case Start():
                if self._written is not None:
                    raise BadRequest("a text has begun: send synthesize-stop first", field="type")
                self._written = await self._begin(message)
            case Chunk():
                utterance = self._found()
                if not self._draining:  # else it was ended
                    self._session.append(utterance, message.text)
            case Stop():
                self._found().end()
                self._written = None

    async def _begin(self, start: Start) -> Utterance:
        """Begin a text, after the one before it."""
        if self._latest is not None:
            await self._latest.wait_ended()
        if self._draining or self._services.lifecycle.draining:
            raise NotReady("the server is stopping; try again when it is back")
        if not self._is_open():
            raise Unauthorized(
                "this server asks for an API key, which Wyoming cannot send: its setting "
                "'wyoming_without_key' lets Wyoming speak without one"
            )
        self._in_parts = not isinstance(start, Synthesize)
        self._latest = self._session.begin(start.to_request(self._models))
        self._services.lifecycle.running += 1
        return self._latest

    def _found(self) -> Utterance:
        if self._written is None:
            raise BadRequest("no text has begun: send synthesize-start first", field="type")
        return self._written

    async def _emit(self, event: Event) -> None:
        match event:
            case Started(utterance, speech):
                await self._output.start(speech.sample_rate_hz, utterance)
            case Audio(_, data) if data:
                await self._output.play(data)
            case Done():
                await self._output.stop()
                if self._in_parts:
                    await self._output.send("synthesize-stopped")
            case Failed(_, error):
                await self._output.fail(error)

    def _count_end(self) -> None:
        self._services.lifecycle.running -= 1
