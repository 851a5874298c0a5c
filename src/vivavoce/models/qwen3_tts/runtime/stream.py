"""Track one segment: its frames, when to decode them, and its end.

It knows codes and counts, neither the network that makes codes nor the codec. Both may lag: a frame
is `making` until its codes are on the host, and `decoding` until its samples are.
"""

import logging
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

from vivavoce.models.qwen3_tts.prompt.incremental_text import LiveTurn
from vivavoce.models.qwen3_tts.runtime.codec_runner import LARGEST_CHUNK, CodecSlot
from vivavoce.models.qwen3_tts.runtime.cuda import HostCopy
from vivavoce.models.qwen3_tts.runtime.stop_rules import FRAME_S, Repetition
from vivavoce.types import Samples, Segment, StopReason

log = logging.getLogger(__name__)

SILENCE: Samples = np.zeros(0, dtype=np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class RowCopy:
    """Samples of one stream that are being copied to the host: one row of the copy."""

    host_copy: HostCopy
    row: int
    frames: int

    def samples(self) -> Samples:
        """Return the samples, in memory of their own, once they are copied."""
        here: Samples = self.host_copy.wait()[self.row].numpy()
        return here.copy()


@dataclass(eq=False, slots=True)
class SegmentStream:
    """State of one segment.

    `slot` is None once its last frame is made, and `ending` then has the reason. A live stream also
    has no slot before enough of its text is known.
    """

    segment: Segment
    slot: int | None
    seed: int
    limit: int  # frames, at most
    codec: CodecSlot
    live: LiveTurn | None = None
    spoken: int = 0  # frames made
    making: int = 0  # frames requested whose codes are not read yet
    resumed: int = 0  # frames made when it last had to wait for text
    # Codes [codebooks] of frames that are not decoded yet.
    pending: list[Tensor] = field(default_factory=list)
    decoding: deque[RowCopy] = field(default_factory=deque)
    ending: StopReason | None = None
    repetition: Repetition = field(default_factory=Repetition)

    @property
    def requested(self) -> int:
        """Frames requested so far, including those whose codes are not read yet."""
        return self.spoken + self.making

    @property
    def lacks_text(self) -> bool:
        """True if the next frame must wait for text.

        After frame k the talker reads the k-th of the trailing ids.
        """
        if self.live is None or self.live.complete or self.ending is not None:
            return False
        return self.slot is None or self.requested >= self.live.trailing

    @property
    def starving(self) -> bool:
        """True if it waits for text and all audio made so far was handed over."""
        return self.lacks_text and not (self.making or self.pending or self.decoding)

    @property
    def wants_frames(self) -> bool:
        """True if another frame may be requested."""
        return self.slot is not None and self.requested < self.limit and not self.lacks_text

    @property
    def is_through(self) -> bool:
        """True if it has ended and all its audio was handed over."""
        return self.ending is not None and not self.pending and not self.decoding

    def take(self, first: int, codes: Tensor, *, eos: int) -> None:
        """Add a frame with first code `first`, and set `ending` if it is last."""
        if first == eos:  # its frame is not decoded
            self.ending = StopReason.COMPLETE
            return
        self.pending.append(codes)
        self.spoken += 1
        if self.repetition.note(first):
            self.ending = StopReason.REPETITION
        elif self.spoken >= self.limit:
            self.ending = StopReason.LENGTH

    def is_due(self, ahead_s: float) -> bool:
        """True if the pending frames should be decoded now.

        The listener still has `ahead_s` seconds of audio. The codec's cost per frame falls with the
        number of frames that it decodes together. Frames are therefore held back while the
        listener's buffer lasts: 1, 2 or 4 frames, until less is buffered than doubling them takes
        in real time. A listener with an empty buffer gets 1, 2, 4, 8 frames, since small chunks
        would keep a slow machine from ever catching up. Frames are not held back for others that
        must wait for text.
        """
        ahead_s += sum(copy.frames for copy in self.decoding) * FRAME_S
        count = len(self.pending)
        dries_up = self.lacks_text and not self.making
        if not count or self.ending is not None or dries_up or count >= LARGEST_CHUNK:
            return count > 0
        if ahead_s <= 0:
            return count > self.spoken - self.resumed - count
        return ahead_s < (count if count in (1, 2, 4) else 1) * FRAME_S

    def hand_over(self, copies: int) -> Samples:
        """Return the samples of the first `copies` copies."""
        parts = [self.decoding.popleft().samples() for _ in range(copies)]
        return parts[0] if len(parts) == 1 else np.concatenate([SILENCE, *parts])

    def log_ending(self) -> None:
        """Log the reason of its end, as a warning if it was cut."""
        text = self.segment.text if self.live is None else self.live.text
        made = f"{self.spoken} frames ({self.spoken * FRAME_S:.1f} s) of {len(text)} characters"
        match self.ending:
            case StopReason.REPETITION:
                log.warning(
                    "stopped after %s, seed %d: its codes repeat themselves", made, self.seed
                )
            case StopReason.LENGTH:
                log.warning(
                    "stopped after %s, seed %d: no end of speech within its limit", made, self.seed
                )
            case _:
                log.debug("ended after %s, seed %d", made, self.seed)


@dataclass(frozen=True, slots=True, eq=False)
class RequestedFrame:
    """A requested frame: its codes being copied, and the slot of each stream in it."""

    codes: HostCopy  # [rows, codebooks]
    slots: Mapping[SegmentStream, int]
