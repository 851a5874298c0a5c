"""Check that `/openapi.json` describes the behavior that `benchmarks.fuzz` does not check."""

from typing import Any

import httpx
import pytest


async def schemas(client: httpx.AsyncClient) -> dict[str, Any]:
    """Return the properties of each schema."""
    found = (await client.get("/openapi.json")).json()["components"]["schemas"]
    return {name: schema.get("properties", {}) for name, schema in found.items()}


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/v1/tts/synthesize", "SynthesizeBody", "text"),
        ("/v1/audio/speech", "SpeechBody", "input"),
        ("/wit/synthesize", "WitBody", "q"),
    ],
)
async def test_empty_text_is_described_as_refused(
    client: httpx.AsyncClient, path: str, body: str, field: str
) -> None:
    assert (await client.post(path, json={field: ""})).is_client_error
    assert (await schemas(client))[body][field]["minLength"] == 1


@pytest.mark.parametrize("sent", [True, False, 0, 1, "true", "0", "off"])
async def test_flags_are_described_as_they_are_taken(
    client: httpx.AsyncClient, sent: object
) -> None:
    assert (await client.post("/wit/synthesize", json={"q": "Hello.", "viseme": sent})).is_success
    boolean, other = (await schemas(client))["WitBody"]["viseme"]["anyOf"]
    assert boolean == {"type": "boolean"}
    assert isinstance(sent, bool) or sent in other["enum"]


async def test_time_that_is_over_and_parts_are_described(client: httpx.AsyncClient) -> None:
    paths = (await client.get("/openapi.json")).json()["paths"]
    assert "504" in paths["/v1/tts/synthesize"]["post"]["responses"]
    assert "504" in paths["/v1/audio/speech"]["post"]["responses"]
    assert {"200", "206", "416", "504"} <= paths["/v1/tts/synthesize"]["get"]["responses"].keys()
    answer = await client.post(
        "/v1/tts/synthesize", json={"text": "Hello. " * 500, "timeout_s": 0.001}
    )
    assert answer.status_code == 504


async def test_format_is_described_with_the_empty_one(client: httpx.AsyncClient) -> None:
    described = (await schemas(client))["SpeechBody"]["response_format"]["anyOf"]
    assert described == [
        {
            "type": "string",
            "enum": ["wav", "pcm", "mp3", "opus", "aac", "flac", "m4a", "ulaw", "alaw", ""],
        },
        {"type": "null"},
    ]


async def test_rules_and_dialogues_are_described_as_they_are_taken(
    client: httpx.AsyncClient,
) -> None:
    parts = [{"text": "Hello."}]
    taken = await client.post("/v1/tts/synthesize", json={"inputs": parts, "speaker": ""})
    assert taken.is_success  # like no speaker
    components = (await client.get("/openapi.json")).json()["components"]["schemas"]
    dialogue = components["SynthesizeBody"]["anyOf"][1]["properties"]
    assert dialogue["speaker"] == {"enum": ["", None]}
    assert components["PronunciationRule"]["properties"]["word"]["minLength"] == 1
    needed = [choice["required"] for choice in components["PronunciationRule"]["anyOf"]]
    assert needed == [["alias"], ["ipa"]]
