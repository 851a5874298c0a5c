"""Parts of a text that is being written are cut where nothing is torn, and lose nothing."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vivavoce.text.clauses import clause_end, pause_end, pause_s, word_end
from vivavoce.text.split import CLAUSE_PAUSE_S, PARAGRAPH_PAUSE_S, SENTENCE_PAUSE_S

from .test_split import FRAGMENTS


def clauses(text: str, language: str = "en", *, sizes: int = 1) -> list[str]:
    """Return the clauses of `text`, which comes `sizes` characters at a time, and the rest."""
    found, left = [], ""
    for start in range(0, len(text), sizes):
        left += text[start : start + sizes]
        while end := clause_end(left, language, opening=not found):
            found.append(left[:end])
            left = left[end:]
    return [*found, left]


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("Hello there. How are you? Fine.", "en", ["Hello there.", " How are you?", " Fine."]),
        ("I'm Dr. Smith. It is 5 p.m. today.", "en", ["I'm Dr. Smith.", " It is 5 p.m. today."]),
        ("It costs $4.50. Really. ", "en", ["It costs $4.50.", " Really.", " "]),
        ("No. 5 is alive. No. It is not.", "en", ["No. 5 is alive.", " No.", " It is not."]),
        ("See Fig. 3 for it. Good.", "en", ["See Fig. 3 for it.", " Good."]),
        ("The U.S. Army base. Here.", "en", ["The U.S. Army base.", " Here."]),
        ("Visit example.com. Then go.", "en", ["Visit example.com.", " Then go."]),
        ("M. Dupont a 3,5 km. Oui.", "fr", ["M. Dupont a 3,5 km.", " Oui."]),
        ("こんにちは。元気ですか？はい", "ja", ["こんにちは。", "元気ですか？", "はい"]),
        ("你好。今天3.5度，很冷", "zh", ["你好。", "今天3.5度，很冷"]),
        ("One thing\n\nAnother thing", "en", ["One thing\n\n", "Another thing"]),
        ("Wait, I am not so sure about it, my friend", "en",
         ["Wait, I am not so sure about it,", " my friend"]),
        ("We met on Jan. 5, 2024 there", "en", ["We met on Jan. 5, 2024 there"]),
        ("```py\nx = 1. y\n``` Code it is. Yes", "en",
         ["```py\nx = 1. y\n``` Code it is.", " Yes"]),
        ('<break time="1. s"/> And so. On', "en", ['<break time="1. s"/> And so.', " On"]),
        ("A [link. to](http://a.b/c. d) it. So", "en",
         ["A [link. to](http://a.b/c. d) it.", " So"]),
        ("<speak>One. Two.</speak> x", "en", ["<speak>One. Two.</speak>", " x"]),
    ],
)  # fmt: skip
def test_cuts_tear_nothing(text: str, language: str, expected: list[str]) -> None:
    for sizes in (1, 3, 7):
        found = clauses(text, language, sizes=sizes)
        assert "".join(found) == text
        assert [one for one in found if one.strip()] == [one for one in expected if one.strip()]


def test_a_text_without_marks_is_cut_after_enough_words_and_beside_no_number() -> None:
    words = " ".join(f"word {n}" if n % 3 else "other" for n in range(60))
    found = clauses(words)
    assert len(found) > 2
    assert len(found[0]) <= 90
    assert all(not one.rstrip()[-1].isdigit() for one in found[:-1])


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("How are you doing ", "How are you doing"),
        ("How are you today, my dea", "How are you today, my"),
        ("Hello there.", "Hello there."),
        ("It is 3.", ""),  # and a half?
        ("I am going to have $4 ", "I am going to"),
        ("Ask for Dr. ", ""),
        ("Yes ", "Yes"),
        ("The number 5", ""),
        ("元気です。", "元気です。"),
    ],
)
def test_a_pause_speaks_what_is_whole(text: str, spoken: str) -> None:
    assert text[: pause_end(text, "en")].strip() == spoken


@settings(max_examples=200, deadline=None)
@given(st.lists(FRAGMENTS, max_size=80).map("".join), st.integers(1, 9), st.booleans())
def test_no_character_is_lost_and_every_cut_is_inside(text: str, sizes: int, opening: bool) -> None:
    assert "".join(clauses(text, "en", sizes=sizes)) == text
    for end in (clause_end(text, "en", opening=opening), pause_end(text, "en"), word_end(text)):
        assert 0 <= end <= len(text)


@pytest.mark.parametrize(
    "token", ["[a", "<a ", "```", "a.b ", "Dr. ", "1, ", "a", "你", "( ", "— ", "\n", "a\n\n"]
)
def test_time_is_bounded_for_each_piece_that_comes(token: str) -> None:
    text = token * (100_000 // len(token))
    started_s = time.process_time()
    clause_end(text, "en", opening=True)
    pause_end(text, "en")
    word_end(text)
    assert time.process_time() - started_s < 0.5


def test_pauses_follow_the_marks() -> None:
    texts = {"a": 0.0, "a,": CLAUSE_PAUSE_S, 'a."': SENTENCE_PAUSE_S, "a\n\n": PARAGRAPH_PAUSE_S}
    assert {text: pause_s(text) for text in texts} == texts
