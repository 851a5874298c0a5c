"""A session gives a Qwen3-TTS model its text word by word, and the model says the same."""

import asyncio
import random
from pathlib import Path

import numpy as np

from tests.models.qwen3_tts.whole import whole_checkpoint
from vivavoce.models.qwen3_tts import QwenOptions
from vivavoce.models.qwen3_tts.runtime.model import QwenModel
from vivavoce.serving.local import LocalEngine
from vivavoce.serving.pool import Pool
from vivavoce.sessions.events import Audio, Event, Failed
from vivavoce.sessions.session import Session
from vivavoce.synthesis.synthesizer import Synthesizer
from vivavoce.types import SpeechRequest

TEXT = "The lamp, number 3: it's on."
PAUSE = "The lamp. <break time='2s'/> It's on."


async def spoken(session: Session, events: list[Event], text: str, chance: random.Random) -> bytes:
    """Return the audio of `text`, written in random pieces at random times."""
    events.clear()
    request = SpeechRequest("", format="pcm", speaker="ryan", language="en", seed=3)
    utterance = session.begin(request)
    while text:
        size = chance.choice([1, 2, 5, 9, len(text)])
        utterance.append(text[:size])
        text = text[size:]
        await asyncio.sleep(chance.choice([0, 0.002, 0.02]))
    utterance.end()
    await utterance.wait_ended()
    assert not any(isinstance(event, Failed) for event in events)
    return b"".join(event.data for event in events if isinstance(event, Audio))


async def test_pieces_at_any_time_make_the_speech_of_the_whole(tmp_path: Path) -> None:
    checkpoint = whole_checkpoint(tmp_path / "Tiny", frames=30)
    model = QwenModel(checkpoint, QwenOptions(max_batch=2))
    pool = Pool({"tiny": lambda: LocalEngine(model)})
    events: list[Event] = []

    async def emit(event: Event) -> None:
        events.append(event)

    session = Session(Synthesizer(pool), emit)
    whole = np.frombuffer(await spoken(session, events, TEXT, random.Random(10_000)), np.int16)
    assert np.any(whole)
    for seed in range(8):
        made = await spoken(session, events, TEXT, random.Random(seed))
        pieces = np.frombuffer(made, np.int16)
        assert len(pieces) == len(whole)
        assert np.abs(pieces.astype(int) - whole).max() <= 2
        paused = np.frombuffer(
            await spoken(session, events, PAUSE, random.Random(seed)), np.int16
        ).astype(int)
        sounds = np.flatnonzero(np.abs(paused) > 100)
        assert np.diff(sounds).max() > 1.9 * 24_000
    utterance = session.begin(SpeechRequest("", format="pcm", speaker="ryan", language="en"))
    utterance.append("One two three four five six seven eight nine ten. ")
    async with asyncio.timeout(20):
        while utterance.sent_s < 0.5:  # noqa: ASYNC110 - any number of events
            await asyncio.sleep(0.01)
    [(_, heard)] = await session.interrupt(0.4, utterance.name)
    assert heard.heard + heard.unheard == "One two three four five six seven eight nine ten. "
    assert 0 < len(heard.heard) < 20
    await pool.aclose()
