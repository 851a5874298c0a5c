"""Open a `Speech` for each request, or explain what it would say.

Knows neither HTTP nor audio formats.
"""

import asyncio
import logging
import math
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial

from vivavoce.errors import BadRequest
from vivavoce.provenance import Provenance
from vivavoce.serving.pool import Pool
from vivavoce.synthesis.alignment import Aligner
from vivavoce.synthesis.deadline import Deadline
from vivavoce.synthesis.parts import (
    OpenPart,
    OpenParts,
    Part,
    Plan,
    divide,
    ignored_fields,
    say,
    texts_of,
)
from vivavoce.synthesis.playback import PlaybackTracker
from vivavoce.synthesis.routing import AUTO, Match, Router
from vivavoce.synthesis.saved import SavedVoices
from vivavoce.synthesis.speech import Speech
from vivavoce.synthesis.times import WordClock
from vivavoce.synthesis.written import Writing, WrittenParts
from vivavoce.text.document import Document, Run
from vivavoce.text.lexicon import Lexicon, LiveLexicon
from vivavoce.text.normalize import PART_CHARS
from vivavoce.text.pipeline import SpokenSegment, parsed, prepared
from vivavoce.text.split import CHARS_PER_S, weighted_length
from vivavoce.types import EngineInfo, QueueHints, Segment, SpeechReport, SpeechRequest
from vivavoce.voices.record import Viewer

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ExplainedPart:
    """A segment, and its speaker."""

    segment: SpokenSegment
    speaker: str
    model: str
    input: int  # index of the dialogue's input, 0 for a single text


@dataclass(frozen=True, slots=True)
class Explanation:
    """The model, voice and segments that answer a request."""

    language: str  # ISO 639-1
    model: str
    speaker: str
    segments: Sequence[ExplainedPart]
    ignored: Sequence[str]  # markup that means nothing here


class Synthesizer:
    """Open a `Speech` for each request. `on_report` receives the report of each one.

    Requests may name the voices of `saved.library`, once it is set.
    """

    def __init__(
        self,
        pool: Pool,
        *,
        default_model: str = AUTO,
        default_language: str = "en",
        lexicon: LiveLexicon | None = None,
        max_text_chars: int = 100_000,
        timeout_s: float | None = None,
        on_report: Callable[[SpeechReport], None] | None = None,
        aligner: Aligner | None = None,
    ) -> None:
        self.pool = pool
        self.router = Router(pool, default_model=default_model, default_language=default_language)
        self.provenance = Provenance()  # of each speech; settings may replace it
        self.saved = SavedVoices(None, self.router)
        self._lexicon = lexicon or LiveLexicon(None)
        self._max_text_chars = max_text_chars
        self._timeout_s = math.inf if timeout_s is None else timeout_s
        self._on_report = on_report
        self._aligner = aligner
        # One part at a time: every thread that wants the interpreter delays the event loop by some
        # milliseconds.
        self._normalizing = asyncio.Lock()
        self._turns = asyncio.Lock()

    async def open(self, request: SpeechRequest, writing: Writing | None = None) -> "Speech":
        """Check `request`, choose a model, and queue the first segment. Close the `Speech`.

        The text is that of `writing`, if given, and is spoken while it is written.

        Raises `BadRequest` and its subclasses, `Overloaded`, `NotReady`, `MissingDependency`, and
        `DeadlineExceeded` if the time is over before the model is loaded.
        """
        timeout_s = math.inf if request.timeout_s is None else request.timeout_s
        deadline = Deadline(min(timeout_s, self._timeout_s))
        playback = PlaybackTracker(time.monotonic)
        # One request an iteration of the event loop, which takes some milliseconds. Of a crowd that
        # has left meanwhile, the others are cancelled here, and newcomers do not wait for them.
        async with self._turns:
            await asyncio.sleep(0)
        async with deadline.limit():
            # 1. Parse and normalise the text, or wait for the first part of it.
            growth = None if writing is None else WrittenParts(request, writing, self._plan)
            plan = await (self._plan(request) if growth is None else growth.begin())
            # 2. Make sure that every voice can be had, before the first of them speaks.
            others = [(part, await self.match(part.request)) for part in plan.others]
            # 3. Choose the model, the voice and the language of the first part, and lease it.
            opener = partial(self._open_part, lexicons=plan.lexicons, growth=growth)
            first = await opener(plan.parts[0])
            # 4. Submit the first segment.
            infos = [(plan.parts[0], first.route.info), *((p, match.info) for p, match in others)]
            fields = [
                name for part, info in infos for name in ignored_fields(part, info, plan.lexicons)
            ]
            ignored = dict.fromkeys((*fields, *plan.ignored))
            parts = OpenParts(plan.parts, first, opener, growth)
            clock = partial(self._clock, request, plan, growth)
            speech = Speech(request, parts, tuple(ignored), deadline, playback, clock)
            speech.provenance = self.provenance
            try:
                await speech.submit_next()
            except BaseException:
                await speech.aclose()
                raise
        # 5. The speech owns the leases from here on.
        if self._on_report is not None:
            speech.on_report.append(self._on_report)
        if speech.ignored:
            log.info("%s does without the request's %s", speech.model, ", ".join(speech.ignored))
        return speech

    def _clock(
        self, request: SpeechRequest, plan: Plan, growth: WrittenParts | None, rate_hz: int
    ) -> WordClock:
        if growth is not None:
            return WordClock(growth.texts, rate_hz, aligner=self._aligner)
        return WordClock(texts_of(request), rate_hz, plan.marks, self._aligner)

    async def warm_up_aligner(self) -> None:
        """Load what aligns words, if there is an aligner: the first request would wait for it."""
        if self._aligner is not None:
            await self._aligner.warm_up()

    async def explain(self, request: SpeechRequest) -> Explanation:
        """Return what `open` would say, and say nothing. Raises as `open` does."""
        async with Deadline(self._timeout_s).limit():
            plan = await self._plan(request)
            matches = [await self.match(part.request) for part in plan.parts]
        segments = []
        for part, match in zip(plan.parts, matches, strict=True):
            for segment in say(part, match.info, match.voice, match.language, plan.lexicons):
                segments.append(ExplainedPart(segment, match.speaker, match.info.name, part.input))
                await asyncio.sleep(0)  # other requests run between two segments
        first = matches[0]
        return Explanation(
            first.language, first.info.name, first.speaker, segments, tuple(plan.ignored)
        )

    async def _open_part(
        self, part: Part, lexicons: Sequence[Lexicon], growth: WrittenParts | None
    ) -> OpenPart:
        """Choose and lease the model of `part`. Any error gives it back."""
        request, saved = await self.saved.resolve(part.request)
        route = await self.router.route(request)
        if saved is not None:
            route = replace(route, speaker=saved)
        with ExitStack() as undo:
            undo.callback(route.lease.release)
            voice = None
            if request.reference is not None:
                voice = await route.engine.prepare_voice(request.reference)
            audio_s = weighted_length(part.text) / CHARS_PER_S / request.speed
            template = Segment(
                text="",
                voice=route.voice.id,
                language=route.language,
                instruct=request.instruct,
                sampling=request.sampling,
                prepared=voice,
                hints=QueueHints(audio_s, request.priority, request.caller),
            )
            said = partial(
                say, info=route.info, voice=route.voice, language=route.language, lexicons=lexicons
            )
            opened = OpenPart(part, route, template, said(part))
            if growth is not None:
                growth.opened(opened, said)
            undo.pop_all()
        return opened

    async def match(self, request: SpeechRequest) -> Match:
        """Return who would speak `request`. Raises as `open` does."""
        request, saved = await self.saved.resolve(request)
        match = await self.router.match(request)
        return match if saved is None else replace(match, speaker=saved)

    async def offered(self, model: str | None, viewer: Viewer) -> Sequence[EngineInfo]:
        """Return the models that `model` stands for, with the saved voices that they speak with."""
        return await self.saved.add_to(await self.router.candidates(model), viewer)

    async def lexicon(self) -> Lexicon:
        """Return the rules of pronunciation that count for all requests."""
        if self._lexicon.is_stale:
            await asyncio.to_thread(self._lexicon.current)
        return self._lexicon.current()

    async def _plan(self, request: SpeechRequest) -> Plan:
        """Parse and divide the text of `request`, or its inputs."""
        texts = texts_of(request)
        field = "inputs" if request.inputs else "text"
        if (chars := sum(map(len, texts))) > self._max_text_chars:
            raise BadRequest(
                f"text has {chars:,} characters, the limit is {self._max_text_chars:,}; "
                "send it in parts",
                field=field,
            )
        runs, marks, ignored = [], [], dict[str, None]()
        for text in texts:
            parse = partial(parsed, text, request.input_type)
            document = parse() if _is_short(text) else await asyncio.to_thread(parse)
            runs.append(await self._prepared(document, in_thread=not _is_short(text)))
            marks.append(document.marks)
            ignored |= dict.fromkeys(document.ignored)
        lexicons = (await self.lexicon(), Lexicon(request.pronunciations))
        return Plan(divide(request, runs), tuple(ignored), lexicons, marks)

    async def _prepared(self, document: Document, *, in_thread: bool) -> Sequence[Run]:
        found = prepared(document)
        return [run async for run in self._in_thread(found)] if in_thread else list(found)

    async def _in_thread(self, runs: Iterator[Run]) -> AsyncGenerator[Run]:
        """Yield `runs`, each made in a thread, one part of one text at a time."""
        while True:
            async with self._normalizing:
                run = await asyncio.to_thread(next, runs, None)
            if run is None:
                return
            yield run


def _is_short(text: str) -> bool:
    """True if the text is parsed and normalised in some milliseconds, so that no thread pays."""
    return len(text) <= PART_CHARS // 2
