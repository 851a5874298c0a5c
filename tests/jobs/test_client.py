"""Check `client.jobs`, blocking and with asyncio, against a real server."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import serving, tone_pool
from vivavoce.api.app import create_app
from vivavoce.client import AsyncClient, Client, JobEntry
from vivavoce.errors import BadRequest, UnknownJob, WrongState
from vivavoce.settings import Settings

BOOK = "# The lamp\n\nThe lamp is on the table.\n\n# The rain\n\nIt rains.\n"
LONG = "# One\n\n" + "It rains again and again. " * 300


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    settings = Settings(data_dir=tmp_path_factory.mktemp("jobs"), provenance="tags")
    with serving(create_app(settings, tone_pool(real_time_factor=0.01))) as url:
        yield url


@pytest.fixture
def client(url: str) -> Iterator[Client]:
    with Client(url) as client:
        yield client


def test_book_is_made_watched_and_downloaded(client: Client, tmp_path: Path) -> None:
    book = tmp_path / "book.md"
    book.write_text(BOOK)
    job = client.jobs.create(book, formats=["flac", "vtt"], choices={"footnotes": True}, speed=1.0)
    assert (job.source, job.formats, job.chapters) == ("book.md", ("flac", "vtt"), 2)
    seen = list(client.jobs.events(job.id))
    assert (seen[-1].state, seen[-1].percent, seen[-1].chapters_ready) == ("done", 100, (1, 2))
    done = client.jobs.wait(job.id)
    assert done.state == "done"
    assert done in client.jobs.list()
    assert client.jobs.list(state="failed") == ()
    names = {file.format: file.name for file in client.jobs.files(job.id)}
    to_folder = client.jobs.download(job.id, "flac", tmp_path)
    assert (to_folder.name, to_folder.read_bytes()[:4]) == (names["flac"], b"fLaC")
    assert client.jobs.download(job.id, "vtt", tmp_path / "b.vtt").read_text().startswith("WEBVTT")
    assert [chapter.title for chapter in client.jobs.chapters(job.id)] == ["The lamp", "The rain"]
    chapter = client.jobs.download_chapter(job.id, 2, tmp_path)
    assert chapter.read_bytes()[:4] == b"fLaC"
    assert not list(tmp_path.glob("*.part"))
    assert client.jobs.skipped(job.id)["failed"] == []
    assert client.jobs.redo(job.id, 1).state in ("queued", "running", "done")
    assert client.jobs.wait(job.id).state == "done"
    last = client.jobs.sentences(job.id, 2)[-1]
    assert (last.text, last.state, last.take) == ("It rains.", "made", 0)
    rules = [{"word": "rains", "alias": "pours down"}]
    assert client.jobs.pronounce(job.id, rules).id == job.id
    assert client.jobs.wait(job.id).state == "done"
    assert client.jobs.sentences(job.id, 2)[-1].audio_s > last.audio_s
    client.jobs.remove(job.id)
    with pytest.raises(UnknownJob):
        client.jobs.get(job.id)


def test_text_and_bytes_make_jobs_once_for_a_key(client: Client) -> None:
    text = client.jobs.create(BOOK, name="book.md", paused=True, idempotency_key="a")
    assert client.jobs.create(BOOK, name="book.md", paused=True, idempotency_key="a") == text
    sent = client.jobs.create(BOOK.encode(), name="book.md", paused=True, formats=["srt"])
    assert (text.chapters, sent.chapters) == (2, 2)
    assert client.jobs.plan(sent.id)["characters"] == client.jobs.plan(text.id)["characters"]
    for job in (text, sent):
        client.jobs.cancel(job.id)
        client.jobs.remove(job.id)


def test_job_is_steered_and_errors_are_ours(client: Client, tmp_path: Path) -> None:
    job = client.jobs.create(LONG, name="long.md", formats=["flac"])
    assert client.jobs.pause(job.id).state == "paused"
    assert client.jobs.resume(job.id).state in ("queued", "running")
    assert client.jobs.cancel(job.id).state == "cancelled"
    assert client.jobs.wait(job.id).state == "cancelled"
    with pytest.raises(WrongState):
        client.jobs.resume(job.id)
    with pytest.raises(WrongState):
        client.jobs.download(job.id, "flac", tmp_path / "none.flac")
    assert not (tmp_path / "none.flac").exists()
    client.jobs.remove(job.id)
    with pytest.raises(BadRequest, match="cannot be read"):
        client.jobs.create(tmp_path / "missing.epub")
    with pytest.raises(TypeError, match="unknown option 'voice'"):
        client.jobs.create(BOOK, voice="sine")  # type: ignore[call-arg]  # that is the point
    with pytest.raises(BadRequest) as refused:
        client.jobs.create(BOOK, speed=99)
    assert refused.value.field == "speed"


def test_list_asks_for_all_pages(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    made = [client.jobs.create(f"{BOOK}{n}", name="a.md", paused=True) for n in range(3)]
    send = client._http.request

    def in_small_pages(method: str, path: str, **arguments: Any) -> Any:  # as `request`
        if "params" in arguments:
            arguments["params"] = {**arguments["params"], "limit": 1}
        return send(method, path, **arguments)

    monkeypatch.setattr(client._http, "request", in_small_pages)
    assert [job.id for job in client.jobs.list("paused")] == [job.id for job in reversed(made)]
    for job in made:
        client.jobs.cancel(job.id)
        client.jobs.remove(job.id)


async def test_asyncio_has_the_same(url: str, tmp_path: Path) -> None:
    book = tmp_path / "book.md"
    book.write_text(BOOK)
    async with AsyncClient(url) as client:
        job = await client.jobs.create(book, formats=["flac"], paused=True)
        assert isinstance(job, JobEntry)
        assert (await client.jobs.plan(job.id))["title"]
        assert (await client.jobs.resume(job.id)).state in ("queued", "running", "done")
        states = [progress.state async for progress in client.jobs.events(job.id)]
        assert states[-1] == (await client.jobs.wait(job.id)).state == "done"
        assert (await client.jobs.list())[0].id == job.id
        assert [chapter.ready for chapter in await client.jobs.chapters(job.id)] == [True, True]
        assert (await client.jobs.files(job.id))[0].format == "flac"
        path = await client.jobs.download(job.id, "flac", tmp_path / "a.flac")
        chapter = await client.jobs.download_chapter(job.id, 1, tmp_path)
        assert path.read_bytes()[:4] == chapter.read_bytes()[:4] == b"fLaC"
        assert (await client.jobs.skipped(job.id))["failed"] == []
        sentences = await client.jobs.sentences(job.id, 2)
        assert [one.state for one in sentences] == ["made"] * len(sentences)
        assert (await client.jobs.redo(job.id, 2, sentences[-1].number)).id == job.id
        assert (await client.jobs.pronounce(job.id, [])).id == job.id
        await client.jobs.wait(job.id)
        with pytest.raises(WrongState):
            await client.jobs.pause(job.id)
        await client.jobs.remove(job.id)
        with pytest.raises(UnknownJob):
            await client.jobs.wait(job.id)


async def test_waiting_survives_a_restart_of_the_server(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, provenance="tags")
    with (
        serving(create_app(settings, tone_pool(real_time_factor=0.2))) as url,
        Client(url) as client,
    ):
        job = client.jobs.create(LONG, name="long.md", formats=["flac"])
        began = threading.Event()
        ended: list[str] = []

        def watch() -> None:
            with Client(url) as watching:
                for progress in watching.jobs.events(job.id):
                    began.set()
                    ended.append(progress.state)

        thread = threading.Thread(target=watch)
        thread.start()
        assert await asyncio.to_thread(began.wait, 30)
    port = int(url.rpartition(":")[2])
    with serving(create_app(settings, tone_pool()), port):
        await asyncio.to_thread(thread.join, 60)
    assert ended[-1] == "done"
