"""Prepare the voices of recordings, one at a time, and keeps the latest; it knows neither models
nor audio.

Preparing takes a moment and a client sends the same recording with each of its requests, so who
asks again gets what is there, and who asks for what is being prepared waits for it.
"""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from vivavoce.errors import NotReady, Overloaded
from vivavoce.types import PreparedVoice, Reference

# voices; each is about 5 MB on the device for a recording with its words, next to nothing without
KEPT = 16
MAX_WAITING = 16  # recordings that may wait for their turn; each is some megabytes


@dataclass(eq=False, slots=True)
class _Preparation:
    """One recording's turn.

    Who waits for it holds it; a turn that nobody holds any more is given up.
    """

    task: "asyncio.Task[PreparedVoice]"
    waiters: int = 0
    begun: bool = False


class VoiceCache:
    """The voices that `prepare` makes of recordings: it is called in a worker thread, never twice at once."""

    def __init__(
        self,
        prepare: Callable[[Reference], PreparedVoice],
        *,
        kept: int = KEPT,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        self._prepare = prepare
        self._kept = kept
        self._max_waiting = max_waiting
        self._ready: OrderedDict[str, PreparedVoice] = (
            OrderedDict()
        )  # by content, the latest used last
        self._in_flight: dict[str, _Preparation] = {}
        self._turn = asyncio.Lock()
        self._closed = False

    async def get(self, reference: Reference) -> PreparedVoice:
        """Return the voice of `reference`. Raises what `prepare` raises, `Overloaded`, and
        `NotReady` after `aclose`.

        A caller that is cancelled leaves the others that wait for the same voice alone.
        """
        key = await asyncio.to_thread(content_hash, reference)
        if self._closed:
            raise _stopping()
        if key in self._ready:
            self._ready.move_to_end(key)
            return self._ready[key]
        preparation = self._in_flight.get(key) or self._begin(key, reference)
        preparation.waiters += 1
        try:
            return await asyncio.shield(preparation.task)
        finally:
            preparation.waiters -= 1
            if not preparation.waiters and not preparation.begun:
                self._forget(key, preparation)
                preparation.task.cancel()

    async def aclose(self) -> None:
        """End every wait with `NotReady`; returns when `prepare` has returned, if it is at work."""
        self._closed = True
        tasks = [preparation.task for preparation in self._in_flight.values()]
        if tasks:
            await asyncio.wait(tasks)
        self._ready.clear()

    def _begin(self, key: str, reference: Reference) -> _Preparation:
        if len(self._in_flight) > self._max_waiting:
            raise Overloaded(
                f"{self._max_waiting} recordings wait to be prepared, the limit; try again soon",
                retry_after_s=2.0,
            )
        task = asyncio.create_task(self._run(key, reference), name="prepare a voice")
        task.add_done_callback(
            lambda task: task.cancelled() or task.exception()
        )  # should no one wait any more
        preparation = self._in_flight[key] = _Preparation(task)
        return preparation

    async def _run(self, key: str, reference: Reference) -> PreparedVoice:
        preparation = self._in_flight[key]
        try:
            async with self._turn:
                preparation.begun = True
                if self._closed:
                    raise _stopping()
                voice = await asyncio.to_thread(self._prepare, reference)
            if not self._closed:
                self._keep(key, voice)
            return voice
        finally:
            self._forget(key, preparation)

    def _keep(self, key: str, voice: PreparedVoice) -> None:
        self._ready[key] = voice
        while len(self._ready) > self._kept:
            self._ready.popitem(last=False)

    def _forget(self, key: str, preparation: _Preparation) -> None:
        if self._in_flight.get(key) is preparation:
            del self._in_flight[key]


def content_hash(reference: Reference) -> str:
    """Return the same text for recordings of the same samples, rate and words, and for no others."""
    digest = hashlib.sha256(f"{reference.sample_rate_hz}|{reference.text!r}|".encode())
    digest.update(np.ascontiguousarray(reference.samples).data)
    return digest.hexdigest()


def _stopping() -> NotReady:
    return NotReady("the model is being stopped; try again when the server is back")
