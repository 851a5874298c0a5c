"""Design voices on random VoiceDesign and Base checkpoints, and speak with them everywhere."""

import base64
import io
import json
import re
import zipfile
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from numpy.typing import NDArray
from openai import BadRequestError, NotFoundError, OpenAI
from typer.testing import CliRunner

for package in ("torch", "safetensors", "tokenizers"):
    pytest.importorskip(
        package,
        reason=f"Qwen3-TTS needs {package}: make test-qwen, or pip install 'vivavoce[qwen]'",
    )

from tests.conftest import app_client, serving, tone_pool  # noqa: E402 - after the check for torch
from tests.models.qwen3_tts.whole import edit, whole_checkpoint  # noqa: E402
from tests.models.qwen3_tts_server.test_clones import (  # noqa: E402
    same,
    samples_in,
    samples_of,
    synthesize,
)
from vivavoce.api.app import create_app  # noqa: E402
from vivavoce.audio.decode import comment_in  # noqa: E402
from vivavoce.cli import app as command_line  # noqa: E402
from vivavoce.client import AsyncClient  # noqa: E402
from vivavoce.errors import UnknownVoice  # noqa: E402
from vivavoce.keys import FILE_NAME, KeyFile  # noqa: E402
from vivavoce.models.qwen3_tts.checkpoint.config import read_config  # noqa: E402
from vivavoce.models.qwen3_tts.tools.trace import read_request, trace  # noqa: E402
from vivavoce.settings import Settings  # noqa: E402
from vivavoce.synthesis.design.making import TEXTS  # noqa: E402

VOICES, DESIGN = "/v1/tts/voices", "/v1/tts/voices/design"
SEEDS = (7, 8)
OLD_MAN = {"description": "A calm old man.", "seed": SEEDS[0], "count": len(SEEDS)}


def ending_design(folder: Path) -> Path:
    """Write a VoiceDesign checkpoint whose speech ends: with a code that it often says."""
    whole_checkpoint(folder, "voice_design", size="1b7", frames=150)
    config = json.loads((folder / "config.json").read_text("utf-8"))["talker_config"]
    said = Counter[int]()
    for seed in SEEDS:
        request = {"text": TEXTS["en"], "language": "english", "instruct": "A man.", "seed": seed}
        traced = trace(folder, read_request(request, read_config(folder)))
        said.update(traced["codes"][:, 0].tolist())
    ((end, _),) = said.most_common(1)
    edit(folder / "config.json", talker_config=config | {"codec_eos_token_id": end})
    return folder


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoints")
    ending_design(folder / "Design")
    whole_checkpoint(folder / "Base", "base", frames=12)
    return folder


def settings(checkpoints: Path, data_dir: Path, *names: str) -> Settings:
    return Settings(
        qwen=tuple(checkpoints / name for name in names or ("Design", "Base")),
        models=("tone",),
        isolate_models=False,
        data_dir=data_dir,
    )


@pytest.fixture
async def client(checkpoints: Path, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with app_client(create_app(settings(checkpoints, tmp_path))) as client:
        yield client


async def designed(
    client: httpx.AsyncClient, headers: Mapping[str, str] | None = None, **fields: object
) -> list[dict[str, str]]:
    answer = await client.post(DESIGN, json={**OLD_MAN, **fields}, headers=headers)
    assert answer.status_code == 200, answer.text
    previews: list[dict[str, str]] = answer.json()["previews"]
    return previews


def heard(preview: dict[str, str]) -> NDArray[Any]:
    return samples_in(base64.b64decode(preview["audio"]))


async def test_previews_differ_by_seed_and_repeat_with_it(client: httpx.AsyncClient) -> None:
    one, other = await designed(client)
    assert [one["seed"], other["seed"]] == list(SEEDS)
    assert not same(heard(one), heard(other))
    for preview in (one, other):
        assert len(heard(preview)) / 24_000 == pytest.approx(float(preview["duration_s"]), abs=0.01)
    again = await designed(client, seed=SEEDS[1], count=1)
    assert same(heard(again[0]), heard(other))
    described = await designed(client, description="A cheerful girl.", count=1)
    assert not same(heard(described[0]), heard(one))


async def test_preview_is_marked_as_synthetic_and_so_is_the_recording(
    client: httpx.AsyncClient, tmp_path: Path
) -> None:
    answer = await client.post(DESIGN, json=OLD_MAN)
    assert answer.headers["x-synthetic"] == "vivavoce; model=design"
    preview = answer.json()["previews"][0]
    comment = comment_in(base64.b64decode(preview["audio"])) or ""
    assert comment.startswith("vivavoce; synthetic speech; model=design")
    id = (await client.post(VOICES, json={"name": "merlin", "preview": preview["id"]})).json()["id"]
    kept = (tmp_path / "voices" / id / "recording.flac").read_bytes()
    assert comment_in(kept) == "vivavoce; synthetic speech"


async def test_saved_preview_speaks_everywhere_and_stays_the_same(
    client: httpx.AsyncClient, checkpoints: Path, tmp_path: Path
) -> None:
    one, other = await designed(client)
    made = await client.post(VOICES, json={"name": "Merlin", "preview": other["id"]})
    assert made.status_code == 201, made.text
    voice = made.json()
    assert (voice["kind"], voice["provenance"], voice["consent"]) == ("designed", "described", None)
    assert (voice["description"], voice["words"]) == ("A calm old man.", TEXTS["en"])
    sent = {"ref_audio": other["audio"], "ref_text": TEXTS["en"]}
    expected = samples_of(await synthesize(client, **sent))
    named = await synthesize(client, speaker="merlin")
    assert (named.headers["x-model"], named.headers["x-voice"]) == ("base", "Merlin")
    assert same(samples_of(named), expected)
    await client.post(VOICES, json={"name": "arthur", "preview": one["id"]})
    assert not same(samples_of(await synthesize(client, speaker="arthur")), expected)
    openai = {"input": "Hello.", "voice": "merlin", "model": "tts-1"}
    assert (await client.post("/v1/audio/speech", json=openai)).headers["x-voice"] == "Merlin"
    file = await client.get(f"{VOICES}/merlin/export")
    again = create_app(settings(checkpoints, tmp_path, "Base"))  # and it needs no other checkpoint
    async with app_client(again) as restarted:
        assert same(samples_of(await synthesize(restarted, speaker="merlin")), expected)
    async with app_client(create_app(settings(checkpoints, tmp_path / "elsewhere"))) as elsewhere:
        packed = {"file": base64.b64encode(file.content).decode()}
        imported = await elsewhere.post(f"{VOICES}/import", json=packed)
        assert imported.status_code == 201, imported.text
        assert (imported.json()["id"], imported.json()["kind"]) == (voice["id"], "designed")
        assert same(samples_of(await synthesize(elsewhere, speaker="merlin")), expected)
        exported = (await elsewhere.get(f"{VOICES}/merlin/export")).content
    old, new = (zipfile.ZipFile(io.BytesIO(data)) for data in (file.content, exported))
    assert old.read("recording.flac") == new.read("recording.flac")


@pytest.mark.parametrize(
    ("fields", "field", "says"),
    [
        ({"description": ""}, "description", "like 'a calm old man'"),
        ({"description": " \n "}, "description", "like 'a calm old man'"),
        ({"description": "x" * 2_001}, "description", "the limit is 2,000"),
        ({"count": 0}, "count", "greater than or equal to 1"),
        ({"count": 5}, "count", "less than or equal to 4"),
        ({"seed": -1}, "seed", "greater than or equal to 0"),
        ({"text": "Long. " * 50}, "text", "the limit is 250"),
        ({"text": "雨" * 84}, "text", "the limit is 250"),
        ({"text": "…"}, "text", "send at least one word"),
        ({"text": "One. [pause:1s] Two."}, "text", "leave out the tags"),
        ({"language": "klingon"}, "language", "Unknown language"),
        ({"language": "hindi"}, "language", "is not spoken"),
        ({"mood": "calm"}, "mood", "is not known here"),
    ],
)  # fmt: skip
async def test_bad_wishes_are_refused(
    client: httpx.AsyncClient, fields: dict[str, object], field: str, says: str
) -> None:
    answer = await client.post(DESIGN, json={**OLD_MAN, **fields})
    error = answer.json()["error"]
    assert (answer.status_code, error["field"]) == (422, field), error
    assert says in error["message"]


@pytest.mark.parametrize(
    ("there", "missing"),
    [
        (("Base",), ["Qwen/Qwen3-TTS-12Hz-1.7B-VoiceDesign"]),
        (("Design",), ["Qwen/Qwen3-TTS-12Hz-1.7B-Base"]),
    ],
)
async def test_missing_checkpoint_is_named_with_the_command_that_brings_it(
    checkpoints: Path, tmp_path: Path, there: tuple[str, ...], missing: list[str]
) -> None:
    async with app_client(create_app(settings(checkpoints, tmp_path, *there))) as client:
        answer = await client.post(DESIGN, json=OLD_MAN)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (422, "unsupported")
    assert re.findall(r"vivavoce models pull (\S+),", error["message"]) == missing


async def test_keys_see_no_previews_and_voices_of_each_other(
    checkpoints: Path, tmp_path: Path
) -> None:
    keys = KeyFile(tmp_path / FILE_NAME)
    made = [keys.create("one"), keys.create("two"), keys.create("boss", ("speak", "manage"))]
    one, two, boss = ({"Authorization": f"Bearer {key}"} for key in made)
    async with app_client(create_app(settings(checkpoints, tmp_path))) as client:
        assert (await client.post(DESIGN, json=OLD_MAN)).status_code == 401
        preview = (await designed(client, one, count=1))[0]
        wanted = {"name": "merlin", "preview": preview["id"]}
        for other in (two, boss):
            refused = await client.post(VOICES, json=wanted, headers=other)
            assert (refused.status_code, refused.json()["error"]["field"]) == (404, "preview")
        other_server = create_app(Settings(data_dir=tmp_path), tone_pool())
        async with app_client(other_server) as replica:  # which knows of the preview, too
            assert (await replica.post(VOICES, json=wanted, headers=one)).status_code == 201
        speak = {"text": "Hello.", "speaker": "merlin"}
        for method, path, body in (
            ("POST", "/v1/tts/synthesize", speak),
            ("GET", f"{VOICES}/merlin", None),
            ("DELETE", f"{VOICES}/merlin", None),
            ("GET", f"{VOICES}/merlin/export", None),
        ):
            answer = await client.request(method, path, json=body, headers=two)
            assert answer.status_code == 404, answer.text
        assert (await client.post("/v1/tts/synthesize", json=speak, headers=one)).status_code == 200


async def test_preview_that_is_unknown_or_beside_a_formula_is_refused(
    client: httpx.AsyncClient,
) -> None:
    preview = (await designed(client, count=1))[0]["id"]
    for fields, status, field in (
        ({"preview": "0" * 24}, 404, "preview"),
        ({"preview": preview, "formula": "af_bella(1)+af_sky(1)"}, 422, "formula"),
        ({"preview": preview, "name": "../merlin"}, 422, "name"),
    ):
        answer = await client.post(VOICES, json={"name": "merlin", **fields})
        assert (answer.status_code, answer.json()["error"]["field"]) == (status, field)


def test_command_writes_previews_and_saves_the_one_that_is_picked(
    checkpoints: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIVAVOCE_QWEN", f"{checkpoints / 'Design'},{checkpoints / 'Base'}")
    monkeypatch.setenv("VIVAVOCE_MODELS", "tone")
    monkeypatch.setenv("VIVAVOCE_DATA_DIR", str(tmp_path))
    folder = tmp_path / "previews"

    def run(*more: str) -> str:
        asked = ["voices", "design", "A calm old man.", "--name", "merlin", "--seed", "7"]
        done = CliRunner().invoke(command_line, [*asked, "--count", "2", "-o", str(folder), *more])
        return f"{done.exit_code}: {done.output}"

    assert "nothing is saved: keep one with --seed 7 --pick 1 to 2" in run()
    assert "0: 1" in (said := run("--pick", "2"))
    assert "saved merlin" in said
    shown = CliRunner().invoke(command_line, ["voices", "show", "merlin"]).output
    assert (json.loads(shown)["kind"], json.loads(shown)["words"]) == ("designed", TEXTS["en"])
    one, other = (folder / f"merlin-{number}.wav" for number in (1, 2))
    assert not same(samples_in(one.read_bytes()), samples_in(other.read_bytes()))
    assert (comment_in(other.read_bytes()) or "").startswith("vivavoce; synthetic speech")
    assert "--pick is 3, and --count makes 2" in run("--pick", "3")
    assert "means another voice already" in run("--name", "nova")


def test_command_designs_on_a_server(checkpoints: Path, tmp_path: Path) -> None:
    with serving(create_app(settings(checkpoints, tmp_path / "there"))) as url:
        asked = ["voices", "design", "A calm old man.", "--name", "merlin", "--seed", "7"]
        more = ["--count", "2", "--pick", "2", "-o", str(tmp_path / "out"), "--server", url]
        done = CliRunner().invoke(command_line, [*asked, *more])
        assert "saved merlin" in done.output, done.output
        voice = httpx.get(f"{url}{VOICES}/merlin").json()
        assert (voice["kind"], voice["words"]) == ("designed", TEXTS["en"])
    one, other = (tmp_path / "out" / f"merlin-{number}.wav" for number in (1, 2))
    assert not same(samples_in(one.read_bytes()), samples_in(other.read_bytes()))


def test_openai_sdk_designs_a_voice(checkpoints: Path, tmp_path: Path) -> None:
    with (
        serving(create_app(settings(checkpoints, tmp_path))) as url,
        OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as sdk,
    ):
        seed = {"seed": SEEDS[0]}
        voice = sdk.audio.voices.create(
            name="calm", type="prompt", prompt="A calm old man.", extra_body=seed
        )
        assert (voice.type, voice.prompt) == ("prompt", "A calm old man.")
        speech = sdk.audio.speech.create(model="tts-1", voice={"id": voice.id}, input="Hello.")
        assert speech.response.headers["x-voice"] == "calm"
        with pytest.raises(BadRequestError) as refused:
            sdk.audio.voices.create(
                name="late", type="prompt", prompt="A man.", script_hint="Very long. " * 99
            )
        assert refused.value.param == "script_hint"
        kept = set((tmp_path / "previews").iterdir())
        with pytest.raises(NotFoundError):
            sdk.audio.voices.create(
                name="late", type="prompt", prompt="A man.", extra_body={"consent": "cons_1"}
            )
        assert set((tmp_path / "previews").iterdir()) == kept  # nothing was spoken for it


async def test_python_client_designs_and_keeps_a_voice(checkpoints: Path, tmp_path: Path) -> None:
    app = create_app(settings(checkpoints, tmp_path))
    async with (
        app.router.lifespan_context(app),
        AsyncClient("http://test", transport=httpx.ASGITransport(app)) as client,
    ):
        assert set((await client.voices.terms()).missing) == {"mix"}
        one, other = await client.voices.design("A calm old man.", seed=SEEDS[0], count=2)
        assert (one.seed, other.seed, one.language) == (*SEEDS, "en")
        assert len(samples_in(one.audio)) / 24_000 == pytest.approx(one.duration_s, abs=0.01)
        voice = await client.voices.keep("merlin", other.id, labels={"mood": "calm"})
        assert (voice.kind, voice.description) == ("designed", "A calm old man.")
        assert await client.voices.get("merlin") == voice
        assert (await client.speak("Good evening.", speaker="merlin")).voice == "merlin"
        with pytest.raises(UnknownVoice, match="no preview 'gone'"):
            await client.voices.keep("other", "gone")
        with pytest.raises(TypeError, match=r"'seeds': choose from text,"):
            await client.voices.design("A man.", seeds=[1])  # type: ignore[call-arg]  # wrong
