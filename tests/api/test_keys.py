"""Check API keys through the application: open paths, scopes, errors of each API, and limits."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import openai
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient, WebSocketDenialResponse

from tests.api.test_streaming import wait_until
from tests.api.test_turns import busy_pool, held, until
from tests.conftest import LONG_TEXT, app_client, serving, tone_pool
from vivavoce.api.app import create_app
from vivavoce.api.middleware.auth import AuthMiddleware, needed_scope
from vivavoce.client import AsyncClient
from vivavoce.errors import Forbidden, RateLimited, SettingsError, Unauthorized
from vivavoce.keys import FILE_NAME, KeyFile, Keyring
from vivavoce.settings import Settings

NATIVE, OPENAI = "/v1/tts/synthesize", "/v1/audio/speech"
BODIES = {NATIVE: {"text": "Hello."}, OPENAI: {"input": "Hello."}}
OPEN = [
    "/", "/web/app.js", "/docs", "/swagger/swagger-ui.css", "/openapi.json",
    "/health", "/health/live", "/health/ready",
    "/v1/", "/v1/models", "/v1/models/tone", "/v1/audio/models", "/v1/audio/voices",
    "/v1/tts/speakers", "/v1/tts/languages", "/wit/voices",
]  # fmt: skip


@pytest.fixture
def keys(tmp_path: Path) -> KeyFile:
    return KeyFile(tmp_path / "data" / FILE_NAME)


@pytest.fixture
async def server(keys: KeyFile) -> AsyncIterator[httpx.AsyncClient]:
    """Serve with the keys in `keys`."""
    async with app_client(create_app(Settings(data_dir=keys.path.parent), tone_pool())) as client:
        yield client


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


async def speak(server: httpx.AsyncClient, path: str = NATIVE, **headers: str) -> httpx.Response:
    return await server.post(path, json=BODIES[path], headers=headers)


async def test_no_key_is_asked_for_until_there_is_one(
    server: httpx.AsyncClient, keys: KeyFile
) -> None:
    assert (await speak(server)).status_code == 200
    assert (await speak(server, **bearer("none"))).status_code == 200
    key = keys.create("phone")
    assert (await speak(server)).status_code == 401
    assert (await speak(server, **bearer(key))).status_code == 200


@pytest.mark.parametrize("path", [NATIVE, OPENAI])
@pytest.mark.parametrize(
    "scheme", ["Authorization: Bearer ", "Authorization: bearer   ", "xi-api-key: "]
)
async def test_a_key_is_taken_in_either_header(
    server: httpx.AsyncClient, keys: KeyFile, path: str, scheme: str
) -> None:
    header, _, prefix = scheme.partition(": ")
    key = keys.create("phone")
    assert (await speak(server, path, **{header: prefix + key})).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer vv_wrong"},
        {"Authorization": "Basic dXNlcjpwYXNz"},
        {"xi-api-key": ""},
        {"xi-api-key": "vv_wrong"},
        {"xi-api-key": b"\xff\xfe"},
    ],
)
@pytest.mark.parametrize("path", [NATIVE, OPENAI])
async def test_without_a_known_key_each_surface_says_401_in_its_own_shape(
    server: httpx.AsyncClient, keys: KeyFile, headers: dict[str, str], path: str
) -> None:
    keys.create("phone")
    response = await server.post(path, json=BODIES[path], headers=headers)
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    error = response.json()["error"]
    assert error["code"] == "invalid_api_key"
    assert "vv_wrong" not in response.text, "what was sent is a secret, maybe another server's"
    if path == NATIVE:
        assert error["request_id"] == response.headers["x-request-id"]
    else:
        assert set(error) == {"message", "type", "param", "code"}


async def test_a_key_s_hash_is_no_key(server: httpx.AsyncClient, keys: KeyFile) -> None:
    keys.create("phone")
    read = keys.read()
    assert read
    assert (await speak(server, **bearer(read[0].sha256))).status_code == 401


@pytest.mark.parametrize("path", OPEN)
async def test_what_is_only_looked_at_stays_open(
    server: httpx.AsyncClient, keys: KeyFile, path: str
) -> None:
    assert (await speak(server)).status_code == 200  # so that it is ready
    keys.create("phone")
    assert (await server.get(path)).status_code == 200


async def test_every_operation_that_is_described_is_guarded_unless_it_is_listed_here(
    keys: KeyFile,
) -> None:
    described = create_app(Settings(data_dir=keys.path.parent), tone_pool()).openapi()["paths"]
    for path, operations in described.items():
        for method in operations:
            is_open = (
                needed_scope(method.upper(), path.replace("{model}", "tone"), ["/wit/voices"])
                is None
            )
            assert is_open is (method == "get" and path.replace("{model}", "tone") in OPEN), (
                method,
                path,
            )


@pytest.mark.parametrize(
    "path",
    [
        "/anything",
        "/v1/tts/speakers/x",
        "/v1/models/a/b",
        "/health/live/x",
        "/webs",
        "/DOCS",
        "/v1//models",
        "/metrics",
    ],
)
async def test_what_is_not_listed_as_open_is_closed(
    server: httpx.AsyncClient, keys: KeyFile, path: str
) -> None:
    keys.create("phone")
    assert (await server.get(path)).status_code == 401


async def test_the_get_form_and_event_streams_are_guarded_too(
    server: httpx.AsyncClient, keys: KeyFile
) -> None:
    key = keys.create("phone")
    for headers, status in ((None, 401), (bearer(key), 200)):
        assert (await server.get(f"{NATIVE}?text=Hello.", headers=headers)).status_code == status
        body = {"input": "Hello.", "stream_format": "sse", "response_format": "pcm"}
        assert (await server.post(OPENAI, json=body, headers=headers)).status_code == status


async def test_changing_the_server_needs_manage_and_speaking_needs_speak(
    server: httpx.AsyncClient, keys: KeyFile
) -> None:
    speaker, manager = keys.create("phone"), keys.create("admin", ("manage",))
    refused = await server.delete("/v1/models/tone", headers=bearer(speaker))
    assert refused.status_code == 403
    assert refused.json()["error"]["code"] == "missing_scope"
    assert "'manage'" in refused.json()["error"]["message"]
    assert (await server.post("/v1/models", headers=bearer(speaker))).status_code == 403
    # Nothing can be changed over HTTP yet; past the guard there is only "not this method".
    assert (await server.delete("/v1/models/tone", headers=bearer(manager))).status_code == 405
    assert (await speak(server, **bearer(manager))).status_code == 403
    both = keys.create("both", ("speak", "manage"))
    assert (await speak(server, **bearer(both))).status_code == 200
    assert (await server.delete("/v1/models/tone", headers=bearer(both))).status_code == 405


async def test_a_revoked_key_is_refused_at_once_and_the_last_one_opens_nothing(
    server: httpx.AsyncClient, keys: KeyFile
) -> None:
    first, second = keys.create("first"), keys.create("second")
    keys.revoke("first")
    assert (await speak(server, **bearer(first))).status_code == 401
    assert (await speak(server, **bearer(second))).status_code == 200
    keys.revoke("second")
    assert (await speak(server, **bearer(second))).status_code == 401
    assert (await speak(server)).status_code == 401


@pytest.mark.parametrize("harm", ["remove", "garble"])
async def test_a_key_file_that_is_lost_opens_nothing(
    server: httpx.AsyncClient, keys: KeyFile, harm: str
) -> None:
    key = keys.create("phone")
    assert (await speak(server)).status_code == 401
    keys.path.unlink() if harm == "remove" else keys.path.write_text('{"keys": [')
    assert (await speak(server)).status_code == 401
    assert (await speak(server, **bearer(key))).status_code == 200


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"keys": [{"name": "a"}]}', '{"keys": {}}', "\ufffd"]
)
def test_a_server_does_not_start_on_keys_that_it_cannot_read(keys: KeyFile, content: str) -> None:
    keys.path.parent.mkdir()
    keys.path.write_text(content)
    with pytest.raises(SettingsError, match=r"keys\.json"):
        create_app(Settings(data_dir=keys.path.parent), tone_pool())


async def test_a_preflight_and_a_refusal_reach_a_page_of_another_origin(
    server: httpx.AsyncClient, keys: KeyFile
) -> None:
    keys.create("phone")
    origin = {"Origin": "http://elsewhere"}
    asked = {
        **origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization",
    }
    assert (await server.options(NATIVE, headers=asked)).status_code == 200
    refused = await speak(server, **origin)
    assert refused.status_code == 401
    assert refused.headers["access-control-allow-origin"] == "*"


async def test_a_refused_request_s_body_is_not_read(keys: KeyFile) -> None:
    keys.create("phone")
    app = create_app(Settings(data_dir=keys.path.parent), tone_pool())
    scope = {
        "type": "http", "method": "POST", "path": NATIVE, "query_string": b"", "headers": [],
        "root_path": "",
    }  # fmt: skip
    sent = []

    async def receive() -> dict[str, object]:
        raise AssertionError("nobody is to read it")

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    await app(scope, receive, send)  # type: ignore[arg-type]  # messages are plain dictionaries
    assert sent[0]["status"] == 401


def test_a_web_socket_is_refused_like_any_other_request(keys: KeyFile) -> None:
    keys.create("phone")
    with (
        TestClient(create_app(Settings(data_dir=keys.path.parent), tone_pool())) as client,
        pytest.raises(WebSocketDenialResponse) as refused,
        client.websocket_connect("/v1/realtime"),
    ):
        pass
    assert refused.value.status_code == 401


async def test_a_rate_is_kept_with_its_retry_after(
    server: httpx.AsyncClient, keys: KeyFile
) -> None:
    limited, free = keys.create("limited", requests_per_minute=2), keys.create("free")
    assert [(await speak(server, **bearer(limited))).status_code for _ in range(3)] == [
        200,
        200,
        429,
    ]
    refused = await speak(server, OPENAI, **bearer(limited))
    assert 1 <= int(refused.headers["retry-after"]) <= 30
    assert (refused.json()["error"]["type"], refused.json()["error"]["code"]) == (
        "rate_limit_error",
        "rate_limited",
    )
    assert (await speak(server, **bearer(free))).status_code == 200


async def test_what_a_rate_refused_is_allowed_when_retry_after_is_over(keys: KeyFile) -> None:
    key = keys.create("limited", requests_per_minute=6)
    now_s = 1000.0
    guard = AuthMiddleware(Starlette(), keyring=Keyring(keys.path), clock_s=lambda: now_s)

    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(guard), base_url="http://vivavoce"
    ) as client:

        async def ask() -> httpx.Response:
            return await client.get("/anything", headers=bearer(key))

        assert [(await ask()).status_code for _ in range(6)] == [
            404
        ] * 6  # past the guard there is nothing
        refused = await ask()
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "10")
        now_s += 9.9
        assert (await ask()).status_code == 429
        now_s += 0.1
        assert [(await ask()).status_code for _ in range(2)] == [404, 429]
        now_s += 3600
        assert [(await ask()).status_code for _ in range(7)] == [404] * 6 + [429]


def test_a_key_has_no_more_requests_running_than_it_may(keys: KeyFile) -> None:
    key = keys.create("one", max_concurrent=1)
    app = create_app(Settings(data_dir=keys.path.parent), tone_pool())
    body = {"text": LONG_TEXT, "speaker": "endless", "stream": True, "format": "pcm"}
    with serving(app) as url:
        with httpx.stream("POST", f"{url}{NATIVE}", json=body, headers=bearer(key)) as running:
            chunks = running.iter_raw()  # named: dropping it would close the connection
            next(chunks)
            refused = httpx.post(f"{url}{NATIVE}", json=BODIES[NATIVE], headers=bearer(key))
            assert refused.status_code == 429
            assert refused.headers["retry-after"] == "1"
            assert refused.json()["error"]["code"] == "rate_limited"
        again = {"json": BODIES[NATIVE], "headers": bearer(key)}
        wait_until(lambda: httpx.post(f"{url}{NATIVE}", **again).status_code == 200, 5)  # type: ignore[arg-type]


async def test_a_request_that_is_cancelled_gives_its_place_back(keys: KeyFile) -> None:
    key = keys.create("one", max_concurrent=1)
    entered = asyncio.Event()

    async def waiting(scope: object, receive: object, send: object) -> None:
        entered.set()
        await asyncio.Event().wait()

    guard = AuthMiddleware(waiting, keyring=Keyring(keys.path))
    header = (b"authorization", f"Bearer {key}".encode())
    for _ in range(3):
        scope = {"type": "http", "method": "POST", "path": NATIVE, "headers": [header]}
        entered.clear()
        task = asyncio.create_task(guard(scope, None, None))  # type: ignore[arg-type]  # neither is used
        await asyncio.wait_for(entered.wait(), 5)
        assert scope["state"] == {"key": "one", "can_manage": False}
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_a_key_with_many_requests_does_not_hold_up_another(keys: KeyFile) -> None:
    greedy, modest = keys.create("greedy"), keys.create("modest")
    # Slow enough that answers end in the order in which the model takes them.
    pool, order = busy_pool(real_time_factor=0.2), list[str]()

    async def ask(client: httpx.AsyncClient, path: str, name: str, key: str) -> None:
        assert (await client.post(path, json=BODIES[path], headers=bearer(key))).status_code == 200
        order.append(name)

    async with (
        app_client(create_app(Settings(data_dir=keys.path.parent), pool)) as client,
        asyncio.TaskGroup() as group,  # which ends when all are answered, after the hold
        held(pool) as engine,
    ):
        for waiting, path in enumerate((NATIVE, OPENAI, NATIVE), 1):
            group.create_task(ask(client, path, "greedy", greedy))
            await until(engine, waiting=waiting)
        group.create_task(ask(client, NATIVE, "modest", modest))
        await until(engine, waiting=4)
    assert order.index("modest") <= 1


async def test_the_clients_raise_errors_of_their_own(keys: KeyFile) -> None:
    key, manager = keys.create("phone", requests_per_minute=1), keys.create("admin", ("manage",))
    app = create_app(Settings(data_dir=keys.path.parent), tone_pool())
    async with app_client(app):
        for wrong, kind in ((None, Unauthorized), ("vv_wrong", Unauthorized), (manager, Forbidden)):
            async with AsyncClient(
                "http://test", api_key=wrong, transport=httpx.ASGITransport(app)
            ) as ours:
                with pytest.raises(kind):
                    await ours.speak("Hello.")
        async with AsyncClient(
            "http://test", api_key=key, transport=httpx.ASGITransport(app)
        ) as ours:
            assert (await ours.speak("Hello.")).voice == "sine"
            with pytest.raises(RateLimited) as limited:
                await ours.speak("Hello.")
            assert limited.value.retry_after_s >= 1


def test_the_openai_sdk_raises_errors_of_its_own(keys: KeyFile) -> None:
    manager = keys.create("admin", ("manage",))
    with serving(create_app(Settings(data_dir=keys.path.parent), tone_pool())) as url:
        for key, kind in (
            ("none", openai.AuthenticationError),
            (manager, openai.PermissionDeniedError),
        ):
            with openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0) as sdk:
                assert next(model.id for model in sdk.models.list()) == "tone"
                with pytest.raises(kind):
                    sdk.audio.speech.create(model="tone", voice="sine", input="Hello.")
