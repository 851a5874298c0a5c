"""Join spoken segments into one stream, without clicks and with exact pauses.

Works on one stream at one sample rate, in bounded memory. Does not know the samples' source.
"""

import numpy as np

from vivavoce.audio.pcm import fade_out, rising_ramp, silence
from vivavoce.types import Samples

# Below this a sample counts as silence: -54 dBFS, over the noise floor of neural voices and under
# soft consonants.
SILENCE_LEVEL = 0.002

_EMPTY = np.zeros(0, dtype=np.float32)


def loud_span(samples: Samples, level: float = SILENCE_LEVEL) -> tuple[int, int]:
    """Return where the first sample above `level` is, and the end after the last: equal if none."""
    loud = np.abs(samples) > level
    first = int(loud.argmax()) if len(loud) else 0
    if not len(loud) or not loud[first]:
        return 0, 0
    return first, len(loud) - int(loud[::-1].argmax())


class SegmentEdge:
    """Stream that trims the near-silence around one segment and fades both ends.

    At most `margin_s` of near-silence stays before the first and after the last audible sample.
    Pauses inside the segment stay as they are. The first and the last `fade_s` of what remains are
    faded. To know the end, the newest `fade_s` and any run of near-silence past `margin_s` wait
    inside until something audible follows. Of a longer run only the newest `hold_s` wait, which
    bounds both memory and how much can be trimmed. A segment without any audible sample comes out
    as its last `margin_s`.
    """

    def __init__(
        self,
        rate_hz: int,
        *,
        fade_s: float = 0.005,
        margin_s: float = 0.03,
        hold_s: float = 1.0,
        level: float = SILENCE_LEVEL,
    ) -> None:
        self._rate_hz = rate_hz
        self._fade_s = fade_s
        self._ramp = rising_ramp(round(fade_s * rate_hz))
        self._margin = round(margin_s * rate_hz)
        self._hold = max(self._margin, round(hold_s * rate_hz))
        self._level = level
        self._held = _EMPTY  # everything not yet given out
        # Index in _held just after the last audible sample; negative: already given out.
        self._audible_end = 0
        self._started = False
        self._given = 0
        self.dropped = 0  # samples in front of the first one given out
        # Samples of near-silence kept in front; settled when the first samples come out.
        self.leading = 0
        self.trailing = 0  # samples of near-silence kept at the end; settled by finish()

    def write(self, samples: Samples) -> Samples:
        """Take the segment's next samples. Return those that are final, possibly none."""
        first, end = loud_span(samples, self._level)
        held_before = len(self._held)
        self._held = np.concatenate((self._held, samples))
        if not self._started:
            if first == end:
                self._drop(max(len(self._held) - self._margin, 0))
                return _EMPTY
            self._start(held_before + first)
            held_before = len(self._held) - len(samples)
        if first < end:
            self._audible_end = held_before + end
        return self._give(self._end() - len(self._ramp))

    def finish(self) -> Samples:
        """End the segment. Return the rest, faded out.

        Call it once, after the last `write`.
        """
        end = self._end() if self._started else len(self._held)
        if self._started:
            self.trailing = end - self._audible_end
        else:
            self.leading = end
        return fade_out(self._give(end), self._rate_hz, self._fade_s)

    def _start(self, first_audible: int) -> None:
        self.leading = min(first_audible, self._margin)
        self._drop(first_audible - self.leading)
        self._started = True

    def _drop(self, count: int) -> None:
        self._held = self._held[count:]
        self.dropped += count

    def _end(self) -> int:
        """Return the index in `_held` where the segment ends if no more samples come.

        The end never moves back in time.
        """
        return max(
            min(len(self._held), self._audible_end + self._margin), len(self._held) - self._hold
        )

    def _give(self, count: int) -> Samples:
        """Remove the first `count` samples of `_held`. Return them, faded in."""
        if count <= 0:
            return _EMPTY
        given = self._held[:count]  # an array of our own since `write`
        ramp = self._ramp[self._given : self._given + count]
        given[: len(ramp)] *= ramp
        self._held = self._held[count:].copy()
        self._audible_end -= count
        self._given += count
        return given


class Joiner:
    """Stream of segments, each trimmed and faded by a `SegmentEdge`, with exact pauses between.

    A pause is measured from the last audible sample of one segment to the first of the next. The
    near-silence that the segments keep counts towards it. The pause is longer than requested only
    where they keep more (`margin_s` on each side).

    `origin` is the place of a segment's first sample in the output, trimmed or not. It is known
    with the first output of the segment.
    """

    def __init__(self, rate_hz: int, *, fade_s: float = 0.005, margin_s: float = 0.03) -> None:
        self._rate_hz = rate_hz
        self._fade_s = fade_s
        self._margin_s = margin_s
        self._edge = self._new_edge()
        self._pause = 0  # samples still owed before the current segment's first
        self._waiting = False  # whether that first has yet to come
        self._given = 0  # samples so far
        self._ended = False  # the segment that `origin` belongs to
        self.origin: int | None = None

    def write(self, samples: Samples) -> Samples:
        """Take the segment's next samples. Return those that are ready, after the pause."""
        if self._ended:
            self._ended, self.origin = False, None
        return self._after_pause(self._edge.write(samples))

    def end_segment(self, pause_s: float) -> Samples:
        """End the current segment. `pause_s` separates it from the next one, if there is one."""
        rest = self._after_pause(self._edge.finish())
        self._ended = True
        owed = round(pause_s * self._rate_hz) - self._edge.trailing
        self._pause = (
            max(owed, self._pause) if self._waiting else owed
        )  # a segment without samples adds no pause
        self._waiting = True
        self._edge = self._new_edge()
        return rest

    def finish(self) -> Samples:
        """End the stream. Return the rest. Call it once, after the last segment."""
        return self._after_pause(self._edge.finish())

    def _after_pause(self, samples: Samples) -> Samples:
        """Return `samples`, after the pause that is still owed."""
        if not len(samples):
            return samples
        pause = _EMPTY
        if self._waiting:
            self._waiting = False
            pause = silence((self._pause - self._edge.leading) / self._rate_hz, self._rate_hz)
        if self.origin is None:
            self.origin = self._given + len(pause) - self._edge.dropped
        self._given += len(pause) + len(samples)
        return np.concatenate((pause, samples)) if len(pause) else samples

    def _new_edge(self) -> SegmentEdge:
        return SegmentEdge(self._rate_hz, fade_s=self._fade_s, margin_s=self._margin_s)
