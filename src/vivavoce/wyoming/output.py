"""Send events to one client of Wyoming, and silence while it waits for a text."""

import asyncio
import logging
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from vivavoce.audio.pcm import silence, to_pcm16
from vivavoce.errors import VivavoceError
from vivavoce.sessions.utterance import Utterance
from vivavoce.wyoming.services import Options
from vivavoce.wyoming.wire import to_bytes

log = logging.getLogger(__name__)

SILENCE_S: Final = 0.5  # that is sent at once
_SAMPLE_BYTES: Final = 2
_SOUNDLESS_HZ: Final = 24_000  # rate of a text that has no sound
_LINGER_S: Final = 1.0  # for an error to reach a client that is still sending
_READ_BYTES: Final = 64 * 2**10


class AudioOutput:
    """What one client is sent, in order. Nothing follows an error, or reaches a client that left.

    `ended` is set by both of these, and by whoever wants the connection to end.
    """

    def __init__(self, writer: asyncio.StreamWriter, options: Options) -> None:
        self.ended = asyncio.Event()
        self._writer = writer
        self._options = options
        self._sending = asyncio.Lock()
        self._failed = False
        self._format: dict[str, object] = {}  # of the audio that has started
        self._rate_hz = 0
        self._filling: asyncio.Task[None] | None = None
        self._sent_s = 0.0  # moment of the latest audio
        self._plays_until_s = 0.0  # moment when it is played by a listener who has no buffer

    async def send(
        self, kind: str, data: Mapping[str, object] | None = None, payload: bytes = b""
    ) -> None:
        """Send an event. Waits for a client that reads slowly, and drops one that does not."""
        async with self._sending:
            if self.ended.is_set():
                return
            try:
                self._writer.write(to_bytes(kind, data, payload))
                async with asyncio.timeout(self._options.send_timeout_s):
                    await self._writer.drain()
            except TimeoutError:
                log.info(
                    "dropped a client that read nothing for %g s", self._options.send_timeout_s
                )
                self._writer.transport.abort()
                self.ended.set()
            except OSError:  # it has left
                self.ended.set()

    async def start(self, rate_hz: int, utterance: Utterance | None = None) -> None:
        """Begin the audio, 16 bits and mono. Gaps are filled while `utterance` is written."""
        self._rate_hz = rate_hz
        self._format = {"rate": rate_hz, "width": _SAMPLE_BYTES, "channels": 1}
        self._sent_s = self._plays_until_s = time.monotonic()
        await self.send("audio-start", self._format)
        if utterance is not None:
            self._filling = asyncio.create_task(self._fill_gaps(utterance))

    async def play(self, data: bytes) -> None:
        """Send PCM, 16 bits, little-endian."""
        await self.send("audio-chunk", self._format, data)
        self._sent_s = now_s = time.monotonic()
        self._plays_until_s = max(self._plays_until_s, now_s)
        self._plays_until_s += len(data) / _SAMPLE_BYTES / self._rate_hz

    async def stop(self) -> None:
        """End the audio, also of a text that has no sound."""
        self._stop_filling()
        if not self._format:
            await self.start(_SOUNDLESS_HZ)
        self._format = {}
        await self.send("audio-stop")

    async def fail(self, error: VivavoceError) -> None:
        """Tell the client of an error, and end the connection."""
        self._stop_filling()
        if not self.ended.is_set():
            log.info("a client of Wyoming is told %s: %s", error.code, error.message)
            await self.send("error", {"text": error.message, "code": error.code})
            self._failed = not self.ended.is_set()
            self.ended.set()

    async def close(self, reader: asyncio.StreamReader) -> None:
        """Close the connection when all was sent."""
        self._stop_filling()
        with suppress(OSError, TimeoutError):
            if self._failed:  # closing on unread bytes would lose the error
                self._writer.write_eof()
                async with asyncio.timeout(_LINGER_S):
                    while await reader.read(_READ_BYTES):
                        pass
        self._writer.close()
        try:
            async with asyncio.timeout(self._options.send_timeout_s):
                await self._writer.wait_closed()
        except OSError:  # also `TimeoutError`
            self._writer.transport.abort()

    def _stop_filling(self) -> None:
        if self._filling is not None:
            self._filling.cancel()
            self._filling = None

    async def _fill_gaps(self, utterance: Utterance) -> None:
        """Send silence when nothing else was sent for a while.

        That is between two clauses of a text that is being written, or when the listener has
        played all audio anyway.
        """
        data = to_pcm16(silence(SILENCE_S, self._rate_hz))
        while True:
            now_s = time.monotonic()
            at_s = self._sent_s + self._options.gap_s
            if not utterance.is_idle:
                at_s = max(at_s, self._plays_until_s)
            if self._sending.locked():  # the client does not read
                at_s = now_s + self._options.gap_s
            if now_s >= at_s:
                await self.play(data)
            else:
                await asyncio.sleep(at_s - now_s)
