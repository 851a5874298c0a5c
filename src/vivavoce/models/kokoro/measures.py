"""Measure each voice once: the statistics of the vocoder's norms, for audio made in windows.

A voice speaks three texts of different length, and the result is stored beside the model. Within a
voice the statistics differ by 2 to 3 per cent between texts of any language, between voices by 8.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias
from uuid import uuid4

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


class VoiceMeasures:
    """The measures of the voices, from the folder of the fast graph or measured at first use."""

    def __init__(self, network: Network, model: Path, vocabulary: Mapping[str, int]) -> None:
        self._network, self._folder = network, fast_path(model)
        self._runs = [[vocabulary[s] for s in text if s in vocabulary] for text in TEXTS]
        self._known: dict[str, Mapping[float, Measures]] = {}

    def of(self, style: str, styles: Styles, silence: float) -> Measures:
        """Return the measures of the voice `style` for a run with a share of `silence`."""
        if style not in self._known:  # two lanes at once measure the same
            self._known[style] = self._load(style, styles)
        return interpolate(self._known[style], silence)

    def prepare(self, voices: Mapping[str, Styles], report: Callable[[int, int], None]) -> None:
        """Measure and store all `voices`. `report` gets how many are done, and their number."""
        for done, (style, styles) in enumerate(voices.items()):
            report(done, len(voices))
            self.of(style, styles, 0.0)
        report(len(voices), len(voices))

    def _load(self, style: str, styles: Styles) -> Mapping[float, Measures]:
        path = self._folder / f"{style}.npy"
        with suppress(OSError, ValueError):  # absent, or not whole: measured again
            return _unpack(np.load(path))
        packed = self._measure(styles)
        with suppress(OSError):  # a read-only folder: the next start measures again
            _store(packed, path)
        return _unpack(packed)

    def _measure(self, styles: Styles) -> NDArray[np.float32]:
        """Return [texts, 1 + 2 * norms]: the share of silence, means and mean squares."""
        rows = []
        for ids in self._runs:
            run = self._network.read(ids, styles[len(ids) - 1])
            _, measures = self._network.whole(run)
            rows.append(np.concatenate([[run.silence], measures.mean, measures.power]))
        return np.asarray(rows, np.float32)


def _unpack(packed: NDArray[np.float32]) -> Mapping[float, Measures]:
    return {float(row[0]): Measures(*np.split(row[1:], 2)) for row in packed}


def _store(packed: NDArray[np.float32], path: Path) -> None:
    temporary = path.with_name(f".{path.stem}.{uuid4().hex}.npy")
    try:
        np.save(temporary, packed)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
