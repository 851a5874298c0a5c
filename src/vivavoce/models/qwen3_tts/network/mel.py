"""Log-mel spectrograms as the speaker encoder was trained on them; it knows no network.

The filters are triangles on the Slaney mel scale (linear below 1 kHz, logarithmic above) of equal
area, as `librosa.filters.mel` defines them by default.
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
    """Return the inverse of `hz_to_mel`, for a tensor."""
    return torch.where(
        mel < BREAK_MEL, mel * LINEAR_HZ_PER_MEL, BREAK_HZ * torch.exp((mel - BREAK_MEL) * LOG_STEP)
    )


def mel_filters(sample_rate_hz: int, bands: int) -> Tensor:
    """Return the filter bank [bands, WINDOW / 2 + 1] in fp32, up to the Nyquist frequency; computed in fp64."""
    nyquist = sample_rate_hz / 2
    bins = torch.linspace(0, nyquist, WINDOW // 2 + 1, dtype=torch.float64)
    edges = mel_to_hz(torch.linspace(0, hz_to_mel(nyquist), bands + 2, dtype=torch.float64))
    left, centre, right = (edge[:, None] for edge in (edges[:-2], edges[1:-1], edges[2:]))
    rising = (bins - left) / (centre - left)  # [bands, bins]
    falling = (right - bins) / (right - centre)
    triangles = torch.minimum(rising, falling).clamp(min=0)
    return (triangles * 2 / (right - left)).float()


def log_mel(samples: Tensor, filters: Tensor) -> Tensor:
    """Return the log-mel spectrogram [bands, n / HOP] in fp32 of `samples` [n], mono at the
    filters' rate.

    `samples` needs more than (WINDOW - HOP) / 2 values: the ends are padded by reflection.
    """
    edge = (WINDOW - HOP) // 2
    padded = torch.nn.functional.pad(samples.float()[None], (edge, edge), mode="reflect")
    window = torch.hann_window(WINDOW, device=samples.device)
    spectrum = torch.stft(padded, WINDOW, HOP, window=window, center=False, return_complex=True)[0]
    magnitude = torch.sqrt(torch.view_as_real(spectrum).square().sum(-1) + 1e-9)  # [bins, frames]
    return (filters @ magnitude).clamp(min=1e-5).log()
