"""List every kind of model, and build the pool that the settings ask for.

This is the one module that knows both settings and models. It loads no model: a factory is called
when its model is first needed, in a process of its own unless the settings say otherwise.
"""

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import partial
from typing import Any, TypeAlias, TypeVar

from vivavoce.errors import SettingsError
from vivavoce.models.hibari import VOICE, HibariModel
from vivavoce.models.kokoro import KokoroOptions, make_kokoro
from vivavoce.models.kokoro.voices import NAMES
from vivavoce.models.qwen3_tts import QwenOptions, make_qwen, preview_qwen
from vivavoce.models.tone import ToneOptions, make_tone
from vivavoce.serving.base import AnyModel, Engine, Preview
from vivavoce.serving.local import LocalEngine
from vivavoce.serving.pool import Pool
from vivavoce.serving.pool_entry import ModelSource
from vivavoce.serving.queue import Limits
from vivavoce.serving.subprocess.client import in_process
from vivavoce.serving.subprocess.server import ProcessConfig
from vivavoce.serving.supervisor import SupervisedEngine
from vivavoce.settings import Settings

TAKEN_NAMES = NAMES | {VOICE}  # of embedded models' voices, whichever this server offers

T = TypeVar("T")
MakeModel: TypeAlias = Callable[[], AnyModel]  # picklable, for the model's process
MakeEngine: TypeAlias = Callable[[], Engine]


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One kind of model, and the functions that make its models.

    `names` returns the models of this kind that the settings offer. A kind has `make` if its models
    run on this machine, and `connect` if they run elsewhere. Both get the settings and the model's
    name, and return a factory. `preview` returns a function that describes a model without loading
    it. A step may take `step_factor` times the setting `max_step_s`: more than 1 for kinds with
    long steps on a slow processor. `package` is the Python package with the model's files, if any.
    """

    kind: str
    names: Callable[[Settings], tuple[str, ...]]
    make: Callable[[Settings, str], MakeModel] | None = None
    connect: Callable[[Settings, str], MakeEngine] | None = None
    preview: Callable[[Settings, str], Callable[[], Preview]] | None = None
    step_factor: float = 1.0
    package: str | None = None


def options(kind: type[T], settings: Settings, prefix: str = "") -> T:
    """Return `kind` filled from the settings of its fields' names, first those with `prefix`."""
    names = {field.name: prefix + field.name for field in fields(kind)}  # type: ignore[arg-type]  # a dataclass
    known = Settings.model_fields
    values: dict[str, Any] = {
        name: getattr(settings, full if full in known else name) for name, full in names.items()
    }
    return kind(**values)


def _named(name: str) -> Callable[[Settings], tuple[str, ...]]:
    return lambda settings: (name,) if name in settings.models else ()


def _qwen(make: Callable[..., T]) -> Callable[[Settings, str], Callable[[], T]]:
    return lambda settings, name: partial(
        make, name, settings.checkpoints[name], options(QwenOptions, settings, "qwen_")
    )


def _remote(settings: Settings, name: str) -> MakeEngine:
    from vivavoce.remote.engine import RemoteEngine, RemoteOptions

    remote = options(RemoteOptions, settings, "remote_")
    return partial(RemoteEngine, name, settings.remotes[name], remote)


def _ray(settings: Settings, name: str) -> MakeEngine:
    from vivavoce.remote.ray import RayEngine, RayOptions

    return partial(RayEngine, name, options(RayOptions, settings, "ray_"))


def _kokoro(settings: Settings, name: str) -> MakeModel:
    return partial(make_kokoro, options(KokoroOptions, settings))


def _tone(settings: Settings, name: str) -> MakeModel:
    return partial(make_tone, options(ToneOptions, settings, "tone_"))


EMBEDDED = (  # kinds of one model each, which the setting `models` may name
    ModelSpec("hibari", _named("hibari"), lambda settings, name: HibariModel, package="hibari"),
    ModelSpec("kokoro", _named("kokoro"), _kokoro, step_factor=6),  # a step may measure a voice
    ModelSpec("tone", _named("tone"), _tone, package="vivavoce"),
)
SPECS = (
    ModelSpec(
        "qwen",
        lambda settings: tuple(settings.checkpoints),
        _qwen(make_qwen),
        preview=_qwen(preview_qwen),
        step_factor=6,
    ),
    ModelSpec("remote", lambda settings: tuple(settings.remotes), connect=_remote),
    ModelSpec("ray", lambda settings: settings.on_ray, connect=_ray),
    *EMBEDDED,
)
MODELS = tuple(spec.kind for spec in EMBEDDED)


def build_pool(settings: Settings) -> Pool:
    """Return the offered models, preferred ones first. Raise `SettingsError` for unknown names."""
    if unknown := [name for name in settings.models if name not in MODELS]:
        problem = f"the setting 'models' names {unknown[0]!r}; it may hold {', '.join(MODELS)}"
        raise SettingsError(problem)
    sources = {
        name: _source(spec, settings, name) for spec in SPECS for name in spec.names(settings)
    }
    return Pool(
        {name: sources[name] for name in settings.offered},
        max_memory_bytes=_bytes(settings.max_model_memory_gb),
        max_queued_requests=settings.max_queued_requests,
        idle_unload_s=settings.idle_unload_s,
    )


def _source(spec: ModelSpec, settings: Settings, name: str) -> ModelSource:
    preview = None if spec.preview is None else spec.preview(settings, name)
    if spec.connect is not None:
        return ModelSource(spec.connect(settings, name), preview)
    assert spec.make is not None, "a kind has one of the two"
    local = partial(_local_engine, spec.make(settings, name), name, settings)
    return ModelSource(
        partial(SupervisedEngine, local, max_step_s=settings.max_step_s * spec.step_factor), preview
    )


def _local_engine(make: MakeModel, name: str, settings: Settings) -> LocalEngine:
    timeout_s = math.inf if settings.queue_timeout_s is None else settings.queue_timeout_s
    limits = Limits(
        settings.max_queued_requests, settings.max_queued_audio_s, settings.max_ahead_s, timeout_s
    )
    if not settings.isolate_models or os.name != "posix":
        return LocalEngine(make(), limits)
    memory = _bytes(settings.max_process_memory_gb)
    config = ProcessConfig(settings.log_level, settings.log_format, memory)
    return LocalEngine(in_process(make, name, config), limits)


def _bytes(gigabytes: float | None) -> int | None:
    return None if gigabytes is None else int(gigabytes * 1e9)
