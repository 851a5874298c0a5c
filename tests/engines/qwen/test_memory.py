"""Loading: what a checkpoint takes is what its weights take in the dtype asked for, at no moment more."""

from dataclasses import replace
from pathlib import Path

import pytest
from benchmarks.qwen_memory import Memory, measure_apart

from tests.engines.qwen.codec_checkpoints import SpeakerShape
from tests.engines.qwen.small import SMALL
from tests.engines.qwen.whole import CODEC, write_whole

TABLE = (48_000, 512)  # rows and columns of the text table, which outweighs all else
FLOAT32_MIB = TABLE[0] * TABLE[1] * 4 / 2**20
NOISE_MIB = 15.0
LIBRARIES_MIB = 60.0  # that torch and others take for themselves meanwhile; a second copy of the table would be more


@pytest.mark.skipif(not Memory.of().own, reason="the kernel's count of memory is read from /proc")
def test_weights_are_in_memory_once_while_they_are_loaded(tmp_path: Path) -> None:
    shape = replace(SMALL, text_vocab=TABLE[0], text_hidden=TABLE[1])
    folder = write_whole(tmp_path, "custom_voice", shape, CODEC, SpeakerShape(), seed=0)
    found = measure_apart(folder, "float32", max_batch=1, device="cpu")
    assert FLOAT32_MIB <= found.loaded < FLOAT32_MIB + LIBRARIES_MIB
    assert found.peak - found.loaded < NOISE_MIB
    assert found.speaking >= found.loaded - NOISE_MIB
