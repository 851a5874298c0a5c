"""Hold the texts that one client has spoken, one after the other, until it interrupts them."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import count

from vivavoce.errors import BadRequest
from vivavoce.sessions.events import Event
from vivavoce.sessions.heard import Heard
from vivavoce.sessions.utterance import Stage, Utterance
from vivavoce.synthesis.outlet import check_stream
from vivavoce.synthesis.synthesizer import Synthesizer
from vivavoce.types import SpeechRequest

MAX_UTTERANCES = 64  # that are not done; a dialogue has as many lines waiting at most
MAX_DONE = 8  # that are remembered, since their audio may still be playing


class Session:
    """The utterances of one client, in the order in which they began.

    `emit` gets their events and may wait, for a client that reads slowly. It raises nothing but a
    `VivavoceError` on `Started` and `Audio`, which ends the utterance with `Failed`. A text has at
    most `max_chars` characters, and all of them together twice as many. `on_end` is called for each
    utterance that ends, however it does.
    """

    def __init__(
        self,
        synthesizer: Synthesizer,
        emit: Callable[[Event], Awaitable[None]],
        *,
        max_chars: int = 100_000,
        on_end: Callable[[], None] = lambda: None,
    ) -> None:
        self._stage = Stage(synthesizer, emit, self._forget, max_chars)
        self._on_end = on_end
        self._max_chars = 2 * max_chars
        self._numbers = count(1)
        self._utterances: dict[str, Utterance] = {}
        self._done: dict[str, Utterance] = {}
        self._silent = asyncio.Event()  # no utterance is left
        self._silent.set()

    @property
    def utterances(self) -> Sequence[Utterance]:
        """Those that are not done."""
        return tuple(self._utterances.values())

    def find(self, name: str) -> Utterance | None:
        """Return the utterance of that name, if it is not done."""
        return self._utterances.get(name)

    def begin(
        self, request: SpeechRequest, name: str | None = None, *, beside: bool = False
    ) -> Utterance:
        """Begin a text as `request` says, whose own text is spoken first.

        It is spoken behind those before it, or at the same time if `beside`. Raises `BadRequest`
        (`context`) if there are too many, or for a name that is in use, and as `check_stream` does.
        """
        if name is None:
            name = next(str(n) for n in self._numbers if str(n) not in self._utterances)
        self._done.pop(name, None)
        if name in self._utterances:
            raise BadRequest(
                f"context {name!r} has begun: end it first, or use another name", field="context"
            )
        if len(self._utterances) >= MAX_UTTERANCES:
            raise BadRequest(
                f"{MAX_UTTERANCES} contexts have begun, as many as there may be: end one first",
                field="context",
            )
        check_stream(request.format)
        stage = replace(self._stage, turn=asyncio.Lock()) if beside else self._stage
        utterance = Utterance(stage, request, name)
        self._utterances[name] = utterance
        self._silent.clear()
        return utterance

    def append(self, utterance: Utterance, text: str) -> None:
        """Add `text` to an utterance. Raises `BadRequest` if that makes too much of it."""
        chars = len(text) + sum(len(one.text) for one in self._utterances.values())
        if chars > self._max_chars:
            raise BadRequest(
                f"{chars:,} characters wait to be spoken, the limit is {self._max_chars:,}: wait "
                "for some of them",
                field="text",
            )
        utterance.append(text)

    async def interrupt(
        self, played_s: float | None = None, name: str | None = None
    ) -> Sequence[tuple[Utterance, Heard]]:
        """Stop one utterance or all, and return what of each was heard, in order.

        All are those that are not done, and those that are but cannot have been played to their
        end yet. `played_s` counts from the start of the first of them, None for all that was sent.
        Those after one that was not played to its end were not heard at all.
        """
        wanted = list(self._playing()) if name is None else list(self._named(name))
        await self.stop(wanted)
        outcomes = []
        for one in wanted:
            outcomes.append((one, await one.interrupt(played_s)))
            self._done.pop(one.name, None)
            if played_s is not None:
                played_s = max(played_s - one.sent_s, 0.0)
        return outcomes

    async def stop(self, utterances: Iterable[Utterance]) -> None:
        """Stop utterances at once, together: one that ends would let the next one speak."""
        await asyncio.gather(*(one.aclose() for one in utterances))

    async def finish(self) -> None:
        """End all texts, and wait until they are spoken."""
        for one in self._utterances.values():
            one.end()
        await self._silent.wait()

    async def aclose(self) -> None:
        """Stop at once."""
        await self.stop(self.utterances)

    def _forget(self, utterance: Utterance) -> None:
        self._utterances.pop(utterance.name, None)
        if utterance.is_over:
            self._done.pop(utterance.name, None)
            self._done[utterance.name] = utterance
            if len(self._done) > MAX_DONE:
                del self._done[next(iter(self._done))]
        self._on_end()
        if not self._utterances:
            self._silent.set()

    def _named(self, name: str) -> Iterator[Utterance]:
        if (found := self._utterances.get(name) or self._done.get(name)) is not None:
            yield found

    def _playing(self) -> Iterator[Utterance]:
        """Yield the utterances that a client that plays in real time has not heard to the end."""
        played_s = 0.0  # by the monotonic clock, the soonest that all before is played
        for one in self._done.values():
            played_s = max(played_s, one.told_first_s) + one.sent_s
            if played_s > time.monotonic():
                yield one
        yield from self._utterances.values()
