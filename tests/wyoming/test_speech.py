"""Speak through the real client of the package `wyoming`."""

import asyncio
from pathlib import Path

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from wyoming.event import Event
from wyoming.info import Describe, Info, SelectProgram
from wyoming.ping import Ping
from wyoming.tts import (
    Synthesize,
    SynthesizeChunk,
    SynthesizeStart,
    SynthesizeStop,
    SynthesizeTextFormat,
    SynthesizeVoice,
)

from tests.conftest import tone_pool
from tests.wyoming.house import SINE, House, audio, hear, hear_error, house, say, write
from vivavoce.api.app import create_app
from vivavoce.models.tone import ToneModel
from vivavoce.serving.local import LocalEngine
from vivavoce.serving.pool import Pool
from vivavoce.settings import Settings
from vivavoce.types import Voice
from vivavoce.wyoming.services import Options

TEXT = "The lamp is on. It cost 1,250 euros, and Dr. Lee paid 3.5 of them."
ENDLESS = SynthesizeVoice(name="endless")


async def spoken_by_http(text: str, speaker: str) -> bytes:
    """Return the PCM that the HTTP API gives."""
    app = create_app(Settings(), tone_pool())
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client,
    ):
        body = {"text": text, "speaker": speaker, "format": "pcm"}
        return (await client.post("/v1/tts/synthesize", json=body)).content


def samples(pcm: bytes) -> NDArray[np.int16]:
    return np.frombuffer(pcm, "<i2")


async def test_whole_text_is_the_audio_of_the_http_api_and_more_follow() -> None:
    async with house() as running, running.client() as client:
        for voice in ("sine", "hum", "sine"):
            await say(client, TEXT, SynthesizeVoice(name=voice))
            assert audio(await hear(client)) == await spoken_by_http(TEXT, voice)


async def test_requests_that_come_at_once_are_spoken_one_after_the_other() -> None:
    texts = ("One.", "Two, and more of it.", "Three.")
    async with house() as running, running.client() as client:
        await asyncio.gather(*(say(client, text) for text in texts))
        for text in texts:
            assert audio(await hear(client)) == await spoken_by_http(text, "sine")


@pytest.mark.parametrize("size", [1, 3, 7, 1_000])
async def test_parts_may_be_cut_anywhere_and_the_whole_text_at_the_end_is_ignored(
    size: int,
) -> None:
    async with house() as running, running.client() as client:
        for _ in range(2):
            await write(client, [TEXT[at : at + size] for at in range(0, len(TEXT), size)])
            events = await hear(client, "synthesize-stopped")
            assert [event.type for event in events[-2:]] == ["audio-stop", "synthesize-stopped"]
            said = samples(audio(events))
            # Clauses are spoken apart, each as long as its letters, with pauses between them.
            whole = samples(await spoken_by_http(TEXT, "sine"))
            assert abs(np.count_nonzero(said) / np.count_nonzero(whole) - 1) < 0.02


async def test_audio_begins_after_the_first_sentence() -> None:
    async with house() as running, running.client() as client:
        await client.write_event(SynthesizeStart(SINE).event())
        await client.write_event(SynthesizeChunk("The lamp is on. The win").event())
        begun = await hear(client, "audio-chunk")
        assert begun[-1].payload
        await client.write_event(SynthesizeChunk("dow is open.").event())
        await client.write_event(SynthesizeStop().event())
        rest = await hear(client, "synthesize-stopped")
        assert len(audio([*begun, *rest])) > 2 * 24_000 * 0.06 * 30


async def test_writer_that_pauses_is_covered_by_silence() -> None:
    async with house(options=Options(gap_s=0.1)) as running, running.client() as client:
        await client.write_event(SynthesizeStart(SINE).event())
        await client.write_event(SynthesizeChunk("The lamp is on. ").event())
        silent = 0
        events: list[Event] = []
        while silent < 3:
            events += await hear(client, "audio-chunk")
            silent += not np.any(samples(events[-1].payload or b""))
        before = len(events)
        await client.write_event(SynthesizeChunk("Good night.").event())
        await client.write_event(SynthesizeStop().event())
        rest = await hear(client, "synthesize-stopped")
        assert np.any(samples(audio([*events, *rest])))
        assert any(np.any(samples(event.payload or b"")) for event in rest)
        assert before > silent


@pytest.mark.parametrize("text", ["", "  ", "…", "\n"])
async def test_text_without_a_sound_ends_too(text: str) -> None:
    async with house() as running, running.client() as client:
        await say(client, text)
        assert audio(await hear(client)) == b""
        await write(client, [text])
        assert audio(await hear(client, "synthesize-stopped")) == b""


async def test_voices_of_all_models_are_described_and_each_can_be_chosen() -> None:
    twice, needy = ToneModel(), ToneModel()
    object.__setattr__(twice.info, "name", "other")
    object.__setattr__(twice.info, "voices", (Voice("sine", "Sine", ("en",)),))
    object.__setattr__(needy.info, "name", "needy")
    object.__setattr__(needy.info.capabilities, "needs", "instruct")
    models = {"tone": ToneModel(), "other": twice, "needy": needy}
    pool = Pool({name: lambda model=model: LocalEngine(model) for name, model in models.items()})  # type: ignore[misc]  # a default fixes the model
    async with house(pool=pool) as running, running.client() as client:
        await client.write_event(Describe().event())
        (program,) = Info.from_event((await hear(client, "info"))[-1]).tts
        assert program.supports_synthesize_streaming
        assert program.installed
        assert program.name == "vivavoce"
        voices = {voice.name: voice for voice in program.voices}
        assert set(voices) == {"sine", "hum", "other/sine"}
        assert all(voice.installed and voice.version for voice in voices.values())
        assert voices["other/sine"].languages == ["en"]
        assert voices["other/sine"].description == "Sine (other)"
        assert voices["hum"].attribution.name == "tone"
        for name in voices:
            await say(client, "Hello.", SynthesizeVoice(name=name))
            assert audio(await hear(client))


@pytest.mark.parametrize(
    "voice",
    [
        None,
        SynthesizeVoice(),
        SynthesizeVoice(language="de_DE"),
        SynthesizeVoice(name="tone", speaker="hum"),
        SynthesizeVoice(name="TONE/hum"),
        SynthesizeVoice(name=" Hum "),
    ],
)
async def test_voice_may_be_left_open_or_named_in_other_ways(voice: SynthesizeVoice | None) -> None:
    async with house() as running, running.client() as client:
        await say(client, "Hello.", voice)
        named = voice is not None and (voice.name or voice.speaker)
        expected = await spoken_by_http("Hello.", "hum" if named else "sine")
        assert audio(await hear(client)) == expected


async def test_ssml_is_read_as_such_where_it_is_called_so() -> None:
    text = '<speak>One <sub alias="and some more">x</sub>.</speak>'
    async with house() as running, running.client() as client:
        lengths = []
        for form in SynthesizeTextFormat:
            await client.write_event(Synthesize(text, SINE, form).event())
            lengths.append(len(audio(await hear(client))))
        assert lengths[0] != lengths[1]


async def test_ping_is_answered_also_while_something_is_spoken() -> None:
    async with house() as running, running.client() as client:
        await client.write_event(SynthesizeStart(SINE).event())
        await client.write_event(SynthesizeChunk("Hello there. ").event())
        await client.write_event(Ping("are you there?").event())
        assert (await hear(client, "pong"))[-1].data == {"text": "are you there?"}
        await client.write_event(SynthesizeStop().event())
        assert (await hear(client, "synthesize-stopped"))[-1].type == "synthesize-stopped"


async def test_unknown_events_and_fields_are_ignored_and_payloads_skipped() -> None:
    async with house() as running, running.client() as client:
        await client.write_event(SelectProgram("vivavoce").event())
        await client.write_event(Event("transcribe", {"language": "en"}, bytes(200_000)))
        synthesize = Synthesize("Hello.", SINE, context={"a": [1]}).event()
        synthesize.data["more"] = {"of": "it"}
        synthesize.payload = b"\n" * 70_000
        await client.write_event(synthesize)
        assert audio(await hear(client)) == await spoken_by_http("Hello.", "sine")


@pytest.mark.parametrize(
    ("event", "code", "says"),
    [
        (Synthesize("Hi.", SynthesizeVoice("nobody")).event(), "voice_not_found", "nobody"),
        (Synthesize("Hi.", SynthesizeVoice("crash-at-once")).event(), "engine_fault", "tone"),
        (
            Synthesize("Hi.", SynthesizeVoice(language="klingon")).event(),
            "invalid_request",
            "klingon",
        ),
        (Event("synthesize", {"voice": {"name": "sine"}}), "invalid_request", "text"),
        (Event("synthesize", {"text": 5}), "invalid_request", "text"),
        (Event("synthesize", {"text": "x" * 100_001}), "invalid_request", "100,000"),
        (Event("synthesize-start", {"voice": "sine"}), "invalid_request", "voice"),
        (Event("synthesize-chunk", {"text": "Hi."}), "invalid_request", "synthesize-start"),
        (Event("synthesize-stop"), "invalid_request", "synthesize-start"),
    ],
)
async def test_error_is_told_and_ends_the_connection(event: Event, code: str, says: str) -> None:
    async with house() as running:
        async with running.client() as client:
            await client.write_event(event)
            told, text = await hear_error(client)
            assert (told, says in text) == (code, True), text
        await running.is_free()


async def test_client_that_leaves_ends_its_speech() -> None:
    async with house() as running:
        for leave_after in ("audio-start", "audio-chunk"):
            async with running.client() as client:
                await say(client, "Hello there. " * 100, ENDLESS)
                await say(client, "And this one waits.")  # while it does, nothing is read
                await hear(client, leave_after)
                assert running.server.lifecycle.running == 1
            await running.is_free()


async def test_other_clients_hear_their_own_speech_while_one_does_not_read(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "vivavoce.wyoming")
    pool = tone_pool(max_batch=4)
    async with house(pool=pool, options=Options(send_timeout_s=1)) as running:
        _, writer = await asyncio.open_connection("127.0.0.1", running.port, limit=1024)
        writer.transport.pause_reading()  # type: ignore[attr-defined]  # of a socket's transport
        text = "A text that goes on and on. " * 3_000
        writer.write(b'{"type": "synthesize", "data": {"text": "%b"}}\n' % text[:60_000].encode())
        await writer.drain()
        try:
            for _ in range(3):
                async with running.client() as client:
                    await say(client, TEXT)
                    assert audio(await hear(client)) == await spoken_by_http(TEXT, "sine")
            await running.is_free()
            assert "read nothing for 1 s" in caplog.text
        finally:
            writer.transport.abort()


async def test_connections_are_counted_and_those_beyond_the_limit_are_told() -> None:
    async with house(Settings(max_live_connections=2)) as running:
        async with running.client() as one, running.client() as two:
            for client in (one, two):
                await client.write_event(Ping().event())
                await hear(client, "pong")
            assert len(running.server.live) == 2
            async with running.client() as third:
                assert (await hear_error(third))[0] == "rate_limited"
            await say(one, "Hello.")
            assert audio(await hear(one))
        await running.is_free()


async def test_silent_client_is_closed_but_not_while_it_listens() -> None:
    pool = tone_pool(real_time_factor=1.0)
    async with house(Settings(live_timeout_s=0.3), pool) as running:
        async with running.client() as client:
            assert await hear(client) == []
        async with running.client() as client:
            await say(client, "This takes more than a second.")
            assert len(audio(await hear(client))) > 2 * 24_000
            assert await hear(client) == []
        await running.is_free()


@pytest.mark.parametrize("text", ["", "Hello there. And"])
async def test_text_that_is_never_ended_is_given_up(text: str) -> None:
    async with house(Settings(live_timeout_s=0.5)) as running, running.client() as client:
        await write_unfinished(client, text)
        heard = [event.type for event in await hear(client, "synthesize-stopped")]
        assert bool(heard) is bool(text)
        assert "audio-stop" not in heard
        await running.is_free()


async def test_draining_speaks_what_was_written_and_refuses_the_rest() -> None:
    async with house(pool=tone_pool(real_time_factor=0.05)) as running:
        async with running.client() as whole, running.client() as written, running.client() as idle:
            await say(whole, TEXT)
            await write_unfinished(written, "Hello there. This was written bef")
            started = await hear(whole, "audio-chunk")
            begun = await hear(written, "audio-chunk")
            running.server.lifecycle.drain()
            rest = await hear(written, "synthesize-stopped")
            assert rest[-1].type == "synthesize-stopped"
            assert len(audio([*begun, *rest])) > 2 * 24_000 * 0.06 * 30
            ended = await hear(whole)
            assert audio([*started, *ended]) == await spoken_by_http(TEXT, "sine")
            for client in (whole, written, idle):
                assert await hear(client) == []
        async with running.client() as late:
            await say(late, "Hello.")
            assert (await hear_error(late))[0] == "not_ready"
        await running.is_free()


async def write_unfinished(client: object, text: str) -> None:
    await client.write_event(SynthesizeStart(SINE).event())  # type: ignore[attr-defined]
    await client.write_event(SynthesizeChunk(text).event())  # type: ignore[attr-defined]


async def test_text_in_parts_is_bounded() -> None:
    async with house(Settings(max_text_chars=1_000)) as running, running.client() as client:
        await write_unfinished(client, "Hello. " * 100)
        await client.write_event(SynthesizeChunk("Hello. " * 100).event())
        assert "1,000" in (await hear_error(client))[1]


async def test_keys_refuse_speech_but_not_the_list() -> None:
    asked = False
    options = Options(is_open=lambda: not asked)
    async with house(options=options) as running, running.client() as client:
        await say(client, "Hello.")
        assert audio(await hear(client))
        asked = True
        await client.write_event(Describe().event())
        assert (await hear(client, "info"))[-1].type == "info"
        await say(client, "Hello.")
        code, text = await hear_error(client)
        assert code == "invalid_api_key"
        assert "wyoming_without_key" in text


def test_settings_take_an_address_of_the_protocol(tmp_path: Path) -> None:
    assert Settings().wyoming_address is None
    assert Settings(wyoming="tcp://[::1]:0").wyoming_address == ("::1", 0)
    for wrong in ("0.0.0.0:10200", "tcp://:10200", "tcp://a", "tcp://a:99999", "http://a:1"):
        with pytest.raises(ValueError, match="tcp://HOST:PORT"):
            Settings(wyoming=wrong)


async def test_many_clients_hear_their_own_voices() -> None:
    async with house(pool=tone_pool(max_batch=8)) as running:
        heard = await asyncio.gather(*(_speak(running, f"Number {i}.") for i in range(24)))
        for number, pcm in enumerate(heard):
            assert pcm == await spoken_by_http(f"Number {number}.", "sine")


async def _speak(running: House, text: str) -> bytes:
    async with running.client() as client:
        await say(client, text)
        return audio(await hear(client))
