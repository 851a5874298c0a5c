"""Frames are decoded at times that depend on the listener's buffer."""

import pytest
import torch

from vivavoce.models.qwen3_tts.runtime.codec_runner import CodecSlot
from vivavoce.models.qwen3_tts.runtime.stop_rules import FRAME_S
from vivavoce.models.qwen3_tts.runtime.stream import SegmentStream
from vivavoce.types import Segment, StopReason

EOS = 99


def stream(frames: int = 100) -> SegmentStream:
    return SegmentStream(Segment("Hello.", "ryan", "en"), 0, 1, frames, CodecSlot(0, []))


def chunk_sizes(frame_s: float, frames: int = 40) -> list[int]:
    """Return the chunks of a listener in real time, when a frame takes `frame_s`."""
    spoken, sizes, ahead_s = stream(), [], 0.0
    for number in range(frames):
        spoken.take(number, torch.zeros(16), eos=EOS)
        if spoken.is_due(ahead_s):
            ahead_s = max(ahead_s, 0.0) + len(spoken.pending) * FRAME_S
            sizes.append(len(spoken.pending))
            spoken.pending.clear()
        ahead_s -= frame_s
    return sizes


def test_fast_model_sounds_the_first_frame_at_once_and_soon_many_together() -> None:
    assert chunk_sizes(frame_s=0.01)[:5] == [1, 1, 2, 4, 8]


def test_listener_with_little_left_gets_what_there_is() -> None:
    assert set(chunk_sizes(frame_s=0.075)[:12]) == {1}


def test_listener_who_waits_gets_larger_chunks_each_time() -> None:
    assert chunk_sizes(frame_s=0.2)[:4] == [1, 2, 4, 8]


@pytest.mark.parametrize("frame_s", [0.005, 0.02, 0.04, 0.06, 0.075, 0.079])
def test_nobody_runs_dry_because_of_the_chunks(frame_s: float) -> None:
    spoken, ahead_s = stream(1000), 0.0
    for number in range(500):
        spoken.take(number % 50, torch.zeros(16), eos=EOS)
        assert ahead_s > 0 or number == 0
        if spoken.is_due(ahead_s):
            ahead_s += len(spoken.pending) * FRAME_S
            spoken.pending.clear()
        ahead_s -= frame_s


@pytest.mark.parametrize(("code", "ending"), [(EOS, StopReason.COMPLETE), (1, StopReason.LENGTH)])
def test_last_frames_are_sounded_however_few(code: int, ending: StopReason) -> None:
    spoken = stream(2)
    spoken.take(0, torch.zeros(16), eos=EOS)
    assert not spoken.is_due(10.0)
    spoken.take(code, torch.zeros(16), eos=EOS)
    assert spoken.ending is ending
    assert spoken.is_due(10.0)
