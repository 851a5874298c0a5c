"""Check which web pages may use a server that is for its own machine alone."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from tests.conftest import app_client, serving, tone_pool
from vivavoce.api.app import create_app
from vivavoce.settings import Settings

SPEECH = "/v1/tts/synthesize?text=Hello."
FOREIGN = "https://evil.example"


@asynccontextmanager
async def local(**settings: object) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client of a server that listens on 127.0.0.1."""
    app = create_app(Settings(host="127.0.0.1", **settings), tone_pool())  # type: ignore[arg-type]  # checked there
    async with app_client(app) as client:
        client.headers["host"] = "127.0.0.1:8000"
        yield client


@pytest.mark.parametrize(
    "headers",
    [
        {},  # curl, an SDK
        {"host": "localhost:8000"},
        {"host": "[::1]:8000"},
        {"host": "127.0.0.2"},
        {"host": "[::ffff:127.0.0.1]:8000"},
        {"host": "LOCALHOST.:8000"},
        {"origin": "http://[::ffff:7f00:1]"},
        {"origin": "http://page.localhost"},
        {"host": f"{socket.gethostname()}:8000"},
        {"origin": "http://127.0.0.1:8000"},
        {"origin": "http://localhost:3000"},
        {"sec-fetch-site": "same-origin"},
        {"sec-fetch-site": "none"},
    ],
)
async def test_this_machine_may_use_it(headers: dict[str, str]) -> None:
    async with local() as client:
        assert (await client.get(SPEECH, headers=headers)).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": FOREIGN},
        {"origin": "null"},  # a file, or a frame without an origin
        {"origin": "http://127.0.0.1.evil.example"},
        {"origin": "http://localhost@evil.example"},
        {"host": "evil.example:8000"},  # after DNS rebinding
        {"host": "[::1"},
        {"host": "[::1]evil.example"},
        {"host": "[localhost]"},
        {"host": "[::ffff:192.0.2.1]"},
        {"host": "evil.example@127.0.0.1"},
        {"host": "127.0.0.1/evil.example"},
        {"host": "127.0.0.1:80.evil.example"},
        {"host": "127.0.0.1, evil.example"},
        {"host": "127.0.0.1:8000:80"},
        {"origin": "http://127.0.0.1:8000/"},  # a browser sends no path
        {"origin": "http://evil.example@127.0.0.1"},
        {"origin": "http://127.0.0.1 http://evil.example"},
        {"origin": "//127.0.0.1"},
        {"origin": "127.0.0.1"},
        {"origin": ""},
        {"sec-fetch-site": "cross-site"},  # <img src>
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"},
    ],
)
@pytest.mark.parametrize("path", [SPEECH, "/v1/models", "/health"])
async def test_a_page_from_elsewhere_may_not(path: str, headers: dict[str, str]) -> None:
    async with local() as client:
        answer = await client.get(path, headers=headers)
        assert answer.status_code == 403
        assert answer.json()["error"]["code"] == "foreign_origin"
        assert "allowed_hosts" in answer.json()["error"]["message"]
        assert "access-control-allow-origin" not in answer.headers


async def test_a_post_and_a_preflight_from_elsewhere_are_refused_too() -> None:
    async with local() as client:
        post = await client.post(
            "/v1/tts/synthesize", json={"text": "Hello."}, headers={"origin": FOREIGN}
        )
        asks = {"origin": FOREIGN, "access-control-request-method": "POST"}
        preflight = await client.options("/v1/tts/synthesize", headers=asks)
        assert (post.status_code, preflight.status_code) == (403, 403)


async def test_a_link_on_another_site_may_lead_to_the_page() -> None:
    async with local() as client:
        led = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
        assert (await client.get("/", headers=led)).status_code == 200


@pytest.mark.parametrize(
    ("settings", "headers"),
    [
        ({"cors_origins": (FOREIGN,)}, {"origin": FOREIGN, "sec-fetch-site": "cross-site"}),
        ({"allowed_hosts": ("evil.example",)}, {"origin": FOREIGN}),
        ({"allowed_hosts": ("Evil.example",)}, {"host": "evil.example"}),
        ({"allowed_hosts": ("*",)}, {"origin": FOREIGN, "host": "evil.example"}),
        ({"public_url": f"{FOREIGN}/"}, {"host": "evil.example"}),
    ],
)
async def test_what_the_settings_list_may_use_it(
    settings: dict[str, object], headers: dict[str, str]
) -> None:
    async with local(**settings) as client:
        assert (await client.get(SPEECH, headers=headers)).status_code == 200


async def test_a_server_on_other_addresses_refuses_nobody() -> None:
    async with app_client(create_app(Settings(host="0.0.0.0"), tone_pool())) as client:
        answer = await client.get(
            SPEECH, headers={"origin": FOREIGN, "sec-fetch-site": "cross-site"}
        )
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == "*"


def test_a_refusal_comes_over_a_socket_and_in_the_form_of_the_surface() -> None:
    with serving(create_app(Settings(host="127.0.0.1"), tone_pool())) as url:
        body = {"input": "Hello.", "voice": "sine"}
        assert httpx.post(f"{url}/v1/audio/speech", json=body).status_code == 200
        refused = httpx.post(f"{url}/v1/audio/speech", json=body, headers={"origin": FOREIGN})
        assert (refused.status_code, refused.json()["error"]["type"]) == (
            403,
            "invalid_request_error",
        )
        wit = httpx.get(f"{url}/wit/voices", headers={"origin": FOREIGN})
        assert wit.json()["code"] == "foreign_origin"
