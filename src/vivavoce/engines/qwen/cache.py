"""Where keys and values live: one fixed slot a stream, so that nothing is allocated, moved or shared while it speaks.

It knows no stream by name; a slot is a number. `Prompt`, `Step` and `Burst` are the three ways a decoder
(`decoder.Memory`) looks at a cache: a prompt in one slot, whole or what is left of it, one more position in every slot,
and the few positions of one frame.
"""

import torch
from torch import Tensor

from vivavoce.engines.qwen.config import DecoderConfig


class KvCache:
    """Keys and values of `slots` streams of at most `max_len` positions each.

    Each slot has one position more, which nobody reads: where those write who must leave no trace.
    """

    def __init__(
        self, config: DecoderConfig, slots: int, max_len: int, *, device: torch.device, dtype: torch.dtype
    ) -> None:
        shape = (config.layers, 2, slots, config.kv_heads, max_len + 1, config.head_dim)
        self.data = torch.zeros(shape, device=device, dtype=dtype)
        self.lengths = torch.zeros(slots, device=device, dtype=torch.int64)  # positions remembered, a slot
        self.max_len = max_len

    def clear(self, slot: int) -> None:
        """Forgets `slot`. Its memory is zeroed: a masked key that is not a number would still spoil a sum."""
        self.data[:, :, slot].zero_()
        self.lengths[slot] = 0


class Prompt:
    """The `time` positions of one slot from `start` on, behind those it has. The caller sets its length afterwards."""

    def __init__(self, cache: KvCache, slot: int, time: int, start: int = 0) -> None:
        self._data = cache.data[:, :, slot : slot + 1, :, : start + time]
        self._new = slice(start, start + time)
        device = cache.data.device
        self.positions = torch.arange(start, start + time, device=device)[None]
        self.mask = torch.ones(1, 1, time, start + time, dtype=torch.bool, device=device).tril(start)

    def remember(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        kept_keys, kept_values = self._data[layer]  # [1, kv_heads, start + time, head_dim] each
        kept_keys[:, :, self._new] = keys
        kept_values[:, :, self._new] = values
        return kept_keys, kept_values


class Step:
    """One new position in each of the first `rows` slots, seen with at most `window` positions in all.

    `window` is a number the host knows to be larger than the length of every slot that is `alive` [rows]; the others
    are left as they are.
    """

    def __init__(self, cache: KvCache, rows: int, window: int, alive: Tensor) -> None:
        self._data, self._window = cache.data, window
        lengths = cache.lengths[:rows].clamp(max=window - 1)
        self._rows = torch.arange(rows, device=lengths.device)
        self._at = torch.where(alive, lengths, cache.max_len)
        self.positions = lengths[:, None]
        self.mask = (torch.arange(window, device=lengths.device) <= self.positions)[:, None, None]

    def remember(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        both = self._data[layer, :, : len(self._rows)]  # [2, rows, kv_heads, max_len + 1, head_dim]
        both[0, self._rows, :, self._at] = keys[:, :, 0]
        both[1, self._rows, :, self._at] = values[:, :, 0]
        return both[0, :, :, : self._window], both[1, :, :, : self._window]


class Burst:
    """The next `time` positions of the first `rows` slots, which all stand at position `start`."""

    def __init__(self, cache: KvCache, rows: int, start: int, time: int) -> None:
        self._data = cache.data[:, :, :rows, :, : start + time]
        self._new = slice(start, start + time)
        device = cache.data.device
        self.positions = torch.arange(start, start + time, device=device)[None]
        self.mask = (torch.arange(start + time, device=device) <= self.positions.T)[None, None]

    def remember(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        kept_keys, kept_values = self._data[layer]  # [rows, kv_heads, start + time, head_dim] each
        kept_keys[:, :, self._new] = keys
        kept_values[:, :, self._new] = values
        return kept_keys, kept_values
