"""Check the sound of hibari against its package: the network's outputs, and the samples of them."""

from collections.abc import Callable

import numpy as np
import pytest
from hibari import Hibari
from hibari.dsp import synth
from numpy.typing import NDArray

from vivavoce.models.hibari.network import Network
from vivavoce.models.hibari.sound import BINS, HOP, Draw, even_noise, synthesize
from vivavoce.types import Samples

TEXTS = (
    "Oh.",
    "The train to the coast was late again, so we had coffee in the little station.",
    "Shh! "
    + "After the storm, the whole street smelled of wet leaves and earth, " * 4
    + "he said.",
)


@pytest.fixture(scope="module")
def package() -> Hibari:
    return Hibari()


@pytest.fixture(scope="module")
def network(package: Hibari) -> Network:
    return Network(package.model_path)


def read(package: Hibari, text: str) -> list[int]:
    ids: list[int] = package.ids(" ".join(package.phonemize(text)))
    return ids


def outputs(package: Hibari, ids: list[int]) -> list[NDArray[np.float32]]:
    """Return what the package's own session tells: five spectra [BINS, frames], and the pitch."""
    feed = {"ids": np.array([ids], np.int64), "speed": np.ones(1, np.float32)}
    return [each[0] for each in package.sess.run(None, feed)]


class Repeated:
    """A generator of the package's interface that draws the same noise each time."""

    def __init__(self, noise: NDArray[np.float32]) -> None:
        self._noise = noise

    def standard_normal(self, shape: tuple[int, int], dtype: type) -> NDArray[np.float32]:
        return self._noise.copy()


def drawn(noise: NDArray[np.float32]) -> Draw:
    """Draw from `noise`, [BINS, 2 * frames], in rows of frames."""
    rows = noise.view(np.complex64).T
    at = 0

    def draw(frames: int) -> NDArray[np.float32]:
        nonlocal at
        at += frames
        part = rows[at - frames : at]
        return np.stack((part.real, part.imag), axis=1)

    return draw


@pytest.mark.parametrize("text", TEXTS)
def test_network_tells_what_the_package_hears(package: Hibari, network: Network, text: str) -> None:
    ids = read(package, text)
    *columns, pitch = outputs(package, ids)
    spectra, pitch_hz, durations = network.run(ids)
    assert np.array_equal(spectra, np.concatenate(columns).T)
    assert np.array_equal(pitch_hz, pitch)
    assert 2 * sum(durations) == len(spectra)


@pytest.mark.parametrize("text", TEXTS)
def test_equal_noise_gives_the_samples_of_the_package(
    package: Hibari, network: Network, text: str
) -> None:
    ids = read(package, text)
    *columns, pitch = outputs(package, ids)
    shape = BINS, 2 * len(pitch)
    noise = np.random.default_rng(1).standard_normal(shape, dtype=np.float32)
    theirs = synth(*columns, pitch, Repeated(noise))
    spectra, pitch_hz, _ = network.run(ids)
    ours = synthesize(spectra, pitch_hz, drawn(noise))
    assert len(ours) == len(theirs) == HOP * len(pitch)
    assert np.abs(ours - theirs).max() < 1e-4 * np.abs(theirs).max()


def levels(samples: Samples) -> NDArray[np.float32]:
    """Return the levels in dB of bands of 400 Hz, in stretches of 21 ms."""
    frames = samples[: len(samples) // 512 * 512].reshape(-1, 512) * np.hanning(512)
    power = np.abs(np.fft.rfft(frames))[:, 1:].reshape(len(frames), -1, 8) ** 2
    out: NDArray[np.float32] = 10 * np.log10(power.mean(axis=2) + 1e-6)
    return out


def test_noise_sounds_like_that_of_the_package(package: Hibari) -> None:
    columns = outputs(package, read(package, TEXTS[2]))
    spectra = np.ascontiguousarray(np.concatenate(columns[:5]).T)

    def normal(seed: int) -> Samples:
        rows: Samples = synth(*columns, np.random.default_rng(seed))
        return rows

    def even(seed: int) -> Samples:
        generator = np.random.default_rng(seed)
        return synthesize(spectra, columns[5], lambda frames: even_noise(generator, frames))

    def apart(one: Callable[[int], Samples], two: Callable[[int], Samples]) -> float:
        return float(np.sqrt(np.mean(np.square(levels(one(1)) - levels(two(2))))))

    assert apart(normal, even) == pytest.approx(apart(normal, normal), rel=0.03)
    assert apart(even, even) == pytest.approx(apart(normal, normal), rel=0.03)
    means = [levels(make(1)).mean(0) - levels(normal(2)).mean(0) for make in (normal, even)]
    assert np.abs(means).max() < 1  # dB, of each band


def test_noise_has_variance_one_and_no_constant() -> None:
    noise = even_noise(np.random.default_rng(1), 400)
    assert noise.shape == (400, 2, BINS)
    assert noise.dtype == np.float32
    assert float(noise.mean()) == pytest.approx(0, abs=0.01)
    assert float(noise.var()) == pytest.approx(1, abs=0.01)
