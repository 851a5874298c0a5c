"""Frames by kernels have the codes of plain ones and take few device operations."""

import inspect
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from tests.models.qwen3_tts.small import CPU, WISHES, alone, small, spoken
from vivavoce.models.qwen3_tts import kernels
from vivavoce.models.qwen3_tts.checkpoint.random_weights import released_config
from vivavoce.models.qwen3_tts.network.linear import Linear, WeightFormat
from vivavoce.models.qwen3_tts.network.talker import Talker
from vivavoce.models.qwen3_tts.runtime.batch import PIECE, BatchState, decode_frame, read_prompt
from vivavoce.models.qwen3_tts.runtime.cuda import CudaStream

pytestmark = pytest.mark.skipif(
    not kernels.installed(), reason="needs Triton: pip install triton, on Linux"
)
MOST = 700  # operations of a frame of 1.7B, the 15 steps of the code predictor included


class Operations(TorchDispatchMode):
    """Counter of torch's own operations, without views and allocations."""

    def __init__(self) -> None:
        super().__init__()
        self.names: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        if (not func.is_view or name == "to") and name not in ("empty", "_unsafe_view"):
            self.names[name] += 1
        return func(*args, **(kwargs or {}))


def meta_model(
    size: str, form: WeightFormat = WeightFormat.PLAIN, dtype: torch.dtype = torch.bfloat16
) -> tuple[Talker, BatchState]:
    """Return a talker of released `size` and the state of 64 streams, without storage."""
    config = released_config(size)
    with torch.device("meta"):
        talker = Talker(config).to(dtype).requires_grad_(False)
        for matrix in talker.modules():
            if isinstance(matrix, Linear):
                matrix.pack(form, dtype)
        pad = torch.zeros(config.talker.hidden_size, dtype=dtype)
    return talker, BatchState(talker, config, pad, 64, 2176, fixed=True)


def meta_frame(
    size: str,
    rows: int,
    window: int,
    form: WeightFormat = WeightFormat.PLAIN,
    dtype: torch.dtype = torch.bfloat16,
) -> Counter[str]:
    """Return the torch operations of a frame."""
    talker, state = meta_model(size, form, dtype)
    with Operations() as operations:
        frame = inspect.unwrap(decode_frame)(talker, state, rows, window)
    assert frame.codes.shape == (rows, 16)
    return operations.names


@pytest.mark.parametrize(
    ("rows", "form"),
    [(1, WeightFormat.PLAIN), (8, WeightFormat.INT8_WEIGHTS), (64, WeightFormat.PLAIN)],
)
def test_frame_of_1_7b_is_few_operations_whatever_the_batch(rows: int, form: WeightFormat) -> None:
    with kernels.recorded() as launches:
        own = meta_frame("1.7b", rows, 2176, form)
    launched = Counter(launch.kernel.__name__ for launch in launches)
    assert own.total() + launched.total() <= MOST, (own, launched)
    assert own.total() <= 80, own  # what no kernel does
    assert launched["_attend"] == 28 + 15 * 5
    assert launched["_product"] == (28 + 15 * 5) * 4 + 1 + 15 * 2
    assert launched["_draw"] == 16


@pytest.mark.parametrize("form", [WeightFormat.PLAIN, WeightFormat.INT8_WEIGHTS])
@pytest.mark.parametrize(("start", "length"), [(0, 16), (0, PIECE), (PIECE, PIECE)])
def test_piece_of_a_prompt_is_about_as_many_operations_as_a_frame(
    start: int, length: int, form: WeightFormat
) -> None:
    talker, state = meta_model("1.7b", form)
    prompt = torch.empty(length, 2048, dtype=torch.bfloat16, device="meta")
    # In inference mode a norm is one operation, as on CUDA.
    with kernels.recorded() as launches, torch.inference_mode(), Operations() as operations:
        read_prompt(talker, state.cache, 3, prompt, start)
    count = operations.names.total() + len(launches)
    # Bytes are converted before each of 112 products, its result is scaled and converted back.
    most = MOST if form is WeightFormat.PLAIN else 900
    assert 300 < count <= most, (operations.names, launches)


ARCHITECTURES = (90, 121)


@pytest.fixture(scope="module")
def compiling(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[int, subprocess.Popen[str]]]:
    """Compile for every architecture at once: each takes one core for half a minute."""
    settings = {name: value for name, value in os.environ.items() if name != kernels.INTERPRET}
    settings["PYTHONPATH"] = os.pathsep.join(sys.path)
    running = {
        architecture: subprocess.Popen(
            [sys.executable, "-m", "tests.models.qwen3_tts.compile_kernels", str(architecture)],
            env=settings | {"TRITON_CACHE_DIR": str(tmp_path_factory.mktemp("triton"))},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for architecture in ARCHITECTURES
    }
    yield running
    for process in running.values():
        process.kill()
        process.communicate()


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_kernel_of_a_frame_compiles_for_gpus_that_are_not_here(
    architecture: int, compiling: dict[int, subprocess.Popen[str]]
) -> None:
    printed, errors = compiling[architecture].communicate()
    assert compiling[architecture].returncode == 0, errors
    assert "_attend" in printed
    assert "_product" in printed


def test_count_sees_the_operations_of_plain_frames() -> None:
    assert meta_frame("1.7b", 1, 128).total() > 3 * MOST


def test_streams_make_the_codes_of_plain_frames_by_kernels() -> None:
    if not kernels.is_interpreting():
        pytest.skip("Triton compiles in this process: test_cuda.py compares the codes")
    with kernels.interpreted():
        batch = small().batch(2, 192, CudaStream(CPU, fixed=True))
        slots = [WISHES[number].open(batch) for number in (0, 3)]
        made = spoken(batch, slots, 2)
    for number, codes in zip((0, 3), made, strict=True):
        assert torch.equal(codes, alone(number)[:2])
