"""Draw the waveform of 16-bit audio as an SVG picture."""

import html
import itertools
from array import array
from collections.abc import Iterator, Sequence

BARS = 160
_STEP, _WIDTH, _HEIGHT = 5, 3, 100
_TEXT_SIZE, _TEXT_HEIGHT = 14, 20
_FULL_SCALE = 32_768


def peaks(pcm: bytes, count: int = BARS) -> tuple[float, ...]:
    """Return the loudest sample, from 0 to 1, of each of `count` equal parts.

    `pcm` is 16-bit signed little-endian mono. With fewer samples there are fewer peaks.
    """
    samples = array("h", pcm[: len(pcm) // 2 * 2])
    if array("h", [1]).tobytes() != b"\x01\x00":
        samples.byteswap()
    count = min(count, len(samples))
    cuts = [len(samples) * index // count for index in range(count + 1)] if count else []
    parts = (samples[start:end] for start, end in itertools.pairwise(cuts))
    return tuple(max(max(part), -min(part)) / _FULL_SCALE for part in parts)


def picture(
    levels: Sequence[float],
    words: Sequence[tuple[str, float]] = (),
    audio_s: float | None = None,
    colour: str = "#0f766e",
) -> str:
    """Return an SVG with a bar for each level, scaled to the loudest.

    `words` with their starts in seconds are written below, as many as have room.
    """
    loudest = max(levels, default=0.0) or 1.0
    bars = "".join(
        f'<rect x="{index * _STEP}" y="{(_HEIGHT - height) / 2:.1f}" width="{_WIDTH}" '
        f'height="{height:.1f}" rx="1.5"/>'
        for index, height in enumerate(max(2.0, _HEIGHT * level / loudest) for level in levels)
    )
    width = max(1, len(levels)) * _STEP
    labels = "".join(_labels(words, width / audio_s)) if audio_s else ""
    height = _HEIGHT + (_TEXT_HEIGHT if labels else 0)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" font-family="sans-serif" font-size="{_TEXT_SIZE}" '
        f'fill="{colour}"><title>Waveform</title>{bars}{labels}</svg>'
    )


def _labels(words: Sequence[tuple[str, float]], per_s: float) -> Iterator[str]:
    """Yield a label for each word that does not cover the one before it."""
    free_x = 0.0
    for word, start_s in words:
        x = start_s * per_s
        if x < free_x:
            continue
        y = _HEIGHT + _TEXT_SIZE
        yield f'<text x="{x:.1f}" y="{y}">{html.escape(word)}</text>'
        free_x = x + (len(word) + 1) * _TEXT_SIZE * 0.6  # approximately
