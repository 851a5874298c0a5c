"""Compare a server with the engine behind it on the same texts.

They take turns, so that both meet the same state of the machine.
"""

import asyncio
import random
from collections.abc import Sequence
from contextlib import aclosing
from statistics import median

from benchmarks.load import Question, Tell, ask, now
from benchmarks.report import Measure, Target
from benchmarks.wire import Address
from vivavoce.cli.in_process import open_pool
from vivavoce.errors import EngineFault
from vivavoce.serving.base import Engine
from vivavoce.settings import Settings
from vivavoce.synthesis.routing.voices import find_voice
from vivavoce.text.normalize import normalize
from vivavoce.text.split import split
from vivavoce.types import Segment

LANGUAGE = "en"


async def overhead(
    address: Address,
    model: str,
    texts: Sequence[str],
    *,
    rounds: int,
    target: Target | None,
    tell: Tell,
) -> list[Measure]:
    """Measure the time of a whole request beside the engine's own time in this process.

    Both speak each text one after the other, in random order. The ratio is the median over these
    pairs.
    """
    draw = random.Random(0)
    engine_s, http_s = [], []
    async with open_pool(Settings.read(models=(model,))) as pool:
        engine = (await pool.acquire(model)).engine
        segments = [_segment(engine, text) for text in texts]
        await _engine_time(engine, segments[0])  # loads what is loaded on first use
        await _http_time(address, model, segments[0].text)
        for turn in range(rounds):
            for index, segment in enumerate(segments):
                server_first = draw.random() < 0.5
                if server_first:
                    http_s.append(await _http_time(address, model, segment.text))
                engine_s.append(await _engine_time(engine, segment))
                if not server_first:
                    http_s.append(await _http_time(address, model, segment.text))
                tell((turn * len(segments) + index + 1) / (rounds * len(segments)))
    ratio = median(http / own for http, own in zip(http_s, engine_s, strict=True))
    extra_s = median(http - own for http, own in zip(http_s, engine_s, strict=True))
    return [
        Measure("engine in process, median", 1000 * median(engine_s), "ms"),
        Measure("over HTTP, median", 1000 * median(http_s), "ms"),
        Measure("HTTP more than engine, median", 1000 * extra_s, "ms"),
        Measure("HTTP / engine, median of pairs", ratio, "×", target),
    ]


async def side_by_side(
    address: Address,
    model: str,
    texts: Sequence[str],
    *,
    rounds: int,
    target: Target | None,
    tell: Tell,
) -> list[Measure]:
    """Measure the throughput of two requests at a time over two in a row.

    Both speak the same text, in turn.
    """
    gains = []
    for turn in range(rounds):
        for index, text in enumerate(texts):
            question = Question(text, model)
            alone_s = await _time_of(address, question, together=1) + await _time_of(
                address, question, together=1
            )
            gains.append(alone_s / await _time_of(address, question, together=2))
            tell((turn * len(texts) + index + 1) / (rounds * len(texts)))
    return [Measure("throughput of two at a time / one at a time", median(gains), "×", target)]


def _segment(engine: Engine, text: str) -> Segment:
    """Return `text` as the segment that the server passes to the engine.

    It must be short enough for one segment.

    It must be short enough for one segment.
    """
    pieces = list(split(normalize(text), LANGUAGE, max_chars=engine.info.max_segment_chars))
    assert len(pieces) == 1, f"{text!r} becomes {len(pieces)} segments"
    voice, _ = find_voice(engine.info, None, LANGUAGE)
    return Segment(pieces[0].text, voice.id, LANGUAGE)


async def _engine_time(engine: Engine, segment: Segment) -> float:
    started_s = now()
    async with aclosing(engine.speak(segment)) as chunks:
        async for _ in chunks:
            pass
    return now() - started_s


async def _http_time(address: Address, model: str, text: str) -> float:
    return await _time_of(address, Question(text, model), together=1)


async def _time_of(address: Address, question: Question, *, together: int) -> float:
    """Return the seconds from `together` simultaneous requests to the last byte."""
    answers = await asyncio.gather(*(ask(address, question) for _ in range(together)))
    for answer in answers:
        if not answer.good:
            raise EngineFault(
                f"a request failed with {answer.status!r}; "
                "see the server's log, or try --scenario alone"
            )
    return max(answer.ended_s for answer in answers) - min(answer.asked_s for answer in answers)
