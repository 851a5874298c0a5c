"""Prepare a cloned voice from a recording, once for many segments.

A voice always has an x-vector. If the recording's text is known, it also has the recording's codes,
and the codec decoder's state after them, so that speech continues where the recording ends. It
knows no slots and no streams.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vivavoce.audio import Resampler
from vivavoce.errors import BadRequest, EngineFault
from vivavoce.models.qwen3_tts.codec import CodecDecoder, DecoderState, load_encoder
from vivavoce.models.qwen3_tts.network.speaker_encoder import load_speaker_encoder
from vivavoce.models.qwen3_tts.prompt.layout import Clone
from vivavoce.models.qwen3_tts.prompt.prepared import Tensors, form_name, read_form, write_form
from vivavoce.types import Reference, Samples

MIN_REFERENCE_S, MAX_REFERENCE_S = 1.0, 30.0
BLOCK_FRAMES = 64  # decoded at once: about 3 MB each at the released shape


@dataclass(frozen=True, slots=True, eq=False)
class ClonedVoice:
    """A `PreparedVoice` of one loaded checkpoint, which `owner` identifies."""

    owner: object
    clone: Clone
    codec: DecoderState | None  # after the recording's codes; None without context


class Cloner:
    """The two encoders of the Base checkpoint in `folder`, in float32 on `device`.

    They are loaded with the checkpoint, which cannot speak without them. Missing files thus show
    when the server starts, and no first request waits for the encoders. `prepare` may run in
    another thread during the steps of the `decoder`: all of them only read the weights. Raises
    `MissingDependency` for an absent file, `EngineFault` for one that does not fit.
    """

    def __init__(
        self, folder: Path, codec_folder: Path, decoder: CodecDecoder, device: torch.device
    ) -> None:
        self._speaker = load_speaker_encoder(folder, device, torch.float32)
        self._encoder = load_encoder(codec_folder, device, torch.float32)
        self._decoder = decoder
        self._device = device
        self._owner = object()
        empty = decoder.open().memory
        self._form = form_name((folder, codec_folder), device.type, empty.dtype, empty.numel())
        rates = {self._speaker.config.sample_rate, self._encoder.sample_rate_hz}
        if len(rates) != 1:
            problem = f"want samples at {sorted(rates)} Hz, expected one rate"
            raise EngineFault(f"the encoders of {str(folder)!r} {problem}")

    def prepare(self, reference: Reference) -> ClonedVoice:
        """Return the voice, in context if there is a text. Raises `BadRequest` by its length.

        The form of a saved recording is kept, and taken from there.
        """
        _check_length(reference)
        kept = read_form(reference, self._form)
        if kept is None:
            kept = self._made(reference)
            write_form(reference, self._form, kept)
        tensors = {name: tensor.to(self._device) for name, tensor in kept.items()}
        if "codes" not in tensors:
            return ClonedVoice(self._owner, Clone(tensors["x_vector"]), None)
        clone = Clone(tensors["x_vector"], tensors["codes"], reference.text)
        return ClonedVoice(self._owner, clone, DecoderState(tensors["memory"], tensors["age"]))

    def _made(self, reference: Reference) -> Tensors:
        """Return the x-vector, in context with the codes and the decoder's state after them."""
        at_rate = _at_rate(reference, self._encoder.sample_rate_hz)
        samples = torch.from_numpy(at_rate).to(self._device)
        vector = self._speaker.embed(samples)
        if reference.text is None:
            return {"x_vector": vector}
        codes = self._encoder.encode(samples)  # [codebooks, frames]
        state = self._after(codes)
        made = {"x_vector": vector, "codes": codes.T.contiguous()}
        return {**made, "memory": state.memory, "age": state.age}

    def owns(self, voice: object) -> bool:
        """True if this checkpoint, as it is loaded now, prepared `voice`."""
        return isinstance(voice, ClonedVoice) and voice.owner is self._owner

    def _after(self, codes: Tensor) -> DecoderState:
        """Return the decoder's state after `codes` [codebooks, frames]."""
        state = self._decoder.open()
        for start in range(0, codes.shape[1], BLOCK_FRAMES):
            self._decoder.step(codes[None, :, start : start + BLOCK_FRAMES], [state])
        return state


def _check_length(reference: Reference) -> None:
    seconds = len(reference.samples) / reference.sample_rate_hz
    if not MIN_REFERENCE_S <= seconds <= MAX_REFERENCE_S:
        raise BadRequest(
            f"the recording has {seconds:.2f} s, must have {MIN_REFERENCE_S:g} to "
            f"{MAX_REFERENCE_S:g}: send 3 to 10 seconds of speech",
            field="ref_audio",
        )


def _at_rate(reference: Reference, rate_hz: int) -> Samples:
    resampler = Resampler(reference.sample_rate_hz, rate_hz)
    try:
        return np.concatenate([resampler.write(reference.samples), resampler.finish()])
    finally:
        resampler.close()
