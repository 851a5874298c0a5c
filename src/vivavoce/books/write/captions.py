"""Write the subtitles of a whole book: the author's text, with the times of its words."""

import re
from collections.abc import Iterator

from vivavoce.books.book import NarratedChapter, NarratedSentence, NarratedWord, Narration
from vivavoce.books.write.sound import Sound
from vivavoce.books.write.tags import comment_of
from vivavoce.text.subtitles import SubtitleFormat, cues, srt, vtt
from vivavoce.types import TimedWord


def captions(narration: Narration, form: SubtitleFormat) -> bytes:
    """Return the subtitles of all chapters, one after the other.

    A WebVTT file says in a note that the speech is synthetic. SubRip has no place for it.
    """
    sound = Sound(narration.chapters, narration.rate_hz, narration.rate_hz)
    words, texts = list[TimedWord](), list[str]()
    for chapter, start in zip(narration.chapters, sound.starts, strict=False):
        words.extend(_words(chapter, start / sound.rate_hz, len(texts)))
        texts.extend(block.text for block in chapter.chapter.blocks)
    shown = cues(words, texts)
    if form == "srt":
        return srt(shown).encode("utf-8")
    comment = comment_of(narration.marks).replace("-->", "→")  # would begin a cue
    note = f"NOTE {comment}\n\n" if comment else ""
    return vtt(shown).replace("WEBVTT\n\n", f"WEBVTT\n\n{note}", 1).encode("utf-8")


def _words(chapter: NarratedChapter, start_s: float, first: int) -> Iterator[TimedWord]:
    for sentence in chapter.sentences:
        text = chapter.chapter.blocks[sentence.block].text
        for word in sentence.words or _even(sentence, text):
            said = text[word.start : word.end]
            yield TimedWord(
                said, said, word.start, word.end, start_s + word.start_s, start_s + word.end_s,
                input=first + sentence.block,
            )  # fmt: skip


def _even(sentence: NarratedSentence, text: str) -> Iterator[NarratedWord]:
    """Yield the words of a sentence whose times are unknown, as if it was spoken evenly."""
    pace_s = (sentence.end_s - sentence.start_s) / max(sentence.end - sentence.start, 1)
    for word in re.finditer(r"\S+", text[sentence.start : sentence.end]):
        start_s, end_s = (sentence.start_s + at * pace_s for at in word.span())
        start, end = (sentence.start + at for at in word.span())
        yield NarratedWord(start, end, start_s, end_s)
