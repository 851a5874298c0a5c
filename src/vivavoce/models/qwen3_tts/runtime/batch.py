"""One frame of speech for every stream of a batch, in one function that never waits for the device.

All that a stream is lies in fixed tensors, one row a slot, which `decode_frame` reads and updates
in place: nothing in it depends on a value the host would have to fetch, so the same call can be
captured once and replayed. `Batch` is the host's side of it: which slots are taken and how far each
has come. Neither knows text, audio or requests.
"""

import copy
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

WINDOW = 64  # attention spans grow by this many positions, so that few different shapes occur
# and double from here where they are `fixed`: a graph each, which sees twice too much at most
SMALLEST_WINDOW = 128
# Positions: reading so few by themselves costs a pass over all weights the first time, and copying
# them saves little.
SHORTEST_PREFIX = 32
PREFIX_BYTES = (
    128 << 20
)  # a beginning of 40 positions, in 0.6B or 1.7B alike, takes 9 MB in float32


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """What one call made, one row a slot; rows of free or paused slots mean nothing.

    From a graph it is memory of the graph: the next step writes over it.
    """

    # [rows, codebooks]; a first code of `eos` ends the stream, and its frame is no sound
    codes: Tensor
    logits: Tensor  # [rows, codec vocabulary], the talker's, as they came


class State:
    """Every slot's tensors."""

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
        self.inputs = torch.zeros(
            slots, hidden, device=device, dtype=dtype
        )  # what the talker hears next
        self.text = torch.zeros(
            slots, max_len, hidden, device=device, dtype=dtype
        )  # one row a frame, read in order
        self.text_length = torch.zeros(slots, device=device, dtype=torch.int64)
        self.frame = torch.zeros(slots, device=device, dtype=torch.int64)  # the next frame's number
        self.alive = torch.zeros(slots, device=device, dtype=torch.bool)
        self.pad = pad  # [hidden], read when a stream has no text left


@torch.inference_mode()
def decode_frame(talker: Talker, state: State, rows: int, window: int) -> Frame:
    """Return the next frame of the first `rows` slots, whose past is shorter than `window` positions."""
    number, alive = state.frame[:rows], state.alive[:rows]
    memory = Step(state.cache, rows, window, alive)
    hidden = talker.model.decode(state.inputs[:rows, None], memory)[:, 0]  # [rows, hidden]
    logits = multiply(hidden, talker.codec_head)  # [rows, codec vocabulary]
    first = state.sampler.first(logits, number)
    noise = state.sampler.noise(number)  # [codebooks - 1, rows, entries]
    codes, embedded = talker.code_predictor.complete(
        hidden,
        first,
        talker.embed_codec(first),
        state.frame_cache,
        lambda scores, codebook: state.sampler.rest(scores, number, codebook, noise),
    )
    heard = torch.where(alive[:, None], embedded + next_text(state, rows), state.inputs[:rows])
    # Nothing was written so far that the next try would not write again, and what follows takes its
    # memory first: a frame that finds none leaves every stream as it was.
    state.sampler.note(first, alive)
    state.inputs[:rows] = heard
    state.cache.lengths[:rows] += alive
    state.frame[:rows] += alive
    return Frame(codes, logits)


def next_text(state: State, rows: int) -> Tensor:
    """Return the text [rows, hidden] that each slot reads after its current frame."""
    number, length = state.frame[:rows], state.text_length[:rows]
    at = number.clamp(max=state.text.shape[1] - 1)
    text = state.text[torch.arange(rows, device=at.device), at]
    return torch.where((number < length)[:, None], text, state.pad)


class Batch:
    """The streams that speak together: open one at any time, step them all, close one at any time."""

    def __init__(
        self,
        talker: Talker,
        config: Config,
        pad: Tensor,
        *,
        slots: int,
        max_len: int,
        track: CudaStream | None = None,
    ) -> None:
        self.max_len = max_len
        self.prefixes, self.shortest_prefix = PrefixCache(PREFIX_BYTES), SHORTEST_PREFIX
        self._talker = talker
        self._track = CudaStream(talker.device) if track is None else track
        self._state = State(talker, config, pad, slots, max_len, fixed=self._track.fixed)
        self._used: dict[int, int] = {}  # slot → positions remembered, as the device counts them
        self._fed: dict[int, int] = {}  # slot → text that was given to it, likewise
        self._running: set[int] = set()
        self._slots = slots
        # Kernels read each row's own past: one window serves all, and a graph fewer for each.
        own = kernels.used_on(talker.device, talker.dtype)
        self._smallest_window = max_len if own else min(SMALLEST_WINDOW, max_len)

    def open(
        self, prompt: Tensor, trailing: Tensor, sampling: Sampling, prefix: Prefix | None = None
    ) -> int:
        """Return the slot of a new stream that has read `prompt` [positions, hidden] and will read
        `trailing` [n, hidden].

        `prefix` says how much of the prompt others begin with too: `shortest_prefix` positions or
        more are read once, then copied. Raises `BadRequest` if they do not fit into a slot, and
        `Overloaded` if none is free.
        """
        if max(len(prompt), len(trailing)) >= self.max_len:
            raise BadRequest(
                f"the prompt takes {len(prompt)} positions and {len(trailing)} frames of text, this server holds "
                f"{self.max_len}: send less text, or a shorter reference",
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
        """Return the next frame of every running stream; a stream without room left (`room`) must have been closed."""
        assert self._running, "no stream is running"
        assert all(self.room(slot) > 0 for slot in self._running), "a stream has outgrown its slot"
        rows, window = self._reach()
        frame = self._track.run((rows, window), self._frame(rows, window))
        for slot in self._running:
            self._used[slot] += 1
        return frame

    def warm_up(self) -> None:
        """Capture a graph for every shape that a step may have.

        Streams are not touched, running ones included.
        """
        idle = copy.copy(self._state)
        idle.alive = torch.zeros_like(self._state.alive)
        for rows in buckets(1, self._slots):
            for window in buckets(self._smallest_window, self.max_len):
                decode_frame(self._talker, idle, rows, window)
                self._track.capture((rows, window), self._frame(rows, window))

    def room(self, slot: int) -> int:
        """Frames that the stream in `slot` can still make."""
        return self.max_len - self._used[slot]

    def feed(self, slot: int, text: Tensor) -> None:
        """Add `text` [n, hidden] to what the stream in `slot` reads while it speaks."""
        start, end = self._fed[slot], self._fed[slot] + len(text)
        if end > self.max_len:
            raise BadRequest(
                f"the text takes {end} tokens by now, a stream reads at most {self.max_len} while it speaks: send less "
                "in one go",
                field="text",
            )
        self._state.text[slot, start:end] = text
        self._state.text_length[slot] = self._fed[slot] = end

    def set_min_frames(self, slot: int, min_frames: int) -> None:
        """Let the speech in `slot` end after `min_frames` frames, whatever its `Sampling` said."""
        self._state.sampler.min_frames[slot] = min_frames

    def pause(self, slot: int) -> None:
        """Leave the stream in `slot` out of the next steps, as it stands."""
        self._running.discard(slot)
        self._state.alive[slot] = False

    def resume(self, slot: int) -> None:
        """Let the stream in `slot` speak on."""
        self._running.add(slot)
        self._state.alive[slot] = True

    def close(self, slot: int) -> None:
        """Free `slot`, wherever its stream stands."""
        self.pause(slot)
        self._used.pop(slot, None)

    def _frame(self, rows: int, window: int) -> Callable[[], Frame]:
        return partial(decode_frame, self._talker, self._state, rows, window)

    def _reach(self) -> tuple[int, int]:
        """Return the rows and the window of the next step."""
        rows = max(self._running) + 1
        longest = max(self._used[slot] for slot in self._running) + 1
        if self._track.fixed:
            return bucket(rows, self._slots), bucket(
                max(longest, self._smallest_window), self.max_len
            )
        return rows, min(-(-longest // WINDOW) * WINDOW, self.max_len)

    def _prefill(self, slot: int, prompt: Tensor, prefix: Prefix | None) -> None:
        # The last position is left to the first step, which is then like all others.
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
        """Read a beginning, or copies it: the same numbers, since even the first time it is read by itself."""
        here = self._state.cache.data[
            :, :, slot, :, : len(prompt)
        ]  # [layers, 2, kv_heads, positions, head_dim]
        if (kept := self.prefixes.get(prefix)) is not None:
            here.copy_(kept)
            return
        self._read(slot, prompt, 0)
        self.prefixes.put(prefix, here)

    @torch.inference_mode()
    def _read(self, slot: int, prompt: Tensor, start: int) -> None:
        """Remembers `prompt` [positions, hidden] from position `start` of `slot` on."""
        if len(prompt):
            self._talker.model.decode(
                prompt[None], Prompt(self._state.cache, slot, len(prompt), start)
            )
