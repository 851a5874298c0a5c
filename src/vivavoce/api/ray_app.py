"""Build a Ray Serve application for one model from settings, for `serve deploy`.

The server imports nothing of this module.
"""

from functools import partial
from typing import TYPE_CHECKING, Any

from vivavoce.errors import SettingsError
from vivavoce.registry import build_pool
from vivavoce.remote.ray import Speaker, require_ray
from vivavoce.settings import Settings

if TYPE_CHECKING:
    from ray.serve import Application


def application(args: dict[str, object]) -> "Application":
    """Return the application of `args`, which are settings.

    The setting `default_model` names the one model of all replicas. Raises `SettingsError` for
    wrong settings or a missing model, and `MissingDependency` without Ray.
    """
    settings = Settings.read(None, **args)
    if settings.default_model == "auto":
        raise SettingsError("a Ray application speaks with one model: name it in 'default_model'")
    require_ray()
    from ray import serve

    deployment: Any = serve.deployment(Speaker)  # Any: Ray's own types take it for a decorator
    deployment = deployment.options(
        max_ongoing_requests=settings.ray_max_ongoing_requests,
        max_queued_requests=settings.max_queued_requests,
        ray_actor_options={"num_cpus": settings.ray_num_cpus, "num_gpus": settings.ray_num_gpus},
        autoscaling_config={
            "min_replicas": settings.ray_min_replicas,
            "max_replicas": max(settings.ray_min_replicas, settings.ray_max_replicas),
            # Another replica is started before the running ones are full.
            "target_ongoing_requests": max(1.0, 0.7 * settings.ray_max_ongoing_requests),
        },
    )
    bound: Application = deployment.bind(partial(build_pool, settings), settings.default_model)
    return bound
