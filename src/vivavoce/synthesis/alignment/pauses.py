"""Find the pauses inside the audio of a segment, and the end of its sound."""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from vivavoce.audio.join import loud_span
from vivavoce.types import Samples

_BLOCK_S: Final = 0.01
_QUIET_DB: Final = 35.0  # below the level that the loudest tenth of the blocks reaches
_PAUSE_BLOCKS: Final = 8  # a shorter silence is the closure of a consonant


@dataclass(frozen=True, slots=True)
class Pauses:
    """The quiet blocks of a segment, and when its sound ends."""

    quiet: NDArray[np.bool_]
    end_s: float

    @classmethod
    def of(cls, samples: Samples, rate_hz: int) -> Self:
        size = round(_BLOCK_S * rate_hz)
        blocks = samples[: len(samples) // size * size].reshape(-1, size)
        levels = 20 * np.log10(np.sqrt(np.square(blocks).mean(axis=1)) + 1e-6)
        loud = np.percentile(levels, 90) if len(levels) else 0.0
        return cls(levels < loud - _QUIET_DB, loud_span(samples)[1] / rate_hz)

    def end_of(self, begin_s: float, next_s: float) -> float:
        """Return when a sound ends that begins at `begin_s`, before the next one at `next_s`.

        That is where the last pause between the two begins, else `next_s`.
        """
        first, stop = round(begin_s / _BLOCK_S), round(next_s / _BLOCK_S)
        quiet = self.quiet[first:stop]
        steps = np.diff(np.concatenate(([False], quiet, [False])).astype(np.int8))
        begins, ends = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)
        pauses = begins[ends - begins >= _PAUSE_BLOCKS]
        return (first + int(pauses[-1])) * _BLOCK_S if len(pauses) else next_s
