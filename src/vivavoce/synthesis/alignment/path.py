"""Find the most likely frames of known sounds, from the probability of each in each frame.

Viterbi's algorithm over the states of connectionist temporal classification (Graves et al. 2006,
section 4.1: the labels with a blank around each), as in CTC segmentation (Kürzinger et al. 2020).
"""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Table: TypeAlias = NDArray[np.float32]

_NEVER = np.float32(-np.inf)


def best_path(sounds: Table, silent: Table, may_follow: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the first frame of each sound on the most likely path.

    Args:
        sounds: Log-probabilities of the sounds in order, [frames, sounds]. Needs as many frames as
            sounds at least, and one more for each that may not follow.
        silent: Log-probability that no new sound begins, [frames].
        may_follow: True for a sound that needs no silent frame before it, [sounds].
    """
    frames, count = sounds.shape
    states = 2 * count + 1  # silence, sound, silence, sound, … silence
    likely = np.empty((frames, states), np.float32)
    likely[:, 0::2], likely[:, 1::2] = silent[:, None], sounds
    skips = np.full(states, _NEVER)
    skips[3::2][may_follow[1:]] = 0.0
    came = np.zeros((frames, states), np.uint8)  # how many states before
    ways = np.full((3, states), _NEVER)  # to stay, from the state before, and past a silence
    ways[0, :2] = likely[0, :2]
    total = ways[0].copy()
    for frame in range(1, frames):
        ways[0], ways[1, 1:], ways[2, 2:] = total, total[:-1], total[:-2]
        ways[2] += skips
        came[frame] = ways.argmax(axis=0)
        total = ways.max(axis=0) + likely[frame]
    state = states - 1 if total[-1] > total[-2] else states - 2
    first = np.zeros(count, np.int64)
    for frame in range(frames - 1, -1, -1):
        if state % 2:
            first[state // 2] = frame
        state -= int(came[frame, state])
    return first
