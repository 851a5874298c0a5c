"""Measure the pitch of a voice."""

import numpy as np
import pytest

from vivavoce.audio.measure.pitch import median_pitch_hz


@pytest.mark.parametrize("pitch_hz", [80.0, 130.0, 220.0, 340.0])
@pytest.mark.parametrize("rate_hz", [16_000, 24_000, 48_000])
def test_pitch_of_a_buzz_in_noise_is_found(pitch_hz: float, rate_hz: int) -> None:
    at_s = np.arange(2 * rate_hz) / rate_hz
    buzz = sum(np.sin(2 * np.pi * n * pitch_hz * at_s) / n for n in range(1, 8))
    noise = np.random.default_rng(1).standard_normal(len(at_s)) * 0.1
    samples = (0.2 * (buzz + noise)).astype(np.float32)
    assert median_pitch_hz(samples, rate_hz) == pytest.approx(pitch_hz, rel=0.03)


def test_noise_and_silence_have_no_pitch() -> None:
    noise = np.random.default_rng(1).standard_normal(24_000).astype(np.float32)
    assert median_pitch_hz(noise, 24_000) == 0.0
    assert median_pitch_hz(np.zeros(24_000, dtype=np.float32), 24_000) == 0.0
    assert median_pitch_hz(noise[:10], 24_000) == 0.0
