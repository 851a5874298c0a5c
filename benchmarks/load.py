"""Request speech as many clients would, and record when the audio arrives.

It knows nothing of models or targets.

There are two kinds of clients:

- Listeners send the next request when the last answer has been played to its end.
- Strangers send requests at random moments, even if the server does not keep up.
"""

import asyncio
import gc
import itertools
import json
import math
import random
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass

from benchmarks.player import SAMPLE_BYTES, Arrival, FirstAudible, play, poisson_arrivals
from benchmarks.wire import LINE_BYTES, Address, Response, send

Tell = Callable[[float], None]  # called with the finished share of the work, from 0 to 1

_ANSWER_TIMEOUT_S = 120.0
_SORRY_S = 0.5  # delay before a rejected client tries again
_LAG_STEP_S = 0.02
_PACED_BYTES = 1 << 14  # a third of a second at 24 kHz

now = time.perf_counter


@dataclass(frozen=True, slots=True)
class Question:
    """A request for speech. The answer is streamed as it is generated.

    The timing of an answer is that of its audio in the format `pcm` alone.
    """

    text: str
    model: str
    speaker: str | None = None
    max_new_tokens: int | None = None  # frames of a language model's speech, at most
    format: str = "pcm"

    def body(self) -> bytes:
        fields = {
            "text": self.text, "model": self.model, "speaker": self.speaker,
            "format": self.format,
            "stream": True,
        }  # fmt: skip
        if self.max_new_tokens is not None:
            fields["max_new_tokens"] = self.max_new_tokens
        return json.dumps(fields).encode("ascii")


@dataclass(frozen=True, slots=True)
class Answer:
    """The timing of one answer.

    `status` is that of HTTP, "broken" for half an answer, or "none". Missing times are NaN.
    """

    status: str
    asked_s: float
    first_byte_s: float = math.nan
    first_audible_s: float = math.nan
    ended_s: float = math.nan
    arrivals: tuple[Arrival, ...] = ()

    @property
    def good(self) -> bool:
        return self.status == "200"

    @property
    def audio_s(self) -> float:
        return math.fsum(arrival.audio_s for arrival in self.arrivals)


@dataclass(frozen=True, slots=True)
class LoadRun:
    """The answers to a load. `lags_s` are the delays of the load generator itself."""

    answers: tuple[Answer, ...]
    wall_s: float
    lags_s: tuple[float, ...]


async def ask(
    address: Address, question: Question, asked_s: float | None = None, *, ahead_s: float = math.inf
) -> Answer:
    """Return the answer to `question`.

    Its clock starts at `asked_s`, or before the connection is made.

    With `ahead_s` the caller takes no more than that many seconds of audio ahead of its player.
    """
    asked_s = now() if asked_s is None else asked_s
    limit_bytes = LINE_BYTES if math.isinf(ahead_s) else _PACED_BYTES
    try:
        async with (
            asyncio.timeout(_ANSWER_TIMEOUT_S),
            send(
                address, "POST", "/v1/tts/synthesize", question.body(), limit_bytes=limit_bytes
            ) as response,
        ):
            return await _listen(response, asked_s, ahead_s)
    except asyncio.IncompleteReadError:
        return Answer("broken", asked_s, ended_s=now())
    except (OSError, TimeoutError):
        return Answer("none", asked_s, ended_s=now())


async def _listen(response: Response, asked_s: float, ahead_s: float) -> Answer:
    first_byte_s, first_audible_s = now(), math.nan
    if response.status != 200:
        return Answer(str(response.status), asked_s, first_byte_s, ended_s=first_byte_s)
    bytes_a_second = SAMPLE_BYTES * int(response.headers["x-sample-rate"])
    first_audible = FirstAudible()
    arrivals, audio_s = [], 0.0
    async with aclosing(response.pieces()) as pieces:
        async for piece in pieces:
            at_s = now()
            arrivals.append(Arrival(at_s, len(piece) / bytes_a_second))
            if math.isnan(first_audible_s) and first_audible.write(piece):
                first_audible_s = at_s
            audio_s += arrivals[-1].audio_s
            if (early_s := first_byte_s + audio_s - ahead_s - at_s) > 0:
                await asyncio.sleep(early_s)
    return Answer("200", asked_s, first_byte_s, first_audible_s, now(), tuple(arrivals))


@dataclass(frozen=True, slots=True)
class Load:
    """So many clients for `duration_s` or `at_most` questions.

    An impatient client asks again without listening.
    """

    clients: int
    duration_s: float
    at_most: int
    start_buffer_s: float
    impatient: bool = False
    seed: int = 0


async def listeners(
    address: Address, questions: Sequence[Question], load: Load, tell: Tell
) -> LoadRun:
    """Run the listeners of `load`, which begin at random moments of the first second.

    Every answer is read to its end.
    """
    draw, duration_s = random.Random(load.seed), load.duration_s
    turns = itertools.islice(itertools.cycle(questions), load.at_most)
    started_s = now()

    async def listener(delay_s: float) -> list[Answer]:
        await asyncio.sleep(delay_s)
        heard = []
        while now() - started_s < duration_s and (question := next(turns, None)):
            heard.append(answer := await ask(address, question))
            tell(min(1.0, (now() - started_s) / duration_s))
            await _pause(answer, load.start_buffer_s, load.impatient)
        return heard

    async with lag_meter() as lags_s:
        delays_s = [draw.random() * min(1.0, duration_s) for _ in range(load.clients)]
        answers = itertools.chain.from_iterable(await asyncio.gather(*map(listener, delays_s)))
    return _run(answers, started_s, lags_s)


async def _pause(answer: Answer, start_buffer_s: float, impatient: bool) -> None:
    if not answer.good:
        await asyncio.sleep(_SORRY_S)
    elif not impatient:
        playback = play(answer.arrivals, answer.ended_s, start_buffer_s=start_buffer_s)
        await asyncio.sleep(max(0.0, playback.ended_s - now()))


async def strangers(
    address: Address,
    questions: Sequence[Question],
    *,
    rate: float,
    duration_s: float,
    at_most: int,
    seed: int = 0,
    tell: Tell,
) -> LoadRun:
    """Send `rate` requests a second, at random moments, for `duration_s` or `at_most` requests.

    Every answer is read to its end.

    Each clock starts at the moment the request was due, so that a late generator does not flatter
    the server.
    """
    turns = itertools.cycle(questions)
    started_s = now()
    async with lag_meter() as lags_s, asyncio.TaskGroup() as group:
        calls = []
        for due_s in poisson_arrivals(rate, duration_s=duration_s, at_most=at_most, seed=seed):
            await asyncio.sleep(max(0.0, started_s + due_s - now()))
            calls.append(group.create_task(ask(address, next(turns), started_s + due_s)))
            tell(due_s / duration_s)
        await asyncio.gather(*calls)
    return _run((call.result() for call in calls), started_s, lags_s)


def _run(answers: Iterable[Answer], started_s: float, lags_s: Sequence[float]) -> LoadRun:
    kept = tuple(answers)
    return LoadRun(
        kept, max((answer.ended_s for answer in kept), default=now()) - started_s, tuple(lags_s)
    )


@asynccontextmanager
async def lag_meter() -> AsyncGenerator[list[float]]:
    """Collect the delays of this event loop's timers, in seconds.

    Garbage collection is off meanwhile: a pass over all arrivals of ten minutes takes about 50 ms.
    """
    lags_s: list[float] = []

    async def measure() -> None:
        while True:
            due_s = now() + _LAG_STEP_S
            await asyncio.sleep(_LAG_STEP_S)
            lags_s.append(now() - due_s)

    meter = asyncio.create_task(measure())
    gc.collect()
    gc.disable()
    try:
        yield lags_s
    finally:
        gc.enable()
        meter.cancel()
