"""Turn one request into audio: checks it, finds who speaks, and joins the segments in order.

Knows neither HTTP nor audio formats. A `Speech` holds at most two segments in an engine and a
fraction of a second of samples of its own, however long the text is.
"""

import asyncio
import logging
import math
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import ExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, fields, replace
from zlib import crc32

import numpy as np

from vivavoce.audio import Joiner, Resampler, Tempo, nearest_rate
from vivavoce.errors import BadRequest, DeadlineExceeded, EngineFault, VivavoceError
from vivavoce.serving.pool import Pool
from vivavoce.synthesis.playback import PlaybackTracker
from vivavoce.synthesis.retry import RetryingStream
from vivavoce.synthesis.routing import AUTO, Route, Router
from vivavoce.text.normalize import joined, normalize_part, parts
from vivavoce.text.split import TextSegment, split, width
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

# what is filtered and encoded in one go, so that one listener's long chunk does not delay the
# others
SLICE_S = 0.2

EMPTY: Samples = np.zeros(0, dtype=np.float32)

CHARS_PER_S = (
    15.0  # of Latin letters, as `width` counts them; to predict how much audio a text will be
)
LOGGED_CHARS = 80  # of a piece of text that is not spoken
LONG_TEXT_CHARS = 2_000  # normalising more than this is done beside the event loop


class Synthesizer:
    """The way from a request to a `Speech`; `spoken` is told how each one went, once it is closed."""

    def __init__(
        self,
        pool: Pool,
        *,
        default_model: str = AUTO,
        max_text_chars: int = 100_000,
        timeout_s: float | None = None,
        spoken: Callable[[SpeechReport], None] | None = None,
    ) -> None:
        self.pool = pool
        self._timeout_s = math.inf if timeout_s is None else timeout_s
        self._spoken = spoken
        self.router = Router(pool, default_model=default_model)
        self._max_text_chars = max_text_chars
        # One part at a time: each thread that wants the interpreter makes the event loop wait some
        # milliseconds.
        self._normalizing = asyncio.Lock()

    async def open(self, request: SpeechRequest) -> "Speech":
        """Check `request` against the model that will answer it and queues its first segment.

        Raises `BadRequest` and its kin, `Overloaded`, `NotReady`, `MissingDependency`, and
        `DeadlineExceeded` when the request's time is over before the model is loaded. Close the
        `Speech` in the end.
        """
        deadline = Deadline(
            min(math.inf if request.timeout_s is None else request.timeout_s, self._timeout_s)
        )
        listening = PlaybackTracker(time.monotonic)
        async with deadline.limit():
            return await self._open(request, deadline, listening)

    async def _open(
        self, request: SpeechRequest, deadline: "Deadline", listening: PlaybackTracker
    ) -> "Speech":
        request = replace(request, text=await self._speakable(request.text))
        route = await self.router.route(request)
        with ExitStack() as undo:
            undo.callback(route.lease.release)
            voice = (
                None
                if request.reference is None
                else await route.engine.prepare_voice(request.reference)
            )
            speech = Speech(request, route, voice, deadline, listening, self._spoken)
            undo.pop_all()
        if speech.ignored:
            log.info("%s does without the request's %s", speech.model, ", ".join(speech.ignored))
        return speech

    async def _speakable(self, text: str) -> str:
        if len(text) > self._max_text_chars:
            raise BadRequest(
                f"text has {len(text):,} characters, the limit is {self._max_text_chars:,}; send it in parts",
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
        """Normalise a long text beside the event loop, part by part, so that others have their turn between two."""
        if len(text) <= LONG_TEXT_CHARS:
            return joined((normalize_part(part), gap) for part, gap in parts(text))
        done = []
        for part, gap in parts(text):
            async with self._normalizing:
                done.append((await asyncio.to_thread(normalize_part, part), gap))
        return joined(done)


@dataclass(frozen=True, slots=True, eq=False)
class SegmentAudio:
    """The whole audio of one segment, the pause before it included, and the text that is said in it."""

    text: str
    samples: Samples


class Deadline:
    """The time of one request, which begins now and lasts `timeout_s` seconds."""

    def __init__(self, timeout_s: float = math.inf) -> None:
        self._timeout_s = timeout_s
        self._ends_s = time.monotonic() + timeout_s

    @property
    def left_s(self) -> float:
        return max(self._ends_s - time.monotonic(), 0.0)

    @asynccontextmanager
    async def limit(self) -> AsyncGenerator[None]:
        """End what is awaited within, with `DeadlineExceeded`, when the time is over; begins nothing afterwards."""
        if not self.left_s:  # what never has to wait would never be interrupted
            raise self._exceeded()
        timeout = asyncio.timeout(None if self.left_s == math.inf else self.left_s)
        try:
            async with timeout:
                yield
        except TimeoutError as error:
            if not timeout.expired():
                raise
            raise self._exceeded() from error

    def _exceeded(self) -> DeadlineExceeded:
        return DeadlineExceeded(
            f"the speech was not complete after {self._timeout_s:g} s, its limit: allow more time, send a shorter "
            "text, or try again when the server is less busy"
        )


class Speech:
    """One request being spoken. The attributes say who speaks and what of the request is not
    honoured.

    `ending` says in the end how it ended: as its first segment that was cut, if one was; `retries`
    how many were spoken once more. It holds the route's lease until it is closed; `samples` closes
    it in the end, however that comes, and `on_report` are then told how it went.
    """

    def __init__(
        self,
        request: SpeechRequest,
        route: Route,
        prepared: PreparedVoice | None = None,
        deadline: Deadline | None = None,
        listening: PlaybackTracker | None = None,
        spoken: Callable[[SpeechReport], None] | None = None,
    ) -> None:
        info = route.engine.info
        self.model = info.name
        self.voice = route.speaker
        self.language = route.language
        self.sample_rate_hz = request.sample_rate_hz or nearest_rate(
            request.format, info.sample_rate_hz
        )
        self.ignored = _ignored(request, route)
        self.spoken_samples = 0  # given out so far, at `sample_rate_hz`
        self.ending = StopReason.COMPLETE
        self.retries = 0
        self.unspoken: list[str] = []  # pieces of the text that the model could not read, so far
        self.streamed = True  # somebody listens while it is made
        self.on_report = [] if spoken is None else [spoken]
        self._by_segment = False  # each is given out as a whole
        self._ended: FinishReason | None = None  # None: it has not, by itself
        self._error: str | None = None
        self._listening = listening or PlaybackTracker(time.monotonic)
        self._queued_s = time.monotonic()
        self._request = request
        self._route = route
        self._prepared = prepared
        self._deadline = deadline or Deadline()
        audio_s = width(request.text) / CHARS_PER_S / request.speed
        self._hints = QueueHints(audio_s, request.priority, request.caller)
        self._last: RetryingStream | None = None
        self._pieces = enumerate(
            split(request.text, route.language, max_chars=info.max_segment_chars)
        )
        self._spoken_any = False
        self._unread: BadRequest | None = None  # why the first of `unspoken` was not
        self._ahead: list[tuple[TextSegment, RetryingStream]] = []
        self._submit_next()
        self._first = self._last

    @property
    def fingerprint(self) -> int:
        """31 bits that equal requests have in common."""
        request = self._request
        said = (self.model, self.voice, self.language, request.text, request.instruct)
        drawn = (request.speed, request.pitch, request.seed, request.sampling)
        return crc32(repr((*said, *drawn)).encode("utf-8", "replace")) >> 1

    @property
    def finish_reason(self) -> FinishReason:
        """How speech that has ended by itself did so."""
        if self.ending is not StopReason.COMPLETE:
            return "truncated"
        return "retried" if self.retries else "complete"

    async def aclose(self) -> None:
        """Cancel what is still being spoken, and lets the model go."""
        try:
            for _, stream in self._ahead:
                await stream.aclose()
        finally:
            self._route.lease.release()
            self._report()

    def _report(self) -> None:
        """Tell how it went, once."""
        listeners, self.on_report = self.on_report, []
        if not listeners:
            return
        heard = self._listening
        # What is sent as a whole comes out late; its first audio was there when the first segment
        # had some.
        first_s = (
            self._first.first_s if self._first is not None and not self.streamed else heard.first_s
        )
        report = SpeechReport(
            model=self.model,
            finish_reason=self._ended or "cancelled",
            ending=self.ending,
            retries=self.retries,
            error=self._error,
            streamed=self.streamed,
            started_s=heard.started_s,
            queued_s=self._queued_s,
            waited_s=None if self._first is None else self._first.waited_s,
            first_s=first_s,
            ended_s=time.monotonic(),
            audio_s=heard.audio_s,
            generation_s=heard.generation_s,
            underruns=heard.underruns if self.streamed else 0,
        )
        for spoken in listeners:
            spoken(report)

    async def samples(self) -> AsyncGenerator[Samples]:
        """Yield the audio at `sample_rate_hz`, as it is made, in slices of at most `SLICE_S`
        seconds or so.

        Raises `EngineFault` when the model fails, also when it had nothing to say at all.
        """
        async with aclosing(self._tracked()) as rendered:
            async for samples, said in rendered:
                if said is None:
                    yield samples

    async def passages(self) -> AsyncGenerator[SegmentAudio]:
        """Yield the same audio segment by segment, each as a whole: instead of `samples`, where a
        text's place is wanted.

        Filters hold some of a segment's end back, which then begins the next one: 0.2 s at most.
        """
        self._by_segment = True
        parts: list[Samples] = []
        text = ""
        async with aclosing(self._tracked()) as rendered:
            async for samples, said in rendered:
                parts.append(samples)
                if said is not None and text:
                    yield SegmentAudio(text, np.concatenate(parts[:-1]))
                    parts = parts[-1:]
                text = said or text
        yield SegmentAudio(text, np.concatenate(parts))

    async def _tracked(self) -> AsyncGenerator[tuple[Samples, str | None]]:
        """What `_filtered` gives, while the listener is followed; closes the speech in the end."""
        try:
            async with aclosing(self._filtered()) as rendered:
                async for samples, said in rendered:
                    if said is not None:
                        yield samples, said
                        continue
                    self._listening.comes(len(samples) / self.sample_rate_hz)
                    yield samples, said
                    self._listening.takes()
            self._ended = self.finish_reason
        except BaseException as error:  # passed on as it is
            if not isinstance(error, GeneratorExit | asyncio.CancelledError):
                self._ended = "error"
                self._error = error.code if isinstance(error, VivavoceError) else "internal_error"
            raise
        finally:
            await self.aclose()

    async def _filtered(self) -> AsyncGenerator[tuple[Samples, str | None]]:
        """Sample as they are given out; the first ones of a segment come with its text."""
        rate_hz = self._route.engine.info.sample_rate_hz
        pitch = self._request.pitch
        # Played at another rate a voice changes pitch and pace together; the tempo makes up for the
        # pace.
        tempo = Tempo(rate_hz, self._request.speed / pitch)
        resampler = Resampler(round(rate_hz * pitch), self.sample_rate_hz)
        try:
            async with aclosing(self._joined()) as joined:
                async for chunk, text in joined:
                    if text is not None:
                        yield EMPTY, text
                    for part in _slices(chunk, int(SLICE_S * rate_hz)):
                        yield self._counted(resampler.write(tempo.write(part))), None
                        await asyncio.sleep(
                            0
                        )  # lets the others have their turn before the next slice
            yield self._counted(resampler.write(tempo.finish())), None
            yield self._counted(resampler.finish()), None
        finally:
            tempo.close()
            resampler.close()

    def _counted(self, samples: Samples) -> Samples:
        self.spoken_samples += len(samples)
        return samples

    async def _joined(self) -> AsyncGenerator[tuple[Samples, str | None]]:
        """Yield the segments at the engine's rate, each after its text, their edges smoothed, a pause between each two."""
        joiner = Joiner(self._route.engine.info.sample_rate_hz)
        while self._ahead:
            piece, stream = self._ahead[0]
            self._submit_next()
            stream.whole = self._by_segment or not self.streamed
            try:
                chunk = await self._next(stream)
                yield EMPTY, piece.text
                while chunk is not None:
                    yield joiner.write(chunk.samples), None
                    self._spoken_any = True
                    chunk = await self._next(stream)
            except BadRequest as unread:
                await self._leave_out(piece, stream, unread)
                continue
            finally:
                self.retries += stream.retries
            if self.ending is StopReason.COMPLETE and stream.ending is not None:
                self.ending = stream.ending
            yield joiner.end_segment(piece.pause_s), None
            self._ahead.pop(0)
        yield joiner.finish(), None
        if not self._spoken_any:
            raise self._unread or EngineFault(
                f"model {self.model!r} made no audio of this text; try another model or wording"
            )

    async def _leave_out(
        self, piece: TextSegment, stream: RetryingStream, unread: BadRequest
    ) -> None:
        """Go on without a piece that the model cannot read.

        Raises `unread` if it is not about the text.
        """
        if unread.field != "text":
            raise unread
        log.warning(
            "%s leaves out %r: %s",
            self.model,
            piece.text[:LOGGED_CHARS],
            unread.message[: LOGGED_CHARS * 4],
        )
        self._unread = self._unread or unread
        self.unspoken.append(piece.text)
        self._ahead.pop(0)
        await stream.aclose()

    async def _next(self, stream: RetryingStream) -> AudioChunk | None:
        async with self._deadline.limit():
            return await anext(aiter(stream), None)

    def _submit_next(self) -> None:
        if (following := next(self._pieces, None)) is None:
            return
        index, piece = following
        segment = Segment(
            text=piece.text,
            voice=self._route.voice.id,
            language=self.language,
            instruct=self._request.instruct,
            seed=None if self._request.seed is None else self._request.seed + index,
            sampling=self._request.sampling,
            prepared=self._prepared,
            hints=replace(self._hints, timeout_s=self._deadline.left_s),
        )
        self._last = RetryingStream(self._route.engine, segment, follows=self._last)
        self._ahead.append((piece, self._last))


def _ignored(request: SpeechRequest, route: Route) -> tuple[str, ...]:
    """Return the names of the fields that were set and that this model cannot honour."""
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
