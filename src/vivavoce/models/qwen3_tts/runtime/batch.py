"""Make one frame for every stream of a batch, without waiting for the device.

A stream's state lies in fixed tensors, one row a slot. `decode_frame` reads and updates them in
place. No value has to be read back by the host, so a call can be captured once and replayed.
`Batch` is the host's side: the slots in use and the length of each. Neither knows text, audio or
requests.
"""

import copy
import time
from collections.abc import Callable, Sequence
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
PIECE = 256  # positions of a prompt that are read in one go
PIECES_CPU = (64, 32, 16)  # the same on a CPU; a piece of 8 takes almost as long as one of 16
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


@dataclass(slots=True, eq=False)
class Joining:
    """A stream whose prompt is not read yet."""

    prompt: Tensor  # [positions, hidden]
    prefix: Prefix | None  # that is read by itself
    start: int = 0  # the first position that is not read

    @property
    def past(self) -> int:
        """Positions to read. The first step reads the last one, and is thus like all others."""
        return len(self.prompt) - 1


def read_prompt(talker: Talker, cache: KvCache, slot: int, prompt: Tensor, start: int) -> None:
    """Read `prompt` [positions, hidden] from position `start` of `slot` on."""
    if len(prompt):
        talker.model.decode(prompt[None], Prompt(cache, slot, len(prompt), start))


class Batch:
    """Streams that are stepped together. Each may be opened and closed at any time.

    A prompt is read in pieces of at most `piece` positions, the same beside any other streams.
    """

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
        self._joining: dict[int, Joining] = {}
        self._slots = slots
        self._on_cuda = talker.device.type == "cuda"
        self.piece = PIECE if self._on_cuda else PIECES_CPU[0]
        # Kernels read each row's own past, so one window and one graph serve all lengths.
        own = kernels.used_on(talker.device, talker.dtype)
        self._smallest_window = max_len if own else min(SMALLEST_WINDOW, max_len)

    def open(
        self, prompt: Tensor, trailing: Tensor, sampling: Sampling, prefix: Prefix | None = None
    ) -> int:
        """Do the same as `join`, and read the whole prompt."""
        slot = self.join(prompt, trailing, sampling, prefix)
        while self.joins(slot):
            self.read(slot)
        return slot

    def join(
        self, prompt: Tensor, trailing: Tensor, sampling: Sampling, prefix: Prefix | None = None
    ) -> int:
        """Return the slot of a new stream with `prompt` [positions, hidden], which is not read yet.

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
        read_by_itself = prefix and self.shortest_prefix <= prefix.length < len(prompt)
        self._joining[slot] = joining = Joining(prompt, prefix if read_by_itself else None)
        self._state.cache.clear(slot)
        self._state.sampler.set(slot, sampling)
        self._state.frame[slot] = 0
        self._used[slot], self._fed[slot] = joining.past, 0
        self.feed(slot, trailing)
        return slot

    def read_prompts(self, slots: Sequence[int]) -> None:
        """Read prompts of those of `slots` that join, the oldest first.

        If others of `slots` can make a frame, these are no more positions than a piece has, and on
        a CPU, which reads all weights for each piece, no more than one piece. Otherwise the first
        prompt is read to its end.
        """
        joining = [slot for slot in slots if self.joins(slot)]
        left, alone = self.piece, len(joining) == len(slots)
        for slot in joining:
            while self.joins(slot) and (alone or self.next_piece(slot) <= left):
                length = self.next_piece(slot)
                left -= self.piece if length and not self._on_cuda else length
                self.read(slot)
            alone = False

    def joins(self, slot: int | None) -> bool:
        """True if the prompt of `slot` is not read yet. Its stream cannot be stepped."""
        return slot in self._joining

    def next_piece(self, slot: int) -> int:
        """Return the number of positions that the next `read` of `slot` reads."""
        joining = self._joining[slot]
        if self._cached(joining) is not None:
            return 0
        shared = 0 if joining.prefix is None else joining.prefix.length
        end = shared if joining.start < shared else joining.past
        return min(end - joining.start, self.piece)

    def read(self, slot: int) -> None:
        """Read the next piece of the prompt of `slot`. After the last one its stream runs.

        A cached prefix is copied. The values are the same, since even the first time it is read by
        itself. A failure changes nothing.
        """
        joining, state = self._joining[slot], self._state
        end = joining.start + self.next_piece(slot)
        # [layers, 2, kv_heads, max_len + 1, head_dim]
        here = state.cache.data[:, :, slot]
        if (kept := self._cached(joining)) is not None:
            end = kept.shape[-2]
            here[..., :end, :].copy_(kept)
        else:
            self._read(slot, joining.prompt[joining.start : end], joining.start)
            if joining.prefix is not None and end == joining.prefix.length:
                self.prefixes.put(joining.prefix, here[..., :end, :])
        joining.start = end
        if end == joining.past:
            state.cache.lengths[slot] = end
            state.inputs[slot] = joining.prompt[end]
            del self._joining[slot]
            self.resume(slot)

    def _cached(self, joining: Joining) -> Tensor | None:
        """Return the keys and values of the prefix if it is next and cached."""
        if joining.prefix is None or joining.start:
            return None
        return self.prefixes.get(joining.prefix)

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
        """Return the seconds that a second of one stream takes the host.

        Streams are not touched.
        """
        idle = self._idle()
        return (
            _least_s(lambda: decode_frame(self._talker, idle, 1, self._smallest_window)) / FRAME_S
        )

    def fit_piece(self, pace: float) -> None:
        """Choose the largest piece of `PIECES_CPU` that takes no longer than a frame at `pace`.

        If none does, the smallest is taken, and the largest if no two streams can be open. No
        stream may be open yet.
        """
        if self._slots == 1:
            return
        prompt = self._state.text[0, : PIECES_CPU[0]]
        for self.piece in PIECES_CPU:
            if _least_s(lambda: self._read(0, prompt[: self.piece], 0)) <= pace * FRAME_S:
                return

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
        self._joining.pop(slot, None)

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

    @torch.inference_mode()
    def _read(self, slot: int, prompt: Tensor, start: int) -> None:
        read_prompt(self._talker, self._state.cache, slot, prompt, start)


def _least_s(call: Callable[[], object]) -> float:
    """Return the seconds that `call` takes, the least of three tries."""
    taken = []
    for _ in range(3):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return min(taken)
