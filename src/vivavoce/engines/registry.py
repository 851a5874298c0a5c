"""Names the models and says how each is made; nothing is imported or loaded before it is asked for."""

from collections.abc import Sequence
from pathlib import Path

from vivavoce.engines.base import Model
from vivavoce.engines.pool import EngineFactory, Pool
from vivavoce.engines.scheduler import LocalEngine
from vivavoce.errors import SettingsError

MODELS = ("hibari", "kokoro", "tone")


def create_pool(
    models: Sequence[str],
    *,
    cache_dir: Path,
    kokoro_dir: Path | None = None,
    threads: int | None = None,
    max_waiting: int = 64,
    max_ahead_s: float = 30.0,
    tone_real_time_factor: float = 0.0,
) -> Pool:
    """A pool of the named models, in that order of preference. Raises `SettingsError` for an unknown name."""
    if not models:
        raise SettingsError(f"the setting 'models' is empty; name at least one of {', '.join(MODELS)}")

    def hibari() -> Model:
        from vivavoce.engines.hibari import HibariModel

        return HibariModel()

    def kokoro() -> Model:
        from vivavoce.engines.kokoro.assets import locate

        folder = locate(cache_dir, kokoro_dir)  # before the import of what only the extra brings
        from vivavoce.engines.kokoro.model import KokoroModel

        return KokoroModel(folder, threads=threads)

    def tone() -> Model:
        from vivavoce.engines.tone import ToneModel

        return ToneModel(real_time_factor=tone_real_time_factor)

    makers = {"hibari": hibari, "kokoro": kokoro, "tone": tone}

    def factory(name: str) -> EngineFactory:
        if name not in makers:
            raise SettingsError(f"the setting 'models' names {name!r}; it may hold {', '.join(MODELS)}")
        return lambda: LocalEngine(makers[name](), max_waiting=max_waiting, max_ahead_s=max_ahead_s)

    return Pool({name: factory(name) for name in models})
