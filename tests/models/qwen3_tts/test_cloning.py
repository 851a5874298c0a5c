"""Cloned voices: speech equals the trace, and no voice affects another."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import torch

from tests.models.qwen3_tts.codec_checkpoints import voice_like
from tests.models.qwen3_tts.small import CPU
from tests.models.qwen3_tts.whole import segment, whole_checkpoint
from vivavoce.audio import open_encoder, wav_bytes
from vivavoce.errors import BadRequest, EngineFault, MissingDependency, Unsupported
from vivavoce.models.qwen3_tts import QwenOptions
from vivavoce.models.qwen3_tts.codec import load_decoder
from vivavoce.models.qwen3_tts.prompt.cloning import ClonedVoice
from vivavoce.models.qwen3_tts.runtime.memory import MAX_REFERENCE_TOKENS
from vivavoce.models.qwen3_tts.runtime.model import QwenModel
from vivavoce.models.qwen3_tts.tools.recorder import trace_speech
from vivavoce.types import AudioFormat, PreparedVoice, Reference, Samples, Segment, StopReason

FRAMES = 12
TOLERANCE = 1e-4
WORDS = "Some words."


@cache
def base_folder() -> tuple[TemporaryDirectory[str], Path]:
    """Return a Base checkpoint, and the object that keeps its folder."""
    folder = TemporaryDirectory()
    return folder, whole_checkpoint(Path(folder.name, "Base"), "base", frames=FRAMES)


@cache
def shared() -> QwenModel:
    return QwenModel(base_folder()[1], QwenOptions(max_batch=4))


def recording(
    seed: int, text: str | None = None, *, seconds: float = 1.5, rate_hz: int = 24_000
) -> Reference:
    samples = voice_like(round(seconds * rate_hz), seed).numpy()
    return Reference(
        (samples * 2**15).round().astype(np.float32) / 2**15, rate_hz, text
    )  # as in a file of 16 bits


def spoken_by(voice: PreparedVoice, seed: int = 1) -> Segment:
    return Segment("Hello.", "clone", "en", None, seed, prepared=voice)


def spoken(model: QwenModel, segments: Sequence[Segment]) -> list[Samples]:
    """Return the samples of each of `segments`, spoken together."""
    streams = [model.open(wanted) for wanted in segments]
    made: list[list[Samples]] = [[] for _ in streams]
    running = dict(enumerate(streams))
    while running:
        results = model.step(list(running.values()))
        for number, result in zip(tuple(running), results, strict=True):
            if isinstance(result, StopReason):
                model.close(running.pop(number))
            else:
                made[number].append(result)
    return [np.concatenate(parts) for parts in made]


def traced(
    reference: Reference, folder: Path, *, text: str = "Hello.", streaming: bool = False
) -> dict[str, torch.Tensor]:
    (folder / "voice.wav").write_bytes(wav_bytes(reference.samples, reference.sample_rate_hz))
    entries = {
        "text": text, "language": "english", "seed": 1, "max_frames": FRAMES,
        "ref_audio": "voice.wav",
    }  # fmt: skip
    entries |= {"x_vector_only": True} if reference.text is None else {"ref_text": reference.text}
    return dict(trace_speech(base_folder()[1], entries | {"non_streaming": not streaming}, folder))


@pytest.mark.parametrize("text", [None, WORDS])
@pytest.mark.parametrize("rate_hz", [24_000, 16_000, 44_100])
def test_speech_is_that_of_the_trace(tmp_path: Path, text: str | None, rate_hz: int) -> None:
    reference = recording(1, text, rate_hz=rate_hz)
    expected = traced(reference, tmp_path)
    voice = shared().prepare(reference)
    assert isinstance(voice, ClonedVoice)
    assert float((voice.clone.x_vector - expected["speaker_embedding"]).abs().max()) <= TOLERANCE
    assert voice.clone.in_context == ("ref_codes" in expected) == (text is not None)
    if voice.clone.codes is not None:
        assert torch.equal(voice.clone.codes, expected["ref_codes"])
    (heard,) = spoken(shared(), [spoken_by(voice)])
    assert heard.shape == expected["waveform"].shape
    assert np.abs(heard - expected["waveform"].numpy()).max() <= TOLERANCE
    assert np.abs(heard).max() > 0.01


@pytest.mark.parametrize("audio_format", ["flac", "mp3", "opus"])
def test_trace_takes_a_recording_in_the_formats_of_the_server(
    tmp_path: Path, audio_format: AudioFormat
) -> None:
    reference = recording(1, rate_hz=48_000)
    expected = traced(reference, tmp_path)
    encoder = open_encoder(audio_format, 48_000)
    (tmp_path / "voice").write_bytes(encoder.write(reference.samples) + encoder.finish())
    entries = {"text": "Hello.", "language": "english", "seed": 1, "max_frames": FRAMES}
    entries |= {"ref_audio": "voice", "x_vector_only": True, "non_streaming": True}
    made = trace_speech(base_folder()[1], entries, tmp_path)
    if audio_format == "flac":  # which loses nothing
        assert torch.equal(made["speaker_embedding"], expected["speaker_embedding"])
    assert made["speaker_embedding"].shape == expected["speaker_embedding"].shape


@pytest.mark.parametrize(
    ("name", "says"),
    [("absent.mp3", "absent.mp3' cannot be read"), ("noise", "the recording cannot")],
)
def test_trace_names_a_recording_that_it_cannot_read(tmp_path: Path, name: str, says: str) -> None:
    (tmp_path / "noise").write_bytes(b"no recording" * 100)
    entries = {"text": "Hello.", "ref_audio": name, "x_vector_only": True}
    with pytest.raises(BadRequest, match=says) as caught:
        trace_speech(base_folder()[1], entries, tmp_path)
    assert caught.value.field == "ref_audio"


def test_sound_goes_on_where_the_recording_ends(tmp_path: Path) -> None:
    reference = recording(3, WORDS, seconds=6.0)  # more frames than are prepared in one go
    expected = traced(reference, tmp_path)
    decoder = load_decoder(base_folder()[1] / "speech_tokenizer", CPU, torch.float32)
    both = torch.cat([expected["ref_codes"], expected["codes"]])
    whole = decoder.decode(both.T[None])[0][len(expected["ref_codes"]) * 1920 :]
    (heard,) = spoken(shared(), [spoken_by(shared().prepare(reference))])
    assert np.abs(heard - whole.numpy()).max() <= TOLERANCE
    cold = decoder.decode(expected["codes"].T[None])[0].numpy()
    assert (
        np.abs(heard[:1920] - cold[:1920]).max() > 10 * TOLERANCE
    )  # without it, it would begin otherwise


@pytest.mark.parametrize("words", [None, WORDS])
@pytest.mark.parametrize("text", ["Hi.", "A text of which more comes while it is said."])
def test_live_text_in_a_cloned_voice_is_the_streaming_mode_of_the_trace(
    tmp_path: Path, words: str | None, text: str
) -> None:
    reference = recording(1, words)
    expected = traced(reference, tmp_path, text=text, streaming=True)["waveform"].numpy()
    model = shared()
    stream = model.open(replace(spoken_by(model.prepare(reference)), text="", live=True))
    heard: list[Samples | StopReason] = []
    begun_with = 0  # letters
    for place in range(0, len(text), 3):
        model.feed(stream, text[place : place + 3], last=place + 3 >= len(text))
        begun_with = begun_with or model.slots_taken * (place + 3)
        heard.append(model.step([stream])[0])
    while not isinstance(heard[-1], StopReason):
        heard.append(model.step([stream])[0])
    model.close(stream)
    made = np.concatenate([samples for samples in heard if not isinstance(samples, StopReason)])
    assert made.shape == expected.shape
    assert np.abs(made - expected).max() <= TOLERANCE
    # In context the text is read beside the recording, so that as much of it must be known; all of
    # a short one.
    in_time = 9 < begun_with < len(text) if words else begun_with == 3
    assert in_time if len(text) > 3 else begun_with == 3
    assert model.slots_taken == 0


def test_voice_is_as_good_for_the_tenth_segment_as_for_the_first() -> None:
    voice = shared().prepare(recording(1, WORDS))
    first, *others = [spoken(shared(), [spoken_by(voice)])[0] for _ in range(3)]
    assert all(np.array_equal(first, other) for other in others)
    for together in spoken(shared(), [spoken_by(voice)] * 4):
        assert np.abs(together - first).max() <= TOLERANCE


def test_voices_that_speak_together_do_not_mix() -> None:
    references = [recording(1), recording(2, WORDS), recording(3, "Others."), recording(4)]
    wanted = [spoken_by(shared().prepare(reference)) for reference in references]
    alone = [spoken(shared(), [one])[0] for one in wanted]
    for one, other in zip(alone, spoken(shared(), wanted), strict=True):
        assert one.shape == other.shape
        assert np.abs(one - other).max() <= TOLERANCE
    assert len({one.tobytes() for one in alone}) == len(alone)
    assert shared().slots_taken == 0


def test_longest_recording_fits_with_its_words_and_a_long_segment() -> None:
    voice = shared().prepare(recording(1, "w" * MAX_REFERENCE_TOKENS, seconds=30.0))
    text = "A text of some length. " * 10
    (heard,) = spoken(shared(), [Segment(text, "clone", "en", None, 1, prepared=voice)])
    assert len(heard) == FRAMES * 1920


@pytest.mark.parametrize(
    ("reference", "field", "says"),
    [
        (recording(1, seconds=0.9), "ref_audio", "0.90 s, must have 1 to 30"),
        (recording(1, seconds=30.1), "ref_audio", "30.10 s, must have 1 to 30"),
        (
            recording(1, "w" * (MAX_REFERENCE_TOKENS + 1)),
            "ref_text",
            "257 tokens, the limit is 256",
        ),
    ],
)
def test_recording_out_of_its_bounds_is_refused_with_the_numbers(
    reference: Reference, field: str, says: str
) -> None:
    with pytest.raises(BadRequest, match=says) as caught:
        shared().prepare(reference)
    assert caught.value.field == field


def test_base_checkpoint_needs_a_voice_of_its_own_making() -> None:
    other = QwenModel(base_folder()[1], QwenOptions(max_batch=1))
    theirs = other.prepare(recording(1))
    for wanted, says in (
        (segment(voice="clone"), "send one in ref_audio"),
        (spoken_by(theirs), "not prepared by model 'base' as it is loaded now"),
        (spoken_by("anything"), "prepare it again"),
    ):
        with pytest.raises(BadRequest, match=says) as caught:
            shared().open(wanted)
        assert caught.value.field == "ref_audio"
    assert shared().slots_taken == 0
    assert spoken(other, [spoken_by(theirs)])[0].size


@pytest.mark.parametrize("task", ["custom_voice", "voice_design"])
def test_checkpoint_of_another_task_clones_nothing(tmp_path: Path, task: str) -> None:
    model = QwenModel(whole_checkpoint(tmp_path, task), QwenOptions(max_batch=1))
    assert not model.info.capabilities.clones
    with pytest.raises(Unsupported, match="clones no voice"):
        model.prepare(recording(1))
    with pytest.raises(Unsupported, match="clones no voice"):
        model.open(
            Segment("Hi.", "ryan", "en", "Calm.", 1, prepared=shared().prepare(recording(1)))
        )


def test_base_checkpoint_says_that_it_clones() -> None:
    info = shared().info
    assert info.capabilities.clones
    assert info.capabilities.needs == "reference"
    assert [(voice.id, voice.listed) for voice in info.voices] == [("clone", False)]


def test_low_precision_speaks_with_a_cloned_voice() -> None:
    model = QwenModel(base_folder()[1], QwenOptions(dtype="bfloat16", max_batch=1))
    (heard,) = spoken(model, [spoken_by(model.prepare(recording(1, WORDS)))])
    assert np.isfinite(heard).all()
    assert heard.size


def test_encoder_that_is_missing_shows_when_the_checkpoint_is_loaded(tmp_path: Path) -> None:
    whole_checkpoint(tmp_path, "base")
    (tmp_path / "speech_tokenizer" / "model.safetensors").write_bytes(b"")
    with pytest.raises((EngineFault, MissingDependency)):
        QwenModel(tmp_path)
