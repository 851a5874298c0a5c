"""Make the takes of sentences: find them, speak them, or find out why there is none.

A sentence is spoken when there is a place for it in the model, and keeps the place until its take
has its name. So a kill costs what is being spoken then, and nothing that waits or is finished.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Final, ParamSpec, TypeVar

from vivavoce.books.processes import give_way
from vivavoce.errors import (
    BadRequest,
    DeadlineExceeded,
    EngineFault,
    NotReady,
    OutOfMemory,
    Overloaded,
    VivavoceError,
)
from vivavoce.jobs.job import Job
from vivavoce.jobs.sound.speaking import Speaker, Spoken, Voiced
from vivavoce.jobs.sound.takes import Facts, Takes
from vivavoce.jobs.store import Row, Store, Take

P = ParamSpec("P")
T = TypeVar("T")

MAX_WAITS: Final = 12  # for a model that is busy or restarts, some five minutes in all
MAX_WAIT_S: Final = 30.0
# A take is unlike the others beyond these parts and multiples of their median.
PACES: Final = (0.45, 2.2)
PITCHES: Final = (0.72, 1.4)
MIN_LETTERS: Final = 30  # of a sentence whose pace and pitch mean something
MIN_SENTENCES: Final = 8  # of one voice in a chapter, for a median


_WORKERS: Final = ThreadPoolExecutor(2, "jobs", initializer=give_way)


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run `function` in a thread, to its end even if this call is cancelled."""
    return await _to_its_end(asyncio.to_thread(function, *args, **kwargs))


async def in_background(function: Callable[..., T], *args: object, stop: Callable[[], None]) -> T:
    """Run long work as `in_thread` does, in a thread that gives way. `stop` shortens it."""
    work = asyncio.get_running_loop().run_in_executor(_WORKERS, function, *args)
    return await _to_its_end(work, stop)


async def _to_its_end(work: Awaitable[T], stop: Callable[[], None] | None = None) -> T:
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        if stop is not None:
            stop()
        while not task.done():
            with suppress(asyncio.CancelledError):  # once more
                await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # seen: nobody waits for it
        raise


class Maker:
    """What makes the takes of one job. New files are written in the folder `spare` first."""

    def __init__(
        self, job: Job, store: Store, takes: Takes, speaker: Speaker, spare: Path, at_once: int
    ) -> None:
        self._job, self._options, self._speaker = job.id, job.options, speaker
        self._store, self._takes, self._spare = store, takes, spare
        self._at_once, self._places, self._free = at_once, 1, asyncio.Semaphore(1)
        self._locks: dict[str, asyncio.Lock] = {}

    async def set_bases(self) -> None:
        """Give each sentence the name of its first take, which follows from all that counts."""
        bases = []
        for row in await in_thread(self._store.sentences, self._job):
            voiced = await self._speaker.voiced(row["voice"], row["language"])
            basis = self._speaker.key(row["text"], voiced, self._first(row))
            if basis != row["basis"]:
                bases.append((row["chapter"], row["number"], basis))
            await asyncio.sleep(0)  # other requests run between two sentences
        if bases:
            await in_thread(self._store.put_bases, self._job, bases)

    async def make(self, row: Row) -> Take:
        """Return the first good take of a sentence, else the best of its attempts."""
        voiced = await self._speaker.voiced(row["voice"], row["language"])
        first, best = self._first(row), None
        for attempt in range(first, first + self._options.attempts):
            take = await self._take(row["text"], voiced, attempt)
            if best is None or (take.samples > 0, not take.problem) > (
                best.samples > 0, not best.problem
            ):  # fmt: skip
                best = take
            if not take.problem or not voiced.seeded:
                break
        assert best is not None, "there is at least one attempt"
        return best

    async def remake(self, row: Row, is_outlier: Callable[[Take], bool]) -> Take | None:
        """Return another take of a sentence that is like the rest, or None if there is none."""
        voiced = await self._speaker.voiced(row["voice"], row["language"])
        first = self._first(row)
        if not voiced.seeded:
            return None
        for attempt in range(first, first + self._options.attempts):
            take = await self._take(row["text"], voiced, attempt)
            if take.samples and not take.problem and not is_outlier(take):
                return take
        return None

    def _first(self, row: Row) -> int:
        return int(row["take"]) * self._options.attempts

    async def _take(self, text: str, voiced: Voiced, attempt: int) -> Take:
        """Return a take that is there, or speak it."""
        key = self._speaker.key(text, voiced, attempt)
        # The same sentence may be asked for twice at the same time.
        async with self._locks.setdefault(key, asyncio.Lock()):
            take = await in_thread(self._known, key)
            if take is None:
                async with self._free:
                    self._add_places()
                    take = await self._spoken(key, text, voiced, attempt)
                if take.samples:
                    await in_thread(self._note, take)
        self._locks.pop(key, None)  # whoever waits for it finds the take
        return take

    def _add_places(self) -> None:
        """Speak as many sentences at once as the model does, which is known when it is loaded."""
        while self._places < min(self._at_once, self._speaker.at_once):
            self._places += 1
            self._free.release()

    async def _spoken(self, key: str, text: str, voiced: Voiced, attempt: int) -> Take:
        try:
            encoded = await self._patiently(text, voiced, attempt)
        except (EngineFault, BadRequest) as error:
            if isinstance(error, BadRequest) and error.field != "text":
                raise
            take = Take(key, 0, self._speaker.narrator.rate_hz, 0, 0.0, 0.0, error.message)
            await in_thread(self._store.put_take, self._job, take)
            return take
        return await in_thread(self._keep, key, encoded)

    def _known(self, key: str) -> Take | None:
        """Return a take of the database, or one whose file is there all the same."""
        known = self._store.take(key)
        if known is None and (found := self._takes.facts(key)) is not None:
            known = _as_take(key, *found)
            self._store.put_take(self._job, known)
        return known

    def _keep(self, key: str, encoded: Callable[[], Spoken]) -> Take:
        spoken = encoded()
        size = self._takes.write(key, spoken.flac, spoken.facts, self._spare)
        return _as_take(key, spoken.facts, spoken.samples, size)

    def _note(self, take: Take) -> None:
        self._takes.sync(take.key)
        self._store.put_take(self._job, take)

    async def _patiently(self, text: str, voiced: Voiced, attempt: int) -> Callable[[], Spoken]:
        """Speak, and wait where the model is busy or not ready."""
        for wait in range(MAX_WAITS):
            try:
                return await self._speaker.speak(text, voiced, attempt)
            except (Overloaded, NotReady, DeadlineExceeded, OutOfMemory) as error:
                if wait == MAX_WAITS - 1:
                    raise
                asked_s = getattr(error, "retry_after_s", None) or 0.5 * 2**wait
                await asyncio.sleep(min(asked_s, MAX_WAIT_S))
        raise VivavoceError("unreachable")


def outliers(rows: Sequence[Row]) -> list[tuple[Row, Callable[[Take], bool], str]]:
    """Return the sentences of a chapter that are unlike the others of their voice.

    Each with what tells another such take, and in words.
    """
    voices = defaultdict[str | None, list[Row]](list)
    for row in rows:
        if row["samples"] and sum(map(str.isalpha, row["text"])) >= MIN_LETTERS:
            voices[row["voice"]].append(row)
    found: list[tuple[Row, Callable[[Take], bool], str]] = []
    for own in voices.values():
        if len(own) < MIN_SENTENCES:
            continue
        pace = median(row["pace"] for row in own)
        pitch = median([row["pitch_hz"] for row in own if row["pitch_hz"]] or [0.0])

        def unlike(pace_: float, pitch_: float, pace: float = pace, pitch: float = pitch) -> str:
            if not PACES[0] <= pace_ / pace <= PACES[1]:
                return f"its pace is {pace_ / pace:.2f} times the others'"
            if pitch and pitch_ and not PITCHES[0] <= pitch_ / pitch <= PITCHES[1]:
                return f"its pitch is {pitch_ / pitch:.2f} times the others'"
            return ""

        def is_outlier(take: Take, unlike: Callable[[float, float], str] = unlike) -> bool:
            return bool(unlike(take.pace, take.pitch_hz))

        reasons = [(row, unlike(row["pace"], row["pitch_hz"])) for row in own]
        found += [(row, is_outlier, why) for row, why in reasons if why]
    return found


def _as_take(key: str, facts: Facts, samples: int, size: int) -> Take:
    problem = f"its audio ends early ({facts.cut})" if facts.cut else ""
    if facts.unspoken:
        problem = f"not spoken of it: {' '.join(facts.unspoken)[:200]!r}"
    return Take(key, samples, facts.rate_hz, size, facts.pace, facts.pitch_hz, problem)
