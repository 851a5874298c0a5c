"""Lay out a request as the talker's prompt, position by position, and embed it.

`lay_out` works on token ids alone. `embed` turns its result into the talker's input. Every position
has a text token. Most have a sound beside it: an entry of the codec vocabulary, the speaker's
x-vector, or a frame of reference codes. Neither knows how frames are made.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from vivavoce.errors import BadRequest, UnknownVoice, Unsupported
from vivavoce.models.qwen3_tts.checkpoint.config import AUTO, Config, language_name
from vivavoce.models.qwen3_tts.checkpoint.tokenizer import Tokenizer
from vivavoce.models.qwen3_tts.network.talker import Talker
from vivavoce.models.qwen3_tts.prompt.prefix_cache import Prefix
from vivavoce.types import MAX_INSTRUCT_CHARS

TURN = "<|im_start|>assistant\n{}<|im_end|>\n"
REPLY = "<|im_start|>assistant\n"
INSTRUCTION = "<|im_start|>user\n{}<|im_end|>\n"
ROLE = 3  # tokens of REPLY, which open a TURN
END = 2  # tokens that close a TURN


@dataclass(frozen=True, slots=True, eq=False)
class Clone:
    """A voice from a recording: an x-vector, in context also the recording's codes and text."""

    x_vector: Tensor  # [hidden]
    codes: Tensor | None = None  # [frames, codebooks]
    text: str | None = None

    @property
    def in_context(self) -> bool:
        """True if the talker reads the recording itself, and not only its x-vector."""
        return self.codes is not None


@dataclass(frozen=True, slots=True, eq=False)
class PromptRequest:
    """Text, voice and style. `stream_text` feeds the text during speech instead of before."""

    text: str
    language: str = AUTO
    speaker: str | None = None
    instruct: str | None = None
    clone: Clone | None = None
    stream_text: bool = False


# A codec id, nothing, or something embedded.
Sound: TypeAlias = int | Literal["silence", "x_vector", "reference"]
# Text token and sound. The n-th "reference" is the n-th reference frame.
Position: TypeAlias = tuple[int, Sound]


@dataclass(frozen=True, slots=True)
class PromptLayout:
    """The prompt's positions, and the text that is fed afterwards, one token a frame."""

    positions: tuple[Position, ...]
    trailing: tuple[int, ...]  # text tokens, then `pad` follows
    # First positions that all prompts in this voice have: those before the text, without the last.
    shared: int = 0


def lay_out(request: PromptRequest, config: Config, tokenizer: Tokenizer) -> PromptLayout:
    """Return the prompt of `request`. Raises `BadRequest` if this checkpoint cannot speak it."""
    check(request, config)
    turn = tokenizer.encode(TURN.format(request.text) + REPLY)[: -END - ROLE]
    layout = lay_out_turn(request, config, tokenizer, turn, complete=True)
    assert layout is not None, "a complete text is enough to begin with"
    return layout


def lay_out_turn(
    request: PromptRequest,
    config: Config,
    tokenizer: Tokenizer,
    turn: Sequence[int],
    *,
    complete: bool,
) -> PromptLayout | None:
    """Return the prompt of a checked request whose text has the ids `turn`.

    They are those of a `TURN` without its end. If they are not `complete`, more may follow
    `trailing`. Returns None while there are too few to begin.
    """
    if request.instruct and (length := len(request.instruct)) > MAX_INSTRUCT_CHARS:
        problem = f"instruct has {length:,} characters, the limit is {MAX_INSTRUCT_CHARS:,}"
        raise BadRequest(f"{problem}: shorten it", field="instruct")  # before it is tokenized
    text = turn[ROLE:]
    if complete and not text:
        raise BadRequest("the text is empty: send something to say", field="text")
    reference = _reference_text(request, tokenizer)
    speech = _speech(request, config, [*reference, *text], complete)
    if speech is None:
        return None
    positions: list[Position] = []
    if request.instruct and config.follows_instruct:
        positions += _silent(tokenizer.encode(INSTRUCTION.format(request.instruct)))
    positions += _silent(turn[:ROLE])
    positions += _header(request, config)
    spoken, trailing = speech
    shared = min(len(positions) + len(reference), len(positions) + len(spoken) - 1)
    return PromptLayout((*positions, *spoken), tuple(trailing), shared)


def check_length(layout: PromptLayout, request: PromptRequest, most: int) -> None:
    """Raise `BadRequest` if the prompt has more than `most` positions."""
    if (length := len(layout.positions)) > most:
        field = "instruct" if request.instruct else "text"
        raise BadRequest(
            f"text and instruct take {length:,} tokens together, {most:,} fit: shorten {field}",
            field=field,
        )


def embed(
    layout: PromptLayout, talker: Talker, clone: Clone | None = None
) -> tuple[Tensor, Tensor]:
    """Return the embedded prompt [positions, hidden] and trailing text [tokens, hidden]."""
    device, dtype = talker.device, talker.dtype
    prompt = talker.embed_text(torch.tensor([text for text, _ in layout.positions]))
    sounds = torch.zeros_like(prompt)
    where = _indices(layout.positions, device)
    ids = [sound for _, sound in layout.positions if isinstance(sound, int)]
    sounds[where["id"]] = talker.embed_codec(torch.tensor(ids, device=device, dtype=torch.int64))
    if clone is not None:
        sounds[where["x_vector"]] = clone.x_vector.to(device, dtype)
        if clone.codes is not None:
            sounds[where["reference"]] = talker.embed_frames(clone.codes.to(device, torch.int64))
    trailing = talker.embed_text(torch.tensor(layout.trailing, dtype=torch.int64))
    return prompt + sounds, trailing


def shared_prefix(layout: PromptLayout, clone: Clone | None = None) -> Prefix:
    """Return the prefix that prompts of the same voice share.

    Its key has the tokens and sounds of each position, and the values of a cloned voice.
    """
    voice = None if clone is None else _digest(clone)
    return Prefix(layout.shared, (layout.positions[: layout.shared], voice))


def _digest(clone: Clone) -> bytes:
    digest = hashlib.blake2b(clone.x_vector.float().cpu().numpy().tobytes())
    if clone.codes is not None:
        digest.update(clone.codes.cpu().numpy().tobytes())
    return digest.digest()


def embed_pad(talker: Talker, config: Config) -> Tensor:
    """Return the text embedding [hidden] of a frame without text of its own."""
    return talker.embed_text(torch.tensor([config.text_ids.pad]))[0]


def _header(request: PromptRequest, config: Config) -> Iterator[Position]:
    """Yield language and speaker beside padding, then the marker of the text's beginning."""
    codec, pad = config.codec_ids, config.text_ids.pad
    language = _language_id(request, config)
    if language is None:
        sounds: list[Sound] = [codec.nothink, codec.think_bos, codec.think_eos]
    else:
        sounds = [codec.think, codec.think_bos, language, codec.think_eos]
    if request.speaker is not None:
        sounds.append(config.speakers[request.speaker.lower()])
    elif request.clone is not None:
        sounds.append("x_vector")
    yield from ((pad, sound) for sound in sounds)
    yield config.text_ids.bos, codec.pad


def _reference_text(request: PromptRequest, tokenizer: Tokenizer) -> Sequence[int]:
    """Return the ids of an in-context recording's text, which comes before the text."""
    if request.clone is None or not request.clone.in_context:
        return ()
    return tokenizer.encode(TURN.format(request.clone.text))[ROLE:-END]


def _speech(
    request: PromptRequest, config: Config, text: Sequence[int], complete: bool
) -> tuple[list[Position], Sequence[int]] | None:
    """Return the text beside the sounds so far, and the text that is fed afterwards.

    The sounds are the beginning of speech, and for a clone in context the recording. Returns None
    if the text is not complete and shorter than the sounds.
    """
    heard: list[Sound] = [config.codec_ids.bos]
    clone = request.clone
    if clone is not None and clone.codes is not None:
        heard += ["reference"] * len(clone.codes)
    if complete:
        text = [*text, config.text_ids.eos]
    elif len(text) < len(heard):
        return None
    if request.stream_text:
        padding = [config.text_ids.pad] * (len(heard) - len(text))
        return list(zip([*text, *padding], heard, strict=False)), text[len(heard) :]
    read: list[Position] = [(token, config.codec_ids.pad) for token in text]
    return [*read, *((config.text_ids.pad, sound) for sound in heard)], ()


def _language_id(request: PromptRequest, config: Config) -> int | None:
    """Return the codec id of the language, of a dialect for its speakers' Chinese, or None."""
    name = language_name(config, request.language)
    if name in (AUTO, "chinese") and request.speaker is not None:
        name = config.dialects.get(request.speaker.lower(), name)
    return None if name == AUTO else config.language_ids[name]


def _silent(tokens: Sequence[int]) -> Iterator[Position]:
    return ((token, "silence") for token in tokens)


def _indices(positions: Sequence[Position], device: torch.device) -> dict[str, Tensor]:
    """Return the indices of each kind of sound among `positions`."""
    places: dict[str, list[int]] = {"id": [], "x_vector": [], "reference": []}
    for at, (_, sound) in enumerate(positions):
        if sound != "silence":
            places["id" if isinstance(sound, int) else sound].append(at)
    return {
        kind: torch.tensor(indices, device=device, dtype=torch.int64)
        for kind, indices in places.items()
    }


def check(request: PromptRequest, config: Config) -> None:
    """Raise `BadRequest` if the request's voice does not suit the checkpoint's task."""
    if config.task == "custom_voice" and (request.speaker or "").lower() not in config.speakers:
        raise UnknownVoice(
            f"speaker {request.speaker!r} is not one of this model's: {', '.join(config.speakers)}",
            field="speaker",
        )
    if config.task != "custom_voice" and request.speaker is not None:
        problem = f"a {config.task} model has no speakers: leave out {request.speaker!r}"
        raise Unsupported(problem, field="speaker")
    if (config.task == "base") != (request.clone is not None):
        needed = "clones no voice: leave the recording out"
        needed = "needs a reference recording" if config.task == "base" else needed
        raise Unsupported(f"a {config.task} model {needed}", field="ref_audio")
    if request.clone is not None:
        _check_clone(request.clone, config)


def _check_clone(clone: Clone, config: Config) -> None:
    if tuple(clone.x_vector.shape) != (config.talker.hidden_size,):
        raise BadRequest(
            f"the x-vector has shape {tuple(clone.x_vector.shape)}, must be "
            f"({config.talker.hidden_size},): prepare the voice with this model",
            field="ref_audio",
        )
    if clone.codes is not None:
        if clone.codes.dim() != 2 or clone.codes.shape[1] != config.codebooks:
            problem = f"reference codes have shape {tuple(clone.codes.shape)}"
            message = f"{problem}, must be (frames, {config.codebooks})"
            raise BadRequest(message, field="ref_audio")
        if not clone.text:
            problem = "a clone in context needs the words of its recording"
            raise BadRequest(problem, field="ref_text")
