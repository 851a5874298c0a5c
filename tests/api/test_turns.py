"""Check priorities, deadlines and full queues in both APIs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from tests.conftest import EQUAL, FAULTS, LONG_TEXT, app_client, serving
from vivavoce.api.app import create_app
from vivavoce.errors import DeadlineExceeded, Overloaded
from vivavoce.models.tone import ToneModel
from vivavoce.serving.local import LocalEngine
from vivavoce.serving.pool import Pool
from vivavoce.serving.queue import Limits
from vivavoce.serving.scheduler import Load
from vivavoce.settings import Settings
from vivavoce.synthesis.deadline import Deadline
from vivavoce.types import Segment

NATIVE, OPENAI = "/v1/tts/synthesize", "/v1/audio/speech"


def busy_pool(real_time_factor: float = 0.0, **limits: float) -> Pool:
    """Return the tone model with one slot."""
    model = ToneModel(real_time_factor=real_time_factor, max_batch=1, faults=FAULTS)
    return Pool({"tone": lambda: LocalEngine(model, Limits(**limits))})  # type: ignore[arg-type]


@asynccontextmanager
async def held(pool: Pool) -> AsyncIterator[LocalEngine]:
    """Somebody speaks without end in the only slot."""
    engine = (await pool.acquire("tone")).engine
    assert isinstance(engine, LocalEngine)
    stream = engine.speak(Segment("hold", "endless", "en"))
    try:
        await anext(stream)
        yield engine
    finally:
        await stream.aclose()


async def until(engine: LocalEngine, waiting: int) -> None:
    while engine.load.waiting != waiting:  # noqa: ASYNC110 - the scheduler's thread tells nobody
        await asyncio.sleep(0.001)


@pytest.mark.parametrize(("path", "field"), [(NATIVE, "text"), (OPENAI, "input")])
async def test_request_whose_time_is_over_while_it_waits_is_given_up(path: str, field: str) -> None:
    pool = busy_pool()
    async with app_client(create_app(Settings(), pool)) as client, held(pool) as engine:
        response = await client.post(path, json={field: "Hello.", "timeout_s": 0.2})
        error = response.json()["error"]
        assert (response.status_code, error["code"]) == (504, "deadline_exceeded")
        assert "not complete after 0.2 s" in error["message"]
        assert engine.load == Load(waiting=0, running=1)


@pytest.mark.parametrize(("path", "field"), [(NATIVE, "text"), (OPENAI, "input")])
async def test_request_whose_turn_does_not_come_in_time_is_refused(path: str, field: str) -> None:
    pool = busy_pool(queue_timeout_s=0.2)
    async with app_client(create_app(Settings(), pool)) as client, held(pool) as engine:
        response = await client.post(path, json={field: "Hello."})
        error = response.json()["error"]
        assert (response.status_code, error["code"]) == (429, "overloaded")
        assert "no place for this request within 0.2 s" in error["message"]
        assert int(response.headers["retry-after"]) >= 1
        assert engine.load == Load(waiting=0, running=1)


async def test_live_text_has_to_have_begun_before_its_wait_is_counted() -> None:
    pool = busy_pool(queue_timeout_s=0.1)
    async with app_client(create_app(Settings(), pool)), held(pool) as engine:
        stream = engine.speak(Segment("", "sine", "en", live=True))
        first = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0.3)
        assert not first.done()
        stream.feed("hello")
        with pytest.raises(Overloaded, match=r"within 0\.1 s"):
            await asyncio.wait_for(first, 20)


async def test_servers_limit_counts_for_those_who_ask_for_more_or_nothing() -> None:
    pool = busy_pool()
    async with app_client(create_app(Settings(request_timeout_s=0.2), pool)) as client, held(pool):
        for wanted in ({}, {"timeout_s": 60}):
            response = await client.post(NATIVE, json={"text": "Hello."} | wanted)
            assert response.status_code == 504


def test_speech_that_is_not_complete_in_time_breaks_off() -> None:
    pool = Pool({"tone": lambda: LocalEngine(ToneModel(faults=FAULTS), Limits(max_ahead_s=1.0))})
    with serving(create_app(Settings(), pool)) as url:
        body = {
            "text": LONG_TEXT, "speaker": "endless", "stream": True, "format": "pcm",
            "timeout_s": 0.5,
        }  # fmt: skip
        with httpx.stream("POST", url + NATIVE, json=body) as response:
            assert response.status_code == 200
            with pytest.raises(httpx.RemoteProtocolError):
                response.read()
        body = {"input": LONG_TEXT, "voice": "endless", "stream_format": "sse", "timeout_s": 0.5}
        events = httpx.post(url + OPENAI, json=body).text.strip().split("\n\n")
        assert '"deadline_exceeded"' in events[-1]
        # Nobody is left behind: the next is served.
        assert httpx.post(url + NATIVE, json={"text": "Hello.", "timeout_s": 30}).status_code == 200


async def test_deadline_ends_what_never_has_to_wait() -> None:
    deadline = Deadline(0.01)

    async def busy() -> None:
        while True:
            async with deadline.limit():
                pass
            await asyncio.sleep(0)

    with pytest.raises(DeadlineExceeded):
        await asyncio.wait_for(busy(), 20)


async def test_batch_request_is_spoken_after_an_interactive_one_that_came_later() -> None:
    pool, order = busy_pool(), list[str]()

    async def ask(client: httpx.AsyncClient, priority: str) -> None:
        response = await client.post(NATIVE, json={"text": "Hello.", "priority": priority})
        assert response.status_code == 200
        order.append(priority)

    async with (
        app_client(create_app(EQUAL, pool)) as client,  # signing may end in another order
        asyncio.TaskGroup() as group,  # which ends when both are answered, after the hold
        held(pool) as engine,
    ):
        group.create_task(ask(client, "batch"))
        await until(engine, waiting=1)
        group.create_task(ask(client, "interactive"))
        await until(engine, waiting=2)
    assert order == ["interactive", "batch"]


async def test_queue_is_full_by_the_audio_that_waits() -> None:
    pool = busy_pool(max_queued_audio_s=10.0)
    text = "A sentence of one hundred and fifty characters is ten seconds of speech. " * 2
    async with app_client(create_app(Settings(), pool)) as client:
        async with held(pool) as engine:
            waiting = asyncio.create_task(client.post(NATIVE, json={"text": text}))
            await until(engine, waiting=1)
            refused = await client.post(NATIVE, json={"text": text})
            assert refused.status_code == 429
            assert "10 seconds of audio waiting" in refused.json()["error"]["message"]
            assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert (await waiting).status_code == 200
        assert (await client.post(NATIVE, json={"text": text})).status_code == 200


@pytest.mark.parametrize("wrong", [{"priority": "urgent"}, {"timeout_s": 0}, {"timeout_s": -1}])
async def test_wrong_turn_names_the_field(wrong: dict[str, object]) -> None:
    async with app_client(create_app(Settings(), busy_pool())) as client:
        response = await client.post(NATIVE, json={"text": "Hello."} | wrong)
        assert response.status_code == 422
        assert response.json()["error"]["field"] == next(iter(wrong))
