"""Build the messages of one unit of speech in the dialect of `live.omni`."""

import base64
from dataclasses import dataclass, field
from typing import Any, Final

from vivavoce.api.schemas.omni import StreamConfig
from vivavoce.errors import BadRequest
from vivavoce.sessions.events import Audio, Started
from vivavoce.synthesis.outlet import finished_file
from vivavoce.synthesis.speech import Speech
from vivavoce.types import AudioFormat, TimedWord

MOST_BYTES: Final = 16 * 2**20  # of a unit that is sent as one file

Sent = tuple[list[dict[str, Any]], bytes | None]  # messages, and bytes behind them


@dataclass(eq=False, slots=True)
class Unit:
    """What is spoken at once. `number` counts those of the connection."""

    number: int
    utterance_index: int
    sentence_index: int
    config: StreamConfig
    format: AudioFormat
    _start: list[dict[str, Any]] = field(default_factory=list)  # not sent yet
    _data: bytearray = field(default_factory=bytearray)  # not sent yet
    _words: list[TimedWord] = field(default_factory=list)
    _speech: Speech | None = None
    _rate_hz: int = 0
    _chunks: int = 0
    _bytes: int = 0

    def started(self, event: Started) -> None:
        """Take note of the voice and the audio that follows."""
        self._speech = event.speech
        self._rate_hz = event.speech.sample_rate_hz
        about = {"type": "audio.start", "id": event.utterance.id, **self._place()}
        about |= {"sentence_text": event.utterance.text, "format": self.format}
        self._start = [{**about, "sample_rate": self._rate_hz, "channels": 1}]

    def audio(self, event: Audio) -> Sent:
        """Return what is to be sent of the next audio.

        Raises `BadRequest` if a file gets too large.
        """
        if not self.config.stream_audio:
            self._data += event.data
            if len(self._data) > MOST_BYTES:
                raise BadRequest(
                    f"the audio of a unit has more than {MOST_BYTES:,} bytes: send "
                    "stream_audio: true, or split_granularity: sentence",
                    field="stream_audio",
                )
            return [], None
        if self.config.word_timestamps:
            self._words += event.words
        if not event.data:
            return [], None
        start, self._start = self._start, []
        self._bytes += len(event.data)
        if self.config.word_timestamps:
            return [*start, self._chunk(event.data, None)], None
        return start, event.data

    def rest(self, text: str) -> Sent:
        """Return what is left to be sent of the audio: a file, or the times of the words.

        `text` is all that it says. A file takes a while.
        """
        for message in self._start:
            message["sentence_text"] = text
        if self.config.word_timestamps:
            times = [_times(word) for word in self._words]
            return [*self._start, self._chunk(b"", times)], None
        if not self._data:
            return self._start, None
        data = bytes(self._data)
        if self._speech is not None:
            data = finished_file(self._speech, self.format, data)
        self._bytes = len(data)
        return self._start, data

    def done(self, name: str, *, error: bool) -> dict[str, Any]:
        """Return the last message. `name` is the id of its request."""
        about = {"type": "audio.done", "id": name, **self._place()}
        return {**about, "total_bytes": self._bytes, "error": error}

    def _chunk(self, data: bytes, times: list[dict[str, Any]] | None) -> dict[str, Any]:
        audio = base64.b64encode(data).decode("ascii")
        about = {"type": "audio.chunk", **self._place(), "chunk_id": self._chunks}
        self._chunks += 1
        about |= {"sample_rate": self._rate_hz, "audio_b64": audio}
        return {**about, "timestamps": times}

    def _place(self) -> dict[str, Any]:
        return {"utterance_index": self.utterance_index, "sentence_index": self.sentence_index}


def _times(word: TimedWord) -> dict[str, Any]:
    start_ms, end_ms = round(1000 * word.start_s), round(1000 * word.end_s)
    return {"word": word.word, "start_ms": start_ms, "end_ms": end_ms}
