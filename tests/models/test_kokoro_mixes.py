"""Check mixes of Kokoro's voices: their styles, and how requests name them on every API."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import httpx
import numpy as np
import pytest
from typer.testing import CliRunner
from wyoming.tts import SynthesizeVoice

from tests.conftest import app_client, serving
from tests.decoding import decode
from tests.wyoming.house import audio, hear, house, say
from vivavoce.api.app import create_app
from vivavoce.cli import app as command_line
from vivavoce.client import AsyncClient
from vivavoce.keys import FILE_NAME, KeyFile
from vivavoce.models.kokoro.assets import locate
from vivavoce.models.kokoro.mixes import blend, mix
from vivavoce.models.kokoro.model import KokoroModel
from vivavoce.registry import build_pool
from vivavoce.settings import Settings
from vivavoce.voices.library import draft
from vivavoce.voices.record import Viewer
from vivavoce.wyoming.voices import offered

FORMULA, OTHERWISE = "af_bella(2)+af_sky(1)", "af_sky(0.1)+coral(0.2)"
NAMED = "af_bella(0.666666667)+af_sky(0.333333333)"
TEXT = "The train to the airport leaves at nine."


@pytest.fixture(scope="module")
def kokoro() -> KokoroModel:
    return KokoroModel(locate(Settings().cache_dir, None))


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    settings = Settings(data_dir=tmp_path, models=("hibari", "kokoro"), isolate_models=False)
    async with app_client(create_app(settings)) as client:
        yield client


@pytest.mark.slow
def test_mix_is_the_weighted_sum_of_the_styles(kokoro: KokoroModel) -> None:
    bella, sky = kokoro.styles["af_bella"], kokoro.styles["af_sky"]
    mixed = mix(FORMULA, kokoro.styles, kokoro.measures)
    np.testing.assert_allclose(mixed.styles, (2 * bella + sky) / 3, rtol=0, atol=1e-6)
    beyond = mix("af_bella(2)-af_sky(1)", kokoro.styles, kokoro.measures)
    np.testing.assert_allclose(beyond.styles, 2 * bella - sky, rtol=0, atol=1e-6)
    alone = mix("af_bella(3)", kokoro.styles, kokoro.measures)
    np.testing.assert_array_equal(alone.styles, bella)


@pytest.mark.slow
@pytest.mark.parametrize("voices", [("af_bella", "af_sky"), ("am_adam", "bf_emma")])
def test_measures_of_a_mix_are_near_the_measured(
    kokoro: KokoroModel, voices: tuple[str, str]
) -> None:
    packed = [kokoro.measures.packed(voice, kokoro.styles[voice]) for voice in voices]
    measured = kokoro.measures.measure((kokoro.styles[voices[0]] + kokoro.styles[voices[1]]) / 2)

    def error(found: np.ndarray) -> float:
        (mean, _), (true, power) = (np.split(m[:, 1:], 2, axis=1) for m in (found, measured))
        deviation = np.sqrt(np.maximum(power - true**2, 0)) + 1e-4
        return float(np.sqrt((((mean - true) / deviation) ** 2).mean()))

    blended = error(blend(packed, (0.5, 0.5)))
    assert blended < 0.1  # as a voice of the package is of its own
    assert blended < 0.75 * min(map(error, packed))


@pytest.mark.slow
async def test_formula_is_a_speaker_on_every_api(server: httpx.AsyncClient) -> None:
    spoken = {"text": TEXT, "speaker": FORMULA, "format": "pcm"}
    native = await server.post("/v1/tts/synthesize", json=spoken)
    assert native.status_code == 200, native.text
    assert (native.headers["x-model"], native.headers["x-voice"]) == ("kokoro", NAMED)
    again = await server.get("/v1/tts/synthesize", params={**spoken, "speaker": OTHERWISE})
    openai = await server.post(
        "/v1/audio/speech",
        json={"input": TEXT, "voice": FORMULA, "model": "tts-1", "response_format": "pcm"},
    )
    assert native.content == again.content == openai.content
    alone = await server.post("/v1/tts/synthesize", json={**spoken, "speaker": "af_bella"})
    same = await server.post("/v1/tts/synthesize", json={**spoken, "speaker": "af_bella(3)"})
    assert same.content == alone.content != native.content
    wrong = await server.post("/v1/tts/synthesize", json={**spoken, "speaker": "af_bella(2)+me(1)"})
    assert (wrong.status_code, wrong.json()["error"]["field"]) == (404, "speaker")


@pytest.mark.slow
async def test_saved_mix_is_a_speaker_on_every_api_and_in_every_list(
    server: httpx.AsyncClient,
) -> None:
    voices = "/v1/tts/voices"
    made = await server.post(voices, json={"name": "Warm", "formula": FORMULA})
    assert made.status_code == 201, made.text
    spoken = {"text": TEXT, "format": "pcm"}
    mixed = await server.post("/v1/tts/synthesize", json={**spoken, "speaker": FORMULA})
    saved = await server.post("/v1/tts/synthesize", json={**spoken, "speaker": "warm"})
    assert (saved.headers["x-voice"], saved.content) == ("Warm", mixed.content)
    openai = {"input": TEXT, "voice": "warm", "model": "kokoro", "response_format": "pcm"}
    assert (await server.post("/v1/audio/speech", json=openai)).content == mixed.content
    eleven = await server.post(
        "/v1/text-to-speech/Warm", params={"output_format": "pcm_24000"}, json={"text": TEXT}
    )
    assert eleven.content == mixed.content
    inputs = [{"text": TEXT, "speaker": "af_sky"}, {"text": TEXT, "speaker": "warm"}]
    explained = await server.post("/v1/tts/explain", json={"inputs": inputs})
    assert {part["speaker"] for part in explained.json()["segments"]} == {"af_sky", "Warm"}
    for path in ("/v1/tts/speakers", "/v1/audio/voices", "/v1/voices", "/wit/voices"):
        assert '"Warm"' in (await server.get(path)).text, path
    await server.delete(f"{voices}/warm")
    assert (
        await server.post("/v1/tts/synthesize", json={**spoken, "speaker": "warm"})
    ).status_code == 404
    assert '"Warm"' not in (await server.get("/v1/audio/voices")).text


@pytest.mark.slow
def test_saved_mix_speaks_from_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIVAVOCE_DATA_DIR", str(tmp_path))

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(command_line, arguments)
        assert result.exit_code == 0, result.output
        return result.output

    run("voices", "mix", "warm", FORMULA)
    assert "warm" in run("voices", "--model", "kokoro")
    run("say", TEXT, "--speaker", "warm", "-o", str(tmp_path / "saved.wav"))
    run("say", TEXT, "--speaker", FORMULA, "-o", str(tmp_path / "mixed.wav"))
    saved, mixed = (
        decode((tmp_path / "saved.wav").read_bytes()),
        decode((tmp_path / "mixed.wav").read_bytes()),
    )
    assert np.array_equal(saved[0], mixed[0])  # their comments name the voice as it was asked for


@pytest.mark.slow
async def test_formula_and_saved_mix_speak_live_and_in_markup(
    tmp_path: Path,
) -> None:
    settings = Settings(data_dir=tmp_path, models=("kokoro",), isolate_models=False)
    with serving(create_app(settings)) as url:
        async with httpx.AsyncClient(base_url=url, timeout=60) as client:
            await client.post("/v1/tts/voices", json={"name": "warm", "formula": FORMULA})
            marked = f'<speak><voice name="{FORMULA}">{TEXT}</voice></speak>'
            for text in (f"[voice:warm]{TEXT}", f"[voice:{FORMULA}]{TEXT}", marked):
                explained = await client.post("/v1/tts/explain", json={"text": text})
                assert {part["speaker"] for part in explained.json()["segments"]} <= {"warm", NAMED}
            path = f"/v1/text-to-speech/{quote(FORMULA)}"
            eleven = await client.post(path, json={"text": TEXT})
            assert eleven.status_code == 200, eleven.text
        for speaker in ("warm", FORMULA):
            async with AsyncClient(url) as told, told.live(speaker=speaker, format="pcm") as live:
                await live.send(TEXT)
                await live.end()
                assert sum([len(chunk.data) async for chunk in live]) > 48_000


@pytest.mark.slow
async def test_saved_mix_speaks_to_home_assistant(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, models=("kokoro",), isolate_models=False)
    async with house(settings, build_pool(settings)) as running, running.client() as client:
        draft_of_mix = draft("warm", "mixed", formula=NAMED, shared=True)
        await asyncio.to_thread(running.server.voices.add, draft_of_mix, Viewer())
        heard = []
        for voice in ("warm", "af_bella"):
            await say(client, TEXT, SynthesizeVoice(name=voice))
            heard.append(audio(await hear(client)))
        assert heard[0] != heard[1]
        listed = await offered(running.server.synthesizer)
        assert "warm" in [voice.name for voice in listed]


@pytest.mark.slow
async def test_key_lists_and_speaks_with_its_own_voices_alone(tmp_path: Path) -> None:
    file = KeyFile(tmp_path / FILE_NAME)
    one, two = ({"Authorization": f"Bearer {file.create(name)}"} for name in ("one", "two"))
    settings = Settings(data_dir=tmp_path, models=("kokoro",), isolate_models=False)
    async with app_client(create_app(settings)) as server:
        made = await server.post(
            "/v1/tts/voices", json={"name": "Mine", "formula": FORMULA}, headers=one
        )
        assert made.status_code == 201, made.text
        for path in ("/v1/tts/speakers", "/v1/audio/voices", "/v1/voices", "/wit/voices"):
            assert '"Mine"' in (await server.get(path, headers=one)).text
            for other in ({}, two, {"Authorization": "Bearer wrong"}):
                assert '"Mine"' not in (await server.get(path, headers=other)).text
        body = {"text": TEXT, "speaker": "mine"}
        for path, content in (
            ("/v1/tts/synthesize", body),
            ("/v1/tts/explain", body),
            ("/v1/audio/speech", {"input": TEXT, "voice": "mine"}),
            ("/v1/text-to-speech/mine", {"text": TEXT}),
        ):
            assert (await server.post(path, json=content, headers=one)).status_code == 200
            assert (await server.post(path, json=content, headers=two)).status_code == 404
