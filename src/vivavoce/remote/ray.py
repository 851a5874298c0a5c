"""Run a model in a Ray cluster.

`Speaker` runs in a replica, and a server asks it through a `RayEngine`. Ray Serve chooses the
replica, and holds requests back when all are busy. It knows nothing of settings.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

import numpy as np

from vivavoce.errors import EngineFault, MissingDependency, Overloaded, VivavoceError
from vivavoce.remote.stream import (
    ChunkSource,
    ReferenceVoice,
    RemoteStream,
    RemoteStreams,
    reference_voice,
    remote_info,
)
from vivavoce.serving.base import ChunkStream, Engine
from vivavoce.serving.model_errors import SerializedError
from vivavoce.serving.pool import Pool
from vivavoce.types import EngineInfo, PreparedVoice, Reference, Samples, Segment, StopReason

RETRY_AFTER_S = 1.0
TRIES = 3  # of a segment whose replica dies before its first audio


class Speaker:
    """A replica of `model`, from the pool of `make`, with the methods that `RayEngine` calls."""

    def __init__(self, make: Callable[[], Pool], model: str) -> None:
        self._pool = make()
        self._model = model

    async def check_health(self) -> None:
        """Load the model, or a replica without it would be ready. Raise what ended it."""
        async with self._pool.lease(self._model):
            pass
        if self._pool.failure is not None:
            raise self._pool.failure

    async def info(self) -> EngineInfo:
        return await self._pool.info(self._model)

    async def speak(
        self, segment: Segment, reference: Reference | None
    ) -> AsyncGenerator[Samples | StopReason | SerializedError]:
        """Yield the audio of `segment`, in the voice of `reference` if given, then why it ended."""
        try:
            async with self._pool.lease(self._model) as engine:
                if reference is not None:
                    segment = replace(segment, prepared=await engine.prepare_voice(reference))
                async with aclosing(engine.speak(segment)) as chunks:
                    async for chunk in chunks:
                        yield chunk.samples
                yield chunks.ending or StopReason.COMPLETE
        except VivavoceError as error:
            yield SerializedError.of(error)  # as an exception, Ray would wrap it


@dataclass(frozen=True, slots=True)
class RayOptions:
    """Settings of a cluster's models: at most `max_queued_requests` wait for their first audio."""

    address: str = "auto"
    max_queued_requests: int = 64


_DEFAULTS = RayOptions()


class RayEngine(Engine):
    """An `Engine` over the Ray Serve application `name` of this machine's cluster."""

    def __init__(self, name: str, options: RayOptions = _DEFAULTS) -> None:
        self._name = name
        self._address = options.address
        self._segments = RemoteStreams(name, options.max_queued_requests)
        self._handle: Any = None  # Any: its methods are those of the deployed class
        self._info: EngineInfo | None = None

    @property
    def info(self) -> EngineInfo:
        assert self._info is not None, "the description is known once the engine has started"
        return self._info

    async def start(self) -> None:
        """Find the application. Raise `MissingDependency` without Ray, else `EngineFault`."""
        self._handle = await asyncio.to_thread(_connect, self._name, self._address)
        self._info = remote_info(await self._handle.info.remote(), self._name)

    async def aclose(self) -> None:
        await self._segments.aclose()

    def speak(self, segment: Segment, *, follows: ChunkStream | None = None) -> RemoteStream:
        return self._segments.speak(segment, follows, self._chunks)

    async def prepare_voice(self, reference: Reference) -> PreparedVoice:
        return reference_voice(self.info, reference)

    async def _chunks(self, segment: Segment, patience_s: float) -> ChunkSource:
        from ray.exceptions import RayError
        from ray.serve.exceptions import BackPressureError, RayServeException

        until_s, tries, begun = time.monotonic() + patience_s, 0, False
        while True:
            tries += 1
            try:
                async with aclosing(self._ask_replica(segment)) as events:
                    async for event in events:
                        yield event
                        begun = True
                return
            except BackPressureError as error:
                if time.monotonic() + RETRY_AFTER_S > until_s:
                    busy = f"all replicas of {self._name!r} are busy, and enough requests wait"
                    message = f"{busy}; try again soon"
                    raise Overloaded(message, retry_after_s=RETRY_AFTER_S) from error
                await asyncio.sleep(RETRY_AFTER_S)
            except (RayError, RayServeException) as error:
                if begun or tries == TRIES:
                    raise EngineFault(
                        f"the replica of {self._name!r} that spoke is gone "
                        f"({type(error).__name__}): try again, and see `serve status`"
                    ) from error

    async def _ask_replica(self, segment: Segment) -> ChunkSource:
        """Yield the events of one replica. Closing the generator frees the replica's slot."""
        voice = segment.prepared
        reference = voice.reference if isinstance(voice, ReferenceVoice) else None
        speak = self._handle.options(stream=True).speak.remote
        response = speak(replace(segment, prepared=None), reference)
        try:
            async for event in response:
                if isinstance(event, SerializedError):
                    raise event.error()
                # Arrays from Ray are read-only.
                yield event if isinstance(event, StopReason) else np.array(event)
        except (asyncio.CancelledError, GeneratorExit):
            response.cancel()
            raise


def require_ray() -> None:
    """Raise `MissingDependency` where Ray Serve is not installed."""
    try:
        import_module("ray.serve")
    except ImportError as error:
        problem = f"Ray Serve is not installed ({error}): pip install 'vivavoce[ray]'"
        raise MissingDependency(problem) from error


def _connect(name: str, address: str) -> Any:
    """Return the handle of application `name`. Any: Ray types no methods."""
    require_ray()
    import ray
    from ray import serve
    from ray.serve.exceptions import RayServeException

    try:
        if not ray.is_initialized():
            ray.init(address=address, log_to_driver=False, configure_logging=False)
        return serve.get_app_handle(name)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise EngineFault(
            f"no Ray cluster can be joined at {address!r} ({error}): start one with `ray start`, "
            "or check the setting 'ray_address' and the token"
        ) from error
    except RayServeException as error:
        raise EngineFault(
            f"the Ray cluster has no Serve application {name!r}: deploy it with `serve deploy`, or "
            "check the setting 'ray'"
        ) from error
