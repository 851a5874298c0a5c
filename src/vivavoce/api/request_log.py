"""How the latest requests for speech ended, for whoever asks by their id; kept in memory, without
texts and keys.

The headers of a stream are gone before its audio is complete, and few clients read trailers: here
its end can be looked up. It knows neither routes nor who may ask.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, datetime

from vivavoce.synthesis.speech import Speech
from vivavoce.types import AudioFormat, SpeechReport

KEPT = 1_000


@dataclass(eq=False, slots=True)
class RequestRecord:
    """One request for speech: what it is about once a model was found for it, and its report once it has ended."""

    request_id: str
    caller: str
    format: AudioFormat
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    model: str | None = None
    voice: str | None = None
    language: str | None = None
    report: SpeechReport | None = None

    def opened(self, speech: Speech) -> None:
        """The request is accepted, and `speech` answers it."""
        self.model, self.voice, self.language = speech.model, speech.voice, speech.language
        speech.on_report.append(self.ended)

    def ended(self, report: SpeechReport) -> None:
        self.report = report


class RequestLog:
    """The latest requests for speech by caller and id; of two with the same id, the later one.

    There are at most `kept` in all. On more, the oldest of the caller with the most of them goes,
    so that nobody's requests push out those of a caller with fewer.
    """

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._count = 0
        self._by_caller: dict[str, OrderedDict[str, RequestRecord]] = {}

    def begin(self, request_id: str, caller: str, audio_format: AudioFormat) -> RequestRecord:
        """Remembers a request that has come."""
        record = RequestRecord(request_id, caller, audio_format)
        self._forget(caller, request_id)
        self._by_caller.setdefault(caller, OrderedDict())[request_id] = record
        self._count += 1
        if self._count > self._kept:
            busiest = max(self._by_caller, key=lambda name: len(self._by_caller[name]))
            self._forget(busiest, next(iter(self._by_caller[busiest])))
        return record

    def _forget(self, caller: str, request_id: str) -> None:
        records = self._by_caller.get(caller, OrderedDict())
        if records.pop(request_id, None) is not None:
            self._count -= 1
            if not records:
                del self._by_caller[caller]

    def drop(self, record: RequestRecord) -> None:
        """Forget a request that was refused: its answer has told all, and a flood of them pushes nothing out."""
        if self.find(record.request_id, record.caller) is record:
            self._forget(record.caller, record.request_id)

    def find(
        self, request_id: str, caller: str, *, of_anyone: bool = False
    ) -> RequestRecord | None:
        """Return the request of `caller`, or with `of_anyone` else the latest of that id."""
        found = self._by_caller.get(caller, OrderedDict()).get(request_id)
        if found is None and of_anyone:
            same = [
                records[request_id] for records in self._by_caller.values() if request_id in records
            ]
            found = max(same, key=lambda record: record.started, default=None)
        return found
