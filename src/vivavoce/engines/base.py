"""The two seams: `Engine` is what the server sees, `Model` is what a scheduler thread steps.

A `Model` is synchronous, batched and knows no asyncio; an `Engine` is async and may be anywhere. `LocalEngine`
(in `engines.scheduler`) turns the first into the second.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self, runtime_checkable

from vivavoce.errors import Unsupported
from vivavoce.types import AudioChunk, Ending, EngineInfo, PreparedVoice, Reference, Samples, Segment

log = logging.getLogger(__name__)


class Stream(Protocol):
    """A model's own state for one segment; nothing outside the model looks inside."""


class Model(Protocol):
    """A speech model on this machine.

    `max_batch` streams are stepped together. `lanes` is how many steps may run at the same time, each in a
    thread of its own with its own streams; a model that says more than 1 promises that `open`, `step` and
    `close` may be called from as many threads at once (for different streams).
    """

    info: EngineInfo
    max_batch: int
    lanes: int

    def open(self, segment: Segment) -> Stream:
        """Prepares `segment`. Raises `BadRequest` for what the model cannot say."""
        ...

    def step(self, streams: Sequence[Stream], ahead_s: Sequence[float]) -> Sequence[Samples | Ending]:
        """Advances every stream once: its next samples, empty if nothing is audible yet, or how it ended.

        `ahead_s` says how many seconds of audio the listener of each stream still has to hear, if nothing stutters:
        0 before the first, negative for one who has run dry.

        Raises `OutOfMemory`, without a `retry_after_s`, where its streams can be stepped again, fewer at a time, and
        none of their audio is lost.
        """
        ...

    def close(self, stream: Stream) -> None:
        """Frees the stream's state, wherever it stands. Never raises."""
        ...

    def prepare(self, reference: Reference) -> PreparedVoice:
        """The voice of a recording, for any number of segments that name it in `prepared`.

        Called from a thread of its own, one call at a time, while lanes open, step and close streams. Raises
        `Unsupported` (`clones_nothing`) if the model has voices of its own alone, `BadRequest` for a recording that it
        cannot take.
        """
        ...

    def unload(self) -> None:
        """Gives back the memory that the model takes, though it may still be referred to. Never raises.

        Called once, when all its streams are closed; `open` and `step` are not called afterwards.
        """
        ...


@runtime_checkable
class LiveModel(Model, Protocol):
    """A `Model` that can begin a segment before its text is complete: its capabilities say `live_text`.

    `open` takes a `live` segment with the text that is known by then, which may be none.
    """

    def feed(self, stream: Stream, text: str, *, last: bool) -> None:
        """Adds `text` to what `stream` says; `last` tells that its text is now complete. Harmless once it has ended.

        Called by the stream's lane between two steps. Raises `BadRequest` for what the model cannot say, which ends it.
        """
        ...

    def starving(self, stream: Stream) -> bool:
        """Whether `stream` has said what it knows: a step would bring nothing before `feed` is called again."""
        ...


@runtime_checkable
class MortalModel(Model, Protocol):
    """A `Model` in a process of its own, which may crash, and can be ended while a step hangs."""

    @property
    def lost(self) -> str | None:
        """How its process ended, if it has: nothing more is to be had of it."""
        ...

    def kill(self) -> None:
        """Ends its process: steps that are under way fail. Never blocks, never raises."""
        ...

    def used_s(self, thread: int) -> float | None:
        """Processor time of what works in its process for the thread of this one of that identifier, in seconds.

        `None` where the system does not tell, and when nothing does.
        """
        ...


def clones_nothing(info: EngineInfo) -> Unsupported:
    """The error of `Model.prepare` for a model that speaks with voices of its own alone."""
    return Unsupported(
        f"model {info.name!r} clones no voice: leave the recording out, or choose a Base checkpoint of Qwen3-TTS",
        field="ref_audio",
    )


def unreadable(model: str, text: str) -> Unsupported:
    """Return the error of `Model.open` for a piece of text that a model's front end fails on, and log why."""
    log.exception("the front end of %s failed on %r", model, text[:80])
    return Unsupported(
        f"{model!r} cannot read {text[:80]!r}: leave it out or write it in other words, or choose another model",
        field="text",
    )


class ChunkStream(Protocol):
    """The audio of one segment, as it is made; closing it frees its place in the engine.

    `ending` says how it ended, once it has; it is `None` before that, and after a failure or a close.
    """

    ending: Ending | None

    def __aiter__(self) -> Self: ...

    async def __anext__(self) -> AudioChunk: ...

    async def aclose(self) -> None: ...

    def feed(self, text: str, *, last: bool = False) -> None:
        """Adds `text` to a live segment, as it is: pieces may end anywhere. `last` tells that its text is complete.

        Returns at once. What was said so far is heard while more is waited for; no silence is made up. Raises
        `BadRequest` after `last` and for a text that would grow beyond `EngineInfo.max_live_chars`, of which nothing is
        taken then, and `Unsupported` for a segment that is not live. Harmless once the audio has ended.
        """
        ...


@dataclass(frozen=True, slots=True)
class Preview:
    """What is known of a model that is not loaded: what it will say of itself, and the memory it will take."""

    info: EngineInfo
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class PeerState:
    """One of the servers behind an engine: `up` unless it failed of late, `speaking` that many segments for us."""

    url: str
    up: bool
    speaking: int


@runtime_checkable
class Distant(Protocol):
    """An engine whose speech is made by other servers."""

    @property
    def peers(self) -> Sequence[PeerState]: ...

    async def check(self) -> None:
        """Raises `NotReady` if none of them would speak now."""
        ...


class Engine(Protocol):
    """What the layers above see of a model: async, many requests at once, here or far away."""

    @property
    def info(self) -> EngineInfo: ...

    async def start(self) -> None:
        """Makes the engine ready to speak. Raises `MissingDependency` or `EngineFault`."""
        ...

    async def aclose(self) -> None:
        """Stops and gives back its memory; whatever is still speaking fails with `NotReady`.

        Raises `EngineFault` if a step that hangs keeps the memory; it may be called again then.
        """
        ...

    def speak(self, segment: Segment, *, follows: ChunkStream | None = None) -> ChunkStream:
        """Queues `segment` at once and gives its audio in order; close the stream (`aclosing`) to cancel.

        Raises `Overloaded` from the call itself, before any work, if too many requests wait. `follows` is the
        segment before this one in a request that was already accepted: such a one is never refused, and it is
        due only when what it follows has been heard. A `live` segment waits for its first text without a place of its
        own, and keeps its place from then on; raises `Unsupported` if the model reads a text only as a whole.
        """
        ...

    async def prepare_voice(self, reference: Reference) -> PreparedVoice:
        """The voice of a recording, for the segments of this engine; kept for a while, so that the next call is quick.

        Raises `Unsupported` if the model clones nothing, `BadRequest` for a recording that it cannot take,
        `Overloaded` if too many wait, `NotReady` when the engine is being stopped.
        """
        ...
