"""Loading: what a checkpoint takes is what its weights take, at no moment more."""

from dataclasses import replace
from pathlib import Path

import pytest
from benchmarks.qwen_memory import Memory, measure_apart
from scripts.make_checkpoint import Shape

from tests.models.qwen3_tts.codec_checkpoints import SpeakerShape
from tests.models.qwen3_tts.small import SMALL
from tests.models.qwen3_tts.whole import CODEC, write_whole

TABLE = (48_000, 512)  # rows and columns of the text table, which outweighs all else
TABLE_MIB = (
    TABLE[0] * TABLE[1] * 4 / 2**20
)  # on a CPU in either dtype: what lies between matrices is float32
NOISE_MIB = 15.0


@pytest.mark.skipif(not Memory.of().own, reason="the kernel's count of memory is read from /proc")
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_weights_are_in_memory_once_while_they_are_loaded(tmp_path: Path, dtype: str) -> None:
    def write(name: str, shape: Shape) -> Path:
        return write_whole(tmp_path / name, "custom_voice", shape, CODEC, SpeakerShape(), seed=0)

    first = write("small", SMALL)
    folder = write("large", replace(SMALL, text_vocab=TABLE[0], text_hidden=TABLE[1]))
    found = measure_apart(folder, dtype, max_batch=1, device="cpu", after=first)
    assert TABLE_MIB <= found.loaded < TABLE_MIB + NOISE_MIB
    assert found.peak - found.loaded < NOISE_MIB
    assert found.speaking >= found.loaded - NOISE_MIB
