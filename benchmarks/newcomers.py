"""Measure the first audio of a newcomer after clients that left, and beside one that never reads.

Each trial is compared with the same request alone just before it, so that both meet the same state
of the machine.
"""

import asyncio
import math
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from statistics import median

from benchmarks.load import Question, Tell, ask, now
from benchmarks.report import Measure, Target
from benchmarks.wire import Address, unread
from vivavoce.errors import EngineFault

CROWD = 60
STAYS_S = (0.05, 0.3, 1.0)  # how long a client of the crowd waits before it leaves
LONG_CHARS = 3000
_SETTLE_S = 0.7
_AGAIN_S = 0.02  # a newcomer that is refused asks again
_GIVE_UP_S = 30.0
_PATH = "/v1/tts/synthesize"

Around = Callable[[int], AbstractAsyncContextManager[None]]  # what a newcomer of a trial meets


async def after_drops(
    address: Address, model: str, texts: Sequence[str], *, rounds: int, tell: Tell
) -> list[Measure]:
    """Measure newcomers after `CROWD` clients who ask at once for a long text and leave."""
    long = Question(_long(texts), model)

    @asynccontextmanager
    async def crowd(turn: int) -> AsyncGenerator[None]:
        stay_s = STAYS_S[turn % len(STAYS_S)]
        await asyncio.gather(*(_ask_and_leave(address, long, stay_s) for _ in range(CROWD)))
        yield

    questions = [Question(text, model) for text in texts for _ in STAYS_S]
    pairs = await _pairs(address, questions, rounds * len(STAYS_S), crowd, tell)
    measures = _measures(f"after {CROWD} drops", pairs, Target(1.5))
    for place, stay_s in enumerate(STAYS_S):
        ratio = median(after / alone for alone, after in pairs[place :: len(STAYS_S)])
        measures.append(Measure(f"… that left after {stay_s:g} s / alone", ratio, "×"))
    return measures


async def beside_stalled(
    address: Address, model: str, texts: Sequence[str], *, rounds: int, tell: Tell
) -> list[Measure]:
    """Measure newcomers beside a client that asks for a long text and never reads."""
    body, measures = Question(_long(texts), model).body(), []
    questions = [Question(text, model) for text in texts]
    for when, wait_s in (("it begins", 0.3), ("it waits", 6.0)):

        @asynccontextmanager
        async def stalled(turn: int, wait_s: float = wait_s) -> AsyncGenerator[None]:
            with await asyncio.to_thread(unread, address, _PATH, body):
                await asyncio.sleep(wait_s)
                yield

        pairs = await _pairs(address, questions, rounds, stalled, tell)
        measures += _measures(f"beside a client that never reads, as {when}", pairs, Target(2.0))
    return measures


async def _pairs(
    address: Address, questions: Sequence[Question], trials: int, around: Around, tell: Tell
) -> list[tuple[float, float]]:
    """Return the seconds to first audio, alone and as a newcomer, of each trial."""
    pairs = []
    for turn in range(trials):
        question = questions[turn % len(questions)]
        alone_s = await _first_audio(address, question)
        await asyncio.sleep(_SETTLE_S)
        async with around(turn):
            pairs.append((alone_s, await _first_audio(address, question)))
        await asyncio.sleep(_SETTLE_S)
        tell((turn + 1) / trials)
    return pairs


async def _first_audio(address: Address, question: Question) -> float:
    asked_s = now()
    while now() - asked_s < _GIVE_UP_S:
        answer = await ask(address, question, asked_s)
        if answer.good and not math.isnan(answer.first_audible_s):
            return answer.first_audible_s - asked_s
        await asyncio.sleep(_AGAIN_S)
    raise EngineFault(f"no answer to {question.text!r} within {_GIVE_UP_S:g} s")


async def _ask_and_leave(address: Address, question: Question, stay_s: float) -> None:
    connection = await asyncio.to_thread(unread, address, _PATH, question.body())
    await asyncio.sleep(stay_s)
    connection.close()


def _long(texts: Sequence[str]) -> str:
    text = " ".join(texts)
    return (text * (LONG_CHARS // len(text) + 1))[:LONG_CHARS]


def _measures(what: str, pairs: Sequence[tuple[float, float]], target: Target) -> list[Measure]:
    alone_s, after_s = ([pair[place] for pair in pairs] for place in (0, 1))
    ratios = [after / alone for alone, after in pairs]
    return [
        Measure("first audio alone, median", 1000 * median(alone_s), "ms"),
        Measure(f"first audio {what}, median", 1000 * median(after_s), "ms"),
        Measure(f"… / alone, median of {len(pairs)} pairs", median(ratios), "×", target),
        Measure("… / alone, worst pair", max(ratios), "×"),
    ]
