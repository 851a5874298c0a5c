"""Take a recording to clone: cut its silence, say what is wrong with it, and pack it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from vivavoce.audio import (
    Resampler,
    decode_recording,
    flac_with_length,
    from_int16,
    open_encoder,
    to_int16,
    to_pcm16,
)
from vivavoce.audio.decode import MAX_S
from vivavoce.errors import BadRequest
from vivavoce.provenance.mark import MARK
from vivavoce.types import Samples

RATE_HZ: Final = 24_000
MAX_FLAC_BYTES: Final = 3 * 2**20  # 30 s of noise take 1.5 MB
_MIN_S, _GOOD_S = 1.0, 3.0
_BYTES: Final = 2  # of a sample
_FRAME: Final = RATE_HZ // 50
_MARGIN_FRAMES: Final = 5  # of silence that stay at both ends
_SPEECH_BELOW_PEAK_DB: Final = 40.0
_FULL_SCALE: Final = 0.999
_CLIPPED_SHARE, _MUCH_CLIPPED_SHARE = 0.001, 0.05
# Of the loud frames (95 % are softer) to the soft ones (10 % are softer).
_NOISY_DB, _VERY_NOISY_DB = 25.0, 12.0
_QUIET_DB: Final = -35.0
_FLOOR: Final = 1e-10


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording as it is kept. `warnings` say what would make a better voice."""

    pcm: bytes  # 16-bit, 24 kHz, mono
    flac: bytes
    seconds: float
    warnings: tuple[str, ...]

    @property
    def samples(self) -> Samples:
        """The samples, at `RATE_HZ`."""
        return from_int16(np.frombuffer(self.pcm, "<i2").astype(np.int16))


def take_recording(data: bytes) -> Recording:
    """Return the recording in the bytes of an audio file.

    Raises `BadRequest` (`ref_audio`) as `decode_recording` does, and for too little or mostly
    clipped sound.
    """
    return _taken(*decode_recording(data))


def take_recordings(files: Sequence[bytes]) -> Recording:
    """Return the recordings in audio files one after another, as many as 30 s hold.

    The warnings say which are left out. Raises as `take_recording` does.
    """
    taken = list(map(take_recording, files))
    if len(taken) == 1:
        return taken[0]
    pcm, warnings, left_out = b"", list[str](), list[str]()
    for number, one in enumerate(taken, 1):
        if len(pcm) + len(one.pcm) > MAX_S * RATE_HZ * _BYTES:
            left_out.append(str(number))
            continue
        pcm += one.pcm
        warnings += [f"file {number} is {warning}" for warning in one.warnings]
    if left_out:
        warnings.append(f"left out: file {', '.join(left_out)}, beyond {MAX_S:g} s together")
    samples = from_int16(np.frombuffer(pcm, "<i2").astype(np.int16))
    return Recording(pcm, _flac(samples, ""), samples.size / RATE_HZ, tuple(warnings))


def designed_recording(samples: Samples, rate_hz: int) -> Recording:
    """Return synthetic speech as a recording, whose file says so. It warns of nothing.

    Raises `BadRequest` (`text`) for too little or mostly clipped sound.
    """
    try:
        return replace(_taken(samples, rate_hz, MARK), warnings=())
    except BadRequest as error:
        problem = error.message.removeprefix("the recording ")
        raise BadRequest(f"a preview of the text {problem}", field="text") from error


def _taken(samples: Samples, rate_hz: int, comment: str = "") -> Recording:
    clipped = float((np.abs(samples) >= _FULL_SCALE).mean())
    if clipped > _MUCH_CLIPPED_SHARE:
        raise _refused(f"is clipped in {clipped:.0%} of its samples: record it again, softer")
    resampler = Resampler(rate_hz, RATE_HZ)
    samples = np.concatenate([resampler.write(samples), resampler.finish()])
    levels = _levels(samples)
    kept = _trimmed(samples, levels)
    seconds = kept.size / RATE_HZ
    if seconds < _MIN_S:
        raise _refused(
            f"has {seconds:.2f} s of sound without the silence at its ends, fewer than "
            f"{_MIN_S:g}: send 3 to 10 seconds of speech"
        )
    warnings = _warnings(seconds, clipped, levels)
    return Recording(to_pcm16(kept), _flac(kept, comment), seconds, warnings)


def kept_samples(flac: bytes) -> Samples:
    """Return the samples of a kept recording. Raises `BadRequest` (`ref_audio`)."""
    samples, rate_hz = decode_recording(flac)
    if rate_hz != RATE_HZ:
        raise _refused(f"has {rate_hz} samples a second, and a kept recording has {RATE_HZ}")
    return from_int16(to_int16(samples))


def pcm_of(samples: Samples) -> bytes:
    """Return samples as `Recording.pcm` has them."""
    return to_pcm16(samples)


def repacked(flac: bytes, *, synthetic: bool = False) -> Recording:
    """Return a kept recording from another library, sample for sample.

    Raises `BadRequest` (`ref_audio`) if it is none.
    """
    if not flac.startswith(b"fLaC"):
        raise _refused("is no FLAC file, as kept recordings are")
    samples = kept_samples(flac)
    packed = _flac(samples, MARK if synthetic else "")
    return Recording(to_pcm16(samples), packed, samples.size / RATE_HZ, ())


def noise_db(samples: Samples) -> float:
    """Return the estimated ratio of speech to noise in a recording at 24 kHz, in dB."""
    return _ratio_db(_levels(samples))


def _levels(samples: Samples) -> Samples:
    """Return the level of each frame of 20 ms, in dB of full scale."""
    frames = samples[: samples.size // _FRAME * _FRAME].reshape(-1, _FRAME)
    levels: Samples = 10 * np.log10((frames.astype(np.float64) ** 2).mean(1) + _FLOOR)
    return levels


def _ratio_db(levels: Samples) -> float:
    soft, loud = np.percentile(levels, (10, 95))
    return float(loud - soft)


def _trimmed(samples: Samples, levels: Samples) -> Samples:
    """Return the samples without the silence before and after the sound."""
    loud = np.flatnonzero(levels > levels.max() - _SPEECH_BELOW_PEAK_DB)
    start = max(int(loud[0]) - _MARGIN_FRAMES, 0) * _FRAME
    return samples[start : (int(loud[-1]) + 1 + _MARGIN_FRAMES) * _FRAME]


def _warnings(seconds: float, clipped: float, levels: Samples) -> tuple[str, ...]:
    found = []
    if seconds < _GOOD_S:
        found.append(f"short: {seconds:.1f} s of sound, and 3 to 10 make a better voice")
    if clipped > _CLIPPED_SHARE:
        found.append(f"clipped: {clipped:.1%} of the samples are at full scale; record it softer")
    if (ratio := _ratio_db(levels)) < _VERY_NOISY_DB:
        found.append(f"very noisy: speech is {ratio:.0f} dB above the noise; record it elsewhere")
    elif ratio < _NOISY_DB:
        found.append(f"noisy: speech is {ratio:.0f} dB above the noise, and 30 is good")
    if (loud := float(np.percentile(levels, 95))) < _QUIET_DB:
        found.append(f"quiet: {loud:.0f} dB of full scale; record it louder")
    return tuple(found)


def _flac(samples: Samples, comment: str) -> bytes:
    encoder = open_encoder("flac", RATE_HZ, comment=comment)
    try:
        data = encoder.write(samples) + encoder.finish()
    finally:
        encoder.close()
    return flac_with_length(data, samples.size)


def _refused(why: str) -> BadRequest:
    return BadRequest(f"the recording {why}", field="ref_audio")
