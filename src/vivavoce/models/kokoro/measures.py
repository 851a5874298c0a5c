"""Know the statistics of the vocoder's norms for each voice, for audio made in windows.

- A voice speaks three texts of different length. Within a voice the statistics differ by 2 to 3 per
  cent between texts of any language, between voices by 8.
- Those of the published model are in the package, written by `scripts/measure_kokoro.py`. A voice
  of another model is measured at its first use, and the result is stored beside the model.
- In the package a voice has one offset from the mean of all voices, for all texts alike. What that
  leaves out is a tenth of the differences between voices (in squares).
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeAlias
from uuid import uuid4
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from vivavoce.models.kokoro.graph.rewrite import fast_path
from vivavoce.models.kokoro.network import Measures, Network, interpolate

Styles: TypeAlias = NDArray[np.float32]  # [510, 1, 256]: row n - 1 is for a run of n tokens

# In the model's own symbols. The share of silence at their ends is about 0.28, 0.12 and 0.03.
TEXTS = (
    "ɡˈʊd ˈivnɪŋ.",
    "θˈæŋk ju fɔɹ kˈɔlɪŋ, bˌʌt nˈObˌɑdi nˈu ði ˈænsəɹ.",
    "ðə kwˈɪk bɹˈWn fˈɑks ʤˈʌmps ˈOvəɹ ðə lˈAzi dˈɔɡ. sˈɪks jˈʌŋ bˈYz ʧˈOz ɐ hjˈuʤ mˈɛʒəɹ ʌv "
    "vˈɪʒən, ænd ðA ʤˈʌʤd ðə ʤˈY ʌv ˈɛvəɹi ˈʌðəɹ bˈæθ, nˌɪɹ ˌWəɹ tˈWn.",
)

PACKAGED: Final = Path(__file__).with_name("measures.npz")
_STEP: Final = 1 / 16  # of the offsets, far below the differences between texts
_LEAST: Final = 1e-4  # deviation


Packaged: TypeAlias = Mapping[str, NDArray[np.generic]]
Points: TypeAlias = Mapping[float, Measures]  # share of silence → measures


def packaged(model: Path) -> Packaged:
    """Return the package's arrays of the voices of the file `model`, none for another model."""
    if not PACKAGED.is_file():  # before the first run of the script
        return {}
    with np.load(PACKAGED) as file:
        return dict(file) if file["model"] == fast_path(model).name else {}


class VoiceMeasures:
    """The measures of the voices, from the package, a folder, or measured at first use."""

    def __init__(self, network: Network, model: Path, vocabulary: Mapping[str, int]) -> None:
        self._network, self._folder = network, fast_path(model)
        self._packaged = packaged(model)
        self._runs = [[vocabulary[s] for s in text if s in vocabulary] for text in TEXTS]
        self._known: dict[str, Points] = {}

    def of(self, style: str, styles: Styles, silence: float) -> Measures:
        """Return the measures of the voice `style` for a run with a share of `silence`."""
        if style not in self._known:  # two lanes at once measure the same
            self._known[style] = points(self.packed(style, styles))
        return interpolate(self._known[style], silence)

    def prepare(self, voices: Mapping[str, Styles], report: Callable[[int, int], None]) -> None:
        """Measure and store all `voices`. `report` gets how many are done, and their number."""
        for done, (style, styles) in enumerate(voices.items()):
            report(done, len(voices))
            self.of(style, styles, 0.0)
        report(len(voices), len(voices))

    def packed(self, style: str, styles: Styles) -> NDArray[np.float32]:
        """Return the measures of the voice `style` as `measure` does, stored ones if there are."""
        if (known := unpack(self._packaged, style, styles)) is not None:
            return known
        path = self._folder / f"{style}.npy"
        with suppress(OSError, ValueError):  # absent, or not whole: measured again
            stored: NDArray[np.float32] = np.load(path)
            return stored
        packed = self.measure(styles)
        with suppress(OSError):  # a read-only folder: the next start measures again
            _store(packed, path)
        return packed

    def measure(self, styles: Styles) -> NDArray[np.float32]:
        """Return [texts, 1 + 2 * norms]: the share of silence, means and mean squares."""
        rows = []
        for ids in self._runs:
            run = self._network.read(ids, styles[len(ids) - 1])
            _, measures = self._network.whole(run)
            rows.append(np.concatenate([[run.silence], measures.mean, measures.power]))
        return np.asarray(rows, np.float32)


def pack(
    model: Path, measured: Mapping[str, NDArray[np.float32]], styles: Mapping[str, Styles]
) -> Packaged:
    """Return the arrays of the package's file, from what `measure` returned of each voice."""
    rows = np.stack(list(measured.values()))  # [voices, texts, 1 + 2 * norms]
    mean, power = np.split(rows[:, :, 1:], 2, axis=2)
    deviation = np.sqrt(np.maximum(power - mean**2, 0.0)) + _LEAST
    unit = _unit(deviation.mean(0))
    offsets = [
        ((mean - mean.mean(0)) / unit).mean(1),
        np.log(deviation / deviation.mean(0)).mean(1),
    ]
    codes = np.clip(np.round(np.stack(offsets, 1) / _STEP), -127, 127)
    return {
        "model": np.array(fast_path(model).name),
        "names": np.array(list(measured)),
        "checks": np.array([crc32(styles[name].tobytes()) for name in measured], np.uint32),
        "silence": rows[:, :, 0],
        "mean": mean.mean(0).astype(np.float16),
        "deviation": deviation.mean(0).astype(np.float16),
        "offsets": codes.astype(np.int8),  # [voices, 2, norms]: of the mean, of the deviation
    }


def unpack(file: Packaged, style: str, styles: Styles) -> NDArray[np.float32] | None:
    """Return the measures of `style` as `measure` does, or None if `file` has none of `styles`."""
    if not file or style not in (names := file["names"].tolist()):
        return None
    at = names.index(style)
    if crc32(styles.tobytes()) != int(file["checks"][at]):
        return None
    mean, deviation = (file[name].astype(np.float32) for name in ("mean", "deviation"))
    shift, growth = file["offsets"][at].astype(np.float32) * np.float32(_STEP)
    mean = mean + shift * _unit(deviation)
    power = mean**2 + (deviation * np.exp(growth)) ** 2
    return np.concatenate([file["silence"][at][:, None], mean, power], axis=1)


def _unit(deviation: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the deviation of each norm, given that of each text: the unit of its offsets."""
    unit: NDArray[np.float32] = deviation.mean(0)
    return unit


def points(packed: NDArray[np.float32]) -> Points:
    """Return the measures by the share of silence."""
    return {float(row[0]): Measures(*np.split(row[1:], 2)) for row in packed}


def _store(packed: NDArray[np.float32], path: Path) -> None:
    temporary = path.with_name(f".{path.stem}.{uuid4().hex}.npy")
    try:
        np.save(temporary, packed)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
