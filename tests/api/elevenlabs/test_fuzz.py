"""Send both WebSockets thousands of messages, most of them wrong, beside a client that is not."""

import json
import logging
import random
from collections.abc import Iterator
from contextlib import suppress

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from tests.api.elevenlabs.test_sockets import MANY, ONE, TEXT, audio, heard, opened, say

MESSAGES = 5_000
BATCHES = {ONE: 20, MANY: 50}  # messages on one connection, which the first error may end
CLOSE_CODES = {1000, 1003, 1007, 1008, 1009, 1011, 1013}
ANSWER = {"audio", "isFinal", "alignment", "normalizedAlignment"}
ERROR = {"message", "error", "code"}

FIELDS = (
    "text", "flush", "context_id", "contextId", "close_context", "close_socket", "voice_settings",
    "generation_config", "try_trigger_generation", "pronunciation_dictionary_locators",
    "xi_api_key", "nonsense",
)  # fmt: skip
STRANGE: tuple[object, ...] = (
    None, True, False, 0, -1, 2**70, 1e308, float("nan"), "", " ", "\x00", "\ud800", "…", "!?",
    "a", "b", "Hello there. ", "日本語。", "<speak>", "<break time='9s'/>", "[voice:nobody] ",
    "x" * 300, [], {}, [[[[]]]], {"speed": 9}, {"speed": 1.1}, {"stability": "no"},
    {"stability": float("inf")}, [{"pronunciation_dictionary_id": "x"}], [1, 2], {"text": "x"},
)  # fmt: skip
RAW = (
    "", "{", "[]", "null", "1", '"x"', "{}{}", "[" * 3_000, '{"text": "' + "y" * 5_000, "\x00",
    '{"text": 1' + "0" * 5_000 + "}", '{"a": ' * 2_000,
)  # fmt: skip


def messages(draw: random.Random, count: int) -> Iterator[str | bytes]:
    for _ in range(count):
        kind = draw.random()
        if kind < 0.5:
            message = {"text": draw.choice(("One ", "two, ", "three. ", "")), "context_id": "a"}
            yield json.dumps(message | {"flush": draw.random() < 0.2})
        elif kind < 0.9:
            names = draw.sample(FIELDS, draw.randint(1, 4))
            yield json.dumps({name: draw.choice(STRANGE) for name in names})
        else:
            yield draw.choice(RAW) if kind < 0.97 else draw.randbytes(20)


def send(socket: ClientConnection, draw: random.Random, count: int) -> None:
    """Send messages, and the end of them."""
    with suppress(ConnectionClosed):
        for message in messages(draw, count):
            socket.send(message)
        say(socket, text="")
        say(socket, close_socket=True)


def check_rest(socket: ClientConnection, *, many: bool) -> None:
    """Check all answers, and that the connection ends."""
    context = {"contextId"} if many else set()
    with suppress(ConnectionClosed):
        while True:
            message = json.loads(socket.recv(timeout=20))
            assert message.keys() in (ANSWER | context, ERROR | context)
    assert socket.close_code in CLOSE_CODES


def spoken_by(socket: ClientConnection) -> bytes:
    """Return the audio of a client that does all as it should."""
    say(socket, text=TEXT, context_id="own", flush=True)
    say(socket, context_id="own", close_context=True)
    return audio(heard(socket, "own"))


@pytest.mark.parametrize("path", [ONE, MANY])
def test_wrong_messages_harm_nobody(url: str, path: str, caplog: pytest.LogCaptureFixture) -> None:
    draw, batch = random.Random(path), BATCHES[path]
    with caplog.at_level(logging.WARNING), opened(url, MANY, "hum") as other:
        expected = spoken_by(other)
        for number in range(MESSAGES // batch):
            with opened(url, path) as socket:
                send(socket, draw, batch)
                if number % 10 == 0:
                    assert spoken_by(other) == expected
                check_rest(socket, many=path == MANY)
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
