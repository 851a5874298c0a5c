"""Check the lexicon and the rules of requests through the application."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import app_client, tone_pool
from vivavoce.api.app import create_app
from vivavoce.keys import FILE_NAME, KeyFile
from vivavoce.models.hibari import HibariModel
from vivavoce.serving.local import LocalEngine
from vivavoce.serving.pool import Pool
from vivavoce.settings import Settings
from vivavoce.text.lexicon import LexiconFile
from vivavoce.types import Pronunciation

LEXICON, EXPLAIN = "/v1/tts/lexicon", "/v1/tts/explain"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(Settings(data_dir=tmp_path, provenance="tags"), tone_pool())
    async with app_client(app) as client:
        yield client


async def put(server: httpx.AsyncClient, *rules: dict[str, Any]) -> httpx.Response:
    return await server.put(LEXICON, json={"rules": rules})


async def said(server: httpx.AsyncClient, text: str, **fields: object) -> str:
    answer = await server.post(EXPLAIN, json={"text": text, **fields})
    assert answer.status_code == 200, answer.text
    return " ".join(segment["spoken"] for segment in answer.json()["segments"])


async def test_rules_are_put_read_and_removed(server: httpx.AsyncClient) -> None:
    assert (await server.get(LEXICON)).json() == {"rules": []}
    answer = await put(
        server,
        {"word": "SQL", "alias": "sequel"},
        {"word": "GIF", "ipa": "dʒɪf", "language": "english"},
    )
    assert answer.status_code == 200
    rules = (await server.get(LEXICON)).json()["rules"]
    assert [(rule["word"], rule["language"]) for rule in rules] == [("SQL", None), ("GIF", "en")]
    left = await server.delete(LEXICON, params={"word": "gif", "language": "en"})
    assert [rule["word"] for rule in left.json()["rules"]] == ["SQL"]
    assert (await server.delete(LEXICON)).json() == {"rules": []}
    missing = await server.delete(LEXICON, params={"word": "gif"})
    assert (missing.status_code, missing.json()["error"]["field"]) == (404, "word")


@pytest.mark.parametrize(
    ("rule", "field"),
    [
        ({"word": "x"}, "rules"),
        ({"word": "", "alias": "y"}, "rules"),
        ({"word": "x", "ipa": "♥"}, "rules"),
        ({"word": "x", "alias": "y", "language": "klingon"}, "rules"),
        ({"word": "x", "alias": "y", "colour": "red"}, None),
        ({"alias": "y"}, None),
    ],
)
async def test_a_wrong_rule_is_refused_and_changes_nothing(
    server: httpx.AsyncClient, rule: dict[str, Any], field: str | None
) -> None:
    await put(server, {"word": "SQL", "alias": "sequel"})
    answer = await put(server, rule)
    assert answer.status_code == 422
    assert field is None or answer.json()["error"]["field"] == field
    assert len((await server.get(LEXICON)).json()["rules"]) == 1


async def test_a_full_lexicon_fits_into_a_body(server: httpx.AsyncClient) -> None:
    rule = {"alias": "a word to say instead", "language": "en", "case": True, "voice": "sine"}
    rules = [{"word": f"word {n}", **rule} for n in range(5_001)]
    assert (await put(server, *rules[:5_000])).status_code == 200
    assert (await put(server, *rules)).status_code == 422


async def test_requests_are_said_by_the_lexicon_at_once(
    server: httpx.AsyncClient, tmp_path: Path
) -> None:
    await put(server, {"word": "SQL", "alias": "sequel"})
    assert await said(server, "SQL!") == "sequel!"
    LexiconFile(tmp_path / "lexicon.toml").write([Pronunciation("SQL", alias="squeal")])
    assert await said(server, "SQL!") == "squeal!"


async def test_rules_of_a_request_and_a_voice_count_more(server: httpx.AsyncClient) -> None:
    await put(
        server,
        {"word": "SQL", "alias": "server"},
        {"word": "SQL", "alias": "voice", "voice": "hum"},
    )
    assert await said(server, "SQL", speaker="sine") == "server"
    assert await said(server, "SQL", speaker="hum") == "voice"
    rules = [{"word": "sql", "alias": "request"}]
    assert await said(server, "SQL", speaker="hum", pronunciations=rules) == "request"


async def test_every_surface_takes_pronunciations(server: httpx.AsyncClient) -> None:
    long = "a much longer text than the word"
    rules = [{"word": "x", "alias": long}]
    plain = await server.post("/v1/tts/synthesize", json={"text": "x"})
    posted = await server.post("/v1/tts/synthesize", json={"text": "x", "pronunciations": rules})
    query = {"text": "x", "pronunciations": f"x={long}"}
    got = await server.get("/v1/tts/synthesize", params=query)
    spoken = {"input": "x", "pronunciations": rules, "response_format": "wav"}
    openai = await server.post("/v1/audio/speech", json=spoken)
    assert len(posted.content) > 5 * len(plain.content)
    assert got.content == posted.content
    assert openai.status_code == 200
    assert abs(len(openai.content) - len(posted.content)) < 1_000


@pytest.mark.parametrize(
    "rules", [[{"word": "x"}], [{"word": "x", "ipa": "♥"}], [{"word": "x", "alias": "y"}] * 101]
)
async def test_wrong_pronunciations_are_refused(
    server: httpx.AsyncClient, rules: list[dict[str, str]]
) -> None:
    for path, text in (("/v1/tts/synthesize", "text"), ("/v1/audio/speech", "input")):
        answer = await server.post(path, json={text: "x", "pronunciations": rules})
        assert answer.status_code in (400, 422)
        assert "pronunciations" in answer.text


async def test_sounds_that_a_model_cannot_say_are_named(server: httpx.AsyncClient) -> None:
    rules = [{"word": "GIF", "ipa": "dʒɪf"}]
    body = {"text": "A GIF.", "pronunciations": rules}
    answer = await server.post("/v1/tts/synthesize", json=body)
    assert answer.headers["x-ignored"] == "phonemes"
    body["pronunciations"] = [{"word": "GIF", "ipa": "dʒɪf", "alias": "jif"}]
    answer = await server.post("/v1/tts/synthesize", json=body)
    assert "x-ignored" not in answer.headers
    assert await said(server, **body) == "A jif."  # type: ignore[arg-type]  # a text and rules


async def test_rules_of_the_server_without_an_alias_are_named_where_they_apply(
    server: httpx.AsyncClient,
) -> None:
    await put(server, {"word": "Nguyen", "ipa": "wɪn"}, {"word": "SQL", "alias": "sequel"})
    for text, ignored in (("Ask Nguyen about SQL.", "phonemes"), ("Ask Ann about SQL.", None)):
        response = await server.post("/v1/tts/synthesize", json={"text": text})
        assert response.headers.get("X-Ignored") == ignored


async def test_sounds_are_visible_in_an_explanation(tmp_path: Path) -> None:
    pool = Pool({"hibari": lambda: LocalEngine(HibariModel())})
    async with app_client(create_app(Settings(data_dir=tmp_path), pool)) as server:
        await put(server, {"word": "GIF", "ipa": "dʒɪf"})
        answer = await server.post(EXPLAIN, json={"text": "A GIF."})
        (segment,) = answer.json()["segments"]
        assert (segment["spoken"], segment["phonemes"]) == ("A GIF.", [[2, 5, "dʒɪf"]])


async def test_only_a_key_that_manages_changes_the_lexicon(
    server: httpx.AsyncClient, tmp_path: Path
) -> None:
    keys = KeyFile(tmp_path / FILE_NAME)
    speaker, manager = (
        {"Authorization": f"Bearer {keys.create(name, scopes)}"}
        for name, scopes in (("phone", ("speak",)), ("admin", ("speak", "manage")))
    )
    body = {"rules": [{"word": "SQL", "alias": "sequel"}]}
    assert (await server.get(LEXICON)).status_code == 401
    assert (await server.put(LEXICON, json=body, headers=speaker)).status_code == 403
    assert (await server.delete(LEXICON, headers=speaker)).status_code == 403
    assert (await server.put(LEXICON, json=body, headers=manager)).status_code == 200
    assert (await server.get(LEXICON, headers=speaker)).json()["rules"][0]["word"] == "SQL"
