"""Measure loudness, and bring speech to one loudness, as FFmpeg's own command measures it."""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from vivavoce.audio import wav_bytes
from vivavoce.audio.measure.loudness import SILENT_LUFS, Limiter, LoudnessMeter
from vivavoce.types import Samples

RATE_HZ = 24_000


def speech_like(seconds: float, crest: float, seed: int = 0) -> Samples:
    """Return syllables of noise with pauses. A higher `crest` makes rarer and higher peaks."""
    draws = np.random.default_rng(seed)
    count = int(seconds * RATE_HZ)
    at_s = np.arange(count) / RATE_HZ
    syllables = np.clip(np.sin(2 * np.pi * 3 * at_s), 0, None) * (np.sin(at_s) > -0.5)
    noise = draws.standard_normal(count)
    sound = np.sign(noise) * np.abs(noise) ** crest * syllables
    return (0.9 * sound / np.abs(sound).max()).astype(np.float32)


def measured(samples: Samples, folder: Path) -> tuple[float, float]:
    """Return the loudness and the true peak that FFmpeg's command measures."""
    path = folder / "sound.wav"
    path.write_bytes(wav_bytes(samples, RATE_HZ))
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        pytest.skip("needs the command ffmpeg, which measures independently")
    command = [ffmpeg, "-nostats", "-i", str(path), "-af", "ebur128=peak=true", "-f", "null", "-"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    summary = shown.split("Summary:")[1]
    loudness, peak = (
        float(re.findall(rf"{name}:\s+(-?[\d.]+|-inf)", summary)[0]) for name in ("I", "Peak")
    )
    return loudness, peak


def meter(samples: Samples, cut: int = RATE_HZ) -> float:
    meter = LoudnessMeter(RATE_HZ)
    for start in range(0, len(samples), cut):
        meter.write(samples[start : start + cut])
    return meter.finish()


def limit(samples: Samples, gain_db: float, cut: int = 7_001) -> tuple[Samples, Limiter]:
    limiter = Limiter(RATE_HZ, gain_db, -2.0)
    parts = [limiter.write(samples[at : at + cut]) for at in range(0, len(samples), cut)]
    return np.concatenate([*parts, limiter.finish()]), limiter


def test_loudness_is_that_of_ffmpegs_command(tmp_path: Path) -> None:
    samples = speech_like(20, crest=1.0)
    assert meter(samples) == pytest.approx(measured(samples, tmp_path)[0], abs=0.11)
    assert meter(samples, cut=777) == meter(samples)
    assert meter(np.zeros(RATE_HZ, dtype=np.float32)) == SILENT_LUFS
    assert LoudnessMeter(RATE_HZ).finish() == SILENT_LUFS


@pytest.mark.parametrize("crest", [1.5, 2.0])
def test_peaks_stay_below_the_ceiling_at_the_loudness_asked_for(
    crest: float, tmp_path: Path
) -> None:
    samples = speech_like(20, crest)
    levelled, limiter = limit(samples, -19.0 - meter(samples))
    loudness, peak = measured(levelled, tmp_path)
    assert limiter.limited
    assert peak <= -2.0
    assert 20 * np.log10(limiter.peak) == pytest.approx(peak, abs=0.6)
    assert loudness == pytest.approx(-19.0, abs=1.0)


@pytest.mark.parametrize(("crest", "gain_db"), [(1.0, 3.0), (1.5, 6.0), (2.0, 12.0)])
def test_what_the_limits_took_is_what_the_loudness_lost(crest: float, gain_db: float) -> None:
    samples = speech_like(20, crest)
    levelled, limiter = limit(samples, gain_db)
    assert limiter.limited
    assert limiter.taken_db == pytest.approx(meter(samples) + gain_db - meter(levelled), abs=0.1)


def test_a_peak_between_two_samples_is_seen(tmp_path: Path) -> None:
    at = np.arange(5 * RATE_HZ)
    samples = np.sin(2 * np.pi * at / 4 + np.pi / 4).astype(np.float32)  # 3 dB above its samples
    levelled, limiter = limit(samples, 0.0)
    assert measured(levelled, tmp_path)[1] <= -2.0
    assert limiter.limited


def test_quiet_samples_change_by_the_gain_alone() -> None:
    samples = speech_like(5, crest=1.0) * np.float32(0.1)
    levelled, limiter = limit(samples, 6.0)
    assert np.array_equal(levelled, samples * np.float32(10 ** (6.0 / 20)))
    assert not limiter.limited


def test_the_cut_of_the_input_changes_nothing() -> None:
    samples = speech_like(5, crest=2.0)
    whole, _ = limit(samples, 6.0, cut=len(samples))
    assert len(whole) == len(samples)
    assert np.array_equal(limit(samples, 6.0, cut=311)[0], whole)
    assert len(limit(samples[:10], 6.0)[0]) == 10
