"""Define the two seams: `Engine`, which the server sees, and `Model`, which a scheduler steps.

A `Model` is synchronous and batched, and knows no asyncio. An `Engine` is async and may be
anywhere. `LocalEngine` (in `serving.local`) turns the first into the second. What few models or
engines have is a member with a default: who has it subclasses the protocol, or not, and overrides
that member.
"""

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self, TypeAlias, TypeVar

from vivavoce.errors import Unsupported, VivavoceError
from vivavoce.serving.events import EngineEvents, Load
from vivavoce.types import (
    AudioChunk,
    EngineInfo,
    PreparedVoice,
    Reference,
    Samples,
    Segment,
    StopReason,
)

log = logging.getLogger(__name__)

GRAPH_LOCK = (
    threading.Lock()
)  # torch captures one graph at a time per process, and frees no memory meanwhile

S = TypeVar("S")  # a model's own state for one segment; nothing outside the model looks inside


class Model(Protocol[S]):
    """A speech model on this machine, whose streams are of type `S`.

    `max_batch` streams are stepped together. `lanes` is how many steps may run at the same time,
    each in a thread of its own with its own streams; a model that says more than 1 promises that
    `open`, `step` and `close` may be called from as many threads at once (for different streams).
    """

    info: EngineInfo
    max_batch: int
    lanes: int

    def open(self, segment: Segment) -> S:
        """Prepare `segment`. Raise `BadRequest` for what the model cannot say.

        A `live` segment, for a model whose capabilities say `live_text`, has the text that is known
        by then, which may be none.
        """
        ...

    def step(
        self, streams: Sequence[S], ahead_s: Sequence[float]
    ) -> Sequence[Samples | StopReason]:
        """Advance every stream once: its next samples, empty if nothing is audible yet, or how it
        ended.

        `ahead_s` holds, for each stream, the seconds of audio that its listener still has to hear
        if nothing stutters: 0 before the first, negative for a listener who has run dry.

        Raise `OutOfMemory`, without a `retry_after_s`, where its streams can be stepped again,
        fewer at a time, and none of their audio is lost.
        """
        ...

    def close(self, stream: S) -> None:
        """Free the stream's state, wherever it stands.

        Never raise. By default there is none to free.
        """
        return

    def feed(self, stream: S, text: str, *, last: bool) -> None:
        """Add `text` to what a live `stream` says; `last` makes it complete. Harmless once the
        stream has ended.

        The stream's lane calls it between two steps. Raise `BadRequest` for what the model cannot
        say, which ends the stream. Models without `live_text` are never called.
        """
        raise TypeError(f"model {self.info.name!r} says that it has live_text, and cannot be fed")

    def starving(self, stream: S) -> bool:
        """True if `stream` has said all it knows: a step would bring nothing before `feed` is called again."""
        return False

    def prepare(self, reference: Reference) -> PreparedVoice:
        """Return the voice of a recording, for any number of segments that name it in `prepared`.

        Called from a thread of its own, one call at a time, while lanes open, step and close
        streams. Raise `Unsupported` (`clones_nothing`, the default) if the model has voices of its
        own alone, `BadRequest` for a recording that it cannot take.
        """
        raise clones_nothing(self.info)

    def unload(self) -> None:
        """Give back the memory that the model takes, though it may still be referred to. Never
        raise.

        Called once, when all its streams are closed; `open` and `step` are not called afterwards.
        The default is for models whose memory is too small to be managed.
        """
        return

    @property
    def lost(self) -> str | None:
        """Exit reason of the model's process, or None while it runs or where the model has none of its own."""
        return None

    def kill(self) -> bool:
        """Kill the model's process, so that steps under way fail.

        Never block or raise. False if it has none.
        """
        return False


AnyModel: TypeAlias = Model[
    Any
]  # Any: whoever holds a model hands it its own streams, and looks inside none


def clones_nothing(info: EngineInfo) -> Unsupported:
    """Return the error of `Model.prepare` for a model that speaks with voices of its own alone."""
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

    `ending` says how it ended, once it has; it is `None` before that, and after a failure or a
    close.
    """

    ending: StopReason | None

    @property
    def waited_s(self) -> float | None:
        """Seconds from `speak` until the model began with it; None as long as it waits, or where nobody knows."""
        return None

    def __aiter__(self) -> Self: ...

    async def __anext__(self) -> AudioChunk: ...

    async def aclose(self) -> None: ...

    def feed(self, text: str, *, last: bool = False) -> None:
        """Add `text` to a live segment, as it is: pieces may end anywhere. `last` tells that its
        text is complete.

        Returns at once. What was said so far is heard while more is waited for; no silence is made
        up. Raises `BadRequest` after `last` and for a text that would grow beyond
        `EngineInfo.max_live_chars`, of which nothing is taken then, and `Unsupported` for a segment
        that is not live. Harmless once the audio has ended.
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


class Engine(Protocol):
    """What the layers above see of a model: async, many requests at once, here or far away."""

    @property
    def info(self) -> EngineInfo: ...

    async def start(self) -> None:
        """Make the engine ready to speak. Raises `MissingDependency` or `EngineFault`."""
        ...

    async def aclose(self) -> None:
        """Stop and gives back its memory; whatever is still speaking fails with `NotReady`.

        Raises `EngineFault` if a step that hangs keeps the memory; it may be called again then.
        """
        ...

    def speak(self, segment: Segment, *, follows: ChunkStream | None = None) -> ChunkStream:
        """Queue `segment` at once and gives its audio in order; close the stream (`aclosing`) to
        cancel.

        Raises `Overloaded` from the call itself, before any work, if too many requests wait.
        `follows` is the segment before this one in a request that was already accepted: such a one
        is never refused, and it is due only when what it follows has been heard. A `live` segment
        waits for its first text without a place of its own, and keeps its place from then on;
        raises `Unsupported` if the model reads a text only as a whole.
        """
        ...

    async def prepare_voice(self, reference: Reference) -> PreparedVoice:
        """Return the voice of a recording, for the segments of this engine; kept for a while, so
        that the next call is quick.

        Raises `Unsupported` if the model clones nothing, `BadRequest` for a recording that it
        cannot take, `Overloaded` if too many wait, `NotReady` when the engine is being stopped.
        """
        ...

    @property
    def load(self) -> Load:
        """Segments waiting and running, of an engine on this machine."""
        return Load(0, 0)

    @property
    def peers(self) -> Sequence[PeerState]:
        """The servers that make the speech, for an engine over others."""
        return ()

    @property
    def failure(self) -> VivavoceError | None:
        """The error after which this process can never speak with the model again; only a new process can."""
        return None

    def observe(self, observer: EngineEvents) -> None:
        """Tell `observer` of waits and steps from now on; called before `start`.

        By default there are none.
        """
        return

    async def check(self) -> None:
        """Raise `NotReady` if the engine is over other servers and none of them would speak now."""
        return
