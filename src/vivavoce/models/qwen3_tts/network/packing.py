"""Bring matrices into their form while the next ones are being read, by as many cores as there are.

oneDNN and FBGEMM's int8 lay a matrix out in milliseconds. FBGEMM's float16 takes 65 ns a weight on
one core, half a minute for the smaller model, so several matrices are laid out at a time. It knows
modules, not files.
"""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import torch
from torch import nn

from vivavoce.models.hardware import available_cores
from vivavoce.models.qwen3_tts.network.linear import Linear, WeightFormat, kernels, packed_type

Pack = Callable[[nn.Module], None]


@contextmanager
def packing(form: WeightFormat, dtype: torch.dtype) -> Iterator[Pack]:
    """What brings a module into `form` if it is a matrix, and leaves it alone if not.

    All that it was called with is in that form when the context ends. It gives at most one matrix a
    core to the background: as each is float32 until then, that is how much more memory it takes.
    """

    def pack(module: nn.Module) -> None:
        if isinstance(module, Linear):
            module.pack(form, dtype)

    if form is not WeightFormat.PREPACKED or packed_type(dtype) is not torch.float16:
        yield pack
        return
    cores, begun = available_cores(), deque[Future[None]]()
    # The choice of kernels is the process's: made here for all, so that no thread undoes another's.
    with kernels("fbgemm"), ThreadPoolExecutor(cores, thread_name_prefix="packing") as pool:

        def begin(module: nn.Module) -> None:
            begun.append(pool.submit(pack, module))
            if len(begun) > cores:
                begun.popleft().result()

        yield begin
        for future in begun:
            future.result()
