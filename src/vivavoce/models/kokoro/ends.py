"""Remove the silence at the ends of a run, and keep it within full scale, also piece by piece."""

from dataclasses import dataclass, field

import numpy as np

from vivavoce.types import Samples

RATE_HZ = 24_000
# Kept after the last sound: a final consonant fades below the threshold before it ends.
TAIL_S = 0.12
HEAD_S = 0.05  # kept before the first sound
PEAK = 0.98
SILENCE = 10 ** (-52 / 20)  # amplitude
RAMP_S = 0.005  # of a piece's gain, from that of the piece before


@dataclass(slots=True)
class RunEnds:
    """The ends of one run whose pieces come one after the other.

    Silence is kept back until a sound follows it. From the first piece that exceeds full scale, a
    run is scaled down: clipped peaks crackle.
    """

    _kept: Samples = field(default_factory=lambda: np.zeros(0, np.float32))
    _begun: bool = False
    dropped: int = 0  # samples before the first that is heard
    _gain: float = 1.0

    def push(self, piece: Samples, *, last: bool) -> Samples:
        """Return the audio that may be heard after `piece`."""
        audio = np.concatenate([self._kept, self._scaled(piece)])
        loud = np.flatnonzero(~(np.abs(audio) < SILENCE))  # NaN counts as sound: it is noticed
        head = int(HEAD_S * RATE_HZ)
        if not loud.size:
            self._kept = audio if self._begun else audio[-head:]
            self.dropped += audio.size - self._kept.size
            return audio[: int(TAIL_S * RATE_HZ)] if last and self._begun else audio[:0]
        start = 0 if self._begun else max(0, int(loud[0]) - head)
        end = int(loud[-1]) + 1
        self.dropped += start
        self._begun, self._kept = True, audio[end:]
        return audio[start : end + int(TAIL_S * RATE_HZ)] if last else audio[start:end]

    def _scaled(self, piece: Samples) -> Samples:
        peak = float(np.abs(piece).max(initial=0.0))
        before = self._gain
        if peak * before > PEAK:  # False for NaN, which stays
            self._gain = PEAK / peak
        if before == self._gain:
            return piece if before == 1.0 else piece * np.float32(before)
        gains = np.full(piece.size, self._gain, np.float32)
        ramp = min(int(RAMP_S * RATE_HZ), piece.size)
        gains[:ramp] = np.linspace(before, self._gain, ramp, dtype=np.float32)
        scaled: Samples = np.clip(piece * gains, -PEAK, PEAK)
        return scaled
