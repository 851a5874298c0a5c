"""Check the audio of a segment, and retry the segment once if it is bad.

Wraps any `Engine`, local or remote. Knows neither the request nor the client.

- Audio that was given out is never taken back.
- There are at most two attempts.
"""

import logging
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Self

import numpy as np

from vivavoce.audio.validate import AudioValidator
from vivavoce.errors import EngineFault, VivavoceError
from vivavoce.serving.base import ChunkStream, Engine
from vivavoce.text.split import weighted_length
from vivavoce.types import AudioChunk, Phone, Samples, Segment, StopReason

log = logging.getLogger(__name__)

# A Latin letter takes about 1/15 s. Half a second is slower than any reading, even spelling.
# Models set tighter limits for their own speech, which apply first.
MAX_CHAR_S: Final = 0.5
MAX_PAUSES_S: Final = 10.0
NEXT_SEED: Final = 0x9E3779B9  # far from the seeds of the other segments, which are consecutive


def max_duration_s(text: str) -> float:
    """Return the longest plausible duration of `text`, in seconds."""
    return MAX_PAUSES_S + MAX_CHAR_S * weighted_length(text)


@dataclass(eq=False, slots=True)
class _Attempt:
    """One attempt to speak the segment, and its result."""

    stream: ChunkStream
    validator: AudioValidator
    held: list[Samples] = field(default_factory=list)  # good audio that is not given out yet
    ending: StopReason = StopReason.COMPLETE
    fault: EngineFault | None = None

    @property
    def failed(self) -> bool:
        return self.fault is not None or self.ending is not StopReason.COMPLETE

    @property
    def why(self) -> str:
        return self.ending.value if self.fault is None else self.fault.message


class RetryingStream(ChunkStream):
    """A `ChunkStream` of the good audio of `segment`. `follows` is as for `Engine.speak`.

    With `whole`, nothing is given out before all audio is there, so any failure can be retried.
    Set it before the first chunk is requested.
    """

    def __init__(
        self, engine: Engine, segment: Segment, *, follows: "RetryingStream | None" = None
    ) -> None:
        self.ending: StopReason | None = None
        self.whole = False
        self.queued_s = time.monotonic()
        self.first_s: float | None = None  # moment of the first good audio, by the monotonic clock
        self.engine = engine
        self._segment = segment
        self._text = segment.text  # with what was fed
        self._follows = follows
        self._emitted = 0  # samples given out so far
        self._chosen: _Attempt | None = None  # the one that counts in the end
        self._to_skip = 0  # samples of the current attempt that an earlier one has given out
        self._attempts = [self._submit(segment)]
        self._chunks = self._generate()

    @property
    def retries(self) -> int:
        return len(self._attempts) - 1

    @property
    def waited_s(self) -> float | None:
        """Seconds until the model began, or None while it waits or if that is unknown."""
        return self._attempts[0].stream.waited_s

    @property
    def phones(self) -> Sequence[Phone]:
        return (self._chosen or self._attempts[-1]).stream.phones

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> AudioChunk:
        return await anext(self._chunks)

    async def aclose(self) -> None:
        self._follows = None  # or a long text would keep all its segments in memory
        await self._chunks.aclose()
        await self._attempts[-1].stream.aclose()

    def feed(self, text: str, *, last: bool = False) -> None:
        attempt = self._attempts[-1]
        attempt.stream.feed(text, last=last)
        self._text += text
        attempt.validator.max_s = max_duration_s(self._text)
        attempt.validator.expects_speech = _has_words(self._text)

    def _submit(self, segment: Segment) -> _Attempt:
        before = self._follows
        stream = self.engine.speak(
            segment, follows=None if before is None else before._attempts[-1].stream
        )
        validator = AudioValidator(
            self.engine.info.sample_rate_hz,
            max_s=max_duration_s(self._text),
            expects_speech=_has_words(self._text),
        )
        return _Attempt(stream, validator)

    async def _generate(self) -> AsyncGenerator[AudioChunk]:
        # 1. Give out the good audio of an attempt, and try once more if it fails early enough.
        retrying = True
        while retrying:
            attempt = self._attempts[-1]
            self._to_skip = self._emitted
            try:
                async for chunk in attempt.stream:
                    if (new := self._new(attempt, attempt.validator.write(chunk.samples))).size:
                        yield AudioChunk(new)
                    if attempt.validator.problem is not None:
                        break
                if (new := self._new(attempt, attempt.validator.finish())).size:
                    yield AudioChunk(new)
                attempt.ending = (
                    attempt.validator.problem or attempt.stream.ending or StopReason.COMPLETE
                )
            except EngineFault as error:
                attempt.fault = error
            finally:
                await attempt.stream.aclose()
            retrying = self._retry(attempt)
        # 2. Give out what was held back of the better attempt.
        self._follows = None
        best = self._chosen = self._best()
        if best.held:
            whole, best.held = np.concatenate(best.held), []
            yield AudioChunk(whole)
        self.ending = best.ending

    def _new(self, attempt: _Attempt, samples: Samples) -> Samples:
        """Return the samples to give out now, without those given out before or held back."""
        if samples.size and self.first_s is None:
            self.first_s = time.monotonic()
        skipped = min(self._to_skip, len(samples))
        self._to_skip -= skipped
        new = samples[skipped:]
        if self.whole:
            if new.size:
                attempt.held.append(new)
            return new[:0]
        self._emitted += len(new)
        return new

    def _retry(self, attempt: _Attempt) -> bool:
        """True if `attempt` failed and another one was queued."""
        # 1. A failure is retried once. Live text is not, as it cannot be read again.
        if not attempt.failed or self.retries or self._segment.live:
            return False
        # 2. After audio was given out, only a model that repeats it to the sample can go on, and
        #    only after a fault: bad audio would be the same again.
        deterministic = self.engine.info.capabilities.deterministic
        if self._emitted and (attempt.fault is None or not deterministic):
            return False
        # 3. A length limit of the request is not a failure.
        max_tokens = self._segment.sampling.max_new_tokens
        if attempt.ending is StopReason.LENGTH and max_tokens is not None:
            return False
        # 4. After a fault, keep the seed and run alone: another segment of the batch may be the
        #    cause. After bad audio, draw with another seed.
        segment = self._segment
        if attempt.fault is not None:
            segment = replace(segment, isolate=True)
        elif segment.seed is not None:
            segment = replace(segment, seed=(segment.seed + NEXT_SEED) % 2**32)
        # 5. An engine that takes no work, for example after a hang, ends the retry.
        try:
            self._attempts.append(self._submit(segment))
        except VivavoceError as error:
            log.warning("segment failed (%s); cannot retry: %s", attempt.why, error.message)
            return False
        log.warning("segment failed (%s); retrying", attempt.why)
        return True

    def _best(self) -> _Attempt:
        """Return the attempt that counts. Raises `EngineFault` if none has good audio."""
        # 1. The last attempt counts if it is complete, or if part of it was given out.
        last = self._attempts[-1]
        if not last.failed or (self._emitted and last.fault is None):
            return last
        # 2. Of two attempts with bad audio, the good part of the first one counts.
        for attempt in self._attempts:
            if attempt.held and attempt.fault is None:
                return attempt
        # 3. There is nothing good.
        name = self.engine.info.name
        raise last.fault or EngineFault(
            f"model {name!r} made no speech of this text, but {last.why}: try again, or with "
            "another voice or wording"
        )


def _has_words(text: str) -> bool:
    return any(map(str.isalnum, text))
