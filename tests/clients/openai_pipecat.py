"""Speak through pipecat's speech service for OpenAI.

    pip install 'pipecat-ai[openai]'
    python tests/clients/openai_pipecat.py http://localhost:8000 [KEY]

Exits with 1 if anything is not as the service expects.
"""

import asyncio
import sys

from pipecat.frames.frames import EndFrame, ErrorFrame, Frame, TTSAudioRawFrame, TTSSpeakFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.runner import PipelineRunner
from pipecat.pipeline.task import PipelineTask
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.openai.tts import OpenAITTSService

TEXT = "The lamp is on the table. The cat is under it."


class Listener(FrameProcessor):  # type: ignore[misc]  # its package has no types here
    """Counts the audio at the end of a pipeline."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0
        self.problems: list[str] = []

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, TTSAudioRawFrame):
            self.seconds += len(frame.audio) / 2 / frame.sample_rate
        elif isinstance(frame, ErrorFrame):
            self.problems.append(frame.error)
        await self.push_frame(frame, direction)


async def main() -> None:
    url, key = sys.argv[1].rstrip("/"), sys.argv[2] if len(sys.argv) > 2 else "none"
    service = OpenAITTSService(
        base_url=f"{url}/v1", api_key=key, settings=OpenAITTSService.Settings(voice="nova")
    )
    listener = Listener()
    task = PipelineTask(Pipeline([service, listener]))
    await task.queue_frames([TTSSpeakFrame(TEXT), EndFrame()])
    await asyncio.wait_for(PipelineRunner(handle_sigint=False).run(task), 60)
    assert not listener.problems, listener.problems
    assert 1.0 < listener.seconds < 20.0, listener.seconds
    print(f"speech API: {listener.seconds:.1f} s of audio")


if __name__ == "__main__":
    asyncio.run(main())
