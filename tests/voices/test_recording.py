"""Check what is said of recordings, and that they are kept sample for sample."""

import numpy as np
import pytest

from vivavoce.audio import decode_recording, to_pcm16, wav_bytes
from vivavoce.errors import BadRequest
from vivavoce.types import Samples
from vivavoce.voices.recording import RATE_HZ, noise_db, repacked, take_recording


def speech(seconds: float, noise_db: float | None = None, rate_hz: int = RATE_HZ) -> Samples:
    """Return syllables with pauses, and noise `noise_db` below them."""
    at = np.arange(int(seconds * rate_hz)) / rate_hz
    said = np.sin(2 * np.pi * 180 * at) * (np.sin(2 * np.pi * 1.5 * at) > -0.3) * 0.3
    if noise_db is not None:
        level = 0.3 / np.sqrt(2) * 10 ** (-noise_db / 20)
        said = said + np.random.default_rng(1).normal(0, level, at.size)
    return said.astype(np.float32)


def warnings_of(samples: Samples, rate_hz: int = RATE_HZ) -> list[str]:
    return [text.split(":")[0] for text in take_recording(wav_bytes(samples, rate_hz)).warnings]


@pytest.mark.parametrize(
    ("noise", "found"), [(50, []), (30, []), (20, ["noisy"]), (8, ["very noisy"])]
)
def test_noise_is_told_by_its_level(noise: float, found: list[str]) -> None:
    assert warnings_of(speech(5, noise)) == found


@pytest.mark.parametrize("noise", [10, 15, 20, 25, 30, 40])
def test_noise_is_estimated_within_two_decibels(noise: float) -> None:
    assert noise_db(speech(8, noise)) == pytest.approx(noise, abs=2)


def test_short_soft_and_clipped_recordings_are_told() -> None:
    assert warnings_of(speech(2)) == ["short"]
    assert warnings_of(speech(5) / 50) == ["quiet"]
    peaks = speech(5)
    peaks[np.abs(peaks) > 0.2999] = 1.0
    assert warnings_of(peaks) == ["clipped"]


def test_recording_without_a_voice_is_refused() -> None:
    with pytest.raises(BadRequest, match="clipped"):
        take_recording(wav_bytes((speech(3) * 10).clip(-1, 1), RATE_HZ))
    half = np.concatenate([np.zeros(RATE_HZ), speech(0.5), np.zeros(RATE_HZ)]).astype(np.float32)
    with pytest.raises(BadRequest, match="without the silence") as refusal:
        take_recording(wav_bytes(half, RATE_HZ))
    assert refusal.value.field == "ref_audio"


def test_silence_at_the_ends_is_cut() -> None:
    quiet = np.zeros(2 * RATE_HZ, np.float32)
    taken = take_recording(wav_bytes(np.concatenate([quiet, speech(4), quiet]), RATE_HZ))
    assert 3.5 < taken.seconds < 4.3


@pytest.mark.parametrize("rate_hz", [16_000, 24_000, 44_100])
def test_kept_recording_is_24_khz_and_survives_a_round_trip(rate_hz: int) -> None:
    taken = take_recording(wav_bytes(speech(4, 30, rate_hz), rate_hz))
    samples, kept_hz = decode_recording(taken.flac)
    assert (kept_hz, to_pcm16(samples)) == (RATE_HZ, taken.pcm)
    assert repacked(taken.flac).pcm == taken.pcm
