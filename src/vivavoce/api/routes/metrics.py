"""Serve `/metrics` for Prometheus."""

from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from vivavoce.api.dependencies import ServerDep
from vivavoce.api.lifecycle import Lifecycle
from vivavoce.api.live.clients import LiveClients
from vivavoce.observability.metrics import CONTENT_TYPE, ModelSnapshot, Snapshot
from vivavoce.serving.pool import Pool

router = APIRouter(tags=["metrics"])

METRICS: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/plain": {"schema": {"type": "string"}}}}
}


@router.get("/metrics", response_class=Response, responses=METRICS)
async def metrics(server: ServerDep) -> Response:
    """Return all counters and gauges in the text format of Prometheus."""
    return Response(server.metrics.render(), headers={"Content-Type": CONTENT_TYPE})


def take_snapshot(pool: Pool, lifecycle: Lifecycle, live: LiveClients) -> Snapshot:
    """Return the current state of the models and of the server."""
    ready, memory = pool.ready, pool.memory_by_model
    models = []
    for name in pool.names:
        engine = ready.get(name)
        waiting, running = (engine.load.waiting, engine.load.running) if engine else (0, 0)
        models.append(ModelSnapshot(name, engine is not None, memory[name], waiting, running))
    return Snapshot(tuple(models), lifecycle.running, len(live), lifecycle.draining)
