"""Runs in the oracle's environment: what the published package makes of the requests in a folder of cases.

lm_oracle.py CASES       CASES holds case.json, clone.safetensors and checkpoint/; writes oracle.safetensors
"""

import json
import sys
from pathlib import Path
from typing import Any

import torch
from qwen_tts import Qwen3TTSModel, VoiceClonePromptItem
from qwen_tts.core.models import Qwen3TTSConfig, Qwen3TTSForConditionalGeneration, Qwen3TTSProcessor
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoProcessor, PreTrainedModel


class Silence:
    """Stands for the codec, which is compared elsewhere."""

    def decode(self, frames: list[Any]) -> tuple[list[Any], int]:
        return [torch.zeros(1).numpy() for _ in frames], 24000


def load(folder: Path) -> Qwen3TTSModel:
    """The published model on a checkpoint without its codec, every tensor of the language model accounted for."""
    AutoConfig.register("qwen3_tts", Qwen3TTSConfig)
    AutoProcessor.register(Qwen3TTSConfig, Qwen3TTSProcessor)
    # The class's own from_pretrained would ask for the codec's folder.
    loader = PreTrainedModel.from_pretrained.__func__
    model, info = loader(
        Qwen3TTSForConditionalGeneration,
        folder,
        dtype=torch.float32,
        attn_implementation="sdpa",
        output_loading_info=True,
    )
    missing = [name for name in info["missing_keys"] if not name.startswith("speaker_encoder.")]
    assert not missing, f"the published loader misses {missing}"
    assert not info["unexpected_keys"], f"the published loader does not know {info['unexpected_keys']}"
    model.load_speech_tokenizer(Silence())
    processor = AutoProcessor.from_pretrained(folder, fix_mistral_regex=True)
    return Qwen3TTSModel(model=model.eval(), processor=processor, generate_defaults={})


def run(tts: Qwen3TTSModel, request: dict[str, Any], clone: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The prompt, trailing text, codes and logits of one greedy request."""
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
    hook = talker.codec_head.register_forward_hook(lambda _, __, out: seen["logits"].append(out[0, -1].clone()))
    try:
        speak(tts, request, clone)
    finally:
        hook.remove()
        talker.generate, tts.model.generate = generate, outer
    seen["logits"] = torch.stack(seen["logits"])[: len(seen["codes"])]
    return {name: tensor.clone().contiguous() for name, tensor in seen.items()}


def speak(tts: Qwen3TTSModel, request: dict[str, Any], clone: dict[str, torch.Tensor]) -> None:
    """Calls the package's function for the request's task."""
    common = {"text": request["text"], "language": request["language"], "non_streaming_mode": request["non_streaming"]}
    common |= {"do_sample": False, "subtalker_dosample": False, "max_new_tokens": request["max_frames"] + 1}
    if request["task"] == "custom_voice":
        tts.generate_custom_voice(speaker=request["speaker"], instruct=request.get("instruct"), **common)
    elif request["task"] == "voice_design":
        tts.generate_voice_design(instruct=request["instruct"], **common)
    else:
        alone = request["x_vector_only"]
        item = VoiceClonePromptItem(
            ref_code=None if alone else clone["ref_codes"],
            ref_spk_embedding=clone["x_vector"],
            x_vector_only_mode=alone,
            icl_mode=not alone,
            ref_text=None if alone else request["ref_text"],
        )
        tts.generate_voice_clone(voice_clone_prompt=[item], **common)


def main() -> None:
    """Reads the cases, writes the answers."""
    torch.set_num_threads(1)
    folder = Path(sys.argv[1])
    tts, clone = load(folder / "checkpoint"), load_file(folder / "clone.safetensors")
    answers = {}
    for number, request in enumerate(json.loads((folder / "case.json").read_text(encoding="utf-8"))):
        for name, tensor in run(tts, request, clone).items():
            answers[f"{number}.{name}"] = tensor
    save_file(answers, folder / "oracle.safetensors")


if __name__ == "__main__":
    main()
