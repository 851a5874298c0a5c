"""Read the audio of a segment that another process speaks.

It knows neither that process nor the way to it. A task reads at most one chunk ahead of the
listener, so a slow listener slows the source.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Self, TypeAlias

from vivavoce.errors import EngineFault, Overloaded, Unsupported, VivavoceError
from vivavoce.names import is_name
from vivavoce.serving.base import ChunkStream, clones_nothing
from vivavoce.serving.model_errors import stopping_error
from vivavoce.types import AudioChunk, EngineInfo, Reference, Samples, Segment, StopReason

log = logging.getLogger(__name__)

PATIENCE_S = 30.0  # a later segment of a request waits so long for a busy server

ChunkSource: TypeAlias = AsyncGenerator[Samples | StopReason]  # samples, then why they ended


class RemoteStream(ChunkStream):
    """A `ChunkStream` over `source`, which a task reads from the start."""

    def __init__(self, source: ChunkSource, live: "set[RemoteStream]") -> None:
        self.ending: StopReason | None = None
        self.heard = False  # the source has sent audio
        self._events: asyncio.Queue[Samples | StopReason | VivavoceError] = asyncio.Queue(maxsize=1)
        self._ended = False
        self._live = live
        self._live.add(self)
        self._task = asyncio.create_task(self._read(source))

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> AudioChunk:
        if self._ended:
            raise StopAsyncIteration
        event = await self._events.get()
        if not isinstance(event, StopReason | VivavoceError):
            return AudioChunk(event)
        await self.aclose()
        if isinstance(event, VivavoceError):
            raise event
        self.ending = event
        raise StopAsyncIteration

    def feed(self, text: str, *, last: bool = False) -> None:
        problem = "the text of this segment was sent as a whole: only a live one grows"
        raise Unsupported(problem, field="text")

    async def aclose(self) -> None:
        """End the stream, and the work of its source if it is not done."""
        self._ended = True
        await self._stop_reading()

    async def fail(self, error: VivavoceError) -> None:
        """End the work of the source, and the listener's wait with `error`."""
        await self._stop_reading()
        while not self._events.empty():
            self._events.get_nowait()
        self._events.put_nowait(error)

    async def _stop_reading(self) -> None:
        self._live.discard(self)
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _read(self, source: ChunkSource) -> None:
        try:
            async with aclosing(source):
                async for event in source:
                    self.heard = True
                    await self._events.put(event)
        except VivavoceError as error:
            await self._events.put(error)
        except Exception as error:  # the top of a task: any error ends the listener's wait
            log.exception("a segment of a remote model failed")
            problem = f"the audio could not be read: {error}; the log has the details"
            await self._events.put(EngineFault(problem))


class RemoteStreams:
    """The remote streams of one engine. At most `max_waiting` wait for their first audio."""

    def __init__(self, name: str, max_waiting: int) -> None:
        self._name = name
        self._max_waiting = max_waiting
        self._live: set[RemoteStream] = set()

    def speak(
        self,
        segment: Segment,
        follows: ChunkStream | None,
        source: Callable[[Segment, float], ChunkSource],
    ) -> RemoteStream:
        """Return the stream of `source`, called with `segment` and the wait for a busy server.

        Raise `Unsupported` for a live segment, and `Overloaded` for a new request if too many wait.
        """
        if segment.live:
            raise Unsupported(
                f"model {self._name!r} reads a text only as a whole: send it when it is complete",
                field="text",
            )
        waiting = sum(not live.heard for live in self._live)
        if follows is None and waiting >= self._max_waiting:
            problem = f"{self._name!r} has {waiting} requests waiting, its limit; try again soon"
            raise Overloaded(problem, retry_after_s=1.0)
        return RemoteStream(source(segment, 0.0 if follows is None else PATIENCE_S), self._live)

    async def aclose(self) -> None:
        """End all streams with `NotReady`."""
        for segment in tuple(self._live):
            await segment.fail(stopping_error())


@dataclass(frozen=True, eq=False)
class ReferenceVoice:
    """The `PreparedVoice` of a remote engine: the recording, which is sent with each segment."""

    reference: Reference


def reference_voice(info: EngineInfo, reference: Reference) -> ReferenceVoice:
    """Return the recording: the remote server prepares it. Raise `Unsupported` if it cannot."""
    if not info.capabilities.clones:
        raise clones_nothing(info)
    return ReferenceVoice(reference)


def remote_info(info: EngineInfo, name: str) -> EngineInfo:
    """Return the description of a remote model under its name here."""
    # Live text and phonemes cannot be sent to a remote model, and its times do not come back.
    capabilities = replace(info.capabilities, live_text=False, phonemes=False, timed=False)
    return replace(_with_valid_names(info), name=name, capabilities=capabilities, max_live_chars=0)


def _with_valid_names(info: EngineInfo) -> EngineInfo:
    """Return `info` without voices and languages that have invalid names."""
    voices = tuple(voice for voice in info.voices if is_name(voice.id) and is_name(voice.name))
    if dropped := len(info.voices) - len(voices):
        message = "%r: left out %d voices whose names are empty, too long or hold controls"
        log.warning(message, info.name, dropped)
    ids = {voice.id for voice in voices}
    return replace(
        info,
        voices=voices,
        languages=tuple(filter(is_name, info.languages)),
        aliases={alias: meant for alias, meant in info.aliases.items() if meant in ids},
        default_voices={code: voice for code, voice in info.default_voices.items() if voice in ids},
    )
