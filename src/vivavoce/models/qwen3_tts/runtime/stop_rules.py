"""Stop a stream that does not end by itself.

It knows first codes and text, no tensors. About one request in three hundred never reaches the end
of speech: it repeats itself or falls silent for good. Two rules end it: more frames than its text
can take, and first codes that repeat in a cycle.
"""

from dataclasses import dataclass, field

from vivavoce.text.split import weighted_length

FRAME_S = 0.08
# Speech takes about 0.8 frames a Latin letter. More than three is beyond the slowest reading. The
# rest is for pauses.
FRAMES_PER_LETTER, FRAMES_OF_PAUSE = 3, 50
SHORTEST_SHARE = 0.1  # frames a letter: shorter speech has left out most of its text
LONGEST_PERIOD = 8  # frames: 0.64 s
# 3.2 s in which every first code is that of `period` frames before, which speech never does.
STUCK_FRAMES = 40


def most_frames(text: str) -> int:
    """Return the most frames of `text`: 50, and 3 for each letter.

    A letter of Han, kana or Hangul counts as three.
    """
    return FRAMES_OF_PAUSE + FRAMES_PER_LETTER * weighted_length(text)


def least_frames(text: str) -> int:
    """Return the least frames of `text`. Speech that is shorter has left out most of it."""
    return int(SHORTEST_SHARE * weighted_length(text))


@dataclass(slots=True)
class Repetition:
    """Detector of a repeated silence or phrase in the first codes of one stream."""

    # The last LONGEST_PERIOD codes, the newest last.
    _recent: list[int] = field(default_factory=list)
    # Frames that repeat with period index + 1.
    _runs: list[int] = field(default_factory=lambda: [0] * LONGEST_PERIOD)

    def note(self, code: int) -> bool:
        """Add the next first code and return True if the stream repeats itself."""
        for index in range(len(self._recent)):
            self._runs[index] = self._runs[index] + 1 if self._recent[-1 - index] == code else 0
        self._recent = [*self._recent[-(LONGEST_PERIOD - 1) :], code]
        return max(self._runs) >= STUCK_FRAMES
