"""Check what one key may take, and what a full disk does to a job, through HTTP."""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import app_client, tone_pool
from tests.jobs.test_server_stops import serve, url_of
from vivavoce.api.app import create_app
from vivavoce.keys import FILE_NAME, KeyFile
from vivavoce.settings import Settings

JOBS = "/v1/jobs"


def book(word: str, chapters: int = 4) -> dict[str, object]:
    parts = [
        f"# Part {n}\n\n{f'The {word} of part {n} is here. ' * 12}\n\n" for n in range(chapters)
    ]
    return {"text": "".join(parts), "name": f"{word}.md", "formats": ["flac"]}


async def ended(client: httpx.AsyncClient, id: str, **options: Any) -> dict[str, Any]:
    await client.get(f"{JOBS}/{id}/events", **options)
    job: dict[str, Any] = (await client.get(f"{JOBS}/{id}", **options)).json()
    return job


async def paused(client: httpx.AsyncClient, id: str, **options: Any) -> dict[str, Any]:
    """Return a job when it pauses by itself."""
    async with asyncio.timeout(60):
        while True:  # its events do not end with a pause
            job: dict[str, Any] = (await client.get(f"{JOBS}/{id}", **options)).json()
            if job["state"] not in ("queued", "running"):
                assert job["state"] == "paused", job
                return job


async def test_each_key_has_jobs_and_disk_of_its_own(tmp_path: Path) -> None:
    file = KeyFile(tmp_path / FILE_NAME)
    one, two = ({"Authorization": f"Bearer {file.create(name)}"} for name in ("one", "two"))

    def server(**limits: int) -> Any:  # an application
        return create_app(Settings(data_dir=tmp_path, provenance="tags", **limits), tone_pool())

    async with app_client(server()) as client:
        first = (await client.post(JOBS, json=book("lamp"), headers=one)).json()["id"]
        assert (await ended(client, first, headers=one))["state"] == "done"
    sizes = [path.stat().st_size for path in tmp_path.glob("jobs/**/*.flac")]  # noqa: ASYNC240
    async with app_client(server(max_jobs_bytes=int(1.5 * sum(sizes)))) as client:
        second = (await client.post(JOBS, json=book("rain"), headers=one)).json()["id"]
        job = await paused(client, second, headers=one)
        assert "max_jobs_bytes" in job["problem"]
        assert "remove some, and resume" in job["problem"]
        assert job["sentences_made"] > 0
        refused = await client.post(JOBS, json=book("wind"), headers=one)
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "job_limit")
        assert "max_jobs_bytes" in refused.json()["error"]["message"]
        third = await client.post(JOBS, json=book("wind", 1), headers=two)
        assert third.status_code == 201
        assert (await ended(client, third.json()["id"], headers=two))["state"] == "done"
        # It does not go on by itself, but when it is told to, and there is room.
        assert (await client.delete(f"{JOBS}/{first}", headers=one)).status_code == 204
        assert (await client.get(f"{JOBS}/{second}", headers=one)).json()["state"] == "paused"
        await client.post(f"{JOBS}/{second}/resume", headers=one)
        assert (await ended(client, second, headers=one))["state"] == "done"
    async with app_client(server(max_jobs=1)) as client:
        full = await client.post(JOBS, json=book("wind"), headers=one)
        assert (full.status_code, full.json()["error"]["code"]) == (403, "job_limit")
        assert (await client.delete(f"{JOBS}/{second}", headers=one)).status_code == 204
        assert (await client.post(JOBS, json=book("wind"), headers=one)).status_code == 201
        assert (await client.post(JOBS, json=book("wind"), headers=two)).status_code == 403


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Yield a folder on a disk of 12 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(mount, check=False).returncode:
        pytest.skip("needs root, to mount a small disk")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


async def test_full_disk_pauses_a_job_until_it_is_resumed(disk: Path) -> None:
    async with (
        serve(disk, "0") as server,
        httpx.AsyncClient(base_url=url_of(server), timeout=60) as client,
    ):
        id = (await client.post(JOBS, json=book("lamp", 24))).json()["id"]
        job = await paused(client, id)
        assert "make room" in job["problem"]
        assert job["sentences_made"] > 0
        assert not (disk / "jobs" / id / "new").exists()
        spoken = await client.post("/v1/tts/synthesize", json={"text": "Hello."})
        assert spoken.status_code == 200
        await client.post(f"{JOBS}/{id}/resume")  # without room
        assert "make room" in (await paused(client, id))["problem"]
        grow = ["mount", "-o", "remount,size=400m", str(disk)]
        subprocess.run(grow, check=True)  # noqa: ASYNC221 - takes milliseconds
        assert (await client.get(f"{JOBS}/{id}")).json()["state"] == "paused"
        await client.post(f"{JOBS}/{id}/resume")
        done = await ended(client, id)
        assert (done["state"], done["problem"], done["sentences_failed"]) == ("done", "", 0)
