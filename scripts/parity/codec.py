"""Compare our codec and speaker encoder with the published `qwen-tts` 0.1.1 on random tiny
checkpoints.

    python -m scripts.parity.codec [--seeds 4] [--seed 0]
    python -m scripts.parity.codec --write tests/models/qwen3_tts/data

What a trace does not reach: more shapes, streamed decoding, recordings of odd lengths. Whole
decodes and x-vectors must agree within 1e-4, streamed with whole too, codes exactly. `--write`
keeps the published answers for the tests.
"""

import argparse
import math
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from scripts.parity.oracle import run_oracle
from tests.models.qwen3_tts.codec_checkpoints import (
    SHAPES,
    SPEAKERS,
    CodecShape,
    SpeakerShape,
    random_codes,
    random_shape,
    voice_like,
    write_codec,
    write_speaker,
)

from vivavoce.models.qwen3_tts.codec import CodecDecoder, load_decoder, load_encoder
from vivavoce.models.qwen3_tts.network.speaker_encoder import load_speaker_encoder

ORACLE = Path(__file__).with_name("codec_oracle.py")
TOLERANCE = 1e-4
CPU = torch.device("cpu")
CHUNKS = (1, 2, 4, 8, 3)
# A sample, just under and just over a frame, odd lengths, and more than the 10 s after which a
# windowed encoder would differ from the published one.
AUDIO_LENGTHS = (1, 1919, 1921, 24007, 24000 * 12)
REFERENCE_FRAMES = 12


@dataclass(frozen=True)
class Case:
    name: str
    codec: CodecShape
    speaker: SpeakerShape
    seed: int
    frames: int
    lengths: tuple[int, ...] = AUDIO_LENGTHS


def cases(count: int, seed: int) -> list[Case]:
    """Return the named shapes once, and `count` random ones.

    One is close to the 300 frames that qwen-tts decodes at once.
    """
    speakers = list(SPEAKERS.values())
    named = [
        Case(name, shape, speakers[i % 2], seed, 100)
        for i, (name, shape) in enumerate(SHAPES.items())
    ]
    drawn = [
        Case(
            f"random-{seed + i}",
            random_shape(seed + i),
            speakers[i % 2],
            seed + i,
            290 if i == 0 else 60,
        )
        for i in range(count)
    ]
    return named + drawn


def reference_cases() -> list[Case]:
    """Return the cases for tests without qwen-tts. They have few frames, for small files."""
    lengths = (1919, 24007)
    return [
        Case("codec_small", SHAPES["small"], SPEAKERS["small"], 7, REFERENCE_FRAMES, lengths),
        Case("codec_grouped", SHAPES["grouped"], SPEAKERS["deep"], 8, REFERENCE_FRAMES, lengths),
    ]


def prepare(folder: Path, case: Case) -> None:
    """Write the case's checkpoints and inputs for both sides."""
    write_codec(folder / case.name / "codec", case.codec, case.seed)
    write_speaker(folder / case.name / "speaker", case.speaker, case.seed)
    inputs = {
        "codes": random_codes(case.codec, case.frames, case.seed),
        "voice": voice_like(30000, case.seed),
    }
    inputs |= {
        f"audio{i}": voice_like(length, case.seed + i) for i, length in enumerate(case.lengths)
    }
    save_file(inputs, folder / case.name / "inputs.safetensors")


def streamed(decoder: CodecDecoder, codes: torch.Tensor) -> torch.Tensor:
    """Return the samples of `codes`, decoded in chunks of changing size."""
    states, parts, start, turn = [decoder.open() for _ in codes], [], 0, 0
    while start < codes.shape[-1]:
        frames = CHUNKS[turn % len(CHUNKS)]
        parts.append(decoder.step(codes[..., start : start + frames], states))
        start, turn = start + frames, turn + 1
    return torch.cat(parts, dim=-1)


def compare(folder: Path, case: Case) -> dict[str, float]:
    """Return the largest differences from the published answers. Codes are counted."""
    inputs = load_file(folder / case.name / "inputs.safetensors")
    wanted = load_file(folder / case.name / "oracle.safetensors")
    decoder = load_decoder(folder / case.name / "codec", CPU, torch.float32)
    encoder = load_encoder(folder / case.name / "codec", CPU, torch.float32)
    whole = decoder.decode(inputs["codes"], block_frames=case.frames)
    vector = load_speaker_encoder(folder / case.name / "speaker", CPU, torch.float32).embed(
        inputs["voice"]
    )
    differing = 0
    for number in range(len(case.lengths)):
        ours, theirs = encoder.encode(inputs[f"audio{number}"]), wanted[f"codes{number}"]
        differing += math.inf if ours.shape != theirs.shape else int((ours != theirs).sum())
    return {
        "whole": float((whole - wanted["samples"]).abs().max()),
        "streamed": float((streamed(decoder, inputs["codes"]) - whole).abs().max()),
        "x-vector": float((vector - wanted["vector"]).abs().max()),
        "codes that differ": differing,
        "loudest sample": float(whole.abs().max()),
    }


def write_reference(target: Path) -> None:
    """Write the published answers to `reference_cases` into `target`."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for case in reference_cases():
            prepare(folder, case)
        run_oracle(ORACLE, folder)
        for case in reference_cases():
            answers = load_file(folder / case.name / "oracle.safetensors")
            small = {
                k: v.to(torch.int16) if k.startswith("codes") else v for k, v in answers.items()
            }
            save_file(small, target / f"{case.name}.safetensors")


def check(count: int, seed: int) -> bool:
    """Print the differences of every case. True if all are within tolerance."""
    good = True
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for case in cases(count, seed):
            prepare(folder, case)
        run_oracle(ORACLE, folder)
        for case in cases(count, seed):
            found = compare(folder, case)
            passed = all(found[key] <= TOLERANCE for key in ("whole", "streamed", "x-vector"))
            passed &= found["codes that differ"] == 0
            good &= passed
            print(
                f"{case.name:12}",
                "ok  " if passed else "FAIL",
                *(f"{key} {value:.2e}" for key, value in found.items()),
            )
    return good


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=4, help="how many random shapes")
    parser.add_argument("--seed", type=int, default=0, help="the first of their seeds")
    parser.add_argument(
        "--write", type=Path, metavar="FOLDER", help="keep the published answers in this folder"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.write:
        write_reference(options.write)
    elif not check(options.seeds, options.seed):
        sys.exit(1)


if __name__ == "__main__":
    main()
