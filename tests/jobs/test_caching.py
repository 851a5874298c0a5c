"""Check that players and browsers get files of a job again only when those have changed."""

import os
from collections.abc import AsyncIterator
from email.utils import formatdate, parsedate_to_datetime
from pathlib import Path

import httpx
import pytest

from tests.conftest import app_client, tone_pool
from vivavoce.api.app import create_app
from vivavoce.settings import Settings

JOBS = "/v1/jobs"
BOOK = "# The lamp\n\nThe lamp is on the table.\n\n# The rain\n\nIt rains.\n"


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    settings = Settings(data_dir=tmp_path, provenance="tags")
    async with app_client(create_app(settings, tone_pool())) as client:
        yield client


@pytest.fixture
async def job(client: httpx.AsyncClient) -> str:
    """Return the path of a job that is done."""
    body = {"text": BOOK, "name": "book.md", "formats": ["flac"]}
    id = (await client.post(JOBS, json=body)).json()["id"]
    await client.get(f"{JOBS}/{id}/events")
    return f"{JOBS}/{id}"


@pytest.mark.parametrize("what", ["files/flac", "chapters/1"])
async def test_client_that_has_a_file_is_told_so(
    client: httpx.AsyncClient, job: str, what: str
) -> None:
    path = f"{job}/{what}"
    whole = await client.get(path)
    etag, modified = whole.headers["etag"], whole.headers["last-modified"]
    for known in (
        {"If-None-Match": etag},
        {"If-None-Match": f'"other", W/{etag}'},
        {"If-None-Match": "*"},
        {"If-Modified-Since": modified},
        {"If-None-Match": etag, "If-Modified-Since": formatdate(0, usegmt=True)},
        {"If-None-Match": etag, "Range": "bytes=0-3"},
    ):
        for method in ("GET", "HEAD"):
            answer = await client.request(method, path, headers=known)
            assert (answer.status_code, answer.content) == (304, b""), known
            assert answer.headers["etag"] == etag
            assert answer.headers["cache-control"] == "no-cache"
            assert "content-type" not in answer.headers
    for unknown in (
        {"If-None-Match": '"other"'},
        {"If-None-Match": '"other"', "If-Modified-Since": modified},
        {"If-Modified-Since": formatdate(0, usegmt=True)},
        {"If-Modified-Since": "yesterday"},
    ):
        answer = await client.get(path, headers=unknown)
        assert (answer.status_code, answer.content) == (200, whole.content), unknown


async def test_part_is_of_the_file_that_the_client_has_begun(
    client: httpx.AsyncClient, job: str, tmp_path: Path
) -> None:
    path, part = f"{job}/files/flac", {"Range": "bytes=4-9"}
    whole = await client.get(path)
    etag, modified = whole.headers["etag"], whole.headers["last-modified"]
    for mark, status in (
        (etag, 206), (f"W/{etag}", 200), ('"other"', 200), (formatdate(0, usegmt=True), 200),
        (modified, 200),  # of this minute, in which there may have been another file
    ):  # fmt: skip
        answer = await client.get(path, headers={**part, "If-Range": mark})
        assert answer.status_code == status, mark
        assert answer.content == (whole.content[4:10] if status == 206 else whole.content)
    [file] = tmp_path.rglob("out/*.flac")  # noqa: ASYNC240
    os.utime(file, (1_600_000_000, 1_600_000_000))
    modified = (await client.head(path)).headers["last-modified"]
    assert modified == "Sun, 13 Sep 2020 12:26:40 GMT"
    answer = await client.get(path, headers={**part, "If-Range": modified})
    assert (answer.status_code, answer.content) == (206, whole.content[4:10])


async def test_file_that_is_made_anew_is_sent_anew(
    client: httpx.AsyncClient, job: str, tmp_path: Path
) -> None:
    path = f"{job}/chapters/1"
    [file] = tmp_path.rglob("chapters/0001.flac")  # noqa: ASYNC240
    os.utime(file, (1_600_000_000, 1_600_000_000))
    before = await client.get(path)
    rules = {"pronunciations": [{"word": "lamp", "alias": "a bright lantern"}]}
    await client.post(f"{job}/pronunciations", json=rules)
    await client.get(f"{job}/events")
    known = {
        "If-None-Match": before.headers["etag"],
        "If-Modified-Since": before.headers["last-modified"],
    }
    after = await client.get(path, headers=known)
    assert (after.status_code, after.content == before.content) == (200, False)
    late, early = (parsedate_to_datetime(one.headers["last-modified"]) for one in (after, before))
    assert late > early
    begun = {"Range": "bytes=4-", "If-Range": before.headers["etag"]}
    assert (await client.get(path, headers=begun)).status_code == 200
