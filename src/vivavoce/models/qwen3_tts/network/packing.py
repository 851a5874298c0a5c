"""Pack matrices in the background while the next ones are read.

oneDNN and FBGEMM's int8 pack a matrix in milliseconds. FBGEMM's float16 takes 65 ns a weight on one
core, half a minute for the smaller model, so each core packs one matrix at a time. It knows
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
    """Yield a function that packs a module into `form` if it is a matrix.

    All modules passed to it are packed when the context ends. It gives at most one matrix a core to
    the background. Each is float32 until it is packed, which limits the extra memory.
    """

    def pack(module: nn.Module) -> None:
        if isinstance(module, Linear):
            module.pack(form, dtype)

    if form is not WeightFormat.PREPACKED or packed_type(dtype) is not torch.float16:
        yield pack
        return
    cores, begun = available_cores(), deque[Future[None]]()
    # The choice of kernels is global: it is made once here, so that no thread undoes another's.
    with kernels("fbgemm"), ThreadPoolExecutor(cores, thread_name_prefix="packing") as pool:

        def begin(module: nn.Module) -> None:
            begun.append(pool.submit(pack, module))
            if len(begun) > cores:
                begun.popleft().result()

        yield begin
        for future in begun:
            future.result()
