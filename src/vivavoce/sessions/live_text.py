"""Keep a text that is being written, and give out what of it can be spoken.

Text is cut at punctuation, else where its author pauses, else after enough words.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from vivavoce.errors import BadRequest
from vivavoce.text.clauses import clause_end, pause_end, word_end

PAUSE_S: Final = 0.4  # of the author, after which the whole words so far are spoken
NEARLY_DRY_S: Final = 1.0  # of audio left: a short clause is spoken rather than none


class LiveText:
    """A text of at most `max_chars`, written with `append`, `flush` and `end`.

    `texts` are the clauses of it that were taken, `starts` their places. `language` is the ISO
    639-1 code by whose rules it is cut.
    """

    def __init__(
        self, language: str, max_chars: int, *, clock_s: Callable[[], float] = time.monotonic
    ) -> None:
        self.language = language
        self.texts: list[str] = []
        self.starts: list[int] = []
        self.complete = False
        self._max_chars = max_chars
        self._clock_s = clock_s
        self._pieces: list[str] = []  # all of the text
        self._left = ""  # not taken yet
        self._taken = 0  # characters
        self._flushed = 0  # characters that are spoken without waiting for more
        self._changed = asyncio.Event()
        self._written_s = clock_s()
        self._paused_s = 0.0  # the `_written_s` whose pause was told
        self._dry_s = 0.0  # when its listener has nearly nothing left

    @property
    def text(self) -> str:
        """All of the text so far."""
        if len(self._pieces) > 1:
            self._pieces = ["".join(self._pieces)]
        return self._pieces[0] if self._pieces else ""

    @property
    def chars(self) -> int:
        return self._taken + len(self._left)

    @property
    def is_over(self) -> bool:
        """True if the text is complete, and all of it is taken."""
        return self.complete and not self._left

    @property
    def is_flushed(self) -> bool:
        """True if a flush has been asked for, and all words before it are taken."""
        return self._flushed > 0 and not self._flushing

    def append(self, text: str) -> None:
        """Add `text`. Raises `BadRequest`, and adds nothing, if it is too long or was ended."""
        if self.complete:
            raise BadRequest("this text has been ended: begin another one", field="text")
        if self.chars + len(text) > self._max_chars:
            raise BadRequest(
                f"text has {self.chars + len(text):,} characters, the limit is "
                f"{self._max_chars:,}: end it and begin another one",
                field="text",
            )
        self._pieces.append(text)
        self._left += text
        self._written_s = self._clock_s()
        self._changed.set()

    def flush(self) -> None:
        """Have all text so far spoken at once. The last word of it is whole."""
        self._flushed = self.chars
        self._changed.set()

    def clear(self) -> None:
        """Forget the text that was not taken."""
        self._pieces = [self.text[: self._taken]]
        self._left = ""
        self._flushed = min(self._flushed, self._taken)

    def end(self) -> None:
        """Have all text spoken. Nothing follows. A second call has no effect."""
        self.complete = True
        self._changed.set()

    def take(self, *, words: bool = False) -> str | None:
        """Remove and return what can be spoken now, see `Writing.take`."""
        end = self._end(words=words)
        text, rest = self._left[:end], self._left[end:]
        if not words and not any(map(str.isalnum, text)):  # it belongs to what follows
            if self.complete:
                self._left = ""
            return None
        if not text:
            return None
        if words:
            self.texts[-1] += text
            self._changed.set()  # there may be more words behind these
        else:
            self.texts.append(text)
            self.starts.append(self._taken)
        self._left = rest
        self._taken += end
        return text

    async def wait(self, ahead_s: float = 0.0) -> bool:
        """Wait until `take` may return something, see `Writing.wait`."""
        self._dry_s = self._clock_s() + ahead_s - NEARLY_DRY_S
        if self.complete:
            return bool(self._left)
        paused_s: float | None = None  # until the author's pause is long enough
        if self._left.strip() and self._paused_s != self._written_s:
            paused_s = max(self._written_s + PAUSE_S - self._clock_s(), 0.0)
        try:
            async with asyncio.timeout(paused_s):
                await self._changed.wait()
        except TimeoutError:
            self._paused_s = self._written_s
        self._changed.clear()
        return True

    @property
    def _flushing(self) -> bool:
        """True if there are words to be spoken without waiting for more."""
        return any(map(str.isalnum, self._left[: max(self._flushed - self._taken, 0)]))

    def _end(self, *, words: bool) -> int:
        """Return the end of what can be spoken of `_left`."""
        if self.complete:
            end = len(self._left)
        else:
            end = self._flushed - self._taken if self._flushing else 0
        if words:
            return word_end(self._left[:end] or self._left, complete=end > 0)
        if end:
            return end
        opening = not self.starts or self._clock_s() >= self._dry_s
        end = clause_end(self._left, self.language, opening=opening)
        if not end and self._clock_s() - self._written_s >= PAUSE_S:
            end = pause_end(self._left, self.language)
        return end
