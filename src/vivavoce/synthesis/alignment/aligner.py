"""Place the sounds of a text in its audio, for models that do not tell when they say what.

- The text is read by the front ends of Kokoro. A network hears the sounds, and the most likely
  places of those that were read are the times. See docs/times.md for how exact they are.
- A language is aligned if that is good enough and its front end is installed.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from itertools import pairwise
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Self, TypeVar

import numpy as np

from vivavoce.errors import MissingDependency, VivavoceError
from vivavoce.models.kokoro.g2p import Phonemizer
from vivavoce.models.kokoro.g2p.spans import owners
from vivavoce.models.kokoro.times import phones
from vivavoce.synthesis.alignment.path import best_path
from vivavoce.synthesis.alignment.pauses import Pauses
from vivavoce.synthesis.alignment.sounds import likelihood
from vivavoce.text.pipeline import SpokenSegment
from vivavoce.types import Phone, Samples

if TYPE_CHECKING:  # needs the extra `align`
    from vivavoce.synthesis.alignment.listener import SoundListener

log = logging.getLogger(__name__)

# The languages that are aligned, each with the lowest mean log-probability of the sounds of a text.
# It is 0.5 below that of 99 of 100 sentences of Kokoro. Audio below it says something else.
LANGUAGES: Final[Mapping[str, float]] = MappingProxyType(
    {"en": -2.7, "es": -2.9, "fr": -3.2, "it": -2.9, "pt": -2.9, "ja": -3.3, "zh": -4.1}
)
MAX_S: Final = 40.0  # of a segment: 0.1 GB of memory
FLOOR: Final = 1e-4  # probability of a sound that is not heard
FRAME_S: Final = 0.02  # of the network
_LEAD_S: Final = 0.005  # from the beginning of a sound to that of the frame in which it is heard
_LEAST_S: Final = 0.02  # of a sound
_FIRST: Final = {"ja": "天気がいい。", "zh": "天气很好。"}  # a text that loads all, else "a"
LOGGED_CHARS: Final = 80


T = TypeVar("T")


class Aligner:
    """The front ends and the network, which are loaded when they are first needed."""

    def __init__(self) -> None:
        self._phonemizer = Phonemizer()
        self._listener: SoundListener | None = None
        self._turn = asyncio.Lock()  # the network is not for two threads

    @classmethod
    def if_installed(cls) -> Self | None:
        """Return an aligner, None without the extra `align`."""
        return cls() if find_spec("hama") is not None else None

    async def warm_up(self) -> None:
        """Load everything, in a thread: 0.5 s, some of which hold the interpreter."""
        await self._in_turn(self._load)

    async def align(
        self, samples: Samples, rate_hz: int, text: SpokenSegment
    ) -> tuple[Phone, ...] | None:
        """Return the sounds of `text`, whose whole audio is `samples`, with their times.

        Returns None for a language that is not aligned, text that cannot be read, and audio that
        says something else. Works in a thread.
        """
        if text.language not in LANGUAGES or len(samples) > MAX_S * rate_hz:
            return None
        return await self._in_turn(partial(self._align, samples, rate_hz, text))

    async def _in_turn(self, work: Callable[[], T]) -> T:
        """Do `work` in a thread. It keeps its turn when the caller is cancelled, as threads do."""

        async def locked() -> T:
            async with self._turn:
                return await asyncio.to_thread(work)

        return await asyncio.shield(asyncio.create_task(locked()))

    def _load(self) -> None:
        for language in LANGUAGES:
            with suppress(MissingDependency):
                self._phonemizer.phonemize(_FIRST.get(language, "a"), language)
        try:
            self._listen()
        except MissingDependency as error:
            log.warning("word times are estimated: %s", error.message)

    def _align(
        self, samples: Samples, rate_hz: int, text: SpokenSegment
    ) -> tuple[Phone, ...] | None:
        try:
            sounds = self._read(text)
            found = self._starts(samples, rate_hz, [sound.ipa for sound in sounds])
        except VivavoceError:  # a text that no front end reads, or a missing package
            return None
        except MemoryError:
            raise
        except Exception:  # the packages document none, and the answer can do without
            log.exception("times are estimated, as %r cannot be aligned", text.text[:LOGGED_CHARS])
            return None
        if found is None or found[1] < LANGUAGES[text.language]:
            return None
        return tuple(_timed(sounds, found[0], Pauses.of(samples, rate_hz)))

    def _listen(self) -> "SoundListener":
        if self._listener is None:
            from vivavoce.synthesis.alignment.listener import SoundListener

            self._listener = SoundListener()
        return self._listener

    def _read(self, text: SpokenSegment) -> list[Phone]:
        """Return the sounds of `text` in order, without times."""

        def read(part: str) -> str:
            return self._phonemizer.phonemize(part, text.language)

        symbols = self._phonemizer.phonemize(text.text, text.language, text.phonemes)
        spans = owners(symbols, text.text, text.language, read)
        return phones(symbols, spans, [0] * (len(symbols) + 2), 0.0)

    def _starts(
        self, samples: Samples, rate_hz: int, sounds: Sequence[str]
    ) -> tuple[Sequence[float], float] | None:
        """Return when each sound begins, and the mean of their log-probabilities."""
        listener = self._listen()
        heard, silent = listener.hear(samples, rate_hz)
        may_follow = np.array([True, *(one != two for one, two in pairwise(sounds))])
        if not sounds or len(heard) < len(sounds) + np.count_nonzero(~may_follow):
            return None
        likely = np.log(likelihood(heard, sounds, listener.tokens) + np.float32(FLOOR))
        frames = best_path(likely, np.log(silent + np.float32(FLOOR)), may_follow)
        score = float(likely[frames, np.arange(len(sounds))].mean())
        return [max(frame * FRAME_S - _LEAD_S, 0.0) for frame in frames.tolist()], score


def _timed(sounds: Sequence[Phone], starts_s: Sequence[float], pauses: Pauses) -> Iterator[Phone]:
    """Yield the sounds with their times. Inside a word a sound lasts until the next one begins."""
    following = [*sounds[1:], None]
    nexts_s = [*starts_s[1:], max(pauses.end_s, starts_s[-1] + _LEAST_S)]
    for sound, after, start_s, next_s in zip(sounds, following, starts_s, nexts_s, strict=True):
        end_s = next_s
        if after is not None and after.start != sound.start:
            end_s = pauses.end_of(start_s + _LEAST_S, next_s)
        yield replace(sound, start_s=start_s, end_s=end_s)
