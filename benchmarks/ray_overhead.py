"""Measure the delay that a Ray cluster adds to the first audio.

It is compared with the same model in this process.

    python benchmarks/ray_overhead.py --requests 100

Needs the extra `ray`. Starts a cluster of its own on this machine, with one replica of the tone
model.
"""

import asyncio
import os
import secrets
import statistics
import sys
import time
from contextlib import aclosing
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Annotated

if not __package__:  # run as a file: its siblings are found from the folder above
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import typer

from vivavoce.models.tone import ToneModel
from vivavoce.remote.ray import RayEngine, Speaker
from vivavoce.serving.base import Engine
from vivavoce.serving.local import LocalEngine
from vivavoce.serving.pool import Pool
from vivavoce.types import Segment

SEGMENT = Segment(
    "A sentence of a usual length, for those who wait for its beginning.", "sine", "en"
)


def main(
    requests: Annotated[
        int, typer.Option(min=10, max=1000, help="Segments, one after another.")
    ] = 100,
    real_time_factor: Annotated[
        float, typer.Option(min=0, max=1, help="How fast the model speaks.")
    ] = 0.1,
) -> None:
    """Print the time to the first audio, and between chunks, here and in the cluster."""
    asyncio.run(_measure(requests, real_time_factor))


async def _measure(requests: int, real_time_factor: float) -> None:
    direct = LocalEngine(ToneModel(real_time_factor=real_time_factor))
    await direct.start()
    clustered = await asyncio.to_thread(_deployed, real_time_factor)
    await clustered.start()
    firsts: dict[str, list[float]] = {"direct": [], "Ray": []}
    gaps: dict[str, list[float]] = {"direct": [], "Ray": []}
    for n in range(requests + 5):
        for name, engine in (("direct", direct), ("Ray", clustered)):
            first, between = await _times(engine)
            if n >= 5:  # the first ones warm up
                firsts[name].append(first)
                gaps[name] += between
    for name in firsts:
        print(
            f"{name:>7}: first audio {_quantiles(firsts[name])}, "
            f"between chunks {_quantiles(gaps[name])}"
        )
    await clustered.aclose()
    await direct.aclose()


def _deployed(real_time_factor: float) -> RayEngine:
    os.environ |= {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    import ray
    from ray import serve

    ray.init(
        num_cpus=2, object_store_memory=150_000_000, include_dashboard=False, log_to_driver=False
    )
    serve.start(http_options={"location": "NoServer"})
    deployment = serve.deployment(Speaker).options(max_ongoing_requests=8)
    serve.run(
        deployment.bind(partial(_tone, real_time_factor), "tone"), name="tone", route_prefix=None
    )
    return RayEngine("tone")


def _tone(real_time_factor: float) -> Pool:
    return Pool({"tone": lambda: LocalEngine(ToneModel(real_time_factor=real_time_factor))})


async def _times(engine: Engine) -> tuple[float, list[float]]:
    """Return the seconds to the first chunk, and those between chunks."""
    start, times = time.perf_counter(), list[float]()
    async with aclosing(engine.speak(SEGMENT)) as speech:
        async for _ in speech:
            times.append(time.perf_counter())
    return times[0] - start, [after - before for before, after in pairwise(times)]


def _quantiles(seconds: list[float]) -> str:
    cuts = statistics.quantiles(seconds, n=100)
    return f"p50 {1000 * cuts[49]:.1f} ms, p95 {1000 * cuts[94]:.1f} ms"


if __name__ == "__main__":
    typer.run(main)
