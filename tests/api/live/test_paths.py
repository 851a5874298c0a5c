"""Check who may connect to each path of live speech, and what is said where there is none."""

import asyncio
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.api.test_lifecycle import server
from tests.conftest import serving, tone_pool
from vivavoce.api.app import create_app
from vivavoce.keys import FILE_NAME, KeyFile
from vivavoce.settings import Settings

PATHS = (
    "/v1/tts/stream", "/v1/realtime", "/v1/audio/speech/stream", "/api-ws/v1/realtime",
    "/api-ws/v1/inference", "/v1/text-to-speech/sine/stream-input",
    "/v1/text-to-speech/sine/multi-stream-input",
)  # fmt: skip


async def test_each_path_needs_a_key_once_there_is_one(tmp_path: Path) -> None:
    key = KeyFile(tmp_path / FILE_NAME).create("someone")
    with serving(create_app(Settings(data_dir=tmp_path), tone_pool())) as url:
        address = url.replace("http", "ws")
        for path in PATHS:
            with pytest.raises(InvalidStatus) as refused:
                await connect(address + path)
            assert refused.value.response.status_code == 401, path
            headers = {"Authorization": f"Bearer {key}"}
            async with connect(address + path, additional_headers=headers, close_timeout=0.2):
                pass


async def test_wrong_path_is_not_found_instead_of_forbidden(tone_url: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await connect(f"{tone_url.replace('http', 'ws')}/v1/tts/strem")
    response = refused.value.response
    assert response.status_code == 404
    assert b"no WebSocket /v1/tts/strem here" in (response.body or b"")


async def test_refused_websocket_is_no_error_of_the_server(tmp_path: Path) -> None:
    with server(tmp_path) as (process, url):
        with pytest.raises(InvalidStatus):
            await connect(f"{url.replace('http', 'ws')}/v1/text-to-speech/nobody/stream-input")
        process.terminate()
        await asyncio.to_thread(process.wait, 20)
    assert "ERROR" not in (tmp_path / "log").read_text("utf-8")


@pytest.mark.parametrize("path", PATHS)
async def test_request_without_a_websocket_is_told_to_use_one(
    client: httpx.AsyncClient, path: str
) -> None:
    answer = await client.get(path)
    assert answer.status_code == 404
    assert f"{path} is a WebSocket: connect to it with ws://" in answer.text
