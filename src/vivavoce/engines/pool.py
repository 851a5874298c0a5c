"""Holds the models that a server offers: loads each once, when it is first needed, and tells their state.

It knows names and factories, not what a model is.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from vivavoce.engines.base import Engine
from vivavoce.errors import EngineFault, MissingDependency, NotReady, UnknownModel, VivavoceError

log = logging.getLogger(__name__)

State = Literal["unloaded", "loading", "ready", "missing", "failed"]
EngineFactory: TypeAlias = Callable[[], Engine]


@dataclass(frozen=True, slots=True)
class ModelState:
    """What a model is doing; `detail` says why it is missing or failed, and what to do."""

    state: State
    detail: str = ""


class Pool:
    """The models by name, in order of preference. Factories may block: they run in a worker thread."""

    def __init__(self, factories: Mapping[str, EngineFactory]) -> None:
        self._factories = dict(factories)
        self._engines: dict[str, Engine] = {}
        self._loading: dict[str, asyncio.Task[Engine]] = {}
        self._problems: dict[str, VivavoceError] = {}
        self._closed = False

    @property
    def names(self) -> Sequence[str]:
        return tuple(self._factories)

    @property
    def ready(self) -> Mapping[str, Engine]:
        """The engines that can speak now, in order of preference."""
        return {name: self._engines[name] for name in self._factories if name in self._engines}

    def states(self) -> dict[str, ModelState]:
        return {name: self._state(name) for name in self._factories}

    def _state(self, name: str) -> ModelState:
        if name in self._engines:
            return ModelState("ready")
        if name in self._loading:
            return ModelState("loading")
        problem = self._problems.get(name)
        if problem is None:
            return ModelState("unloaded")
        return ModelState("missing" if isinstance(problem, MissingDependency) else "failed", problem.message)

    async def get(self, name: str) -> Engine:
        """The engine of that name, loaded if it was not.

        Raises `UnknownModel`, `MissingDependency`, `EngineFault` if it cannot be loaded, `NotReady` after `aclose`.
        A model that could not be loaded is tried again at the next call: what it missed may have come.
        """
        if self._closed:
            raise NotReady("the server is stopping; try again when it is back")
        if name not in self._factories:
            choices = ", ".join(map(repr, self.names))
            raise UnknownModel(f"model {name!r} is not offered here; choose one of {choices}", field="model")
        if name in self._engines:
            return self._engines[name]
        if name not in self._loading:
            self._loading[name] = task = asyncio.create_task(self._load(name), name=f"load {name}")
            task.add_done_callback(lambda task: task.exception())  # kept in `_problems` too, should no one wait
        # One caller that leaves must not stop the loading that others wait for.
        return await asyncio.shield(self._loading[name])

    async def _load(self, name: str) -> Engine:
        started = time.monotonic()
        try:
            engine = await asyncio.to_thread(self._factories[name])
            await engine.start()
        except VivavoceError as error:
            self._problems[name] = error
            raise
        except Exception as error:  # the top of the loading task: ends the wait of every caller of `get`
            log.exception("model %r could not be loaded", name)
            self._problems[name] = EngineFault(f"model {name!r} could not be loaded: {error}; the log has the details")
            raise self._problems[name] from error
        else:
            self._problems.pop(name, None)
            self._engines[name] = engine
            log.info("model %r is ready after %.1f s", name, time.monotonic() - started)
            return engine
        finally:
            del self._loading[name]

    async def load_all(self) -> None:
        """Loads every model in order of preference; what cannot be loaded is logged and shown in `states`."""
        for name in self._factories:
            if self._closed:
                return
            try:
                await self.get(name)
            except VivavoceError as error:
                log.warning("model %r is not available: %s", name, error.message)

    async def aclose(self) -> None:
        self._closed = True
        for task in list(self._loading.values()):
            await asyncio.wait([task])
        for engine in self._engines.values():
            await engine.aclose()
        self._engines.clear()
