"""Speak one text of a session while it is written, in one voice and one stream of audio."""

import asyncio
import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from itertools import groupby

from vivavoce.errors import EngineFault, VivavoceError
from vivavoce.sessions.events import Audio, Done, Event, Failed, Flushed, Started
from vivavoce.sessions.heard import Clause, Heard, heard_of
from vivavoce.sessions.live_text import LiveText
from vivavoce.synthesis.outlet import open_outlet
from vivavoce.synthesis.speech import Speech
from vivavoce.synthesis.synthesizer import Synthesizer
from vivavoce.synthesis.written import Writing
from vivavoce.types import FinishReason, SpeechRequest, TimedWord

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Stage:
    """What the utterances of a session share. `turn` is held by the one that is speaking."""

    synthesizer: Synthesizer
    emit: Callable[[Event], Awaitable[None]]
    on_end: Callable[["Utterance"], None]
    max_chars: int
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class Utterance(Writing):
    """A text of a session. It waits behind those before it, and lets others speak while it has
    nothing to say.

    Its events go to `Stage.emit`, which holds it up as long as it waits. `name` is the client's.
    """

    def __init__(self, stage: Stage, request: SpeechRequest, name: str) -> None:
        self.name = name
        self.id = f"req_{uuid.uuid4().hex}"
        self.request = request
        self.speech: Speech | None = None
        self.sent_s = 0.0  # seconds of audio
        self.told_s = 0.0  # of it, in the events so far
        self.told_first_s = 0.0  # by the monotonic clock, when the first of it was told
        self._stage = stage
        self._text = LiveText(request.language or "en", stage.max_chars)
        self._told = 0  # words
        self._spoken: dict[int, tuple[str, bool]] = {}  # clause → its language, and if it is timed
        self._has_turn = False
        self._is_idle = False  # all that was taken is spoken
        self._is_over = False
        self._was_flushed = False  # and the client was told
        self._task = asyncio.create_task(self._speak())
        # A callback, since a task that is cancelled before it runs has no `finally`.
        self._task.add_done_callback(lambda _: stage.on_end(self))

    @property
    def text(self) -> str:
        """All of the text so far."""
        return self._text.text

    @property
    def is_complete(self) -> bool:
        """True if the text was ended."""
        return self._text.complete

    @property
    def is_over(self) -> bool:
        """True if all of it was sent."""
        return self._is_over

    @property
    def is_idle(self) -> bool:
        """True if all that was written is spoken, and its author is waited for."""
        return self._is_idle

    def append(self, text: str) -> None:
        """Add `text`. Raises `BadRequest` if it is too long, or was ended."""
        self._text.append(text)

    def flush(self) -> None:
        """Have all text so far spoken without waiting for the end of the clause."""
        self._was_flushed = False
        self._text.flush()

    def clear(self) -> None:
        """Forget the text that is not spoken yet, but for the clauses that were taken."""
        self._text.clear()

    def end(self) -> None:
        """Have all text spoken. Nothing follows."""
        self._text.end()

    async def interrupt(self, played_s: float | None = None) -> Heard:
        """Stop at once, and return what was heard in `played_s`, or in all that was sent.

        No event follows. It may have ended before: its audio may still be playing.
        """
        await self.aclose()
        sent_s = self.sent_s
        played_s = sent_s if played_s is None else min(max(played_s, 0.0), sent_s)
        return heard_of(self.text, list(self._clauses()), played_s)

    async def aclose(self) -> None:
        """Stop at once. No event follows."""
        self._task.cancel()
        await asyncio.wait((self._task,))

    async def wait_ended(self) -> None:
        """Wait until the last event was told."""
        await asyncio.wait((self._task,))

    @property
    def texts(self) -> list[str]:  # type: ignore[override]  # it is not replaced
        return self._text.texts

    def take(self, *, words: bool = False) -> str | None:
        return self._text.take(words=words)

    def opened(self, input: int, language: str, *, timed: bool) -> None:
        self._text.language = language
        self._spoken[input] = (language, timed)

    async def wait(self, ahead_s: float) -> bool:
        self._is_idle = True
        await self._tell_flushed()
        if self._text.complete:  # what is left comes before the next text
            self._is_idle = self._text.is_over
            return not self._is_idle
        self._leave()
        more = await self._text.wait(ahead_s)
        await self._enter()
        self._is_idle = False
        return more

    async def wait_fed(self) -> bool:
        return not self._text.is_flushed and await self._text.wait()

    async def _tell_flushed(self) -> None:
        if self._text.is_flushed and not self._was_flushed:
            self._was_flushed = True
            await self._stage.emit(Flushed(self))

    async def _speak(self) -> None:
        try:
            await self._say()
        except VivavoceError as error:
            await self._stage.emit(Failed(self, error))
        except Exception:  # the top of a task: whatever happened, the client is told
            log.exception("an utterance failed")
            fault = EngineFault("the server failed to speak this; its log has the details")
            await self._stage.emit(Failed(self, fault))
        finally:
            self._leave()
            if self.speech is not None:
                await self.speech.aclose()

    async def _say(self) -> None:
        if not await self._begins():
            await self._finish("complete")
            return
        await self._enter()
        speech = self.speech = await self._stage.synthesizer.open(self.request, self)
        await self._stage.emit(Started(self, speech))
        encoder = open_outlet(speech, self.request.format)
        try:
            async with aclosing(speech.samples()) as samples:
                async for part in samples:
                    self.sent_s = speech.spoken_samples / speech.sample_rate_hz
                    await self._tell(encoder.write(part))
            await self._tell(encoder.finish())
        finally:
            encoder.close()
        await self._finish(speech.finish_reason)

    async def _begins(self) -> bool:
        """Wait until something can be said. False if nothing ever will."""
        while not any(map(str.isalnum, self.text)):
            if not await self._text.wait() or self.is_complete:
                return any(map(str.isalnum, self.text))
        return True

    async def _tell(self, data: bytes) -> None:
        assert self.speech is not None
        new = self.speech.words[self._told :]
        if data or new:
            self._told += len(new)
            words = [word_in(self._text.starts[word.input], word) for word in new]
            start_s, self.told_s = self.told_s, self.sent_s
            self.told_first_s = self.told_first_s or time.monotonic()
            await self._stage.emit(Audio(self, data, words, start_s, self.sent_s))

    async def _finish(self, reason: FinishReason) -> None:
        self._is_idle = self._is_over = True
        heard = Heard(self.text, "", self.sent_s)
        await self._stage.emit(Done(self, reason, self.sent_s, heard))

    async def _enter(self) -> None:
        if not self._has_turn:
            await self._stage.turn.acquire()
            self._has_turn = True

    def _leave(self) -> None:
        if self._has_turn:
            self._has_turn = False
            self._stage.turn.release()

    def _clauses(self) -> Iterator[Clause]:
        """Yield the clauses that were spoken, or began to be."""
        if self.speech is None:
            return
        words = groupby(self.speech.words, lambda word: word.input)
        timed = {index: tuple(group) for index, group in words}
        spans: dict[int, tuple[float, float]] = {}
        for stretch in self.speech.voice_segments:
            start_s, _ = spans.get(stretch.input, (stretch.start_s, 0.0))
            spans[stretch.input] = start_s, stretch.end_s
        for index, (start_s, end_s) in spans.items():
            language, is_timed = self._spoken[index]
            ended = self._is_idle or index != max(spans)
            yield Clause(
                text=self.texts[index],
                start=self._text.starts[index],
                language=language,
                words=timed.get(index, ()) if is_timed else None,
                start_s=start_s,
                end_s=end_s if ended else None,
            )


def word_in(start: int, word: TimedWord) -> TimedWord:
    """Return `word` with its span in the whole text, in which its clause begins at `start`."""
    return replace(word, start=start + word.start, end=start + word.end, input=0)
