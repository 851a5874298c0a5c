"""Measure what a server keeps while it is attacked: its health, its listeners, its memory.

Every trial starts a `vivavoce serve` of its own, and `benchmarks.attacks` in another process.
"""

import asyncio
import json
import os
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Final

from benchmarks.attack_requests import BASE, DESIGN, FAR_MODEL
from benchmarks.attacks import ATTACKS, Attack
from benchmarks.far import far_server
from benchmarks.load import Answer, Question, Tell, ask, lag_meter, now
from benchmarks.player import percentile, play
from benchmarks.process import Server, started
from benchmarks.report import Measure, Target
from benchmarks.scenarios import sentences
from benchmarks.vitals import GIVE_UP_S, Vitals, watched
from vivavoce.settings import Settings

LISTENERS: Final = 3
START_BUFFER_S: Final = 0.2
AHEAD_S: Final = 1.0  # buffer of a listener's player
HEALTH_MS: Final = 100.0
GROWTH_MB: Final = 200.0
MEMORY_GIB: Final = 10.0
_ATTACK_S: Final = 20.0
_MOST_S: Final = 60.0  # limit for an attack
_SETTLE_S: Final = 6.0
_LAST_ANSWER_S: Final = 40.0
_ROOT: Final = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True)
class Siege:
    """The observations of an attack from `began_s` to `ended_s`, and those `before` it."""

    began_s: float
    ended_s: float
    outcomes: Counter[str]
    before: Vitals
    during: Vitals
    answers: Sequence[Answer]  # of listeners who heard any of it
    log_bytes: int
    lags_s: Sequence[float]


async def under_attack(name: str, scale: float, tell: Tell) -> list[Measure]:
    """Attack a server for 20 s, or a share of it, and return measures."""
    with tempfile.TemporaryDirectory() as folder:
        async with AsyncExitStack() as stack:
            server = await stack.enter_async_context(_server(name, Path(folder)))
            await _speak_once(server)
            tell(0.2)
            siege = await _besiege(name, server, Path(folder), max(_ATTACK_S * scale, 4.0))
    return measures(ATTACKS[name], siege)


@asynccontextmanager
async def _server(name: str, folder: Path) -> AsyncGenerator[Server]:
    """Start a server for the attack. It is killed in the end, as it may not answer."""
    attack = ATTACKS[name]
    environment = {"TMPDIR": str(folder), "VIVAVOCE_CACHE_DIR": str(folder / "cache")}
    if attack.files_mb is not None and "max_spool_bytes" in Settings.model_fields:
        environment["VIVAVOCE_MAX_SPOOL_BYTES"] = str(int(attack.files_mb * 1e6))
    async with AsyncExitStack() as stack:
        models, arguments = list(attack.models), ["--models", ",".join(attack.models)]
        if name == "names":
            url = await stack.enter_async_context(far_server())
            models, arguments = [*models, FAR_MODEL], [*arguments, "--remote", f"{FAR_MODEL}={url}"]
        elif name == "instructions-qwen":
            made = await asyncio.to_thread(_checkpoints, folder)
            models, arguments = [*models, DESIGN, BASE], [*arguments, "--qwen", made]
        server = await stack.enter_async_context(
            started(
                models,
                environment=environment,
                memory_gib=MEMORY_GIB,
                arguments=arguments,
                descriptors=attack.descriptors,
                tls=attack.tls,
            )
        )
        try:
            yield server
        finally:
            await _kill(server)


def _checkpoints(folder: Path) -> str:
    """Write tiny random checkpoints and return their folders for the setting `qwen`."""
    from tests.models.qwen3_tts.whole import whole_checkpoint  # needs the extra `qwen`

    design = whole_checkpoint(folder / DESIGN, "voice_design")
    return f"{design},{whole_checkpoint(folder / BASE, 'base')}"


async def _kill(server: Server) -> None:
    assert server.pid is not None, "it was started here"
    assert server.ended is not None, "it was started here"
    os.kill(server.pid, signal.SIGKILL)
    await server.ended()


async def _speak_once(server: Server) -> None:
    """Send one request, so that everything is loaded."""
    for text in sentences()[:4]:
        await ask(server.address, Question(text, "hibari"))


async def _besiege(name: str, server: Server, folder: Path, seconds: float) -> Siege:
    assert server.pid is not None, "it was started here"
    over = asyncio.Event()
    async with lag_meter() as lags_s, watched(server.address, server.pid, folder) as vitals:
        length = max(2, min(7, int(seconds // 2)))
        texts = [_paragraph(3 * number, length) for number in range(LISTENERS)]
        listeners = [asyncio.create_task(_listen(server, text, over)) for text in texts]
        await asyncio.sleep(min(_SETTLE_S, seconds / 2))
        began_s = now()
        outcomes = await _attack(name, server, seconds)
        ended_s = now()
        log_bytes = server.log_bytes
        over.set()
        heard = await asyncio.gather(*listeners)
    answers = [one for each in heard for one in each if one.ended_s > began_s]
    return Siege(
        began_s,
        ended_s,
        outcomes,
        vitals.within(0.0, began_s),
        vitals.within(began_s, ended_s),
        answers,
        log_bytes,
        lags_s,
    )


async def _attack(name: str, server: Server, seconds: float) -> Counter[str]:
    """Run the attack as a process and return its outcomes. Stop it after a minute."""
    options = ["--tls"] if server.address.tls else []
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.attacks", name, str(server.address.port)),
        *(str(seconds), *options),
        cwd=_ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(_MOST_S):
            output, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return Counter({f"stopped after {_MOST_S:g} s": 1})
    if process.returncode:
        raise RuntimeError(f"the attack {name!r} ended with exit code {process.returncode}")
    return Counter(json.loads(output))


def _paragraph(first: int, length: int) -> str:
    """Return `length` sentences from number `first` on, about four seconds of speech each."""
    return " ".join(islice(cycle(sentences()), first, first + length))


async def _listen(server: Server, text: str, over: asyncio.Event) -> list[Answer]:
    """Request and play the text in real time, repeatedly, until it is `over`."""
    answers: list[Answer] = []
    while not over.is_set():
        answers.append(await _heard_text(server, text))
        if not answers[-1].good:
            await asyncio.sleep(0.5)
    return answers


async def _heard_text(server: Server, text: str) -> Answer:
    asked_s = now()
    try:
        async with asyncio.timeout(_LAST_ANSWER_S):
            return await ask(server.address, Question(text, "hibari"), ahead_s=AHEAD_S)
    except TimeoutError:
        return Answer("none", asked_s, ended_s=now())


def measures(attack: Attack, siege: Siege) -> list[Measure]:
    took_s = [check.took_s for check in siege.during.checks]
    failed = sum(not check.good for check in siege.during.checks)
    bad = sum(n for outcome, n in siege.outcomes.items() if outcome not in attack.allowed)
    # A file system may set aside a little more than a file holds.
    files = None if attack.files_mb is None else Target(1.1 * attack.files_mb)
    growth_mb = siege.during.memory_mb - siege.before.memory_mb
    return [
        Measure("seconds of the attack", siege.ended_s - siege.began_s, "s"),
        *(Measure(f"outcome: {what}", n) for what, n in sorted(siege.outcomes.items())),
        Measure("outcomes that must not be", bad, target=Target(0)),
        Measure("`/health/live`: asked", len(took_s)),
        Measure("`/health/live`: p50", 1000 * percentile(took_s, 50), "ms"),
        Measure("`/health/live`: p99", 1000 * percentile(took_s, 99), "ms", Target(HEALTH_MS)),
        Measure(f"`/health/live`: not within {GIVE_UP_S:g} s", failed, target=Target(0)),
        *_heard(siege.answers),
        Measure("memory grew by", growth_mb, "MB", Target(GROWTH_MB)),
        Measure("temporary files, at most", siege.during.files_mb, "MB", files),
        Measure("log written", siege.log_bytes / 1e6, "MB"),
        Measure("load generator late, p99", 1000 * percentile(siege.lags_s, 99), "ms"),
    ]


def _heard(answers: Sequence[Answer]) -> list[Measure]:
    good = [answer for answer in answers if answer.good]
    gaps_s = [
        gap_s
        for answer in good
        for gap_s in play(answer.arrivals, answer.ended_s, start_buffer_s=START_BUFFER_S).gaps_s
    ]
    cut = sum(answer.status in ("broken", "none") for answer in answers)
    return [
        Measure("listeners: answers", len(answers)),
        Measure("listeners: cut, or not answered", cut, target=Target(0)),
        Measure("listeners: refused", len(answers) - len(good) - cut),
        Measure("underruns", len(gaps_s), target=Target(0)),
        Measure("silence by underruns", 1000 * sum(gaps_s), "ms"),
    ]
