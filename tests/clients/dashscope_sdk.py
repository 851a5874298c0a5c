"""Speak through the SDK `dashscope`, by both of its protocols, and check what comes back.

    pip install dashscope
    python tests/clients/dashscope_sdk.py http://localhost:8000 [KEY]

Exits with 1 if anything is not as the SDK expects.
"""

import base64
import sys
import threading
from typing import Any

import dashscope
from dashscope.audio.qwen_tts_realtime import QwenTtsRealtime, QwenTtsRealtimeCallback
from dashscope.audio.tts_v2 import AudioFormat, ResultCallback, SpeechSynthesizer

TEXT = ("The lamp is on the table. ", "The cat is ", "under it.")


class Heard(QwenTtsRealtimeCallback):  # type: ignore[misc]  # the SDK has no types
    """What a realtime session sent."""

    def __init__(self) -> None:
        self.audio = b""
        self.types: list[str] = []
        self.done = threading.Event()
        self.finished = threading.Event()

    def on_event(self, message: Any) -> None:
        self.types.append(message["type"])
        if message["type"] == "response.audio.delta":
            self.audio += base64.b64decode(message["delta"])
        elif message["type"] == "response.done":
            self.done.set()
        elif message["type"] == "session.finished":
            self.finished.set()


class Streamed(ResultCallback):  # type: ignore[misc]  # the SDK has no types
    """What a task sent."""

    def __init__(self) -> None:
        self.audio = b""
        self.events = 0
        self.problem = ""
        self.complete = threading.Event()

    def on_data(self, data: bytes) -> None:
        self.audio += data

    def on_event(self, message: str) -> None:
        self.events += 1

    def on_error(self, message: str) -> None:
        self.problem = message
        self.complete.set()

    def on_complete(self) -> None:
        self.complete.set()


def realtime(url: str, mode: str) -> None:
    heard = Heard()
    session = QwenTtsRealtime(
        "qwen3-tts-flash-realtime", callback=heard, url=f"{url}/api-ws/v1/realtime"
    )
    session.connect()
    session.update_session(voice="", mode=mode, language_type="English")
    for piece in TEXT:
        session.append_text(piece)
    if mode == "commit":
        session.commit()
        assert heard.done.wait(60), heard.types
        session.append_text("Cleared.")
        session.clear_appended_text()
    session.finish()
    assert heard.finished.wait(60), heard.types
    session.close()
    assert "error" not in heard.types, heard.types
    assert len(heard.audio) > 48_000, len(heard.audio)
    assert session.get_session_id()
    assert session.get_first_audio_delay() is not None
    print(f"realtime, {mode}: {len(heard.audio) / 48_000:.1f} s of audio")


def call(url: str) -> None:
    synthesizer = SpeechSynthesizer("cosyvoice-v2", voice="", url=url)
    audio = synthesizer.call("".join(TEXT), timeout_millis=60_000)
    assert audio is not None
    assert len(audio) > 5_000, len(audio)
    print(f"task, called: {len(audio):,} bytes of mp3")


def streaming(url: str) -> None:
    heard = Streamed()
    format = AudioFormat.PCM_24000HZ_MONO_16BIT
    synthesizer = SpeechSynthesizer(
        "cosyvoice-v2", voice="", format=format, url=url, callback=heard
    )
    for piece in TEXT:
        synthesizer.streaming_call(piece)
    synthesizer.streaming_flush()
    synthesizer.streaming_complete(60_000)
    assert heard.complete.wait(60)
    assert not heard.problem, heard.problem
    assert len(heard.audio) > 48_000, len(heard.audio)
    assert heard.events > 1
    print(f"task, streamed: {len(heard.audio) / 48_000:.1f} s of audio")


def cancelled(url: str) -> None:
    synthesizer = SpeechSynthesizer("cosyvoice-v2", voice="", url=url, callback=Streamed())
    synthesizer.streaming_call("".join(TEXT) * 50)
    synthesizer.streaming_cancel(60_000)
    print("task, cancelled")


def failing(url: str) -> None:
    synthesizer = SpeechSynthesizer("cosyvoice-v2", voice="nobody", url=url)
    problem = ""
    try:
        synthesizer.call("Hello.", timeout_millis=60_000)
    except Exception as error:  # the SDK's own class is not exported everywhere
        problem = str(error)
    assert "nobody" in problem, problem
    print("task, failed as it should")


def main() -> None:
    url = sys.argv[1].rstrip("/").replace("http", "ws", 1)
    dashscope.api_key = sys.argv[2] if len(sys.argv) > 2 else "none"
    for mode in ("commit", "server_commit"):
        realtime(url, mode)
    tasks = f"{url}/api-ws/v1/inference"
    for check in (call, streaming, cancelled, failing):
        check(tasks)


if __name__ == "__main__":
    main()
