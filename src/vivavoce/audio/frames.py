"""Convert our arrays to FFmpeg's audio frames, and back."""

from fractions import Fraction

import av
import numpy as np
from numpy.typing import NDArray


def audio_frame(
    samples: NDArray[np.int16] | NDArray[np.float32],
    sample_format: str,
    rate_hz: int,
    position: int,
) -> av.AudioFrame:
    """Return a mono frame with a copy of `samples`, `position` samples after the stream's
    beginning.

    `sample_format` is FFmpeg's name for the array's type: s16 or s16p for int16, flt or fltp for
    float32.
    """
    frame = av.AudioFrame.from_ndarray(samples[np.newaxis], format=sample_format, layout="mono")
    frame.sample_rate = rate_hz
    frame.time_base = Fraction(1, rate_hz)
    frame.pts = position
    return frame
