"""Clone and design voices with the `elevenlabs` SDK, and speak with them on every API."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from elevenlabs.client import ElevenLabs
from elevenlabs.core.api_error import ApiError
from openai import OpenAI

for package in ("torch", "safetensors", "tokenizers"):
    pytest.importorskip(
        package,
        reason=f"Qwen3-TTS needs {package}: make test-qwen, or pip install 'vivavoce[qwen]'",
    )

from tests.api.elevenlabs.test_own_voices import AGREED, opened  # noqa: E402 - after the check
from tests.api.live.wire import audio_of, wire  # noqa: E402
from tests.conftest import serving  # noqa: E402
from tests.decoding import decode  # noqa: E402
from tests.models.qwen3_tts.whole import whole_checkpoint  # noqa: E402
from tests.models.qwen3_tts_server.test_clones import recording, same, samples_in  # noqa: E402
from tests.models.qwen3_tts_server.test_designs import ending_design, settings  # noqa: E402
from vivavoce.api.app import create_app  # noqa: E402
from vivavoce.keys import FILE_NAME, KeyFile  # noqa: E402
from vivavoce.synthesis.design.making import TEXTS  # noqa: E402

TEXT = "The lamp is on the table."
OLD_MAN = "A calm old man who speaks slowly."


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoints")
    ending_design(folder / "Design")
    whole_checkpoint(folder / "Base", "base", frames=12)
    return folder


@pytest.fixture(scope="module")
def url(checkpoints: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(create_app(settings(checkpoints, tmp_path_factory.mktemp("data")))) as url:
        yield url


@pytest.fixture
def sdk(url: str) -> Iterator[ElevenLabs]:
    with opened(url) as client:
        yield client


def said_by(url: str, **fields: object) -> Any:
    answer = httpx.post(
        f"{url}/v1/tts/synthesize", json={"text": TEXT, "seed": 1, **fields}, timeout=60
    )
    assert answer.status_code == 200, answer.text
    return samples_in(answer.content)


async def test_clone_made_here_speaks_on_every_api(sdk: ElevenLabs, url: str) -> None:
    files: Any = [("anna.wav", recording(1), "audio/wav")]
    made = sdk.voices.ivc.create(name="Anna Lind", files=files, request_options=AGREED)
    card = sdk.voices.get(made.voice_id)
    assert (card.name, card.category) == ("Anna Lind", "cloned")
    assert card.high_quality_base_model_ids == ["base"]
    expected = said_by(url, speaker=made.voice_id)
    assert same(said_by(url, speaker="anna-lind"), expected)
    assert not same(said_by(url, ref_audio=base64.b64encode(recording(4)).decode()), expected)
    eleven = sdk.text_to_speech.convert(made.voice_id, text=TEXT, seed=1, output_format="wav_24000")
    assert same(samples_in(b"".join(eleven)), expected)
    openai = OpenAI(api_key="none", base_url=f"{url}/v1")
    speech = openai.audio.speech.create(
        model="tts-1",
        voice=made.voice_id,
        input=TEXT,
        response_format="pcm",
        extra_body={"seed": 1},
    )
    assert same(np.frombuffer(speech.content, "<i2"), expected)
    async with wire(url, "/v1/tts/stream") as live:
        await live.send(type="begin", speaker=made.voice_id, format="pcm")
        await live.send(type="text", text=TEXT)
        await live.send(type="end")
        got = await live.until("done")
    started = next(one for one in got if isinstance(one, dict) and one["type"] == "started")
    assert (started["model"], started["voice"]) == ("base", "Anna-Lind")
    assert len(audio_of(got)) > 24_000
    openai.close()
    sdk.voices.delete(made.voice_id)
    with pytest.raises(ApiError) as gone:
        b"".join(sdk.text_to_speech.convert(made.voice_id, text=TEXT))
    assert gone.value.status_code == 404


@pytest.mark.parametrize("prefix", ["", "/elevenlabs"])
def test_design_is_heard_saved_and_spoken_with(url: str, prefix: str) -> None:
    with opened(url + prefix) as sdk:
        made = sdk.text_to_voice.design(
            voice_description=OLD_MAN, seed=7, output_format="wav_24000"
        )
        assert made.text == TEXTS["en"]
        heard = [samples_in(base64.b64decode(one.audio_base_64)) for one in made.previews]
        assert len({one.tobytes() for one in heard}) == len(heard) == 3
        for one, samples in zip(made.previews, heard, strict=True):
            assert (one.media_type, one.language) == ("audio/wav", "en")
            assert samples.size / 24_000 == pytest.approx(one.duration_secs, abs=0.01)
        chosen = made.previews[1]
        with sdk.text_to_voice.preview.with_raw_response.stream(chosen.generated_voice_id) as got:
            assert b"".join(got.data) == base64.b64decode(chosen.audio_base_64)
            assert got.headers["x-synthetic"] == "vivavoce; model=design"
        voice = sdk.text_to_voice.create(
            voice_name="Old Merlin",
            voice_description=OLD_MAN,
            generated_voice_id=chosen.generated_voice_id,
            labels={"age": "old", "accent": None},
        )
        assert (voice.name, voice.category, voice.description) == (
            "Old Merlin", "generated", OLD_MAN,
        )  # fmt: skip
        assert (voice.labels or {})["age"] == "old"
        assert "accent" not in (voice.labels or {})
        sent = {"ref_audio": chosen.audio_base_64, "ref_text": TEXTS["en"]}
        assert same(said_by(url, speaker="old-merlin"), said_by(url, **sent))
        assert voice.voice_id in [one.voice_id for one in sdk.voices.get_all().voices]
        sdk.voices.delete(voice.voice_id)


def test_previews_of_the_older_call_say_the_beginning_of_a_long_text(sdk: ElevenLabs) -> None:
    text = "The rain has stopped, and the birds are singing. " * 8
    made = sdk.text_to_voice.create_previews(voice_description=OLD_MAN, text=text, seed=7)
    assert made.text == text[: 5 * 49].strip()
    samples, rate_hz = decode(base64.b64decode(made.previews[0].audio_base_64))
    assert rate_hz == 44_100
    assert len(samples) / rate_hz == pytest.approx(made.previews[0].duration_secs, abs=0.1)


def test_wrong_designs_are_refused(sdk: ElevenLabs) -> None:
    design = sdk.text_to_voice.design
    for fields, says in (
        ({"voice_description": " "}, "description is empty"),
        ({"voice_description": "x" * 2_001}, "the limit is 2,000"),
        ({"voice_description": "A\x00man."}, "control characters"),
        ({"voice_description": OLD_MAN, "output_format": "mp3_1"}, "output_format 'mp3_1'"),
        ({"voice_description": OLD_MAN, "text": "One. [pause:1s] Two."}, "leave out the tags"),
    ):
        wish: Any = fields
        with pytest.raises(ApiError) as refused:
            design(**wish)
        assert refused.value.status_code == 422
        assert says in refused.value.body["detail"]["message"]


def test_keys_cannot_use_each_others_previews(checkpoints: Path, tmp_path: Path) -> None:
    keys = KeyFile(tmp_path / FILE_NAME)
    one, two = keys.create("one"), keys.create("two")
    with (
        serving(create_app(settings(checkpoints, tmp_path))) as url,
        opened(url, one) as own,
        opened(url, two) as other,
    ):
        made = own.text_to_voice.design(voice_description=OLD_MAN)
        wanted = {
            "voice_name": "merlin",
            "voice_description": OLD_MAN,
            "generated_voice_id": made.previews[0].generated_voice_id,
        }
        with pytest.raises(ApiError) as refused:
            other.text_to_voice.create(**wanted)
        assert refused.value.status_code == 404
        with pytest.raises(ApiError) as hidden:
            list(other.text_to_voice.preview.stream(made.previews[0].generated_voice_id))
        assert hidden.value.status_code == 404
        voice = own.text_to_voice.create(**wanted)
        assert [v.voice_id for v in other.voices.search(search="merlin").voices] == []
        with pytest.raises(ApiError) as private:
            b"".join(other.text_to_speech.convert(voice.voice_id, text=TEXT))
        assert private.value.status_code == 404
