"""Encode text with the checkpoint's own byte-level BPE.

It reads `vocab.json`, `merges.txt` and `tokenizer_config.json`. It knows nothing of prompts:
markers such as `<|im_start|>` are recognised anywhere in the text.
"""

import json
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from tokenizers import AddedToken, Regex
from tokenizers import Tokenizer as BpeTokenizer
from tokenizers.models import BPE
from tokenizers.normalizers import NFC
from tokenizers.pre_tokenizers import ByteLevel, Sequence, Split

from vivavoce.errors import EngineFault, MissingDependency

# Qwen2's split of text into words before BPE. The published loader uses Mistral's for some
# checkpoints on disk, but not for the same ones named by their hub id. The vocabulary was made
# with this one.
WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


_MISSING = "is missing: download the whole checkpoint again"


@dataclass(frozen=True, slots=True)
class TokenizedWord:
    """A marker, or text that BPE encodes alone. `start` and `end` count characters of the text."""

    start: int
    end: int
    ids: tuple[int, ...]


class Tokenizer:
    """Encoder from text to the ids of the checkpoint's text embedding."""

    def __init__(self, folder: Path) -> None:
        added = _added_tokens(folder / "tokenizer_config.json")
        self._bpe = _byte_level_bpe(folder)
        self.markers = tuple(content for _, content, _ in added)
        for number, content, special in added:
            token = AddedToken(content, special=special, normalized=False)
            (self._bpe.add_special_tokens if special else self._bpe.add_tokens)([token])
            if self._bpe.token_to_id(content) != number:
                raise EngineFault(
                    f"{str(folder)!r}: tokenizer_config.json has {content!r} = {number}, which "
                    "does not follow the ids of vocab.json: fetch the checkpoint again"
                )

    def encode(self, text: str) -> list[int]:
        """Return the ids of `text`, markers included, with nothing added."""
        return list(self._bpe.encode(text, add_special_tokens=False).ids)

    def words(self, text: str) -> list[TokenizedWord]:
        """Return the words of `text` in order. Their ids together are those of `encode`."""
        coded = self._bpe.encode(text, add_special_tokens=False)
        found = []
        for _, numbers in groupby(range(len(coded.ids)), key=coded.word_ids.__getitem__):
            tokens = list(numbers)
            start, end = coded.offsets[tokens[0]][0], coded.offsets[tokens[-1]][1]
            found.append(TokenizedWord(start, end, tuple(coded.ids[token] for token in tokens)))
        return found


def _byte_level_bpe(folder: Path) -> BpeTokenizer:
    vocab, merges = folder / "vocab.json", folder / "merges.txt"
    for path in (vocab, merges):
        if not path.is_file():
            raise MissingDependency(f"{str(path)!r} {_MISSING}")
    try:
        bpe = BpeTokenizer(BPE.from_file(str(vocab), str(merges)))
    except Exception as error:  # tokenizers raises plain Exception for a file it cannot read
        raise EngineFault(f"{str(vocab)!r} or merges.txt beside it is damaged ({error})") from error
    bpe.normalizer = NFC()
    words = Split(Regex(WORDS), behavior="isolated")
    bpe.pre_tokenizer = Sequence([words, ByteLevel(add_prefix_space=False, use_regex=False)])
    return bpe


def _added_tokens(path: Path) -> list[tuple[int, str, bool]]:
    """Return the markers of `tokenizer_config.json` as (id, text, special), sorted by id."""
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))["added_tokens_decoder"].items()
        return sorted(
            (int(number), str(token["content"]), bool(token["special"]))
            for number, token in entries
        )
    except FileNotFoundError as error:
        raise MissingDependency(f"{str(path)!r} {_MISSING}") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        problem = f"{str(path)!r} has no readable 'added_tokens_decoder' ({error!r})"
        raise EngineFault(problem) from error
