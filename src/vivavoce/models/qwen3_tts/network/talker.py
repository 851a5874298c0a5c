"""The talker: reads the text, hears what it has said, and scores the first code of the next frame.

Its input is the sum of two embeddings, one of text (projected to the talker's width) and one of
sound. It knows nothing of prompts (`prompt`), of the other fifteen codes of a frame (`predictor`)
or of slots (`cache`).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vivavoce.models.qwen3_tts.checkpoint.config import Config
from vivavoce.models.qwen3_tts.network.code_predictor import CodePredictor
from vivavoce.models.qwen3_tts.network.linear import Linear
from vivavoce.models.qwen3_tts.network.transformer import Decoder, Embedding


class TextProjection(nn.Module):
    """Brings text embeddings to the talker's width."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        width = config.text_hidden_size
        self.linear_fc1 = Linear(width, width, bias=True)
        self.linear_fc2 = Linear(width, config.talker.hidden_size, bias=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear_fc2(F.silu(self.linear_fc1(x)))  # type: ignore[no-any-return]  # nn.Module


class TalkerModel(Decoder):
    """The talker's layers and the two vocabularies of its input."""

    def __init__(self, config: Config) -> None:
        super().__init__(config.talker)
        self.codec_embedding = Embedding(config.codec_vocab_size, config.talker.hidden_size)
        self.text_embedding = Embedding(config.text_vocab_size, config.text_hidden_size)


class Talker(nn.Module):
    """The language model as a whole; parameter names are those of the released files below `talker.`."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.model = TalkerModel(config)
        self.text_projection = TextProjection(config)
        self.codec_head = Linear(config.talker.hidden_size, config.codec_vocab_size)
        self.code_predictor = CodePredictor(config)

    @property
    def device(self) -> torch.device:
        """Where it runs."""
        return self.model.norm.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """The numbers between its matrices, and what it is fed."""
        return self.model.norm.weight.dtype

    def embed_text(self, ids: Tensor) -> Tensor:
        """Text tokens [n] → [n, hidden].

        The table may live on another device than the rest: it is large and idle.
        """
        table = self.model.text_embedding.weight
        rows = F.embedding(ids.to(table.device), table)
        return self.text_projection(rows.to(self.device, self.dtype))  # type: ignore[no-any-return]  # nn.Module

    def embed_codec(self, ids: Tensor) -> Tensor:
        """Entries of the codec vocabulary [...] → [..., hidden]."""
        return self.model.codec_embedding(ids)  # type: ignore[no-any-return]  # nn.Module

    def embed_frames(self, codes: Tensor) -> Tensor:
        """Frames of codes [n, codebooks] → [n, hidden]: the sum of one embedding a codebook."""
        first = self.embed_codec(codes[:, 0])
        return first + self.code_predictor.embed_codes(codes[:, 1:])
