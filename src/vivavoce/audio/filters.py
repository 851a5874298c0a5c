"""Change the pace, the pitch, the volume and the sample rate of a stretch of speech."""

import numpy as np

from vivavoce.audio import Resampler, Tempo
from vivavoce.audio.tempo import MAX_SPEED, MIN_SPEED
from vivavoce.types import Samples


class Filters:
    """Stream filters from an engine's samples to those of the answer.

    `speed` and `pitch` are those of the whole stretch. They delay the audio by 0.2 s at most.
    `timed` makes `position` work at every speed and pitch; see `Tempo`.
    """

    def __init__(
        self,
        in_rate_hz: int,
        out_rate_hz: int,
        *,
        speed: float,
        pitch: float,
        timed: bool = False,
    ) -> None:
        # Resampling by `pitch` changes pitch and pace together. The tempo makes up for the pace.
        tempo = min(max(speed / pitch, MIN_SPEED), MAX_SPEED)
        self.change_nothing = tempo == pitch == 1.0 and in_rate_hz == out_rate_hz  # but volume
        self._tempo = Tempo(in_rate_hz, tempo, timed=timed)
        played_rate_hz = round(in_rate_hz * pitch)
        self._resampler = Resampler(played_rate_hz, out_rate_hz)
        self._scale = out_rate_hz / played_rate_hz
        self._given = 0
        self._finished = False

    def write(self, samples: Samples, volume_db: float = 0.0) -> Samples:
        """Take the next samples. Return those that are ready."""
        ready = self._resampler.write(self._tempo.write(_amplified(samples, volume_db)))
        self._given += len(ready)
        return ready

    def finish(self) -> Samples:
        """End the stretch. Return the rest. Call it once."""
        rest = self._resampler.write(self._tempo.finish())
        rest = np.concatenate((rest, self._resampler.finish()))
        self._given += len(rest)
        self._finished = True
        return rest

    def position(self, sample: float) -> float | None:
        """Return where in the output the input's `sample` sounds, both in samples from the start.

        None says that this is not known yet. See `Tempo.position`; after `finish` all is known.
        """
        place = self._tempo.position(sample)
        if place is None:
            return None
        place *= self._scale
        return min(place, self._given) if self._finished else place

    def close(self) -> None:
        """Free the filters, wherever they stand. May be called again."""
        self._tempo.close()
        self._resampler.close()


def _amplified(samples: Samples, volume_db: float) -> Samples:
    if not volume_db:
        return samples
    louder: Samples = samples * np.float32(10 ** (volume_db / 20))
    return np.clip(louder, -1.0, 1.0) if volume_db > 0 else louder
