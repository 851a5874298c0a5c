"""The two seams: `Engine` is what the server sees, `Model` is what a scheduler thread steps.

A `Model` is synchronous, batched and knows no asyncio; an `Engine` is async and may be anywhere. `LocalEngine`
(in `engines.scheduler`) turns the first into the second.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self

from vivavoce.types import AudioChunk, Ending, EngineInfo, Samples, Segment


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
        """
        ...

    def close(self, stream: Stream) -> None:
        """Frees the stream's state, wherever it stands. Never raises."""
        ...

    def unload(self) -> None:
        """Gives back the memory that the model takes, though it may still be referred to. Never raises.

        Called once, when all its streams are closed; `open` and `step` are not called afterwards.
        """
        ...


class ChunkStream(Protocol):
    """The audio of one segment, as it is made; closing it frees its place in the engine.

    `ending` says how it ended, once it has; it is `None` before that, and after a failure or a close.
    """

    ending: Ending | None

    def __aiter__(self) -> Self: ...

    async def __anext__(self) -> AudioChunk: ...

    async def aclose(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Preview:
    """What is known of a model that is not loaded: what it will say of itself, and the memory it will take."""

    info: EngineInfo
    memory_bytes: int


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
        due only when what it follows has been heard.
        """
        ...
