"""Measure how exact the word times of models that tell none would be. See docs/times.md.

    python -m benchmarks.alignment                             every language of Kokoro, and hibari
    python -m benchmarks.alignment --languages en,es --sentences 10

Each sentence is spoken three times: with the times of the model, then by the same model without
them, aligned and estimated. The audio is the same. A constant between the times is taken out.
Sentences that the aligner refuses count as such, and in none of the figures.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from vivavoce.models.hibari import HibariModel
from vivavoce.models.kokoro import KokoroOptions, make_kokoro
from vivavoce.registry import options
from vivavoce.serving.base import AnyModel
from vivavoce.serving.local import LocalEngine
from vivavoce.serving.pool import Pool
from vivavoce.settings import Settings
from vivavoce.synthesis.alignment import Aligner
from vivavoce.synthesis.speech import Speech
from vivavoce.synthesis.synthesizer import Synthesizer
from vivavoce.text.pipeline import SpokenSegment
from vivavoce.types import Phone, Samples, SpeechRequest, TimedWord

READING = Path(__file__).parent.parent / "tests" / "text" / "reading"
SENTENCES = {"en": "en_unseen.tsv"}  # nothing was tuned on them; other languages: CODE_more.tsv
VOICES = {
    ("hibari", "en"): ("heart",),
    ("kokoro", "en"): ("af_heart", "am_michael", "af_bella", "am_puck", "bf_emma", "bm_george"),
    ("kokoro", "es"): ("ef_dora", "em_alex"),
    ("kokoro", "fr"): ("ff_siwis",),
    ("kokoro", "it"): ("if_sara", "im_nicola"),
    ("kokoro", "pt"): ("pf_dora", "pm_alex"),
    ("kokoro", "ja"): ("jf_alpha", "jm_kumo"),
    ("kokoro", "zh"): ("zm_yunjian", "zf_xiaoxiao"),
}


@dataclass(slots=True)
class Spoken:
    """The words of one model and language, in one of the ways, and the length of the audio."""

    words: list[TimedWord] = field(default_factory=list)
    audio_s: float = 0.0


class TimedAligner(Aligner):
    """An aligner that counts its work."""

    processor_s = 0.0

    def _align(
        self, samples: Samples, rate_hz: int, text: SpokenSegment
    ) -> tuple[Phone, ...] | None:
        before_s = time.thread_time()
        found = super()._align(samples, rate_hz, text)
        self.processor_s += time.thread_time() - before_s
        return found


def main(
    languages: Annotated[str, typer.Option(help="Codes with commas between.")] = (
        "en,es,fr,it,pt,ja,zh"
    ),
    models: Annotated[str, typer.Option(help="Models; hibari speaks English only.")] = (
        "hibari,kokoro"
    ),
    sentences: Annotated[int, typer.Option(help="Sentences of each language, at most.")] = 50,
) -> None:
    """Print the errors of words without times of their own, in milliseconds."""
    table = Table("model", "language", "sentences", "words", "start, aligned: mean", "p95", "p99")
    for column in ("end: mean", "p95", "start, estimated: mean", "p95", "processor"):
        table.add_column(column)
    for (model, language), voices in VOICES.items():
        if model in models.split(",") and language in languages.split(","):
            texts = _texts(language)[:sentences]
            table.add_row(model, language, *asyncio.run(_row(model, language, voices, texts)))
    Console(width=150).print(table)


def _texts(language: str) -> Sequence[str]:
    file = READING / SENTENCES.get(language, f"{language}_more.tsv")
    return [line.split("\t")[2] for line in file.read_text("utf-8").splitlines() if "\t" in line]


async def _row(
    model: str, language: str, voices: Sequence[str], texts: Sequence[str]
) -> Sequence[str]:
    """Return the number of words and the figures of one line."""
    aligner = TimedAligner()
    await aligner.warm_up()
    pools = [Pool({model: partial(_engine, model, timed=timed)}) for timed in (True, False)]
    ways = [
        Synthesizer(pools[0]),
        Synthesizer(pools[1], aligner=aligner),
        Synthesizer(pools[1]),
    ]
    found: dict[int, Spoken] = defaultdict(Spoken)
    refused = 0
    for number, text in enumerate(texts):
        request = SpeechRequest(
            text, model=model, speaker=voices[number % len(voices)], language=language, seed=1,
            timestamps="word",
        )  # fmt: skip
        spoken = [await _speak(synthesizer, request) for synthesizer in ways]
        refused += spoken[1].timing != "aligned"
        if spoken[1].timing == "aligned":
            for way, speech in enumerate(spoken):
                found[way].words += speech.words
                found[way].audio_s += speech.spoken_samples / speech.sample_rate_hz
    for pool in pools:
        await pool.aclose()
    told, aligned, estimated = found[0], found[1], found[2]
    starts = _gaps(told.words, aligned.words, lambda word: word.start_s)
    # Before a pause the model's own end counts silence, so only ends inside a clause are compared.
    inside = [0 <= b.start_s - a.end_s < 0.1 for a, b in pairwise(told.words)]
    ends = _gaps(told.words[:-1], aligned.words[:-1], lambda word: word.end_s)
    guesses = _gaps(told.words, estimated.words, lambda word: word.start_s)
    return (
        f"{len(texts) - refused} of {len(texts)}",
        str(len(starts)),
        *_figures(starts, 95, 99),
        *_figures(ends[np.array(inside)], 95),
        *_figures(guesses, 95),
        f"{aligner.processor_s / aligned.audio_s:.3f}",
    )


def _engine(name: str, *, timed: bool) -> LocalEngine:
    model: AnyModel = HibariModel() if name == "hibari" else make_kokoro(_kokoro_options())
    can = replace(model.info.capabilities, timed=timed)
    model.info = replace(model.info, capabilities=can)
    return LocalEngine(model)


def _kokoro_options() -> KokoroOptions:
    return options(KokoroOptions, Settings())


async def _speak(synthesizer: Synthesizer, request: SpeechRequest) -> Speech:
    speech = await synthesizer.open(request)
    async for _ in speech.samples():
        pass
    return speech


def _gaps(
    told: Sequence[TimedWord], found: Sequence[TimedWord], of: Callable[[TimedWord], float]
) -> np.ndarray:
    return 1000 * np.array([of(two) - of(one) for one, two in zip(told, found, strict=True)])


def _figures(gaps: np.ndarray, *percentiles: int) -> list[str]:
    """Return the mean and the percentiles of the distance from the median, in ms."""
    distances = np.abs(gaps - np.median(gaps))
    return [
        f"{distances.mean():.0f} ms",
        *(f"{np.percentile(distances, p):.0f} ms" for p in percentiles),
    ]


if __name__ == "__main__":
    typer.run(main)
