"""Compute log-mel spectrograms as the speaker encoder was trained on them.

It knows no network. The filters are triangles of equal area on the Slaney mel scale (linear below 1
kHz, logarithmic above), as `librosa.filters.mel` defines them by default.
"""

import math

import torch
from torch import Tensor

LINEAR_HZ_PER_MEL = 200 / 3
BREAK_HZ = 1000.0
BREAK_MEL = BREAK_HZ / LINEAR_HZ_PER_MEL
LOG_STEP = math.log(6.4) / 27  # of the natural logarithm of the frequency, per mel above the break

WINDOW = 1024
HOP = 256


def hz_to_mel(hz: float) -> float:
    """Return the Slaney mel of one frequency."""
    return (
        hz / LINEAR_HZ_PER_MEL if hz < BREAK_HZ else BREAK_MEL + math.log(hz / BREAK_HZ) / LOG_STEP
    )


def mel_to_hz(mel: Tensor) -> Tensor:
    """Return the frequencies in Hz of Slaney mels, the inverse of `hz_to_mel`."""
    return torch.where(
        mel < BREAK_MEL, mel * LINEAR_HZ_PER_MEL, BREAK_HZ * torch.exp((mel - BREAK_MEL) * LOG_STEP)
    )


def mel_filters(sample_rate_hz: int, bands: int) -> Tensor:
    """Return the float32 filter bank [bands, WINDOW / 2 + 1].

    It reaches up to the Nyquist frequency, and is computed in float64.
    """
    nyquist = sample_rate_hz / 2
    bins = torch.linspace(0, nyquist, WINDOW // 2 + 1, dtype=torch.float64)
    edges = mel_to_hz(torch.linspace(0, hz_to_mel(nyquist), bands + 2, dtype=torch.float64))
    left, centre, right = (edge[:, None] for edge in (edges[:-2], edges[1:-1], edges[2:]))
    rising = (bins - left) / (centre - left)  # [bands, bins]
    falling = (right - bins) / (right - centre)
    triangles = torch.minimum(rising, falling).clamp(min=0)
    return (triangles * 2 / (right - left)).float()


def log_mel(samples: Tensor, filters: Tensor) -> Tensor:
    """Return the float32 log-mel spectrogram [bands, n / HOP] of `samples` [n].

    `samples` are mono at the filters' rate, more than (WINDOW - HOP) / 2 values. The ends are
    padded by reflection.
    """
    edge = (WINDOW - HOP) // 2
    padded = torch.nn.functional.pad(samples.float()[None], (edge, edge), mode="reflect")
    window = torch.hann_window(WINDOW, device=samples.device)
    spectrum = torch.stft(padded, WINDOW, HOP, window=window, center=False, return_complex=True)[0]
    magnitude = torch.sqrt(torch.view_as_real(spectrum).square().sum(-1) + 1e-9)  # [bins, frames]
    return (filters @ magnitude).clamp(min=1e-5).log()
