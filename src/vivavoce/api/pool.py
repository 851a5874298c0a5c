"""From settings to the models they offer: the one place that knows both. It loads none of them."""

from vivavoce.engines.pool import Pool
from vivavoce.engines.registry import create_pool
from vivavoce.engines.worker import Surroundings
from vivavoce.settings import Settings


def pool_from(settings: Settings) -> Pool:
    """The models that `settings` offers. Raises `SettingsError` for an unknown one."""
    limit = settings.max_model_memory_gb
    return create_pool(
        settings.models,
        cache_dir=settings.cache_dir,
        kokoro_dir=settings.kokoro_dir,
        threads=settings.threads,
        qwen=settings.checkpoints,
        qwen_device=settings.qwen_device,
        qwen_dtype=settings.qwen_dtype,
        qwen_weights=settings.qwen_weights,
        qwen_max_batch=settings.qwen_max_batch,
        qwen_graphs=settings.qwen_graphs,
        remote=settings.remotes,
        remote_api_key=settings.remote_api_key,
        remote_timeout_s=settings.remote_timeout_s,
        remote_voices=settings.remote_voices,
        remote_languages=settings.remote_languages,
        ray=settings.on_ray,
        ray_address=settings.ray_address,
        max_queued_requests=settings.max_queued_requests,
        max_queued_audio_s=settings.max_queued_audio_s,
        max_ahead_s=settings.max_ahead_s,
        queue_timeout_s=settings.queue_timeout_s,
        max_step_s=settings.max_step_s,
        max_long_step_s=settings.max_long_step_s,
        max_memory_bytes=None if limit is None else int(limit * 1e9),
        idle_unload_s=settings.idle_unload_s,
        tone_real_time_factor=settings.tone_real_time_factor,
        tone_faults=settings.tone_faults,
        process=_surroundings(settings) if settings.isolate_models else None,
    )


def _surroundings(settings: Settings) -> Surroundings:
    """What the process of a model is told: to log as this one does, and how much memory it may take."""
    most = settings.max_process_memory_gb
    return Surroundings(settings.log_level, settings.log_format, None if most is None else int(most * 1e9))
