"""Follow what one listener goes through: when audio comes, and whether it runs dry before more
does.

It reckons from the server's side, with the clock that it is told; it knows nothing of text, models
or HTTP.
"""

from collections.abc import Callable

PLAYER_BUFFER_S = 0.2  # what a player holds back before it begins


class PlaybackTracker:
    """One listener, who plays what was sent in real time. `now_s` is a monotonic clock.

    A listener who takes audio later than it was offered, as a player that is paused, has not run
    dry because of us: it then begins with what it has just taken.
    """

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self.started_s = now_s()
        self.first_s: float | None = None  # when the first audio was there
        self.audio_s = 0.0  # of audio so far
        self.generation_s = 0.0  # seconds that passed while audio was waited for
        self.underruns = 0  # times that all was played before more came
        self._asked_s = self.started_s
        self._last_s = 0.0  # seconds of audio that came last
        self._dry_s = 0.0  # when all that was sent will have been played

    def comes(self, audio_s: float) -> None:
        """Audio is there for it, or nothing audible yet."""
        now_s = self._now_s()
        self.generation_s += now_s - self._asked_s
        self._last_s = audio_s
        if not audio_s:
            return
        self.audio_s += audio_s
        if self.first_s is None:
            self.first_s, self._dry_s = now_s, now_s + PLAYER_BUFFER_S
        elif now_s > self._dry_s:
            self.underruns += 1
            self._dry_s = now_s + PLAYER_BUFFER_S
        self._dry_s += audio_s

    def takes(self) -> None:
        """It has taken what came, and wants more."""
        self._asked_s = self._now_s()
        if self._last_s:
            self._dry_s = max(self._dry_s, self._asked_s + self._last_s)
