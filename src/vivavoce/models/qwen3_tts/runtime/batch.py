"""Make one frame for every stream of a batch, without waiting for the device.

A stream's state lies in fixed tensors, one row a slot. `decode_frame` reads and updates them in
place. No value has to be read back by the host, so a call can be captured once and replayed.
`Batch` is the host's side: the slots in use and the length of each. Neither knows text, audio or
requests.
"""

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from vivavoce.errors import BadRequest, Overloaded
from vivavoce.models.qwen3_tts import kernels
from vivavoce.models.qwen3_tts.checkpoint.config import Config
from vivavoce.models.qwen3_tts.network.kv_cache import KvCache, Prompt, Step
from vivavoce.models.qwen3_tts.network.sampler import Sampler, Sampling
from vivavoce.models.qwen3_tts.network.talker import Talker
from vivavoce.models.qwen3_tts.network.transformer import multiply
from vivavoce.models.qwen3_tts.prompt.prefix_cache import Prefix, PrefixCache
from vivavoce.models.qwen3_tts.runtime.cuda import CudaStream, bucket, buckets
from vivavoce.models.qwen3_tts.runtime.stop_rules import FRAME_S

WINDOW = 64  # attention spans grow by this many positions, so that few different shapes occur
# `fixed` spans double from here: one graph for each, which reads twice too much at most.
SMALLEST_WINDOW = 128
# Positions. To read a shorter prefix by itself costs a pass over all weights, and saves little.
SHORTEST_PREFIX = 32
PREFIX_BYTES = 128 << 20  # 40 positions, in 0.6B or 1.7B alike, take 9 MB in float32


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """Result of one step, one row a slot.

    Rows of free or paused slots are undefined. A result from a graph is memory of the graph: the
    next step overwrites it.
    """

    codes: Tensor  # [rows, codebooks]; a first code of `eos` ends the stream, without sound
    logits: Tensor  # [rows, codec vocabulary], the talker's, unchanged


class BatchState:
    """Tensors of all slots."""

    def __init__(
        self,
        talker: Talker,
        config: Config,
        pad: Tensor,
        slots: int,
        max_len: int,
        *,
        fixed: bool = False,
    ) -> None:
        device, dtype = talker.device, talker.dtype
        hidden = config.talker.hidden_size
        self.cache = KvCache(config.talker, slots, max_len, device=device, dtype=dtype)
        self.frame_cache = KvCache(
            config.predictor, slots, config.codebooks, device=device, dtype=dtype
        )
        self.sampler = Sampler(config, slots, device, fixed=fixed)
        # The talker's next input.
        self.inputs = torch.zeros(slots, hidden, device=device, dtype=dtype)
        # One row a frame, read in order.
        self.text = torch.zeros(slots, max_len, hidden, device=device, dtype=dtype)
        self.text_length = torch.zeros(slots, device=device, dtype=torch.int64)
        self.frame = torch.zeros(slots, device=device, dtype=torch.int64)  # the next frame's number
        self.alive = torch.zeros(slots, device=device, dtype=torch.bool)
        self.pad = pad  # [hidden], read when a stream has no text left


@torch.inference_mode()
def decode_frame(talker: Talker, state: BatchState, rows: int, window: int) -> Frame:
    """Return the next frame of the first `rows` slots.

    Their past is shorter than `window` positions.
    """
    number, alive = state.frame[:rows], state.alive[:rows]
    memory = Step(state.cache, rows, window, alive)
    hidden = talker.model.decode(state.inputs[:rows, None], memory)[:, 0]  # [rows, hidden]
    logits = multiply(hidden, talker.codec_head)  # [rows, codec vocabulary]
    first = state.sampler.sample_first(logits, number)
    noise = state.sampler.noise(number)  # [codebooks - 1, rows, entries]
    codes, embedded = talker.code_predictor.complete(
        hidden,
        first,
        talker.embed_codec(first),
        state.frame_cache,
        lambda scores, codebook: state.sampler.sample_rest(scores, number, codebook, noise),
    )
    heard = torch.where(alive[:, None], embedded + next_text(state, rows), state.inputs[:rows])
    # A retry would overwrite everything written so far, and all memory is allocated by now. A frame
    # that runs out of memory thus leaves every stream unchanged.
    state.sampler.mark_seen(first, alive)
    state.inputs[:rows] = heard
    state.cache.lengths[:rows] += alive
    state.frame[:rows] += alive
    return Frame(codes, logits)


def next_text(state: BatchState, rows: int) -> Tensor:
    """Return the text [rows, hidden] that each slot reads after its current frame."""
    number, length = state.frame[:rows], state.text_length[:rows]
    at = number.clamp(max=state.text.shape[1] - 1)
    text = state.text[torch.arange(rows, device=at.device), at]
    return torch.where((number < length)[:, None], text, state.pad)


class Batch:
    """Streams that are stepped together. Each may be opened and closed at any time."""

    def __init__(
        self,
        talker: Talker,
        config: Config,
        pad: Tensor,
        *,
        slots: int,
        max_len: int,
        cuda_stream: CudaStream | None = None,
    ) -> None:
        self.max_len = max_len
        self.prefixes, self.shortest_prefix = PrefixCache(PREFIX_BYTES), SHORTEST_PREFIX
        self._talker = talker
        self._cuda_stream = CudaStream(talker.device) if cuda_stream is None else cuda_stream
        self._state = BatchState(talker, config, pad, slots, max_len, fixed=self._cuda_stream.fixed)
        self._used: dict[int, int] = {}  # slot → positions in the cache, as the device counts them
        self._fed: dict[int, int] = {}  # slot → text tokens fed, likewise
        self._running: set[int] = set()
        self._slots = slots
        # Kernels read each row's own past, so one window and one graph serve all lengths.
        own = kernels.used_on(talker.device, talker.dtype)
        self._smallest_window = max_len if own else min(SMALLEST_WINDOW, max_len)

    def open(
        self, prompt: Tensor, trailing: Tensor, sampling: Sampling, prefix: Prefix | None = None
    ) -> int:
        """Open a stream with `prompt` [positions, hidden] and return its slot.

        The stream reads `trailing` [n, hidden] while it speaks. `prefix` is the part of the prompt
        that other requests share: from `shortest_prefix` positions on it is read once, then copied.
        Raises `BadRequest` if they do not fit into a slot, and `Overloaded` if none is free.
        """
        if max(len(prompt), len(trailing)) >= self.max_len:
            raise BadRequest(
                f"the prompt takes {len(prompt)} positions and {len(trailing)} frames of text, "
                f"this server holds {self.max_len}: send less text, or a shorter reference",
                field="text",
            )
        slot = next((slot for slot in range(self._slots) if slot not in self._used), None)
        if slot is None:
            raise Overloaded(
                f"all {self._slots} slots are speaking: try again soon", retry_after_s=1.0
            )
        self._prefill(slot, prompt, prefix)
        state = self._state
        state.sampler.set(slot, sampling)
        state.frame[slot] = 0
        self._used[slot], self._fed[slot] = len(prompt) - 1, 0
        self.feed(slot, trailing)
        self.resume(slot)
        return slot

    def step(self) -> Frame:
        """Return the next frame of every running stream.

        A stream without `room` must have been closed.
        """
        assert self._running, "no stream is running"
        assert all(self.room(slot) > 0 for slot in self._running), "a stream has outgrown its slot"
        rows, window = self._reach()
        frame = self._cuda_stream.run((rows, window), self._frame(rows, window))
        for slot in self._running:
            self._used[slot] += 1
        return frame

    def warm_up(self) -> None:
        """Capture a graph for every shape that a step may have.

        Streams are not touched, running ones included.
        """
        idle = self._idle()
        for rows in buckets(1, self._slots):
            for window in buckets(self._smallest_window, self.max_len):
                decode_frame(self._talker, idle, rows, window)
                self._cuda_stream.capture((rows, window), self._frame(rows, window))

    def pace(self) -> float:
        """Return the seconds that a second of one stream takes the host, the least of three tries.

        Streams are not touched.
        """
        idle, taken = self._idle(), []
        for _ in range(3):
            start = time.perf_counter()
            decode_frame(self._talker, idle, 1, self._smallest_window)
            taken.append(time.perf_counter() - start)
        return min(taken) / FRAME_S

    def _idle(self) -> BatchState:
        """Return the state with all streams paused."""
        idle = copy.copy(self._state)
        idle.alive = torch.zeros_like(self._state.alive)
        return idle

    def room(self, slot: int) -> int:
        """Return the number of frames that the stream in `slot` can still make."""
        return self.max_len - self._used[slot]

    def feed(self, slot: int, text: Tensor) -> None:
        """Add `text` [n, hidden] that the stream in `slot` reads while it speaks."""
        start, end = self._fed[slot], self._fed[slot] + len(text)
        if end > self.max_len:
            raise BadRequest(
                f"the text takes {end} tokens by now, a stream reads at most {self.max_len} while "
                "it speaks: send less in one go",
                field="text",
            )
        self._state.text[slot, start:end] = text
        self._state.text_length[slot] = self._fed[slot] = end

    def set_min_frames(self, slot: int, min_frames: int) -> None:
        """Let the speech in `slot` end after `min_frames` frames, in place of its `Sampling`."""
        self._state.sampler.min_frames[slot] = min_frames

    def pause(self, slot: int) -> None:
        """Leave the stream in `slot` out of the next steps, with its state unchanged."""
        self._running.discard(slot)
        self._state.alive[slot] = False

    def resume(self, slot: int) -> None:
        """Include the stream in `slot` in the next steps."""
        self._running.add(slot)
        self._state.alive[slot] = True

    def close(self, slot: int) -> None:
        """Free `slot`, at any point of its stream."""
        self.pause(slot)
        self._used.pop(slot, None)

    def _frame(self, rows: int, window: int) -> Callable[[], Frame]:
        return partial(decode_frame, self._talker, self._state, rows, window)

    def _reach(self) -> tuple[int, int]:
        """Return the rows and the window of the next step."""
        rows = max(self._running) + 1
        longest = max(self._used[slot] for slot in self._running) + 1
        if self._cuda_stream.fixed:
            return bucket(rows, self._slots), bucket(
                max(longest, self._smallest_window), self.max_len
            )
        return rows, min(-(-longest // WINDOW) * WINDOW, self.max_len)

    def _prefill(self, slot: int, prompt: Tensor, prefix: Prefix | None) -> None:
        # The first step reads the last position, and is thus like all others.
        state, past = self._state, len(prompt) - 1
        state.cache.clear(slot)
        start = 0
        if prefix is not None and self.shortest_prefix <= prefix.length <= past:
            start = prefix.length
            self._begin(slot, prompt[:start], prefix)
        self._read(slot, prompt[start:past], start)
        state.cache.lengths[slot] = past
        state.inputs[slot] = prompt[past]

    def _begin(self, slot: int, prompt: Tensor, prefix: Prefix) -> None:
        """Read a prefix, or copy it from the cache.

        The values are the same, since even the first time it is read by itself.
        """
        # [layers, 2, kv_heads, positions, head_dim]
        here = self._state.cache.data[:, :, slot, :, : len(prompt)]
        if (kept := self.prefixes.get(prefix)) is not None:
            here.copy_(kept)
            return
        self._read(slot, prompt, 0)
        self.prefixes.put(prefix, here)

    @torch.inference_mode()
    def _read(self, slot: int, prompt: Tensor, start: int) -> None:
        """Read `prompt` [positions, hidden] from position `start` of `slot` on."""
        if len(prompt):
            self._talker.model.decode(
                prompt[None], Prompt(self._state.cache, slot, len(prompt), start)
            )
