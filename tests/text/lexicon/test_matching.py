"""Check which words a lexicon replaces, and by what."""

import time
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vivavoce.errors import BadRequest
from vivavoce.text.document import Run
from vivavoce.text.lexicon import Lexicon, apply, checked
from vivavoce.text.lexicon.rules import check
from vivavoce.text.tracked import Tracked
from vivavoce.types import Pronunciation as Rule


def said(text: str, *scopes: Sequence[Rule], voice: str = "", sounds: bool = True) -> str:
    """Return `text` with its words replaced, sounds between slashes."""
    runs = apply(
        [Run(Tracked.of(text))],
        [Lexicon(checked(rules)) for rules in scopes],
        lambda run: "en",
        voices=(voice,),
        takes_phonemes=sounds,
    )
    return "".join(f"/{run.phonemes}/" if run.phonemes else run.text.text for run in runs)


@pytest.mark.parametrize(
    ("word", "text", "replaced"),
    [
        ("SQL", "I like SQL, sql and MySQL.", "I like X, X and MySQL."),
        ("New York", "In New York City.", "In X City."),
        ("can", "I can, you can't.", "I X, you can't."),
        ("Kim", "Kim's and Kim’s hat.", "X's and X’s hat."),
        ("API", "L'API est là.", "L'X est là."),
        ("C++", "C++ or C.", "X or C."),
        (".NET", "Use .NET now.", "Use X now."),
        ("H", "H2O has H.", "H2O has X."),
        ("rock'n'roll", "Rock’n’roll!", "X!"),
        ("naïve", "NAÏVE and naïve", "X and X"),
        ("東京", "東京都は東京です", "X都はXです"),
        ("서울", "서울은", "X은"),
        ("e-mail", "An e-mail.", "An X."),
        ("mail", "An e-mail.", "An e-X."),
        ("İ", "İ or i", "X or i"),
    ],
)
def test_whole_words_are_replaced(word: str, text: str, replaced: str) -> None:
    assert said(text, [Rule(word, alias="X")]) == replaced


def test_the_longest_word_counts_and_is_not_searched_again() -> None:
    rules = [Rule("York", alias="ebor"), Rule("New York", alias="York")]
    assert said("York, New York", rules) == "ebor, York"


def test_higher_scopes_count_more() -> None:
    server, voice = Rule("GIF", alias="server"), Rule("GIF", alias="voice", voice="Heart")
    request = Rule("gif", alias="request")
    assert said("a GIF", [server]) == "a server"
    assert said("a GIF", [server, voice], voice="heart") == "a voice"
    assert said("a GIF", [server, voice], voice="other") == "a server"
    assert said("a GIF", [server, voice], [request], voice="heart") == "a request"


def test_rules_of_a_language_or_case_count_more() -> None:
    rules = [Rule("us", alias="we"), Rule("US", alias="the States", case=True)]
    assert said("us in the US", rules) == "we in the the States"
    rules = [Rule("chat", alias="talk", language="english"), Rule("chat", alias="cat")]
    assert said("chat", rules) == "talk"
    assert said("chat", [Rule("chat", alias="cat", language="fr")]) == "chat"


def test_sounds_are_for_models_that_take_them() -> None:
    rules = [Rule("GIF", ipa="dʒɪf"), Rule("SQL", "sequel", "ˈsiːkwəl")]
    assert said("a GIF of SQL.", rules) == "a /dʒɪf/ of /ˈsiːkwəl/."
    assert said("a GIF of SQL.", rules, sounds=False) == "a GIF of sequel."


def test_runs_keep_their_places_pauses_and_marks() -> None:
    text = "The GIF is here"
    run = Run(Tracked.of(text), pause_s=1.0, mark="end")
    lexicon = Lexicon([Rule("GIF", ipa="dʒɪf"), Rule("here", alias="right over there")])
    first, word, last = apply([run], [lexicon], lambda run: "en")
    assert (first.pause_s, word.pause_s, last.pause_s, last.mark) == (None, None, 1.0, "end")
    assert last.text.text == " is right over there"
    assert text[slice(*last.text.span(4, 9))] == "here"


def test_words_with_sounds_of_their_own_are_left() -> None:
    lexicon = Lexicon([Rule("a", alias="b")])
    runs = [Run(Tracked.of("a"), phonemes="ə"), Run(Tracked.of("a"), read_as="characters")]
    assert list(apply(runs, [lexicon], lambda run: "en")) == runs


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        (Rule(""), "word or phrase"),
        (Rule("..", alias="x"), "word or phrase"),
        (Rule("w" * 101, alias="x"), "word or phrase"),
        (Rule("word"), "alias, or ipa"),
        (Rule("word", alias=" "), "1 to 500"),
        (Rule("word", ipa="♥"), "IPA"),
        (Rule("word", ipa="t♥"), "not IPA: ♥"),
        (Rule("word", ipa="ə" * 201), "200 characters"),
        (Rule("word", alias="x", language="klingon"), "Unknown language"),
        (Rule("word", alias="x", voice="a\nb"), "voice"),
    ],
)
def test_rules_that_mean_nothing_are_refused(rule: Rule, why: str) -> None:
    with pytest.raises(BadRequest, match=why):
        check(rule)


def test_rules_are_kept_in_their_plain_form() -> None:
    rule = check(Rule(" Jose\u0301  K\u200b ", ipa="/xoˈse/", language="Spanish"))
    assert (rule.word, rule.ipa, rule.language) == ("José K", "xoˈse", "es")


@settings(deadline=None)
@given(
    st.text("aAb 'é東’.", max_size=30),
    st.lists(st.text("aAbé東'", min_size=1, max_size=3), max_size=5),
)
def test_any_text_keeps_its_other_characters(text: str, words: list[str]) -> None:
    lexicon = Lexicon(Rule(word, alias=word) for word in words)
    found = apply([Run(Tracked.of(text))], [lexicon], lambda run: "en")
    joined = "".join(run.text.text for run in found)
    assert joined.lower().replace("’", "'") == text.lower().replace("’", "'")


def test_time_is_linear() -> None:
    lexicon = Lexicon(
        [Rule("a " * 49 + "b", alias="x"), *(Rule(f"a{n}", "x") for n in range(5_000))]
    )

    def seconds(chars: int) -> float:
        began = time.process_time()
        list(apply([Run(Tracked.of("a " * (chars // 2)))], [lexicon], lambda run: "en"))
        return time.process_time() - began

    short, long = min(seconds(10_000) for _ in range(3)), min(seconds(40_000) for _ in range(3))
    assert long < max(12 * short, 0.2)
