"""Check that one odd client, file or job does not harm the others."""

import shutil
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.books.generate import Document, Epub
from tests.conftest import app_client, serving, tone_pool
from tests.jobs.narrating import VIEWER, opened
from vivavoce.api.app import BOOKS_READ_AT_ONCE, create_app
from vivavoce.jobs import JobOptions
from vivavoce.settings import Settings

JOBS = "/v1/jobs"
PART = b'--x\r\nContent-Disposition: form-data; name="%s"\r\n\r\n'
TEXT = {"text": "It rains.", "name": "rain.txt", "formats": ["flac"]}


def settings(folder: Path) -> Settings:
    return Settings(data_dir=folder, provenance="tags")


def test_slow_uploads_do_not_keep_others_waiting(tmp_path: Path) -> None:
    with serving(create_app(settings(tmp_path), tone_pool())) as url:
        where = httpx.URL(url)
        begun = (
            b"POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999\r\n"
            b"Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n"
            b'Content-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\nIt '
        )
        slow = [
            socket.create_connection((where.host, where.port or 80))
            for _ in range(BOOKS_READ_AT_ONCE + 1)
        ]
        try:
            for one in slow:
                one.sendall(begun)
            assert httpx.post(f"{url}{JOBS}", json=TEXT, timeout=10).status_code == 201
        finally:
            for one in slow:
                one.close()
        assert httpx.get(f"{url}{JOBS}").json()["total"] == 1


@contextmanager
def sending(url: str, parts: Iterable[bytes], size: int) -> Iterator[socket.socket]:
    """Yield a connection on which a form of `size` bytes has begun to arrive."""
    where = httpx.URL(url)
    head = (
        f"POST {JOBS} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n"
        'Content-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'
    )
    with socket.create_connection((where.host, where.port or 80), timeout=60) as connection:
        connection.sendall(head.encode())
        for part in parts:
            connection.sendall(part)
        yield connection


def until(met: Callable[[], bool]) -> None:
    """Wait for what the server does in its own thread."""
    end_s = time.monotonic() + 60
    while not met():
        assert time.monotonic() < end_s
        time.sleep(0.01)


def test_book_is_written_while_it_arrives_and_removed_if_it_breaks_off(tmp_path: Path) -> None:
    size, part = 8 * 2**20, b"It rains. " * 6_000
    with serving(create_app(settings(tmp_path), tone_pool())) as url:
        parts = [part] * (size // len(part) - 1)
        with sending(url, parts, size):

            def written() -> int:
                return sum(file.stat().st_size for file in tmp_path.glob("jobs/job_*/source"))

            until(lambda: written() > size - 4 * len(part))  # the last ones may be on their way
        until(lambda: not list(tmp_path.glob("jobs/job_*")))
        assert httpx.get(f"{url}{JOBS}").json()["total"] == 0


def test_book_beyond_the_limit_is_refused_while_it_arrives(tmp_path: Path) -> None:
    limited = settings(tmp_path).model_copy(update={"max_book_bytes": 100_000})
    with serving(create_app(limited, tone_pool())) as url:
        where = httpx.URL(url)
        head = (
            f"POST {JOBS} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
            "Content-Type: multipart/form-data; boundary=x\r\n\r\n"
        )
        start = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'
        with socket.create_connection((where.host, where.port or 80), timeout=60) as connection:
            connection.sendall(head.encode())
            for part in (start, *[b"It rains. " * 6_000] * 20):
                connection.sendall(b"%x\r\n%s\r\n" % (len(part), part))
            answer = connection.recv(65_536)  # though the book has not ended
        assert answer.startswith(b"HTTP/1.1 413")
        until(lambda: not list(tmp_path.glob("jobs/job_*")))


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (PART % b'file"; filename="a.txt' + b"It rains", "breaks off"),
        (PART % b"speed" + b"1" * 300_000, "more than 262,144 bytes"),
        ((PART % b"a" + b"A\r\n") * 65 + b"--x--", "more than 64"),
        (b"no boundary at all", "breaks off"),
    ],
)
async def test_form_that_is_none_is_refused_and_leaves_nothing(
    body: bytes, told: str, tmp_path: Path
) -> None:
    async with app_client(create_app(settings(tmp_path), tone_pool())) as client:
        headers = {"Content-Type": "multipart/form-data; boundary=x"}
        answer = await client.post(JOBS, content=body, headers=headers)
        assert (answer.status_code, told in answer.json()["error"]["message"]) == (422, True)
        assert list((tmp_path / "jobs").glob("job_*")) == []


async def test_job_without_its_files_harms_no_other_and_can_be_removed(tmp_path: Path) -> None:
    async with app_client(create_app(settings(tmp_path), tone_pool())) as client:
        broken, whole = [
            (await client.post(JOBS, json={**TEXT, "paused": True})).json()["id"] for _ in range(2)
        ]
        shutil.rmtree(tmp_path / "jobs" / broken)
        for id in (broken, whole):
            await client.post(f"{JOBS}/{id}/resume")
        await client.get(f"{JOBS}/{whole}/events")
        jobs = {job["id"]: job for job in (await client.get(JOBS)).json()["jobs"]}
        assert (jobs[broken]["state"], jobs[whole]["state"]) == ("failed", "done")
        assert "gone from the disk: remove the job" in jobs[broken]["problem"]
        for path in ("plan", "skipped"):
            answer = await client.get(f"{JOBS}/{broken}/{path}")
            assert (answer.status_code, answer.json()["error"]["code"]) == (409, "wrong_state")
        assert (await client.delete(f"{JOBS}/{broken}")).status_code == 204


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("\U00020000" * 100, "\U00020000" * 30),  # four bytes each, and names have 255 at most
        ("Alice's Adventures, or: What?", "Alice's Adventures, or What"),
        ("हिन्दी", "हिन्दी"),  # its vowels are marks
        ("../..", "book"),
    ],
)
async def test_file_has_the_title_as_its_name(title: str, name: str, tmp_path: Path) -> None:
    page = Document("a.xhtml", "One")
    page.paragraph("The lamp burns.")
    book = {"file": ("b.epub", Epub([page], title=title).bytes())}
    async with app_client(create_app(settings(tmp_path), tone_pool())) as client:
        id = (await client.post(JOBS, files=book, data={"formats": "flac"})).json()["id"]
        await client.get(f"{JOBS}/{id}/events")
        [file] = (await client.get(f"{JOBS}/{id}/files")).json()["files"]
        assert file["name"] == f"{name}.flac"
        assert (await client.get(f"{JOBS}/{id}/files/flac")).content[:4] == b"fLaC"


async def test_folder_of_the_command_line_is_no_file_of_the_server(tmp_path: Path) -> None:
    async with opened(tmp_path / "jobs") as jobs:
        options = JobOptions(formats=("folder", "flac"))
        job, _ = await jobs.create(b"It rains.", "rain.txt", options, VIEWER, paused=True)
        assert (await jobs.run(job.id)).state == "done"
    async with app_client(create_app(settings(tmp_path), tone_pool())) as client:
        files = (await client.get(f"{JOBS}/{job.id}/files")).json()["files"]
        assert [file["format"] for file in files] == ["flac"]
        answer = await client.get(f"{JOBS}/{job.id}/files/folder")
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "wrong_state")


@pytest.mark.parametrize(
    ("text", "unread"),
    [
        ("Write <div> here, and <!-- a comment --> there.", ["<div>", "<!-- a comment -->"]),
        (
            "Hello [laughs] there. [whisper]Hush[/whisper] now.",
            ["[laughs]", "[whisper]", "[/whisper]"],
        ),
        ("See https://example.com/a_b for it.", ["https://", "/a_b"]),
        ('<speak>Go <break time="1s"/> on.</speak>', ["<speak>", '<break time="1s"/>', "</speak>"]),
        ("He said [sic] that [he] (as always) paid $5 [Illustration: a cat].", []),
    ],
)
async def test_markup_in_a_sentence_is_listed(text: str, unread: list[str], tmp_path: Path) -> None:
    async with app_client(create_app(settings(tmp_path), tone_pool())) as client:
        body = {**TEXT, "text": f"It rains.\n\n{text}\n\nThe end.", "paused": True}
        id = (await client.post(JOBS, json=body)).json()["id"]
        skipped = (await client.get(f"{JOBS}/{id}/skipped")).json()["skipped"]
        assert [part["text"] for part in skipped] == unread
        assert {part["reason"] for part in skipped} <= {"markup, or part of an address"}


@pytest.mark.parametrize("number", ["0", "-1", "one", str(2**64)])
@pytest.mark.parametrize("what", ["", "/sentences"])
async def test_number_that_is_no_chapter_is_refused(number: str, what: str, tmp_path: Path) -> None:
    async with app_client(create_app(settings(tmp_path), tone_pool())) as client:
        id = (await client.post(JOBS, json=TEXT)).json()["id"]
        answer = await client.get(f"{JOBS}/{id}/chapters/{number}{what}")
        assert (answer.status_code, answer.json()["error"]["field"]) == (422, "number")
        assert "the field 'number' cannot be" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("part", "told"),
    [
        ({"cast": {"nobody": "hum"}}, "the field 'nobody' in 'cast' is not known here"),
        ({"pronunciations": [{"alias": "b"}]}, "the field 'word' in 'pronunciations' is missing"),
    ],
)
async def test_mistake_inside_of_a_field_is_named(
    part: dict[str, object], told: str, tmp_path: Path
) -> None:
    async with app_client(create_app(settings(tmp_path), tone_pool())) as client:
        answer = await client.post(JOBS, json={**TEXT, **part})
        assert answer.status_code == 422
        assert told in answer.json()["error"]["message"]


async def test_page_behind_a_job_that_is_gone_is_refused(tmp_path: Path) -> None:
    async with app_client(create_app(settings(tmp_path), tone_pool())) as client:
        await client.post(JOBS, json=TEXT)
        answer = await client.get(JOBS, params={"after": "job_gone"})
        assert (answer.status_code, answer.json()["error"]["field"]) == (422, "after")


@pytest.mark.parametrize("is_replaced", [False, True])
async def test_folder_that_is_removed_under_a_server_is_no_place_of_jobs(
    is_replaced: bool, tmp_path: Path
) -> None:
    async with app_client(create_app(settings(tmp_path), tone_pool())) as client:
        assert (await client.post(JOBS, json=TEXT | {"paused": True})).status_code == 201
        shutil.rmtree(tmp_path / "jobs")
        if is_replaced:
            async with opened(tmp_path / "jobs") as others:
                assert not await others.all(VIEWER)
        for _ in range(2):
            for answer in (await client.get(JOBS), await client.post(JOBS, json=TEXT)):
                assert answer.status_code == 503, answer.text
                assert "start vivavoce again" in answer.json()["error"]["message"]
        assert (tmp_path / "jobs" / "jobs.db").exists() == is_replaced
