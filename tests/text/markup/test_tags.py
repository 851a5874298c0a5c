"""Check inline tags: their effects, what is not one, and that none is ever spoken."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vivavoce.text.document import Run
from vivavoce.text.markup import split_tags
from vivavoce.text.pipeline import Voicing, parsed, prepared, spoken
from vivavoce.text.tracked import Tracked

VOICING = Voicing("en", ("en",), in_words=False, takes_phonemes=True, max_chars=250)


def split(text: str) -> list[Run]:
    return split_tags(Tracked.of(text))


def said(text: str) -> str:
    segments = spoken(prepared(parsed(text, "text")), VOICING)
    return " ".join(segment.text for segment in segments if segment.text)


@pytest.mark.parametrize(
    ("tag", "pause_s"),
    [
        ('<break time="0.5s"/>', 0.5),
        ("<break time='500ms' />", 0.5),
        ("<break time=“1.5s”/>", 1.5),
        ("<BREAK TIME=2>", 2.0),
        ('<break time="1s"></break>', 1.0),
        ('<break strength="strong"/>', 1.0),
        ("<break/>", 0.75),
        ('<break time="soon"/>', 0.75),
        ("[pause:1.5s]", 1.5),
        ("[pause: 300 ms]", 0.3),
        ("[pause 2]", 2.0),
        ("[pause]", 0.75),
        ("[Pause]", 0.75),
        ("[long pause]", 1.5),
        ("[short pause]", 0.4),
        ("[silence=1s]", 1.0),
        ("[pause:999s]", 10.0),
        ("[[slnc 500]]", 0.5),
        ("[pause:1s] [pause:1s]", 2.0),
    ],
)
def test_a_pause_is_made(tag: str, pause_s: float) -> None:
    first, *_, last = split(f"Wait {tag} and go.")
    assert (first.text.text, first.pause_s) == ("Wait ", pause_s)
    assert last.text.text.strip() == "and go."


@pytest.mark.parametrize(
    ("tag", "ipa"),
    [
        ('<phoneme alphabet="ipa" ph="təˈmɑːtəʊ">tomato</phoneme>', "təˈmɑːtəʊ"),
        ("<phoneme ph='təˈmɑːtəʊ'>tomato</phoneme>", "təˈmɑːtəʊ"),
        ('<phoneme alphabet="cmu-arpabet" ph="T AH0 M AA1 T OW0">tomato</phoneme>', "təmˈɑtoʊ"),
        ('<phoneme alphabet="x-sampa" ph="t@&quot;mA:">tomato</phoneme>', "təˈmɑː"),
        ("[tomato](/təmˈATO/)", "təmˈATO"),
    ],
)
def test_sounds_are_given_to_a_word(tag: str, ipa: str) -> None:
    _, word, after = split(f"Say {tag}.")
    assert (word.text.text, word.phonemes, after.text.text) == ("tomato", ipa, ".")


def test_a_voice_holds_until_the_next() -> None:
    runs = split("I. [voice:am_adam]You. [voice: bf_emma ]She. [voice:default]I. [/voice]")
    assert [(run.style.voice, run.text.text.strip()) for run in runs] == [
        (None, "I."),
        ("am_adam", "You."),
        ("bf_emma", "She."),
        (None, "I."),
    ]


@pytest.mark.parametrize(
    ("text", "runs"),
    [
        ("*sighs* I am tired.", ["sighs", " I am tired."]),
        ("Well. *She nods.* Yes.", ["Well. ", "She nods.", " Yes."]),
        (
            '"No," *he turns away slowly* "not now."',
            ['"No," ', "he turns away slowly", ' "not now."'],
        ),
        ("Well *sighs* I know.", ["Well ", "sighs", " I know."]),
    ],
)
def test_an_action_is_spoken_between_pauses(text: str, runs: list[str]) -> None:
    found = split(text)
    assert [run.text.text for run in found] == runs
    assert all(run.pause_s for run in found[:-1])


@pytest.mark.parametrize(
    "text",
    [
        "This is *really* good.", "*Never* do that.", "I read *The Hobbit* twice.",
        "**Bold.** Yes.", "2 * 3 * 4", "a*b*c", "* one\n* two", "He *laughs* at it.",
    ],
)  # fmt: skip
def test_emphasis_is_no_action(text: str) -> None:
    assert [run.text.text for run in split(text)] == [text]


@pytest.mark.parametrize(
    ("text", "heard"),
    [
        ("[laughs] That is funny.", "That is funny."),
        ("That is (coughs) funny.", "That is funny."),
        ("[clears throat] Friends, [whispering softly] come.", "Friends, come."),
        ("Well <sigh> fine.", "Well fine."),
        ("[excited] We won!", "We won!"),
        ("[speed:1.5]Fast[/speed] now.", "Fast now."),
        ("[emotion: very happy] Hi.", "Hi."),
        ("[b]Bold[/b] text.", "Bold text."),
        ('<tone level="2">Hey</tone> you.', "Hey you."),
        ("<foo/>Hi<bar-baz>there", "Hi there"),
        ("<|endoftext|>Hi.", "Hi."),
        ("Stop.<break time='1s'/>Go.", "Stop. Go."),
        ("[good](+2) [docs](/docs/intro)", "good docs"),
        ("<speak >", ""),
    ],
)
def test_tags_are_not_spoken(text: str, heard: str) -> None:
    assert said(text) == heard


@pytest.mark.parametrize(
    "text",
    [
        "It holds [1, 2].", "List<String> is a type.", "a < b and c > d", "x[a:b] and x[0]",
        "The king [of France] left.", "He was (sad) then.", "[Note: be early.]",
        "[citation needed]", "At [12:30] sharp.", r"\[pause]", "f(x)", "[ ] milk", "[x] eggs",
        "I saw <name>.",
    ],
)  # fmt: skip
def test_brackets_of_ordinary_text_are_left(text: str) -> None:
    assert "".join(run.text.text for run in split(text)) == text


def test_places_are_those_of_the_author() -> None:
    text = "One [pause] two <foo/> [three](/θɹiː/)."
    for run in split(text):
        for word in run.text.text.split():
            at = run.text.text.index(word)
            assert text[slice(*run.text.span(at, at + len(word)))] == word


PIECES = [
    "<break", "<break/>", "<phoneme ", "<phoneme ph='a'>", "</phoneme>", "[", "[pause", "[voice:",
    "](/", "/)", "]", "*", "*sighs", "<", "</a", "<a ", "<|", "|>", "(laughs)", "(", "[[slnc ",
    "time=", '"', "word ", "é", "\n", "\\", "a=", "[/b]", "[b]", "\ud800", "”", "1.5s",
]  # fmt: skip


@settings(deadline=None, max_examples=300)
@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join))
def test_any_text_is_cut_in_the_author_s_order(text: str) -> None:
    runs = split(text)
    assert runs
    starts = [start for run in runs for start in run.text.starts]
    assert starts == sorted(starts)
    assert all(end <= len(text) for run in runs for end in run.text.ends)


@pytest.mark.parametrize("piece", [*PIECES, "<phoneme a", "[a](/a", "*a ", "<a b", "[[slnc a"])
def test_time_is_linear(piece: str) -> None:
    def seconds(chars: int) -> float:
        text = piece * (chars // len(piece))
        began = time.process_time()
        split(text)
        return time.process_time() - began

    seconds(1_000)
    short, long = min(seconds(25_000) for _ in range(2)), min(seconds(100_000) for _ in range(2))
    assert long < max(12 * short, 0.3)
