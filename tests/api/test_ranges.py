"""Check parts of the answer to `GET /v1/tts/synthesize`, as media players request them."""

import asyncio
import tempfile
import threading
from collections.abc import AsyncIterator
from typing import IO

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from tests.conftest import EQUAL, app_client, tone_pool
from vivavoce.api.app import create_app
from vivavoce.api.replay import ReplayStore, StoredAnswer
from vivavoce.models.tone import ToneModel, ToneStream
from vivavoce.serving.local import LocalEngine
from vivavoce.serving.pool import Pool
from vivavoce.settings import Settings
from vivavoce.types import Segment

PATH = "/v1/tts/synthesize"
PARAMS = {"text": "The lamp is on the table.", "speaker": "sine"}


class Counting(ToneModel):
    """A tone model that counts the segments that it opens and closes."""

    def __init__(self, real_time_factor: float = 0.0) -> None:
        super().__init__(real_time_factor=real_time_factor)
        self.begun = 0
        self.opened, self.closed = threading.Semaphore(0), threading.Semaphore(0)

    def open(self, segment: Segment) -> ToneStream:
        self.begun += 1
        self.opened.release()
        return super().open(segment)

    def close(self, stream: ToneStream) -> None:
        self.closed.release()
        super().close(stream)


@pytest.fixture
def model() -> Counting:
    return Counting()


@pytest.fixture
async def client(model: Counting) -> AsyncIterator[httpx.AsyncClient]:
    pool = Pool({"tone": lambda: LocalEngine(model)})
    async with app_client(create_app(EQUAL, pool)) as client:
        yield client


async def part(client: httpx.AsyncClient, wanted: str, **headers: str) -> httpx.Response:
    return await client.get(PATH, params=PARAMS, headers={"Range": wanted, **headers})


@pytest.mark.parametrize("audio_format", ["wav", "mp3", "flac", "opus", "aac", "pcm"])
async def test_parts_make_up_the_whole_that_was_spoken_once(
    client: httpx.AsyncClient, model: Counting, audio_format: str
) -> None:
    params = {**PARAMS, "format": audio_format}
    first = await client.get(PATH, params=params, headers={"Range": "bytes=0-1"})
    whole = (await client.get(PATH, params=params)).content
    size = len(whole)
    assert first.status_code == 206
    assert first.headers["content-range"] == f"bytes 0-1/{size}"
    assert first.headers["content-length"] == "2"
    assert first.headers["accept-ranges"] == "bytes"
    assert first.headers["x-voice"] == "sine"
    assert first.headers["x-finish-reason"] == "complete"
    parts = [first.content]
    for wanted in ("bytes=2-99", "bytes=100-"):
        answer = await client.get(PATH, params=params, headers={"Range": wanted})
        assert (answer.status_code, answer.headers["etag"]) == (206, first.headers["etag"])
        parts.append(answer.content)
    assert b"".join(parts) == whole
    assert model.begun == 1
    if audio_format != "opus":  # each has a number of its own
        assert (await client.post(PATH, json=params)).content == whole


@pytest.mark.parametrize(
    ("wanted", "taken"),
    [
        ("bytes=5-", slice(5, None)),
        ("bytes=-10", slice(-10, None)),
        ("bytes=-10000000", slice(0, None)),
        ("bytes=10-10000000", slice(10, None)),
    ],
)
async def test_open_ranges_end_with_the_answer(
    client: httpx.AsyncClient, wanted: str, taken: slice
) -> None:
    whole = (await client.get(PATH, params=PARAMS)).content
    answer = await part(client, wanted)
    assert (answer.status_code, answer.content) == (206, whole[taken])


@pytest.mark.parametrize(
    "wanted", ["bytes=0-1,4-5", "bytes=5-2", "bytes=-", "chapters=1-2", "bytes=a-b", "nonsense"]
)
async def test_ranges_that_are_not_served_give_the_whole(
    client: httpx.AsyncClient, wanted: str
) -> None:
    answer = await part(client, wanted)
    assert answer.status_code == 200
    assert len(answer.content) == int(answer.headers["content-length"]) > 1000


@pytest.mark.parametrize("wanted", ["bytes=99999999-", "bytes=-0", f"bytes={'9' * 90}-"])
async def test_range_behind_the_end_is_told_the_size(
    client: httpx.AsyncClient, wanted: str
) -> None:
    size = len((await part(client, "bytes=0-")).content)
    answer = await part(client, wanted)
    assert (answer.status_code, answer.headers["content-range"]) == (416, f"bytes */{size}")
    error = answer.json()["error"]
    assert (error["code"], error["field"]) == ("range_not_satisfiable", "Range")


async def test_if_range_of_another_answer_gives_the_whole(client: httpx.AsyncClient) -> None:
    etag = (await part(client, "bytes=0-1")).headers["etag"]
    assert (await part(client, "bytes=0-1", **{"If-Range": etag})).status_code == 206
    assert (await part(client, "bytes=0-1", **{"If-Range": '"other"'})).status_code == 200


async def test_get_without_a_range_takes_the_answer_that_is_kept(
    client: httpx.AsyncClient, model: Counting
) -> None:
    etag = (await part(client, "bytes=0-1")).headers["etag"]
    answer = await client.get(PATH, params={**PARAMS, "stream": "true"})
    assert (answer.status_code, answer.headers["etag"]) == (200, etag)
    assert model.begun == 1


async def test_stream_says_that_it_takes_ranges_and_is_not_held_up_by_a_range_of_all(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.get(
        PATH, params={**PARAMS, "stream": "true"}, headers={"Range": "bytes=0-"}
    )
    assert (answer.status_code, answer.headers["accept-ranges"]) == (200, "bytes")
    assert "content-length" not in answer.headers


async def test_equal_requests_at_once_are_spoken_once(
    client: httpx.AsyncClient, model: Counting
) -> None:
    answers = await asyncio.gather(*(part(client, f"bytes={n}-{n + 9}") for n in range(0, 50, 10)))
    whole = await client.get(PATH, params=PARAMS)
    assert b"".join(answer.content for answer in answers) == whole.content[:50]
    assert model.begun == 1


async def test_errors_come_before_any_part(client: httpx.AsyncClient) -> None:
    answer = await client.get(
        PATH, params={**PARAMS, "speaker": "nobody"}, headers={"Range": "bytes=0-1"}
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "voice_not_found")


async def test_head_speaks_nothing(client: httpx.AsyncClient, model: Counting) -> None:
    answer = await client.head(PATH, params={**PARAMS, "format": "mp3"})
    assert (answer.status_code, answer.content, model.begun) == (200, b"", 0)
    assert (answer.headers["accept-ranges"], answer.headers["content-type"]) == (
        "bytes",
        "audio/mpeg",
    )
    assert "content-length" not in answer.headers
    size = len((await part(client, "bytes=0-")).content)
    kept = await client.head(PATH, params=PARAMS, headers={"Range": "bytes=0-1"})
    assert (kept.status_code, kept.content, kept.headers["content-length"]) == (200, b"", str(size))


async def test_callers_do_not_share_answers(model: Counting) -> None:
    pool = Pool({"tone": lambda: LocalEngine(model)})
    app = create_app(Settings(), pool)

    async def as_caller(
        scope: Scope, receive: Receive, send: Send
    ) -> None:  # as the layer for keys does
        scope.setdefault("state", {})["key"] = dict(scope["headers"])[b"x-caller"].decode()
        await app(scope, receive, send)

    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(as_caller)
        async with httpx.AsyncClient(transport=transport, base_url="http://vivavoce") as client:
            for caller in ("anna", "anna", "ben"):
                await part(client, "bytes=0-1", **{"X-Caller": caller})
    assert model.begun == 2


async def test_speech_goes_on_for_the_others_and_ends_when_all_have_left() -> None:
    model = Counting(real_time_factor=0.2)
    app = create_app(Settings(), Pool({"tone": lambda: LocalEngine(model)}))
    async with app_client(app) as client:

        def ask(text: str) -> asyncio.Task[httpx.Response]:
            return asyncio.create_task(
                client.get(PATH, params={"text": text}, headers={"Range": "bytes=0-1"})
            )

        leaves, stays = ask("One lamp on the table."), ask("One lamp on the table.")
        assert await asyncio.to_thread(model.opened.acquire, timeout=10)
        leaves.cancel()
        assert (await stays).status_code == 206
        assert model.begun == 1

        text = "The lamp is on the table and nobody knows who has put it there. " * 20
        both = ask(text), ask(text)
        assert await asyncio.to_thread(model.opened.acquire, timeout=10)
        for one in both:
            one.cancel()
        await asyncio.gather(*both, return_exceptions=True)
        for _ in range(model.begun):
            assert await asyncio.to_thread(model.closed.acquire, timeout=10)
        assert model.begun < 10  # of more than twenty segments


async def kept(
    store: ReplayStore, name: str, size: int = 1, file: IO[bytes] | None = None
) -> StoredAnswer:
    async def speak() -> StoredAnswer:
        return StoredAnswer(file or tempfile.TemporaryFile(), size, name, {})

    return await store.get(name, speak)


async def test_answers_are_kept_for_a_minute_after_their_last_use() -> None:
    now_s = 0.0
    store = ReplayStore(clock_s=lambda: now_s)
    await kept(store, "a")
    now_s = 59.0
    assert store.find("a")
    now_s = 118.0
    assert store.find("a")
    now_s = 178.0
    assert store.find("a") is None


async def test_store_forgets_the_least_recently_used_beyond_its_limits() -> None:
    few = ReplayStore(max_answers=2)
    for name in "abac":
        await kept(few, name)
    assert [bool(few.find(name)) for name in "abc"] == [True, False, True]
    small = ReplayStore(max_bytes=10)
    for name, size in (("a", 4), ("b", 4), ("c", 4), ("huge", 11)):
        await kept(small, name, size)
        assert bool(small.find(name)) is (name != "huge")
    assert not any(small.find(name) for name in "abc")


async def test_answer_that_is_forgotten_is_still_readable_by_who_has_it_and_then_closes() -> None:
    store = ReplayStore(max_answers=1)
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the answer closes it
    first = await kept(store, "a", file=file)
    await kept(store, "b")
    assert not file.closed
    del first
    assert file.closed


async def test_failed_speech_is_not_kept() -> None:
    async with app_client(create_app(Settings(), tone_pool())) as client:
        params = {"text": "Hello.", "speaker": "crash-at-once"}
        for _ in range(2):
            assert (
                await client.get(PATH, params=params, headers={"Range": "bytes=0-1"})
            ).status_code == 500
