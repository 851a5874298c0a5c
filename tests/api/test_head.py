"""Check HEAD on every path with GET, and `Allow` for unsupported methods."""

import httpx
import pytest

from tests.conftest import app_client, tone_pool
from vivavoce.api.app import create_app
from vivavoce.settings import Settings

GETS = ["/", "/docs", "/openapi.json", "/health", "/health/live", "/health/ready", "/metrics"]
LISTS = ["/v1/models", "/v1/models/tone", "/v1/audio/voices", "/v1/tts/speakers", "/wit/voices"]


@pytest.mark.parametrize("path", [*GETS, *LISTS])
def test_head_has_the_headers_of_get_without_its_body(tone_url: str, path: str) -> None:
    got = httpx.get(tone_url + path)
    headed = httpx.head(tone_url + path)
    assert (headed.status_code, headed.content) == (200, b"")
    for name in ("content-type", "content-length"):
        if path != "/metrics" or name != "content-length":  # counts grow
            assert headed.headers[name] == got.headers[name]


async def test_head_on_an_unknown_path_is_not_found(client: httpx.AsyncClient) -> None:
    assert (await client.head("/v1/nothing")).status_code == 404


async def test_head_is_logged_as_head(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", "vivavoce"):
        await client.head("/v1/models")
    assert "HEAD /v1/models: 200" in caplog.text


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/v1/tts/synthesize", "HEAD, GET, POST"),
        ("HEAD", "/v1/audio/speech", "POST"),
        ("POST", "/health", "HEAD, GET"),
        ("PUT", "/v1/models/tone", "HEAD, GET"),
        ("GET", "/wit/synthesize", "POST"),
    ],
)
async def test_method_that_is_not_taken_is_told_those_that_are(
    method: str, path: str, allowed: str
) -> None:
    async with app_client(create_app(Settings(), tone_pool())) as client:
        answer = await client.request(method, path)
        assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
        if method != "HEAD":
            assert method in answer.text
