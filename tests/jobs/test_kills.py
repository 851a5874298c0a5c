"""Kill processes in the middle of a job, at random moments, and check what is left."""

import asyncio
import random
import sqlite3
from pathlib import Path

import pytest

from tests.jobs.narrating import (
    LANES,
    NAME,
    VIEWER,
    LoggingTone,
    forkserver,
    narrate,
    narrated,
    opened,
    outputs_of,
    spoken_lines,
    text_of,
)
from vivavoce.jobs import JobOptions
from vivavoce.models.tone import ToneStream
from vivavoce.types import Segment

OPTIONS = JobOptions(formats=("flac", "vtt"))


async def undisturbed(folder: Path, model: str, text: str) -> dict[str, bytes]:
    async with opened(folder, model) as jobs:
        job = await narrated(jobs, text, OPTIONS)
        assert (job.state, job.sentences_made) == ("done", job.sentences)
        return await outputs_of(jobs, job.id)


def kill_some_time(folder: Path, model: str, text: str, wait_s: float) -> bool:
    """Run a job for `wait_s` after its beginning, and kill it. False if it was done before."""
    ready, told = forkserver.Pipe(duplex=False)
    process = forkserver.Process(target=narrate, args=(folder, model, text, OPTIONS, told))
    process.start()
    told.close()
    assert ready.poll(60)
    process.join(wait_s)
    was_killed = process.is_alive()
    process.kill()
    process.join()
    return was_killed


def check_folder(folder: Path) -> None:
    """Check that nothing was made twice, and that no file is left over."""
    with sqlite3.connect(folder / "jobs.db") as database:
        takes = dict(database.execute("SELECT key, made FROM takes").fetchall())
        used = {key for (key,) in database.execute("SELECT key FROM sentences")}
    database.close()
    assert set(takes.values()) == {1}
    assert set(takes) == used
    assert {path.stem for path in (folder / "audio").rglob("*.flac")} == set(takes)
    job = next(folder.glob("job_*"))
    assert not (job / "new").exists()
    left = {path.suffix for path in job.rglob("*") if path.is_file()}
    assert left <= {"", ".db", ".flac", ".json", ".vtt"}


async def check_kills(tmp_path: Path, model: str, text: str, kills: int, most_s: float) -> None:
    expected = await undisturbed(tmp_path / "undisturbed", model, text)
    chance, killed, jobs_done = random.Random(19), 0, 0
    while killed < kills:
        folder = tmp_path / f"job{jobs_done}"
        before = killed
        while killed < kills:
            wait_s = chance.uniform(0, most_s)
            if not await asyncio.to_thread(kill_some_time, folder, model, text, wait_s):
                break
            killed += 1
        async with opened(folder, model) as jobs:
            job = await narrated(jobs, text, OPTIONS)
            assert job.state == "done"
            assert await outputs_of(jobs, job.id) == expected
        check_folder(folder)
        if model == "tone":  # a kill costs a sentence for each lane, and nothing else
            spoken = spoken_lines(folder)
            lost = len(spoken) - len(set(spoken))
            assert len(set(spoken)) == job.sentences
            assert lost <= (killed - before) * LANES
        jobs_done += 1


async def test_killed_job_ends_with_the_same_bytes(tmp_path: Path) -> None:
    await check_kills(tmp_path, "tone", text_of(3, 20), kills=6, most_s=0.5)


async def test_killed_job_with_long_chapters_ends_with_the_same_bytes(tmp_path: Path) -> None:
    """Chapters of more than a minute are joined in a process of their own."""
    await check_kills(tmp_path, "tone", text_of(2, 150), kills=4, most_s=4.0)


async def test_no_sentence_begins_before_earlier_ones_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost: list[int] = []  # by a kill at the beginning of each sentence
    begin = LoggingTone.open

    def counted(model: LoggingTone, segment: Segment) -> ToneStream:
        stream = begin(model, segment)
        begun = len(spoken_lines(tmp_path))  # counted first: the other lane goes on meanwhile
        lost.append(begun - len(list((tmp_path / "audio").rglob("*.flac"))))
        return stream

    monkeypatch.setattr(LoggingTone, "open", counted)
    async with opened(tmp_path) as jobs:
        job = await narrated(jobs, text_of(2, 20), OPTIONS)
    assert len(lost) == job.sentences
    assert max(lost) <= LANES


@pytest.mark.slow
async def test_a_hundred_kills_lose_nothing(tmp_path: Path) -> None:
    await check_kills(tmp_path, "tone", text_of(4, 40), kills=100, most_s=0.8)


@pytest.mark.slow
async def test_ten_kills_of_a_real_voice_lose_nothing(tmp_path: Path) -> None:
    await check_kills(tmp_path, "hibari", text_of(2, 20), kills=10, most_s=1.5)


async def test_one_process_at_a_time_runs_a_job(tmp_path: Path) -> None:
    from vivavoce.errors import WrongState

    async with opened(tmp_path) as one, opened(tmp_path) as two:
        job, _ = await one.create(text_of(2, 30).encode(), "book.txt", OPTIONS, VIEWER, paused=True)
        running = asyncio.create_task(one.run(job.id))
        async for event in one.events(job.id, VIEWER):
            if event.state == "running":
                break
        with pytest.raises(WrongState, match="another process"):
            await two.run(job.id)
        assert (await running).state == "done"
        assert (await two.get(job.id, VIEWER)).state == "done"


async def test_pause_does_not_wait_for_a_file_that_is_being_written(tmp_path: Path) -> None:
    text, options = text_of(1, 300).encode(), JobOptions(formats=("mp3",))
    async with opened(tmp_path) as jobs:
        job, _ = await jobs.create(text, NAME, options, VIEWER, paused=True)
        running = asyncio.create_task(jobs.run(job.id))
        async for event in jobs.events(job.id, VIEWER):
            if event.stage == "writing":
                await jobs.act(job.id, "pause", VIEWER)
                break
        assert (await running).state == "paused"
        assert not (tmp_path / job.id / "new").exists()
        assert not list((tmp_path / job.id / "out").iterdir())
        await jobs.act(job.id, "resume", VIEWER)
        assert (await jobs.run(job.id)).state == "done"
        other, _ = await jobs.create(text, NAME, options, VIEWER, paused=True)
        await jobs.run(other.id)
        assert await outputs_of(jobs, job.id) == await outputs_of(jobs, other.id)
