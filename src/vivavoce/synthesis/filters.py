"""Change the pace, the pitch, the volume and the sample rate of a stretch of speech."""

import numpy as np

from vivavoce.audio import Resampler, Tempo
from vivavoce.audio.tempo import MAX_SPEED, MIN_SPEED
from vivavoce.types import Samples


class Filters:
    """Stream filters from an engine's samples to those of the answer.

    `speed` and `pitch` are those of the whole stretch. They delay the audio by 0.2 s at most.
    """

    def __init__(self, in_rate_hz: int, out_rate_hz: int, *, speed: float, pitch: float) -> None:
        # Resampling by `pitch` changes pitch and pace together. The tempo makes up for the pace.
        tempo = min(max(speed / pitch, MIN_SPEED), MAX_SPEED)
        self.change_nothing = tempo == pitch == 1.0 and in_rate_hz == out_rate_hz  # but volume
        self._tempo = Tempo(in_rate_hz, tempo)
        self._resampler = Resampler(round(in_rate_hz * pitch), out_rate_hz)

    def write(self, samples: Samples, volume_db: float = 0.0) -> Samples:
        """Take the next samples. Return those that are ready."""
        return self._resampler.write(self._tempo.write(_amplified(samples, volume_db)))

    def finish(self) -> Samples:
        """End the stretch. Return the rest. Call it once."""
        rest = self._resampler.write(self._tempo.finish())
        return np.concatenate((rest, self._resampler.finish()))

    def close(self) -> None:
        """Free the filters, wherever they stand. May be called again."""
        self._tempo.close()
        self._resampler.close()


def _amplified(samples: Samples, volume_db: float) -> Samples:
    if not volume_db:
        return samples
    louder: Samples = samples * np.float32(10 ** (volume_db / 20))
    return np.clip(louder, -1.0, 1.0) if volume_db > 0 else louder
