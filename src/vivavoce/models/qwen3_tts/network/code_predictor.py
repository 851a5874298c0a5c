"""Complete a frame from the talker's hidden state, one codebook after the other.

The code predictor is a small decoder of its own. Its past reaches back to the start of the frame
only: position 0 is the talker's hidden state, position 1 the first code, position n the n-th code.
It knows nothing of text, prompts or earlier frames.
"""

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor, nn

from vivavoce.models.qwen3_tts.checkpoint.config import Config
from vivavoce.models.qwen3_tts.network.kv_cache import KvCache, PredictorStep
from vivavoce.models.qwen3_tts.network.linear import Linear
from vivavoce.models.qwen3_tts.network.transformer import Decoder, Embedding, multiply

# logits [rows, vocabulary] and the codebook → codes [rows]
Draw: TypeAlias = Callable[[Tensor, int], Tensor]


class PredictorModel(Decoder):
    """The predictor's layers, and an embedding for each codebook but the first."""

    def __init__(self, config: Config) -> None:
        super().__init__(config.predictor)
        # As wide as the talker's, which reads these embeddings too.
        self.codec_embedding = nn.ModuleList(
            Embedding(config.code_vocab_size, config.talker.hidden_size)
            for _ in range(config.codebooks - 1)
        )


class CodePredictor(nn.Module):
    """The code predictor.

    Parameter names are those of the released files below `talker.code_predictor.`.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.model = PredictorModel(config)
        self.lm_head = nn.ModuleList(
            Linear(config.predictor.hidden_size, config.code_vocab_size)
            for _ in range(config.codebooks - 1)
        )
        # Only the 1.7B talker is wider than the predictor.
        self.small_to_mtp_projection: nn.Module = (
            nn.Identity()
            if config.talker.hidden_size == config.predictor.hidden_size
            else Linear(config.talker.hidden_size, config.predictor.hidden_size, bias=True)
        )

    def complete(
        self, hidden: Tensor, first: Tensor, embedded: Tensor, cache: KvCache, draw: Draw
    ) -> tuple[Tensor, Tensor]:
        """Return whole frames [rows, codebooks], and the sum of their embeddings.

        `first` [rows] are the first codes. `hidden` and `embedded` [rows, talker hidden] are the
        talker's last hidden state and the embedding of `first`. The sum has their shape.
        """
        rows, codes, total = len(first), [first], embedded
        inputs = torch.stack((hidden, embedded), dim=1)  # [rows, 2, talker hidden]
        position = 0
        for index, head in enumerate(self.lm_head):
            assert isinstance(head, Linear)
            memory = PredictorStep(cache, rows, position, inputs.shape[1])
            if isinstance(self.small_to_mtp_projection, Linear):
                inputs = multiply(inputs, self.small_to_mtp_projection)
            out = self.model.read(inputs, memory)[:, -1]
            codes.append(draw(multiply(out, head, norm=self.model.norm), index + 1))
            position += inputs.shape[1]
            embedded = self.model.codec_embedding[index](codes[-1])  # [rows, talker hidden]
            inputs, total = embedded[:, None], total + embedded
        return torch.stack(codes, dim=1), total

    def embed_codes(self, codes: Tensor) -> Tensor:
        """Return the sum of the embeddings [n, talker hidden] of all codes but the first.

        `codes` is [n, codebooks - 1].
        """
        total = self.model.codec_embedding[0](codes[:, 0])
        for index in range(1, codes.shape[1]):
            total = total + self.model.codec_embedding[index](codes[:, index])
        return total  # type: ignore[no-any-return]  # nn.Module
