"""Mix voices of Kokoro: the weighted sum of their styles, and of what is known of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from vivavoce.models.kokoro.measures import Points, Styles, VoiceMeasures, points
from vivavoce.models.kokoro.voices import parse_mix

KEPT: Final = 16  # mixes, of half a megabyte each
_LEAST: Final = 1e-4  # deviation


@dataclass(frozen=True, slots=True, eq=False)
class Mix:
    """A mixed voice. `leading` is the style with the largest share."""

    styles: Styles
    points: Points
    leading: str


def mix(text: str, styles: Mapping[str, Styles], measures: VoiceMeasures) -> Mix:
    """Return the voice of the formula `text`."""
    formula = parse_mix(text)
    summed = np.zeros_like(next(iter(styles.values())), dtype=np.float64)
    for name, share in formula.shares:
        summed += share * styles[name]
    mixed: Styles = summed.astype(np.float32)
    if any(share < 0 for _, share in formula.shares):  # beyond its voices, so measured: 3 s
        return Mix(mixed, points(measures.measure(mixed)), formula.names[0])
    packed = [measures.packed(name, styles[name]) for name, _ in formula.shares]
    shares = [share for _, share in formula.shares]
    if len(packed) == 1:
        return Mix(mixed, points(packed[0]), formula.names[0])
    return Mix(mixed, points(blend(packed, shares)), formula.names[0])


def blend(packed: Sequence[NDArray[np.float32]], shares: Sequence[float]) -> NDArray[np.float32]:
    """Return the measures of a mix, from those of its voices as `VoiceMeasures.measure` has them.

    Means are summed as the styles are, and so are the logarithms of deviations. Of mixes without
    negative shares that was found to be as near to the measured as a voice of the package is.
    """
    rows, weights = np.stack(packed).astype(np.float64), np.asarray(shares)
    mean, power = np.split(rows[:, :, 1:], 2, axis=2)  # [voices, texts, norms]
    deviation = np.sqrt(np.maximum(power - mean**2, 0.0)) + _LEAST
    mixed = np.einsum("v,vtn->tn", weights, mean)
    spread = np.exp(np.einsum("v,vtn->tn", weights, np.log(deviation)))
    silence = np.average(rows[:, :, 0], axis=0, weights=np.abs(weights))
    blended: NDArray[np.float32] = np.concatenate(
        [silence[:, None], mixed, mixed**2 + spread**2], axis=1
    ).astype(np.float32)
    return blended
