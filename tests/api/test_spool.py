"""Check the limit on whole answers that wait on disk, through the application."""

import asyncio
import socket

import httpx

from tests.api.test_streaming import wait_until
from tests.conftest import app_client, serving, tone_pool
from vivavoce.api.app import create_app
from vivavoce.settings import Settings
from vivavoce.storage import SPOOL_BYTES

NATIVE = "/v1/tts/synthesize"
LONG = {
    "text": "A text that goes on and on. " * 60,
    "format": "wav",
    "sample_rate": 48_000,
}  # 9.7 MB as a whole
LIMIT = Settings(max_spool_bytes=15_000_000)  # one of these, not two


async def test_large_answers_beyond_the_limit_are_refused_and_short_ones_and_streams_are_not() -> (
    None
):
    async with app_client(create_app(Settings(max_spool_bytes=1024), tone_pool())) as client:
        refused = await client.post(NATIVE, json=LONG)
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "no_room")
        assert int(refused.headers["retry-after"]) >= 1
        assert "max_spool_bytes" in refused.json()["error"]["message"]
        assert (await client.post(NATIVE, json={"text": "Hello."})).status_code == 200
        assert len((await client.post(NATIVE, json={**LONG, "stream": True})).content) > SPOOL_BYTES


async def test_the_room_of_an_answer_is_free_when_it_has_been_sent() -> None:
    async with app_client(create_app(LIMIT, tone_pool())) as client:
        for _ in range(3):
            answer = await client.post(NATIVE, json=LONG)
            assert (answer.status_code, len(answer.content) > SPOOL_BYTES) == (200, True)
        both = await asyncio.gather(client.post(NATIVE, json=LONG), client.post(NATIVE, json=LONG))
        assert sorted(answer.status_code for answer in both) == [200, 503]
        assert (await client.post(NATIVE, json=LONG)).status_code == 200, (
            "a refused answer kept its room"
        )


def test_the_room_of_an_answer_is_free_when_its_client_has_left() -> None:
    with (
        serving(create_app(LIMIT, tone_pool())) as url,
        httpx.Client(base_url=url, timeout=30) as others,
    ):
        with socket.create_connection(address_of(url), timeout=30) as reader:
            body = httpx.Request("POST", url, json=LONG).content
            head = f"POST {NATIVE} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
            reader.sendall(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
            assert reader.recv(15, socket.MSG_PEEK).startswith(b"HTTP/1.1 200")
            assert others.post(NATIVE, json=LONG).status_code == 503
        wait_until(lambda: others.post(NATIVE, json=LONG).status_code == 200, 10)


async def test_a_long_text_is_refused_before_a_model_speaks_it() -> None:
    app = create_app(Settings(max_spool_bytes=1024), tone_pool(real_time_factor=1.0))
    async with app_client(app) as client, asyncio.timeout(5):  # spoken, it takes minutes
        assert (
            await client.post(NATIVE, json={**LONG, "text": str(LONG["text"]) * 4})
        ).status_code == 503


def address_of(url: str) -> tuple[str, int]:
    parsed = httpx.URL(url)
    return parsed.host, parsed.port or 0
