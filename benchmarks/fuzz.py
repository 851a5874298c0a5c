"""Send a server thousands of valid and invalid requests made from its `/openapi.json`.

schemathesis makes the requests and compares the answers with the documented status, type and form.
It knows nothing of speech, so this module states which texts can be spoken.
"""

import itertools
import re
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from benchmarks.load import Tell
from benchmarks.wire import Address

ANSWER_WITHIN_S: Final = 20.0  # or the server hangs
_MODES: Final = (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE)
_TEXTS: Final = ("text", "input", "q")
# Hardly ever drawn as they exist: names, markup, recordings, and sample rates that a format has.
_NAMES: Final = (
    "model", "speaker", "voice", "language", "task", "task_type", "sample_rate", "model_id",
    "language_code", "output_format",
)  # fmt: skip
_MARKUP: Final = ("input_type", "pronunciations", "inputs")
_RECORDINGS: Final = ("ref_audio", "ref_text", "x_vector_only", "x_vector_only_mode")
_UNDRAWN: Final = ("/voices", "/voice_consents", "/text-to-voice", "/jobs")
_NUMBER: Final = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
# No failure if the request itself has a `timeout_s`: it timed out.
_EXCUSED: Final = (504, "deadline_exceeded")
_LONG_HEAD: Final = 431  # a query that no schema bounds in bytes: neither right nor wrong
# No schema says that "%" is nothing to speak, or which names there are: only what is made speakable
# must be accepted.
_UNLESS_SPEAKABLE: Final = [positive_data_acceptance]


@dataclass(slots=True)
class Findings:
    """Counts of answers by status, wrong answers, and requests without an answer in time."""

    statuses: Counter[int] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    hung: list[str] = field(default_factory=list)
    slowest_s: float = 0.0

    @property
    def requests(self) -> int:
        return self.statuses.total() + len(self.hung)


def fuzz(address: Address, count: int, tell: Tell) -> Findings:
    """Send `count` requests one after the other. They are the same in every run."""
    schema = schemathesis.openapi.from_url(f"http://{address.host}:{address.port}/openapi.json")
    kinds = list(itertools.product((result.ok() for result in schema.get_all_operations()), _MODES))
    findings = Findings()
    with requests.Session() as session:
        for number, (operation, mode) in enumerate(itertools.cycle(kinds)):
            left = count - findings.requests
            if left <= 0:
                break
            # Some operations have few different requests, so the others get more turns.
            _ask_about(
                operation, mode, number, min(left, count // len(kinds) + 1), session, findings
            )
            tell(findings.requests / count)
    return findings


def _ask_about(
    operation: APIOperation, mode: schemathesis.GenerationMode, number: int, count: int,
    session: requests.Session, findings: Findings,
) -> None:  # fmt: skip
    @seed(number)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: schemathesis.Case) -> None:
        speakable = mode is schemathesis.GenerationMode.POSITIVE and findings.requests % 2 == 1
        # No schema draws a recording, a form of a voice, what can be designed here, or a book.
        speakable = speakable and (
            case.method == "GET" or not any(part in case.path for part in _UNDRAWN)
        )
        if speakable:
            _make_speakable(case)
        _judge(case, session, findings, speakable=speakable)

    with suppress(Unsatisfiable):  # without parameters there is no invalid request
        ask()


def _make_speakable(case: schemathesis.Case) -> None:
    """Make the request acceptable: give it a text with words, or a rule that makes sense."""
    for fields in _objects(case):
        if "voice_id" in fields:
            fields["voice_id"] = "sine"
        if "dialogue" in case.path:
            fields["inputs"] = [{"text": "A dialogue.", "voice_id": "sine"}]
            fields.update(dict.fromkeys(("model_id", "language_code")))
            continue
        if "rules" in fields:
            fields["rules"] = [{"word": "cat", "alias": "dog"}]
        if "word" in fields:
            fields.pop("language", None)
        fields.pop("after", None)  # the end of a page that there never was
        if not fields.keys().isdisjoint((*_TEXTS, "inputs", "items")):
            if "inputs" in fields:
                fields["text"] = "A dialogue."
            for name in (*_NAMES, *_MARKUP, *_RECORDINGS):
                fields.pop(name, None)
            if fields.get("stream_format") != "sse" and "/audio/speech" in case.path:
                fields.pop("timestamps", None)  # audio alone has no place for them
            for name in _TEXTS:
                if isinstance(text := fields.get(name), str):
                    fields[name] = f"Some words to speak, and {text[:8]}"


def _objects(case: schemathesis.Case) -> Iterator[dict[str, object]]:
    """Yield the body, the query and the path's fields, and the items of a batch."""
    for fields in (case.body, case.query, case.path_parameters):
        if isinstance(fields, dict):
            yield fields
            items = fields.get("items")
            for item in items if isinstance(items, list) else ():
                if isinstance(item, dict):
                    yield item


def _judge(
    case: schemathesis.Case, session: requests.Session, findings: Findings, *, speakable: bool
) -> None:
    asked_s = time.monotonic()
    try:
        response = case.call(session=session, timeout=ANSWER_WITHIN_S)
    except requests.RequestException as error:
        if _sent_timeout(case) and isinstance(error, requests.exceptions.ChunkedEncodingError):
            return  # its time was over after the first audio, so the answer breaks off
        findings.hung.append(f"{error!r}: {case.as_curl_command()}")
        return
    findings.slowest_s = max(findings.slowest_s, time.monotonic() - asked_s)
    findings.statuses[response.status_code] += 1
    if (
        _sent_timeout(case)
        and response.status_code == _EXCUSED[0]
        and response.json()["error"]["code"] == _EXCUSED[1]
    ):
        return
    excluded = [] if speakable else [*_UNLESS_SPEAKABLE]
    if response.status_code == _LONG_HEAD:
        excluded = [positive_data_acceptance, negative_data_rejection]
    elif _holds_written_number(case):
        excluded.append(negative_data_rejection)
    try:
        case.validate_response(response, excluded_checks=excluded)
    except (FailureGroup, Failure) as failure:
        findings.wrong.append(f"{failure}\n{case.as_curl_command()}")


def _holds_written_number(case: schemathesis.Case) -> bool:
    """True if the body holds a number in a string, which the server reads and no schema says."""
    return isinstance(case.body, dict) and any(
        isinstance(value, str) and name not in _TEXTS and _NUMBER.fullmatch(value.strip())
        for name, value in case.body.items()
    )


def _sent_timeout(case: schemathesis.Case) -> bool:
    return any(
        isinstance(fields, dict) and "timeout_s" in fields for fields in (case.body, case.query)
    )
