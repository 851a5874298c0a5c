"""One segment being spoken: the frames made and not yet sounded, when to sound them, and how it ends.

It knows codes and counts, neither the network that makes them nor the one that sounds them.
"""

import logging
from dataclasses import dataclass, field

from torch import Tensor

from vivavoce.engines.qwen.codec import DecoderState
from vivavoce.engines.qwen.ending import FRAME_S, Repetition
from vivavoce.engines.qwen.live import LiveTurn
from vivavoce.types import Ending, Segment

log = logging.getLogger(__name__)

LARGEST_CHUNK = 8  # frames that are sounded together


@dataclass(eq=False, slots=True)
class SegmentStream:
    """One segment being spoken. `slot` is None once its last frame is made, and `ending` then says why.

    A live one has no slot either before it knows enough of its text to begin.
    """

    segment: Segment
    slot: int | None
    seed: int
    limit: int  # frames, at most
    codec: DecoderState
    live: LiveTurn | None = None
    spoken: int = 0  # frames made
    resumed: int = 0  # frames made when it last had to wait for text
    pending: list[Tensor] = field(default_factory=list)  # codes [codebooks] of frames not yet sounded
    ending: Ending | None = None
    repetition: Repetition = field(default_factory=Repetition)

    @property
    def starving(self) -> bool:
        """Whether the next frame must wait for text: after frame k the talker reads the k-th of the trailing ids."""
        if self.live is None or self.live.complete or self.ending is not None:
            return False
        return self.slot is None or self.spoken >= self.live.trailing

    def take(self, first: int, codes: Tensor, *, eos: int) -> None:
        """Adds a frame whose first code is `first`, and sets `ending` if it is the last one."""
        if first == eos:  # its frame is no sound
            self.ending = Ending.COMPLETE
            return
        self.pending.append(codes)
        self.spoken += 1
        if self.repetition.note(first):
            self.ending = Ending.REPETITION
        elif self.spoken >= self.limit:
            self.ending = Ending.LENGTH

    def is_due(self, ahead_s: float) -> bool:
        """Whether to sound the pending frames now, for a listener who still has `ahead_s` seconds of audio.

        The codec's cost a frame falls with the frames it gets together, so they wait for company while the listener
        can: 1, 2 or 4 frames until what is left to hear is less than doubling them takes at the pace of real time.
        Who has run dry gets 1, 2, 4, 8 frames: small chunks would keep a slow machine from ever catching up. Nothing
        waits for company that must itself wait for text.
        """
        count = len(self.pending)
        if not count or self.ending is not None or self.starving or count >= LARGEST_CHUNK:
            return count > 0
        if ahead_s <= 0:
            return count > self.spoken - self.resumed - count
        return ahead_s < (count if count in (1, 2, 4) else 1) * FRAME_S

    def log_ending(self) -> None:
        """Says in the log why it ended, as a warning if it was cut."""
        text = self.segment.text if self.live is None else self.live.text
        said = f"{self.spoken} frames ({self.spoken * FRAME_S:.1f} s) of {len(text)} characters"
        match self.ending:
            case Ending.REPETITION:
                log.warning("stopped after %s, seed %d: its codes repeat themselves", said, self.seed)
            case Ending.LENGTH:
                log.warning("stopped after %s, seed %d: no end of speech within its limit", said, self.seed)
            case _:
                log.debug("ended after %s, seed %d", said, self.seed)
