"""The other end of `process`: a process that holds one model and does what it is asked, until
nobody can ask any more.

Each channel is answered by a thread of its own, so that as many steps run at once as the model has
lanes. The process ends with the one that started it, in the middle of whatever it does: the kernel
sees to that, as a step that hangs may never let Python look.
"""

import logging
import os
import pickle
import signal
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Literal

from vivavoce.observability import logs
from vivavoce.serving.base import AnyModel
from vivavoce.serving.model_errors import SerializedError, to_engine_error
from vivavoce.types import EngineInfo, PreparedVoice, Reference, Samples, Segment, StopReason

MAX_LANES = 4  # as many steps at once as any of the models makes
Method = Literal["open", "feed", "step", "close", "prepare"]
WHAT_FAILED = {
    "open": "could not start",
    "feed": "could not take more text",
    "step": "failed while speaking",
    "close": "failed while closing",
    "prepare": "could not prepare the voice",
}


@dataclass(frozen=True, slots=True)
class ProcessConfig:
    """What a process is told before its model: how to log, and how much memory it may take."""

    log_level: str = "info"
    log_format: Literal["text", "json"] = "text"
    max_memory_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a model says of itself."""

    info: EngineInfo
    max_batch: int
    lanes: int


@dataclass(frozen=True, slots=True)
class Call:
    """A method of `ModelServer`, and what it is called with."""

    method: Method
    arguments: tuple[Any, ...]  # Any: each method has its own


class Channel:
    """A socket between a process and the one that started it: whole objects, one after the other.

    Whoever can write to it is trusted: it is a pair of sockets that nobody else has. Both ways
    raise one of `GONE` when the other side is.
    """

    GONE = (EOFError, OSError, pickle.UnpicklingError)

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._file = end.makefile("rwb")

    def send(self, thing: object) -> None:
        self._file.write(pickle.dumps(thing, pickle.HIGHEST_PROTOCOL))
        self._file.flush()

    def receive(self) -> Any:  # Any: whatever the other side sends
        return pickle.load(self._file)

    def close(self) -> None:
        with suppress(OSError):  # what could not be written has nobody to read it
            self._file.close()
        self._end.close()


class ModelServer:
    """A model whose streams and voices are known by numbers, which the other side chooses."""

    def __init__(self, model: AnyModel) -> None:
        self._model = model
        self._streams: dict[int, Any] = {}  # Any: the model alone looks inside
        self._voices: dict[int, PreparedVoice] = {}

    def open(self, key: int, segment: Segment, voice: int | None) -> None:
        prepared = None if voice is None else self._voices[voice]
        self._streams[key] = self._model.open(replace(segment, prepared=prepared))

    def feed(self, key: int, text: str, last: bool) -> bool:
        """Add `text` to the stream. True if it starves even so."""
        self._model.feed(self._streams[key], text, last=last)
        return self._model.starving(self._streams[key])

    def step(
        self, keys: Sequence[int], ahead_s: Sequence[float]
    ) -> tuple[Sequence[Samples | StopReason], Sequence[bool]]:
        """What the step brought, and which of the streams starve now."""
        streams = [self._streams[key] for key in keys]
        results = list(self._model.step(streams, ahead_s))
        return results, [self._model.starving(stream) for stream in streams]

    def close(self, key: int) -> None:
        self._model.close(self._streams.pop(key))

    def prepare(self, key: int, reference: Reference, dropped: Sequence[int]) -> None:
        """Keep the voice of `reference` as `key`, and drops those that are `dropped`."""
        for other in dropped:
            self._voices.pop(other, None)
        self._voices[key] = self._model.prepare(reference)


def main() -> None:
    """Hold the model that the other end of the file descriptors in the arguments asks for: the lifeline, channels."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # they are for the other side, which lets streams end
    lifeline, *descriptors = map(int, sys.argv[1:])
    _end_with(lifeline)
    control, *lanes = [Channel(socket.socket(fileno=descriptor)) for descriptor in descriptors]
    try:
        config: ProcessConfig = control.receive()
        logs.set_up(config.log_level, config.log_format)
        _limit_memory(config.max_memory_bytes)
        server = _load(control, lanes)
        if server is not None:
            _answer(control, server)
    except Channel.GONE:  # nobody is left to tell
        pass
    _leave()


def _load(control: Channel, lanes: Sequence[Channel]) -> ModelServer | None:
    """Return the model that is asked for, with its lanes at work; `None` if it could not be made, which is told."""
    try:
        make: Callable[[], AnyModel] = control.receive()
        model = make()
    except (
        Exception
    ) as error:  # the top of a process: whatever went wrong is what the other side is told
        control.send(SerializedError.of(to_engine_error(error, "could not be loaded")))
        return None
    server = ModelServer(model)
    for channel in lanes[: model.lanes]:
        threading.Thread(target=_answer_until_gone, args=(channel, server), daemon=True).start()
    control.send(Loaded(model.info, model.max_batch, model.lanes))
    return server


def _answer(channel: Channel, server: ModelServer) -> None:
    """Do what is asked, one call after the other. Raises one of `Channel.GONE` in the end."""
    while True:
        call: Call = channel.receive()
        try:
            reply = getattr(server, call.method)(*call.arguments)
        except (
            Exception
        ) as error:  # the top of a thread: whatever the model raises is what the caller is told
            reply = SerializedError.of(to_engine_error(error, WHAT_FAILED[call.method]))
        channel.send(reply)


def _answer_until_gone(channel: Channel, server: ModelServer) -> None:
    try:
        _answer(channel, server)
    except Channel.GONE:
        _leave()


def _leave() -> None:
    """End the process without waiting for other threads, one of which may hang."""
    logging.shutdown()
    os._exit(0)


def _end_with(lifeline: int) -> None:
    """Have the kernel end this process once the pipe's other end is closed, which happens when that
    process is gone.

    SIGIO ends a process that does not handle it; a thread that waits for the pipe could not run
    beside a step that keeps Python's lock.
    """
    import fcntl  # where there are processes of models there is POSIX

    fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)


def _limit_memory(most_bytes: int | None) -> None:
    """Let allocations fail beyond `most_bytes` of memory of this process's own.

    Not by the size of its address space (RLIMIT_AS): CUDA reserves hundreds of gigabytes of that,
    and uses none.
    """
    if most_bytes is not None:
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        most_bytes = most_bytes if hard == resource.RLIM_INFINITY else min(most_bytes, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (most_bytes, hard))
