"""Names the models and says how each is made; nothing is imported or loaded before it is asked for."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

from vivavoce.engines.base import Engine, Model, Preview
from vivavoce.engines.local import LocalEngine
from vivavoce.engines.makers import make_hibari, make_kokoro, make_qwen, make_tone
from vivavoce.engines.pool import Pool
from vivavoce.engines.process import in_process
from vivavoce.engines.resident import EngineFactory, Offer
from vivavoce.engines.waiting import Limits
from vivavoce.engines.watchdog import WatchedEngine
from vivavoce.engines.worker import Surroundings
from vivavoce.errors import SettingsError

MODELS = ("hibari", "kokoro", "tone")


def create_pool(
    models: Sequence[str],
    *,
    cache_dir: Path,
    kokoro_dir: Path | None = None,
    threads: int | None = None,
    qwen: Mapping[str, Path | str] | None = None,
    qwen_device: str = "auto",
    qwen_dtype: str = "auto",
    qwen_weights: str = "auto",
    qwen_max_batch: int = 8,
    qwen_graphs: Literal["auto", "startup", "off"] = "auto",
    remote: Mapping[str, Sequence[tuple[str, str]]] | None = None,
    remote_api_key: str | None = None,
    remote_timeout_s: float = 60.0,
    remote_voices: Sequence[str] = ("alloy",),
    remote_languages: Sequence[str] = ("en",),
    ray: Sequence[str] = (),
    ray_address: str = "auto",
    max_queued_requests: int = 64,
    max_queued_audio_s: float = 600.0,
    max_ahead_s: float = 30.0,
    queue_timeout_s: float | None = None,
    max_step_s: float = 10.0,
    max_long_step_s: float = 60.0,
    max_memory_bytes: int | None = None,
    idle_unload_s: float = 0.0,
    tone_real_time_factor: float = 0.0,
    tone_faults: Sequence[str] = (),
    process: Surroundings | None = None,
) -> Pool:
    """A pool of the Qwen3-TTS checkpoints (name → folder or hub id), then the models elsewhere (name → URLs with the
    model's name there, names on a Ray cluster), then the named models, most preferred first. With `process` each
    model of this machine has a process of its own, in such surroundings.

    Raises `SettingsError` for an unknown name.
    """
    if not models:
        raise SettingsError(f"the setting 'models' is empty; name at least one of {', '.join(MODELS)}")

    def look(name: str, source: Path | str) -> Preview:
        from vivavoce.engines.qwen.hub import locate
        from vivavoce.engines.qwen.packages import require_packages

        require_packages()
        folder = locate(source)
        from vivavoce.engines.qwen.preview import preview

        return preview(
            folder, name=name, device=qwen_device, dtype=qwen_dtype, weights=qwen_weights, max_batch=qwen_max_batch
        )

    def elsewhere(name: str, peers: Sequence[tuple[str, str]]) -> Engine:
        from vivavoce.engines.remote import RemoteEngine

        return RemoteEngine(
            name,
            peers,
            api_key=remote_api_key,
            timeout_s=remote_timeout_s,
            voices=remote_voices,
            languages=remote_languages,
            max_queued_requests=max_queued_requests,
        )

    def clustered(name: str) -> Engine:
        from vivavoce.engines.ray import RayEngine

        return RayEngine(name, address=ray_address, max_queued_requests=max_queued_requests)

    makers: dict[str, Callable[[], Model]] = {
        "hibari": make_hibari,
        "kokoro": partial(make_kokoro, cache_dir, kokoro_dir, threads),
        "tone": partial(make_tone, tone_real_time_factor, tone_faults),
    }
    checkpoint = partial(
        make_qwen,
        device=qwen_device,
        dtype=qwen_dtype,
        weights=qwen_weights,
        max_batch=qwen_max_batch,
        threads=threads,
        graphs=qwen_graphs,
    )

    for name in models:
        if name not in makers:
            raise SettingsError(f"the setting 'models' names {name!r}; it may hold {', '.join(MODELS)}")

    timeout_s = math.inf if queue_timeout_s is None else queue_timeout_s
    limits = Limits(max_queued_requests, max_queued_audio_s, max_ahead_s, timeout_s)

    def engine(name: str, maker: Callable[[], Model], long_step_s: float = max_step_s) -> EngineFactory:
        def make() -> LocalEngine:
            model = maker() if process is None else in_process(maker, name, process)
            return LocalEngine(model, limits)

        return lambda: WatchedEngine(make, max_step_s=max_step_s, max_long_step_s=long_step_s)

    checkpoints = {
        name: Offer(engine(name, partial(checkpoint, name, source), max_long_step_s), partial(look, name, source))
        for name, source in (qwen or {}).items()
    }
    remotes = {name: Offer(partial(elsewhere, name, peers)) for name, peers in (remote or {}).items()}
    replicated = {name: Offer(partial(clustered, name)) for name in ray}
    long = {"kokoro"}  # makes a whole sentence in a step
    embedded = {
        name: Offer(engine(name, makers[name], max_long_step_s if name in long else max_step_s)) for name in models
    }
    return Pool(
        {**checkpoints, **remotes, **replicated, **embedded},
        max_memory_bytes=max_memory_bytes,
        max_queued_requests=max_queued_requests,
        idle_unload_s=idle_unload_s,
    )
