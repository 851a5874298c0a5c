"""Run endurance trials against a server of the tone model.

- Every trial runs `vivavoce serve` in a process of its own and speaks to it over real sockets.
- `scale` is a share of the full length. At 1, all trials together take most of an hour.
"""

import asyncio
import math
import os
import random
import signal
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from functools import partial

from benchmarks.abuse import faults, fuzz
from benchmarks.attacks import ATTACKS
from benchmarks.load import Load, Question, Tell, ask, listeners, now, strangers
from benchmarks.player import percentile
from benchmarks.process import Server
from benchmarks.report import Measure, Result, Target, load_measures
from benchmarks.scenarios import paragraphs
from benchmarks.tone import SHORT, Held, tone_server
from benchmarks.under_attack import under_attack
from benchmarks.wire import unread
from vivavoce.api.request_log import MAX_RECORDS
from vivavoce.models.tone import CHUNK_S

START_BUFFER_S = 0.2
FREED_WITHIN_S = 0.2
_SETTLE_S = 10.0
WORKERS = 6  # threads for blocking work such as files, started on first use
# The server is then `max_ahead_s` ahead of clients that do not read: 30 s, at five times real time.
FULL_AFTER_S = 8.0


@dataclass(frozen=True, slots=True)
class Trial:
    """One endurance trial."""

    what: str
    run: Callable[[float, Tell], Awaitable[list[Measure]]]


async def survive(name: str, scale: float, tell: Tell) -> Result:
    """Run the trial of that name at `scale`."""
    return Result(name, TRIALS[name].what, tuple(await TRIALS[name].run(scale, tell)))


async def _soak(scale: float, tell: Tell) -> list[Measure]:
    async with tone_server(0.2) as server:
        questions = [Question(text, "tone") for text in paragraphs()]

        call = partial(listeners, server.address)
        duration_s, silent = max(600.0 * scale, 5.0), lambda _: None
        # This allocates what is allocated once: the request log, and 32 streams at a time.
        most = max(int(1.2 * MAX_RECORDS * scale), 64)
        await call(SHORT, Load(32, 60.0, most, START_BUFFER_S, impatient=True), silent)
        load = Load(32, 0.1 * duration_s, 10**6, START_BUFFER_S, seed=1)
        await call(questions, load, silent)
        before = Held.of(server)
        run = await call(questions, replace(load, duration_s=duration_s, seed=2), tell)
        after = Held.of(server)
        measures = load_measures(run, start_buffer_s=START_BUFFER_S)
        wanted = {
            "requests", "time to first audio, p95", "underruns", "failed requests",
            "load generator late, p99",
        }  # fmt: skip
        targets = {
            "time to first audio, p95": Target(300.0),
            "underruns": Target(0),
            "failed requests": Target(0),
        }
        kept = [
            Measure(one.name, one.value, one.unit, targets.get(one.name))
            for one in measures
            if one.name in wanted
        ]
        growth = (after.own_mib / before.own_mib - 1) * 100
        latest = Measure(
            "load generator late, at most", 1000 * max(run.lags_s, default=math.nan), "ms"
        )
        return [*kept, latest, Measure("memory grew by", growth, "%", Target(2.0))]


async def _overload(scale: float, tell: Tell) -> list[Measure]:
    factor, places = 4.0, 64
    filled_s = factor * 1.5  # from then on as many requests end as begin
    duration_s = max(60.0 * scale, 2 * filled_s)
    async with tone_server(factor, max_queued_requests=8, queue_timeout_s=0.5) as server:
        rate = 10 * places / factor / 1.5
        began_s = now()
        run = await strangers(
            server.address, SHORT, rate=rate, duration_s=duration_s, at_most=10**6, tell=tell
        )
    good = [answer for answer in run.answers if answer.good]
    # A slot makes a chunk in every step of a text but the last, which finds the text's end.
    steps = sum(math.ceil(answer.audio_s / CHUNK_S) + 1 for answer in good)
    audio_s = math.fsum(answer.audio_s for answer in good)
    capacity = (
        places * audio_s / (steps * factor * CHUNK_S) if good else math.nan
    )  # audio seconds a second
    answered_s = [answer.first_byte_s - answer.asked_s for answer in run.answers]
    full_s = began_s + filled_s, began_s + duration_s
    arrivals = [
        arrival
        for answer in good
        for arrival in answer.arrivals
        if full_s[0] <= arrival.at_s < full_s[1]
    ]
    goodput = math.fsum(arrival.audio_s for arrival in arrivals) / (duration_s - filled_s)
    odd = [answer.status for answer in run.answers if answer.status not in ("200", "429", "503")]
    late = sum(1 for seconds in answered_s if not seconds <= 1.0)
    return [
        Measure("requests", len(run.answers)),
        Measure("refused with 429 or 503", len(run.answers) - len(good) - len(odd)),
        Measure("answered otherwise, or not at all", len(odd), target=Target(0)),
        Measure("answered after more than 1 s", late, target=Target(0)),
        Measure("time to the answer, p99", percentile(answered_s, 99) * 1000, "ms"),
        Measure("load generator late, p99", percentile(run.lags_s, 99) * 1000, "ms"),
        Measure(
            "goodput, of what the model can make of these texts",
            100 * goodput / capacity,
            "%",
            Target(90, False),
        ),
    ]


async def _disconnects(scale: float, tell: Tell) -> list[Measure]:
    count, draw = max(int(1000 * scale), 40), random.Random(0)
    async with tone_server(0.5) as server:

        async def leave(delay_s: float, stays_s: float) -> None:
            await asyncio.sleep(delay_s)
            try:
                async with asyncio.timeout(stays_s):
                    await ask(server.address, draw.choice(SHORT))
            except TimeoutError:
                pass  # the client left

        def leaving(number: int) -> list[Coroutine[None, None, None]]:
            return [leave(draw.random() * number / 50, draw.random()) for _ in range(number)]

        await asyncio.gather(*leaving(100))  # starts what is started once, such as worker threads
        before = Held.of(server)
        for done, call in enumerate(asyncio.as_completed(leaving(count))):
            await call
            tell(done / count)
        left_s = time.monotonic()
        await _until(lambda: Held.of(server).files <= before.files)
        freed_s = time.monotonic() - left_s
        after = Held.of(server)
        answer = await ask(server.address, SHORT[0])
    return [
        Measure("clients that left", count),
        Measure("connections closed within", freed_s * 1000, "ms", Target(FREED_WITHIN_S * 1000)),
        Measure("open files left over", after.files - before.files, target=Target(0)),
        Measure("threads left over", after.threads - before.threads, target=Target(WORKERS)),
        Measure("requests that failed afterwards", 0 if answer.good else 1, target=Target(0)),
    ]


async def _terminations(scale: float, tell: Tell) -> list[Measure]:
    rounds, draw = max(int(50 * scale), 2), random.Random(0)
    cut = codes = whole = 0
    for number in range(rounds):
        async with tone_server(0.3) as server:
            pid, ended = _own(server)
            calls = [asyncio.create_task(ask(server.address, question)) for question in SHORT]
            await asyncio.sleep(0.1 + draw.random() * 0.4)
            os.kill(pid, signal.SIGTERM)
            answers = await asyncio.gather(*calls)
            whole += sum(answer.good for answer in answers)
            cut += sum(answer.status == "broken" for answer in answers)
            codes += await ended() != 0
        tell((number + 1) / rounds)
    return [
        Measure("SIGTERMs under load", rounds),
        Measure("answers that were complete", whole),
        Measure("answers that were cut", cut, target=Target(0)),
        Measure("exit codes other than 0", codes, target=Target(0)),
    ]


async def _kills(scale: float, tell: Tell) -> list[Measure]:
    rounds, failed = max(int(20 * scale), 2), 0
    for number in range(rounds):
        async with tone_server() as server:
            pid, ended = _own(server)
            calls = [asyncio.create_task(ask(server.address, question)) for question in SHORT]
            await asyncio.sleep(0.05)
            os.kill(pid, signal.SIGKILL)
            await ended()
            await asyncio.gather(*calls)
        async with tone_server() as server:
            failed += not (await ask(server.address, SHORT[0])).good
        tell((number + 1) / rounds)
    return [
        Measure("kill -9 and a new start", rounds),
        Measure("that did not speak", failed, target=Target(0)),
    ]


async def _slow_readers(scale: float, tell: Tell) -> list[Measure]:
    calls = max(int(100 * scale), 10)

    async def first_audio_ms(server: Server) -> float:
        answers = [await ask(server.address, question) for question in (SHORT * calls)[:calls]]
        return (
            percentile([answer.first_audible_s - answer.asked_s for answer in answers], 50) * 1000
        )

    body = Question("A text that goes on and on. " * 400, "tone").body()
    async with tone_server(0.2) as server:
        before_ms = await first_audio_ms(server)
        tell(0.3)
        slow = [unread(server.address, "/v1/tts/synthesize", body) for _ in range(40)]
        idle = [
            await asyncio.open_connection(server.address.host, server.address.port)
            for _ in range(100)
        ]
        await asyncio.sleep(FULL_AFTER_S)
        tell(0.6)
        beside_ms = await first_audio_ms(server)
        for connection in slow:
            connection.close()
        for _, writer in idle:
            writer.close()
    return [
        Measure("time to first audio alone, p50", before_ms, "ms"),
        Measure(
            "beside 40 who do not read and 100 who say nothing, p50",
            beside_ms,
            "ms",
            Target(2 * before_ms),
        ),
    ]


def _own(server: Server) -> tuple[int, Callable[[], Awaitable[int]]]:
    """Return the process id of a server started here, and its exit waiter."""
    assert server.pid is not None, "it was started here"
    assert server.ended is not None, "it was started here"
    return server.pid, server.ended


async def _until(holds: Callable[[], bool]) -> None:
    """Wait until the condition holds, or for `_SETTLE_S`."""
    give_up_s = time.monotonic() + _SETTLE_S
    while not holds() and time.monotonic() < give_up_s:  # noqa: ASYNC110 - another process tells nobody
        await asyncio.sleep(0.005)


TRIALS: Mapping[str, Trial] = {
    "soak": Trial(
        "32 listeners to a model that takes a fifth of real time, for ten minutes.", _soak
    ),
    "overload": Trial("Ten times the requests that the model can speak, for a minute.", _overload),
    "disconnects": Trial("1,000 clients that leave at random moments.", _disconnects),
    "sigterm": Trial("SIGTERM under load, 50 times.", _terminations),
    "kill": Trial("kill -9 under load and a new start, 20 times.", _kills),
    "fuzz": Trial(
        "10,000 requests out of the API's own description, and the worst ones by hand.", fuzz
    ),
    "faults": Trial("Each fault of an engine while seven others speak.", faults),
    "slow-readers": Trial(
        "40 clients that do not read and 100 idle connections beside one that does.", _slow_readers
    ),
    **{
        f"abuse-{name}": Trial(attack.what, partial(under_attack, name))
        for name, attack in ATTACKS.items()
    },
}
