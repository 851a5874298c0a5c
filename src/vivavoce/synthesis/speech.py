"""Turn one request into audio: route it, queue its segments, join them in order.

Knows neither HTTP nor audio formats.

- A `Speech` has at most two segments in an engine, however long the text is.
- It buffers a fraction of a second of samples.
- It reports its end exactly once.
"""

import asyncio
import logging
import math
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import ExitStack, aclosing
from dataclasses import fields, replace
from zlib import crc32

from vivavoce.audio import Joiner, Resampler, Tempo, nearest_rate
from vivavoce.errors import BadRequest, EngineFault, VivavoceError
from vivavoce.serving.pool import Pool
from vivavoce.synthesis.deadline import Deadline
from vivavoce.synthesis.playback import PlaybackTracker
from vivavoce.synthesis.retry import RetryingStream
from vivavoce.synthesis.routing import AUTO, Route, Router
from vivavoce.text.normalize import joined, normalize_part, parts
from vivavoce.text.split import TextSegment, split, weighted_length
from vivavoce.types import (
    AudioChunk,
    FinishReason,
    PreparedVoice,
    QueueHints,
    Samples,
    Segment,
    SpeechReport,
    SpeechRequest,
    StopReason,
)

log = logging.getLogger(__name__)

# Filtered and encoded in one go, so that a long chunk of one client does not delay the others.
SLICE_S = 0.2
PLAIN_SLICE_S = 1.5  # of audio that is neither filtered nor compressed, which takes a tenth
CHARS_PER_S = 15.0  # as `weighted_length` counts them, to predict the duration of a text
LOGGED_CHARS = 80  # of a segment that is left out
LONG_TEXT_CHARS = 2_000  # longer texts are normalised in a thread


class Synthesizer:
    """Open a `Speech` for each request. `on_report` receives the report of each one."""

    def __init__(
        self,
        pool: Pool,
        *,
        default_model: str = AUTO,
        max_text_chars: int = 100_000,
        timeout_s: float | None = None,
        on_report: Callable[[SpeechReport], None] | None = None,
    ) -> None:
        self.pool = pool
        self.router = Router(pool, default_model=default_model)
        self._max_text_chars = max_text_chars
        self._timeout_s = math.inf if timeout_s is None else timeout_s
        self._on_report = on_report
        # One part at a time: every thread that wants the interpreter delays the event loop by some
        # milliseconds.
        self._normalizing = asyncio.Lock()

    async def open(self, request: SpeechRequest) -> "Speech":
        """Check `request`, choose a model, and queue the first segment. Close the `Speech`.

        Raises `BadRequest` and its subclasses, `Overloaded`, `NotReady`, `MissingDependency`, and
        `DeadlineExceeded` if the time is over before the model is loaded.
        """
        timeout_s = math.inf if request.timeout_s is None else request.timeout_s
        deadline = Deadline(min(timeout_s, self._timeout_s))
        playback = PlaybackTracker(time.monotonic)
        async with deadline.limit():
            # 1. Normalise the text.
            request = replace(request, text=await self._speakable(request.text))
            # 2. Route: choose the model, the voice and the language.
            route = await self.router.route(request)
            with ExitStack() as undo:
                # 3. Hold the lease of the route. Any error below gives it back.
                undo.callback(route.lease.release)
                # 4. Prepare the voice of a recording.
                voice = None
                if request.reference is not None:
                    voice = await route.engine.prepare_voice(request.reference)
                # 5. Submit the first segment.
                speech = Speech(request, route, voice, deadline, playback)
                speech.submit_next()
                undo.pop_all()
        # 6. The speech owns the lease from here on.
        if self._on_report is not None:
            speech.on_report.append(self._on_report)
        if speech.ignored:
            log.info("%s does without the request's %s", speech.model, ", ".join(speech.ignored))
        return speech

    async def _speakable(self, text: str) -> str:
        if len(text) > self._max_text_chars:
            raise BadRequest(
                f"text has {len(text):,} characters, the limit is {self._max_text_chars:,}; "
                "send it in parts",
                field="text",
            )
        speakable = await self._normalized(text)
        if not speakable:
            raise BadRequest(
                f"text {text[:80]!r} holds nothing that can be spoken; send at least one word",
                field="text",
            )
        return speakable

    async def _normalized(self, text: str) -> str:
        """Return the normalised text. A long one is processed in parts, in a thread."""
        if len(text) <= LONG_TEXT_CHARS:
            return joined((normalize_part(part), gap) for part, gap in parts(text))
        done = []
        for part, gap in parts(text):
            async with self._normalizing:
                done.append((await asyncio.to_thread(normalize_part, part), gap))
        return joined(done)


class Speech:
    """One request being spoken. It holds the lease of its route until it is closed.

    `submit_next` starts the work. `samples` gives the audio out, and closes the speech in the end.
    """

    def __init__(
        self,
        request: SpeechRequest,
        route: Route,
        voice: PreparedVoice | None,
        deadline: Deadline,
        playback: PlaybackTracker,
    ) -> None:
        info = route.engine.info
        self.model = info.name
        self.voice = route.speaker
        self.language = route.language
        self.sample_rate_hz = request.sample_rate_hz or nearest_rate(
            request.format, info.sample_rate_hz
        )
        self.ignored = _ignored(request, route)  # fields that the model cannot honour
        self.streamed = True  # the client receives audio while it is generated
        self.segment: TextSegment | None = None  # the one that `samples` is giving out
        self.spoken_samples = 0  # given out so far, at `sample_rate_hz`
        self.ending = StopReason.COMPLETE  # of the first segment that was cut, if any
        self.retries = 0  # segments that were spoken twice
        self.unspoken: list[str] = []  # segments that the model could not read
        self.on_report: list[Callable[[SpeechReport], None]] = []
        self._request = request
        self._route = route
        self._deadline = deadline
        self._playback = playback
        self._finish: FinishReason = "cancelled"
        self._error: str | None = None
        audio_s = weighted_length(request.text) / CHARS_PER_S / request.speed
        self._template = Segment(
            text="",
            voice=route.voice.id,
            language=route.language,
            instruct=request.instruct,
            sampling=request.sampling,
            prepared=voice,
            hints=QueueHints(audio_s, request.priority, request.caller),
        )
        self._texts = enumerate(
            split(request.text, route.language, max_chars=info.max_segment_chars)
        )
        self._queued: list[tuple[TextSegment, RetryingStream]] = []
        self._first: RetryingStream | None = None

    @property
    def fingerprint(self) -> int:
        """31 bits that equal requests have in common."""
        request = self._request
        said = (self.model, self.voice, self.language, request.text, request.instruct)
        drawn = (request.speed, request.pitch, request.seed, request.sampling)
        return crc32(repr((*said, *drawn)).encode("utf-8", "replace")) >> 1

    @property
    def finish_reason(self) -> FinishReason:
        """Finish reason of speech that was neither cancelled nor failed."""
        if self.ending is not StopReason.COMPLETE:
            return "truncated"
        return "retried" if self.retries else "complete"

    async def aclose(self) -> None:
        """Cancel the queued segments, release the lease, and report."""
        try:
            for _, stream in self._queued:
                await stream.aclose()
        finally:
            self._route.lease.release()
            self._report()

    def submit_next(self) -> None:
        """Queue the next segment of the text, if there is one."""
        if (following := next(self._texts, None)) is None:
            return
        index, text = following
        seed = self._request.seed
        segment = replace(
            self._template,
            text=text.text,
            seed=None if seed is None else seed + index,
            hints=replace(self._template.hints, timeout_s=self._deadline.left_s),
        )
        previous = self._queued[-1][1] if self._queued else None
        stream = RetryingStream(self._route.engine, segment, follows=previous)
        self._first = self._first or stream
        self._queued.append((text, stream))

    async def samples(self, *, whole_segments: bool = False) -> AsyncGenerator[Samples]:
        """Yield the audio at `sample_rate_hz` as it is made, in slices of a limited length.

        With `whole_segments`, each segment is complete before any of it is given out.
        `segment` tells where a slice belongs. The filters delay the audio by 0.2 s at most, so a
        segment's first slice may begin with the end of the one before. Raises `EngineFault` if the
        model fails or makes no audio at all.
        """
        rate_hz = self._route.engine.info.sample_rate_hz
        pitch = self._request.pitch
        # Resampling by `pitch` changes pitch and pace together. The tempo makes up for the pace.
        tempo = Tempo(rate_hz, self._request.speed / pitch)
        resampler = Resampler(round(rate_hz * pitch), self.sample_rate_hz)
        plain = self._request.format in ("pcm", "wav") and self.sample_rate_hz == rate_hz
        slice_s = PLAIN_SLICE_S if plain and self._request.speed == pitch == 1.0 else SLICE_S
        try:
            whole = whole_segments or not self.streamed
            async with aclosing(self.segments(whole=whole)) as segments:
                async for segment, audio in segments:
                    self.segment = segment
                    for part in _slices(audio, int(slice_s * rate_hz)):
                        yield self._emitted(resampler.write(tempo.write(part)))
                        self._playback.on_consumed()
                        await asyncio.sleep(0)  # other requests run between two slices
            yield self._emitted(resampler.write(tempo.finish()))
            self._playback.on_consumed()
            yield self._emitted(resampler.finish())
            self._playback.on_consumed()
            self._finish = self.finish_reason
        except BaseException as error:
            if not isinstance(error, GeneratorExit | asyncio.CancelledError):
                self._finish = "error"
                self._error = error.code if isinstance(error, VivavoceError) else "internal_error"
            raise
        finally:
            tempo.close()
            resampler.close()
            await self.aclose()

    async def segments(self, *, whole: bool) -> AsyncGenerator[tuple[TextSegment, Samples]]:
        """Yield the chunks at the engine's rate, each with its segment.

        Edges are faded. The pause before a segment belongs to it. `whole` is as for
        `RetryingStream`.
        """
        joiner = Joiner(self._route.engine.info.sample_rate_hz)
        audible = False
        unread: BadRequest | None = None
        while self._queued:
            # 1. Queue the next segment, so that the engine has work while this one is read.
            text, stream = self._queued[0]
            self.submit_next()
            stream.whole = whole
            try:
                # 2. Give out the segment.
                while (chunk := await self._next(stream)) is not None:
                    audible = True
                    yield text, joiner.write(chunk.samples)
                if self.ending is StopReason.COMPLETE and stream.ending is not None:
                    self.ending = stream.ending
                yield text, joiner.end_segment(text.pause_s)
            except BadRequest as error:
                # 3. Go on without a segment that the model cannot read.
                if error.field != "text":
                    raise
                self._log_unread(text, error)
                self.unspoken.append(text.text)
                unread = unread or error
                await stream.aclose()
            finally:
                self.retries += stream.retries
            self._queued.pop(0)
        # 4. Fail if there was nothing at all.
        if not audible:
            raise unread or EngineFault(
                f"model {self.model!r} made no audio of this text; try another model or wording"
            )

    async def _next(self, stream: RetryingStream) -> AudioChunk | None:
        async with self._deadline.limit():
            return await anext(stream, None)

    def _emitted(self, samples: Samples) -> Samples:
        """Count `samples`, which the client receives next."""
        self.spoken_samples += len(samples)
        self._playback.on_chunk(len(samples) / self.sample_rate_hz)
        return samples

    def _log_unread(self, text: TextSegment, error: BadRequest) -> None:
        log.warning(
            "%s leaves out %r: %s",
            self.model,
            text.text[:LOGGED_CHARS],
            error.message[: LOGGED_CHARS * 4],
        )

    def _report(self) -> None:
        """Send the report, once."""
        listeners, self.on_report = self.on_report, []
        if not listeners:
            return
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
        )
        for listener in listeners:
            listener(report)


def _ignored(request: SpeechRequest, route: Route) -> tuple[str, ...]:
    """Return the names of the request's fields that the model cannot honour."""
    can = route.engine.info.capabilities
    ignored = []
    if request.speaker and request.reference is not None:
        ignored.append("speaker")
    if request.instruct and not can.instruct:
        ignored.append("instruct")
    if request.seed is not None and not can.seed:
        ignored.append("seed")
    if not can.sampling:
        options = request.sampling
        ignored += [
            option.name for option in fields(options) if getattr(options, option.name) is not None
        ]
    return tuple(ignored)


def _slices(samples: Samples, size: int) -> Iterator[Samples]:
    for start in range(0, len(samples), size):
        yield samples[start : start + size]
