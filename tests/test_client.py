"""Test the clients with the real app, in process and over a socket."""

import io
import socket
import wave
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from vivavoce import __version__
from vivavoce.api import errors as api_errors
from vivavoce.api.app import create_app
from vivavoce.client import AsyncClient, Client
from vivavoce.errors import (
    BadRequest,
    BodyTooLarge,
    EngineFault,
    MissingDependency,
    NotReady,
    Overloaded,
    UnknownModel,
    UnknownRequest,
    UnknownVoice,
    Unsupported,
    VivavoceError,
)
from vivavoce.models.tone import CHAR_S, RATE_HZ, Fault, ToneModel
from vivavoce.serving.local import LocalEngine
from vivavoce.serving.pool import Pool
from vivavoce.settings import Settings

TEXT = "Hello there."


@pytest.fixture
async def remote() -> AsyncIterator[AsyncClient]:
    """Yield a client of an application with a voice that fails after some audio."""
    model = ToneModel(faults={"breaks": Fault("raise", at_step=2)})
    app = create_app(
        Settings(models=("tone",), load_models="lazy", provenance="tags"),
        Pool({"tone": lambda: LocalEngine(model)}),
    )
    async with (
        app.router.lifespan_context(app),
        AsyncClient("http://test", transport=httpx.ASGITransport(app)) as client,
    ):
        yield client


def seconds(data: bytes) -> float:
    with wave.open(io.BytesIO(data)) as file:
        return float(file.getnframes() / file.getframerate())


async def test_speak_returns_a_whole_file_and_who_spoke_it(
    remote: AsyncClient, tmp_path: Path
) -> None:
    audio = await remote.speak(
        TEXT, speaker="hum", language="english", model="tone", sample_rate=16_000
    )
    assert (audio.format, audio.model, audio.voice, audio.language) == ("wav", "tone", "hum", "en")
    assert audio.sample_rate_hz == 16_000
    assert seconds(audio.data) == pytest.approx(len(TEXT) * CHAR_S, abs=0.01)
    assert audio.request_id
    assert audio.save(tmp_path / "hello.wav").read_bytes() == audio.data


async def test_speak_names_what_the_model_could_not_honour(remote: AsyncClient) -> None:
    assert (await remote.speak(TEXT)).ignored == ()
    assert (await remote.speak(TEXT, instruct="Whisper.")).ignored == ("instruct",)


async def test_seed_and_speed_reach_the_model(remote: AsyncClient) -> None:
    plain, again, seeded, slow = [
        (await remote.speak(TEXT, seed=seed, speed=speed)).data
        for seed, speed in ((1, None), (1, None), (2, None), (1, 0.5))
    ]
    assert plain == again != seeded
    assert seconds(slow) == pytest.approx(2 * seconds(plain), rel=0.1)


@pytest.mark.parametrize(
    ("format", "magic"),
    [("wav", b"RIFF"), ("flac", b"fLaC"), ("opus", b"OggS"), ("mp3", b"ID3"), ("aac", b"\xff")],
)
async def test_formats_come_as_asked(remote: AsyncClient, format: str, magic: bytes) -> None:
    audio = await remote.speak(TEXT, format=format)  # type: ignore[arg-type]  # parametrize types it as str
    assert audio.format == format
    assert audio.data.startswith(magic)


async def test_streamed_bytes_are_the_whole_ones(remote: AsyncClient) -> None:
    async with remote.stream(TEXT, format="pcm") as speech:
        assert (speech.model, speech.sample_rate_hz) == ("tone", RATE_HZ)
        streamed = b"".join([chunk async for chunk in speech])
    assert streamed == (await remote.speak(TEXT, format="pcm")).data


async def test_the_lists_agree_with_each_other(remote: AsyncClient) -> None:
    voices = await remote.voices("tone")
    assert {voice.model for voice in voices} == {"tone"}
    assert tuple(voice.id for voice in voices if voice.listed) == await remote.speakers("tone")
    languages = await remote.languages("tone")
    assert languages[0] == "auto"
    assert len(languages) == 1 + len(voices[0].languages)
    assert "tone" in {model.id for model in await remote.models()}


async def test_fields_have_the_limits_of_the_server(remote: AsyncClient) -> None:
    fields = await remote.fields()
    assert (fields["speed"]["minimum"], fields["speed"]["maximum"]) == (0.25, 4.0)
    assert "flac" in fields["format"]["enum"]
    assert fields["ref_text"]["maxLength"] == 5_000
    assert fields["text"]["type"] == "string"


async def test_health_tells_the_state_of_each_model(remote: AsyncClient) -> None:
    assert (await remote.health()).models == {"tone": "unloaded"}
    await remote.speak(TEXT)
    health = await remote.health()
    assert (health.status, health.model_loaded, health.version) == ("ok", True, __version__)
    assert health.models == {"tone": "ready"}


async def test_outcome_tells_how_a_request_went(remote: AsyncClient) -> None:
    whole = await remote.outcome((await remote.speak(TEXT)).request_id)
    assert (whole.finish_reason, whole.ending, whole.error, whole.retries) == (
        "complete",
        None,
        None,
        0,
    )
    assert whole.audio_s == pytest.approx(len(TEXT) * CHAR_S, abs=0.02)
    with pytest.raises(UnknownRequest, match="'no such one'"):
        await remote.outcome("no such one")


async def test_wrong_requests_raise_what_the_server_found(remote: AsyncClient) -> None:
    with pytest.raises(UnknownModel, match="'violin'"):
        await remote.speak(TEXT, model="violin")
    with pytest.raises(UnknownVoice, match="'bob'") as caught:
        await remote.speak(TEXT, speaker="bob")
    assert caught.value.field == "speaker"
    with pytest.raises(BadRequest) as invalid:
        await remote.speak(TEXT, speed=9)
    assert invalid.value.field == "speed"
    with pytest.raises(BadRequest, match="2,001 characters, the limit is 2,000") as long:
        await remote.speak(TEXT, instruct="a" * 2_001)
    assert long.value.field == "instruct"
    with pytest.raises(BodyTooLarge, match="2,000,000 bytes"):
        await remote.speak("a " * 1_000_000)


async def test_a_stream_that_is_refused_raises_before_its_block(remote: AsyncClient) -> None:
    with pytest.raises(UnknownVoice):
        async with remote.stream(TEXT, speaker="bob"):
            pytest.fail("the block was entered")


async def test_a_model_that_fails_raises_engine_fault(remote: AsyncClient) -> None:
    with pytest.raises(EngineFault, match="request req_"):
        await remote.speak(TEXT, speaker="breaks")


@pytest.mark.parametrize("path", ["v1/tts/speakers", "v1/models"], ids=["native", "openai"])
@pytest.mark.parametrize(
    "error",
    [
        BadRequest("m", field="model"),
        UnknownModel("m", field="model"),
        UnknownVoice("m", field="model"),
        UnknownRequest("m", field="model"),
        Unsupported("m", field="model"),
        BodyTooLarge("m", field="model"),
        Overloaded("m", retry_after_s=7),
        NotReady("m"),
        EngineFault("m"),
        MissingDependency("m"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_every_error_of_the_server_comes_back_as_itself(
    error: VivavoceError, path: str
) -> None:
    app = FastAPI()
    api_errors.install(app)

    @app.get(f"/{path}")
    async def fail() -> None:
        raise error

    async with AsyncClient("http://test", transport=httpx.ASGITransport(app)) as client:
        with pytest.raises(VivavoceError) as caught:
            await (client.models() if path == "v1/models" else client.speakers())
    assert type(caught.value) is type(error)
    assert caught.value.message.startswith("m")
    if isinstance(error, BadRequest):
        assert vars(caught.value)["field"] == "model"
    if isinstance(error, Overloaded):
        assert vars(caught.value)["retry_after_s"] == 7


def test_the_blocking_client_speaks_and_streams(tone_url: str) -> None:
    with Client(tone_url) as client:
        audio = client.speak(TEXT, format="pcm", speaker="hum")
        with client.stream(TEXT, format="pcm", speaker="hum") as speech:
            assert (speech.voice, speech.sample_rate_hz) == ("hum", RATE_HZ)
            assert b"".join(speech) == audio.data
        with pytest.raises(UnknownVoice), client.stream(TEXT, speaker="bob"):
            pytest.fail("the block was entered")


def test_the_blocking_client_lists(tone_url: str) -> None:
    with Client(tone_url + "/") as client:
        assert client.speakers("tone") == tuple(
            voice.id for voice in client.voices() if voice.listed
        )
        assert "english" in client.languages()
        assert "tone" in {model.id for model in client.models()}
        assert client.health().version == __version__
        assert client.outcome(client.speak(TEXT).request_id).finish_reason == "complete"


def test_leaving_a_stream_early_frees_the_server(tone_url: str) -> None:
    with Client(tone_url) as client:
        with client.stream("A long text. " * 1000, format="pcm") as speech:
            assert next(iter(speech))
        assert client.speak(TEXT).data


def test_a_server_that_is_not_there_is_said_to_be_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with (
        Client(f"http://127.0.0.1:{port}") as client,
        pytest.raises(NotReady, match="`vivavoce serve`"),
    ):
        client.health()


def test_a_server_that_does_not_answer_is_not_waited_for() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        Client(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout_s=0.05) as client,
        pytest.raises(NotReady, match="did not answer in time"),
    ):
        client.health()


@pytest.mark.parametrize("address", ["localhost:8000", "ftp://host", "http://[::1"])
def test_an_address_that_is_none_is_refused_by_name(address: str) -> None:
    with (
        pytest.raises(BadRequest, match="is not an address of a server") as caught,
        Client(address) as client,
    ):
        client.health()
    assert caught.value.field == "base_url"


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(502, text="<h1>Bad Gateway</h1>"),
        httpx.Response(200, json=["?"]),
        httpx.Response(404, json={}),
    ],
    ids=["proxy", "other JSON", "other API"],
)
def test_what_is_not_our_server_is_said_to_be_something_else(answer: httpx.Response) -> None:
    with (
        Client("http://test", transport=httpx.MockTransport(lambda request: answer)) as client,
        pytest.raises(VivavoceError, match="as a vivavoce server does"),
    ):
        client.models()


def test_an_api_key_is_sent_as_a_bearer_token() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"speakers": [request.headers["authorization"]]})

    with Client("http://test", api_key="secret", transport=httpx.MockTransport(answer)) as client:
        assert client.speakers() == ("Bearer secret",)


def test_unknown_option_is_a_type_error_that_names_the_choices(tone_url: str) -> None:
    with (
        Client(tone_url) as client,
        pytest.raises(TypeError, match=r"'speeker': choose from speaker,"),
    ):
        client.speak("Hello.", speeker="sine")  # type: ignore[call-arg]  # the mistake under test


async def test_timed_speech_is_the_same_whole_and_streamed(remote: AsyncClient) -> None:
    plain = await remote.speak(TEXT, format="pcm")
    whole = await remote.speak_timed(TEXT, format="pcm", subtitles="srt")
    async with remote.stream_timed(TEXT, format="pcm", subtitles="srt") as speech:
        assert (speech.model, speech.voice, speech.sample_rate_hz) == ("tone", "sine", RATE_HZ)
        chunks = [chunk async for chunk in speech]
    assert b"".join(chunk.data for chunk in chunks) == whole.data == plain.data
    assert tuple(word for chunk in chunks for word in chunk.words) == whole.words
    assert [word.word for word in whole.words] == ["Hello", "there"]
    assert chunks[-1].end == whole.end
    assert whole.end.subtitles is not None
    assert TEXT in whole.end.subtitles
    assert whole.end.duration_s == pytest.approx(len(plain.data) / 2 / RATE_HZ, abs=1e-4)


def test_blocking_client_tells_the_times(tone_url: str) -> None:
    with Client(tone_url) as client:
        whole = client.speak_timed(TEXT, timestamps="char")
        with client.stream_timed(TEXT, timestamps="char") as speech:
            words = [word for chunk in speech for word in chunk.words]
    assert tuple(words) == whole.words
    assert [sound.text for sound in whole.words[0].chars] == list("Hello")
    assert seconds(whole.data) == pytest.approx(whole.end.duration_s, abs=1e-4)


async def test_failure_inside_a_timed_stream_is_its_error(remote: AsyncClient) -> None:
    async with remote.stream_timed(TEXT, speaker="breaks") as speech:
        with pytest.raises(EngineFault):
            [chunk async for chunk in speech]


async def test_text_too_long_for_timed_audio_is_refused(remote: AsyncClient) -> None:
    with pytest.raises(BadRequest) as refusal:
        await remote.speak_timed("a " * 20_000)
    assert refusal.value.field == "text"
