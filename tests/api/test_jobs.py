"""Check jobs through the application: how they are made, steered, watched, heard, and by whom."""

import asyncio
import hashlib
import io
import json
import zipfile
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import app_client, serving, tone_pool
from tests.decoding import decode
from vivavoce.api.app import create_app
from vivavoce.keys import FILE_NAME, KeyFile
from vivavoce.settings import Settings
from vivavoce.voices.record import Viewer

JOBS = "/v1/jobs"
BOOK = "# The lamp\n\nThe lamp is on the table. Nobody is at home.\n\n# The rain\n\nIt rains.\n"
LONG = "".join(
    f"# Part {n}\n\n{'All work and no play makes a long text. ' * 20}\n\n" for n in range(9)
)
FAST = {"formats": ["flac"]}


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with app_client(
        create_app(Settings(data_dir=tmp_path, provenance="tags"), tone_pool())
    ) as client:
        yield client


@pytest.fixture
async def slow(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a server whose model takes its time, so that a long book is not done in a test."""
    settings = Settings(data_dir=tmp_path, provenance="tags")
    async with app_client(create_app(settings, tone_pool(real_time_factor=0.5))) as client:
        yield client


@pytest.fixture
def keys(tmp_path: Path) -> dict[str, dict[str, str]]:
    """Make three keys, and return their headers."""
    file = KeyFile(tmp_path / FILE_NAME)
    made = {name: file.create(name) for name in ("one", "two")}
    made["boss"] = file.create("boss", ("speak", "manage"))
    return {name: {"Authorization": f"Bearer {key}"} for name, key in made.items()}


async def created(server: httpx.AsyncClient, text: str = BOOK, **options: Any) -> dict[str, Any]:
    body = {"text": text, "name": "book.md", **FAST, **options}
    answer = await server.post(JOBS, json=body)
    assert answer.status_code == 201, answer.text
    job: dict[str, Any] = answer.json()
    assert answer.headers["location"] == f"{JOBS}/{job['id']}"
    return job


def events_in(text: str) -> list[dict[str, Any]]:
    lines = text.splitlines()
    return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]


async def ended(server: httpx.AsyncClient, id: str, **options: Any) -> dict[str, Any]:
    """Return the last event of a job."""
    answer = await server.get(f"{JOBS}/{id}/events", **options)
    assert answer.headers["content-type"].startswith("text/event-stream"), answer.text
    return events_in(answer.text)[-1]


def error(answer: httpx.Response) -> tuple[int, str, str | None]:
    said = answer.json()["error"]
    return answer.status_code, said["code"], said["field"]


# -- making --


async def test_text_becomes_a_file_with_chapters(server: httpx.AsyncClient) -> None:
    job = await created(server)
    assert (job["chapters"], job["problem"], job["formats"]) == (2, "", ["flac"])
    last = await ended(server, job["id"])
    assert (last["state"], last["percent"], last["problem"]) == ("done", 100, "")
    done = (await server.get(f"{JOBS}/{job['id']}")).json()
    assert done["sentences_made"] == done["sentences"] >= 3
    listed = (await server.get(f"{JOBS}/{job['id']}/files")).json()["files"]
    assert [file["format"] for file in listed] == ["flac"]
    for name in ("flac", listed[0]["name"]):
        file = await server.get(f"{JOBS}/{job['id']}/files/{name}")
        assert (file.status_code, len(file.content)) == (200, listed[0]["bytes"])
        assert file.headers["content-type"] == "audio/flac"
        assert file.headers["x-synthetic"].startswith("vivavoce; model=")
        assert "attachment" in file.headers["content-disposition"]
    samples, rate_hz = decode(file.content)
    assert len(samples) / rate_hz == pytest.approx(done["audio_s"], abs=8)


async def test_uploaded_file_and_text_say_the_same(server: httpx.AsyncClient) -> None:
    form = {"formats": "flac", "choices": json.dumps({"footnotes": True}), "speed": "1.0"}
    upload = {"file": ("../my/book.md", BOOK.encode())}
    answer = await server.post(JOBS, data=form, files=upload)
    assert answer.status_code == 201, answer.text
    assert answer.json()["source"] == "book.md"
    same = await created(server)
    contents = []
    for id in (answer.json()["id"], same["id"]):
        await ended(server, id)
        contents.append((await server.get(f"{JOBS}/{id}/chapters/1")).content)
    assert contents[0] == contents[1]


async def test_same_idempotency_key_makes_one_job(server: httpx.AsyncClient) -> None:
    once = {"Idempotency-Key": "order 7"}
    body = {"text": BOOK, "name": "book.md", **FAST}
    first, second = [await server.post(JOBS, json=body, headers=once) for _ in range(2)]
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json()["id"] == second.json()["id"]
    for other in (
        {**body, "text": "Another book."}, {**body, "speed": 1.5}, {**body, "paused": True},
        {**body, "name": "b.md"}, {**body, "formats": ["mp3"]},
    ):  # fmt: skip
        refused = await server.post(JOBS, json=other, headers=once)
        assert error(refused) == (422, "invalid_request", "Idempotency-Key")
    assert (await server.get(JOBS)).json()["total"] == 1
    at_once = await asyncio.gather(
        *(server.post(JOBS, json=body, headers={"Idempotency-Key": "8"}) for _ in range(5))
    )
    assert sorted(answer.status_code for answer in at_once) == [200, 200, 200, 200, 201]


async def test_plan_tells_before_anything_is_spoken(server: httpx.AsyncClient) -> None:
    job = await created(server, paused=True)
    assert job["state"] == "paused"
    plan = (await server.get(f"{JOBS}/{job['id']}/plan")).json()
    assert [chapter["title"] for chapter in plan["chapters"]] == ["The lamp", "The rain"]
    assert plan["characters"] == sum(chapter["characters"] for chapter in plan["chapters"]) > 50
    assert plan["audio_s"] > 2
    assert (plan["voices"], plan["make_s"]) == (["auto"], None)
    assert (await server.get(f"{JOBS}/{job['id']}")).json()["sentences_made"] == 0
    await server.post(f"{JOBS}/{job['id']}/resume")
    assert (await ended(server, job["id"]))["state"] == "done"
    assert (await server.get(f"{JOBS}/{job['id']}/plan")).json()["make_s"] > 0


async def test_plan_is_of_the_chosen_chapters(server: httpx.AsyncClient) -> None:
    job = await created(server, paused=True, chapters=[2])
    plan = (await server.get(f"{JOBS}/{job['id']}/plan")).json()
    assert [(one["number"], one["title"]) for one in plan["chapters"]] == [(2, "The rain")]
    assert plan["characters"] == len("The rain") + len("It rains.")


async def test_skipped_parts_are_listed_with_their_reasons(server: httpx.AsyncClient) -> None:
    row = "<tr><td>Not said</td><td>7</td></tr>"
    html = f"<h1>One</h1><p>Said.</p><table>{row * 3}</table>"
    answer = await server.post(
        JOBS, data={"formats": "flac"}, files={"file": ("book.html", html.encode())}
    )
    id = answer.json()["id"]
    assert (await ended(server, id))["state"] == "done"
    skipped = (await server.get(f"{JOBS}/{id}/skipped")).json()
    assert any("Not said" in part["text"] and part["reason"] for part in skipped["skipped"])
    assert skipped["failed"] == []
    plan = (await server.get(f"{JOBS}/{id}/plan")).json()
    assert sum(gap["characters"] for gap in plan["skipped"]) >= len("Not said")


# -- steering --


async def test_job_pauses_goes_on_is_cancelled_and_tried_again(slow: httpx.AsyncClient) -> None:
    job = await created(slow, LONG)
    path = f"{JOBS}/{job['id']}"
    for action, state in (("pause", "paused"), ("pause", "paused"), ("cancel", "cancelled")):
        assert (await slow.post(f"{path}/{action}")).json()["state"] == state
    assert error(await slow.post(f"{path}/resume"))[:2] == (409, "wrong_state")
    assert (await slow.post(f"{path}/retry")).json()["state"] in ("queued", "running")
    async with asyncio.timeout(20):
        while (await slow.get(path)).json()["state"] != "running":
            pass  # a queued job can be removed
    assert error(await slow.delete(path))[:2] == (409, "wrong_state")
    await slow.post(f"{path}/cancel")
    assert (await ended(slow, job["id"]))["state"] == "cancelled"
    assert (await slow.delete(path)).status_code == 204
    assert error(await slow.get(path)) == (404, "job_not_found", "id")


async def test_sentence_and_chapter_are_made_anew(server: httpx.AsyncClient) -> None:
    job = await created(server)
    path = f"{JOBS}/{job['id']}"
    await ended(server, job["id"])
    before = (await server.get(f"{path}/chapters/1/sentences")).json()["sentences"]
    assert "Nobody is at home." in before[-1]["text"]
    again = await server.post(f"{path}/redo", json={"chapter": 1, "sentence": before[-1]["number"]})
    assert again.status_code == 200, again.text
    assert (await ended(server, job["id"]))["state"] == "done"
    after = (await server.get(f"{path}/chapters/1/sentences")).json()["sentences"]
    assert [one["take"] for one in after][:-1] == [one["take"] for one in before][:-1]
    assert after[-1]["take"] == before[-1]["take"] + 1
    for wrong in ({"chapter": 9}, {"chapter": 1, "sentence": 99}, {"chapter": 0}, {}):
        assert error(await server.post(f"{path}/redo", json=wrong))[0] == 422


async def test_changed_pronunciation_remakes_what_it_touches(server: httpx.AsyncClient) -> None:
    job = await created(server)
    path = f"{JOBS}/{job['id']}"
    await ended(server, job["id"])
    lamp, rain = [(await server.get(f"{path}/chapters/{n}")).content for n in (1, 2)]
    rules = {"pronunciations": [{"word": "lamp", "alias": "a very bright lantern"}]}
    assert (await server.post(f"{path}/pronunciations", json=rules)).status_code == 200
    await ended(server, job["id"])
    assert (await server.get(f"{path}/chapters/1")).content != lamp
    assert (await server.get(f"{path}/chapters/2")).content == rain


# -- watching and listening --


async def test_events_have_ids_and_are_not_sent_twice(server: httpx.AsyncClient) -> None:
    job = await created(server)
    path = f"{JOBS}/{job['id']}/events"
    text = (await server.get(path)).text
    ids = [line.removeprefix("id: ") for line in text.splitlines() if line.startswith("id: ")]
    assert len(ids) == len(events_in(text)) >= 1
    assert text.startswith("retry: ")
    again = await server.get(path, headers={"Last-Event-ID": ids[-1]})
    assert (again.status_code, again.content) == (204, b"")  # a browser does not connect again
    assert len(events_in((await server.get(path, headers={"Last-Event-ID": "x"})).text)) == 1
    head = await server.head(path)
    assert head.status_code in (200, 204)


async def test_chapter_can_be_heard_while_the_next_is_made(tmp_path: Path) -> None:
    app = create_app(
        Settings(data_dir=tmp_path, provenance="tags"), tone_pool(real_time_factor=0.2)
    )
    with serving(app) as url:
        async with httpx.AsyncClient(base_url=url, timeout=60) as client:
            job = await created(client, "# A\n\nIt rains.\n\n# B\n\n" + "It rains again. " * 200)
            path = f"{JOBS}/{job['id']}"
            async with client.stream("GET", f"{path}/events") as answer:
                async for line in answer.aiter_lines():
                    if line.startswith("data: ") and json.loads(line[6:])["chapters_ready"] == [1]:
                        break
            began_s = asyncio.get_running_loop().time()
            whole = await client.get(f"{path}/chapters/1")
            assert asyncio.get_running_loop().time() - began_s < 2
            part = await client.get(f"{path}/chapters/1", headers={"Range": "bytes=4-9"})
            assert (part.status_code, part.content) == (206, whole.content[4:10])
            assert part.headers["etag"] == whole.headers["etag"]
            assert "x-synthetic" in part.headers
            assert len(decode(whole.content)[0]) > 0
            behind = await client.get(f"{path}/chapters/1", headers={"Range": "bytes=99999999-"})
            assert behind.status_code == 416
            assert error(await client.get(f"{path}/chapters/2"))[:2] == (409, "wrong_state")
            playlist = await client.get(f"{path}/playlist.m3u8")
            assert playlist.headers["content-type"].startswith("audio/mpegurl")
            lines = playlist.text.splitlines()
            assert (lines[0], lines[-1]) == ("#EXTM3U", "chapters/1")
            assert lines[-2].endswith(",A")
            assert (await client.post(f"{path}/cancel")).json()["state"] == "cancelled"


async def test_files_are_refused_before_they_are_there(slow: httpx.AsyncClient) -> None:
    job = await created(slow, LONG)
    for name in ("flac", "m4b", "..%2f..%2fjobs.db", "nothing"):
        answer = await slow.get(f"{JOBS}/{job['id']}/files/{name}")
        assert answer.status_code in (404, 409), name
    await slow.post(f"{JOBS}/{job['id']}/cancel")


async def test_list_has_pages(server: httpx.AsyncClient) -> None:
    ids = [(await created(server, f"{BOOK}{n}", paused=True))["id"] for n in range(5)]
    seen, query = [], {"limit": 2}
    while True:
        page = (await server.get(JOBS, params=query)).json()
        assert page["total"] == 5
        seen += [job["id"] for job in page["jobs"]]
        if page["next"] is None:
            break
        query = {"limit": 2, "after": page["next"]}
    assert seen == ids[::-1]
    assert (await server.get(JOBS, params={"state": "done"})).json()["jobs"] == []
    assert error(await server.get(JOBS, params={"limit": 0}))[0] == 422


# -- keys and limits --


async def test_key_sees_its_own_jobs(
    keys: dict[str, dict[str, str]], server: httpx.AsyncClient
) -> None:
    body = {"text": BOOK, "name": "book.md", **FAST, "paused": True}
    assert (await server.post(JOBS, json=body)).status_code == 401
    mine = (await server.post(JOBS, json=body, headers=keys["one"])).json()
    same_key = {"Idempotency-Key": "1"}
    for name in ("one", "two"):
        assert (
            await server.post(JOBS, json=body, headers={**keys[name], **same_key})
        ).status_code == 201
    path = f"{JOBS}/{mine['id']}"
    for method, what in (
        ("GET", ""), ("GET", "/plan"), ("GET", "/events"), ("GET", "/files"), ("GET", "/chapters"),
        ("GET", "/chapters/1"), ("GET", "/files/flac"), ("GET", "/playlist.m3u8"),
        ("GET", "/skipped"), ("POST", "/resume"), ("POST", "/cancel"), ("DELETE", ""),
    ):  # fmt: skip
        answer = await server.request(method, path + what, headers=keys["two"])
        assert error(answer) == (404, "job_not_found", "id"), what
    assert (await server.get(path, headers=keys["boss"])).json()["owner"] == "one"
    assert (await server.get(JOBS, headers=keys["two"])).json()["total"] == 1
    assert (await server.get(JOBS, headers=keys["boss"])).json()["total"] == 3
    assert (await server.post(f"{path}/cancel", headers=keys["one"])).status_code == 200
    assert (await server.delete(path, headers=keys["one"])).status_code == 204


async def test_limits_are_those_of_the_settings(tmp_path: Path) -> None:
    settings = Settings(
        data_dir=tmp_path,
        provenance="tags",
        max_book_bytes=2_000,
        max_book_chars=1_000,
        max_jobs=2,
        max_text_chars=99,
    )
    async with app_client(create_app(settings, tone_pool())) as client:
        long = "It rains. " * 150
        assert error(await client.post(JOBS, json={"text": long}))[0] in (413, 422)
        files = {"file": ("book.txt", b"It rains. " * 250)}
        assert error(await client.post(JOBS, files=files))[0] in (413, 422)
        huge = {"file": ("book.txt", bytes(3_000_000))}
        assert error(await client.post(JOBS, files=huge))[:2] == (413, "body_too_large")
        for number in range(2):
            await created(client, f"# One\n\nIt rains {number}.", paused=True)
        full = await client.post(JOBS, json={"text": "One more."})
        assert error(full)[:2] == (403, "job_limit")
        assert "max_jobs" in full.json()["error"]["message"]


def _zip(name: str, data: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, data)
    return file.getvalue()


BAD_BODIES: dict[str, dict[str, Any]] = {
    "no body": {},
    "no JSON": {"content": b"{", "headers": {"Content-Type": "application/json"}},
    "a list": {"json": []},
    "no text": {"json": {}},
    "empty text": {"json": {"text": ""}},
    "blank text": {"json": {"text": " \n"}},
    "text is a number": {"json": {"text": 7}},
    "unknown field": {"json": {"text": BOOK, "voic": "sine"}},
    "unknown format": {"json": {"text": BOOK, "formats": ["exe"]}},
    "no format": {"json": {"text": BOOK, "formats": []}},
    "unknown speaker": {"json": {"text": BOOK, "speaker": "nobody-here"}},
    "unknown model": {"json": {"text": BOOK, "model": "none-such"}},
    "unknown language": {"json": {"text": BOOK, "language": "Klingon"}},
    "speed": {"json": {"text": BOOK, "speed": 99}},
    "seed": {"json": {"text": BOOK, "seed": -1}},
    "chapter 0": {"json": {"text": BOOK, "chapters": [0]}},
    "no such chapter": {"json": {"text": BOOK, "chapters": [77]}},
    "choice": {"json": {"text": BOOK, "choices": {"nothing": True}}},
    "pause": {"json": {"text": BOOK, "pauses": {"chapter_s": 1e9}}},
    "cast": {"json": {"text": BOOK, "cast": {"narrator": "nobody-here"}}},
    "rule": {"json": {"text": BOOK, "pronunciations": [{"word": ""}]}},
    "webhook without hosts": {"json": {"text": BOOK, "webhook_url": "https://hooks.example.com/"}},
    "secret without webhook": {"json": {"text": BOOK, "webhook_secret": "whsec_" + "A" * 32}},
    "form without boundary": {"content": b"-", "headers": {"Content-Type": "multipart/form-data"}},
    "form without file": {"files": {"other": ("a.txt", b"A.")}},
    "file without name": {"files": {"file": (None, b"A.")}},
    "two files": {"files": [("file", ("a.txt", b"A.")), ("file", ("b.txt", b"B."))]},
    "field is not JSON": {"data": {"cast": "{"}, "files": {"file": ("a.txt", b"A.")}},
    "nested JSON": {"data": {"cast": "[" * 100_000}, "files": {"file": ("a.txt", b"A.")}},
    "unknown form field": {"data": {"x": "1"}, "files": {"file": ("a.txt", b"A.")}},
    "no book": {"files": {"file": ("a.exe", b"MZ\x00\x01" * 99)}},
    "empty file": {"files": {"file": ("a.txt", b"")}},
    "no EPUB": {"files": {"file": ("a.epub", b"PK\x03\x04 and nothing")}},
    "zip without a book": {"files": {"file": ("a.epub", _zip("x", b"y"))}},
    "no PDF": {"files": {"file": ("a.pdf", b"%PDF-1.7 and nothing")}},
    "long key": {"json": {"text": BOOK}, "headers": {"Idempotency-Key": "k" * 256}},
}


@pytest.mark.parametrize("name", BAD_BODIES)
async def test_bad_requests_are_refused_with_a_field_and_a_next_step(
    server: httpx.AsyncClient, name: str
) -> None:
    answer = await server.post(JOBS, **BAD_BODIES[name])
    assert answer.status_code in (400, 404, 422), answer.text
    said = answer.json()["error"]
    assert said["code"]
    assert len(said["message"]) > 20
    assert (await server.get(JOBS)).json()["total"] == 0


@pytest.mark.parametrize("id", ["none", "%00", "..%2f..", "a" * 300, "' OR 1=1 --", "é"])
async def test_unknown_jobs_are_not_found(server: httpx.AsyncClient, id: str) -> None:
    for what in ("", "/plan", "/events", "/files", "/files/m4b", "/chapters", "/playlist.m3u8"):
        assert (await server.get(f"{JOBS}/{id}{what}")).status_code == 404, what
    for action in ("pause", "resume", "cancel", "retry"):
        assert (await server.post(f"{JOBS}/{id}/{action}")).status_code == 404


async def test_restarted_server_goes_on(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, provenance="tags")
    app = create_app(settings, tone_pool(real_time_factor=0.05))
    async with app_client(app) as client:
        job = await created(client, LONG)
        path = f"{JOBS}/{job['id']}"
        async with aclosing(app.state.server.jobs.events(job["id"], Viewer())) as events:
            async for progress in events:
                if progress.sentences_made:
                    break
    async with app_client(create_app(settings, tone_pool())) as client:
        assert (await ended(client, job["id"]))["state"] == "done"
        resumed = (await client.get(f"{path}/files/flac")).content
        whole = await created(client, LONG)
        await ended(client, whole["id"])
        undisturbed = (await client.get(f"{JOBS}/{whole['id']}/files/flac")).content
    assert hashlib.sha256(resumed).digest() == hashlib.sha256(undisturbed).digest()


async def test_page_is_open_and_needs_nothing_else(
    keys: dict[str, dict[str, str]], server: httpx.AsyncClient
) -> None:
    page = await server.get("/books")
    assert page.status_code == 200
    assert "default-src 'self'" in page.text
    assert "http://" not in page.text.replace("http://www.w3.org", "")
