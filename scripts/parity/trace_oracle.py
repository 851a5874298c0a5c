"""Run the published package on a folder of requests, in the oracle's environment.

    trace_oracle.py CASES

CASES holds checkpoint/, a recording and 0.json, 1.json and so on. N.oracle.safetensors gets the
tensors that `vivavoce trace` writes for N.json. Inputs and results go through the package's own
functions, from files to waveform. This script knows nothing of vivavoce.
"""

import json
import sys
from pathlib import Path
from typing import Any

import torch
from qwen_tts import Qwen3TTSModel
from safetensors.torch import load_file, save_file


def load(folder: Path) -> Qwen3TTSModel:
    """Return the published model with exactly the tensors of the files."""
    tts = Qwen3TTSModel.from_pretrained(
        str(folder), dtype=torch.float32, attn_implementation="sdpa"
    )
    for module, file in (
        (tts.model, folder),
        (tts.model.speech_tokenizer.model, folder / "speech_tokenizer"),
    ):
        module.load_state_dict(load_file(file / "model.safetensors"), strict=True)
    return tts


def run(tts: Qwen3TTSModel, request: dict[str, Any], beside: Path) -> dict[str, torch.Tensor]:
    """Return every tensor of one greedy request."""
    seen: dict[str, Any] = {"logits": []}
    talker = tts.model.talker
    generate, outer = talker.generate, tts.model.generate

    def spy_talker(**given: Any) -> Any:
        seen.update(prompt=given["inputs_embeds"][0], trailing=given["trailing_text_hidden"][0])
        return generate(**given)

    def spy_model(**given: Any) -> Any:
        result = outer(**given)
        seen["codes"] = result[0][0]
        return result

    talker.generate, tts.model.generate = spy_talker, spy_model
    hook = talker.codec_head.register_forward_hook(
        lambda _, __, out: seen["logits"].append(out[0, -1].clone())
    )
    try:
        seen |= speak(tts, request, beside)
    finally:
        hook.remove()
        talker.generate, tts.model.generate = generate, outer
    seen["logits"] = torch.stack(seen["logits"])[: len(seen["codes"])]
    return {name: tensor.clone().contiguous() for name, tensor in seen.items()}


def speak(tts: Qwen3TTSModel, request: dict[str, Any], beside: Path) -> dict[str, torch.Tensor]:
    """Call the package's functions for the request's task.

    Return the waveform, and the encoded recording of a clone.
    """
    common = {
        "text": request["text"],
        "language": request["language"],
        "non_streaming_mode": request["non_streaming"],
    }
    # A cap of N tokens ends the published loop after N - 1 whole frames.
    common |= {
        "do_sample": False,
        "subtalker_dosample": False,
        "max_new_tokens": request["max_frames"] + 1,
    }
    voice = {}
    if request["task"] == "custom_voice":
        waves, _ = tts.generate_custom_voice(
            speaker=request["speaker"], instruct=request.get("instruct"), **common
        )
    elif request["task"] == "voice_design":
        waves, _ = tts.generate_voice_design(instruct=request["instruct"], **common)
    else:
        items = tts.create_voice_clone_prompt(
            str(beside / request["ref_audio"]), request["ref_text"], request["x_vector_only"]
        )
        voice["speaker_embedding"] = items[0].ref_spk_embedding
        if items[0].ref_code is not None:
            voice["ref_codes"] = items[0].ref_code
        waves, _ = tts.generate_voice_clone(voice_clone_prompt=items, **common)
    return {"waveform": torch.from_numpy(waves[0]), **voice}


def main() -> None:
    """Read the requests and write the answers."""
    folder = Path(sys.argv[1])
    tts = load(folder / "checkpoint")
    for path in sorted(folder.glob("*.json")):
        out = path.with_suffix(".oracle.safetensors")
        if not out.exists():  # from a run that was cut short
            save_file(run(tts, json.loads(path.read_text(encoding="utf-8")), folder), out)


if __name__ == "__main__":
    main()
