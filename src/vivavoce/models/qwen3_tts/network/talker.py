"""Read text and earlier frames, and score the first code of the next frame.

The talker's input is the sum of two embeddings, one of text (projected to the talker's width) and
one of sound. It knows nothing of prompts (`prompt`), of the other fifteen codes of a frame
(`code_predictor`) or of slots (`kv_cache`).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vivavoce.models.qwen3_tts.checkpoint.config import Config
from vivavoce.models.qwen3_tts.network.code_predictor import CodePredictor
from vivavoce.models.qwen3_tts.network.linear import Linear
from vivavoce.models.qwen3_tts.network.transformer import Decoder, Embedding


class TextProjection(nn.Module):
    """Projection of text embeddings to the talker's width."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        width = config.text_hidden_size
        self.linear_fc1 = Linear(width, width, bias=True)
        self.linear_fc2 = Linear(width, config.talker.hidden_size, bias=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear_fc2(F.silu(self.linear_fc1(x)))  # type: ignore[no-any-return]  # nn.Module


class TalkerModel(Decoder):
    """The talker's layers, and the two embeddings of its input."""

    def __init__(self, config: Config) -> None:
        super().__init__(config.talker)
        self.codec_embedding = Embedding(config.codec_vocab_size, config.talker.hidden_size)
        self.text_embedding = Embedding(config.text_vocab_size, config.text_hidden_size)


class Talker(nn.Module):
    """The whole language model.

    Parameter names are those of the released files below `talker.`.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.model = TalkerModel(config)
        self.text_projection = TextProjection(config)
        self.codec_head = Linear(config.talker.hidden_size, config.codec_vocab_size)
        self.code_predictor = CodePredictor(config)

    @property
    def device(self) -> torch.device:
        """Device of the talker."""
        return self.model.norm.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """Type of the numbers between its matrices, and of its input."""
        return self.model.norm.weight.dtype

    def embed_text(self, ids: Tensor) -> Tensor:
        """Return the embeddings [n, hidden] of text tokens `ids` [n].

        The table may live on another device than the rest, since it is large and rarely read.
        """
        table = self.model.text_embedding.weight
        rows = F.embedding(ids.to(table.device), table)
        return self.text_projection(rows.to(self.device, self.dtype))  # type: ignore[no-any-return]  # nn.Module

    def embed_codec(self, ids: Tensor) -> Tensor:
        """Return the embeddings [..., hidden] of codec vocabulary entries `ids` [...]."""
        return self.model.codec_embedding(ids)  # type: ignore[no-any-return]  # nn.Module

    def embed_frames(self, codes: Tensor) -> Tensor:
        """Return the embeddings [n, hidden] of frames `codes` [n, codebooks].

        Each is the sum of one embedding a codebook.
        """
        first = self.embed_codec(codes[:, 0])
        return first + self.code_predictor.embed_codes(codes[:, 1:])
