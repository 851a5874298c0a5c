"""A quote is said by the voice of the name that the text puts beside it, and by no other."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.jobs.test_jobs import lines_of
from vivavoce.jobs import Cast
from vivavoce.jobs.speakers import QUOTE, speakers

NAMES = ("Anna", "Bob", "Old Bob", "Иван")
CLEAR = {
    "“It is late here,” said Anna.": ["Anna"],
    "“Is it late here?” Anna asked.": ["Anna"],
    "“IT IS LATE!” cried Old Bob, and left.": ["Old Bob"],
    "Anna said, “It is late here.”": ["Anna"],
    "He looked up. Anna said very quietly: “It is late.”": ["Anna"],
    "“It is late,” said Anna slowly, “and it is dark.”": ["Anna", "Anna"],
    "“It is late,” said Bob. “It is dark.”": ["Bob", "Bob"],
    "“It is late,” said Anna. Bob said, “It is dark.”": ["Anna", "Bob"],
    "„Es ist spät“, sagte Anna, „und dunkel.“": ["Anna", "Anna"],
    "«Уже поздно», — сказал Иван.": ["Иван"],
    '"It is late," said Bob.': ["Bob"],
}
UNCLEAR = (
    "“It is late here,” she said.",
    "“It is late here.” Anna said nothing.",
    "“It is late here,” said Anna's mother.",
    "“It is late here,” said Anna Smith.",
    "“It is late here,” said Anna and Bob.",
    "“It is late here?” he asked Anna.",
    "Mrs Anna said, “It is late here.”",
    "Then somebody told Anna, “It is late here.”",
    "Anna said Bob had been there, “It is late here.”",
    "Anna said, “It is late here,” said Bob.",
    "Anna nodded. “It is late here.”",
    "“It is late here,” he said to Anna.",
    "“It is late here,” said Hanna.",
)


def named(text: str) -> list[str]:
    return [name for _, _, name in speakers(text, 0, len(text), NAMES)]


@pytest.mark.parametrize("text", CLEAR)
def test_plain_speakers_are_found(text: str) -> None:
    assert named(text) == CLEAR[text]


@pytest.mark.parametrize("text", UNCLEAR)
def test_unclear_speakers_are_not_guessed(text: str) -> None:
    assert named(text) == [""]


@pytest.mark.parametrize(("name", "written"), [("Işıl", "IŞIL"), ("İpek", "ipek"), ("Ali", "ALI")])
def test_names_are_found_in_capital_letters(name: str, written: str) -> None:
    text = f"“It is late,” said {written}."
    assert [said for *_, said in speakers(text, 0, len(text), [name])] == [name]


@pytest.mark.parametrize("text", ["“It is late,” said ", "“It is late,” said Anna."])
def test_empty_name_is_nobodys(text: str) -> None:
    found = [said for *_, said in speakers(text, 0, len(text), ["", " ", "Anna"])]
    assert found == ["Anna" if "Anna" in text else ""]


SAID = st.sampled_from(["It is late,", "Is it late?", "Come here!", "No, not now,", "Wait…"])
LAST = st.sampled_from(["It is late.", "Is it late?", "Come here!"])
NAME = st.sampled_from(NAMES[:3])
VERB = st.sampled_from(["said", "asked", "replied", "whispered"])
OTHER = st.sampled_from(["The lamp was lit.", "Nobody came.", "Anna nodded.", "She said nothing."])
AFTER = st.builds(lambda q, v, n: ([f"“{q}” {v} {n}."], [n]), SAID, VERB, NAME)
TURNED = st.builds(lambda q, v, n: ([f"“{q}” {n} {v}."], [n]), SAID, VERB, NAME)
BEFORE = st.builds(lambda q, v, n: ([f"{n} {v}, “{q}”"], [n]), LAST, VERB, NAME)
UNKNOWN = st.builds(lambda q, v: ([f"“{q}” {v} the man at the door."], [""]), SAID, VERB)
PLAIN = st.builds(lambda text: ([text], []), OTHER)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(AFTER, TURNED, BEFORE, UNKNOWN, PLAIN), max_size=8))
def test_speakers_of_generated_paragraphs(parts: list[tuple[list[str], list[str]]]) -> None:
    """Sentences of no quote are between all of them, so that none goes on."""
    text = " The road was dark. ".join(part[0][0] for part in parts)
    assert named(text) == [name for part in parts for name in part[1]]


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from('Annaidsk “”"«»,.:— '), max_size=120))
def test_quotes_are_the_same_whoever_says_them(text: str) -> None:
    spans = [(start, end) for start, end, _ in speakers(text, 0, len(text), NAMES)]
    assert spans == [quote.span() for quote in QUOTE.finditer(text)]


@pytest.mark.parametrize(
    "part", ["“a,” said ", "“a,” , ", "Anna said x x, “a” ", "said Anna " * 50]
)
def test_long_paragraphs_take_linear_time(part: str) -> None:
    took = []
    for count in (1_000, 10_000):
        text = part * count
        began = time.process_time()
        list(speakers(text, 0, len(text), NAMES))
        took.append(time.process_time() - began)
    assert took[1] < max(0.5, 25 * took[0])


def test_quotes_of_named_speakers_have_their_voices_if_the_cast_says_so() -> None:
    text = "“It is very late here,” said Anna. Then somebody asked: “Who is there at this hour?”"
    voices = {"Anna": "a"}
    assert {voice for voice, _ in lines_of(text, Cast(voices=voices))} == {None}
    plain = lines_of(text, Cast(voices=voices, named_quotes=True))
    assert plain[0] == ("a", "“It is very late here,”")
    assert {voice for voice, _ in plain[1:]} == {None}
    quoted = lines_of(text, Cast(quotes="q", voices=voices, named_quotes=True))
    assert [voice for voice, _ in quoted] == ["a", None, "q"]
