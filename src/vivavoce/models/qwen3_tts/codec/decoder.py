"""Decode codes to samples, whole or frame by frame.

    codes → vectors → causal conv → transformer over frames
          → ×2 ×2 ConvNeXt → ×8 ×5 ×4 ×3 SnakeBeta → samples

It knows no talker, no scheduler and no file.

- Everything is causal, so one frame's samples are final as soon as the frame is there.
- `decode` is `step` from an empty state. Streamed equals whole by construction, up to the rounding
  of sums over other lengths.

Source: qwen-tts `modeling_qwen3_tts_tokenizer_v2.py`, Qwen3TTSTokenizerV2Decoder.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from vivavoce.models.qwen3_tts.checkpoint.weights import TensorFile, build
from vivavoce.models.qwen3_tts.codec.config import DecoderConfig, read_codec_config
from vivavoce.models.qwen3_tts.codec.layers import (
    CausalConv,
    CausalTransposedConv,
    ConvNeXtBlock,
    SnakeBeta,
    UpsampleBlock,
)
from vivavoce.models.qwen3_tts.codec.products import can_pack, pack
from vivavoce.models.qwen3_tts.codec.quantizer import Dequantizer
from vivavoce.models.qwen3_tts.codec.state import DecoderState, Layout, Past, gather, scatter
from vivavoce.models.qwen3_tts.codec.transformer import FrameTransformer

# A whole decode runs in blocks of this many frames. The result equals one pass, but the memory
# (about 3 MB a frame at the released shape in float32) stays bounded for long sequences.
BLOCK_FRAMES = 256

PIECE_FRAMES = 4  # of the last stages on a CPU: about 3 MB a tensor at the released shape


class CodecDecoder(nn.Module):
    """Decoder of the 12 Hz speech tokenizer.

    Its parameters need no gradient, and all results are on its device. With `piece_frames`, a step
    of that many frames or more runs the last stages stream by stream, in pieces of `piece_frames`
    frames. The intermediate tensors then stay in the processor's cache. All at once they would go
    through main memory at every layer. `tf32` lets CUDA multiply in TF32, or forbids it, and None
    leaves it to torch.
    """

    def __init__(self, config: DecoderConfig, piece_frames: int | None = None) -> None:
        super().__init__()
        self.config = config
        self.piece_frames = piece_frames
        self.tf32: bool | None = None
        layout = Layout()
        self.quantizer = Dequantizer(config)
        self.pre_conv = CausalConv(layout, config.codebook_dim, config.latent_dim, kernel=3)
        self.pre_transformer = FrameTransformer(layout, config)
        self.upsample = nn.ModuleList(
            nn.ModuleList(
                [
                    CausalTransposedConv(
                        layout, config.latent_dim, config.latent_dim, ratio, ratio
                    ),
                    ConvNeXtBlock(layout, config.latent_dim),
                ]
            )
            for ratio in config.upsampling_ratios
        )
        self.decoder = _waveform_stages(layout, config)
        self.state_elements = layout.elements  # per stream, of any age

    @property
    def device(self) -> torch.device:
        """Device of the decoder."""
        return self.quantizer.rvq_first.vq.vectors.device

    @property
    def samples_per_frame(self) -> int:
        """Number of samples in one frame."""
        return self.config.samples_per_frame

    def open(self) -> DecoderState:
        """Return the state of a new stream."""
        like = self.quantizer.rvq_first.vq.vectors
        return DecoderState(
            like.new_zeros(self.state_elements), like.new_zeros((), dtype=torch.int64)
        )

    @torch.no_grad()
    def step(self, codes: Tensor, states: Sequence[DecoderState]) -> Tensor:
        """Return the samples [B, T * samples_per_frame] of the next T frames of B streams.

        `codes` is [B, codebooks, T], integers below the codebook size. Row i continues `states[i]`,
        which is changed in place. The streams may have any age. Nothing is read back from the
        device.
        """
        assert codes.shape[0] == len(states), (
            f"{codes.shape[0]} rows of codes for {len(states)} streams"
        )
        past = gather(states)
        samples: Tensor = self(codes, past)
        scatter(past, codes.shape[-1], states)
        return samples

    @torch.no_grad()
    def decode(self, codes: Tensor, block_frames: int = BLOCK_FRAMES) -> Tensor:
        """Return the samples [B, T * samples_per_frame] of whole `codes` [B, codebooks, T]."""
        states = [self.open() for _ in range(codes.shape[0])]
        blocks = [
            codes[..., start : start + block_frames]
            for start in range(0, codes.shape[-1], block_frames)
        ]
        # The samples of no frames.
        nothing = self.quantizer.rvq_first.vq.vectors.new_empty(codes.shape[0], 0)
        return torch.cat([nothing, *(self.step(block, states) for block in blocks)], dim=-1)

    def forward(self, codes: Tensor, past: Past) -> Tensor:
        """Run `step` on a gathered batch, as a function of tensors alone.

        `past.memory` is changed in place, `past.age` is not.
        """
        assert codes.shape[1] == self.config.num_quantizers, f"codes of shape {list(codes.shape)}"
        with _multiplying(self.tf32):
            return self._decoded(codes, past)

    def _decoded(self, codes: Tensor, past: Past) -> Tensor:
        h = self.pre_conv(self.quantizer(codes), past)  # [B, T, latent]
        h = self.pre_transformer(h, past)
        for stage in self.upsample:
            assert isinstance(stage, nn.ModuleList)
            for layer in stage:
                h = layer(h, past)  # [B, T * 2, latent], then T * 4
        first, widest, *_ = self.decoder
        h = widest(first(h, past), past)
        frames = codes.shape[-1]
        if self.piece_frames is None or frames < self.piece_frames:
            return self._finish(h, past)
        piece_rows = self.piece_frames * h.shape[1] // frames
        rows = [
            self._finish_in_pieces(row.split(piece_rows, dim=1), past.row(i))
            for i, row in enumerate(h.split(1))
        ]
        return torch.cat(rows)

    def _finish_in_pieces(self, pieces: Sequence[Tensor], past: Past) -> Tensor:
        return torch.cat([self._finish(piece, past) for piece in pieces], dim=-1)

    def _finish(self, h: Tensor, past: Past) -> Tensor:
        """Return the samples [B, S] of the widest stage's output.

        These stages have few weights and most of the intermediate values.
        """
        _, _, *blocks, activation, last = self.decoder
        for block in blocks:
            h = block(h, past)
        samples: Tensor = last(h, past, activation)[..., 0]
        return samples.clamp(-1, 1)


@contextmanager
def _multiplying(tf32: bool | None) -> Iterator[None]:
    """Let CUDA multiply float32 numbers in TF32 or not. The setting is that of the process."""
    if tf32 is None:
        yield
        return
    matrices, convolutions = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matrices.allow_tf32, convolutions.allow_tf32
    matrices.allow_tf32 = convolutions.allow_tf32 = tf32
    try:
        yield
    finally:
        matrices.allow_tf32, convolutions.allow_tf32 = before


def _waveform_stages(layout: Layout, config: DecoderConfig) -> nn.ModuleList:
    """Return the stages from latents, at four times the frame rate, to samples."""
    channels = config.decoder_dim
    stages: list[nn.Module] = [CausalConv(layout, config.latent_dim, channels, kernel=7)]
    for rate in config.upsample_rates:
        stages.append(UpsampleBlock(layout, channels, rate))
        channels //= 2
    stages += [SnakeBeta(channels), CausalConv(layout, channels, 1, kernel=7)]
    return nn.ModuleList(stages)


def load_decoder(
    folder: Path, device: torch.device, dtype: torch.dtype, *, packed: bool | None = None
) -> CodecDecoder:
    """Return the decoder in `folder` (a checkpoint's `speech_tokenizer`), on `device` in `dtype`.

    `packed` lays the weights out for this processor. The results are the same. None packs if
    `can_pack`. Raises `MissingDependency` for an absent file, `EngineFault` for one that is damaged
    or does not fit its config.
    """
    config = read_codec_config(folder).decoder
    packed = can_pack(device, dtype) if packed is None else packed
    with TensorFile(folder, device, dtype) as file:
        decoder = build(
            lambda: CodecDecoder(config, PIECE_FRAMES if packed else None), file, "decoder."
        )
    if packed:
        pack(decoder)
    return decoder


def lay_out(decoder: CodecDecoder) -> None:
    """Pack the weights of a plain `decoder` for its processor, like `load_decoder`."""
    if can_pack(decoder.device, next(decoder.parameters()).dtype):
        decoder.piece_frames = PIECE_FRAMES
        pack(decoder)
