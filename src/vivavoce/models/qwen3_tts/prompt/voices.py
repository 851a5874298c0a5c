"""Describe a checkpoint's speakers, languages and abilities from its configuration.

The configuration names the speakers only. For those of the released checkpoints, language and
gender come from the model's description. Others are offered without.
"""

from collections.abc import Mapping

from vivavoce.models.qwen3_tts.checkpoint.config import Config
from vivavoce.text.language.names import LANGUAGES
from vivavoce.types import Capabilities, EngineInfo, Gender, Need, Task, Voice

RATE_HZ = 24_000
DESIGN = "design"  # the only voice of a VoiceDesign checkpoint, described by `instruct`
CLONE = "clone"  # the only voice of a Base checkpoint, that of the recording
RELEASED: Mapping[str, tuple[str, Gender]] = {
    "ryan": ("en", "male"), "aiden": ("en", "male"), "vivian": ("zh", "female"),
    "serena": ("zh", "female"), "uncle_fu": ("zh", "male"), "dylan": ("zh", "male"),
    "eric": ("zh", "male"), "ono_anna": ("ja", "female"), "sohee": ("ko", "female"),
}  # fmt: skip
MAX_LIVE_CHARS = 1_000  # about 800 frames of speech, of the 1,024 of a stream
NEEDS: Mapping[Task, Need] = {"voice_design": "instruct", "base": "reference"}
SIZES: Mapping[str, str] = {"0b6": "0.6B", "1b7": "1.7B"}
# OpenAI's voice names, each mapped to a speaker of the gender of that voice.
ALIASES: Mapping[str, str] = {
    "alloy": "serena", "ash": "ryan", "ballad": "aiden", "coral": "vivian", "echo": "ryan",
    "fable": "aiden", "nova": "serena", "onyx": "uncle_fu", "sage": "vivian", "shimmer": "serena",
    "verse": "aiden", "marin": "vivian", "cedar": "ryan", "default": "ryan",
}  # fmt: skip

_NAMES = {language.name: language.code for language in LANGUAGES}


def describe(config: Config, name: str, device: str, dtype: str) -> EngineInfo:
    """Return the description of the checkpoint `config` as the model `name`.

    It is the same before and after loading: nothing here depends on the weights.
    """
    codes = language_codes(config)
    voices = _voices(config, tuple(codes))
    ids = [voice.id for voice in voices]
    size = SIZES.get(config.size, config.size)
    return EngineInfo(
        name=name,
        sample_rate_hz=RATE_HZ,
        languages=tuple(codes),
        voices=voices,
        capabilities=Capabilities(
            instruct=config.follows_instruct,
            seed=True,
            sampling=True,
            live_text=True,
            clones=config.task == "base",
            # A seed repeats the codes, in float32. The samples differ by rounding, which depends on
            # the chunks.
            deterministic=False,
            needs=NEEDS.get(config.task),
        ),
        task=config.task,
        max_live_chars=MAX_LIVE_CHARS,
        # A name whose speaker the checkpoint lacks stands for its first voice.
        aliases={name: one if one in ids else ids[0] for name, one in ALIASES.items() if ids},
        default_voices=_default_voices(config, tuple(codes)),
        description=f"Qwen3-TTS {config.task}, {size} on {device}, {dtype}.",
    )


def language_codes(config: Config) -> dict[str, str]:
    """Return ISO 639-1 code → the checkpoint's name, for languages that both know."""
    return {_NAMES[name]: name for name in config.languages if name in _NAMES}


def _voices(config: Config, codes: tuple[str, ...]) -> tuple[Voice, ...]:
    if config.task == "voice_design":
        return (Voice(DESIGN, "Design", codes, description="The voice that `instruct` describes."),)
    if config.task == "base":
        # Not listed: it is chosen by sending a recording, not by its name.
        text = "The voice of the recording in `ref_audio`."
        return (Voice(CLONE, "Clone", codes, listed=False, description=text),)
    return tuple(_voice(name, config, codes) for name in config.speakers)


def _voice(name: str, config: Config, codes: tuple[str, ...]) -> Voice:
    native, gender = RELEASED.get(name, ("", "neutral"))
    dialect = config.dialects.get(name, "").replace("_", " ")
    return Voice(
        name,
        name.replace("_", " ").title(),
        # Every speaker speaks all languages. The sort is stable.
        tuple(sorted(codes, key=lambda code: code != native)),
        gender,
        description=f"Chinese in the {dialect}." if dialect else "",
    )


def _default_voices(config: Config, codes: tuple[str, ...]) -> dict[str, str]:
    """Return language → its best voice: a native speaker, else a speaker of English."""
    natives: dict[str, str] = {}
    for name, (native, _) in RELEASED.items():
        if name in config.speakers:
            natives.setdefault(native, name)
    best = {code: natives.get(code) or natives.get("en") for code in codes}
    return {code: voice for code, voice in best.items() if voice is not None}
