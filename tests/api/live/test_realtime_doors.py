"""Check who may connect to OpenAI's realtime protocol, and in which version."""

import json
from pathlib import Path
from typing import Any

import openai
import pytest
from websockets.asyncio.client import connect

from tests.api.live.test_realtime import TEXT, add, until
from tests.conftest import serving, tone_pool
from vivavoce.api.app import create_app
from vivavoce.keys import FILE_NAME, KeyFile
from vivavoce.settings import Settings


async def test_unknown_model_closes_the_connection(tone_url: str) -> None:
    async with connect(f"{tone_url.replace('http', 'ws')}/v1/realtime?model=nothing") as socket:
        error = json.loads(await socket.recv())
        assert error["error"]["code"] == "model_not_found"
        await socket.wait_closed()
        assert socket.close_code == 1008


async def test_first_version_gets_its_own_names(tone_url: str) -> None:
    url = f"{tone_url.replace('http', 'ws')}/v1/realtime?model=gpt-4o-realtime-preview"
    async with connect(url, additional_headers={"OpenAI-Beta": "realtime=v1"}) as socket:

        async def receive() -> Any:
            return json.loads(await socket.recv())

        assert (await receive())["session"]["output_audio_format"] == "pcm16"
        assert (await receive())["type"] == "conversation.created"
        item = {"type": "message", "role": "user"}
        item |= {"content": [{"type": "input_text", "text": TEXT}]}  # type: ignore[dict-item]  # of tests
        await socket.send(json.dumps({"type": "conversation.item.create", "item": item}))
        assert (await receive())["type"] == "conversation.item.created"
        await socket.send(json.dumps({"type": "response.create"}))
        kinds = []
        while "response.done" not in kinds:
            kinds.append((await receive())["type"])
        assert "conversation.item.created" in kinds
        assert {"response.audio.delta", "response.audio_transcript.done"} <= set(kinds)
        assert not [kind for kind in kinds if "output_audio" in kind or kind.endswith(".added")][2:]


async def test_key_is_needed_in_the_header_or_as_subprotocol(tmp_path: Path) -> None:
    secret = KeyFile(tmp_path / FILE_NAME).create("someone")
    with serving(create_app(Settings(data_dir=tmp_path), tone_pool())) as url:
        for key, fits in ((secret, True), ("wrong", False)):
            async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=key) as sdk:
                if fits:
                    async with sdk.realtime.connect(model="gpt-realtime") as live:
                        assert (await live.recv()).type == "session.created"
                else:
                    with pytest.raises(Exception, match="401"):
                        async with sdk.realtime.connect(model="gpt-realtime"):
                            pass
        names = ["realtime", f"openai-insecure-api-key.{secret}"]
        address = f"{url.replace('http', 'ws')}/v1/realtime"
        async with connect(address, subprotocols=names) as socket:  # type: ignore[arg-type]  # plain names
            assert socket.subprotocol == "realtime"
            assert json.loads(await socket.recv())["type"] == "session.created"


async def test_each_response_counts_against_the_limit_of_its_key(tmp_path: Path) -> None:
    secret = KeyFile(tmp_path / FILE_NAME).create("someone", requests_per_minute=2)
    with serving(create_app(Settings(data_dir=tmp_path), tone_pool())) as url:
        async with (
            openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=secret) as sdk,
            sdk.realtime.connect(model="gpt-realtime") as live,  # the first
        ):
            await live.recv()
            await add(live, TEXT)
            await live.response.create()
            await until(live, "response.done")
            await add(live, TEXT)
            await live.response.create()
            error: Any = await live.recv()
            assert (error.error.type, error.error.code) == ("rate_limit_error", "rate_limited")
