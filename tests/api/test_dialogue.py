"""Check dialogues, voices in a text, and SSML through the application."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import httpx
import numpy as np
import pytest

from tests.conftest import FAULTS, app_client, tone_pool
from vivavoce.api.app import create_app
from vivavoce.models.tone import CHAR_S, RATE_HZ, ToneModel
from vivavoce.serving.base import Preview
from vivavoce.serving.local import LocalEngine
from vivavoce.serving.pool import Pool
from vivavoce.serving.pool_entry import ModelSource
from vivavoce.settings import Settings
from vivavoce.text.split import SENTENCE_PAUSE_S
from vivavoce.types import Samples

NATIVE, EXPLAIN = "/v1/tts/synthesize", "/v1/tts/explain"


@pytest.fixture
async def server() -> AsyncIterator[httpx.AsyncClient]:
    async with app_client(create_app(Settings(), tone_pool())) as client:
        yield client


async def speak(server: httpx.AsyncClient, **body: Any) -> httpx.Response:
    answer = await server.post(NATIVE, json={"format": "pcm", **body})
    assert answer.status_code == 200, answer.text
    return answer


def seconds(answer: httpx.Response) -> float:
    return len(answer.content) / 2 / int(answer.headers["x-sample-rate"])


def samples(answer: httpx.Response) -> Samples:
    return np.frombuffer(answer.content, "<i2").astype(np.float32)


async def stretches(server: httpx.AsyncClient, answer: httpx.Response) -> list[dict[str, Any]]:
    state = await server.get(f"/v1/tts/requests/{answer.headers['x-request-id']}")
    found: list[dict[str, Any]] = state.json()["voice_segments"]
    return found


INPUTS = [
    {"text": "Hello there.", "speaker": "sine"},
    {"text": "Good morning to you.", "speaker": "hum", "pause_s": 1.0},
    {"text": "Bye.", "speaker": "sine"},
]


@pytest.mark.parametrize("stream", [False, True])
async def test_each_part_of_a_dialogue_has_its_own_voice(
    server: httpx.AsyncClient, stream: bool
) -> None:
    answer = await speak(server, inputs=INPUTS, stream=stream)
    alone = [await speak(server, text=part["text"], speaker=part["speaker"]) for part in INPUTS]
    length = sum(map(seconds, alone)) + SENTENCE_PAUSE_S + 1.0
    assert seconds(answer) == pytest.approx(length, abs=0.15)
    found = await stretches(server, answer)
    assert [(each["speaker"], each["input"]) for each in found] == [
        ("sine", 0),
        ("hum", 1),
        ("sine", 2),
    ]
    assert found[0]["start_s"] == 0
    assert all(a["end_s"] == b["start_s"] for a, b in pairwise(found))
    assert found[-1]["end_s"] == pytest.approx(seconds(answer), abs=0.001)
    assert answer.headers["x-voice"] == "sine"


async def test_parts_sound_as_they_do_alone(server: httpx.AsyncClient) -> None:
    answer = await speak(server, inputs=INPUTS[:2])
    second = samples(await speak(server, text=INPUTS[1]["text"], speaker="hum"))
    found = await stretches(server, answer)
    start = round((found[1]["start_s"] + SENTENCE_PAUSE_S) * RATE_HZ)
    spoken = samples(answer)[start - 2_000 : start + len(second)]
    assert (
        np.abs(np.correlate(spoken, second[:8_000], "valid")).max()
        > 0.9 * np.square(second[:8_000]).sum()
    )


async def test_a_single_text_has_one_stretch(server: httpx.AsyncClient) -> None:
    answer = await speak(server, text="Hello there.")
    assert await stretches(server, answer) == [
        {"speaker": "sine", "start_s": 0.0, "end_s": round(seconds(answer), 4), "input": 0}
    ]


async def test_voices_change_inside_a_text(server: httpx.AsyncClient) -> None:
    text = "I am one. [voice:hum]I am two. [voice:default]I am one again."
    answer = await speak(server, text=text, speaker="sine")
    found = await stretches(server, answer)
    assert [each["speaker"] for each in found] == ["sine", "hum", "sine"]
    ssml = "<speak>I am one. <voice name='hum'>I am two.</voice> I am one again.</speak>"
    other = await speak(server, text=ssml, speaker="sine")
    assert seconds(other) == pytest.approx(seconds(answer), abs=0.01)


async def test_an_explanation_names_the_speakers(server: httpx.AsyncClient) -> None:
    answer = await server.post(EXPLAIN, json={"inputs": INPUTS})
    segments = answer.json()["segments"]
    assert [(s["speaker"], s["input"], s["text"], s["pause_s"]) for s in segments] == [
        ("sine", 0, "Hello there.", SENTENCE_PAUSE_S),
        ("hum", 1, "Good morning to you.", 1.0),
        ("sine", 2, "Bye.", 0.0),
    ]
    word = segments[1]["words"][1]
    assert INPUTS[1]["text"][word["start"] : word["end"]] == "morning"  # type: ignore[index]  # a text


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({}, 422, "text"),
        ({"inputs": []}, 422, "inputs"),
        ({"inputs": INPUTS, "text": "x"}, 422, "text"),
        ({"inputs": INPUTS, "text": ""}, 422, "text"),
        ({"inputs": INPUTS, "speaker": "sine"}, 422, "speaker"),
        ({"inputs": INPUTS * 67}, 422, "inputs"),
        ({"inputs": [{"text": "x", "colour": "red"}]}, 422, None),
        ({"inputs": [{"text": "x", "language": "klingon"}]}, 422, "inputs"),
        ({"inputs": [{"text": "x", "pause_s": 11}]}, 422, None),
        ({"inputs": [{"text": "…"}, {"text": "!"}]}, 422, "inputs"),
        ({"inputs": [{"text": "x" * 60_000}] * 2}, 422, "inputs"),
        ({"inputs": [INPUTS[0], {"text": "x", "speaker": "nobody"}]}, 404, "speaker"),
        ({"text": "I am. [voice:nobody]You are."}, 404, "speaker"),
        ({"text": "[voice:sine]a [voice:hum]b " * 201}, 422, "text"),
    ],
)
async def test_wrong_dialogues_are_refused_before_anything_is_spoken(
    server: httpx.AsyncClient, body: dict[str, Any], status: int, field: str | None
) -> None:
    for path in (NATIVE, EXPLAIN):
        answer = await server.post(path, json=body)
        assert answer.status_code == status, answer.text
        assert field is None or answer.json()["error"]["field"].startswith(field)


async def test_a_part_without_a_word_is_left_out(server: httpx.AsyncClient) -> None:
    answer = await speak(server, inputs=[INPUTS[0], {"text": "…", "speaker": "hum"}, INPUTS[2]])
    assert [each["input"] for each in await stretches(server, answer)] == [0, 2]


async def test_200_parts_of_1_request_are_spoken(server: httpx.AsyncClient) -> None:
    inputs = [{"text": f"Part {n}.", "speaker": ("sine", "hum")[n % 2]} for n in range(200)]
    answer = await speak(server, inputs=inputs, stream=True)
    assert [each["input"] for each in await stretches(server, answer)] == list(range(200))


class Other(ToneModel):
    """The tone model under another name, with other voices."""

    def __init__(self) -> None:
        super().__init__(faults=FAULTS)
        voices = tuple(replace(voice, id=f"other-{voice.id}") for voice in self.info.voices)
        self.info = replace(self.info, name="other", voices=voices)


async def test_parts_of_several_models_are_joined_and_all_leases_end() -> None:
    models = {"tone": lambda: ToneModel(faults=FAULTS), "other": Other}
    pool = Pool({name: lambda make=make: LocalEngine(make()) for name, make in models.items()})  # type: ignore[misc]  # bound by default
    async with app_client(create_app(Settings(), pool)) as server:
        inputs = [
            {"text": "One is here.", "speaker": "sine"},
            {"text": "Two is there.", "speaker": "other-hum"},
            {"text": "One again.", "speaker": "sine"},
        ]
        answer = await speak(server, inputs=inputs, stream=True)
        found = await stretches(server, answer)
        assert [each["speaker"] for each in found] == ["sine", "other-hum", "sine"]
        explained = (await server.post(EXPLAIN, json={"inputs": inputs})).json()
        assert [s["model"] for s in explained["segments"]] == ["tone", "other", "tone"]
        assert await _is_idle(pool)


async def test_models_that_do_not_fit_together_take_turns() -> None:
    makers = {"tone": lambda: ToneModel(faults=FAULTS), "other": Other}
    sources = {
        name: ModelSource(
            lambda make=make: LocalEngine(make()),  # type: ignore[misc]  # bound by default
            lambda make=make: Preview(make().info, 2),  # type: ignore[misc]  # likewise
        )
        for name, make in makers.items()
    }
    pool = Pool(sources, max_memory_bytes=3)
    async with app_client(create_app(Settings(), pool)) as server:
        speakers = ("sine", "other-hum") * 3
        inputs = [{"text": f"Part {n}.", "speaker": who} for n, who in enumerate(speakers)]
        answer = await speak(server, inputs=inputs, stream=True)
        assert [each["speaker"] for each in await stretches(server, answer)] == list(speakers)
        assert await _is_idle(pool)


async def test_a_dialogue_that_is_cut_by_its_time_frees_its_models() -> None:
    pool = tone_pool(real_time_factor=0.05)
    async with app_client(create_app(Settings(), pool)) as server:
        inputs = [{"text": "This is a part. " * 40, "speaker": s} for s in ("sine", "hum") * 3]
        for timeout_s in (0.05, 0.2, 0.6):
            body = {"inputs": inputs, "format": "pcm", "timeout_s": timeout_s}
            answer = await server.post(NATIVE, json=body)
            assert answer.status_code == 504
        assert await _is_idle(pool)


async def _is_idle(pool: Pool) -> bool:
    """True once no model of the pool is in use, within two seconds."""
    for _ in range(200):
        if not pool.leases:
            return True
        await asyncio.sleep(0.01)
    return False


async def test_a_model_that_fails_in_a_later_part_breaks_the_answer(
    server: httpx.AsyncClient,
) -> None:
    inputs = [INPUTS[0], {"text": "This fails.", "speaker": "crash-at-once"}]
    answer = await server.post(NATIVE, json={"inputs": inputs})
    assert answer.status_code == 500


@pytest.mark.parametrize(
    ("inside", "ratio"),
    [
        ("<prosody rate='50%'>Hello there you.</prosody>", 2.0),
        ("<prosody rate='200%'>Hello there you.</prosody>", 0.5),
        ("<prosody pitch='+12st'>Hello there you.</prosody>", 1.0),
    ],
)
async def test_prosody_is_heard(server: httpx.AsyncClient, inside: str, ratio: float) -> None:
    plain = await speak(server, text="Hello there you.")
    answer = await speak(server, text=f"<speak>{inside}</speak>")
    assert seconds(answer) == pytest.approx(seconds(plain) * ratio, rel=0.06)


async def test_volume_is_heard(server: httpx.AsyncClient) -> None:
    plain = samples(await speak(server, text="Hello there you."))
    answer = await speak(
        server, text="<speak><prosody volume='-6dB'>Hello there you.</prosody></speak>"
    )
    quiet = samples(answer)
    assert np.std(quiet) == pytest.approx(np.std(plain) / 2, rel=0.03)


@pytest.mark.parametrize(
    "text", ["One. [pause:2s] Two.", "<speak>One.<break time='2s'/>Two.</speak>"]
)
async def test_pauses_are_heard(server: httpx.AsyncClient, text: str) -> None:
    answer = await speak(server, text=text)
    assert seconds(answer) == pytest.approx(2 + 8 * CHAR_S, abs=0.1)
    end = await speak(server, text="One. Two. [pause:2s]")
    assert seconds(end) == pytest.approx(2 + 9 * CHAR_S, abs=0.1)


async def test_ssml_is_asked_for_or_known_by_its_beginning(server: httpx.AsyncClient) -> None:
    async def spoken(**body: str) -> str:
        answer = await server.post(EXPLAIN, json=body)
        return " ".join(segment["spoken"] for segment in answer.json()["segments"])

    ssml = "<speak>a <sub alias='bee'>b</sub> c</speak>"
    assert await spoken(text=ssml) == "a bee c"
    assert await spoken(text=ssml, input_type="ssml") == "a bee c"
    assert await spoken(text=ssml, input_type="text") == "a b c"
    for body in ({"text": "<speak>a & b</speak>"}, {"text": "a b", "input_type": "ssml"}):
        answer = await server.post(NATIVE, json=body)
        assert answer.status_code == 422
        assert "line 1, column" in answer.json()["error"]["message"]
        assert answer.json()["error"]["field"] == "text"
    broken = {"input": "<speak>a & b</speak>"}
    openai = await server.post("/v1/audio/speech", json=broken)
    assert (openai.status_code, openai.json()["error"]["param"]) == (400, "input")


async def test_markup_that_means_nothing_is_named(server: httpx.AsyncClient) -> None:
    text = (
        "<speak>a <foo>b</foo> <prosody contour='x'>c</prosody> <phoneme ph='ə'>d</phoneme></speak>"
    )
    answer = await speak(server, text=text)
    assert answer.headers["x-ignored"] == "phonemes, foo, prosody contour"
    explained = (await server.post(EXPLAIN, json={"text": text})).json()
    assert explained["ignored"] == ["foo", "prosody contour"]


async def test_the_language_of_markup_is_that_of_the_voice(server: httpx.AsyncClient) -> None:
    text = "<speak xml:lang='fr-FR'>Ok, <lang xml:lang='es'>vale</lang>, plus tard.</speak>"
    explained = (await server.post(EXPLAIN, json={"text": text})).json()
    assert explained["language"] == "fr"
    assert [segment["language"] for segment in explained["segments"]] == ["fr", "es", "fr"]
    assert (await speak(server, text=text)).headers["x-language"] == "fr"
