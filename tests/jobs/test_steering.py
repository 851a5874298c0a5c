"""Let many clients steer many jobs at once, and check every answer, the queue, and what is left."""

import asyncio
import random
from collections import Counter
from pathlib import Path
from typing import Final, get_args

import httpx
import pytest

from tests.jobs.test_server_stops import serve, url_of
from vivavoce.jobs import ACTIONS, JobState

JOBS = "/v1/jobs"
TEXT = {"name": "book.md", "formats": ["vtt"]}
# A client that waits longer has met a job or a server that hangs.
PATIENCE_S: Final = 60.0


async def steer(
    url: str, ids: list[str], gone: set[str], missing: set[str], chance: random.Random, actions: int
) -> Counter[str]:
    """Send random actions, some on new connections, and check each answer."""
    seen = Counter[str]()
    async with httpx.AsyncClient(base_url=url, timeout=PATIENCE_S) as client:
        for _ in range(actions):
            id, action = chance.choice(ids), chance.choice((*ACTIONS, *ACTIONS, "remove"))
            method, path = ("DELETE", "") if action == "remove" else ("POST", f"/{action}")
            headers = {"Connection": "close"} if chance.random() < 0.3 else {}
            answer = await client.request(method, f"{JOBS}/{id}{path}", headers=headers)
            seen[f"{action} {answer.status_code}"] += 1
            if answer.status_code == 204:
                assert action == "remove"
                assert id not in gone
                gone.add(id)
            elif answer.status_code == 200:
                said = answer.json()
                assert (said["id"], said["state"] in get_args(JobState)) == (id, True)
                asked = ACTIONS[action][1]  # another client may have been faster since
                seen[f"{action} asked" if said["state"] == asked else f"{action} other"] += 1
            elif answer.status_code == 404:
                # Its removal may be answered a moment later than this.
                assert answer.json()["error"]["code"] == "job_not_found"
                seen[f"{action} gone"] += 1
                missing.add(id)
            else:
                assert answer.status_code == 409, answer.text
                error = answer.json()["error"]
                assert (error["code"], error["field"]) == ("wrong_state", "state")
                assert id in error["message"]
    return seen


async def check_steering(folder: Path, jobs: int, clients: int, actions: int) -> None:
    async with (
        serve(folder, "0", VIVAVOCE_MAX_JOBS="1000") as server,
        httpx.AsyncClient(base_url=url_of(server), timeout=PATIENCE_S) as client,
    ):

        async def made(text: str, **options: object) -> str:
            answer = await client.post(JOBS, json={**TEXT, "text": text, **options})
            assert answer.status_code == 201, answer.text
            return str(answer.json()["id"])

        async def ended(id: str) -> str:
            answer = await client.get(f"{JOBS}/{id}/events")
            return str(answer.text.rpartition('"state":"')[2].partition('"')[0])

        blocker = await made("It rains again and again. " * 3_000)
        ids = [await made(f"It rains on day {n}. The sun is away.") for n in range(jobs)]
        gone, missing, chance = set[str](), set[str](), random.Random(jobs)
        await client.post(f"{JOBS}/{blocker}/pause")  # so that all of them may run
        seen = sum(
            await asyncio.gather(
                *(
                    steer(url_of(server), ids, gone, missing, chance, actions)
                    for _ in range(clients)
                )
            ),
            Counter[str](),
        )
        assert missing <= gone
        for action in (*ACTIONS, "remove"):
            assert seen[f"{action} 200"] + seen[f"{action} 204"] > 0, seen
        # No job is lost, and each can still be made.
        left = [id for id in ids if id not in gone]
        listed = []
        page: dict[str, str] = {}
        while True:
            answer = (await client.get(JOBS, params=page)).json()
            listed += [job["id"] for job in answer["jobs"]]
            if answer["next"] is None:
                break
            page = {"after": answer["next"]}
        assert sorted(listed) == sorted([blocker, *left])
        for id in gone:
            assert not (folder / "jobs" / id).exists()
        # They are made in their order, whatever the order in which they were queued again.
        await client.post(f"{JOBS}/{blocker}/resume")
        for id in left:
            await client.post(f"{JOBS}/{id}/cancel")
        for id in chance.sample(left, len(left)):
            answer = await client.post(f"{JOBS}/{id}/retry")
            assert answer.status_code == 200, answer.text
        waiting = (await client.get(JOBS, params={"state": "queued", "limit": 1})).json()
        assert waiting["jobs"], "the blocker has ended too early"
        await client.post(f"{JOBS}/{blocker}/cancel")
        assert {await ended(id) for id in left} == {"done"}
        done = [(await client.get(f"{JOBS}/{id}")).json() for id in left]
        times = [job["updated"] for job in done]
        assert times == sorted(times)
        assert {job["sentences_failed"] for job in done} == {0}


async def test_clients_steer_jobs_at_once_and_none_is_lost(tmp_path: Path) -> None:
    await check_steering(tmp_path, jobs=20, clients=8, actions=15)


@pytest.mark.slow
async def test_twenty_clients_steer_two_hundred_jobs(tmp_path: Path) -> None:
    await check_steering(tmp_path, jobs=200, clients=20, actions=60)
