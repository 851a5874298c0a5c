"""Run a `Model` in a process of its own, which can be killed.

It knows no model: it sends the process a function that makes one.

- Every call is one round trip to `ModelServer`. Audio comes back as float32 arrays.
- A crash of the process does not end this one. Calls fail from then on, and `lost` says why.
"""

import logging
import os
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from queue import LifoQueue
from typing import Any
from weakref import finalize

from vivavoce.errors import BadRequest, EngineFault, NotReady, SettingsError
from vivavoce.serving.base import AnyModel, Model
from vivavoce.serving.model_errors import SerializedError
from vivavoce.serving.subprocess.server import (
    MAX_LANES,
    Call,
    Channel,
    Loaded,
    Method,
    ProcessConfig,
)
from vivavoce.types import AudioChunk, PreparedVoice, Reference, Samples, Segment, StopReason

log = logging.getLogger(__name__)

_END_S = 10.0  # for the kernel to end a process and free its memory, also of a device
_START = "from vivavoce.serving.subprocess.server import main; main()"


@dataclass(eq=False, slots=True)
class _ProcessStream:
    key: int
    starves: bool = False


@dataclass(frozen=True, eq=False)
class _ProcessVoice:
    owner: object  # the model that prepared the voice
    key: int


class ProcessClient:
    """The process of the model `name`, and the channels to it.

    The constructor starts the process and makes the model there. Raise the errors of `make`, and
    `SettingsError` on a system without such processes.
    """

    def __init__(self, make: Callable[[], AnyModel], name: str, config: ProcessConfig) -> None:
        if os.name != "posix":
            raise SettingsError("a model's own process needs Linux or macOS: leave it out")
        self._name = name
        theirs_alive, ours_alive = os.pipe()
        pairs = [socket.socketpair() for _ in range(1 + MAX_LANES)]
        descriptors = [theirs_alive, *(theirs.fileno() for _, theirs in pairs)]
        # The kernel closes it with this process, however that ends.
        self._lifeline = os.fdopen(ours_alive, "wb", buffering=0)
        path = os.pathsep.join(str(Path(path).absolute()) for path in sys.path)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _START, *map(str, descriptors)],
                pass_fds=descriptors,
                env=os.environ | {"PYTHONPATH": path},
                stdin=subprocess.DEVNULL,
                stdout=2,  # the parent's stdout may carry audio
            )
        finally:
            os.close(theirs_alive)
            for _, theirs in pairs:
                theirs.close()
        self._aside, *self._channels = [Channel(ours) for ours, _ in pairs]
        self._free: LifoQueue[Channel] = LifoQueue()  # of the lanes
        try:
            self.loaded = self._load(make, config)
        except BaseException:  # passed on as it is
            self.end()
            raise
        for channel in self._channels[: self.loaded.lanes]:
            self._free.put(channel)

    @property
    def lost(self) -> str | None:
        """The exit reason of the process, or None while it runs."""
        code = self._process.poll()
        if code is None:
            return None
        how = f"signal {-code} ({signal.strsignal(-code)})" if code < 0 else f"exit code {code}"
        return f"the process of model {self._name!r} ended with {how}"

    def call(self, method: Method, *arguments: object) -> Any:  # Any: the results differ by method
        """Call a method of `ModelServer`. Raise its errors, `EngineFault` without a process."""
        channel = self._free.get()
        try:
            return self._ask(channel, Call(method, arguments))
        finally:
            self._free.put(channel)

    def call_aside(self, method: Method, *arguments: object) -> Any:  # Any: likewise
        """Call as `call` does, beside the lanes, one call at a time."""
        return self._ask(self._aside, Call(method, arguments))

    def kill(self) -> None:
        """Kill the process. Running calls fail."""
        self._process.kill()

    def end(self) -> None:
        """End the process and wait until its memory is free. Harmless after its end."""
        self._process.kill()
        for channel in (self._aside, *self._channels):
            channel.close()
        self._lifeline.close()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            message = "the process %d of model %r was killed and is still there"
            log.error(message, self._process.pid, self._name)

    def _load(self, make: Callable[[], AnyModel], config: ProcessConfig) -> Loaded:
        self._aside.send(config)
        loaded: Loaded = self._ask(self._aside, make)
        return loaded

    def _ask(self, channel: Channel, thing: object) -> Any:  # Any: likewise
        try:
            channel.send(thing)
            reply = channel.receive()
        except Channel.GONE as error:
            raise self._gone() from error
        if isinstance(reply, SerializedError):
            raise reply.error()
        return reply

    def _gone(self) -> EngineFault:
        try:
            self._process.wait(_END_S)  # its channels close a moment before it ends
        except subprocess.TimeoutExpired:
            self.kill()  # it answers no calls any more
        how = self.lost or f"the process of model {self._name!r} ended"
        return EngineFault(f"{how}; try again soon")


class ProcessModel(Model[_ProcessStream]):
    """The `Model` in the process of `client`.

    `step` and `feed` also return whether a stream starves, so `starving` makes no call.
    """

    def __init__(self, client: ProcessClient) -> None:
        self.info = client.loaded.info
        self.max_batch, self.lanes = client.loaded.max_batch, client.loaded.lanes
        self._client = client
        self._keys = count()
        self._dropped: deque[int] = deque()  # keys of voices without references here

    @property
    def lost(self) -> str | None:
        return self._client.lost

    def kill(self) -> bool:
        self._client.kill()
        return True

    def open(self, segment: Segment) -> _ProcessStream:
        if (lost := self.lost) is not None:
            raise NotReady(f"{lost}, and is restarted; try again soon")
        stream = _ProcessStream(next(self._keys))
        voice = self._voice(segment.prepared)
        self._client.call("open", stream.key, replace(segment, prepared=None), voice)
        return stream

    def feed(self, stream: _ProcessStream, text: str, *, last: bool) -> None:
        stream.starves = self._client.call("feed", stream.key, text, last)

    def starving(self, stream: _ProcessStream) -> bool:
        return stream.starves

    def step(
        self, streams: Sequence[_ProcessStream], ahead_s: Sequence[float]
    ) -> Sequence[Samples | AudioChunk | StopReason]:
        keys = [stream.key for stream in streams]
        results, starving = self._client.call("step", keys, list(ahead_s))
        for stream, starves in zip(streams, starving, strict=True):
            stream.starves = starves
        made: Sequence[Samples | AudioChunk | StopReason] = results
        return made

    def close(self, stream: _ProcessStream) -> None:
        if self.lost is None:
            with suppress(EngineFault):  # the process is gone, and the stream with it
                self._client.call("close", stream.key)

    def prepare(self, reference: Reference) -> PreparedVoice:
        voice = _ProcessVoice(self, next(self._keys))
        self.drop_voices()
        self._client.call_aside("prepare", voice.key, reference)
        finalize(voice, self._dropped.append, voice.key).atexit = False
        return voice

    def drop_voices(self) -> None:
        dropped = [self._dropped.popleft() for _ in range(len(self._dropped))]
        if dropped and self.lost is None:
            with suppress(EngineFault):  # the process is gone, and its voices with it
                self._client.call_aside("drop_voices", dropped)

    def unload(self) -> None:
        self._client.end()

    def _voice(self, voice: PreparedVoice | None) -> int | None:
        if voice is None:
            return None
        if not isinstance(voice, _ProcessVoice) or voice.owner is not self:
            problem = f"the voice was not prepared by model {self.info.name!r} as it is loaded now"
            raise BadRequest(f"{problem}: prepare it again", field="ref_audio")
        return voice.key


def in_process(make: Callable[[], AnyModel], name: str, config: ProcessConfig) -> ProcessModel:
    """Start a process and return the model that the picklable `make` makes. Raise its errors."""
    return ProcessModel(ProcessClient(make, name, config))
