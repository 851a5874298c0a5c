"""A saved mix of Kokoro, spoken by its name on every surface that takes a voice."""

import base64
import json
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import httpx
import numpy as np
import openai
import pytest
from numpy.typing import NDArray
from websockets.asyncio.client import connect
from wyoming.tts import SynthesizeVoice

from tests.api.live import test_dashscope as dashscope
from tests.api.live import test_realtime as realtime
from tests.api.live.wire import audio_of, wire
from tests.conftest import serving
from tests.wyoming.house import audio, hear, house, say
from vivavoce.api.app import create_app
from vivavoce.errors import MissingDependency
from vivavoce.models.kokoro.assets import locate
from vivavoce.registry import build_pool
from vivavoce.settings import Settings

NAME, FORMULA = "warm", "af_bella(2)+af_sky(1)"
TEXT = "The train to the airport leaves at nine."


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    try:
        locate(Settings().cache_dir, None)
    except MissingDependency as error:
        pytest.skip(error.message)
    folder = tmp_path_factory.mktemp("data")
    return Settings(data_dir=folder, models=("kokoro",), isolate_models=False)


@pytest.fixture(scope="module")
def url(settings: Settings) -> Iterator[str]:
    with serving(create_app(settings)) as url:
        body = {"name": NAME, "formula": FORMULA}
        made = httpx.post(f"{url}/v1/tts/voices", json=body, timeout=120)
        assert made.status_code == 201, made.text
        yield url


def spoken(url: str, speaker: str) -> bytes:
    body = {"text": TEXT, "speaker": speaker, "format": "pcm"}
    answer = httpx.post(f"{url}/v1/tts/synthesize", json=body, timeout=120)
    assert answer.status_code == 200, answer.text
    return answer.content


async def post(url: str, path: str, body: dict[str, Any], **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(timeout=120) as client:
        answer = await client.post(url + path, json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer


async def by_wit(url: str, voice: str) -> bytes:
    body = {"q": TEXT, "voice": voice}
    return (await post(url, "/wit/synthesize", body, Accept="audio/raw")).content


async def by_batch(url: str, voice: str) -> bytes:
    body = {"items": [{"input": TEXT}], "voice": voice, "response_format": "pcm"}
    (result,) = (await post(url, "/v1/audio/speech/batch", body)).json()["results"]
    return base64.b64decode(result["audio_data"])


async def by_realtime(url: str, voice: str) -> bytes:
    async with (
        openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none") as sdk,
        sdk.realtime.connect(model="gpt-realtime") as live,
    ):
        await realtime.until(live, "session.created")
        output: Any = {"voice": voice}
        await live.session.update(session={"type": "realtime", "audio": {"output": output}})
        await realtime.until(live, "session.updated")
        await realtime.add(live, TEXT)
        await live.response.create()
        return realtime.audio_of(await realtime.until(live, "response.done"))


async def by_elevenlabs(url: str, voice: str) -> bytes:
    address = url.replace("http", "ws", 1)
    path = f"/v1/text-to-speech/{voice}/stream-input?output_format=pcm_24000"
    heard = b""
    async with connect(address + path) as socket:
        for text in (" ", TEXT + " ", ""):
            await socket.send(json.dumps({"text": text}))
        async for message in socket:
            said = json.loads(message)
            heard += base64.b64decode(said.get("audio") or "")
            if said.get("isFinal"):
                break
    return heard


async def by_qwen_realtime(url: str, voice: str) -> bytes:
    async with wire(url, dashscope.QWEN) as live:
        await dashscope.updated(live, voice=voice, language_type="English")
        await live.send(type="input_text_buffer.append", text=TEXT)
        await live.send(type="session.finish")
        return dashscope.deltas(await live.until("session.finished"))


async def by_cosyvoice(url: str, voice: str) -> bytes:
    async with wire(url, dashscope.COSY) as live:
        about = {"model": "cosyvoice-v2", "task_group": "audio", "input": {}}
        parameters = dashscope.parameters(voice=voice)
        await dashscope.task(live, "run-task", "t", parameters=parameters, **about)
        await live.receive()
        await dashscope.task(live, "continue-task", "t", input={"text": TEXT})
        await dashscope.task(live, "finish-task", "t", input={})
        return audio_of(await dashscope.events_of(live, "task-finished"))


async def by_omni(url: str, voice: str) -> bytes:
    async with wire(url, "/v1/audio/speech/stream") as live:
        await live.send(type="session.config", voice=voice, response_format="pcm")
        await live.send(type="input.text", text=TEXT)
        await live.send(type="input.done")
        return audio_of(await live.until("session.done"))


async def by_native(url: str, voice: str) -> bytes:
    async with wire(url, "/v1/tts/stream") as live:
        await live.send(type="begin", speaker=voice, format="pcm")
        await live.send(type="text", text=TEXT)
        await live.send(type="end")
        return audio_of(await live.until("done"))


def likeness(one: bytes, other: bytes) -> float:
    """Return how alike two recordings are at their best alignment, 1 if they are the same."""
    first, second = (np.frombuffer(each, "<i2").astype(np.float64) for each in (one, other))
    size = 1 << (len(first) + len(second)).bit_length()
    spectra: list[NDArray[np.complex128]] = [np.fft.rfft(each, size) for each in (first, second)]
    found = np.fft.irfft(spectra[0] * np.conj(spectra[1]), size).max()
    return float(found / np.sqrt((first**2).sum() * (second**2).sum()))


@pytest.mark.slow
@pytest.mark.parametrize(
    "speak",
    [
        by_wit, by_batch, by_realtime, by_elevenlabs, by_qwen_realtime, by_cosyvoice, by_omni,
        by_native,
    ],
)  # fmt: skip
async def test_saved_mix_speaks_by_its_name(
    url: str, speak: Callable[[str, str], Awaitable[bytes]]
) -> None:
    mixed, default = spoken(url, FORMULA), spoken(url, "af_heart")
    heard = await speak(url, NAME)
    assert likeness(heard, mixed) > 0.98 > likeness(heard, default)


@pytest.mark.slow
async def test_saved_mix_speaks_by_its_name_in_home_assistant(url: str, settings: Settings) -> None:
    async with house(settings, build_pool(settings)) as server, server.client() as client:
        await say(client, TEXT, SynthesizeVoice(name=NAME))
        heard = audio(await hear(client))
    assert likeness(heard, spoken(url, FORMULA)) > 0.98 > likeness(heard, spoken(url, "af_heart"))
