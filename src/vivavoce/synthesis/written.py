"""Divide a text that is still being written into parts, as its clauses become complete."""

import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final, Protocol

from vivavoce.errors import BadRequest
from vivavoce.serving.base import ChunkStream
from vivavoce.synthesis.parts import Growth, OpenPart, Part, Plan
from vivavoce.text.clauses import pause_s
from vivavoce.text.pipeline import SpokenSegment, parsed
from vivavoce.text.split import SENTENCE_PAUSE_S, weighted_length
from vivavoce.text.tracked import Tracked
from vivavoce.types import SpeechRequest

log = logging.getLogger(__name__)

_LOGGED_CHARS: Final = 80
# Of what a live segment may hold: after this it ends with a sentence, and at last with a word.
_ENOUGH: Final = 0.5
_FULL: Final = 0.9


class Writing(Protocol):
    """A text that is still being written, by whoever writes it.

    `texts` are the parts of it that were taken.
    """

    texts: list[str]

    def take(self, *, words: bool = False) -> str | None:
        """Remove and return the part that can be spoken now, None if there is none.

        With `words` that is any whole word, and not only a whole clause. It belongs to the same
        item of `texts` as what was taken before it.
        """
        ...

    def opened(self, input: int, language: str, *, timed: bool) -> None:
        """Take note that item `input` of `texts` is spoken in `language` (ISO 639-1).

        `timed` says that the model tells the times of its words.
        """
        ...

    async def wait(self, ahead_s: float) -> bool:
        """Wait until `take` may return something. False if the text is complete and taken.

        Nothing is being spoken. The listener has `ahead_s` seconds of audio left.
        """
        ...

    async def wait_fed(self) -> bool:
        """Wait until `take` may return words for what is being spoken. False if it ends here."""
        ...


class WrittenParts(Growth):
    """The parts of `request`, whose text comes from `writing`. `plan` divides each clause.

    A model that takes live text gets it word by word, unless it is one that tells the times of
    words, or the client wants these: then each clause is a part.
    """

    def __init__(
        self,
        request: SpeechRequest,
        writing: Writing,
        plan: Callable[[SpeechRequest], Awaitable[Plan]],
    ) -> None:
        self._request = request
        self._writing = writing
        self._plan = plan

    @property
    def texts(self) -> Sequence[str]:
        return self._writing.texts

    async def begin(self) -> Plan:
        """Return the plan of the first clause with a sound. Raises `BadRequest` without one."""
        while True:
            while (text := self._writing.take()) is not None:
                if (plan := await self._planned(text)) is not None:
                    return plan
            if not await self._writing.wait(0.0):
                raise BadRequest(
                    "the text holds nothing that can be spoken; send at least one word",
                    field="text",
                )

    async def take(self) -> Sequence[Part]:
        while (text := self._writing.take()) is not None:
            if (plan := await self._planned(text)) is not None:
                return plan.parts
        return ()

    async def wait(self, ahead_s: float) -> bool:
        return await self._writing.wait(ahead_s)

    async def _planned(self, text: str) -> Plan | None:
        """Return the plan of a clause, or None if nothing of it can be said."""
        try:
            plan = await self._plan(replace(self._request, text=text))
        except BadRequest as error:
            if error.field != "text":
                raise
            log.info("nothing of %r is said: %s", text[:_LOGGED_CHARS], error.message)
            return None
        index, gap_s = len(self.texts) - 1, pause_s(text)
        parts = [replace(part, input=index, gap_s=gap_s, is_last=False) for part in plan.parts]
        return replace(plan, parts=parts)

    def opened(self, part: OpenPart, said: Callable[[Part], Iterator[SpokenSegment]]) -> None:
        """Take note of the language of `part`, and make it live if its model can."""
        language, info = part.route.language, part.route.info
        can = info.capabilities
        self._writing.opened(part.part.input, language, timed=can.timed)
        self._request = replace(self._request, likely_language=language)
        if not can.live_text or can.timed or self._request.timestamps is not None:
            return
        if any(run.pause_s for run in part.part.runs):
            return  # a live segment has no pauses
        first = _joined(said(part.part))
        part.template = replace(part.template, live=True)
        part.segments = iter([SpokenSegment(Tracked.of(first), language=language)])
        part.pause_s = part.part.gap_s

        async def feed(stream: ChunkStream) -> None:
            chars = weighted_length(first)
            enough, full = _ENOUGH * info.max_live_chars, _FULL * info.max_live_chars
            try:
                while chars < full and await self._writing.wait_fed():
                    if (text := self._writing.take(words=True)) is None:
                        continue
                    piece, asked_s = await self._piece(text, said)
                    stream.feed(piece)
                    chars += weighted_length(piece)
                    part.pause_s = asked_s or pause_s(piece)
                    if asked_s or (chars > enough and part.pause_s >= SENTENCE_PAUSE_S):
                        break
            except BadRequest as error:
                log.warning("a live text ends early: %s", error.message)
            finally:
                stream.feed("", last=True)

        part.feed = feed

    async def _piece(
        self, text: str, said: Callable[[Part], Iterator[SpokenSegment]]
    ) -> tuple[str, float]:
        """Return `text` as a live model gets it, and the pause after it that its author names."""
        space = " " if text[:1].isspace() else ""
        asked_s = sum(run.pause_s or 0.0 for run in parsed(text, "text").runs)
        if not any(map(str.isalnum, text)):
            return space + " ".join(text.split()), asked_s
        try:
            plan = await self._plan(replace(self._request, text=text))
        except BadRequest as error:
            if error.field != "text":
                raise
            return "", asked_s
        segments = (one for part in plan.parts for one in said(part))
        return space + _joined(segments), asked_s


def _joined(segments: Iterable[SpokenSegment]) -> str:
    return " ".join(segment.text for segment in segments if segment.text)
