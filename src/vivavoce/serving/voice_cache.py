"""Prepare the voices of recordings, one at a time, and cache the latest ones.

It knows neither models nor audio.

- A client sends the same recording with each of its requests: a cached voice is returned at once.
- Requests for a voice in preparation wait for the same preparation.
- A voice that a saved recording was used for ends with it, though a client has sent the same one.
"""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vivavoce.errors import Overloaded
from vivavoce.serving.model_errors import stopping_error
from vivavoce.types import PreparedVoice, Reference

# Voices. Each takes about 5 MB on the device with the words of its recording, almost none without.
KEPT = 16
MAX_WAITING = 16  # recordings, of some megabytes each


@dataclass(eq=False, slots=True)
class _Preparation:
    """The preparation of one recording. It is cancelled when its last waiter leaves."""

    task: "asyncio.Task[PreparedVoice]"
    file: Path | None  # of a saved recording
    waiters: int = 0
    begun: bool = False
    is_gone: bool = False  # its voice is not to be kept


class VoiceCache:
    """The voices that `prepare` makes, in a worker thread, for one recording at a time.

    `drop` frees those that nobody holds any more, and runs at no other time than `prepare` could.
    """

    def __init__(
        self,
        prepare: Callable[[Reference], PreparedVoice],
        drop: Callable[[], None] = lambda: None,
        *,
        kept: int = KEPT,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        self._prepare = prepare
        self._drop = drop
        self._kept = kept
        self._max_waiting = max_waiting
        # By content hash, the least recently used first.
        self._ready: OrderedDict[str, tuple[Path | None, PreparedVoice]] = OrderedDict()
        self._in_flight: dict[str, _Preparation] = {}
        self._turn = asyncio.Lock()
        self._closed = False

    async def get(self, reference: Reference) -> PreparedVoice:
        """Return the voice of `reference`.

        A cancelled caller does not disturb others that wait for the same voice. Raise the errors
        of `prepare`, `Overloaded`, and `NotReady` after `aclose`.
        """
        key = await asyncio.to_thread(content_hash, reference)
        if self._closed:
            raise stopping_error()
        if key in self._ready:
            self._ready.move_to_end(key)
            file, voice = self._ready[key]
            self._ready[key] = file or reference.file, voice
            return voice
        preparation = self._in_flight.get(key) or self._begin(key, reference)
        preparation.file = preparation.file or reference.file
        preparation.waiters += 1
        try:
            return await asyncio.shield(preparation.task)
        finally:
            preparation.waiters -= 1
            if not preparation.waiters and not preparation.begun:
                self._forget(key, preparation)
                preparation.task.cancel()

    async def forget(self, file: Path) -> None:
        """Drop the voice of the saved recording `file`, which nobody is to use any more."""
        for key in [key for key, (of, _) in self._ready.items() if of == file]:
            del self._ready[key]
        for preparation in self._in_flight.values():
            preparation.is_gone = preparation.is_gone or preparation.file == file
        async with self._turn:
            if not self._closed:
                await asyncio.to_thread(self._drop)

    async def aclose(self) -> None:
        """End every wait with `NotReady`. Return once a running `prepare` has returned."""
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
        # Retrieve the error even if every waiter has left.
        task.add_done_callback(lambda task: task.cancelled() or task.exception())
        preparation = self._in_flight[key] = _Preparation(task, reference.file)
        return preparation

    async def _run(self, key: str, reference: Reference) -> PreparedVoice:
        preparation = self._in_flight[key]
        try:
            async with self._turn:
                preparation.begun = True
                if self._closed:
                    raise stopping_error()
                voice = await asyncio.to_thread(self._prepare, reference)
            if not self._closed and not preparation.is_gone:
                self._keep(key, preparation.file, voice)
            return voice
        finally:
            self._forget(key, preparation)

    def _keep(self, key: str, file: Path | None, voice: PreparedVoice) -> None:
        self._ready[key] = file, voice
        while len(self._ready) > self._kept:
            self._ready.popitem(last=False)

    def _forget(self, key: str, preparation: _Preparation) -> None:
        if self._in_flight.get(key) is preparation:
            del self._in_flight[key]


def content_hash(reference: Reference) -> str:
    """Return a hash of the samples, rate and words of a recording."""
    digest = hashlib.sha256(f"{reference.sample_rate_hz}|{reference.text!r}|".encode())
    digest.update(np.ascontiguousarray(reference.samples).data)
    return digest.hexdigest()
