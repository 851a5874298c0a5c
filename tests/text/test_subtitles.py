"""Check subtitles with the parser of webvtt-py, on readings of our own text pipeline."""

import io
import unicodedata
from itertools import pairwise

import pytest
import webvtt
from hypothesis import given, settings
from hypothesis import strategies as st

from vivavoce.text.pipeline import Voicing, parsed, prepared, spoken
from vivavoce.text.subtitles import LINE_COLUMNS, SubtitleFormat, cues, subtitles
from vivavoce.types import TimedWord

ARTICLE = (
    "The rain had stopped by morning, and the whole street smelled of wet stone and coffee. "
    "Somewhere above the bakery, a radio was playing an old song, and nobody was in a hurry. "
    'Dr. Lee paid $4.50 on 3/4: "not a cent more," she said. Really? Yes. No. We shall see.'
)


def timed(text: str, language: str = "en", chars_per_s: float = 15.0) -> list[TimedWord]:
    """Return the words that are said of `text`, at an even pace."""
    way = Voicing(language, (language,), in_words=True, takes_phonemes=True, max_chars=250)
    found, at_s = [], 0.0
    for segment in spoken(prepared(parsed(text, "auto")), way):
        for word in segment.words:
            end_s = at_s + (3 if language in ("ja", "zh") else 1) * len(word.spoken) / chars_per_s
            written = text[word.start : word.end]
            found.append(
                TimedWord(written, word.spoken, word.start, word.end, round(at_s, 3), end_s)
            )
            at_s = end_s + 0.02
        at_s += segment.pause_s
    return found


def lines_of(text: str, language: str = "en") -> list[tuple[str, ...]]:
    return [cue.lines for cue in cues(timed(text, language), [text])]


def columns(line: str) -> int:
    return sum(2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in line)


@pytest.mark.parametrize("form", ["srt", "vtt"])
def test_a_parser_reads_the_same_cues(form: SubtitleFormat) -> None:
    words = timed(ARTICLE)
    file = io.StringIO(subtitles(words, [ARTICLE], form))
    read = webvtt.from_buffer(file, form)
    made = cues(words, [ARTICLE])
    assert [tuple(caption.lines) for caption in read] == [cue.lines for cue in made]
    starts = [caption.start_in_seconds for caption in read]
    assert starts == [int(cue.start_s) for cue in made]
    assert [caption.end for caption in read] == [clock(cue.end_s) for cue in made]


def clock(seconds: float) -> str:
    """Write a time of less than a minute as WebVTT does."""
    return f"00:00:{seconds:06.3f}"


def test_the_authors_text_is_shown_with_its_punctuation() -> None:
    shown = " ".join(line for lines in lines_of(ARTICLE) for line in lines)
    assert shown == ARTICLE


@pytest.mark.parametrize(
    ("text", "language", "shown"),
    [
        ("**Really?** See [the manual](http://x.org/a) now.", "en", "Really? See the manual now."),
        ("Fish & chips [pause:1s] at the AT&T.", "en", "Fish & chips at the AT&T."),
        ("<speak>Fish &amp; <emphasis>chips</emphasis>.</speak>", "en", "Fish & chips."),
        ("« Bonjour ! » dit-il ; puis rien.", "fr", "« Bonjour ! » dit-il ; puis rien."),
        ("¿Qué hora es? ¡Las 10!", "es", "¿Qué hora es? ¡Las 10!"),
        ("他说：“你好，世界。”", "zh", "他说：“你好，世界。”"),
        ("「こんにちは」と彼は言った。", "ja", "「こんにちは」と彼は言った。"),
        ("It is 5km (3 mi) away.", "en", "It is 5km (3 mi) away."),
    ],
)
def test_markup_is_dropped_and_punctuation_kept(text: str, language: str, shown: str) -> None:
    assert " ".join(line for lines in lines_of(text, language) for line in lines) == shown


def test_cues_end_with_sentences_and_clauses() -> None:
    ends = [lines[-1][-1] for lines in lines_of(ARTICLE)]
    assert set(ends) <= set('.,?:"')


def test_cues_are_long_enough_to_read_where_speech_allows() -> None:
    shown = cues(timed(ARTICLE, chars_per_s=13), [ARTICLE])
    rates = [sum(map(columns, cue.lines)) / (cue.end_s - cue.start_s) for cue in shown]
    assert max(rates) < 17.001


def test_a_long_pause_divides_a_sentence() -> None:
    text = "Wait for it <break time='3s'/> now."
    shown = cues(timed(f"<speak>{text}</speak>"), [f"<speak>{text}</speak>"])
    assert [cue.lines for cue in shown] == [("Wait for it",), ("now.",)]
    assert shown[1].start_s - shown[0].start_s > 3


def test_each_text_of_a_dialogue_has_cues_of_its_own() -> None:
    texts = ["Who is there?", "Me."]
    words = [
        TimedWord("Who", "Who", 0, 3, 0.0, 0.2),
        TimedWord("is", "is", 4, 6, 0.2, 0.3),
        TimedWord("there", "there", 7, 12, 0.3, 0.6),
        TimedWord("Me", "Me", 0, 2, 0.9, 1.1, input=1),
    ]
    assert [cue.lines for cue in cues(words, texts)] == [("Who is there?",), ("Me.",)]


def test_markup_characters_are_escaped_in_webvtt_alone() -> None:
    text = "AT&T is here."
    assert "AT&amp;T" in subtitles(timed(text), [text], "vtt")
    assert "AT&T" in subtitles(timed(text), [text], "srt")


def test_no_words_make_no_cues() -> None:
    assert subtitles([], [""], "vtt") == "WEBVTT\n\n"
    assert subtitles([], [""], "srt") == ""


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=300), st.sampled_from(["en", "fr", "ja", "zh"]))
def test_any_text_gives_lines_that_fit_and_cues_in_order(text: str, language: str) -> None:
    if text.lstrip().startswith("<"):
        text = f"x{text}"
    words = timed(text, language)
    made = cues(words, [text])
    for cue in made:
        assert 1 <= len(cue.lines) <= 2
        assert all(cue.lines)
        assert max(map(columns, cue.lines)) <= LINE_COLUMNS
        assert cue.start_s < cue.end_s
    assert all(one.end_s <= two.start_s for one, two in pairwise(made))
