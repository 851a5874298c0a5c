"""Track one client's playback: when audio comes, and how often the player runs dry.

Estimates on the server's side, with the clock that it is given. Knows no text, no model, no HTTP.
"""

from collections.abc import Callable

PLAYER_BUFFER_S = 0.2  # a player buffers this much before it begins


class PlaybackTracker:
    """A client that plays in real time. `now_s` is a monotonic clock.

    A client may take audio later than it was offered, for example a paused player. That is no
    underrun: its playback then continues with the audio that it has just taken.
    """

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self.started_s = now_s()
        self.first_s: float | None = None  # moment of the first audible chunk
        self.audio_s = 0.0  # seconds of audio so far
        self.generation_s = 0.0  # seconds spent waiting for chunks
        self.underruns = 0  # chunks that came after all before was played
        self._requested_s = self.started_s
        self._chunk_s = 0.0  # seconds of audio in the last chunk
        self._plays_until_s = 0.0  # moment when all audio so far is played

    @property
    def ahead_s(self) -> float:
        """Seconds of audio that the client has left to play."""
        return max(self._plays_until_s - self._now_s(), 0.0)

    def on_written(self) -> None:
        """Record that there was nothing to say, and now is: the pause was the author's."""
        self._requested_s = now_s = self._now_s()
        if self.first_s is not None:
            self._plays_until_s = max(self._plays_until_s, now_s + PLAYER_BUFFER_S)

    def on_chunk(self, audio_s: float) -> None:
        """Record a chunk of `audio_s` seconds, 0 if nothing is audible yet."""
        now_s = self._now_s()
        self.generation_s += now_s - self._requested_s
        self._chunk_s = audio_s
        if not audio_s:
            return
        self.audio_s += audio_s
        if self.first_s is None:
            self.first_s = now_s
            self._plays_until_s = now_s + PLAYER_BUFFER_S
        elif now_s > self._plays_until_s:
            self.underruns += 1
            self._plays_until_s = now_s + PLAYER_BUFFER_S
        self._plays_until_s += audio_s

    def on_consumed(self) -> None:
        """Record that the client has taken the chunk and wants the next one."""
        self._requested_s = self._now_s()
        if self._chunk_s:
            self._plays_until_s = max(self._plays_until_s, self._requested_s + self._chunk_s)
