"""Test bodies that would cost the server time or memory.

Each is rejected cheaply while others are served.
"""

import asyncio
import base64
import json
import logging
import socket
import time
import tracemalloc
from collections.abc import AsyncIterator

import httpx
import numpy as np
import pytest

from tests.conftest import app_client, serving, tone_pool
from vivavoce.api.app import create_app
from vivavoce.api.routes.bodies import MAX_PLAIN_BYTES, MAX_QUERY_NAMES, MAX_TOKENS
from vivavoce.audio import wav_bytes
from vivavoce.settings import Settings

NATIVE, OPENAI, WIT = "/v1/tts/synthesize", "/v1/audio/speech", "/wit/synthesize"
JSON = {"Content-Type": "application/json"}
TEXTS = {NATIVE: "text", OPENAI: "input", WIT: "q"}
MOST_S = 2.0  # of the loop, held by one body: 0.05 on an idle machine, 7 and more without bounds
MOST_BYTES = 64 * 2**20  # 16 MiB of body four times; 2 GB without bounds
NOISE = np.random.default_rng(1).uniform(-0.5, 0.5, 1_200_000).astype(np.float32)  # 25 s
RECORDING = base64.b64encode(wav_bytes(NOISE, 48_000)).decode()  # 3.2 MB


def unknown_fields(path: str, size: int) -> bytes:
    fields = ",".join(f'"k{number:07d}":1' for number in range(size // 13))
    return f'{{"{TEXTS[path]}":"Hello.",{fields}}}'.encode()


def spread(path: str, value: bytes) -> bytes:
    return b'{"%s":"Hello.","x":%s}' % (TEXTS[path].encode(), value)


ATTACKS = {
    "unknown fields, 12 MB": lambda path: unknown_fields(path, 12_000_000),
    "unknown fields, 1.9 MB": lambda path: unknown_fields(path, 1_900_000),
    "empty lists, 12 MB": lambda path: spread(path, b"[" + b"[]," * 4_000_000 + b"1]"),
    "empty lists, 1.9 MB": lambda path: spread(path, b"[" + b"[]," * 600_000 + b"1]"),
    "lists in lists, 1.9 MB": lambda path: spread(path, b"[" * 950_000 + b"]" * 950_000),
    "one key again and again": lambda path: spread(path, b"1" + b',"x":1' * 300_000),
    "a number of 1.9 MB": lambda path: spread(path, b"9" * 1_900_000),
    "a recording in an unknown object": lambda path: spread(
        path, b'{"ref_audio":"' + b"A" * 3_000_000 + b'"}' + b',"y":"' + b"A" * 3_000_000 + b'"'
    ),
    "quotes that end nothing": lambda path: b'\\"' * 900_000,
    "quotes that end nothing, 12 MB": lambda path: b'{"ref_audio":"' + b'\\"' * 6_000_000,
    "backslashes that end nothing, 12 MB": lambda path: b'{"ref_audio":"' + b"\\" * 12_000_000,
    "a recording that does not end": lambda path: b'{"ref_audio":"' + b"A" * 8_000_000,
    "a text of 12 MB": lambda path: json.dumps({TEXTS[path]: "a " * 6_000_000}).encode(),
    "a text that is 12 MB of numbers": lambda path: (
        b'{"%s":[%s1]}'
        % (
            TEXTS[path].encode(),
            b"1," * 6_000_000,
        )
    ),
}


async def held_s(work: asyncio.Task[httpx.Response]) -> float:
    """How long the loop was held at most while `work` ran."""
    longest, last = 0.0, time.monotonic()
    while not work.done():
        await asyncio.sleep(0.001)
        now = time.monotonic()
        longest, last = max(longest, now - last), now
    return longest


@pytest.fixture
async def in_chunks() -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(Settings(), tone_pool())
    async with app_client(app) as client:
        # The start loads the language detector beside the first requests, in memory of its own.
        await asyncio.to_thread(app.state.server.synthesizer.router.warm_up)
        assert (await client.post(NATIVE, json={"text": "Hi."})).status_code == 200  # it is loaded
        yield client


async def sent(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), 2**16):
        yield body[start : start + 2**16]
        await asyncio.sleep(0)


@pytest.mark.parametrize("path", [NATIVE, OPENAI, WIT])
@pytest.mark.parametrize("attack", ATTACKS)
async def test_a_body_that_is_made_to_cost_is_refused_cheaply(
    in_chunks: httpx.AsyncClient, path: str, attack: str
) -> None:
    body = ATTACKS[attack](path)
    tracemalloc.start()
    try:
        work = asyncio.create_task(in_chunks.post(path, content=sent(body), headers=JSON))
        longest_s = await held_s(work)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    answer = work.result()
    assert answer.status_code in (400, 413, 422), answer.text[:300]
    assert len(answer.content) < 1_000
    assert longest_s < MOST_S
    assert peak < MOST_BYTES


@pytest.mark.parametrize(
    ("path", "status"), [(NATIVE, 413), (OPENAI, 413), (WIT, 413)], ids=["native", "OpenAI", "wit"]
)
async def test_only_a_recording_makes_a_body_large(
    client: httpx.AsyncClient, path: str, status: int
) -> None:
    body = json.dumps({TEXTS[path]: "Hello.", "x": "a" * MAX_PLAIN_BYTES}).encode()
    answer = await client.post(path, content=body, headers=JSON)
    assert answer.status_code == status
    assert f"{MAX_PLAIN_BYTES:,} bytes" in answer.text


@pytest.mark.parametrize(
    "escaped",
    [str, lambda text: text.replace("A", "\\u0041"), lambda text: text.replace("/", "\\/")],
)
@pytest.mark.parametrize("order", [1, -1])
async def test_a_large_recording_is_read_wherever_it_stands(
    client: httpx.AsyncClient, escaped: object, order: int
) -> None:
    assert callable(escaped)
    recording = escaped(RECORDING)
    fields = [f'"ref_audio" : "{recording}"', '"text": "He said \\"ref_audio\\": \\"x\\"."'][
        ::order
    ]
    body = f"{{{', '.join(fields)}}}".encode()
    assert len(body) > MAX_PLAIN_BYTES
    answer = await client.post(NATIVE, content=body, headers=JSON)
    # The tone model clones nothing: the recording was read, and that is all there is against it.
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "unsupported")
    assert answer.json()["error"]["field"] == "ref_audio"


@pytest.mark.parametrize(
    ("start", "status"),
    [
        ('"ref_audio": "", "ref_audio"', 400),
        ('"ref\\u005faudio"', 400),
        ('"instructions": "\\"ref_audio\\": \\\\", "x": [{"a": 1}], "ref_audio"', 400),
        ('"x\\"ref_audio"', 413),
        ('"x": "ref_audio", "y"', 413),
        ('"x": {"ref_audio"', 413),
        ('"ref_audio": "", "x"', 413),
        ('"ref_audio" "x"', 413),
    ],
)
async def test_a_recording_is_known_by_the_name_of_its_field(
    client: httpx.AsyncClient, start: str, status: int
) -> None:
    closing = "}" * start.count("{", start.rfind("]") + 1)
    body = f'{{"input": "Hello.", {start}: "{RECORDING}"{closing}}}'.encode()
    answer = await client.post(OPENAI, content=body, headers=JSON)
    # 400: the recording was read, and the tone model clones nothing.
    assert answer.status_code == status, answer.text[:300]
    assert ("ref_audio" in answer.json()["error"]["message"]) == (status == 400)


async def test_a_long_text_may_be_escaped_throughout(client: httpx.AsyncClient) -> None:
    text = "\\ud83d\\ude00" * 99_990 + "Hello."
    answer = await client.post(NATIVE, content=f'{{"text": "{text}"}}'.encode(), headers=JSON)
    assert answer.status_code == 200, answer.text[:300]


async def test_the_limit_grows_with_that_of_the_text() -> None:
    body = json.dumps({"text": "Hello. " * 400_000}).encode()
    async with app_client(create_app(Settings(max_text_chars=1_000_000), tone_pool())) as client:
        answer = await client.post(NATIVE, content=body, headers=JSON)
    assert (answer.status_code, "2,800,000 characters" in answer.text) == (422, True)


async def test_some_unknown_values_are_ignored_where_they_may_be_sent(
    client: httpx.AsyncClient,
) -> None:
    body = {
        "input": "Hello.",
        "metadata": {str(number): [number] for number in range(MAX_TOKENS // 8)},
    }
    assert (await client.post(OPENAI, json=body)).status_code == 200


async def test_utf_16_is_read_and_bounded(client: httpx.AsyncClient) -> None:
    for count, status in ((1, 200), (MAX_TOKENS, 400)):
        body = json.dumps({"input": 'Hello, "you".', "x": [1] * count}).encode("utf-16")
        assert (await client.post(OPENAI, content=body, headers=JSON)).status_code == status


@pytest.mark.parametrize("path", [NATIVE, "/v1/tts/speakers", "/v1/models", "/v1/audio/voices"])
async def test_a_query_of_many_names_is_refused(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(
        path + "?" + "&".join(f"a{number}" for number in range(MAX_QUERY_NAMES + 1))
    )
    assert answer.status_code in (400, 422)
    assert f"{MAX_QUERY_NAMES} names" in answer.text


LONG = {
    # native, OpenAI, wit, limit
    ("instruct", "instructions", "style", 2_000),
    ("ref_text", "ref_text", None, 5_000),
    ("speaker", "voice", "voice", 200),
    ("language", "language", None, 200),
    ("model", "model", None, 200),
}


@pytest.mark.parametrize(("native", "openai", "wit", "limit"), sorted(LONG, key=str))
async def test_every_text_field_has_a_limit_that_its_error_tells(
    client: httpx.AsyncClient, native: str, openai: str, wit: str | None, limit: int
) -> None:
    for path, field in ((NATIVE, native), (OPENAI, openai), (WIT, wit)):
        if field is None:
            continue
        for length in (limit + 1, 1_500_000):
            answer = await client.post(path, json={TEXTS[path]: "Hello.", field: "a" * length})
            assert answer.status_code == (422 if path == NATIVE else 400), answer.text[:300]
            assert f"{field!r} has {length:,} characters, the limit is {limit:,}" in answer.text
    if native != "ref_text":
        answer = await client.get(NATIVE, params={"text": "Hello.", native: "a" * (limit + 1)})
        assert (answer.status_code, f"the limit is {limit:,}" in answer.text) == (422, True)


async def test_limits_are_in_the_description(client: httpx.AsyncClient) -> None:
    schemas = (await client.get("/openapi.json")).json()["components"]["schemas"]
    for schema, field, limit in (
        ("SynthesizeBody", "instruct", 2_000),
        ("SynthesizeBody", "ref_text", 5_000),
        ("SpeechBody", "instructions", 2_000),
        ("WitBody", "style", 2_000),
    ):
        assert schemas[schema]["properties"][field]["anyOf"][0]["maxLength"] == limit


@pytest.mark.parametrize(
    "field", ["format", "speed", "seed", "do_sample", "task", "stream", "temperature"]
)
async def test_an_error_shows_no_more_of_a_value_than_its_beginning(
    client: httpx.AsyncClient, field: str
) -> None:
    for value in ("a" * 1_900_000, "9" * 1_900_000, ["a" * 1_900_000], {"a": "a" * 1_900_000}):
        answer = await client.post(NATIVE, json={"text": "Hello.", field: value})
        assert (answer.status_code, answer.json()["error"]["field"]) == (422, field)
        assert len(answer.text) < 500


async def test_an_unknown_field_with_a_long_name_is_told_by_its_beginning(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.post(NATIVE, json={"text": "Hello.", "a" * 1_900_000: 1})
    assert (answer.status_code, len(answer.text) < 1_000) == (422, True)


def test_a_client_that_leaves_while_it_sends_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO), serving(create_app(Settings(), tone_pool())) as url:
        host, _, port = url.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port))) as connection:
            head = f"POST {NATIVE} HTTP/1.1\r\nHost: localhost\r\n"
            head += "Content-Type: application/json\r\nContent-Length: 1000\r\n"
            connection.sendall(f'{head}\r\n{{"text": "Hel'.encode())
        assert httpx.post(url + NATIVE, json={"text": "Hello."}).status_code == 200
    assert [
        record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING
    ] == []
    assert any("499" in record.getMessage() for record in caplog.records)
