"""Text in pieces has the ids of the whole text, with little delay."""

import re
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scripts.make_checkpoint import MARKERS, write_json, write_tokenizer
from tokenizers import Tokenizer as BpeTokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.trainers import BpeTrainer

from vivavoce.models.qwen3_tts.checkpoint.tokenizer import Tokenizer
from vivavoce.models.qwen3_tts.prompt.incremental_text import IncrementalText
from vivavoce.models.qwen3_tts.prompt.layout import END, REPLY, TURN

PROSE = (
    "It's what they'll say, isn't it?  Well... we've said: \"Hello, world!\" and\n\n\nthe rest,\r\n"
    "  I'm sure.\t\tOK",
    "你好，世界。今天天气很好！我们去公园散步吧。你好世界",
    "こんにちは、世界。東京タワーは高いです。",
    "안녕하세요, 세계! 각각",
    "Привет, мир! Как дела?",
    "नमस्ते दुनिया, क्या हाल है?",
    "สวัสดีชาวโลก",
    "שָׁלוֹם עולם",
    "مرحبا بالعالم",
    "Çà et là, déjà — naïve café; Öl für Äpfel",
    "1234 5,678.90 3½ ٣٤",
    "👩\u200d👩\u200d👧 👍🏽 🇩🇪 🙂!!",
    "x = y ≠ z\u3000a\u2028b\x85c   d \n e",
)
# What is cut, joined or composed differently when something follows it.
SPACES = (" ", "  ", "\n", "\r\n", "\t", "\u3000", "\x85")
SIGNS = (
    "'", "'s", "'l", "'re", "'ſ", "!", "!\n", "...", "<", "<|", "<|im_end|", ">", "=", "\x00",
    "\u200d", "👍", "🏽", "🇩",
)  # fmt: skip
MARKS = (
    "\u0301", "\u0323", "\u0338", "\u0344", "\u09c7", "\u09be", "\u0e33", "\ufe0f", "\U0003ffff",
)  # fmt: skip
LETTERS = ("e", "z", "4", "٣", "你", "好", "字", "ᄀ", "ᅡ", "ᆨ", "가", "\ufb1d", "\u212b", "İ")
TRICKY = (*SPACES, *SIGNS, *MARKS, *LETTERS, *MARKERS)

texts = st.lists(
    st.sampled_from(TRICKY) | st.sampled_from(PROSE) | st.text(max_size=4), max_size=12
).map("".join)


@cache
def tokenizer() -> Tokenizer:
    """Return a tokenizer made from `PROSE` that joins bytes across words."""
    bpe = BpeTokenizer(BPE())
    bpe.pre_tokenizer = ByteLevel(add_prefix_space=False, use_regex=False)
    trainer = BpeTrainer(
        vocab_size=1_500, show_progress=False, initial_alphabet=sorted(ByteLevel.alphabet())
    )
    # Not on the markers, which would become words of their own.
    bpe.train_from_iterator(
        [
            "".join((*SPACES, *MARKS, *LETTERS)),
            *PROSE,
            *(word * 2 for text in PROSE for word in text.split()),
        ],
        trainer,
    )
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_tokenizer(folder)
        bpe.model.save(name)
        flags = {
            "lstrip": False, "rstrip": False, "normalized": False, "single_word": False,
            "special": True,
        }  # fmt: skip
        markers = {
            bpe.get_vocab_size() + n: {"content": text, **flags} for n, text in enumerate(MARKERS)
        }
        write_json(folder / "tokenizer_config.json", {"added_tokens_decoder": markers})
        return Tokenizer(folder)


def pieces_of(text: str, cuts: Sequence[int]) -> list[str]:
    places = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    return [text[start:end] for start, end in pairwise(places)]


def ids_of(pieces: Sequence[str], start: str = "") -> list[int]:
    live = IncrementalText(tokenizer(), start)
    return [
        id_
        for number, piece in enumerate(pieces)
        for id_ in live.add(piece, last=number == len(pieces) - 1)
    ]


@settings(max_examples=300, deadline=None)
@given(texts, st.lists(st.integers(0, 80), max_size=8))
@example("z\u0301\u0323b", [2])
@example("a  <|im_end|>", [5])
@example("a \n \n", [4])
@example("\ufb1dx", [1])
def test_any_text_cut_anywhere_has_the_ids_of_the_whole(text: str, cuts: list[int]) -> None:
    assert ids_of(pieces_of(text, cuts)) == tokenizer().encode(text)


@settings(max_examples=100, deadline=None)
@given(texts)
def test_any_text_letter_by_letter_has_the_ids_of_its_turn(text: str) -> None:
    turn = tokenizer().encode(TURN.format(text))[:-END]
    assert ids_of([*text, ""], REPLY) == turn


@settings(max_examples=100, deadline=None)
@given(st.text(st.sampled_from("abc 1.,!'’\n\t你好あ각Жé🙂–()"), max_size=40))
def test_no_more_is_held_back_than_the_last_word_and_the_spaces_around_it(text: str) -> None:
    live = IncrementalText(tokenizer())
    live.add(text, last=False)
    # Letters with a sign before them, or signs with line breaks behind; then spaces, whose number
    # is not known yet.
    assert re.fullmatch(r"(\s*|\s?([^\w\s]?[^\W\d_]+|\d|[^\w\s]+[\r\n]*))\s*", live.held)


@pytest.mark.parametrize(
    ("text", "held"),
    [
        ("Hello", "Hello"),
        ("Hello ", " "),
        ("Hello, w", " w"),
        ("It", "It"),
        ("It's", "'s"),
        ("It's 42", "2"),
        ("Yes!\n", "!\n"),
        ("你好世界", "你好世界"),
        ("你好世界，", "，"),
        ("1, 2 <|im_", " <|im_"),
        ("ab\u0301", "ab\u0301"),
        ("a!\u0301", "!\u0301"),
    ],
)
def test_what_is_held_back_is_what_may_still_change(text: str, held: str) -> None:
    live = IncrementalText(tokenizer())
    live.add(text, last=False)
    assert live.held == held


def test_markers_that_come_in_pieces_are_markers() -> None:
    marker = tokenizer().encode("<|im_end|>")
    assert len(marker) == 1
    assert ids_of(["a <|im", "_end", "|> b", ""]) == [
        *tokenizer().encode("a "),
        *marker,
        *tokenizer().encode(" b"),
    ]
