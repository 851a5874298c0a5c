"""When a stream that does not end by itself has said enough; it knows first codes and text, no
tensors.

About one request in three hundred never reaches the end of speech: it repeats itself or falls
silent for good. Two things end it: more frames than its text can take, and first codes that go
round in a circle.
"""

from dataclasses import dataclass, field

from vivavoce.text.split import weighted_length

FRAME_S = 0.08
# Speech takes 0.8 frames a Latin letter or so. More than three is beyond the slowest reading; the
# rest is for pauses.
FRAMES_PER_LETTER, FRAMES_OF_PAUSE = 3, 50
SHORTEST_SHARE = 0.1  # frames a letter: what ends sooner has left out most of its text
LONGEST_PERIOD = 8  # frames: 0.64 s
# 3.2 s in which every first code is that of `period` frames before: sampled speech never does
STUCK_FRAMES = 40


def most_frames(text: str) -> int:
    """Return the frames after which `text` must have been said: 50 + 3 for each letter, with Han, kana and Hangul as three."""
    return FRAMES_OF_PAUSE + FRAMES_PER_LETTER * weighted_length(text)


def least_frames(text: str) -> int:
    """Return the frames that `text` cannot be said in."""
    return int(SHORTEST_SHARE * weighted_length(text))


@dataclass(slots=True)
class Repetition:
    """Watches the first codes of one stream for a silence or a phrase that comes again and again."""

    _recent: list[int] = field(
        default_factory=list
    )  # the last LONGEST_PERIOD codes, the newest last
    _runs: list[int] = field(
        default_factory=lambda: [0] * LONGEST_PERIOD
    )  # frames that repeat with period index + 1

    def note(self, code: int) -> bool:
        """Take the next first code; whether the stream is stuck."""
        for index in range(len(self._recent)):
            self._runs[index] = self._runs[index] + 1 if self._recent[-1 - index] == code else 0
        self._recent = [*self._recent[-(LONGEST_PERIOD - 1) :], code]
        return max(self._runs) >= STUCK_FRAMES
