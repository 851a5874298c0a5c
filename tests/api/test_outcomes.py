"""Check retries, cuts and failures of speech through the application, and their reports."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.api.test_metrics import scrape
from tests.api.test_wit import read_frames
from tests.conftest import LONG_TEXT, app_client, serving
from tests.serving.models import HANGS, supervised
from vivavoce.api.app import create_app
from vivavoce.api.request_log import MAX_RECORDS, RequestLog
from vivavoce.keys import FILE_NAME, KeyFile
from vivavoce.models.tone import Fault, FaultKind, ToneModel
from vivavoce.serving.local import LocalEngine
from vivavoce.serving.pool import Pool
from vivavoce.settings import Settings
from vivavoce.synthesis.retry import NEXT_SEED, max_duration_s
from vivavoce.types import Samples

TTS, SPEECH = "/v1/tts/synthesize", "/v1/audio/speech"
TEXT = "A text of some twenty steps, said in one go."  # 2.64 s, one segment
RATE = 24_000
BAD_AUDIO: tuple[FaultKind, ...] = ("nan", "noise", "silence")


@asynccontextmanager
async def faulty(
    kind: FaultKind, at_step: int = 0, times: float = float("inf")
) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client of a tone model whose voice `odd` fails."""
    model = ToneModel(faults={"odd": Fault(kind, at_step, times)})
    async with app_client(
        create_app(Settings(), Pool({"tone": lambda: LocalEngine(model)}))
    ) as client:
        yield client


async def spoken(
    client: httpx.AsyncClient, *, speaker: str = "odd", **body: object
) -> httpx.Response:
    return await client.post(TTS, json={"text": TEXT, "speaker": speaker, "format": "pcm", **body})


async def state_of(client: httpx.AsyncClient, answer: httpx.Response) -> dict[str, object]:
    found = await client.get(f"/v1/tts/requests/{answer.headers['x-request-id']}")
    assert found.status_code == 200, found.text
    state = found.json()
    assert isinstance(state, dict)
    return state


def samples(answer: httpx.Response) -> Samples:
    assert answer.status_code == 200, answer.text
    return np.frombuffer(answer.content, "<i2").astype(np.float32) / 2**15


STREAM = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


@STREAM
@pytest.mark.parametrize("kind", BAD_AUDIO)
async def test_bad_audio_before_anything_was_sent_is_spoken_again_with_another_seed(
    kind: FaultKind, stream: bool
) -> None:
    async with faulty(kind, times=1) as client:
        again = await spoken(client, seed=7, stream=stream)
        assert (await state_of(client, again))["finish_reason"] == "retried"
        assert (await state_of(client, again))["retries"] == 1
        drawn_so = await spoken(client, seed=(7 + NEXT_SEED) % 2**32, stream=stream)
        assert (await state_of(client, drawn_so))["finish_reason"] == "complete"
        assert again.content == drawn_so.content
        assert again.content != (await spoken(client, seed=7, stream=stream)).content
        assert (await scrape(client))["vivavoce_retries_total model=tone"] == 1


@STREAM
async def test_a_model_that_fails_before_anything_was_sent_says_the_same_once_more(
    stream: bool,
) -> None:
    async with faulty("raise", times=1) as client:
        again = await spoken(client, seed=7, stream=stream)
        assert (await state_of(client, again))["finish_reason"] == "retried"
        assert again.content == (await spoken(client, seed=7, stream=stream)).content


@pytest.mark.parametrize("kind", ["raise", *BAD_AUDIO[:2]])
async def test_a_whole_answer_is_spoken_again_however_late_it_went_wrong(kind: FaultKind) -> None:
    async with faulty(kind, at_step=20, times=1) as client:
        again = await spoken(client)
        assert again.headers["x-finish-reason"] == "retried"
        assert again.content == (await spoken(client)).content


def events_of(answer: bytes) -> tuple[bytes, list[dict[str, object]]]:
    """Return the audio in server-sent events, and the other events."""
    lines = answer.decode("ascii").split("\n\n")
    events = [json.loads(line.removeprefix("data: ")) for line in lines if line]
    audio = b"".join(base64.b64decode(event["audio"]) for event in events if "audio" in event)
    return audio, [event for event in events if "audio" not in event]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (SPEECH, {"input": TEXT, "voice": "odd", "response_format": "mp3"}),
        (SPEECH, {"input": TEXT, "voice": "odd", "response_format": "pcm", "stream_format": "sse"}),
        ("/wit/synthesize", {"q": TEXT, "voice": "odd"}),
        ("/wit/synthesize", {"q": TEXT, "voice": "odd", "viseme": "true"}),
    ],
    ids=["openai", "sse", "wit", "wit-events"],
)
async def test_every_surface_speaks_again_and_remembers_it(
    path: str, body: Mapping[str, str]
) -> None:
    async with faulty("nan", times=1) as client:
        again = await client.post(path, json=body)
        assert (await state_of(client, again))["finish_reason"] == "retried"
        sound = await client.post(path, json=body)
        assert sound.status_code == 200
        said = again.content.replace(b"retried", b"complete")
        if body.get("stream_format") == "sse":  # where one event ends and the next begins may vary
            assert events_of(said) == events_of(sound.content)
        elif "viseme" in body:  # and so may frames
            one, two = read_frames(said), read_frames(sound.content)
            assert (one.events, one.audio) == (two.events, two.audio)
        else:
            assert said == sound.content


@pytest.mark.parametrize("kind", ["nan", "noise"])
async def test_a_stream_that_goes_bad_ends_where_it_was_good(kind: FaultKind) -> None:
    async with faulty(kind, at_step=10) as client:
        cut = await spoken(client, stream=True)
        state = await state_of(client, cut)
        assert (state["finish_reason"], state["ending"], state["retries"]) == (
            "truncated",
            "noise",
            0,
        )
        assert len(samples(cut)) / RATE == pytest.approx(10 * 0.08, abs=0.03)
        assert np.abs(samples(cut)).max() < 0.31


async def test_a_piece_that_is_cut_is_followed_by_the_next() -> None:
    async with faulty("nan", at_step=10, times=1) as client:
        text = (
            f"{TEXT} And this is said after it, in a piece of its own, "
            "as it is long enough for that. "
        ) * 2
        whole = await spoken(client, text=text, speaker="sine", stream=True)
        cut = await spoken(client, text=text, stream=True)
        assert (await state_of(client, cut))["finish_reason"] == "truncated"
        assert 3.0 < len(samples(cut)) / RATE < len(samples(whole)) / RATE - 1.0


async def test_words_that_turn_into_silence_are_cut() -> None:
    async with faulty("silence", at_step=10) as client:
        text = (
            "A single sentence that takes the tone model more than six seconds to say "
            + "on and on " * 4
        )
        for stream in (True, False):
            cut = await spoken(client, text=text, stream=stream, seed=3)
            state = await state_of(client, cut)
            assert (state["finish_reason"], state["ending"]) == ("truncated", "silence")
            assert state["retries"] == (0 if stream else 1)
            assert 0.7 < len(samples(cut)) / RATE < 6.0


@STREAM
async def test_speech_without_end_is_cut_by_the_length_of_its_text(stream: bool) -> None:
    async with faulty("endless", at_step=2) as client:
        cut = await spoken(client, stream=stream)
        state = await state_of(client, cut)
        assert (state["finish_reason"], state["ending"]) == ("truncated", "length")
        assert len(samples(cut)) / RATE == pytest.approx(max_duration_s(TEXT), abs=0.1)


async def test_speech_without_end_is_spoken_again_where_nothing_was_sent() -> None:
    async with faulty("endless", at_step=2, times=1) as client:
        again = await spoken(client)
        assert again.headers["x-finish-reason"] == "retried"
        assert again.content == (await spoken(client)).content


async def test_of_two_bad_attempts_the_first_ones_good_part_is_given() -> None:
    async with faulty("nan", at_step=10) as client:
        whole = await spoken(client, seed=5)
        assert whole.headers["x-finish-reason"] == "truncated"
        assert whole.content == (await spoken(client, seed=5, stream=True)).content


@STREAM
@pytest.mark.parametrize("kind", ["raise", *BAD_AUDIO])
async def test_what_fails_twice_without_anything_good_is_an_error(
    kind: FaultKind, stream: bool
) -> None:
    async with faulty(kind) as client:
        failed = await spoken(client, stream=stream)
        assert (failed.status_code, failed.json()["error"]["code"]) == (500, "engine_fault")
        state = await state_of(client, failed)
        assert (state["finish_reason"], state["error"], state["retries"]) == (
            "error",
            "engine_fault",
            1,
        )
        assert state["audio_s"] == 0
        assert (await spoken(client, speaker="sine")).status_code == 200


def test_a_model_that_keeps_failing_after_something_was_sent_breaks_the_transfer() -> None:
    model = ToneModel(faults={"odd": Fault("raise", 10)})
    with serving(create_app(Settings(), Pool({"tone": lambda: LocalEngine(model)}))) as url:
        body = {"text": TEXT, "speaker": "odd", "stream": True}
        with httpx.stream(
            "POST", url + TTS, json=body, headers={"x-request-id": "broken"}
        ) as answer:
            assert answer.status_code == 200
            with pytest.raises(httpx.RemoteProtocolError):
                answer.read()
        state = httpx.get(f"{url}/v1/tts/requests/broken").json()
        assert (state["finish_reason"], state["error"], state["retries"]) == (
            "error",
            "engine_fault",
            1,
        )
        assert state["audio_s"] > 0.5


def test_a_model_that_says_the_same_again_goes_on_where_it_failed() -> None:
    model = ToneModel(faults={"odd": Fault("raise", 10, times=1)})
    body = {"text": TEXT, "speaker": "odd", "stream": True, "format": "pcm"}
    with serving(create_app(Settings(), Pool({"tone": lambda: LocalEngine(model)}))) as url:
        resumed = httpx.post(url + TTS, json=body, headers={"x-request-id": "resumed"})
        state = httpx.get(f"{url}/v1/tts/requests/resumed").json()
        assert (state["finish_reason"], state["retries"]) == ("retried", 1)
        assert resumed.content == httpx.post(url + TTS, json=body).content


def test_a_model_that_says_nothing_twice_does_not_go_on_with_other_audio() -> None:
    model = ToneModel(faults={"odd": Fault("raise", 10, times=1)})
    model.info = replace(
        model.info, capabilities=replace(model.info.capabilities, deterministic=False)
    )
    body = {"text": TEXT, "speaker": "odd", "stream": True, "format": "pcm"}
    with serving(create_app(Settings(), Pool({"tone": lambda: LocalEngine(model)}))) as url:
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.post(url + TTS, json=body)
        assert httpx.post(url + TTS, json=body).status_code == 200


@STREAM
async def test_a_step_that_fails_again_and_again_costs_the_others_nothing_they_hear(
    stream: bool,
) -> None:
    async with faulty("raise", at_step=4) as client:
        texts = [f"Number {number}: {TEXT}" for number in range(7)]
        others = [{"speaker": "sine", "text": text, "stream": stream} for text in texts]
        expected = [(await spoken(client, **other)).content for other in others]  # type: ignore[arg-type]  # fields
        failed, *answers = await asyncio.gather(
            spoken(client, stream=False),
            *(spoken(client, **other) for other in others),  # type: ignore[arg-type]
        )
        assert failed.status_code == 500
        assert [answer.content for answer in answers] == expected
        assert (
            any(answer.headers.get("x-finish-reason") == "retried" for answer in answers)
            is not stream
        )


async def test_a_step_that_hung_is_not_tried_again() -> None:
    pool = Pool({"tone": lambda: supervised(partial(ToneModel, faults=HANGS), max_step_s=0.3)})
    async with app_client(create_app(Settings(), pool)) as client:
        failed = await spoken(client, speaker="hang")
        assert failed.status_code == 500
        state = await state_of(client, failed)
        assert (state["finish_reason"], state["retries"]) == ("error", 0)
        assert (await scrape(client))["vivavoce_hung_steps_total model=tone"] == 1


async def test_slow_speech_is_whole() -> None:
    async with faulty("slow", at_step=5) as client:
        slow = await spoken(client, text="Hello there.", stream=True)
        assert (await state_of(client, slow))["finish_reason"] == "complete"
        assert len(samples(slow)) / RATE == pytest.approx(12 * 0.06, abs=0.03)


async def test_others_hear_what_they_hear_without_the_faults() -> None:
    async with faulty("noise", at_step=3, times=4) as client:
        alone = (await spoken(client, speaker="sine", seed=1, stream=True)).content
        odd = [spoken(client, stream=stream) for stream in (True, False) * 4]
        beside = await asyncio.gather(
            *odd, *(spoken(client, speaker="sine", seed=1, stream=True) for _ in range(8))
        )
        assert {answer.content for answer in beside[8:]} == {alone}


# -- the request log ----------------------------------------------------------------------


async def test_a_request_that_is_over_is_told_without_its_text(client: httpx.AsyncClient) -> None:
    begun = datetime.now(UTC)
    answer = await client.post(
        TTS, json={"text": "Hello there.", "seed": 1}, headers={"x-request-id": "mine"}
    )
    state = await state_of(client, answer)
    assert {
        name: state[name]
        for name in ("id", "finish_reason", "ending", "error", "retries", "format")
    } == {
        "id": "mine",
        "finish_reason": "complete",
        "ending": None,
        "error": None,
        "retries": 0,
        "format": "wav",
    }
    assert (state["model"], state["voice"], state["language"]) == ("tone", "sine", "en")
    assert state["audio_s"] == pytest.approx(12 * 0.06, abs=0.02)
    times = [state[name] for name in ("queue_s", "first_audio_s", "seconds")]
    assert all(isinstance(one, float) for one in times)
    assert 0 <= times[0] <= times[1] <= times[2]  # type: ignore[operator]  # floats, as was just seen
    assert begun <= datetime.fromisoformat(str(state["started"])) <= datetime.now(UTC)
    assert "Hello" not in json.dumps(state)


def test_a_request_is_running_until_its_client_leaves_it() -> None:
    model = ToneModel(real_time_factor=1.0, faults={"odd": Fault("endless")})
    with serving(create_app(Settings(), Pool({"tone": lambda: LocalEngine(model)}))) as url:
        body = {"text": LONG_TEXT, "speaker": "odd", "stream": True}
        with httpx.stream("POST", url + TTS, json=body, headers={"x-request-id": "left"}) as answer:
            chunks = answer.iter_raw()  # named: dropping it would close the connection
            next(chunks)
            state = httpx.get(f"{url}/v1/tts/requests/left").json()
            assert (state["finish_reason"], state["audio_s"], state["model"]) == (
                "running",
                None,
                "tone",
            )
        while (state := httpx.get(f"{url}/v1/tts/requests/left").json())[
            "finish_reason"
        ] == "running":
            pass
        assert (state["finish_reason"], state["error"]) == ("cancelled", None)


async def test_unknown_and_refused_requests_are_not_found(client: httpx.AsyncClient) -> None:
    refused = await client.post(TTS, json={"text": "Hello.", "speaker": "nobody"})
    for request_id in ("none-such", refused.headers["x-request-id"], "a%20b%00", "x" * 500):
        missing = await client.get(f"/v1/tts/requests/{request_id}")
        assert missing.status_code == 404
        assert (missing.json()["error"]["code"], missing.json()["error"]["field"]) == (
            "request_not_found",
            "request_id",
        )


def test_the_latest_thousand_are_remembered() -> None:
    requests = RequestLog()
    for number in range(MAX_RECORDS + 5):
        requests.begin(str(number), "", "wav")
    assert [requests.find(str(number), "") is None for number in (0, 4, 5, MAX_RECORDS + 4)] == [
        True,
        True,
        False,
        False,
    ]


def test_of_one_id_the_latest_is_found_and_dropping_an_older_one_keeps_it() -> None:
    requests = RequestLog()
    older, newer = (requests.begin("same", "", "wav") for _ in range(2))
    requests.drop(older)
    assert requests.find("same", "") is newer
    requests.drop(newer)
    assert requests.find("same", "") is None


async def test_a_flood_of_one_key_leaves_what_others_asked_for(tmp_path: Path) -> None:
    keys = KeyFile(tmp_path / FILE_NAME)
    quiet, loud = ({"authorization": f"Bearer {keys.create(name)}"} for name in ("quiet", "loud"))
    app = create_app(Settings(data_dir=tmp_path), Pool({"tone": lambda: LocalEngine(ToneModel())}))
    app.state.server = replace(app.state.server, requests=RequestLog(max_records=6))
    async with app_client(app) as client:

        async def speak(headers: Mapping[str, str], request_id: str) -> None:
            sent = {**headers, "x-request-id": request_id}
            assert (await client.post(TTS, json={"text": "Hi."}, headers=sent)).status_code == 200

        async def status(headers: Mapping[str, str], request_id: str) -> int:
            return (await client.get(f"/v1/tts/requests/{request_id}", headers=headers)).status_code

        for number in range(2):
            await speak(quiet, f"q{number}")
        for number in range(20):
            await speak(loud, f"l{number}")
        assert [await status(quiet, f"q{number}") for number in range(2)] == [200, 200]
        assert [await status(loud, f"l{number}") for number in (0, 15, 16, 19)] == [
            404,
            404,
            200,
            200,
        ]
        # With as many as the loud one has, it is the quiet one's own oldest that goes.
        for number in range(2, 6):
            await speak(quiet, f"q{number}")
        assert sum([await status(quiet, f"q{number}") == 200 for number in range(6)]) == 3
        assert sum([await status(loud, f"l{number}") == 200 for number in range(20)]) == 3


async def test_a_key_sees_its_own_requests_and_one_that_manages_sees_all(tmp_path: Path) -> None:
    keys = KeyFile(tmp_path / FILE_NAME)
    mine, others = (keys.create(name) for name in ("mine", "others"))
    manager = keys.create("manager", ("speak", "manage"))
    app = create_app(Settings(data_dir=tmp_path), Pool({"tone": lambda: LocalEngine(ToneModel())}))
    async with app_client(app) as client:

        async def ask(key: str | None) -> int:
            headers = {} if key is None else {"authorization": f"Bearer {key}"}
            return (await client.get("/v1/tts/requests/one", headers=headers)).status_code

        headers = {"authorization": f"Bearer {mine}", "x-request-id": "one"}
        assert (await client.post(TTS, json={"text": "Hello."}, headers=headers)).status_code == 200
        assert [await ask(key) for key in (mine, manager, others, None)] == [200, 200, 404, 401]
