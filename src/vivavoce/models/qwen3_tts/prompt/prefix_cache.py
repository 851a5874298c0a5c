"""Cache keys and values of prompt prefixes within a memory limit.

Requests in one voice, language and style share a prefix, up to their text. The talker's keys and
values of such a prefix are kept and copied into the next request's slot. It knows tensors and keys,
neither prompts nor the talker.
"""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True)
class Prefix:
    """The first `length` positions of a prompt. Equal keys mean equal positions."""

    length: int
    key: Hashable


class PrefixCache:
    """Keys and values of prefixes, `most_bytes` at most. The least recently used goes first."""

    def __init__(self, most_bytes: int) -> None:
        self.bytes = 0
        self._most_bytes = most_bytes
        self._kept: OrderedDict[Prefix, Tensor] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, prefix: Prefix) -> Tensor | None:
        """Return the keys and values of `prefix`, or None if they are not cached."""
        if prefix in self._kept:
            self._kept.move_to_end(prefix)
        return self._kept.get(prefix)

    def put(self, prefix: Prefix, past: Tensor) -> None:
        """Keep a copy of `past`, unless it is larger than the cache."""
        if past.nbytes > self._most_bytes:
            return
        self._forget(prefix)
        while self.bytes + past.nbytes > self._most_bytes:
            self._forget(next(iter(self._kept)))
        self._kept[prefix] = past.clone()
        self.bytes += past.nbytes

    def _forget(self, prefix: Prefix) -> None:
        if (old := self._kept.pop(prefix, None)) is not None:
            self.bytes -= old.nbytes
