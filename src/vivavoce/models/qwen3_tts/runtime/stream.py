"""One segment being spoken: the frames made and not yet sounded, when to sound them, and how it
ends.

It knows codes and counts, neither the network that makes them nor the one that sounds them. Both
may be behind: a frame is `making` until its codes are on the host, and `sounding` until its samples
are.
"""

import logging
from collections import deque
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
class Sound:
    """Samples of one stream on their way to the host: row `row` of what lands."""

    landing: HostCopy
    row: int
    frames: int

    def samples(self) -> Samples:
        """Return the samples, in memory of their own, once they are there."""
        here: Samples = self.landing.wait()[self.row].numpy()
        return here.copy()


@dataclass(eq=False, slots=True)
class SegmentStream:
    """One segment being spoken. `slot` is None once its last frame is made, and `ending` then says
    why.

    A live one has no slot either before it knows enough of its text to begin.
    """

    segment: Segment
    slot: int | None
    seed: int
    limit: int  # frames, at most
    codec: CodecSlot
    live: LiveTurn | None = None
    spoken: int = 0  # frames made
    making: int = 0  # frames asked for whose codes are not here yet
    resumed: int = 0  # frames made when it last had to wait for text
    pending: list[Tensor] = field(
        default_factory=list
    )  # codes [codebooks] of frames not yet sounded
    sounding: deque[Sound] = field(default_factory=deque)
    ending: StopReason | None = None
    repetition: Repetition = field(default_factory=Repetition)

    @property
    def asked(self) -> int:
        """Frames asked for so far, those included whose codes are not here yet."""
        return self.spoken + self.making

    @property
    def lacks_text(self) -> bool:
        """True if the next frame must wait for text: after frame k the talker reads the k-th of the trailing ids."""
        if self.live is None or self.live.complete or self.ending is not None:
            return False
        return self.slot is None or self.asked >= self.live.trailing

    @property
    def starving(self) -> bool:
        """True if it waits for text, and all that could be made without is on the way to its listener."""
        return self.lacks_text and not (self.making or self.pending or self.sounding)

    @property
    def wants_frames(self) -> bool:
        """True if another frame may be asked for."""
        return self.slot is not None and self.asked < self.limit and not self.lacks_text

    @property
    def is_through(self) -> bool:
        """True if it has ended and all of it was heard."""
        return self.ending is not None and not self.pending and not self.sounding

    def take(self, first: int, codes: Tensor, *, eos: int) -> None:
        """Add a frame whose first code is `first`, and sets `ending` if it is the last one."""
        if first == eos:  # its frame is no sound
            self.ending = StopReason.COMPLETE
            return
        self.pending.append(codes)
        self.spoken += 1
        if self.repetition.note(first):
            self.ending = StopReason.REPETITION
        elif self.spoken >= self.limit:
            self.ending = StopReason.LENGTH

    def is_due(self, ahead_s: float) -> bool:
        """True if to sound the pending frames now, for a listener who still has `ahead_s` seconds
        of audio.

        The codec's cost a frame falls with the frames it gets together, so they wait for company
        while the listener can: 1, 2 or 4 frames until what is left to hear is less than doubling
        them takes at the pace of real time. Who has run dry gets 1, 2, 4, 8 frames: small chunks
        would keep a slow machine from ever catching up. Nothing waits for company that must itself
        wait for text.
        """
        ahead_s += sum(sound.frames for sound in self.sounding) * FRAME_S
        count = len(self.pending)
        dries_up = self.lacks_text and not self.making
        if not count or self.ending is not None or dries_up or count >= LARGEST_CHUNK:
            return count > 0
        if ahead_s <= 0:
            return count > self.spoken - self.resumed - count
        return ahead_s < (count if count in (1, 2, 4) else 1) * FRAME_S

    def hand_over(self, sounds: int) -> Samples:
        """Return the samples of the first `sounds` that are on their way."""
        parts = [self.sounding.popleft().samples() for _ in range(sounds)]
        return parts[0] if len(parts) == 1 else np.concatenate([SILENCE, *parts])

    def log_ending(self) -> None:
        """Say in the log why it ended, as a warning if it was cut."""
        text = self.segment.text if self.live is None else self.live.text
        said = f"{self.spoken} frames ({self.spoken * FRAME_S:.1f} s) of {len(text)} characters"
        match self.ending:
            case StopReason.REPETITION:
                log.warning(
                    "stopped after %s, seed %d: its codes repeat themselves", said, self.seed
                )
            case StopReason.LENGTH:
                log.warning(
                    "stopped after %s, seed %d: no end of speech within its limit", said, self.seed
                )
            case _:
                log.debug("ended after %s, seed %d", said, self.seed)
