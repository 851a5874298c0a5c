"""Compile every kernel of released frames and print the GPU resources of each.

    python -m tests.models.qwen3_tts.compile_kernels 90

The number is the compute capability times ten. No GPU is needed. Shared memory must fit the
smallest supported GPU, 99 KiB.
"""

import sys
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from triton import compile as compile_kernel
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from tests.models.qwen3_tts.test_frame_operations import meta_frame
from vivavoce.models.qwen3_tts import kernels
from vivavoce.models.qwen3_tts.kernels.launch import Launch
from vivavoce.models.qwen3_tts.network.linear import WeightFormat

SHARED_BYTES = 99 << 10  # of a program, on GPUs of compute capability 8.6, 8.9 and 12
TYPES = {
    torch.bfloat16: "*bf16", torch.float32: "*fp32", torch.int64: "*i64", torch.int8: "*i8",
    torch.bool: "*i1",
}  # fmt: skip
OWN = ("num_warps", "num_stages")  # Triton's options, which no kernel sees


def main() -> None:
    target = GPUTarget("cuda", int(sys.argv[1]), 32)
    for launch, source in sources():
        options = {name: value for name, value in launch.options.items() if name in OWN}
        made = compile_kernel(source, target=target, options=options)
        named = {name: value for name, value in launch.options.items() if name not in OWN}
        print(launch.kernel.__name__, named, f"{made.metadata.shared} bytes of shared memory")
        assert made.metadata.shared <= SHARED_BYTES, "too much for a small GPU"


def sources() -> Iterator[tuple[Launch, Any]]:
    """Yield each kernel with each of the types and compile-time arguments of frames, once."""
    with kernels.recorded() as launches:
        for rows, form in (
            (1, WeightFormat.PLAIN),
            (64, WeightFormat.PLAIN),
            (1, WeightFormat.INT8_WEIGHTS),
            (64, WeightFormat.INT8_WEIGHTS),
        ):
            meta_frame("1.7b", rows, 2176, form)
        meta_frame(
            "tiny", 3, 192, dtype=torch.float32
        )  # as the tests that compare codes with a CPU's
    seen = set()
    for launch in launches:
        names = launch.kernel.arg_names
        signature = {
            name: typed(value) for name, value in zip(names, launch.arguments, strict=False)
        }
        constants = {name: value for name, value in launch.options.items() if name in names}
        signature |= dict.fromkeys(constants, "constexpr")
        # As Triton does it itself: loads are as wide as what is known of their addresses allows.
        even = [
            place
            for place, value in enumerate(launch.arguments)
            if isinstance(value, Tensor) or is_even(value)
        ]
        attributes = {(place,): [["tt.divisibility", 16]] for place in even}
        key = (launch.kernel.__name__, *signature.items(), *sorted(launch.options.items()))
        if key not in seen:
            seen.add(key)
            yield launch, ASTSource(launch.kernel, signature, constants, attributes)


def is_even(value: object) -> bool:
    """True if `value` is a whole number of sixteens."""
    return isinstance(value, int) and value % 16 == 0


def typed(value: object) -> str:
    """Return the type of an argument in Triton's signatures."""
    if isinstance(value, Tensor):
        return TYPES[value.dtype]
    return "fp32" if isinstance(value, float) else "i32"


if __name__ == "__main__":
    main()
