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

from vivavoce.errors import BadRequest
from vivavoce.serving.pool import Pool
from vivavoce.synthesis.deadline import Deadline
from vivavoce.synthesis.playback import PlaybackTracker
from vivavoce.synthesis.routing import AUTO, Router
from vivavoce.synthesis.speech import Speech, voicing
from vivavoce.text.document import Run
from vivavoce.text.normalize import PART_CHARS
from vivavoce.text.pipeline import SpokenSegment, has_sound, parsed, prepared, spoken
from vivavoce.text.lexicon import Lexicon, LiveLexicon, apply
from vivavoce.types import SpeechReport, SpeechRequest

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Explanation:
    """The model, voice and segments that answer a request."""

    language: str  # ISO 639-1
    model: str
    speaker: str
    segments: Sequence[SpokenSegment]


class Synthesizer:
    """Open a `Speech` for each request. `on_report` receives the report of each one."""

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
    ) -> None:
        self.pool = pool
        self.router = Router(pool, default_model=default_model, default_language=default_language)
        self._lexicon = lexicon or LiveLexicon(None)
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
            # 1. Parse and normalise the text.
            runs = await self._runs(request)
            request = replace(request, text="".join(run.text.text for run in runs))
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
                speech = Speech(request, runs, route, voice, deadline, playback)
                speech.submit_next()
                undo.pop_all()
        # 6. The speech owns the lease from here on.
        if self._on_report is not None:
            speech.on_report.append(self._on_report)
        if speech.ignored:
            log.info("%s does without the request's %s", speech.model, ", ".join(speech.ignored))
        return speech

    async def explain(self, request: SpeechRequest) -> Explanation:
        """Return what `open` would say, and say nothing. Raises as `open` does."""
        async with Deadline(self._timeout_s).limit():
            runs = await self._runs(request)
            request = replace(request, text="".join(run.text.text for run in runs))
            route = await self.router.route(request)
        try:
            segments = []
            for segment in spoken(runs, voicing(request, route)):
                segments.append(segment)
                await asyncio.sleep(0)  # other requests run between two segments
            return Explanation(route.language, route.engine.info.name, route.speaker, segments)
        finally:
            route.lease.release()

    async def _runs(self, request: SpeechRequest) -> Sequence[Run]:
        if len(request.text) > self._max_text_chars:
            raise BadRequest(
                f"text has {len(request.text):,} characters, the limit is "
                f"{self._max_text_chars:,}; send it in parts",
                field="text",
            )
        found = prepared(parsed(request.text, request.input_type))
        if len(request.text) <= PART_CHARS // 2:
            runs = list(found)
        else:
            runs = [run async for run in self._in_thread(found)]
        if not any(has_sound(run) for run in runs):
            raise BadRequest(
                f"text {request.text[:80]!r} holds nothing that can be spoken; "
                "send at least one word",
                field="text",
            )
        return runs

    async def _in_thread(self, runs: Iterator[Run]) -> AsyncGenerator[Run]:
        """Yield `runs`, each made in a thread, one part of one text at a time."""
        while True:
            async with self._normalizing:
                run = await asyncio.to_thread(next, runs, None)
            if run is None:
                return
            yield run
