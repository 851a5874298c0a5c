"""Run hibari's network: ids of phonemes → spectra, pitch, and the duration of each id."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vivavoce.models.onnx import disable_telemetry, with_outputs

# Tensors of the network. Its own outputs are the spectra with frames in columns. To turn them
# over would cost a twentieth of the network's time, here and again in the sound.
_SPECTRA = "/head/Add_output_0"
_PITCH = "f0"
_DURATIONS = "/Clip_output_0"

Floats = NDArray[np.float32]


class Network:
    """The network in an onnxruntime session, which many threads may run at once.

    Its memory is kept for the next utterance. To map and clear new memory each time would cost a
    sixth of the network's time, and more while other threads do the same.
    """

    def __init__(self, path: str) -> None:
        disable_telemetry()
        from onnxruntime import (  # type: ignore[import-untyped]  # it ships no types
            InferenceSession,
            SessionOptions,
        )

        options = SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors only
        options.enable_mem_pattern = False  # lengths differ: a plan would serve one utterance
        graph = with_outputs(Path(path).read_bytes(), (_SPECTRA, _PITCH, _DURATIONS))
        self._session = InferenceSession(graph, options, providers=["CPUExecutionProvider"])

    def run(self, ids: Sequence[int]) -> tuple[Floats, Floats, list[int]]:
        """Return the spectra [frames, 5 * BINS], the pitch [frames], and the durations.

        The durations are of all ids, in units of two frames. Each is at least 1.
        """
        feed = {"ids": np.array([ids], np.int64), "speed": np.ones(1, np.float32)}
        spectra, pitch_hz, durations = self._session.run(None, feed)
        return spectra[0], pitch_hz[0], durations.astype(int).tolist()
