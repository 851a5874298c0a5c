"""Quantize with split residual vectors: codes to latents, latents to codes.

A codebook's file holds sums and counts of the training vectors. The vectors are their quotients,
computed once while loading. Codebook 0 is semantic, the rest are acoustic, and each group is a
residual quantizer of its own. Sources: qwen-tts SplitResidualVectorQuantizer (decoder),
transformers MimiSplitResidualVectorQuantizer (encoder).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vivavoce.models.qwen3_tts.checkpoint.weights import TensorFile
from vivavoce.models.qwen3_tts.codec.config import DecoderConfig, EncoderConfig
from vivavoce.models.qwen3_tts.codec.products import Conv

SMALLEST_COUNT = 1e-5


class Codebooks(nn.Module):
    """The vectors of one group of codebooks, [books, entries, dim]."""

    vectors: Tensor

    def __init__(self, books: int, entries: int, dim: int, names: tuple[str, str]) -> None:
        super().__init__()
        self.names = names  # of the sums and the counts in the file, with {} for the book's number
        self.register_buffer("vectors", torch.empty(books, entries, dim), persistent=False)

    def load(self, file: TensorFile, prefix: str) -> None:
        """Fill `vectors` from the sums and counts under `prefix`."""
        books, entries, dim = self.vectors.shape
        quotients = []
        for book in range(books):
            sums, counts = (prefix + name.format(book) for name in self.names)
            total = file.read(sums, (entries, dim), torch.float32)
            count = file.read(counts, (entries,), torch.float32)
            quotients.append((total / count.clamp(min=SMALLEST_COUNT)[:, None]).to(file.dtype))
        self.vectors = torch.stack(quotients)

    def sum_of(self, codes: Tensor) -> Tensor:  # [B, books, T] → [B, T, dim]
        """Return the sum over the books of the vectors of `codes`."""
        books, entries, dim = self.vectors.shape
        first_rows = torch.arange(0, books * entries, entries, device=codes.device)
        rows = codes + first_rows[:, None]
        return F.embedding(rows, self.vectors.view(-1, dim)).sum(dim=1)

    def nearest(self, x: Tensor) -> Tensor:  # [T, dim] → [books, T]
        """Return the codes of `x`. Each book codes the residual of the books before it."""
        codes = []
        for vectors in self.vectors:
            code = torch.cdist(x[None].float(), vectors[None].float())[0].argmin(dim=-1)  # [T]
            x = x - vectors[code]
            codes.append(code)
        return torch.stack(codes)


class _Projected(nn.Module):
    """One group of the decoder's quantizer: codebooks, then the output projection."""

    def __init__(self, books: int, config: DecoderConfig) -> None:
        super().__init__()
        inner = config.codebook_dim // 2
        self.vq = Codebooks(
            books,
            config.codebook_size,
            inner,
            ("layers.{}._codebook.embedding_sum", "layers.{}._codebook.cluster_usage"),
        )
        self.output_proj = Conv(inner, config.codebook_dim, 1, bias=False)

    def forward(self, codes: Tensor) -> Tensor:  # [B, books, T] → [B, T, codebook_dim]
        y: Tensor = self.output_proj(self.vq.sum_of(codes))
        return y


class Dequantizer(nn.Module):
    """Codes [B, codebooks, T] to latents [B, T, codebook_dim]."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.rvq_first = _Projected(1, config)
        self.rvq_rest = _Projected(config.num_quantizers - 1, config)

    def forward(self, codes: Tensor) -> Tensor:
        y: Tensor = self.rvq_first(codes[:, :1]) + self.rvq_rest(codes[:, 1:])
        return y


class _Group(nn.Module):
    """One group of the encoder's quantizer: the input projection, then codebooks."""

    def __init__(self, books: int, config: EncoderConfig) -> None:
        super().__init__()
        inner = config.vector_quantization_hidden_dimension
        self.input_proj: nn.Module = nn.Identity()
        if inner != config.hidden_size:
            self.input_proj = nn.Conv1d(config.hidden_size, inner, 1, bias=False)
        self.layers = Codebooks(
            books,
            config.codebook_size,
            config.codebook_dim,
            ("{}.codebook.embed_sum", "{}.codebook.cluster_usage"),
        )

    def forward(self, x: Tensor) -> Tensor:  # [1, hidden, T] → [books, T]
        return self.layers.nearest(self.input_proj(x)[0].T)


class Quantizer(nn.Module):
    """Latents [1, hidden, T] to codes [codebooks, T]. Both groups code the same latents."""

    def __init__(self, config: EncoderConfig, codebooks: int) -> None:
        super().__init__()
        semantic = config.num_semantic_quantizers
        self.semantic_residual_vector_quantizer = _Group(semantic, config)
        self.acoustic_residual_vector_quantizer = _Group(codebooks - semantic, config)

    def forward(self, x: Tensor) -> Tensor:
        groups = (self.semantic_residual_vector_quantizer, self.acoustic_residual_vector_quantizer)
        return torch.cat([group(x) for group in groups])
