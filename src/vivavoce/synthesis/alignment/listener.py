"""Hear the sounds of speech with `hama`, whose package contains a small network and its weights.

This module knows no text. It needs the extra `align`.
"""

from typing import TypeAlias

import numpy as np
from hama import ASRModel
from numpy.typing import NDArray

from vivavoce.audio.resample import Resampler
from vivavoce.errors import MissingDependency
from vivavoce.types import Samples

Probabilities: TypeAlias = NDArray[np.float32]  # [frames, tokens]

# The power of its probabilities. The network is too sure of itself, and words would go astray.
_DOUBT = np.float32(0.5)
_WORD_END = "<wb>"  # a token of the network, as silent as its blank


class SoundListener:
    """The network, which is loaded in some milliseconds. One thread may use it at a time."""

    def __init__(self) -> None:
        """Raises `MissingDependency` if the package has no library for this system."""
        try:
            self._network = ASRModel()
        except RuntimeError as error:
            raise MissingDependency(f"hama does not run here: {error}") from error
        self.tokens = tuple(self._network.decoder_tokens)  # sounds in IPA, and some signs
        self._silent = [self._network.blank_id, self.tokens.index(_WORD_END)]

    def hear(self, samples: Samples, rate_hz: int) -> tuple[Probabilities, Probabilities]:
        """Return the probability of each token in each frame, and of none: [frames].

        A frame has 20 ms. Takes 1/20 s of a processor for each second of audio.
        """
        network = self._network
        resampler = Resampler(rate_hz, network.model_sample_rate)
        audio = np.concatenate([resampler.write(samples), resampler.finish()])
        feed = {"waveform": audio[None], "waveform_lengths": np.array([len(audio)], np.int64)}
        log, frames = network.session.run(["log_probs", "out_lengths"], feed)
        heard: Probabilities = np.exp(log[0, : int(frames[0])] * _DOUBT)
        heard /= heard.sum(axis=1, keepdims=True)
        return heard, heard[:, self._silent].sum(axis=1)
