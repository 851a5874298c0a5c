"""Check status, format and message of errors for bad input, in both APIs."""

import asyncio
import json

import httpx
import pytest

from tests.conftest import app_client, tone_pool
from vivavoce.api.app import create_app
from vivavoce.settings import Settings
from vivavoce.types import Segment

NATIVE, OPENAI = "/v1/tts/synthesize", "/v1/audio/speech"

CASES = [
    # native field, OpenAI field, value, native status, OpenAI status, in the message
    ("text", "input", "", 422, 400, "nothing that can be spoken"),
    ("text", "input", " \n\t", 422, 400, "nothing that can be spoken"),
    ("text", "input", "🙂 … !!", 422, 400, "nothing that can be spoken"),
    ("text", "input", 7, 422, 400, "string"),
    ("text", "input", None, 422, 400, "string"),
    ("text", "input", ["a"], 422, 400, "string"),
    ("text", "input", "a" * 100_001, 422, 400, "100,001 characters"),
    ("speaker", "voice", "nobody", 404, 404, "'nobody'"),
    ("speaker", "voice", 3, 422, 400, "3"),
    ("language", "language", "klingon", 422, 400, "klingon"),
    ("model", "model", "gpt-9", 404, 404, "'gpt-9'"),
    ("format", "response_format", "ogg", 422, 400, "'ogg'"),
    ("speed", "speed", 0.2, 422, 400, "0.2"),
    ("speed", "speed", 4.01, 422, 400, "4.01"),
    ("speed", "speed", "fast", 422, 400, "'fast'"),
    ("sample_rate", "sample_rate", 7999, 422, 400, "7999"),
    ("sample_rate", "sample_rate", 10_000, 422, 400, "choose one of"),
    ("timeout_s", "timeout_s", 5e-324, 422, 400, "greater than or equal to 0.001"),
    ("seed", "seed", -1, 422, 400, "-1"),
]


@pytest.mark.parametrize(
    ("field", "openai_field", "value", "status", "openai_status", "says"), CASES
)
async def test_bad_field_is_named_with_its_value(
    client: httpx.AsyncClient,
    field: str,
    openai_field: str,
    value: object,
    status: int,
    openai_status: int,
    says: str,
) -> None:
    native = await client.post(NATIVE, json={"text": "Hello.", field: value})
    assert native.status_code == status, native.text
    error = native.json()["error"]
    assert error["field"] == field
    assert says in error["message"]
    assert error["request_id"] == native.headers["x-request-id"]
    assert error["code"]

    openai = await client.post(
        OPENAI, json={"input": "Hello.", "model": "tone", "voice": "sine", openai_field: value}
    )
    assert openai.status_code == openai_status, openai.text
    error = openai.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"
    assert error["param"] == openai_field
    assert says in error["message"]


async def test_unknown_field_is_refused_on_native_and_ignored_on_openai(
    client: httpx.AsyncClient,
) -> None:
    native = await client.post(NATIVE, json={"text": "Hello.", "voise": "x"})
    assert native.status_code == 422
    assert native.json()["error"]["field"] == "voise"
    openai = await client.post(OPENAI, json={"input": "Hello.", "voise": "x"})
    assert openai.status_code == 200


@pytest.mark.parametrize("path", [NATIVE, OPENAI])
@pytest.mark.parametrize(
    "body", [b"{", b'{"text": }', b"", b"\xff\xfe", b'"just a string"', b"[1, 2]", b"[" * 5000]
)
async def test_broken_json_is_a_clear_4xx(
    client: httpx.AsyncClient, path: str, body: bytes
) -> None:
    response = await client.post(path, content=body, headers={"Content-Type": "application/json"})
    assert response.status_code in (400, 422)
    assert (
        "JSON" in response.json()["error"]["message"]
        or "body" in response.json()["error"]["message"]
    )


async def test_form_body_is_told_to_be_json(client: httpx.AsyncClient) -> None:
    response = await client.post(NATIVE, data={"text": "Hello."})
    assert response.status_code == 422
    assert "application/json" in response.json()["error"]["message"]


async def test_lone_surrogate_in_the_text_is_not_a_server_error(client: httpx.AsyncClient) -> None:
    body = b'{"text": "caf\\ud800 is open", "speaker": "\\udfff"}'
    response = await client.post(NATIVE, content=body, headers={"Content-Type": "application/json"})
    assert 400 <= response.status_code < 500


@pytest.mark.parametrize("path", [NATIVE, OPENAI])
@pytest.mark.parametrize("declared", [True, False])
async def test_body_over_the_limit_is_413(path: str, declared: bool) -> None:
    async def chunks():  # type: ignore[no-untyped-def]  # httpx takes any async iterator
        for _ in range(10):
            yield b" " * 1000

    async with app_client(create_app(Settings(max_body_bytes=5000), tone_pool())) as client:
        content = b" " * 10_000 if declared else chunks()
        response = await client.post(
            path, content=content, headers={"Content-Type": "application/json"}
        )
    assert response.status_code == 413
    assert "5,000" in response.json()["error"]["message"]
    assert response.headers["x-request-id"]


async def test_bodies_together_over_their_limit_are_refused_until_some_have_ended() -> None:
    """Hold three quarters of the limit with one request until it ends."""
    settings = Settings(max_body_bytes=4_000, max_bodies_bytes=4_000)
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow():  # type: ignore[no-untyped-def]  # httpx takes any async iterator
        yield json.dumps({"text": "Hello."}).encode().ljust(3_000)
        begun.set()
        await go_on.wait()
        yield b" "

    async with app_client(create_app(settings, tone_pool())) as client:
        header = {"Content-Type": "application/json"}
        first = asyncio.create_task(client.post(NATIVE, content=slow(), headers=header))
        body = json.dumps({"text": "Hello."}).encode().ljust(2_000)
        await begun.wait()
        refused = await client.post(NATIVE, content=body, headers=header)
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) >= 1
        assert refused.json()["error"]["code"] == "overloaded"
        assert (await client.post(NATIVE, json={"text": "Hello."})).status_code == 200, (
            "a small one has room"
        )
        go_on.set()
        assert (await first).status_code == 200
        assert (await client.post(NATIVE, content=body, headers=header)).status_code == 200


@pytest.mark.parametrize(
    ("path", "status"), [("/v1/tts/nothing", 404), ("/v1/nothing", 404), ("/nothing", 404)]
)
async def test_unknown_path_answers_in_the_shape_of_its_surface(
    client: httpx.AsyncClient, path: str, status: int
) -> None:
    response = await client.get(path)
    assert response.status_code == status
    assert ("request_id" in response.json()["error"]) is path.startswith("/v1/tts")


async def test_wrong_method_is_405(client: httpx.AsyncClient) -> None:
    response = await client.delete(NATIVE)
    assert response.status_code == 405
    assert "DELETE" in response.json()["error"]["message"]
    assert "POST" in response.headers["allow"]


@pytest.mark.parametrize("voice", ["crash-at-once", "crash"])
async def test_engine_fault_before_the_first_byte_is_a_5xx(
    client: httpx.AsyncClient, voice: str
) -> None:
    """Fail late: a whole answer is not sent before it is complete."""
    response = await client.post(NATIVE, json={"text": "A text of many steps.", "speaker": voice})
    assert response.status_code == 500
    assert response.json()["error"]["code"] == "engine_fault"


async def test_streamed_engine_fault_before_the_first_byte_is_a_5xx(
    client: httpx.AsyncClient,
) -> None:
    response = await client.post(
        OPENAI, json={"input": "A text of many steps.", "voice": "crash-at-once"}
    )
    assert response.status_code == 500
    assert response.json()["error"]["type"] == "server_error"


async def test_sse_tells_a_late_engine_fault_as_an_error_event(client: httpx.AsyncClient) -> None:
    body = {
        "input": "A text of many steps.",
        "voice": "crash",
        "stream_format": "sse",
        "response_format": "pcm",
    }
    response = await client.post(OPENAI, json=body)
    assert response.status_code == 200
    events = [
        json.loads(line.removeprefix("data: ")) for line in response.text.split("\n\n") if line
    ]
    assert events[0]["type"] == "speech.audio.delta"
    assert events[-1]["type"] == "error"
    assert events[-1]["error"]["code"] == "engine_fault"


async def test_full_queue_is_429_with_retry_after() -> None:
    pool = tone_pool(max_batch=1)
    async with app_client(create_app(Settings(), pool)) as client:
        engine = (await pool.acquire("tone")).engine
        running = engine.speak(Segment("hold", "endless", "en"))
        await anext(running)
        streams = [running, *(engine.speak(Segment("hold", "endless", "en")) for _ in range(64))]
        response = await client.post(OPENAI, json={"input": "Hello."})
        assert response.status_code == 429
        assert int(response.headers["retry-after"]) >= 1
        assert response.json()["error"]["type"] == "rate_limit_error"
        for stream in streams:
            await stream.aclose()
        assert (await client.post(OPENAI, json={"input": "Hello."})).status_code == 200


async def test_request_id_is_the_clients_own_when_it_is_sane(client: httpx.AsyncClient) -> None:
    assert (await client.get("/health", headers={"x-request-id": "abc-1"})).headers[
        "x-request-id"
    ] == "abc-1"
    odd = (await client.get("/health", headers={"x-request-id": "a b\tc"})).headers["x-request-id"]
    assert odd.startswith("req_")


async def test_openapi_describes_the_errors_that_are_sent(client: httpx.AsyncClient) -> None:
    schema = (await client.get("/openapi.json")).json()
    for path, model in ((NATIVE, "NativeError"), (OPENAI, "OpenAIError")):
        answers = schema["paths"][path]["post"]["responses"]
        assert "422" not in answers
        assert answers["4XX"]["content"]["application/json"]["schema"]["$ref"].endswith(model)
