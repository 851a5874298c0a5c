"""Test models of other servers: real servers on real sockets, ours and foreign ones."""

import asyncio
import base64
import math
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, ExitStack, aclosing
from dataclasses import dataclass, field, replace

import httpx
import numpy as np
import pytest
from fastapi import FastAPI, Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from tests.api.test_streaming import Watched, wait_until
from tests.conftest import FAULTS, app_client, serving, tone_pool
from vivavoce.api.app import create_app
from vivavoce.audio import from_int16, wav_bytes
from vivavoce.client import Client
from vivavoce.errors import DeadlineExceeded, EngineFault, NotReady, Overloaded, SettingsError
from vivavoce.models.tone import Fault, ToneModel, ToneStream
from vivavoce.remote.engine import RemoteEngine, RemoteOptions
from vivavoce.serving.base import ChunkStream
from vivavoce.serving.local import LocalEngine
from vivavoce.serving.pool import Pool
from vivavoce.serving.queue import Limits
from vivavoce.settings import Settings
from vivavoce.types import PreparedVoice, QueueHints, Reference, Samples, Segment, StopReason, Task

NOBODY = "http://127.0.0.1:9"  # the port of a service that nobody runs
SEGMENT = Segment("Hello there, how are you?", "sine", "en")


def gateway(*urls: str, model: str = "tone", **settings: object) -> FastAPI:
    """Return a server whose own model is never asked."""
    remote = tuple(f"{model}={url}" for url in urls)
    return create_app(Settings(remote=remote, models=("hibari",), load_models="lazy", **settings))  # type: ignore[arg-type]  # any


async def started(*urls: str, **options: object) -> RemoteEngine:
    engine = RemoteEngine("tone", [(url, "tone") for url in urls], RemoteOptions(**options))  # type: ignore[arg-type]  # any
    await engine.start()
    return engine


async def collected(speech: ChunkStream) -> Samples:
    async with aclosing(speech):
        return np.concatenate([chunk.samples async for chunk in speech])


def floats(pcm: bytes) -> Samples:
    return from_int16(np.frombuffer(pcm, "<i2").astype(np.int16))


async def test_remote_model_says_what_the_other_server_would(tone_url: str) -> None:
    body = {"text": "Hello there.", "speaker": "hum", "seed": 7, "format": "pcm", "model": "tone"}
    async with (
        app_client(gateway(tone_url)) as client,
        httpx.AsyncClient(base_url=tone_url) as direct,
    ):
        ours = await client.post("/v1/tts/synthesize", json=body)
        theirs = await direct.post("/v1/tts/synthesize", json=body)
    # The edges are faded on both ways, and the pieces of the text are the same.
    assert len(ours.content) == len(theirs.content)
    edge = 240
    np.testing.assert_array_equal(
        floats(ours.content)[edge:-edge], floats(theirs.content)[edge:-edge]
    )
    assert ours.headers["x-voice"] == "hum"
    assert "x-ignored" not in ours.headers  # it is known that the other server honours the seed


async def test_a_long_text_comes_whole(tone_url: str) -> None:
    # Sentences too long to be joined and too short to be cut: both servers make the same pieces of
    # them.
    text = " ".join(
        f"This is the sentence with number {n} of a text that goes on for long." for n in range(20)
    )
    body = {"text": text, "format": "pcm", "model": "tone"}
    async with (
        app_client(gateway(tone_url, tone_url)) as client,
        httpx.AsyncClient(base_url=tone_url) as direct,
    ):
        ours = floats((await client.post("/v1/tts/synthesize", json=body)).content)
        theirs = floats((await direct.post("/v1/tts/synthesize", json=body)).content)
    assert (
        abs(len(ours) - len(theirs)) < 0.1 * 24_000
    )  # of more than a minute: pauses are measured at both


async def test_voices_languages_and_abilities_are_those_of_the_other_server(tone_url: str) -> None:
    async with (
        app_client(gateway(tone_url)) as client,
        httpx.AsyncClient(base_url=tone_url) as direct,
    ):
        for path in ("/v1/tts/speakers", "/v1/tts/languages", "/v1/audio/voices"):
            ours, theirs = [
                await asked.get(path, params={"model": "tone"}) for asked in (client, direct)
            ]
            assert ours.json() == theirs.json()
        info = (await client.get("/v1/tts/models", params={"model": "tone"})).json()["models"][0]
    assert info["capabilities"]["seed"] is True
    assert info["capabilities"]["live_text"] is False


@pytest.mark.parametrize(
    ("field", "value", "status", "code"),
    [
        ("speaker", "nobody", 404, "voice_not_found"),
        ("speaker", "crash-at-once", 500, "engine_fault"),
    ],
)
async def test_errors_of_the_other_server_are_told_as_ours(
    tone_url: str, field: str, value: str, status: int, code: str
) -> None:
    async with app_client(gateway(tone_url)) as client:
        answer = await client.post(
            "/v1/tts/synthesize", json={"text": "Hello.", "model": "tone", field: value}
        )
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


async def test_speech_that_breaks_off_there_breaks_off_here(tone_url: str) -> None:
    engine = await started(tone_url, tone_url)
    async with aclosing(engine.speak(replace(SEGMENT, voice="crash"))) as speech:
        assert (await anext(speech)).samples.size
        with pytest.raises(EngineFault, match="broke off"):
            async for _ in speech:
                pass
    assert speech.ending is None
    await engine.aclose()


async def test_a_server_that_is_gone_is_passed_over(tone_url: str) -> None:
    async with app_client(gateway(NOBODY, tone_url)) as client:
        for _ in range(4):
            answer = await client.post(
                "/v1/tts/synthesize", json={"text": "Hello.", "model": "tone"}
            )
            assert answer.status_code == 200, answer.text
        peers = (await client.get("/health")).json()["peers"]["tone"]
    assert [(peer["url"], peer["up"]) for peer in peers] == [(NOBODY, False), (tone_url, True)]


async def test_a_server_that_dies_later_is_passed_over_before_the_first_audio(
    tone_url: str,
) -> None:
    with serving(create_app(Settings(), tone_pool())) as other:
        engine = await started(other, tone_url)
    assert len(await collected(engine.speak(SEGMENT)))  # the first would have been asked
    assert [peer.up for peer in engine.peers] == [False, True]
    await engine.aclose()


async def test_the_least_busy_server_speaks() -> None:
    with ExitStack() as stack:
        urls = [
            stack.enter_context(serving(create_app(Settings(), tone_pool(real_time_factor=1.0))))
            for _ in range(3)
        ]
        engine = await started(*urls)
        speeches = [engine.speak(replace(SEGMENT, voice="endless")) for _ in range(6)]
        for speech in speeches:
            await anext(speech)
        assert [peer.speaking for peer in engine.peers] == [2, 2, 2]
        for speech in speeches:
            await speech.aclose()
        assert [peer.speaking for peer in engine.peers] == [0, 0, 0]
        await engine.aclose()


@pytest.mark.parametrize("heard", [0, 1])
async def test_closing_a_segment_frees_its_slot_there(heard: int) -> None:
    watched = Watched(real_time_factor=1.0)
    with serving(create_app(Settings(), watched.pool())) as url:
        engine = await started(url)
        async with aclosing(engine.speak(replace(SEGMENT, voice="endless"))) as speech:
            for _ in range(heard):
                await anext(speech)
            await asyncio.to_thread(wait_until, lambda: watched.is_(busy=True), 5)
        await asyncio.to_thread(wait_until, lambda: watched.is_(busy=False), 5)
        await engine.aclose()


def busy_pool(real_time_factor: float) -> Pool:
    """Return a pool that speaks one segment at a time and lets one wait."""
    model = ToneModel(real_time_factor=real_time_factor, max_batch=1, faults=FAULTS)
    return Pool(
        {"tone": lambda: LocalEngine(model, Limits(max_queued_requests=1, max_ahead_s=2.0))}
    )


async def test_busy_servers_are_429_with_a_time_to_come_again() -> None:
    with serving(create_app(Settings(), busy_pool(1.0))) as url:
        engine = await started(url)
        async with aclosing(engine.speak(replace(SEGMENT, voice="endless"))) as first:
            await anext(first)
            waiting = {asyncio.create_task(collected(engine.speak(SEGMENT))) for _ in range(2)}
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            with pytest.raises(Overloaded) as refused:
                done.pop().result()
            assert refused.value.retry_after_s >= 1.0  # as the server there said
        assert len(await waiting.pop())  # the other had the place in the queue
        await engine.aclose()


async def test_speech_that_is_being_heard_waits_for_a_busy_server() -> None:
    """Check that a later segment is not rejected, and waits for a free place."""
    pool = busy_pool(1.0)
    with serving(create_app(Settings(), pool)) as url:
        engine = await started(url)
        async with aclosing(engine.speak(replace(SEGMENT, voice="endless"))) as first:
            await anext(first)
            waiting = engine.speak(SEGMENT)
            there = pool.ready["tone"]
            assert isinstance(there, LocalEngine)
            await asyncio.to_thread(wait_until, lambda: there.load.waiting == 1, 5)
            later = engine.speak(SEGMENT, follows=first)
        assert len(await collected(waiting))
        assert len(await collected(later))
        await engine.aclose()


async def test_too_many_waiting_are_refused_at_once() -> None:
    with serving(create_app(Settings(), tone_pool(real_time_factor=5.0))) as url:
        engine = await started(url, max_queued_requests=2)
        waiting = [engine.speak(SEGMENT), engine.speak(SEGMENT)]
        with pytest.raises(Overloaded):
            engine.speak(SEGMENT)
        follower = engine.speak(SEGMENT, follows=waiting[0])  # never refused
        for speech in (*waiting, follower):
            await speech.aclose()
        await engine.aclose()


async def test_stopping_ends_what_is_being_spoken(tone_url: str) -> None:
    engine = await started(tone_url)
    speech = engine.speak(replace(SEGMENT, voice="endless"))
    await anext(speech)
    await engine.aclose()
    with pytest.raises(NotReady):
        async for _ in speech:
            pass


async def test_without_a_server_others_speak_and_the_reason_is_told() -> None:
    async with app_client(gateway(NOBODY)) as client:
        spoken = await client.post("/v1/tts/synthesize", json={"text": "Hello there."})
        assert spoken.headers["x-model"] == "hibari"
        refused = await client.post("/v1/tts/synthesize", json={"text": "Hello.", "model": "tone"})
        assert refused.status_code == 500
        assert NOBODY in refused.json()["error"]["message"]


async def test_a_model_that_the_server_has_not_is_told_at_the_start(tone_url: str) -> None:
    engine = RemoteEngine("parler", [(tone_url, "parler")])
    with pytest.raises(EngineFault, match="model 'parler' is not offered here"):
        await engine.start()


# -- time and turns ----------------------------------------------------------------------------


class Noting(ToneModel):
    """A model that records the queue hints of its segments."""

    def __init__(self) -> None:
        super().__init__()
        self.hints: list[QueueHints] = []

    def open(self, segment: Segment) -> ToneStream:
        self.hints.append(segment.hints)
        return super().open(segment)


@pytest.mark.parametrize(
    ("timeout_s", "least_s", "most_s"), [(60, 55, 61), (None, math.inf, math.inf)]
)
async def test_the_other_server_is_told_the_priority_and_the_time_that_is_left(
    timeout_s: float | None, least_s: float, most_s: float
) -> None:
    model = Noting()
    text = "The first sentence goes on until its end. " * 8
    body = {"text": text, "model": "tone", "priority": "batch", "timeout_s": timeout_s}
    with serving(create_app(Settings(), Pool({"tone": lambda: LocalEngine(model)}))) as url:
        async with app_client(gateway(url)) as client:
            assert (await client.post("/v1/tts/synthesize", json=body)).status_code == 200
    assert len(model.hints) > 1
    assert {hints.priority for hints in model.hints} == {"batch"}
    assert all(least_s <= hints.timeout_s <= most_s for hints in model.hints)


async def test_the_other_server_stops_by_itself_when_the_time_is_over() -> None:
    """Leave the segment open, as a hanging server would."""
    watched = Watched(real_time_factor=1.0)
    with serving(create_app(Settings(), watched.pool())) as url:
        engine = await started(url)
        speech = engine.speak(replace(SEGMENT, voice="endless", hints=QueueHints(timeout_s=0.1)))
        await anext(speech)
        await asyncio.to_thread(wait_until, lambda: watched.is_(busy=False), 5)
        with pytest.raises(EngineFault):
            async for _ in speech:
                pass
        await engine.aclose()


async def test_time_that_is_over_before_the_first_audio_is_told_as_such() -> None:
    with serving(create_app(Settings(), tone_pool(real_time_factor=30.0))) as url:
        engine = await started(url, url)
        with pytest.raises(DeadlineExceeded):
            await collected(engine.speak(replace(SEGMENT, hints=QueueHints(timeout_s=0.1))))
        assert [peer.up for peer in engine.peers] == [True, True]
        await engine.aclose()


async def test_when_all_servers_are_gone_auto_asks_a_model_of_this_one() -> None:
    async with AsyncExitStack() as stack:
        with serving(create_app(Settings(), tone_pool())) as url:
            client = await stack.enter_async_context(app_client(gateway(url, url)))
            before = await client.post("/v1/tts/synthesize", json={"text": "Hello there."})
        after = [
            await client.post("/v1/tts/synthesize", json={"text": "Hello there."}) for _ in range(3)
        ]
        named = await client.post(
            "/v1/tts/synthesize", json={"text": "Hello there.", "model": "tone"}
        )
    # The first of them finds out: it may have been thought there a second ago.
    assert [answer.headers.get("x-model") for answer in (before, *after[1:])] == [
        "tone",
        "hibari",
        "hibari",
    ]
    assert named.status_code == 503


async def test_a_server_that_is_not_ready_is_passed_over_by_auto_until_it_speaks() -> None:
    foreign = Foreign(ready=False)
    with serving(foreign.app()) as url:
        async with app_client(gateway(url, model="tts")) as client:
            asked = ("auto", "tts", "auto")
            answers = [
                await client.post("/v1/tts/synthesize", json={"text": "Hello.", "model": one})
                for one in asked
            ]
    assert [answer.headers.get("x-model") for answer in answers] == ["hibari", "tts", "tts"]


async def test_without_another_model_auto_says_that_no_server_answers() -> None:
    async with AsyncExitStack() as stack:
        with serving(create_app(Settings(), tone_pool())) as url:
            client = await stack.enter_async_context(app_client(gateway(url)))
            assert (
                await client.get("/v1/tts/speakers", params={"model": "tone"})
            ).status_code == 200
        body = {"text": "Hello.", "speaker": "sine"}  # which hibari does not have
        answer = await client.post("/v1/tts/synthesize", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "not_ready")


# -- recordings --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Heard:
    samples: Samples


class Parrot(ToneModel):
    """A model that plays the recording it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.info = replace(self.info, capabilities=replace(self.info.capabilities, clones=True))

    def prepare(self, reference: Reference) -> PreparedVoice:
        return Heard(reference.samples)

    def step(
        self, streams: Sequence[ToneStream], ahead_s: Sequence[float] = ()
    ) -> Sequence[Samples | StopReason]:
        said = []
        for stream in streams:
            stream.step += 1  # type: ignore[attr-defined]  # ToneModel's own streams
            said.append(
                stream.segment.prepared.samples if stream.step == 1 else StopReason.COMPLETE
            )  # type: ignore[attr-defined]
        return said


async def test_a_recording_goes_to_the_server_that_clones_it() -> None:
    recording = (np.sin(np.arange(48_000) / 20) / 2).astype(np.float32)
    sent = base64.b64encode(wav_bytes(recording, 24_000)).decode()
    with serving(create_app(Settings(), Pool({"tone": lambda: LocalEngine(Parrot())}))) as url:
        async with app_client(gateway(url)) as client:
            answer = await client.post(
                "/v1/tts/synthesize",
                json={"text": "Hello.", "model": "tone", "ref_audio": sent, "format": "pcm"},
            )
    assert answer.status_code == 200, answer.text
    spoken = floats(answer.content)
    np.testing.assert_allclose(spoken[240:-240], recording[240:-240], atol=1e-3)


class Designer(ToneModel):
    """A model that designs voices, and remembers what it was to say at once."""

    def __init__(self, task: Task | None) -> None:
        super().__init__()
        self.info = replace(self.info, task=task)
        self.said = list[str]()

    def open(self, segment: Segment) -> ToneStream:
        self.said.append(segment.text)
        return super().open(segment)


@pytest.mark.parametrize("task", ["voice_design", "custom_voice"])
async def test_a_designed_voice_says_its_segment_in_one_go_there(task: Task) -> None:
    text = "Good evening, and welcome to all of you. The rain has stopped, so let us walk."
    model = Designer(task)
    with serving(create_app(Settings(), Pool({"tone": lambda: LocalEngine(model)}))) as url:
        engine = await started(url)
        await collected(engine.speak(Segment(text, "sine", "en")))
        await engine.aclose()
        assert (model.said == [text]) == (task == "voice_design")
        long = {"input": "One more sentence. " * 20, "voice": "sine", "unsplit": True}
        async with httpx.AsyncClient(base_url=url) as client:
            assert (await client.post("/v1/audio/speech", json=long)).status_code == 200
    assert max(map(len, model.said)) <= 250


# -- servers of another make -------------------------------------------------------------------


@dataclass
class Foreign:
    """A foreign speech server, with its answers and a record of its requests."""

    media_type: str = "audio/pcm"
    body: bytes = b"\0\x10" * 24_000
    voices: object = None
    status: int = 200
    asked: list[dict[str, object]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    sent: int = 0
    endless: bool = False
    ready: bool | None = None  # None: it has nothing that tells

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.post("/v1/audio/speech")
        async def speech(request: Request) -> Response:
            self.asked.append(await request.json())
            self.keys.append(request.headers.get("authorization", ""))
            if self.status != 200:
                return JSONResponse({"detail": "no"}, self.status, {"Retry-After": "7"})
            return StreamingResponse(self._chunks(), media_type=self.media_type)

        @app.get("/health/ready")
        async def ready() -> Response:
            return JSONResponse({}, {None: 404, True: 200, False: 503}[self.ready])

        @app.get("/v1/audio/voices")
        async def voices() -> Response:
            return (
                JSONResponse(self.voices)
                if self.voices
                else JSONResponse({"detail": "Not Found"}, 404)
            )

        return app

    async def _chunks(self) -> AsyncIterator[bytes]:
        yield self.body[:1001]  # an odd number of bytes
        yield self.body[1001:]
        while self.endless and self.sent < 2**28:
            self.sent += len(self.body)
            yield self.body
            await asyncio.sleep(0)  # lets the server see that its client is gone


@pytest.mark.parametrize(
    ("listed", "voices"),
    [
        (None, ["nova", "echo"]),
        ({"voices": ["vivian", "ryan"]}, ["vivian", "ryan"]),
        ([{"id": "a"}, {"name": "b"}], ["a", "b"]),
    ],
)
async def test_a_server_of_another_make_speaks_with_its_voices_or_those_of_the_settings(
    listed: object, voices: list[str]
) -> None:
    foreign = Foreign(voices=listed)
    with serving(foreign.app()) as url:
        app = gateway(
            f"{url}/v1",
            model="Some/TTS",
            remote_voices=("nova", "echo"),
            remote_languages=("de",),
            remote_api_key="k",
        )
        async with app_client(app) as client:
            assert (await client.get("/v1/tts/speakers?model=tts")).json() == {"speakers": voices}
            body = {
                "text": "Guten Tag.", "model": "tts", "instruct": "Calm.", "seed": 1,
                "format": "pcm",
            }  # fmt: skip
            answer = await client.post("/v1/tts/synthesize", json=body)
    assert answer.status_code == 200, answer.text
    assert floats(answer.content)[1000] == 0.125
    assert len(answer.content) == 48_000
    assert answer.headers["x-ignored"] == "seed"
    assert foreign.keys == ["Bearer k"]
    assert foreign.asked == [
        {
            "model": "Some/TTS",
            "input": "Guten Tag.",
            "voice": voices[0],
            "response_format": "pcm",
            "stream": True,
            "instructions": "Calm.",
        }
    ]


async def test_audio_of_another_rate_is_resampled() -> None:
    with serving(Foreign(media_type="audio/L16;rate=48000;channels=1").app()) as url:
        engine = await started(url)
        async with aclosing(engine.speak(SEGMENT)) as speech:
            samples = np.concatenate([chunk.samples async for chunk in speech])
        await engine.aclose()
    assert (engine.info.sample_rate_hz, len(samples)) == (24_000, 12_000)
    assert speech.ending is StopReason.COMPLETE


@pytest.mark.parametrize(
    ("foreign", "kind", "says"),
    [
        (
            Foreign(media_type="audio/mpeg"),
            EngineFault,
            "'audio/mpeg' when asked for raw mono 'pcm'",
        ),
        (Foreign(media_type="audio/pcm;channels=2"), EngineFault, "raw mono"),
        (Foreign(body=b"\0" * 2001), EngineFault, "in the middle of a sample"),
        (Foreign(status=401), EngineFault, "remote_api_key"),
        (Foreign(status=503), NotReady, "answered 503"),
        (Foreign(status=429), Overloaded, "answered 429"),
    ],
    ids=lambda value: value.media_type + str(value.status) if isinstance(value, Foreign) else "",
)
async def test_what_another_make_does_wrong_is_told(
    foreign: Foreign, kind: type[Exception], says: str
) -> None:
    with serving(foreign.app()) as url:
        engine = await started(url)
        async with aclosing(engine.speak(SEGMENT)) as speech:
            with pytest.raises(kind, match=says) as raised:
                async for _ in speech:
                    pass
        await engine.aclose()
    if isinstance(raised.value, Overloaded):
        assert raised.value.retry_after_s == 7.0


async def test_no_more_is_read_than_the_listener_takes() -> None:
    foreign = Foreign(body=b"\0\x10" * 32_768, endless=True)
    with serving(foreign.app()) as url:
        engine = await started(url)
        taken = 0
        async with aclosing(engine.speak(SEGMENT)) as speech:
            for _ in range(100):
                taken += (await anext(speech)).samples.nbytes // 2
                for _ in range(100):
                    await asyncio.sleep(0)  # turns for whoever would read on
                # Only what the sockets of both sides hold is on the way.
                assert foreign.sent - taken < 16 * 2**20
        await engine.aclose()
    assert taken > 2**20


@pytest.mark.parametrize(
    "remote", ["tone", "=http://a", "tone=a:80", "tone=http://", "tone=http://key@a"]
)
def test_an_address_that_is_none_is_a_setting_refused(remote: str) -> None:
    with pytest.raises(SettingsError, match="should be MODEL=URL"):
        Settings.read(remote=remote)


def test_one_name_for_a_model_here_and_elsewhere_is_refused() -> None:
    with pytest.raises(SettingsError, match="'hibari' would be the name of two models"):
        Settings.read(remote="hibari=http://a")


# -- names outside Latin-1, and names that are none --------------------------------------------

UNFIT = ["a\r\nX-Evil: 1", "a\0b", "a\x7f", "a\u2028b", "a" * 201]


def named_pool(model: str, *voices: str) -> Pool:
    """Return a pool whose tone model also has voices of these names."""
    faults = {voice: Fault("raise", 10**9) for voice in voices}
    return Pool({model: lambda: LocalEngine(ToneModel(faults=faults))})


@pytest.mark.parametrize("path", ["/v1/tts/synthesize", "/v1/audio/speech", "/wit/synthesize"])
async def test_names_in_any_script_reach_the_client(path: str) -> None:
    name, encoded = "中文女 é 100%", "%E4%B8%AD%E6%96%87%E5%A5%B3 %C3%A9 100%25"
    with serving(create_app(Settings(), named_pool(name, name))) as url:
        async with app_client(gateway(url, model=name)) as client:
            text = {"/v1/audio/speech": "input", "/wit/synthesize": "q"}.get(path, "text")
            voice = "speaker" if path.startswith("/v1/tts") else "voice"
            for stream in (True, False) if path.startswith("/v1/tts") else (None,):
                wish = {text: "Hello.", voice: name, "model": name, "stream": stream}
                answer = await client.post(path, json=wish, headers={"Accept": "audio/wav"})
                assert answer.status_code == 200, answer.text
                assert (answer.headers["x-voice"], answer.headers["x-model"]) == (encoded, encoded)
                assert answer.headers["x-language"] == "en"


def test_clients_read_names_in_any_script() -> None:
    with (
        serving(create_app(Settings(), named_pool("中文女", "中文女 100%"))) as far,
        serving(gateway(far, model="中文女")) as url,
        Client(url) as client,
    ):
        audio = client.speak("Hello.", speaker="中文女 100%", model="中文女")
        with client.stream("Hello.", speaker="中文女 100%", model="中文女") as speech:
            streamed = (speech.model, speech.voice)
    assert (audio.model, audio.voice) == streamed == ("中文女", "中文女 100%")


async def test_voices_whose_names_cannot_be_used_are_left_out() -> None:
    with serving(create_app(Settings(), named_pool("tone", "中文女", *UNFIT))) as url:
        async with app_client(gateway(url)) as client:
            offered = (await client.get("/v1/tts/speakers?model=tone")).json()["speakers"]
            voices = [
                voice["id"]
                for voice in (await client.get("/v1/audio/voices?model=tone")).json()["voices"]
            ]
            answer = await client.post(
                "/v1/tts/synthesize", json={"text": "Hello.", "model": "tone"}
            )
    assert "中文女" in (offered + voices)
    assert not {*offered, *voices} & set(UNFIT)
    assert answer.status_code == 200


async def test_voices_of_another_make_whose_names_cannot_be_used_are_left_out() -> None:
    with serving(Foreign(voices=["中文女", *UNFIT]).app()) as url:
        async with app_client(gateway(url, model="tts")) as client:
            assert (await client.get("/v1/tts/speakers?model=tts")).json() == {
                "speakers": ["中文女"]
            }
            answer = await client.post(
                "/v1/tts/synthesize", json={"text": "Hello.", "model": "tts"}
            )
    assert answer.headers["x-voice"] == "%E4%B8%AD%E6%96%87%E5%A5%B3"


@pytest.mark.parametrize("name", ["a\nb", "a\0", "a" * 201])
def test_a_remote_model_needs_a_name_that_can_be_used(name: str) -> None:
    with pytest.raises(SettingsError, match="MODEL=URL"):
        Settings.read(remote=f"{name}=http://127.0.0.1:9")
