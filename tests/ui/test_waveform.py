"""Test the picture of a waveform."""

import math
from xml.etree import ElementTree

import pytest

from vivavoce.ui.waveform import BARS, peaks, picture

NAMESPACE = "{http://www.w3.org/2000/svg}"


def pcm(*samples: int) -> bytes:
    return b"".join(sample.to_bytes(2, "little", signed=True) for sample in samples)


def test_peaks_are_the_loudest_of_each_stretch() -> None:
    assert peaks(pcm(0, 16384, -8192, 0, 100, -32768), 3) == (0.5, 0.25, 1.0)


def test_peaks_follow_the_envelope() -> None:
    samples = [round(32_000 * index / 24_000 * math.sin(index)) for index in range(24_000)]
    levels = peaks(pcm(*samples))
    assert len(levels) == BARS
    assert list(levels) == sorted(levels)
    assert levels[-1] == pytest.approx(32_000 / 32_768, rel=0.01)


@pytest.mark.parametrize(("data", "count"), [(b"", 0), (b"\x01", 0), (pcm(1, 2), 2)])
def test_short_audio_has_few_peaks(data: bytes, count: int) -> None:
    assert len(peaks(data)) == count


def test_loudest_bar_is_as_high_as_the_picture() -> None:
    drawn = ElementTree.fromstring(picture([0.1, 0.2, 0.05]))
    heights = [float(bar.get("height", "")) for bar in drawn.iter(f"{NAMESPACE}rect")]
    assert heights == [50, 100, 25]


@pytest.mark.parametrize("levels", [[], [0.0, 0.0]])
def test_silence_can_be_drawn(levels: list[float]) -> None:
    assert len(list(ElementTree.fromstring(picture(levels)).iter(f"{NAMESPACE}rect"))) == len(
        levels
    )


def test_words_are_written_where_they_begin_if_they_have_room() -> None:
    words = [("Hello", 0.0), ("covered", 0.1), ("A&B", 1.0)]
    drawn = ElementTree.fromstring(picture([0.5] * 160, words, 2.0))
    texts = [(text.text, float(text.get("x", ""))) for text in drawn.iter(f"{NAMESPACE}text")]
    assert texts == [("Hello", 0), ("A&B", 400)]
