"""Turn one request into audio: queue the segments of its parts, join them in order.

Knows neither HTTP nor audio formats.

- A `Speech` has at most two segments in an engine, however long the text is.
- It buffers a fraction of a second of samples.
- It reports its end exactly once.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from zlib import crc32

from vivavoce.audio import Joiner, nearest_rate
from vivavoce.audio.filters import Filters
from vivavoce.audio.pcm import silence, slices
from vivavoce.errors import BadRequest, EngineFault, Unsupported, VivavoceError
from vivavoce.provenance import Provenance
from vivavoce.synthesis.deadline import Deadline
from vivavoce.synthesis.parts import OpenPart, OpenParts
from vivavoce.synthesis.playback import PlaybackTracker
from vivavoce.synthesis.retry import RetryingStream
from vivavoce.synthesis.times import SegmentWords, WordClock
from vivavoce.text.document import PLAIN, Style
from vivavoce.text.language.names import language_name
from vivavoce.text.pipeline import SpokenSegment
from vivavoce.types import (
    AudioChunk,
    FinishReason,
    Samples,
    SpeechReport,
    SpeechRequest,
    StopReason,
    TimedMark,
    TimedWord,
    Timing,
    VoiceSegment,
)

log = logging.getLogger(__name__)

# Filtered and encoded in one go, so that a long chunk of one client does not delay the others.
SLICE_S = 0.2
PLAIN_SLICE_S = 1.5  # neither filtered nor compressed, which takes a tenth of the time


@dataclass(eq=False, slots=True)
class _Queued:
    """A segment in the queue. A pause has no stream."""

    text: SpokenSegment
    part: OpenPart
    stream: RetryingStream | None = None
    words: SegmentWords | None = None  # if the client wants their times

    @property
    def pause_s(self) -> float:
        return self.text.pause_s if self.part.pause_s is None else self.part.pause_s


class Speech:
    """One request being spoken. It holds the leases of its parts until it is closed.

    `submit_next` starts the work. `samples` gives the audio out, and closes it in the end.
    """

    def __init__(
        self,
        request: SpeechRequest,
        parts: OpenParts,
        ignored: Sequence[str],
        deadline: Deadline,
        playback: PlaybackTracker,
        clock: Callable[[int], WordClock],
    ) -> None:
        route = parts.current.route
        self.model = route.info.name
        self.voice = route.speaker
        self.language = route.language
        self.sample_rate_hz = request.sample_rate_hz or nearest_rate(
            request.format, route.info.sample_rate_hz
        )
        self.ignored = tuple(ignored)  # fields and markup that the models cannot honour
        self.provenance = Provenance()
        self.streamed = True  # the client receives audio while it is generated
        self.spoken_samples = 0  # given out so far, at `sample_rate_hz`
        self.ending = StopReason.COMPLETE  # of the first segment that was cut, if any
        self.retries = 0  # segments that were spoken twice
        self.unspoken: list[str] = []  # parts of the text that cannot be said
        self.voice_segments: list[VoiceSegment] = []  # so far
        self._clock = clock(self.sample_rate_hz)
        self._is_live = parts.growth is not None
        self.on_report: list[Callable[[SpeechReport], None]] = []
        self._request = request
        self._parts = parts
        self._deadline = deadline
        self._playback = playback
        self._finish: FinishReason = "cancelled"
        self._error: str | None = None
        self._queued: list[_Queued] = []
        self._submitted = 0  # segments, for their seeds
        self._first: RetryingStream | None = None
        self._latest: RetryingStream | None = None

    @property
    def fingerprint(self) -> int:
        """31 bits that equal requests have in common."""
        request = self._request
        said = (self.model, self.voice, self.language, self._parts.said, request.instruct)
        drawn = (request.speed, request.pitch, request.seed, request.sampling)
        return crc32(repr((*said, *drawn)).encode("utf-8", "replace")) >> 1

    @property
    def words(self) -> Sequence[TimedWord]:
        """The words of the audio so far, if the client asked for times. Takes no copy."""
        return self._clock.words

    @property
    def marks(self) -> Sequence[TimedMark]:
        """The named places of the text, known at the end, if the client asked for times."""
        end_s = self.spoken_samples / self.sample_rate_hz
        return tuple(self._clock.mark_times(end_s))

    @property
    def timing(self) -> Timing:
        """The worst of the ways in which the words so far got their times."""
        return self._clock.timing

    @property
    def finish_reason(self) -> FinishReason:
        """Finish reason of speech that was neither cancelled nor failed."""
        if self.ending is not StopReason.COMPLETE:
            return "truncated"
        return "retried" if self.retries else "complete"

    async def aclose(self) -> None:
        """Cancel the queued segments, release the leases, and report."""
        try:
            for queued in self._queued:
                if queued.stream is not None:
                    await queued.stream.aclose()
        finally:
            try:
                await self._parts.aclose()
            finally:
                self._report()

    async def submit_next(self) -> None:
        """Queue the next segment of the text, if there is one.

        A part that is not open yet is waited for only if nothing else is queued. Raises
        `Unsupported` if the text has no segment at all.
        """
        while (text := next(self._parts.current.segments, None)) is None:
            if not await self._parts.grow():
                break
            async with self._deadline.limit():
                if not await self._parts.advance(wait=not self._queued):
                    return
        if text is not None:
            self._queued.append(self._submit(text, self._parts.current))
        elif self._first is None and not self._queued:
            raise Unsupported(
                f"nothing of the text can be said in {language_name(self.language)}: "
                "name its language, and a model that speaks it",
                field="text",
            )

    def _submit(self, text: SpokenSegment, part: OpenPart) -> _Queued:
        self.unspoken += text.unspoken
        index = self._submitted
        self._submitted += 1
        if not text.text:
            return _Queued(text, part)
        seed = self._request.seed
        segment = replace(
            part.template,
            text=text.text,
            language=text.language,
            phonemes=text.phonemes,
            seed=None if seed is None else seed + index,
            hints=replace(part.template.hints, timeout_s=self._deadline.left_s),
        )
        previous, self._latest = self._latest, None
        if previous is not None and previous.engine is not part.route.engine:
            previous = None
        stream = RetryingStream(part.route.engine, segment, follows=previous)
        self._first, self._latest = self._first or stream, stream
        part.start_feeding(stream)
        words = None
        # In a live text, only those times are known at once that the model tells.
        if self._request.timestamps is not None or (self._is_live and part.is_timed):
            words = SegmentWords(text, part.part.input, part.route.info.sample_rate_hz)
        return _Queued(text, part, stream, words)

    async def samples(self) -> AsyncGenerator[Samples]:
        """Yield the audio at `sample_rate_hz` as it is made, in slices of a limited length.

        If the answer is not streamed, each segment is complete before any of it is given out. The
        filters delay the audio by 0.2 s at most. Raises `EngineFault` if the model fails or makes
        no audio at all.
        """
        filters: Filters | None = None
        key: tuple[OpenPart, float, float] | None = None
        joined = 0  # samples of the part that were filtered
        try:
            async with aclosing(self._chunks(whole=not self.streamed)) as chunks:
                async for queued, audio in chunks:
                    style = PLAIN if queued is None else queued.text.style
                    if queued is None or key != (queued.part, style.speed, style.pitch):
                        # The filters of a stretch end with it.
                        if filters is not None:
                            yield self._emitted(self._clock.release(filters.finish(), last=True))
                            self._playback.on_consumed()
                            filters.close()
                        filters = None
                        if queued is None:
                            key = None
                            continue
                        if key is None or key[0] is not queued.part:
                            self._change_voice(queued.part)
                            joined = 0
                        filters = self._filters(queued.part, style)
                        key = (queued.part, style.speed, style.pitch)
                        self._clock.begin(filters, joined, self.spoken_samples)
                    assert filters is not None
                    if queued.words is not None:
                        self._clock.add(queued.words)
                    joined += len(audio)
                    for slice_ in slices(audio, self._slice_samples(queued.part, filters)):
                        ready = filters.write(slice_, style.volume_db)
                        yield self._emitted(self._clock.release(ready, len(slice_)))
                        self._playback.on_consumed()
                        await asyncio.sleep(0)  # other requests run between two slices
            self._finish = self.finish_reason
        except BaseException as error:
            if not isinstance(error, GeneratorExit | asyncio.CancelledError):
                self._finish = "error"
                self._error = error.code if isinstance(error, VivavoceError) else "internal_error"
            raise
        finally:
            if filters is not None:
                filters.close()
            self._end_voice()
            await self.aclose()

    async def _chunks(self, *, whole: bool) -> AsyncGenerator[tuple[_Queued | None, Samples]]:
        """Yield the chunks at their engine's rate, each with its segment.

        None stands for the end, also for one before a wait. Edges are faded. The pause before a
        segment belongs to it. `whole` is as for `RetryingStream`.
        """
        joiner: Joiner | None = None
        part: OpenPart | None = None
        audible = False
        pause_s = 0.0  # after the latest segment
        unread: BadRequest | None = None
        while self._queued:
            # 1. Queue the next segment, so that the engine has work while this one is read.
            queued = self._queued[0]
            text, stream = queued.text, queued.stream
            await self.submit_next()
            # 2. Give the engines of earlier parts back.
            if joiner is None or queued.part is not part:
                part = queued.part
                self._parts.close_before(part)
                joiner = Joiner(part.route.info.sample_rate_hz)
                joiner.end_segment(pause_s)
            try:
                # 3. Give out the segment.
                while (chunk := await self._next(queued, whole)) is not None:
                    audible = True
                    joined = joiner.write(chunk.samples)
                    await self._place(queued, chunk, joiner)
                    yield queued, joined
                joined = joiner.end_segment(queued.pause_s)
                await self._place(queued, None, joiner)
                yield queued, joined
                pause_s = queued.pause_s
            except BadRequest as error:
                # 4. Go on without a segment that the model cannot read.
                if error.field != "text" or stream is None:
                    raise
                log.warning("%s leaves out %.80r: %.320s", self.model, text.text, error.message)
                self.unspoken.append(text.text)
                unread = unread or error
                await stream.aclose()
            finally:
                self._count(stream)
                queued.part.stop_feeding()
            self._queued.pop(0)
            # 5. Wait for the next part, if it was not open in time.
            if not self._queued and not self._parts.is_last:
                self._parts.close_before(None)
                await self.submit_next()
            # 6. Wait for the author, if the text is spoken while it is written.
            while not self._queued and self._parts.growth is not None:
                yield None, silence(0.0, 1)
                self._parts.close_before(None)
                if not await self._parts.growth.wait(self._playback.ahead_s):
                    return
                pause_s = min(pause_s, self._playback.ahead_s)
                self._playback.on_written()
                await self.submit_next()
        # 7. Fail if there was nothing at all.
        if not audible:
            raise unread or EngineFault(
                f"model {self.model!r} made no audio of this text; try another model or wording"
            )
        # 8. End with the pause that the author asks for, if any.
        if pause_s:
            yield queued, silence(pause_s, queued.part.route.info.sample_rate_hz)
        yield None, silence(0.0, 1)

    async def _next(self, queued: _Queued, whole: bool) -> AudioChunk | None:
        stream = queued.stream
        if stream is None:
            return None
        stream.whole = whole or (queued.words is not None and not queued.part.is_timed)
        async with self._deadline.limit():
            return await anext(stream, None)

    async def _place(self, queued: _Queued, chunk: AudioChunk | None, joiner: Joiner) -> None:
        """Keep what is known of a segment's times, after `chunk`, or after its end."""
        words, stream = queued.words, queued.stream
        if words is None or stream is None:
            return
        words.origin, words.complete = joiner.origin, chunk is None
        if queued.part.is_timed:
            words.phones = stream.phones
        elif chunk is not None:
            await self._clock.hear(chunk.samples, words)

    def _count(self, stream: RetryingStream | None) -> None:
        """Record how a segment has ended."""
        if stream is not None:
            self.retries += stream.retries
            if self.ending is StopReason.COMPLETE and stream.ending is not None:
                self.ending = stream.ending

    def _slice_samples(self, part: OpenPart, filters: Filters) -> int:
        """Return the number of samples to process in one go."""
        plain = filters.change_nothing and self._request.format in ("pcm", "wav")
        return int((PLAIN_SLICE_S if plain else SLICE_S) * part.route.info.sample_rate_hz)

    def _filters(self, part: OpenPart, style: Style) -> Filters:
        request = self._request
        return Filters(
            part.route.info.sample_rate_hz,
            self.sample_rate_hz,
            speed=request.speed * style.speed,
            pitch=request.pitch * style.pitch,
            timed=self._is_live or request.timestamps is not None,
        )

    def _change_voice(self, part: OpenPart) -> None:
        """Begin the stretch of another voice."""
        self._end_voice()
        now_s = self.spoken_samples / self.sample_rate_hz
        self.voice_segments.append(VoiceSegment(part.route.speaker, now_s, now_s, part.part.input))

    def _end_voice(self) -> None:
        if self.voice_segments:
            end_s = self.spoken_samples / self.sample_rate_hz
            self.voice_segments[-1] = replace(self.voice_segments[-1], end_s=end_s)

    def _emitted(self, samples: Samples) -> Samples:
        """Count `samples`, which the client receives next."""
        self.spoken_samples += len(samples)
        self._playback.on_chunk(len(samples) / self.sample_rate_hz)
        return samples

    def _report(self) -> None:
        """Send the report, once."""
        listeners, self.on_report = self.on_report, []
        playback, first = self._playback, self._first
        # A whole file comes out late: its first audio is that of the first segment.
        report = SpeechReport(
            model=self.model,
            finish_reason=self._finish,
            ending=self.ending,
            retries=self.retries,
            error=self._error,
            streamed=self.streamed,
            started_s=playback.started_s,
            queued_s=playback.started_s if first is None else first.queued_s,
            waited_s=None if first is None else first.waited_s,
            first_s=playback.first_s if self.streamed or first is None else first.first_s,
            ended_s=time.monotonic(),
            audio_s=playback.audio_s,
            generation_s=playback.generation_s,
            underruns=playback.underruns if self.streamed else 0,
            voice_segments=tuple(self.voice_segments),
        )
        for listener in listeners:
            listener(report)
