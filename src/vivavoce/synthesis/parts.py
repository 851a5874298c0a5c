"""Divide a request into parts, each said by one voice of one model.

A part is a text's stretch in one voice (`[voice:…]`, SSML's `voice`), or one input of a dialogue.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import groupby
from typing import Any, Final, Protocol

from vivavoce.errors import BadRequest, VivavoceError
from vivavoce.serving.base import ChunkStream
from vivavoce.synthesis.routing import Route
from vivavoce.text.document import Mark, Run
from vivavoce.text.lexicon import Lexicon, apply
from vivavoce.text.pipeline import SpokenSegment, Voicing, has_sound, spoken
from vivavoce.text.split import SENTENCE_PAUSE_S
from vivavoce.types import EngineInfo, Segment, SpeechRequest, Voice

MAX_PARTS: Final = 400


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a request.

    Attributes:
        request: The request for this part. Its text is all that the voice says in this input, so
            that its language is the same in all parts of it.
        runs: The prepared text.
        input: Index of the dialogue's input, 0 for a single text.
        pause_s: Pause after it, None for the one that its text asks for.
        gap_s: Pause before the next part if neither asks for one.
        is_last: True if nothing follows.
    """

    request: SpeechRequest
    runs: Sequence[Run]
    input: int = 0
    pause_s: float | None = None
    gap_s: float = SENTENCE_PAUSE_S
    is_last: bool = True

    @property
    def text(self) -> str:
        return "".join(run.text.text for run in self.runs)


@dataclass(eq=False, slots=True)
class OpenPart:
    """A part whose engine is leased. `template` is what its segments have in common.

    With `feed` its only segment is live, and `feed` gives the rest of the text to the stream, and
    sets `pause_s`, the pause after it.
    """

    part: Part
    route: Route
    template: Segment
    segments: Iterator[SpokenSegment]
    feed: Callable[[ChunkStream], Coroutine[Any, Any, None]] | None = None
    pause_s: float | None = None
    _feeding: asyncio.Task[None] | None = None

    @property
    def is_timed(self) -> bool:
        return self.route.info.capabilities.timed

    def start_feeding(self, stream: ChunkStream) -> None:
        """Give `stream` the rest of its text, if the part is live, as it is written."""
        if self.feed is not None:
            self._feeding = asyncio.create_task(self.feed(stream))

    def stop_feeding(self) -> None:
        if self._feeding is not None:
            self._feeding.cancel()

    def close(self) -> None:
        """Give the engine back."""
        self.stop_feeding()
        self.route.lease.release()


@dataclass(frozen=True, slots=True)
class Plan:
    """A request, understood."""

    parts: Sequence[Part]
    ignored: Sequence[str]
    lexicons: Sequence[Lexicon]
    marks: Sequence[Sequence[Mark]]  # of each text

    @property
    def others(self) -> Sequence[Part]:
        """One part of each voice that is not the first one."""
        distinct = {id(part.request): part for part in self.parts}
        return [p for p in distinct.values() if p.request is not self.parts[0].request]


class Growth(Protocol):
    """The rest of a request whose text is spoken while it is written.

    `texts` are the author's so far, by the `input` of their parts.
    """

    @property
    def texts(self) -> Sequence[str]: ...

    async def take(self) -> Sequence[Part]:
        """Return the parts that can be spoken now and were not taken yet."""
        ...

    async def wait(self, ahead_s: float) -> bool:
        """Wait until `take` may return parts. False if nothing will follow.

        The listener has `ahead_s` seconds of audio left.
        """
        ...


class OpenParts:
    """The parts of a request, of which `current` is the latest that is open.

    The next part is opened when the segments of `current` are all submitted, so that an engine is
    not held long before its turn. With `growth`, parts are added as their text is written.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        first: OpenPart,
        opener: Callable[[Part], Awaitable[OpenPart]],
        growth: Growth | None = None,
    ) -> None:
        self.growth = growth
        self.current = first
        self.said = tuple((part.request.speaker, part.request.text) for part in parts)
        self._left = deque(parts[1:])
        self._open = opener
        self._opening: asyncio.Future[OpenPart] | None = None
        self._unclosed = [first]

    @property
    def is_last(self) -> bool:
        """True if no part is left to be opened."""
        return not self._left

    async def grow(self) -> bool:
        """Add the parts that were written since. True if there is a part to open."""
        if self.growth is not None and not self._left:
            self._left += await self.growth.take()
        return bool(self._left)

    async def advance(self, *, wait: bool) -> bool:
        """Open the next part, without `wait` in the background. Return whether it is `current`.

        An error is raised only with `wait`, after another try: a model may have become free.
        """
        if self._opening is None:
            self._opening = asyncio.ensure_future(self._open(self._left[0]))
        if not wait and (not self._opening.done() or self._opening.exception() is not None):
            return False
        try:
            opened = await self._opening
        except VivavoceError:
            opened = await self._open(self._left[0])
        self._opening = None
        self._left.popleft()
        self._unclosed.append(opened)
        self.current = opened
        return True

    def close_before(self, part: OpenPart | None) -> None:
        """Give back the engines of the parts before `part`, or of all that are open."""
        while self._unclosed and self._unclosed[0] is not part:
            self._unclosed.pop(0).close()

    async def aclose(self) -> None:
        """Give all engines back. A second call has no effect."""
        self.close_before(None)
        if self._opening is not None:
            opening, self._opening = self._opening, None
            opening.cancel()
            await asyncio.wait((opening,))
            if not opening.cancelled() and opening.exception() is None:
                opening.result().close()


def texts_of(request: SpeechRequest) -> Sequence[str]:
    """Return the texts of a dialogue, or the only one."""
    return [part.text for part in request.inputs] or [request.text]


def divide(request: SpeechRequest, texts: Sequence[Sequence[Run]]) -> list[Part]:
    """Return the parts of `request`, whose texts are prepared as `texts`: one, or its inputs.

    Raises `BadRequest` if there are too many, or if there is nothing to say at all.
    """
    found: list[Part] = []
    for index, runs in enumerate(texts):
        parts = list(_parts(_request_for(request, index), runs, index))
        if parts and request.inputs:
            parts[-1] = replace(parts[-1], pause_s=request.inputs[index].pause_s)
        found += [replace(part, is_last=False) for part in parts]
    field = "inputs" if request.inputs else "text"
    if not found:
        text = request.inputs[0].text if request.inputs else request.text
        raise BadRequest(
            f"text {text[:80]!r} holds nothing that can be spoken; send at least one word",
            field=field,
        )
    if len(found) > MAX_PARTS:
        raise BadRequest(
            f"the voice changes {len(found):,} times, and {MAX_PARTS} are allowed: send the text "
            "in parts",
            field=field,
        )
    return [*found[:-1], replace(found[-1], is_last=True)]


def say(
    part: Part, info: EngineInfo, voice: Voice, language: str, lexicons: Sequence[Lexicon]
) -> Iterator[SpokenSegment]:
    """Yield the segments of `part` for a model's voice. Nothing else decides what is said."""
    way = Voicing(
        language=language,
        languages=voice.languages if len(voice.languages) > 1 else info.languages,
        in_words=info.reads == "words" or part.request.normalize,
        takes_phonemes=info.capabilities.phonemes,
        max_chars=info.max_segment_chars,
        unsplit=part.request.unsplit and info.task == "voice_design",
    )
    names = {voice.id.lower(), (part.request.speaker or "").strip().lower()}
    runs = apply(
        part.runs, lexicons, way.language_of, voices=names, takes_phonemes=way.takes_phonemes
    )
    waiting: SpokenSegment | None = None
    for segment in spoken(runs, way):
        if waiting is not None:
            yield waiting
        waiting = segment
    if waiting is not None:
        pause_s = waiting.pause_s if part.pause_s is None else part.pause_s
        if part.pause_s is None and not part.is_last:
            pause_s = pause_s or part.gap_s
        yield replace(waiting, pause_s=pause_s)


def ignored_fields(part: Part, info: EngineInfo, lexicons: Sequence[Lexicon]) -> Iterator[str]:
    """Yield the names of the request's fields that the model cannot honour.

    `phonemes` also stands for rules of a lexicon that give only sounds.
    """
    request, can = part.request, info.capabilities
    if request.speaker and request.reference is not None:
        yield "speaker"
    if request.instruct and not can.instruct:
        yield "instruct"
    if request.seed is not None and not can.seed:
        yield "seed"
    if not can.phonemes and (
        any(run.phonemes is not None for run in part.runs)
        or any(rule.ipa and not rule.alias for rule in request.pronunciations)
        or _needs_sounds(part, info, lexicons)
    ):
        yield "phonemes"
    if not can.sampling:
        options = request.sampling
        for option in fields(options):
            if getattr(options, option.name) is not None:
                yield option.name


def _needs_sounds(part: Part, info: EngineInfo, lexicons: Sequence[Lexicon]) -> bool:
    """True if a word of the part has a rule that gives sounds, and no alias."""
    rules = [
        replace(rule, language=None, voice=None)
        for lexicon in lexicons
        for rule in lexicon.rules
        if not rule.alias and rule.language in (None, *info.languages)
    ]
    said = apply(part.runs, [Lexicon(rules)], lambda _: "") if rules else ()
    return any(run.phonemes is not None for run in said)


def _request_for(request: SpeechRequest, index: int) -> SpeechRequest:
    if not request.inputs:
        return request
    part = request.inputs[index]
    return replace(
        request,
        speaker=part.speaker or request.speaker,
        language=part.language or request.language,
        instruct=part.instruct or request.instruct,
        inputs=(),
    )


def _parts(request: SpeechRequest, runs: Sequence[Run], index: int) -> Iterator[Part]:
    """Yield the parts of one text. Runs without a sound belong to the part before them."""
    if not any(map(has_sound, runs)):
        return
    voices: list[str | None] = []
    first = next(run.style.voice for run in runs if has_sound(run))
    for run in runs:
        before = voices[-1] if voices else first
        voices.append(run.style.voice if has_sound(run) else before)
    said: dict[str | None, list[Run]] = {}
    for run, voice in zip(runs, voices, strict=True):
        said.setdefault(voice, []).append(run)
    requests = {voice: _in_voice(request, own, voice) for voice, own in said.items()}
    for voice, group in groupby(zip(runs, voices, strict=True), key=lambda pair: pair[1]):
        own = tuple(replace(run, style=replace(run.style, voice=None)) for run, _ in group)
        yield Part(requests[voice], own, index)


def _in_voice(request: SpeechRequest, runs: Sequence[Run], voice: str | None) -> SpeechRequest:
    """Return the request for all that `voice` says, in the language that most of it names."""
    chars: Counter[str | None] = Counter()
    for run in runs:
        chars[run.style.language] += len(run.text)
    language = request.language or chars.most_common(1)[0][0]
    request = replace(request, text="".join(run.text.text for run in runs), language=language)
    return request if voice is None else replace(request, speaker=voice, reference=None)
