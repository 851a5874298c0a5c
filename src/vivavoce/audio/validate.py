"""Detect audio that is not speech while it is generated: noise, silence, no end.

Knows neither the model nor the client. Every limit is beyond the loudest, the slowest and the most
hesitant real speech.
"""

import math
from typing import Final

import numpy as np

from vivavoce.audio.join import SILENCE_LEVEL
from vivavoce.types import Samples, StopReason

# What is judged in one go: shorter than a syllable, longer than the slowest glottal pulse.
BLOCK_S: Final = 0.02
# A codec that breaks down drives most samples against full scale, without a pause. Speech that is
# clipped does so in the middle of vowels: the embedded voices, amplified to 20 dB beyond full
# scale, have such runs of half a second.
FULL_SCALE: Final = 0.99
CLIPPED_SHARE: Final = 0.25
NOISE_S: Final = 0.75
SILENCE_S: Final = 5.0  # no voice pauses so long inside of what it says in one go

_EMPTY: Samples = np.zeros(0, dtype=np.float32)


class AudioValidator:
    """Check of one segment's samples as they come. `problem` is set once they are bad.

    `max_s` limits the duration. `expects_speech` requires an audible sample. Doubtful samples are
    held back: silence before the first sound, and loud noise, `NOISE_S` of it at most.
    """

    def __init__(self, rate_hz: int, *, max_s: float, expects_speech: bool) -> None:
        self.problem: StopReason | None = None
        self.max_s = max_s
        self.expects_speech = expects_speech
        self._rate_hz = rate_hz
        self._block = max(round(BLOCK_S * rate_hz), 1)
        self._held = _EMPTY
        self._taken = 0  # samples so far
        self._heard = False  # something audible
        self._silent = 0  # samples since that
        self._clipped = 0  # samples of the noise that goes on
        self._loud = 0  # samples at full scale in the block that is not complete

    def write(self, samples: Samples) -> Samples:
        """Take the next samples. Return those known to be good, none after a problem."""
        if self.problem is not None or not samples.size:
            return _EMPTY
        magnitudes = np.abs(samples)
        # The maximum is not finite if any sample is not.
        peak = float(magnitudes.max())
        finite = len(samples) if math.isfinite(peak) else int(np.argmin(np.isfinite(samples)))
        fitting = max(int(self.max_s * self._rate_hz) - self._taken, 0)
        good = min(finite, fitting)
        if good < len(samples):
            self.problem = StopReason.LENGTH if fitting < finite else StopReason.NOISE
        self._taken += good
        self._held = (
            np.concatenate((self._held, samples[:good])) if self._held.size else samples[:good]
        )
        if good:
            self._judge(magnitudes[:good], peak)
        return self._release()

    def finish(self) -> Samples:
        """End the segment. Return what was held back if it is good. Call it once."""
        if rest := self._taken % self._block:
            self._end_block(rest)
        if self.problem is None and self._taken and self._clipped > self._taken / 2:
            self.problem = StopReason.NOISE  # too short to go on for long
        if self.problem is None and self.expects_speech and not self._heard:
            self.problem = StopReason.SILENCE
        return _EMPTY if self.problem is not None else self._held

    def _judge(self, magnitudes: Samples, peak: float) -> None:
        """Check the samples just added to `_held`, and drop those after a problem."""
        silence, noise = self._silence_in(magnitudes), self._noise_in(magnitudes, peak)
        end = min(silence, noise)
        if end <= len(magnitudes):
            self.problem = StopReason.SILENCE if silence < noise else StopReason.NOISE
            self._held = self._held[: len(self._held) - len(magnitudes) + int(end)]

    def _silence_in(self, magnitudes: Samples) -> float:
        """Return the index where a silence becomes too long, or infinity."""
        most = int(SILENCE_S * self._rate_hz)
        for start in range(
            0, len(magnitudes), self._rate_hz
        ):  # seconds, none of which holds a silence too long alone
            audible = magnitudes[start : start + self._rate_hz] > SILENCE_LEVEL
            first = int(audible.argmax())
            before = first if audible[first] else len(audible)
            if self.expects_speech and self._silent + before >= most:
                end = start + most - self._silent
                self._silent = most
                return end
            self._heard = self._heard or before < len(audible)
            self._silent = (
                int(audible[::-1].argmax()) if before < len(audible) else self._silent + before
            )
        return math.inf

    def _noise_in(self, magnitudes: Samples, peak: float) -> float:
        """Return the index where noise has lasted too long, or infinity.

        Blocks are counted from the beginning of the segment, however it is cut.
        """
        begun = (self._taken - len(magnitudes)) % self._block
        if peak < FULL_SCALE and not self._loud:
            if begun + len(magnitudes) >= self._block:
                self._clipped = 0
            return math.inf
        loud = magnitudes >= FULL_SCALE
        start = 0
        for end in range(self._block - begun, len(magnitudes) + 1, self._block):
            self._loud += int(np.count_nonzero(loud[start:end]))
            self._end_block(self._block)
            if self._clipped >= NOISE_S * self._rate_hz:
                return float(end)
            start = end
        self._loud += int(np.count_nonzero(loud[start:]))
        return math.inf

    def _end_block(self, size: int) -> None:
        """Judge a block of `size` samples, of which `_loud` are at full scale."""
        self._clipped = self._clipped + size if self._loud >= CLIPPED_SHARE * size else 0
        self._loud = 0

    def _release(self) -> Samples:
        """Remove and return the samples of `_held` that are certainly good."""
        doubtful = self._silent if self.problem is StopReason.SILENCE else self._clipped
        if self.problem is None:
            doubtful += self._taken % self._block
        split = max(len(self._held) - doubtful, 0) if self._heard else 0
        good, self._held = self._held[:split], self._held[split:]
        return good
