"""Let pipecat's services for ElevenLabs speak. The argument is the server's URL."""

import asyncio
import sys
import time
from collections.abc import Sequence

import aiohttp
from pipecat.frames.frames import (
    EndFrame,
    ErrorFrame,
    Frame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    TTSAudioRawFrame,
    TTSStoppedFrame,
    TTSTextFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.elevenlabs.tts import ElevenLabsHttpTTSService, ElevenLabsTTSService
from pipecat.workers.runner import WorkerRunner

TEXT = ("The lamp is on the table. ", "It costs 25 dollars, ", "and nobody wants it.")
LONG = tuple(f"This is sentence number {n} of a long story. " for n in range(12))
RATE_HZ = 24_000


class Listener(FrameProcessor):
    """Collects what is heard."""

    def __init__(self) -> None:
        super().__init__()
        self.frames: list[Frame] = []
        self.heard = asyncio.Event()
        self.stopped = asyncio.Event()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        self.frames.append(frame)
        if isinstance(frame, TTSAudioRawFrame):
            self.heard.set()
        if isinstance(frame, TTSStoppedFrame):
            self.stopped.set()
        await self.push_frame(frame, direction)

    def of(self, kind: type) -> list:
        return [frame for frame in self.frames if isinstance(frame, kind)]

    def seconds(self) -> float:
        return sum(len(frame.audio) for frame in self.of(TTSAudioRawFrame)) / 2 / RATE_HZ

    def reset(self) -> None:
        self.frames.clear()
        self.heard.clear()
        self.stopped.clear()


async def say(worker: PipelineWorker, text: Sequence[str]) -> None:
    await worker.queue_frame(LLMFullResponseStartFrame())
    for part in text:
        await worker.queue_frame(LLMTextFrame(part))
    await worker.queue_frame(LLMFullResponseEndFrame())


async def check(name: str, service: FrameProcessor, *, interrupt: bool) -> None:
    listener = Listener()
    worker = PipelineWorker(
        Pipeline([service, listener]),
        params=PipelineParams(audio_out_sample_rate=RATE_HZ),
        cancel_on_idle_timeout=False,
    )
    started = asyncio.Event()

    @worker.event_handler("on_pipeline_started")
    async def on_pipeline_started(worker: PipelineWorker, frame: Frame) -> None:
        started.set()

    runner = WorkerRunner()
    await runner.add_workers(worker)
    running = asyncio.create_task(runner.run())
    await asyncio.wait_for(started.wait(), 20)
    began = time.monotonic()
    await say(worker, TEXT)
    await asyncio.wait_for(listener.heard.wait(), 20)
    first_s = time.monotonic() - began
    await asyncio.wait_for(listener.stopped.wait(), 30)
    await asyncio.sleep(0.5)
    words = " ".join(frame.text.strip() for frame in listener.of(TTSTextFrame))
    print(f"{name}: {listener.seconds():.1f} s, first audio after {first_s:.2f} s: {words!r}")
    assert words.split() == "".join(TEXT).split(), words
    assert 4 < listener.seconds() < 12
    if interrupt:
        listener.reset()
        await say(worker, LONG)
        await asyncio.wait_for(listener.heard.wait(), 20)
        await worker.queue_frame(InterruptionFrame())
        await asyncio.sleep(0.3)
        listener.reset()
        began = time.monotonic()
        await say(worker, ("Yes, of course.",))
        await asyncio.wait_for(listener.heard.wait(), 20)
        again_s = time.monotonic() - began
        await asyncio.wait_for(listener.stopped.wait(), 20)
        await asyncio.sleep(0.5)
        words = " ".join(frame.text.strip() for frame in listener.of(TTSTextFrame))
        print(f"{name}: after an interruption {again_s:.2f} s to {words!r}")
        assert words == "Yes, of course."
        assert listener.seconds() < 4
    assert listener.of(ErrorFrame) == []
    await worker.queue_frame(EndFrame())
    await asyncio.wait_for(running, 20)


async def main(url: str) -> None:
    socket = ElevenLabsTTSService(
        api_key="none",
        url=url.replace("http", "ws", 1),
        settings=ElevenLabsTTSService.Settings(voice="heart", stability=0.5, speed=1.0),
    )
    await check("pipecat, WebSocket", socket, interrupt=True)
    async with aiohttp.ClientSession() as session:
        http = ElevenLabsHttpTTSService(
            api_key="none",
            base_url=url,
            aiohttp_session=session,
            settings=ElevenLabsHttpTTSService.Settings(voice="heart"),
        )
        await check("pipecat, HTTP", http, interrupt=False)


asyncio.run(main(sys.argv[1]))
