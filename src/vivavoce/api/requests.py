"""How the latest requests for speech ended, for whoever asks by their id; kept in memory, without texts and keys.

The headers of a stream are gone before its audio is complete, and few clients read trailers: here its end can be looked
up. It knows neither routes nor who may ask.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, datetime

from vivavoce.synthesis import Speech
from vivavoce.types import AudioFormat, SpeechReport

KEPT = 1_000


@dataclass(eq=False, slots=True)
class Record:
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


class Requests:
    """The latest `kept` requests for speech by caller and id; of two with the same id, the later one."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._records: OrderedDict[tuple[str, str], Record] = OrderedDict()

    def begin(self, request_id: str, caller: str, audio_format: AudioFormat) -> Record:
        """Remembers a request that has come."""
        record = Record(request_id, caller, audio_format)
        self._records.pop((caller, request_id), None)
        self._records[caller, request_id] = record
        if len(self._records) > self._kept:
            self._records.popitem(last=False)
        return record

    def drop(self, record: Record) -> None:
        """Forgets a request that was refused: its answer has told all, and a flood of them pushes nothing out."""
        if self._records.get((record.caller, record.request_id)) is record:
            del self._records[record.caller, record.request_id]

    def find(self, request_id: str, caller: str, *, of_anyone: bool = False) -> Record | None:
        """The request of `caller`, or with `of_anyone` else the latest of that id."""
        found = self._records.get((caller, request_id))
        if found is None and of_anyone:
            records = reversed(self._records.values())
            found = next((record for record in records if record.request_id == request_id), None)
        return found
