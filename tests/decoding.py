"""Decode audio with FFmpeg through PyAV, for tests that judge what a client hears."""

import io
import wave

import av
import numpy as np
from numpy.typing import NDArray


def decode(data: bytes) -> tuple[NDArray[np.float32], int]:
    """Return all samples of an encoded file, mono in [-1, 1], and its sample rate."""
    with av.open(io.BytesIO(data)) as container:
        stream = container.streams.audio[0]
        resampler = av.AudioResampler(format="flt", layout="mono", rate=stream.rate)
        frames = [out for frame in container.decode(stream) for out in resampler.resample(frame)]
        parts = [frame.to_ndarray().reshape(-1) for frame in frames]
        return np.concatenate(parts), stream.rate


def wav_samples(data: bytes) -> NDArray[np.int16]:
    """Return the samples of a 16-bit mono WAV file."""
    with wave.open(io.BytesIO(data)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2")


def wav_seconds(data: bytes) -> float:
    """Return the length in the header of a WAV file.

    It must agree with the number of bytes.
    """
    with wave.open(io.BytesIO(data)) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
        frames = file.getnframes()
        assert len(file.readframes(frames)) == 2 * frames
        assert int.from_bytes(data[4:8], "little") == len(data) - 8
        return frames / file.getframerate()
