"""Pieces keep every character in order, fit, start short, and come lazily."""

import re
import time
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vivavoce.text.split import TextSegment, split, weighted_length

LANGUAGES = ("en", "de", "fr", "es", "it", "pt", "zh", "ja", "ko", "ru", "hi", "xx")
FRAGMENTS = st.sampled_from(
    [
        *[
            "Hello ",
            "Dr. ",
            "U.S. ",
            "3.14 ",
            "z.B. ",
            "a",
            "word ",
            "1. ",
            ", ",
            ". ",
            "! ",
            "? ",
            "… ",
            "—",
            ": ",
        ],
        *[
            "你好",
            "。",
            "，",
            "「",
            "」",
            "あ",
            "한국",
            "नमस्ते। ",
            "é",
            "e\u0301\u0302",
            "👨‍👩‍👧",
            "🇩🇪",
            "\ud800",
            "\u200b",
        ],
        *[
            '"',
            "“",
            "(",
            ")",
            "\n",
            "\n\n",
            " \n \n ",
            "\r\n",
            "\t",
            "\u3000",
            "\x1c",
            "M. ",
            "x" * 60,
        ],
    ]
)


def pieces(
    text: str, language: str = "en", max_chars: int = 250, first_chars: int = 80
) -> list[str]:
    return [
        piece.text for piece in split(text, language, max_chars=max_chars, first_chars=first_chars)
    ]


def without_space(text: str) -> str:
    return "".join(text.split())


@settings(max_examples=300, deadline=None)
@given(
    text=st.lists(FRAGMENTS, max_size=80).map("".join) | st.text(st.characters(), max_size=300),
    language=st.sampled_from(LANGUAGES),
    max_chars=st.integers(3, 300),
    first_chars=st.integers(1, 120),
)
def test_nothing_is_lost_doubled_or_moved_and_every_piece_fits(
    text: str, language: str, max_chars: int, first_chars: int
) -> None:
    found = list(split(text, language, max_chars=max_chars, first_chars=first_chars))
    assert without_space("".join(piece.text for piece in found)) == without_space(text)
    for piece in found:
        assert piece.text.strip() == piece.text != ""
        assert weighted_length(piece.text) <= max_chars
        assert 0.0 <= piece.pause_s <= 0.6
    assert not found or found[-1].pause_s == 0.0


@pytest.mark.parametrize(
    ("language", "text"),
    [
        (
            "en",
            "Dr. Smith of the U.S. Navy paid $3.14 at 5 p.m. sharp, e.g. for a copy of "
            "Fig. 3 in the old book.",
        ),
        (
            "de",
            "Das ist z.B. am 3. Mai gut, d.h. die 2. Bundesliga spielt um 20.30 Uhr "
            "gegen Dr. Müllers Mannschaft.",
        ),
        (
            "fr",
            "Vraiment, c'est M. Dupont, p. ex., qui habite ici depuis des années avec sa famille.",
        ),
        (
            "es",
            "El Sr. García de los EE. UU. pagó 3.14 euros por el pan, la leche y un poco "
            "de queso en la tienda.",
        ),
    ],
)
def test_abbreviations_and_numbers_do_not_end_sentences(language: str, text: str) -> None:
    assert pieces(text, language, first_chars=200) == [text]


def test_cut_of_a_long_first_sentence_respects_abbreviations() -> None:
    text = (
        "Am 3. Mai 2024 kam Prof. Dr. Müller, der z.B. die 2. Bundesliga liebt, endlich nach "
        "Berlin zurück."
    )
    assert (
        pieces(text, "de")[0]
        == "Am 3. Mai 2024 kam Prof. Dr. Müller, der z.B. die 2. Bundesliga liebt,"
    )


def test_japanese_speech_stays_with_its_verb() -> None:
    assert pieces("「はい。そうです。」と言った。", "ja") == ["「はい。そうです。」と言った。"]


def test_sentences_are_pieces_when_long_enough() -> None:
    one = "The first sentence is long enough to be spoken alone, as it should be."
    two = "The second sentence is just as long, and nobody would want to join it."
    assert pieces(f"{one} {two}") == [one, two]


def test_first_piece_ends_with_a_clause_when_its_sentence_is_long() -> None:
    text = (
        "Because it had rained all night, the river had left its bed, and nobody in the "
        "village dared to cross it."
    )
    assert pieces(text)[0] == "Because it had rained all night, the river had left its bed,"
    assert pieces(
        "因为昨天晚上一直在下雨，河水漫过了堤岸，村里没有人敢过河去，大家都在家里等着。", "zh"
    )[0] == ("因为昨天晚上一直在下雨，河水漫过了堤岸，")


@pytest.mark.parametrize(
    "text",
    [
        "1234567890" * 50,
        "1234567890" * 7,
        "1:1:1:" * 80,
        "1.1.1." * 60,
        "$5 €3 " * 80,
        "a.b.c." * 60,
        "word " * 100,
    ],
)
def test_first_piece_is_short_where_there_is_no_break(text: str) -> None:
    said = re.sub(r"[\d$€]|\b[abc]\b", "seven", pieces(text)[0])
    assert 0 < len(said) <= 80


def test_first_sentence_of_ordinary_length_stays_whole_without_a_break() -> None:
    text = (
        "The river that runs through our village has left its bed and nobody dares to cross "
        "it in 2024."
    )
    assert pieces(text) == [text]
    longer = text.removesuffix(".") + " although the water has gone down as it does in spring."
    assert weighted_length(pieces(longer)[0]) <= 80


def test_first_piece_is_not_a_single_word() -> None:
    text = (
        "Well, the river that runs through our village has left its bed and nobody dares to "
        "cross it any more."
    )
    assert pieces(text) == [text]
    assert pieces("Hi. How are you today?") == ["Hi. How are you today?"]


def test_utterance_of_one_word_may_go_first_when_what_follows_is_long() -> None:
    follows = (
        "The river that runs through our village has left its bed and nobody dares to cross "
        "it any more."
    )
    assert pieces(f"Listen. {follows}") == ["Listen.", follows]


def test_short_sentences_of_a_paragraph_are_joined_but_not_across_paragraphs() -> None:
    assert pieces("Milk. Eggs. Bread. Butter. Cheese.\n\nBye.", first_chars=20) == [
        "Milk. Eggs.",
        "Bread. Butter. Cheese.",
        "Bye.",
    ]


def test_pauses_follow_clause_sentence_and_paragraph() -> None:
    text = (
        "Because it had rained all night, the river had left its bed, and nobody in the "
        "village dared to cross it "
        "without a boat. The second sentence is just as long as the first one, and "
        "nobody would want to join it to "
        "another.\n\nA new paragraph."
    )
    found = list(split(text, "en", max_chars=250))
    assert [piece.pause_s for piece in found] == [0.12, 0.25, 0.6, 0.0]
    assert found[-1] == TextSegment("A new paragraph.", 0.0)


def test_over_long_sentence_is_cut_at_clauses_then_words_then_anywhere() -> None:
    clause = "it goes on and on and never stops for breath"
    for piece in pieces(", ".join([clause] * 20), max_chars=100)[:-1]:
        assert piece.endswith("breath,")
    assert pieces("word " * 30, max_chars=24) == ["word word word word word"] * 6
    assert [weighted_length(piece) for piece in pieces("x" * 250, max_chars=100)] == [80, 100, 70]


@pytest.mark.parametrize("cluster", ["e\u0301\u0323", "👨‍👩‍👧", "👍🏽", "क्षि", "ᄒ\u1161ᆫ"])
def test_cut_never_tears_a_character(cluster: str) -> None:
    found = pieces(cluster * 100, "xx", max_chars=20)
    assert len(found) > 5
    for piece in found:
        assert piece.replace(cluster, "") == ""


def test_flags_stay_whole() -> None:
    assert all(len(piece) % 2 == 0 for piece in pieces("🇩🇪" * 100, max_chars=21))


def test_wide_characters_count_three() -> None:
    assert weighted_length("abc é 1!") == 8
    assert weighted_length("中あ한") == 9
    assert [len(piece) for piece in pieces("中" * 100, "zh", max_chars=150)] == [26, 50, 24]


def test_blank_text_has_no_pieces() -> None:
    assert pieces("") == pieces(" \n\n \t") == []


def test_bound_too_small_for_a_character_is_refused() -> None:
    with pytest.raises(ValueError, match="max_chars"):
        pieces("x", max_chars=2)


@pytest.mark.parametrize(
    "unit",
    [
        *[
            "The quick brown fox, e.g. Dr. Smith's, jumped. ",
            "word ",
            "a ",
            "x",
            "A. ",
            "1. ",
            "(a. ",
        ],
        *["中", "，", "。", "「a。", " ", "\n", "\"'“«", "e\u0301", "\u0301", "🇩", "a\n\n"],
    ],
)
def test_a_hundred_thousand_characters_come_lazily(unit: str) -> None:
    text = "A beginning. " + (unit * 100_000)[:100_000]
    next(split("Warm up.", "en", max_chars=250))
    started = time.process_time()
    tracemalloc.start()
    first = next(split(text, "en", max_chars=250))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert time.process_time() - started < 0.5
    assert first.text.startswith("A beginning.")
    assert peak < 300_000
    whole = sum(len(without_space(piece.text)) for piece in split(text, "en", max_chars=250))
    assert whole == len(without_space(text))
    assert time.process_time() - started < 10.0


@pytest.mark.parametrize(
    ("text", "language", "number"),
    [
        (
            "You can reach the office at plus one, two one two, five five five, zero one nine "
            "eight at any time.",
            "en",
            "plus one, two one two, five five five, zero one nine eight",
        ),
        (
            "Llame al número nueve uno, cinco cinco cinco, cero uno, tres dos para cualquier "
            "consulta.",
            "es",
            "nueve uno, cinco cinco cinco, cero uno, tres dos",
        ),
        (
            "お問い合わせはゼロ三、五五五五、ゼロ一三二まで、どうぞお気軽にお電話ください。",
            "ja",
            "ゼロ三、五五五五、ゼロ一三二",
        ),
    ],
)
def test_telephone_number_stays_in_one_segment(text: str, language: str, number: str) -> None:
    segments = [segment.text for segment in split(text, language, max_chars=300)]
    assert len(segments) > 1
    assert any(number in segment for segment in segments)


def test_list_of_digits_without_an_end_is_cut() -> None:
    segments = [segment.text for segment in split("one, two, " * 200, "en", max_chars=300)]
    assert max(map(len, segments)) <= 300
