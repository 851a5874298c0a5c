"""Compare Kokoro's audio that is made in windows with the same audio made whole.

    python benchmarks/kokoro_windows.py                     seven languages
    python benchmarks/kokoro_windows.py --languages en,ja

- Spectral flux at the joins of windows, beside the flux elsewhere in the same audio. A join that is
  not heard has the flux of any other moment.
- The distance of the spectra from those of the audio that was made whole.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

if not __package__:  # run as a file: its siblings are found from the folder above
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import itertools

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.intelligibility import read_tasks
from vivavoce.models.kokoro.assets import locate
from vivavoce.models.kokoro.model import WHOLE, KokoroModel, first_frame, window_stop
from vivavoce.models.kokoro.network import FRAME_SAMPLES, VocoderRun
from vivavoce.models.kokoro.voices import DEFAULT_VOICES
from vivavoce.settings import Settings
from vivavoce.types import Samples, Segment

SENTENCES = Path(__file__).with_name("sentences.toml")
# Two Hann windows of 21 ms whose centres are 10 ms apart, one on each side of a moment.
SIZE, APART, STEP = 512, 240, 60  # samples at 24 kHz
AWAY = 960  # samples between a join and a moment that counts as elsewhere
AUDIBLE = 0.01  # root mean square of the windows
_FLOOR = 1e-3  # of magnitudes

Spectra = NDArray[np.float64]


@dataclass(slots=True)
class Found:
    """What was measured of one language."""

    joins: list[float] = field(default_factory=list)  # flux in dB
    elsewhere: list[float] = field(default_factory=list)
    distances: list[float] = field(default_factory=list)  # dB, of each run


def main(
    languages: Annotated[str, typer.Option(help="Codes with commas between.")] = ",".join(
        DEFAULT_VOICES
    ),
    threads: Annotated[int, typer.Option(min=1)] = 2,
) -> None:
    """Print the flux at joins and elsewhere, and the distance from the audio made whole."""
    model = KokoroModel(locate(Settings().cache_dir, Settings().kokoro_dir), threads=threads)
    table = Table(
        "language", "voice", "joins", "flux at joins / elsewhere, medians",
        "joins above p99 of elsewhere", "distance from whole, mean", "worst run",
    )  # fmt: skip
    everything = Found()
    for language in languages.split(","):
        voice, found = DEFAULT_VOICES[language], Found()
        for task in read_tasks(SENTENCES, [language], ["kokoro"], None):
            if task.kind == "plain":
                _compare(model, Segment(task.text, voice, language), found)
        table.add_row(language, voice, *_figures(found))
        everything.joins += found.joins
        everything.elsewhere += found.elsewhere
        everything.distances += found.distances
    table.add_row("all", "", *_figures(everything))
    Console(width=160).print(table)


def _compare(model: KokoroModel, segment: Segment, found: Found) -> None:
    stream = model.open(segment)
    for symbols in stream.runs:
        run = model.network.read(symbols.ids, stream.styles[len(symbols.ids) - 1])
        if run.length <= WHOLE:
            continue
        edges = list(_edges(run))
        measures = model.measures.of(stream.style, stream.styles, run.silence)
        windows = np.concatenate(
            [
                model.network.window(run, measures, start, stop)
                for start, stop in itertools.pairwise(edges)
            ]
        )
        whole = model.network.whole(run)[0][edges[0] * FRAME_SAMPLES :]
        joins = [(edge - edges[0]) * FRAME_SAMPLES for edge in edges[1:-1]]
        at = np.arange(SIZE, windows.size - SIZE, STEP)
        near = np.abs(at[:, None] - np.array(joins)[None]).min(1) < AWAY
        found.joins += flux(windows, np.array(joins))
        found.elsewhere += flux(windows, at[~near])
        found.distances.append(distance_db(windows, whole))


def _edges(run: VocoderRun) -> Iterator[int]:
    at = first_frame(run)
    yield at
    while at < run.length:
        at = window_stop(run, at)
        yield at


def flux(samples: Samples, moments: NDArray[np.int64]) -> list[float]:
    """Return the change of the spectrum at the audible ones of `moments`, in dB.

    It is the root mean square, over the bins, of the differences of their levels.
    """
    half = APART // 2
    before, after = (_frames(samples, moments + shift) for shift in (-half, half))
    loud = np.sqrt(np.mean(np.square(before) + np.square(after), axis=1) / 2) > AUDIBLE
    change = _levels(after[loud]) - _levels(before[loud])
    return [float(value) for value in np.sqrt(np.mean(np.square(change), axis=1))]


def distance_db(a: Samples, b: Samples) -> float:
    """Return the root mean square difference of the levels in bands of 375 Hz, in dB."""
    at = np.arange(SIZE, min(a.size, b.size) - SIZE, SIZE // 2)
    bands = [_levels(_frames(audio, at), bands=8) for audio in (a, b)]
    return float(np.sqrt(np.mean(np.square(bands[0] - bands[1]))))


def _frames(samples: Samples, centres: NDArray[np.int64]) -> Spectra:
    rows: Spectra = samples[centres[:, None] + np.arange(-SIZE // 2, SIZE // 2)[None]]
    return rows


def _levels(frames: Spectra, bands: int = 1) -> Spectra:
    power = np.abs(np.fft.rfft(frames * np.hanning(SIZE)))[:, : SIZE // 2] ** 2
    levels: Spectra = 10 * np.log10(power.reshape(len(power), -1, bands).mean(2) + _FLOOR**2 * SIZE)
    return levels


def _figures(found: Found) -> Sequence[str]:
    ratio = np.median(found.joins) / np.median(found.elsewhere)
    above = np.mean(np.array(found.joins) > np.percentile(found.elsewhere, 99))
    return (
        str(len(found.joins)),
        f"{ratio:.2f}",
        f"{100 * above:.1f} %",
        f"{np.mean(found.distances):.2f} dB",
        f"{np.max(found.distances):.2f} dB",
    )


if __name__ == "__main__":
    typer.run(main)
