"""Keep the outcomes of the latest requests for speech by their ids.

The headers of a stream are sent before its audio is complete, and few clients read trailers.

- Records are in memory, and hold neither texts nor keys.
- The module knows neither routes nor permissions.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from vivavoce.synthesis.speech import Speech
from vivavoce.types import AudioFormat, SpeechReport

MAX_RECORDS: Final = 1_000


@dataclass(eq=False, slots=True)
class RequestRecord:
    """One request. Model, voice and language are set when accepted, `report` when it ends."""

    request_id: str
    caller: str
    format: AudioFormat
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    model: str | None = None
    voice: str | None = None
    language: str | None = None
    report: SpeechReport | None = None

    def opened(self, speech: Speech) -> None:
        """Record that the request was accepted and that `speech` answers it."""
        self.model, self.voice, self.language = speech.model, speech.voice, speech.language
        speech.on_report.append(self.ended)

    def ended(self, report: SpeechReport) -> None:
        self.report = report


class RequestLog:
    """The latest requests for speech by caller and id.

    A request replaces an earlier one of the same id. At most `max_records` are kept. The oldest
    one of the caller with the most records goes first, so that callers with few keep theirs.
    """

    def __init__(self, max_records: int = MAX_RECORDS) -> None:
        self._max_records = max_records
        self._count = 0
        self._by_caller: dict[str, OrderedDict[str, RequestRecord]] = {}

    def begin(self, request_id: str, caller: str, audio_format: AudioFormat) -> RequestRecord:
        """Add a request."""
        record = RequestRecord(request_id, caller, audio_format)
        self._forget(caller, request_id)
        self._by_caller.setdefault(caller, OrderedDict())[request_id] = record
        self._count += 1
        if self._count > self._max_records:
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
        """Remove a rejected request, so that many of them push out no other record."""
        if self.find(record.request_id, record.caller) is record:
            self._forget(record.caller, record.request_id)

    def find(
        self, request_id: str, caller: str, *, of_anyone: bool = False
    ) -> RequestRecord | None:
        """Return the caller's request, else with `of_anyone` the latest one of that id."""
        found = self._by_caller.get(caller, OrderedDict()).get(request_id)
        if found is None and of_anyone:
            same = [
                all_of[request_id] for all_of in self._by_caller.values() if request_id in all_of
            ]
            found = max(same, key=lambda record: record.started, default=None)
        return found
