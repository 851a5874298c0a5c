"""Check the API with the `elevenlabs` SDK over a real socket."""

import base64
from collections.abc import Iterator

import numpy as np
import pytest
from elevenlabs import DialogueInput, PronunciationDictionaryVersionLocator, VoiceSettings
from elevenlabs.client import ElevenLabs
from elevenlabs.core.api_error import ApiError

from tests.api.test_openai import SECONDS, TEXT
from tests.decoding import decode
from vivavoce.models.tone import CHAR_S

PREMADE = "21m00Tcm4TlvDq8ikWAM"


@pytest.fixture(params=["", "/elevenlabs"])
def sdk(url: str, request: pytest.FixtureRequest) -> Iterator[ElevenLabs]:
    client = ElevenLabs(base_url=url + request.param, api_key="none", timeout=30)
    yield client
    client._client_wrapper.httpx_client.httpx_client.close()


def test_convert_and_stream_give_the_same_audio(sdk: ElevenLabs) -> None:
    speech = sdk.text_to_speech
    whole = b"".join(speech.convert("sine", text=TEXT, model_id="eleven_multilingual_v2", seed=3))
    streamed = b"".join(speech.stream("sine", text=TEXT, model_id="tone", seed=3))
    samples, rate = decode(whole)
    assert whole == streamed
    assert (len(samples) / rate, rate) == (pytest.approx(SECONDS, abs=0.15), 44_100)


@pytest.mark.parametrize(
    ("name", "bytes_per_s"),
    [("pcm_8000", 16_000), ("pcm_48000", 96_000), ("ulaw_8000", 8_000), ("alaw_8000", 8_000)],
)
def test_bare_formats_have_the_rate_of_their_name(
    sdk: ElevenLabs, name: str, bytes_per_s: int
) -> None:
    data = b"".join(sdk.text_to_speech.convert("sine", text=TEXT, output_format=name))  # type: ignore[arg-type]  # parametrized
    assert len(data) / bytes_per_s == pytest.approx(SECONDS, abs=0.01)


@pytest.mark.parametrize(
    ("name", "rate"), [("mp3_22050_32", 22_050), ("opus_48000_64", 48_000), ("wav_16000", 16_000)]
)
def test_files_have_the_rate_of_their_name(sdk: ElevenLabs, name: str, rate: int) -> None:
    data = b"".join(sdk.text_to_speech.stream("sine", text=TEXT, output_format=name))  # type: ignore[arg-type]  # parametrized
    samples, found = decode(data)
    assert found == rate
    assert len(samples) / rate == pytest.approx(SECONDS, abs=0.15)


def test_voice_settings_and_seed_change_the_speech(sdk: ElevenLabs) -> None:
    def spoken(**more: object) -> bytes:
        parts = sdk.text_to_speech.convert("sine", text=TEXT, output_format="pcm_24000", **more)  # type: ignore[arg-type]  # a test's own fields
        return b"".join(parts)

    fast = spoken(voice_settings=VoiceSettings(speed=1.2, stability=0.5, similarity_boost=0.8))
    assert len(fast) / 48_000 == pytest.approx(SECONDS / 1.2, rel=0.05)
    assert spoken(seed=1) == spoken(seed=1) != spoken(seed=2)


def test_other_voice_sounds_different_and_premade_ids_are_the_default(sdk: ElevenLabs) -> None:
    def spoken(voice: str) -> bytes:
        return b"".join(sdk.text_to_speech.convert(voice, text=TEXT, output_format="pcm_24000"))

    assert spoken(PREMADE) == spoken("sine") != spoken("hum")


def test_unknown_dictionary_is_told(sdk: ElevenLabs) -> None:
    def ignored(name: str) -> str | None:
        locator = PronunciationDictionaryVersionLocator(pronunciation_dictionary_id=name)
        with sdk.text_to_speech.with_raw_response.convert(
            "sine", text=TEXT, pronunciation_dictionary_locators=[locator]
        ) as answer:
            for _ in answer.data:
                pass
            return answer.headers.get("x-ignored")

    assert ignored("nobody's") == "pronunciation_dictionary_locators"
    assert ignored("lexicon") is None


def test_timestamps_cover_the_text_in_order(sdk: ElevenLabs) -> None:
    answer = sdk.text_to_speech.convert_with_timestamps(
        "sine", text=TEXT, output_format="pcm_24000"
    )
    assert len(base64.b64decode(answer.audio_base_64)) / 48_000 == pytest.approx(SECONDS, abs=0.01)
    times = answer.alignment
    assert times is not None
    assert "".join(times.characters) == TEXT
    starts, ends = times.character_start_times_seconds, times.character_end_times_seconds
    assert starts == sorted(starts)
    assert all(end >= start for start, end in zip(starts, ends, strict=True))
    at = TEXT.index("fox")
    assert starts[at] == pytest.approx(at * CHAR_S, abs=0.03)


def test_streamed_timestamps_are_those_of_the_whole(sdk: ElevenLabs) -> None:
    whole = sdk.text_to_speech.convert_with_timestamps("sine", text=TEXT, output_format="pcm_24000")
    parts = list(
        sdk.text_to_speech.stream_with_timestamps("sine", text=TEXT, output_format="pcm_24000")
    )
    assert len(parts) > 1
    audio = b"".join(base64.b64decode(part.audio_base_64) for part in parts)
    assert audio == base64.b64decode(whole.audio_base_64)
    told = [part.alignment for part in parts if part.alignment]
    assert whole.alignment is not None
    assert [char for one in told for char in one.characters] == whole.alignment.characters
    assert [at for one in told for at in one.character_start_times_seconds] == pytest.approx(
        whole.alignment.character_start_times_seconds
    )


def test_normalized_alignment_holds_what_is_said(sdk: ElevenLabs) -> None:
    answer = sdk.text_to_speech.convert_with_timestamps(
        "sine", text="It costs $4.50, Dr. Lee.", apply_text_normalization="on"
    )
    assert answer.alignment is not None
    assert answer.normalized_alignment is not None
    assert "".join(answer.alignment.characters) == "It costs $4.50, Dr. Lee."
    said = "".join(answer.normalized_alignment.characters)
    assert said == "It costs four dollars and fifty cents, Doctor Lee."


@pytest.mark.filterwarnings("ignore:ConnectionClosed.code is deprecated")  # by the SDK
def test_text_is_spoken_while_it_is_written(sdk: ElevenLabs) -> None:
    # The SDK asks for the secure scheme, whatever its address says.
    sdk.text_to_speech._ws_base_url = sdk.text_to_speech._ws_base_url.replace("wss:", "ws:")
    parts = sdk.text_to_speech.convert_realtime(
        "sine",
        text=iter(["The quick brown ", "fox jumps over ", "the lazy dog. "]),
        model_id="eleven_flash_v2_5",
        output_format="pcm_24000",
        voice_settings=VoiceSettings(stability=0.5, similarity_boost=0.8),
    )
    samples = np.frombuffer(b"".join(parts), "<i2")
    assert len(samples) / 24_000 == pytest.approx(SECONDS, abs=0.2)
    assert np.abs(samples).max() > 1_000


def test_dialogue_is_spoken_by_its_voices(sdk: ElevenLabs) -> None:
    lines = [
        DialogueInput(text="Who goes there?", voice_id="sine"),
        DialogueInput(text="It is only me.", voice_id="hum"),
    ]
    dialogue = sdk.text_to_dialogue
    whole = b"".join(dialogue.convert(inputs=lines, output_format="pcm_24000"))
    streamed = b"".join(dialogue.stream(inputs=lines, output_format="pcm_24000"))
    other = [lines[0], DialogueInput(text="It is only me.", voice_id="sine")]
    assert whole == streamed
    assert whole != b"".join(dialogue.convert(inputs=other, output_format="pcm_24000"))
    assert len(whole) / 48_000 > 28 * CHAR_S


def test_voices_are_listed_and_found(sdk: ElevenLabs) -> None:
    assert {"sine", "hum"} <= {voice.voice_id for voice in sdk.voices.get_all().voices}
    page = sdk.voices.search(page_size=1)
    assert page.has_more
    assert page.next_page_token is not None
    after = sdk.voices.search(page_size=100, next_page_token=page.next_page_token)
    assert page.voices[0] not in after.voices
    assert (after.has_more, after.total_count) == (False, 1 + len(after.voices))
    assert [voice.name for voice in sdk.voices.search(search="hUm").voices] == ["Hum"]
    assert sdk.voices.get("hum").name == "Hum"
    assert sdk.voices.get(PREMADE).voice_id == PREMADE
    assert sdk.voices.settings.get("hum").speed == 1.0
    assert sdk.voices.settings.get_default().stability == 0.5


def test_models_and_account_are_those_that_the_sdk_reads(sdk: ElevenLabs) -> None:
    (model,) = sdk.models.list()
    assert model.model_id == "tone"
    assert {"en", "de"} <= {language.language_id for language in model.languages or ()}
    assert sdk.user.get().subscription.status == "active"
    assert sdk.user.subscription.get().character_count == 0


def test_unknown_voice_is_told_with_those_there_are(sdk: ElevenLabs) -> None:
    with pytest.raises(ApiError) as refused:
        sdk.voices.get("nobody")
    detail = refused.value.body["detail"]
    assert refused.value.status_code == 404
    assert detail["status"] == "voice_not_found"
    assert "sine" in detail["message"]
    with pytest.raises(ApiError) as refused:
        b"".join(sdk.text_to_speech.convert("x" * 20, text=TEXT))
    assert refused.value.status_code == 404
    assert "sine" in refused.value.body["detail"]["message"]
