"""Write whole tiny checkpoints, language model and codec, as the server loads them."""

import json
from dataclasses import replace
from pathlib import Path

from safetensors.torch import load_file, save_file
from scripts.make_checkpoint import Shape, make_checkpoint

from tests.models.qwen3_tts.codec_checkpoints import (
    CodecShape,
    SpeakerShape,
    speaker_config,
    speaker_tensors,
    write_codec,
)
from tests.models.qwen3_tts.small import SMALL
from vivavoce.types import Segment

# As many codebooks as the small language model speaks in, of as many entries as its first code has;
# few channels.
CODEC = CodecShape(
    codebooks=SMALL.codebooks, entries=2048, latent=8, hidden=8, layers=1, decoder_dim=16
)
SEED = 5


def whole_checkpoint(
    folder: Path, task: str = "custom_voice", *, size: str = "0b6", frames: int = 15
) -> Path:
    """Write a checkpoint of `task` into `folder` and return `folder`.

    `size` is its declared size: only "1b7" follows instructions. `frames` is its limit.
    """
    # A recording's codes are as many as the codec has entries, and the talker hears them.
    codes = CODEC.entries if task == "base" else SMALL.codes
    write_whole(
        folder, task, replace(SMALL, size=size, codes=codes), CODEC, SpeakerShape(), seed=SEED
    )
    edit(folder / "generation_config.json", max_new_tokens=frames + 1)
    return folder


def write_whole(
    folder: Path, task: str, shape: Shape, codec: CodecShape, speaker: SpeakerShape, *, seed: int
) -> Path:
    """Write all released files for `task`, of any shape, into `folder`, and return `folder`.

    The speaker encoder, of clone models only, is as wide as the talker.
    """
    make_checkpoint(folder, task, shape, seed=seed)
    write_codec(folder / "speech_tokenizer", codec, seed)
    if task == "base":
        _add_speaker_encoder(folder, replace(speaker, dim=shape.talker.hidden), seed)
    return folder


def edit(path: Path, **entries: object) -> None:
    """Change entries of a JSON file."""
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | entries), "utf-8")


def _add_speaker_encoder(folder: Path, shape: SpeakerShape, seed: int) -> None:
    edit(folder / "config.json", speaker_encoder_config=speaker_config(shape))
    tensors = load_file(folder / "model.safetensors") | speaker_tensors(shape, seed)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def segment(
    text: str = "Hello.", *, seed: int | None = 1, voice: str = "ryan", instruct: str | None = None
) -> Segment:
    """Return a segment in English."""
    return Segment(text, voice, "en", instruct, seed)
