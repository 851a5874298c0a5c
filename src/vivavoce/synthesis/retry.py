"""The audio of a segment with a check on it: what is no speech is spoken once more, or cut where it
was still good.

It wraps whatever an `Engine` gives, here or far away, and knows neither the request nor who
listens. Nothing that was given out is taken back: an attempt is repeated only while none of it was.
"""

import logging
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Final, Self

from vivavoce.audio.validate import AudioValidator
from vivavoce.errors import EngineFault, VivavoceError
from vivavoce.serving.base import ChunkStream, Engine
from vivavoce.text.split import width
from vivavoce.types import AudioChunk, Samples, Segment, StopReason

log = logging.getLogger(__name__)

# A Latin letter takes a fifteenth of a second or so. Half a second is slower than anybody reads,
# spelling included; the rest is for pauses. What a model sets itself for its own speech is tighter,
# and comes first.
LONGEST_CHAR_S: Final = 0.5
LONGEST_PAUSES_S: Final = 10.0
NEXT_SEED: Final = 0x9E3779B9  # far from the seeds of other segments, which are counted up


def longest_s(text: str) -> float:
    """Return the seconds after which `text` must have been said."""
    return LONGEST_PAUSES_S + LONGEST_CHAR_S * width(text)


@dataclass(eq=False, slots=True)
class _Attempt:
    kept: list[Samples] = field(default_factory=list)  # its good audio, where that is held back
    ending: StopReason = StopReason.COMPLETE
    fault: EngineFault | None = None

    @property
    def failed(self) -> bool:
        return self.fault is not None or self.ending is not StopReason.COMPLETE

    @property
    def why(self) -> str:
        return self.ending.value if self.fault is None else self.fault.message


class RetryingStream(ChunkStream):
    """A `ChunkStream` over `segment` as `engine` speaks it, `follows` as for `Engine.speak`.

    An attempt that fails before anything of it was given out is followed by one more: with another
    seed if its audio was bad, with the same if the model failed, as that is hardly a matter of what
    was drawn, and by itself, as what it was stepped with may be to blame. With `whole`, which may
    be set before the first chunk is asked for, nothing is given out before all of it is there, so
    that any failure is early enough. A model that says the same again to the sample may fail later
    too: of the second attempt that is left out which was heard. Of two attempts with bad audio the
    first one's good part is given.
    """

    def __init__(
        self, engine: Engine, segment: Segment, *, follows: "RetryingStream | None" = None
    ) -> None:
        self.ending: StopReason | None = None
        self.retries = 0
        self.whole = False
        self.first_s: float | None = None  # when its first audio was there, by the monotonic clock
        self._engine = engine
        self._segment = segment
        self._said = segment.text
        self._follows = follows
        self._given = 0  # samples
        self._stream = self._speak(segment)
        self._waited_in = self._stream
        self._check: AudioValidator = self._new_check()
        self._audio = self._checked()

    @property
    def waited_s(self) -> float | None:
        """Seconds until the model began with it; `None` as long as it waits, or where that is not known."""
        return self._waited_in.waited_s

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> AudioChunk:
        return await anext(self._audio)

    async def aclose(self) -> None:
        self._follows = None  # or a long text would keep all its segments
        await self._audio.aclose()
        await self._stream.aclose()

    def feed(self, text: str, *, last: bool = False) -> None:
        self._stream.feed(text, last=last)
        self._said += text
        self._check.most_s, self._check.wordy = longest_s(self._said), _wordy(self._said)

    def _speak(self, segment: Segment) -> ChunkStream:
        before = self._follows
        return self._engine.speak(segment, follows=None if before is None else before._stream)

    def _new_check(self) -> AudioValidator:
        rate_hz = self._engine.info.sample_rate_hz
        return AudioValidator(rate_hz, most_s=longest_s(self._said), wordy=_wordy(self._said))

    async def _checked(self) -> AsyncGenerator[AudioChunk]:
        """Yield the good audio of one attempt, or of two."""
        attempts: list[_Attempt] = []
        while not attempts or self._retry(attempts[-1]):
            attempts.append(attempt := _Attempt())
            heard = self._given
            async with aclosing(self._good(attempt)) as good:
                async for samples in good:
                    heard, new = max(heard - len(samples), 0), samples[heard:]
                    if self.whole:
                        attempt.kept.append(new)
                    elif new.size:
                        self._given += len(new)
                        yield AudioChunk(new)
        self._follows = None
        best = self._best(attempts)
        while best.kept:
            yield AudioChunk(best.kept.pop(0))
        self.ending = best.ending

    async def _good(self, attempt: _Attempt) -> AsyncGenerator[Samples]:
        """What is good of an attempt, which is told how it ended."""
        check = self._check = self._new_check()
        try:
            async for chunk in self._stream:
                if (samples := check.write(chunk.samples)).size:
                    self.first_s = self.first_s or time.monotonic()
                    yield samples
                if check.problem is not None:
                    break
            if (samples := check.finish()).size:
                yield samples
            attempt.ending = check.problem or self._stream.ending or StopReason.COMPLETE
        except EngineFault as error:
            attempt.fault = error
        finally:
            await self._stream.aclose()

    def _retry(self, failed: _Attempt) -> bool:
        """True if a second attempt has begun: none does where the engine takes no work, as after a step that hung."""
        if not failed.failed or self.retries or self._segment.live:
            return False
        if self._given and (
            failed.fault is None or not self._engine.info.capabilities.deterministic
        ):
            return False
        if failed.ending is StopReason.LENGTH and self._segment.sampling.max_new_tokens is not None:
            return False  # it was asked for
        segment = self._segment
        if failed.fault is not None:
            segment = replace(segment, isolate=True)
        elif segment.seed is not None:
            segment = replace(segment, seed=(segment.seed + NEXT_SEED) % 2**32)
        try:
            self._stream = self._speak(segment)
        except VivavoceError as error:
            log.warning(
                "a segment failed (%s), and cannot be spoken again: %s", failed.why, error.message
            )
            return False
        log.warning("a segment failed (%s), and is spoken again", failed.why)
        self.retries = 1
        return True

    def _best(self, attempts: list[_Attempt]) -> _Attempt:
        """Return the attempt whose audio counts, the last one if it is whole.

        Raises `EngineFault` if nothing is good.
        """
        last = attempts[-1]
        if not last.failed or (self._given and last.fault is None):
            return last
        for attempt in attempts:
            if attempt.kept and attempt.fault is None:
                return attempt
        name = self._engine.info.name
        raise last.fault or EngineFault(
            f"model {name!r} made no speech of this text, but {last.why}: try again, or with another voice or wording"
        )


def _wordy(text: str) -> bool:
    return any(map(str.isalnum, text))
