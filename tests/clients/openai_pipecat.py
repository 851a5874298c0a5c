"""Speak through pipecat's services for OpenAI: speech, and the realtime protocol.

    pip install 'pipecat-ai[openai]'
    python tests/clients/openai_pipecat.py http://localhost:8000 [KEY]

Exits with 1 if anything is not as the service expects.
"""

import asyncio
import sys

from pipecat.frames.frames import (
    EndFrame,
    ErrorFrame,
    Frame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
    TTSTextFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.runner import PipelineRunner
from pipecat.pipeline.task import PipelineTask
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.openai.realtime.llm import OpenAIRealtimeLLMService
from pipecat.services.openai.tts import OpenAITTSService

TEXT = "The lamp is on the table. The cat is under it."


class Listener(FrameProcessor):  # type: ignore[misc]  # its package has no types here
    """Keeps what comes out of a pipeline."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0
        self.text = ""
        self.problems: list[str] = []
        self.answered = asyncio.Event()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, TTSAudioRawFrame):
            self.seconds += len(frame.audio) / 2 / frame.sample_rate
        elif isinstance(frame, TTSTextFrame):
            self.text += frame.text
        elif isinstance(frame, LLMFullResponseEndFrame):
            self.answered.set()
        elif isinstance(frame, ErrorFrame):
            self.problems.append(frame.error)
        await self.push_frame(frame, direction)

    def check(self, name: str) -> None:
        assert not self.problems, self.problems
        assert 1.0 < self.seconds < 20.0, self.seconds
        print(f"{name}: {self.seconds:.1f} s of audio")


async def speech(url: str, key: str) -> None:
    service = OpenAITTSService(
        base_url=f"{url}/v1", api_key=key, settings=OpenAITTSService.Settings(voice="nova")
    )
    listener = Listener()
    task = PipelineTask(Pipeline([service, listener]))
    await task.queue_frames([TTSSpeakFrame(TEXT), EndFrame()])
    await asyncio.wait_for(PipelineRunner(handle_sigint=False).run(task), 60)
    listener.check("speech API")


async def realtime(url: str, key: str) -> None:
    address = f"{url.replace('http', 'ws', 1)}/v1/realtime"
    listener = Listener()
    service = OpenAIRealtimeLLMService(api_key=key, base_url=address)
    task = PipelineTask(Pipeline([service, listener]))
    running = asyncio.create_task(PipelineRunner(handle_sigint=False).run(task))
    context = LLMContext(messages=[{"role": "user", "content": TEXT}])
    await task.queue_frames([LLMContextFrame(context)])
    await asyncio.wait_for(listener.answered.wait(), 60)
    await task.queue_frames([EndFrame()])
    await asyncio.wait_for(running, 60)
    listener.check("realtime protocol")
    assert listener.text == TEXT, listener.text


async def main() -> None:
    url, key = sys.argv[1].rstrip("/"), sys.argv[2] if len(sys.argv) > 2 else "none"
    await speech(url, key)
    await realtime(url, key)


if __name__ == "__main__":
    asyncio.run(main())
