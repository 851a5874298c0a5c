"""Read `config.json` and `generation_config.json` of a released checkpoint into frozen dataclasses.

It knows names and numbers only: no tensor, no torch, no tokenizer. Speakers, languages and special
ids are read from the file, so a fine-tuned checkpoint with other voices works as it is.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast, get_args

from vivavoce.errors import Unsupported
from vivavoce.models.qwen3_tts.checkpoint.section import Section, read_section
from vivavoce.names import is_name
from vivavoce.types import Task

AUTO = "auto"
# Keys of `config.json`, in the order of the fields of `TextIds` and `CodecIds`.
TEXT_IDS = tuple(
    f"{name}_token_id" for name in ("im_start", "im_end", "tts_pad", "tts_bos", "tts_eos")
)
CODEC_IDS = tuple(
    f"codec_{name}"
    for name in (
        *("pad_id", "bos_id", "eos_token_id", "think_id", "nothink_id"),
        *("think_bos_id", "think_eos_id"),
    )
)


@dataclass(frozen=True, slots=True)
class StackConfig:
    """Shape of one stack of decoder layers. The talker and the code predictor have one each."""

    hidden_size: int
    intermediate_size: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    rope_theta: float
    norm_eps: float


@dataclass(frozen=True, slots=True)
class TextIds:
    """Text tokens with a meaning of their own."""

    im_start: int
    im_end: int
    pad: int
    bos: int
    eos: int


@dataclass(frozen=True, slots=True)
class CodecIds:
    """Entries of the talker's codec vocabulary that stand for no sound."""

    pad: int
    bos: int
    eos: int
    think: int
    nothink: int
    think_bos: int
    think_eos: int


@dataclass(frozen=True, slots=True)
class SamplingDefaults:
    """Sampling settings of the checkpoint, for requests that give none."""

    temperature: float = 0.9
    top_k: int = 50  # 0: no limit
    top_p: float = 1.0
    greedy: bool = False


@dataclass(frozen=True, slots=True)
class GenerationConfig:
    """Values of `generation_config.json`: sampling of talker and code predictor, and the length."""

    talker: SamplingDefaults
    predictor: SamplingDefaults
    repetition_penalty: float
    max_frames: int


@dataclass(frozen=True, slots=True)
class Config:
    """All values of a checkpoint that the language model needs."""

    task: Task
    size: str  # "0b6" or "1b7" in the released files
    talker: StackConfig
    predictor: StackConfig
    codebooks: int  # codes in one frame
    codec_vocab_size: int  # the talker's: sounds, then speakers, languages and special ids
    code_vocab_size: int  # entries of one codebook
    text_vocab_size: int
    text_hidden_size: int
    max_positions: int
    text_ids: TextIds
    codec_ids: CodecIds
    speakers: Mapping[str, int]  # lower case
    dialects: Mapping[str, str]  # speaker → language that replaces chinese or auto
    language_ids: Mapping[str, int]
    generation: GenerationConfig

    @property
    def languages(self) -> tuple[str, ...]:
        """Languages of a request, `auto` first. A dialect follows from the speaker."""
        return (AUTO, *(name for name in self.language_ids if "dialect" not in name))

    @property
    def follows_instruct(self) -> bool:
        """True if it follows instructions. 0.6B and clone models were not trained on any."""
        return self.task == "voice_design" or (self.task == "custom_voice" and self.size != "0b6")

    @property
    def suppressed_tokens(self) -> tuple[int, ...]:
        """Ids never to draw: the vocabulary's last 1024, without the end of speech."""
        last = range(self.codec_vocab_size - 1024, self.codec_vocab_size)
        return tuple(number for number in last if number >= 0 and number != self.codec_ids.eos)


def read_config(folder: Path) -> Config:
    """Return the configuration of the checkpoint in `folder`.

    Raises `MissingDependency` if a file is absent and `EngineFault` if one cannot be read, lacks a
    key or asks for something that this engine does not have.
    """
    root = read_section(folder / "config.json")
    talker = root.section("talker_config")
    predictor = talker.section("code_predictor_config")
    codebooks = talker.integer("num_code_groups")
    codec_vocab, text_vocab = talker.integer("vocab_size"), talker.integer("text_vocab_size")
    if predictor.integer("num_code_groups") != codebooks:
        predictor.refuse("num_code_groups", f"{codebooks}, as in talker_config")
    return Config(
        task=_task(root),
        size=root.text("tts_model_size"),
        talker=_decoder(talker),
        predictor=_decoder(predictor),
        codebooks=codebooks,
        codec_vocab_size=codec_vocab,
        code_vocab_size=predictor.integer("vocab_size"),
        text_vocab_size=text_vocab,
        text_hidden_size=talker.integer("text_hidden_size"),
        max_positions=talker.integer("max_position_embeddings"),
        text_ids=_text_ids(root, text_vocab),
        codec_ids=_codec_ids(talker, codec_vocab),
        speakers=_named(talker.numbers("spk_id", below=codec_vocab)),
        dialects=_dialects(talker),
        language_ids=_named(talker.numbers("codec_language_id", below=codec_vocab)),
        generation=_generation(folder / "generation_config.json"),
    )


def _named(numbers: Mapping[str, int]) -> dict[str, int]:
    """Return `numbers` by name in lower case, without names that nobody could ask for."""
    return {name.lower(): number for name, number in numbers.items() if is_name(name)}


def _task(root: Section) -> Task:
    name = root.text("tts_model_type")
    if name not in get_args(Task):
        root.refuse("tts_model_type", f"one of {', '.join(get_args(Task))}")
    return cast(Task, name)  # checked on the line before


def _decoder(section: Section) -> StackConfig:
    if section.optional("hidden_act", str) not in (None, "silu"):
        section.refuse("hidden_act", "'silu'")
    for switch in ("attention_bias", "use_sliding_window", "tie_word_embeddings"):
        if section.optional(switch, bool):
            section.refuse(switch, "false")
    hidden, heads = section.integer("hidden_size"), section.integer("num_attention_heads")
    given = section.values.get("head_dim") is not None
    return StackConfig(
        hidden_size=hidden,
        intermediate_size=section.integer("intermediate_size"),
        layers=section.integer("num_hidden_layers"),
        heads=heads,
        kv_heads=section.integer("num_key_value_heads"),
        head_dim=section.integer("head_dim") if given else hidden // max(heads, 1),
        rope_theta=section.number("rope_theta"),
        norm_eps=section.number("rms_norm_eps"),
    )


def _text_ids(root: Section, vocabulary: int) -> TextIds:
    return TextIds(*(root.integer(name, below=vocabulary) for name in TEXT_IDS))


def _codec_ids(talker: Section, vocabulary: int) -> CodecIds:
    return CodecIds(*(talker.integer(name, below=vocabulary) for name in CODEC_IDS))


def _dialects(talker: Section) -> dict[str, str]:
    # A speaker without a dialect has `false` in the released files.
    entries = talker.optional("spk_is_dialect", dict) or {}
    return {str(name).lower(): str(dialect) for name, dialect in entries.items() if dialect}


def _generation(path: Path) -> GenerationConfig:
    section = read_section(path)
    return GenerationConfig(
        talker=_sampling(section, ""),
        predictor=_sampling(section, "subtalker_"),
        repetition_penalty=section.number("repetition_penalty", 1.05),
        # A cap of N tokens ends the published loop after N - 1 whole frames.
        max_frames=section.integer("max_new_tokens", 2048) - 1,
    )


def _sampling(section: Section, prefix: str) -> SamplingDefaults:
    draws = section.optional("do_sample" if not prefix else f"{prefix}dosample", bool)
    temperature = section.number(f"{prefix}temperature", 0.9)
    top_k, top_p = section.integer(f"{prefix}top_k", 50), section.number(f"{prefix}top_p", 1.0)
    return SamplingDefaults(temperature, top_k, top_p, greedy=draws is False)


def language_name(config: Config, language: str) -> str:
    """Return `language` in the checkpoint's spelling. Raises `Unsupported` if it has none."""
    name = language.lower()
    if name not in config.languages:
        problem = f"language {language!r} is not one of this model's: {', '.join(config.languages)}"
        raise Unsupported(problem, field="language")
    return name
