"""Run trials with requests that no client should send, and with models that fail."""

import asyncio
import hashlib
import logging
import re
import time
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Final

from tests.faults.bad_inputs import BAD_INPUTS, BadInput

from benchmarks.fuzz import ANSWER_WITHIN_S
from benchmarks.fuzz import fuzz as make_requests
from benchmarks.load import Question, Tell, ask
from benchmarks.report import Measure, Target
from benchmarks.scenarios import sentences
from benchmarks.tone import SHORT, tone_server
from benchmarks.wire import Address, send
from vivavoce.models.tone import FAULT_KINDS

log = logging.getLogger(__name__)

FUZZ_GIB = 2.0
FUZZ_PEAK_MIB = 600.0
RECEIVE_TIMEOUT_S = 2.0  # short, so that half a request is soon answered
MAX_STEP_S = 2.0
BACK_WITHIN_S = 10.0
SHARED: Final = frozenset({"hang"})  # ends all streams together
_SHOWN = 10
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3}) ")


async def fuzz(scale: float, tell: Tell) -> list[Measure]:
    """Send requests made from the API's description, then the hand-made ones."""
    count = max(int(10_000 * scale), 200)
    async with tone_server(memory_gib=FUZZ_GIB, receive_timeout_s=RECEIVE_TIMEOUT_S) as server:
        findings = await asyncio.to_thread(
            make_requests, server.address, count, lambda share: tell(share * 0.9)
        )
        wrong = [
            problem for bad in BAD_INPUTS if (problem := await _wrong_with(server.address, bad))
        ]
        answer = await ask(server.address, SHORT[0])
        usage = server.usage()
    for problem in (findings.wrong + findings.hung + wrong)[:_SHOWN]:
        log.warning("%s", problem)
    faults = sum(
        number for status, number in findings.statuses.items() if status >= 500 and status != 504
    )
    return [
        Measure("requests out of the description", findings.requests),
        Measure("answered with an error of the server's", faults, target=Target(0)),
        Measure("answered otherwise than documented", len(findings.wrong), target=Target(0)),
        Measure(f"not answered within {ANSWER_WITHIN_S:g} s", len(findings.hung), target=Target(0)),
        Measure("slowest answer", findings.slowest_s, "s"),
        Measure("hand-made requests", len(BAD_INPUTS)),
        Measure("answered otherwise than they must be", len(wrong), target=Target(0)),
        Measure("most memory", usage.peak_mib if usage else 0.0, "MiB", Target(FUZZ_PEAK_MIB)),
        Measure("requests that failed afterwards", 0 if answer.good else 1, target=Target(0)),
    ]


async def _wrong_with(address: Address, bad: BadInput) -> str:
    """Return the fault in the answer to `bad`, or an empty string."""
    reader, writer = await asyncio.open_connection(address.host, address.port)
    received = b""
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            writer.write(bad.request)
            if bad.hangs_up:
                writer.write_eof()
            while part := await reader.read(1 << 16):
                received += part
    except ConnectionError:
        pass  # closed with unread input, which is not an answer
    except TimeoutError:
        return f"{bad.name}: the connection stayed open for {ANSWER_WITHIN_S:g} s"
    finally:
        writer.close()
    statuses = [int(status) for status in _STATUS.findall(received)]
    if statuses != ([bad.status] if bad.status else []):
        return f"{bad.name}: answered {statuses}, must be {bad.status}: {received[:300]!r}"
    return (
        ""
        if bad.word.encode() in received
        else f"{bad.name}: {bad.word!r} is not in {received[-300:]!r}"
    )


async def faults(scale: float, tell: Tell) -> list[Measure]:
    """Measure each kind of fault in turn, beside seven clients that repeat their requests."""
    texts = [" ".join(sentences()[number : number + 2]) for number in range(7)]
    others = [Question(text, "tone", "sine") for text in texts]
    rounds = max(int(2 * scale), 1)
    measures: list[Measure] = []
    async with tone_server(0.1, tone_faults=",".join(FAULT_KINDS), max_step_s=MAX_STEP_S) as server:
        expected = await _all_heard(server.address, others)
        for index, kind in enumerate(FAULT_KINDS):
            differ, later, back_s = 0, 0, 0.0
            for _ in range(rounds):
                heard, seconds = await _beside(kind, server.address, others)
                differ += _unlike(heard, expected)
                later += _unlike(await _all_heard(server.address, others), expected)
                back_s = max(back_s, seconds)
            target = None if kind in SHARED else Target(0)
            measures.append(
                Measure(f"{kind}: others beside it that were not the same", differ, target=target)
            )
            measures.append(
                Measure(f"{kind}: others after it that were not the same", later, target=Target(0))
            )
            measures.append(
                Measure(f"{kind}: speaks again within", back_s, "s", Target(BACK_WITHIN_S))
            )
            tell((index + 1) / len(FAULT_KINDS))
    return measures


async def _beside(kind: str, address: Address, others: list[Question]) -> tuple[list[str], float]:
    """Return the hashes that the other clients got, and the recovery time.

    The recovery time runs from the start of the faulty stream to the first audio of the next
    request.
    """
    asked_s = time.monotonic()
    failing = asyncio.create_task(ask(address, replace(others[0], speaker=kind)))
    heard = await _all_heard(address, others)
    if kind not in SHARED:
        asked_s = time.monotonic()  # the other streams were not interrupted
    give_up_s = asked_s + 3 * BACK_WITHIN_S
    while not (await ask(address, SHORT[0])).good and time.monotonic() < give_up_s:  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    back_s = time.monotonic() - asked_s
    failing.cancel()  # it may have no end
    await asyncio.gather(failing, return_exceptions=True)
    return heard, back_s


async def _all_heard(address: Address, questions: Sequence[Question]) -> list[str]:
    return await asyncio.gather(*(_heard(address, question) for question in questions))


def _unlike(heard: Sequence[str], expected: Sequence[str]) -> int:
    return sum(one != same for one, same in zip(heard, expected, strict=True))


async def _heard(address: Address, question: Question) -> str:
    """Return a hash of the audio, or the status of an answer without audio."""
    digest = hashlib.sha256()
    try:
        async with (
            asyncio.timeout(ANSWER_WITHIN_S + BACK_WITHIN_S),
            send(address, "POST", "/v1/tts/synthesize", question.body()) as response,
            aclosing(response.pieces()) as pieces,
        ):
            digest.update(str(response.status).encode())
            async for piece in pieces:
                digest.update(piece)
    except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
        return repr(error)
    return digest.hexdigest()
