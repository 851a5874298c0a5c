"""Text to ids: words as Qwen splits them, bytes for everything else, whole markers."""

import json
from pathlib import Path

import pytest
from scripts.make_checkpoint import write_tokenizer

from vivavoce.errors import EngineFault, MissingDependency
from vivavoce.models.qwen3_tts.checkpoint.tokenizer import Tokenizer


@pytest.fixture
def vocab(tmp_path: Path) -> dict[str, int]:
    write_tokenizer(tmp_path)
    vocab: dict[str, int] = json.loads((tmp_path / "vocab.json").read_text(encoding="utf-8"))
    return vocab


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("the the", ["t", "h", "e", "Ġthe"]),
        ("theer and", ["t", "h", "e", "er", "Ġand"]),
        ("singing", ["s", "ing", "ing"]),
        ("42", ["4", "2"]),
        ("é", ["Ã", "©"]),
        ("e\u0301", ["Ã", "©"]),  # composed before it is cut
        ("assistant\n", ["assistant", "Ċ"]),
        ("a\n\nthe", ["a", "Ċ", "Ċ", "t", "h", "e"]),
        ("", []),
    ],
)
def test_text_becomes_the_tokens_of_the_vocabulary(
    text: str, tokens: list[str], vocab: dict[str, int], tmp_path: Path
) -> None:
    assert Tokenizer(tmp_path).encode(text) == [vocab[token] for token in tokens]


def test_markers_are_one_token_wherever_they_stand(vocab: dict[str, int], tmp_path: Path) -> None:
    assert Tokenizer(tmp_path).encode("a<|im_end|>b") == [vocab["a"], len(vocab) + 2, vocab["b"]]


@pytest.mark.parametrize("name", ["vocab.json", "merges.txt", "tokenizer_config.json"])
def test_absent_tokenizer_file_is_named(name: str, vocab: dict[str, int], tmp_path: Path) -> None:
    (tmp_path / name).unlink()
    with pytest.raises(MissingDependency, match=name):
        Tokenizer(tmp_path)


@pytest.mark.parametrize("name", ["vocab.json", "tokenizer_config.json"])
def test_damaged_tokenizer_file_is_named(name: str, vocab: dict[str, int], tmp_path: Path) -> None:
    (tmp_path / name).write_text("{", encoding="utf-8")
    with pytest.raises(EngineFault, match=name):
        Tokenizer(tmp_path)


def test_markers_that_do_not_follow_the_vocabulary_are_refused(
    vocab: dict[str, int], tmp_path: Path
) -> None:
    (tmp_path / "vocab.json").write_text(
        json.dumps({**vocab, "more": len(vocab)}), encoding="utf-8"
    )
    with pytest.raises(EngineFault, match="endoftext"):
        Tokenizer(tmp_path)
