"""Run the published codec and speaker encoder on a folder of cases.

    codec_oracle.py FOLDER

It runs in the oracle's environment and knows nothing of vivavoce. Each FOLDER/NAME holds `codec/`
(a speech tokenizer), `speaker/` (a Base checkpoint's speaker encoder) and `inputs.safetensors`. The
answers go to FOLDER/NAME/oracle.safetensors.
"""

import json
import sys
from pathlib import Path

import torch
from qwen_tts import Qwen3TTSTokenizer
from qwen_tts.core.models.configuration_qwen3_tts import Qwen3TTSSpeakerEncoderConfig
from qwen_tts.core.models.modeling_qwen3_tts import Qwen3TTSSpeakerEncoder, mel_spectrogram
from safetensors.torch import load_file, save_file


def speech_tokenizer(folder: Path) -> Qwen3TTSTokenizer:
    """Return the published tokenizer with exactly the tensors of the file."""
    tokenizer = Qwen3TTSTokenizer.from_pretrained(str(folder), dtype=torch.float32)
    tokenizer.model.load_state_dict(load_file(folder / "model.safetensors"), strict=True)
    return tokenizer


def speaker_encoder(folder: Path) -> Qwen3TTSSpeakerEncoder:
    """Return the published speaker encoder after checking its names and shapes."""
    raw = json.loads((folder / "config.json").read_text())["speaker_encoder_config"]
    encoder = Qwen3TTSSpeakerEncoder(Qwen3TTSSpeakerEncoderConfig(**raw))
    tensors = load_file(folder / "model.safetensors")
    prefix = "speaker_encoder."
    mine = {
        name.removeprefix(prefix): tensor.float()
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }
    encoder.load_state_dict(mine, strict=True)
    return encoder.eval()


def answer(case: Path) -> dict[str, torch.Tensor]:
    """Return the published code's answers to one case."""
    inputs = load_file(case / "inputs.safetensors")
    tokenizer = speech_tokenizer(case / "codec")
    answers = {"samples": tokenizer.model.decoder(inputs["codes"])[:, 0]}
    encoder = speaker_encoder(case / "speaker")
    for name, audio in inputs.items():
        if name.startswith("audio"):
            codes = tokenizer.encode(audio.numpy(), sr=24000).audio_codes[0]
            answers[name.replace("audio", "codes")] = codes.T.contiguous()
        if name.startswith("voice"):
            mel = mel_spectrogram(audio[None], 1024, 128, 24000, 256, 1024, 0, 12000)
            answers[name.replace("voice", "vector")] = encoder(mel.transpose(1, 2))[0]
    return answers


@torch.inference_mode()
def main() -> None:
    torch.set_num_threads(1)
    for case in sorted(path.parent for path in Path(sys.argv[1]).glob("*/inputs.safetensors")):
        save_file(
            {name: tensor.clone() for name, tensor in answer(case).items()},
            case / "oracle.safetensors",
        )


if __name__ == "__main__":
    main()
