"""Serve `/health` for people, and `/health/live` and `/health/ready` for orchestrators."""

import asyncio
from typing import Literal

from fastapi import APIRouter, Response

from vivavoce import __version__
from vivavoce.api.dependencies import ServerDep
from vivavoce.api.lifecycle import Lifecycle
from vivavoce.api.schemas.answers import NATIVE_ERRORS, Health, PeerCard
from vivavoce.serving.pool import Pool

Status = Literal["ok", "loading", "failed", "draining"]

router = APIRouter(prefix="/health", tags=["health"], responses=NATIVE_ERRORS)


@router.get("")
async def health(server: ServerDep) -> Health:
    """Return the state of the server and its models, always with status 200."""
    pool = server.synthesizer.pool
    states = {name: state.state for name, state in pool.states().items()}
    return Health(
        status=_status(pool, server.lifecycle),
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
    """Answer with 200 while the process runs."""
    return {"status": "ok"}


@router.get("/ready")
async def ready(server: ServerDep, response: Response) -> dict[str, str]:
    """Answer with 200 if a request would be spoken, otherwise with 503 and the reason."""
    pool = server.synthesizer.pool
    status = _status(pool, server.lifecycle)
    if status == "ok":
        return {"status": status}
    response.status_code = 503
    return {"status": status, "reason": _reason(status, pool, server.lifecycle)}


def _peers(pool: Pool) -> dict[str, list[PeerCard]]:
    return {
        name: [PeerCard(url=peer.url, up=peer.up, speaking=peer.speaking) for peer in engine.peers]
        for name, engine in pool.ready.items()
        if engine.peers
    }


def _status(pool: Pool, lifecycle: Lifecycle) -> Status:
    """Return `ok` if a model is ready, or can be loaded by the next request."""
    if lifecycle.draining:
        return "draining"
    if lifecycle.failure is not None:
        return "failed"
    states = {state.state for state in pool.states().values()}
    if "ready" in states:
        return "ok"
    if lifecycle.loading:
        return "loading"
    return "ok" if states & {"unloaded", "loading", "unloading"} else "failed"


def _reason(status: Status, pool: Pool, lifecycle: Lifecycle) -> str:
    if lifecycle.failure is not None and not lifecycle.draining:
        return lifecycle.failure.message
    if status == "draining":
        return "the server is stopping, and takes no new requests"
    states = pool.states()
    if status == "loading":
        loading = [name for name, state in states.items() if state.state == "loading"]
        return f"loading {', '.join(loading or states)}"
    return "; ".join(dict.fromkeys(state.detail for state in states.values()))
