"""A checkpoint in its own process prepares voices and speaks as in this one."""

from functools import partial
from pathlib import Path

import numpy as np

from tests.models.qwen3_tts.whole import whole_checkpoint
from tests.serving.test_subprocess import model_in_process, spoken
from vivavoce.models.qwen3_tts import QwenOptions, make_qwen
from vivavoce.serving.base import AnyModel
from vivavoce.types import Reference, Samples, Segment

RATE_HZ = 24_000
HOW = QwenOptions("cpu", "float32", "plain", max_batch=2, threads=1, graphs="off")


def cloned(model: AnyModel) -> list[Samples]:
    tone = 0.3 * np.sin(2 * np.pi * 220 * np.arange(2 * RATE_HZ) / RATE_HZ)
    voice = model.prepare(Reference(tone.astype(np.float32), RATE_HZ, "What it says."))
    name = model.info.voices[0].id
    return spoken(
        model,
        [Segment(text, name, "en", seed=4, prepared=voice) for text in ("Hello.", "And you?")],
    )


def test_cloned_voice_says_the_same_in_a_process_of_its_own(tmp_path: Path) -> None:
    make = partial(make_qwen, "tiny", whole_checkpoint(tmp_path / "Tiny", "base", frames=6), HOW)
    here = make()
    with model_in_process(make) as model:
        assert model.info.capabilities.live_text
        assert model.info == here.info
        for ours, theirs in zip(cloned(model), cloned(here), strict=True):
            assert ours.shape == theirs.shape
            assert np.abs(ours - theirs).max() < 1e-4
