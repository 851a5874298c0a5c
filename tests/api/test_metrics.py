"""Check that requests change each metric, and that the dashboard names no unknown one."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import app_client, serving, tone_pool
from tests.serving.models import HANGS, supervised
from vivavoce.api.app import create_app
from vivavoce.models.tone import ToneModel
from vivavoce.serving.pool import Pool
from vivavoce.settings import Settings

TEXT = "Hello there."
DASHBOARD = Path(__file__).parent.parent.parent / "deploy" / "grafana" / "vivavoce.json"
Request = Callable[[httpx.AsyncClient], Awaitable[httpx.Response | None]]


def values(text: str) -> dict[str, float]:
    """Return every value by its name and labels, as in the text."""
    samples = [
        sample for family in text_string_to_metric_families(text) for sample in family.samples
    ]
    return {
        sample.name
        + "".join(f" {name}={value}" for name, value in sorted(sample.labels.items())): sample.value
        for sample in samples
    }


async def scrape(client: httpx.AsyncClient) -> dict[str, float]:
    answer = await client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return values(answer.text)


def post(path: str = "/v1/tts/synthesize", **body: object) -> Request:
    return lambda client: client.post(path, json=body)


async def speak_and_fail(client: httpx.AsyncClient) -> None:
    """Request speech that fails after its first bytes."""
    with pytest.raises(Exception, match="response already started"):
        await client.post(
            "/v1/tts/synthesize", json={"text": TEXT * 9, "speaker": "crash", "stream": True}
        )


SAY = post(text=TEXT)
STREAM = post(text=TEXT, stream=True)


@pytest.mark.parametrize(
    ("request_", "name", "more"),
    [
        (SAY, "vivavoce_requests_total outcome=ok surface=native", 1),
        (
            post("/v1/audio/speech", input=TEXT, voice="sine"),
            "vivavoce_requests_total outcome=ok surface=openai",
            1,
        ),
        (post(text=""), "vivavoce_requests_total outcome=refused surface=native", 1),
        (
            post(text=TEXT, speaker="bob"),
            "vivavoce_requests_total outcome=refused surface=native",
            1,
        ),
        (
            post(text=TEXT, speaker="crash-at-once"),
            "vivavoce_requests_total outcome=failed surface=native",
            1,
        ),
        (speak_and_fail, "vivavoce_requests_total outcome=failed surface=native", 1),
        (
            post(
                "/v1/audio/speech",
                input=TEXT,
                voice="crash",
                stream_format="sse",
                response_format="pcm",
            ),
            "vivavoce_requests_total outcome=failed surface=openai",
            1,
        ),
        (
            lambda client: client.get("/health"),
            "vivavoce_requests_total outcome=ok surface=health",
            1,
        ),
        (
            lambda client: client.get("/nothing"),
            "vivavoce_requests_total outcome=refused surface=page",
            1,
        ),
        (SAY, "vivavoce_speeches_total finish_reason=complete model=tone", 1),
        (
            post(text=TEXT, speaker="crash"),
            "vivavoce_speeches_total finish_reason=error model=tone",
            1,
        ),
        (SAY, "vivavoce_audio_seconds_total model=tone", len(TEXT) * 0.06),
        (STREAM, "vivavoce_first_audio_seconds_count model=tone", 1),
        (STREAM, "vivavoce_real_time_factor_count model=tone", 1),
        (SAY, "vivavoce_queue_wait_seconds_count model=tone", 1),
        (SAY, "vivavoce_step_seconds_count model=tone", 10),  # nine chunks and the end
        (SAY, "vivavoce_batch_size_sum model=tone", 10),
    ],
)
async def test_counter_moves_with_its_request(
    request_: Request, name: str, more: float, client: httpx.AsyncClient
) -> None:
    await SAY(client)  # loads the model
    before = await scrape(client)
    await request_(client)
    after = await scrape(client)
    assert after[name] - before.get(name, 0.0) == pytest.approx(more, abs=0.03)


@asynccontextmanager
async def slow_client(real_time_factor: float) -> AsyncIterator[httpx.AsyncClient]:
    """Over a real socket, where streams take their time and clients can leave."""
    app = create_app(Settings(), tone_pool(real_time_factor=real_time_factor, max_batch=1))
    with serving(app) as url:
        async with httpx.AsyncClient(base_url=url, timeout=30) as client:
            yield client


async def until(client: httpx.AsyncClient, name: str, value: float) -> dict[str, float]:
    """Return the values once `name` has `value`, scraped as often as that takes, within bounds."""
    for _ in range(500):
        if (now := await scrape(client)).get(name) == value:
            return now
    raise AssertionError(f"{name} is {now.get(name)}, not {value}")


async def test_gauges_show_what_runs_and_waits_and_a_client_that_leaves_is_counted() -> None:
    async with slow_client(1.0) as client:
        body = {"text": TEXT, "speaker": "endless", "stream": True}
        async with client.stream("POST", "/v1/tts/synthesize", json=body):
            waiting = asyncio.create_task(client.post("/v1/tts/synthesize", json={"text": TEXT}))
            busy = await until(client, "vivavoce_queue_length model=tone", 1)
            assert busy["vivavoce_running_streams model=tone"] == 1
            assert busy["vivavoce_open_requests"] == 2
        await waiting
        rested = await until(client, "vivavoce_open_requests", 0)
        assert rested["vivavoce_speeches_total finish_reason=cancelled model=tone"] == 1
        assert rested["vivavoce_requests_total outcome=cancelled surface=native"] == 1
        assert rested["vivavoce_running_streams model=tone"] == 0
        assert rested["vivavoce_queue_wait_seconds_sum model=tone"] > 0


async def test_underruns_are_counted_for_who_listens_and_not_for_who_downloads() -> None:
    async with slow_client(4.0) as client:
        await client.post("/v1/tts/synthesize", json={"text": "Hello."})
        assert (await scrape(client))["vivavoce_underruns_total model=tone"] == 0
        await client.post("/v1/tts/synthesize", json={"text": TEXT, "stream": True})
        now = await scrape(client)
        assert now["vivavoce_underruns_total model=tone"] >= 1
        assert now["vivavoce_real_time_factor_sum model=tone"] > 2 * 3.5


async def test_draining_is_shown_and_what_it_turns_away_is_counted() -> None:
    app = create_app(Settings(), tone_pool())
    async with app_client(app) as client:
        await SAY(client)
        app.state.server.lifecycle.drain()
        refused = await SAY(client)
        assert refused is not None
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
        now = await scrape(client)
        assert now["vivavoce_draining"] == 1
        assert now["vivavoce_requests_total outcome=unavailable surface=native"] == 1


async def test_memory_and_load_time_of_models_are_shown(client: httpx.AsyncClient) -> None:
    await SAY(client)
    now = await scrape(client)
    assert now["vivavoce_model_ready model=tone"] == 1
    assert 0 < now["vivavoce_model_load_seconds model=tone"] < 30
    assert now["vivavoce_model_memory_bytes model=tone"] == 0  # too small to be counted
    assert now["process_resident_memory_bytes"] > 10e6


async def test_two_applications_do_not_add_up(client: httpx.AsyncClient) -> None:
    await SAY(client)
    async with app_client(create_app(Settings(), tone_pool())) as other:
        assert "vivavoce_speeches_total finish_reason=complete model=tone" not in await scrape(
            other
        )


async def test_the_dashboard_names_what_there_is_and_leaves_nothing_out(
    client: httpx.AsyncClient,
) -> None:
    await STREAM(client)
    there = {name.split(" ")[0] for name in await scrape(client)}
    queries = [
        target["expr"]
        for panel in json.loads(DASHBOARD.read_text())["panels"]
        for target in panel["targets"]
    ]
    named = set(re.findall(r"\b(?:vivavoce|process)_\w+", " ".join(queries)))
    assert named <= there
    stem = re.compile(r"_(bucket|count|sum|created|total)$")
    ours = {stem.sub("", name) for name in there if name.startswith("vivavoce_")}
    assert ours == {stem.sub("", name) for name in named if name.startswith("vivavoce_")}


async def test_step_that_hangs_is_counted_and_the_model_that_takes_its_place_is_seen() -> None:
    pool = Pool({"tone": lambda: supervised(partial(ToneModel, faults=HANGS), max_step_s=0.3)})
    async with app_client(create_app(Settings(), pool)) as client:
        assert (
            await client.post("/v1/tts/synthesize", json={"text": TEXT, "speaker": "hang"})
        ).status_code == 500
        now = await scrape(client)
        assert now["vivavoce_hung_steps_total model=tone"] == 1
        while (await client.post("/v1/tts/synthesize", json={"text": TEXT})).status_code == 503:
            pass
        now = await scrape(client)
        assert now["vivavoce_speeches_total finish_reason=complete model=tone"] == 1
        assert now["vivavoce_batch_size_count model=tone"] >= 10
