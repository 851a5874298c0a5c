"""Hold keys and values, one fixed slot a stream.

Nothing is allocated, moved or shared while a stream speaks. It knows no stream by name: a slot is a
number. A decoder reads a cache (`Memory`) in three ways:

- `Prompt`: a prompt in one slot, whole or the rest of it.
- `Step`: one more position in every slot.
- `PredictorStep`: the few positions of one frame.
"""

from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor

from vivavoce.models.qwen3_tts import kernels
from vivavoce.models.qwen3_tts.checkpoint.config import StackConfig
from vivavoce.models.qwen3_tts.kernels import native, plain
from vivavoce.models.qwen3_tts.network.rotary import Rotation, rotation


class Memory(Protocol):
    """Access to the past for attention: one object for a pass through all layers."""

    @property
    def rotation(self) -> Rotation:
        """Rotation of the new positions, [rows or 1, time, 1, head_dim] each."""
        ...

    @property
    def mask(self) -> Tensor | None:
        """Mask [rows or 1, 1, time, kept] that is added to scores, 0 or -inf.

        None lets every position be seen.
        """
        ...

    def attend(self, layer: int, heads: Tensor, norm: Tensor, eps: float) -> Tensor:
        """Remember the new positions and attend, see `kernels.attend`."""
        ...

    def remember(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Store new keys and values [rows, kv_heads, time, head_dim].

        Returns all keys and values, [rows, kv_heads, kept, head_dim] each.
        """
        ...

    def native_past(self) -> native.NativePast | None:
        """Return the past as compiled code reads it, or None if torch must."""
        ...


class KvCache:
    """Keys and values of `slots` streams of at most `max_len` positions each.

    Each slot has one position more, which nobody reads. Paused streams write there.
    """

    def __init__(
        self,
        config: StackConfig,
        slots: int,
        max_len: int,
        *,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        shape = (config.layers, 2, slots, config.kv_heads, max_len + 1, config.head_dim)
        self.data = torch.zeros(shape, device=device, dtype=dtype)
        # Positions in use, of each slot.
        self.lengths = torch.zeros(slots, device=device, dtype=torch.int64)
        self.max_len = max_len
        cosines, sines = rotation(torch.arange(max_len), config.head_dim, config.rope_theta)
        # [max_len, 1, head_dim] each
        self.table = cosines.to(device, dtype)[:, None], sines.to(device, dtype)[:, None]

    def rotation(self, start: int, time: int) -> Rotation:
        """Return the rotation of `time` positions from `start` on, for every row."""
        cosines, sines = self.table
        return cosines[None, start : start + time], sines[None, start : start + time]

    def rotation_at(self, positions: Tensor) -> Rotation:
        """Return the rotation of one position a row, `positions` [rows]."""
        cosines, sines = self.table
        return cosines[positions][:, None], sines[positions][:, None]

    def clear(self, slot: int) -> None:
        """Clear `slot`.

        Its memory is zeroed, since a masked key that is not a number would still spoil a sum.
        """
        self.data[:, :, slot].zero_()
        self.lengths[slot] = 0


class Prompt:
    """The `time` positions of one slot from `start` on, behind those it has.

    The caller sets its length afterwards.
    """

    def __init__(self, cache: KvCache, slot: int, time: int, start: int = 0) -> None:
        self._data = cache.data[:, :, slot : slot + 1, :, : start + time]
        self._new = slice(start, start + time)
        self.rotation = cache.rotation(start, time)
        later = torch.ones(
            1, 1, time, start + time, dtype=torch.bool, device=cache.data.device
        ).triu(start + 1)
        self.mask: Tensor | None = _hidden(later, cache)

    def attend(self, layer: int, heads: Tensor, norm: Tensor, eps: float) -> Tensor:
        return plain.attend(heads, norm, eps, self, layer)

    def native_past(self) -> None:
        return None

    def remember(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        kept_keys, kept_values = self._data[layer]  # [1, kv_heads, start + time, head_dim] each
        kept_keys[:, :, self._new] = keys
        kept_values[:, :, self._new] = values
        return kept_keys, kept_values


class Step:
    """One new position in each of the first `rows` slots.

    It sees at most `window` positions in all. The host knows that `window` is larger than the
    length of every slot that is `alive` [rows]. The other slots stay as they are.
    """

    def __init__(self, cache: KvCache, rows: int, window: int, alive: Tensor) -> None:
        self.cache, self.alive = cache, alive
        self._rows, self._window = rows, window

    # Kernels need none of these: they read each row's own length.
    @cached_property
    def _lengths(self) -> Tensor:
        return self.cache.lengths[: self._rows].clamp(max=self._window - 1)

    @cached_property
    def _data(self) -> Tensor:
        # [layers, 2, rows, kv_heads, max_len + 1, head_dim]
        return self.cache.data[:, :, : self._rows]

    @cached_property
    def _at(self) -> Tensor:
        at = torch.where(self.alive, self._lengths, self.cache.max_len)
        return at[:, None, None, None].expand(
            self._rows, self._data.shape[3], 1, self._data.shape[5]
        )

    @cached_property
    def rotation(self) -> Rotation:
        return self.cache.rotation_at(self._lengths)

    @cached_property
    def mask(self) -> Tensor | None:
        later = torch.arange(self._window, device=self._lengths.device) > self._lengths[:, None]
        return _hidden(later[:, None, None], self.cache)

    def attend(self, layer: int, heads: Tensor, norm: Tensor, eps: float) -> Tensor:
        return kernels.attend(heads, norm, eps, self, layer)

    def native_past(self) -> native.NativePast | None:
        return native.past(
            self.cache, window=self._window, lengths=self.cache.lengths, alive=self.alive
        )

    def remember(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        kept_keys, kept_values = self._data[layer]
        kept_keys.scatter_(2, self._at, keys)
        kept_values.scatter_(2, self._at, values)
        return kept_keys[:, :, : self._window], kept_values[:, :, : self._window]


class PredictorStep:
    """The next `time` positions of the first `rows` slots, which all stand at position `start`."""

    def __init__(self, cache: KvCache, rows: int, start: int, time: int) -> None:
        self.cache, self.start = cache, start
        self._data = cache.data[:, :, :rows, :, : start + time]
        self._new = slice(start, start + time)
        self.rotation = cache.rotation(start, time)

    @cached_property
    def mask(self) -> Tensor | None:
        kept, new = self._new.stop, self._new.stop - self.start
        if new == 1:
            return None  # a single position sees all before it
        later = torch.ones(1, 1, new, kept, dtype=torch.bool, device=self._data.device).triu(
            self.start + 1
        )
        return _hidden(later, self.cache)

    def attend(self, layer: int, heads: Tensor, norm: Tensor, eps: float) -> Tensor:
        return kernels.attend(heads, norm, eps, self, layer)

    def native_past(self) -> native.NativePast | None:
        return native.past(self.cache, window=self._new.stop, start=self.start)

    def remember(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        kept_keys, kept_values = self._data[layer]  # [rows, kv_heads, start + time, head_dim] each
        kept_keys[:, :, self._new] = keys
        kept_values[:, :, self._new] = values
        return kept_keys, kept_values


def _hidden(where: Tensor, cache: KvCache) -> Tensor:
    """Return the addend of attention scores: -inf where `where` is true, else 0.

    It is made once for all layers.
    """
    return torch.zeros(where.shape, device=where.device, dtype=cache.data.dtype).masked_fill_(
        where, -torch.inf
    )
