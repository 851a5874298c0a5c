"""Loading takes the memory of the weights, and no more at any time."""

from dataclasses import replace
from pathlib import Path

import pytest
from benchmarks.qwen_memory import Memory, measure_apart
from scripts.make_checkpoint import Shape

from tests.models.qwen3_tts.codec_checkpoints import SpeakerShape
from tests.models.qwen3_tts.small import CPU, SMALL
from tests.models.qwen3_tts.whole import CODEC, write_whole
from vivavoce.models.qwen3_tts.checkpoint.config import read_config
from vivavoce.models.qwen3_tts.runtime.memory import (
    choose_slots,
    fitting_slots,
    prompt_positions,
    slot_positions,
)

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


@pytest.mark.parametrize(
    ("free_gb", "empty_gb", "slots"),
    [
        (141.0, 4.3, 64),  # an H200 with 1.7B in bfloat16: as many as there may be
        (23.5, 4.3, 64),  # a 4090
        (7.5, 2.2, 18),  # 8 GB with 0.6B in bfloat16
        (2.0, 2.2, 1),  # one is tried, whatever is counted
    ],
)
def test_slots_are_as_many_as_fit_beside_the_model(
    free_gb: float, empty_gb: float, slots: int
) -> None:
    assert fitting_slots(round(free_gb * 1e9), round(empty_gb * 1e9), round(0.18e9)) == slots


def test_slots_are_a_fixed_number_on_a_cpu_and_a_slot_is_whole_windows_long(tmp_path: Path) -> None:
    folder = write_whole(tmp_path, "base", SMALL, CODEC, SpeakerShape(), seed=0)
    config = read_config(folder)
    sizes = {"item_bytes": 4, "matrix_bytes": 4}
    assert choose_slots("auto", folder, config, CPU, **sizes) == 8
    assert choose_slots(3, folder, config, CPU, **sizes) == 3
    positions = slot_positions(config, 1024)
    assert positions % 64 == 0
    assert 0 <= positions - prompt_positions(config) - 1024 < 64
