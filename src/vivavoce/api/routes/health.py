"""Health: for people (`/health`), and for what restarts and routes (`/health/live`, `/health/ready`)."""

import asyncio
from typing import Literal

from fastapi import APIRouter, Response

from vivavoce import __version__
from vivavoce.api.dependencies import ServerDep
from vivavoce.api.lifecycle import Lifecycle
from vivavoce.api.schemas import NATIVE_ERRORS, Health, PeerCard
from vivavoce.serving.pool import Pool

Status = Literal["ok", "loading", "failed", "draining"]

router = APIRouter(prefix="/health", tags=["health"], responses=NATIVE_ERRORS)


@router.get("")
async def health(server: ServerDep) -> Health:
    """How the server and its models are; 200 as long as it answers at all."""
    pool = server.synthesizer.pool
    states = {name: state.state for name, state in pool.states().items()}
    return Health(
        status=_status(pool, server.life),
        model_loaded="ready" in states.values(),
        models=dict(states),
        memory_bytes=pool.memory_bytes,
        max_memory_bytes=pool.max_memory_bytes,
        folders=dict(await asyncio.to_thread(server.folders.states)),
        peers=_peers(pool),
        version=__version__,
    )


@router.get("/live")
async def live() -> dict[str, str]:
    """200 while the process answers."""
    return {"status": "ok"}


@router.get("/ready")
async def ready(server: ServerDep, response: Response) -> dict[str, str]:
    """200 when a request would be spoken; 503 with the reason before that, and after SIGTERM."""
    pool = server.synthesizer.pool
    status = _status(pool, server.life)
    if status == "ok":
        return {"status": status}
    response.status_code = 503
    return {"status": status, "reason": _reason(status, pool, server.life)}


def _peers(pool: Pool) -> dict[str, list[PeerCard]]:
    return {
        name: [PeerCard(url=peer.url, up=peer.up, speaking=peer.speaking) for peer in engine.peers]
        for name, engine in pool.ready.items()
        if engine.peers
    }


def _status(pool: Pool, life: Lifecycle) -> Status:
    """`ok` when a model is ready or would be loaded by the first request that needs it."""
    if life.draining:
        return "draining"
    if life.failure is not None:
        return "failed"
    states = {state.state for state in pool.states().values()}
    if "ready" in states:
        return "ok"
    if life.loading:
        return "loading"
    return "ok" if states & {"unloaded", "loading", "unloading"} else "failed"


def _reason(status: Status, pool: Pool, life: Lifecycle) -> str:
    if life.failure is not None and not life.draining:
        return life.failure.message
    if status == "draining":
        return "the server is stopping, and takes no new requests"
    states = pool.states()
    if status == "loading":
        coming = [name for name, state in states.items() if state.state == "loading"]
        return f"loading {', '.join(coming or states)}"
    return "; ".join(dict.fromkeys(state.detail for state in states.values()))
