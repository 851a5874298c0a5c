"""Stop a real server process in the middle of a job, and check that the next one goes on."""

import asyncio
import os
import random
import signal
from pathlib import Path

import httpx
import pytest
from benchmarks.process import Server, started

from vivavoce.client import AsyncClient

BOOK = "".join(
    f"# Part {part}\n\n{' '.join(f'This is sentence {n} of part {part}.' for n in range(30))}\n\n"
    for part in range(4)
)
OPTIONS = {"name": "book.md", "formats": ["flac", "vtt"]}
SLOW, FAST = "0.02", "0"


def url_of(server: Server) -> str:
    return f"http://{server.address.host}:{server.address.port}"


def serve(folder: Path, factor: str, **settings: str):  # type: ignore[no-untyped-def]  # as `started`
    environment = {"VIVAVOCE_DATA_DIR": str(folder), "VIVAVOCE_TONE_REAL_TIME_FACTOR": factor}
    environment |= settings
    environment["VIVAVOCE_PROVENANCE"] = "tags"  # a signature differs each time
    return started(["tone"], environment=environment, memory_gib=2.0)


async def undisturbed(folder: Path) -> dict[str, bytes]:
    async with serve(folder, FAST) as server, AsyncClient(url_of(server)) as client:
        job = await client.jobs.create(BOOK, **OPTIONS)  # type: ignore[arg-type]  # names and formats
        assert (await client.jobs.wait(job.id)).state == "done"
        return await files(client, job.id, folder)


async def files(client: AsyncClient, id: str, folder: Path) -> dict[str, bytes]:
    kinds = [file.format for file in await client.jobs.files(id)]
    assert kinds == OPTIONS["formats"]
    return {
        kind: (await client.jobs.download(id, kind, folder / kind)).read_bytes() for kind in kinds
    }


async def until_made(client: AsyncClient, id: str, sentences: int) -> None:
    async for progress in client.jobs.events(id):
        if progress.sentences_made >= sentences:
            return


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
async def test_stopped_server_goes_on_with_the_same_bytes(
    how: signal.Signals, tmp_path: Path
) -> None:
    expected = await undisturbed(tmp_path / "undisturbed")
    folder, chance = tmp_path / "stopped", random.Random(how)
    id = ""
    for number in range(4):
        async with serve(folder, SLOW) as server, AsyncClient(url_of(server)) as client:
            if not id:
                id = (await client.jobs.create(BOOK, **OPTIONS)).id  # type: ignore[arg-type]
            before = (await client.jobs.get(id)).sentences_made
            assert before >= number  # nothing that was made is lost
            await until_made(client, id, before + chance.randint(1, 20))
            assert server.pid is not None
            assert server.ended is not None
            os.kill(server.pid, how)
            code = await asyncio.wait_for(server.ended(), 40)
            assert code == (-signal.SIGKILL if how == signal.SIGKILL else 0)
    async with serve(folder, FAST) as server, AsyncClient(url_of(server)) as client:
        assert (await client.jobs.get(id)).state in ("queued", "running", "done")
        assert (await client.jobs.wait(id)).state == "done"
        assert await files(client, id, folder) == expected
    assert not [path for path in folder.rglob("*") if path.suffix in (".new", ".part")]


async def test_server_that_stops_ends_its_events_at_once(tmp_path: Path) -> None:
    async with serve(tmp_path, SLOW) as server, httpx.AsyncClient(timeout=60) as client:
        url = url_of(server)
        job = (await client.post(f"{url}/v1/jobs", json={"text": BOOK, **OPTIONS})).json()
        assert server.pid is not None
        assert server.ended is not None
        loop = asyncio.get_running_loop()
        async with client.stream("GET", f"{url}/v1/jobs/{job['id']}/events") as answer:
            async for line in answer.aiter_lines():
                if '"state":"running"' in line:
                    break
            os.kill(server.pid, signal.SIGTERM)
            stopped_s = loop.time()
            await asyncio.wait_for(server.ended(), 40)
        assert loop.time() - stopped_s < 10  # not the 30 s that a request may take
