"""Hold one model in a process of its own, and answer the calls of `ProcessClient`.

- A thread answers each channel, so that as many steps run at once as the model has lanes.
- The process ends when the one that started it ends. The kernel does that: a step that hangs may
  keep Python from running any other thread.
"""

import gc
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
from vivavoce.types import (
    AudioChunk,
    EngineInfo,
    PreparedVoice,
    Reference,
    Samples,
    Segment,
    StopReason,
)

MAX_LANES = 4  # the most steps at once of any model
Method = Literal["open", "feed", "step", "close", "prepare", "drop_voices"]
WHAT_FAILED = {
    "open": "could not start",
    "feed": "could not take more text",
    "step": "failed while speaking",
    "close": "failed while closing",
    "prepare": "could not prepare the voice",
    "drop_voices": "could not drop voices",
}


@dataclass(frozen=True, slots=True)
class ProcessConfig:
    """The settings of a model's process: its log and its memory limit."""

    log_level: str = "info"
    log_format: Literal["text", "json"] = "text"
    max_memory_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Loaded:
    """The attributes of a loaded model."""

    info: EngineInfo
    max_batch: int
    lanes: int


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a method of `ModelServer`."""

    method: Method
    arguments: tuple[Any, ...]  # Any: each method has its own


class Channel:
    """A socket between a process and its parent, for whole Python objects.

    The other side is trusted: no other process has a socket of the pair. `send` and `receive`
    raise one of `GONE` when the other side is gone.
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
        with suppress(OSError):  # nobody reads the rest
            self._file.close()
        self._end.close()


class ModelServer:
    """A model and its streams and voices, by the keys that the client chooses."""

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
    ) -> tuple[Sequence[Samples | AudioChunk | StopReason], Sequence[bool]]:
        """Step the streams. Return their results, and for each whether it starves now."""
        streams = [self._streams[key] for key in keys]
        results = list(self._model.step(streams, ahead_s))
        return results, [self._model.starving(stream) for stream in streams]

    def close(self, key: int) -> None:
        self._model.close(self._streams.pop(key))

    def prepare(self, key: int, reference: Reference) -> None:
        """Keep the voice of `reference` as `key`."""
        self._voices[key] = self._model.prepare(reference)

    def drop_voices(self, keys: Sequence[int]) -> None:
        """Remove the voices of `keys`."""
        for key in keys:
            self._voices.pop(key, None)


def main() -> None:
    """Make the requested model and answer calls until the parent is gone.

    The arguments are file descriptors: the lifeline, the control channel, the lanes' channels.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the parent handles them and ends us
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
    except Channel.GONE:  # the parent has ended
        pass
    _leave()


def _load(control: Channel, lanes: Sequence[Channel]) -> ModelServer | None:
    """Make the requested model and start its lanes. Report an error and return None if it fails."""
    try:
        make: Callable[[], AnyModel] = control.receive()
        model = make()
    except Exception as error:  # the top of a process: the parent gets every error
        control.send(SerializedError.of(to_engine_error(error, "could not be loaded")))
        return None
    server = ModelServer(model)
    for channel in lanes[: model.lanes]:
        threading.Thread(target=_answer_until_gone, args=(channel, server), daemon=True).start()
    gc.freeze()  # the model stays until the end, so no collection need walk it
    control.send(Loaded(model.info, model.max_batch, model.lanes))
    return server


def _answer(channel: Channel, server: ModelServer) -> None:
    """Answer calls one by one, until one of `Channel.GONE` is raised."""
    while True:
        call: Call = channel.receive()
        try:
            reply = getattr(server, call.method)(*call.arguments)
        except Exception as error:  # the top of a thread: the caller gets every error
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
    """Let the kernel end this process when the parent ends.

    The parent's end of the pipe closes then, which sends SIGIO, and that ends a process without a
    handler. A thread that waits for the pipe could not run beside a step that keeps Python's lock.
    """
    import fcntl  # POSIX only, as is this module's `main`

    fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)


def _limit_memory(most_bytes: int | None) -> None:
    """Let allocations fail beyond `most_bytes` of private memory.

    The address space (RLIMIT_AS) is no measure: CUDA reserves hundreds of gigabytes of it unused.
    """
    if most_bytes is not None:
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        most_bytes = most_bytes if hard == resource.RLIM_INFINITY else min(most_bytes, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (most_bytes, hard))
