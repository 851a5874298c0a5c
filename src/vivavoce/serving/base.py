"""Define the two seams: `Engine`, which the server sees, and `Model`, which a scheduler steps.

A `Model` is synchronous and batched, and knows no asyncio. An `Engine` is async and runs anywhere.
`serving.local` turns a model into an engine. Members that few models or engines need have a
default here, and are overridden in a subclass.
"""

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self, TypeAlias, TypeVar

from vivavoce.errors import Unsupported, VivavoceError
from vivavoce.serving.events import EngineEvents, Load
from vivavoce.types import (
    AudioChunk,
    EngineInfo,
    Phone,
    PreparedVoice,
    Reference,
    Samples,
    Segment,
    StopReason,
)

log = logging.getLogger(__name__)

# torch captures one graph at a time per process, and frees no memory meanwhile.
GRAPH_LOCK = threading.Lock()

S = TypeVar("S")  # a model's state for one segment, opaque to everything else


class Model(Protocol[S]):
    """A speech model on this machine, whose streams are of type `S`.

    Up to `max_batch` streams are stepped together. `lanes` steps may run at the same time, each in
    a thread of its own with its own streams. With more than 1 lane, `open`, `step` and `close` are
    called from as many threads at once, for different streams.
    """

    info: EngineInfo
    max_batch: int
    lanes: int

    def open(self, segment: Segment) -> S:
        """Start a stream for `segment`. Raise `BadRequest` for a text the model cannot speak.

        A `live` segment holds the text known so far, which may be empty. Only models with the
        capability `live_text` get one.
        """
        ...

    def step(
        self, streams: Sequence[S], ahead_s: Sequence[float]
    ) -> Sequence[Samples | AudioChunk | StopReason]:
        """Advance every stream once. Return the next samples of each, or why it ended.

        A chunk has the times of phones too (`Capabilities.timed`). Samples are empty while nothing
        is audible yet. `ahead_s` holds the seconds of audio that each listener has buffered: 0
        before the first, negative after an underrun.

        Raise `OutOfMemory` without a `retry_after_s` if no audio is lost and the streams can be
        stepped again, fewer at a time.
        """
        ...

    def close(self, stream: S) -> None:
        """Free the state of the stream, ended or not. Never raise. By default do nothing."""
        return

    def feed(self, stream: S, text: str, *, last: bool) -> None:
        """Add `text` to a live `stream`. `last` makes it complete. Harmless after its end.

        The stream's lane calls it between two steps, and never for models without `live_text`.
        Raise `BadRequest` for a text the model cannot speak, which ends the stream.
        """
        raise TypeError(f"model {self.info.name!r} says that it has live_text: it needs `feed`")

    def starving(self, stream: S) -> bool:
        """True if `stream` has spoken all of its text so far."""
        return False

    def prepare(self, reference: Reference) -> PreparedVoice:
        """Return the voice of a recording, for the field `prepared` of any number of segments.

        Called from a thread of its own, one call at a time, while lanes open, step and close
        streams. Raise `Unsupported` (`clones_nothing`, the default) if the model clones no voices,
        and `BadRequest` for a recording that it cannot use.
        """
        raise clones_nothing(self.info)

    def drop_voices(self) -> None:
        """Free what is kept of voices that `prepare` returned and nobody holds any more.

        Called from a thread of its own. By default do nothing, where the memory is this process's.
        """
        return

    def unload(self) -> None:
        """Free the memory of the model, even while references to it exist. Never raise.

        Called once, when all its streams are closed. `open` and `step` are not called afterwards.
        By default do nothing, for models of little memory.
        """
        return

    @property
    def lost(self) -> str | None:
        """Exit reason of the model's process, or None while it runs or without one."""
        return None

    def kill(self) -> bool:
        """Kill the model's process, so that running steps fail. False if it has none.

        Never block or raise.
        """
        return False


AnyModel: TypeAlias = Model[Any]  # Any: streams are opaque to everything but their model


def clones_nothing(info: EngineInfo) -> Unsupported:
    """Return the error of `Model.prepare` for a model that clones no voices."""
    return Unsupported(
        f"model {info.name!r} clones no voice: leave the recording out, or choose a Base "
        "checkpoint of Qwen3-TTS",
        field="ref_audio",
    )


def unreadable(model: str, text: str) -> Unsupported:
    """Log the current exception of a model's front end. Return the error of `Model.open`."""
    log.exception("the front end of %s failed on %r", model, text[:80])
    return Unsupported(
        f"{model!r} cannot read {text[:80]!r}: leave it out or write it in other words, or choose "
        "another model",
        field="text",
    )


class ChunkStream(Protocol):
    """The audio of one segment, chunk by chunk.

    Closing it frees its place in the engine. `ending` is the reason why the audio ended. It is None
    before that, and after an error or a close.
    """

    ending: StopReason | None

    @property
    def waited_s(self) -> float | None:
        """Seconds from `speak` until the model started, or None before that or if unknown."""
        return None

    @property
    def phones(self) -> Sequence[Phone]:
        """The phones so far, those of the audio that was given out at least."""
        return ()

    def __aiter__(self) -> Self: ...

    async def __anext__(self) -> AudioChunk: ...

    async def aclose(self) -> None: ...

    def feed(self, text: str, *, last: bool = False) -> None:
        """Add `text` to a live segment. `last` makes its text complete. Harmless after its end.

        Pieces of text may end anywhere. Return at once: the audio so far is delivered while the
        stream waits for more text, without added silence. Raise `BadRequest` after `last` and for
        a text that grows beyond `EngineInfo.max_live_chars` (nothing of it is added), and
        `Unsupported` for a segment that is not live.
        """
        ...


@dataclass(frozen=True, slots=True)
class Preview:
    """The description of a model that is not loaded, and the memory it will take."""

    info: EngineInfo
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class PeerState:
    """The state of one server behind an engine.

    `up` is False for a while after a failure. `speaking` is the number of our segments there.
    """

    url: str
    up: bool
    speaking: int


class Engine(Protocol):
    """A model as the layers above see it: async, for many requests at once, local or remote."""

    @property
    def info(self) -> EngineInfo: ...

    async def start(self) -> None:
        """Make the engine ready to speak. Raise `MissingDependency` or `EngineFault`."""
        ...

    async def aclose(self) -> None:
        """Stop and free the memory. Segments that are not done fail with `NotReady`.

        Raise `EngineFault` if a step that hangs keeps the memory. It may be called again then.
        """
        ...

    def speak(self, segment: Segment, *, follows: ChunkStream | None = None) -> ChunkStream:
        """Queue `segment` at once and return its audio. Close the stream (`aclosing`) to cancel.

        `follows` is the segment before this one in an accepted request. Such a segment is never
        rejected, and is due when the one before it has been heard. A `live` segment takes its place
        in the model with its first text. Raise `Overloaded`, before any work, if too many requests
        wait, and `Unsupported` for a live segment if the model has no `live_text`.
        """
        ...

    async def prepare_voice(self, reference: Reference) -> PreparedVoice:
        """Return the voice of a recording, for the segments of this engine. Voices are cached.

        Raise `Unsupported` if the model clones no voices, `BadRequest` for a recording that it
        cannot use, `Overloaded` if too many wait, `NotReady` while the engine is being stopped.
        """
        ...

    async def forget_voice(self, file: Path) -> None:
        """Drop what is kept of the saved recording `file`, whose use has ended."""
        return

    @property
    def load(self) -> Load:
        """The load of an engine on this machine."""
        return Load(0, 0)

    @property
    def max_batch(self) -> int | None:
        """The most segments that an engine on this machine speaks at once."""
        return None

    @property
    def peers(self) -> Sequence[PeerState]:
        """The servers behind the engine, if it is over others."""
        return ()

    @property
    def failure(self) -> VivavoceError | None:
        """The error that only a new server process can end, or None."""
        return None

    def observe(self, observer: EngineEvents) -> None:
        """Report waits and steps to `observer`. Called before `start`. By default do nothing."""
        return

    async def check(self) -> None:
        """Raise `NotReady` if no server behind the engine would speak now."""
        return
