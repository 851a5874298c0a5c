"""Measure how exact the times of words are. See docs/times.md.

    python benchmarks/times.py                            hibari, and Kokoro in its Latin languages
    python benchmarks/times.py --languages en,es

- The times of the model are compared with those that Whisper hears, word by word. Whisper's own are
  rounded to 20 ms and begin where it likes, so a constant between the two is taken out.
- Estimated times are compared with those of the model.
"""

import asyncio
import sys
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from pathlib import Path
from typing import Annotated

if not __package__:  # run as a file: its siblings are found from the folder above
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.intelligibility import RATE_HZ, Task, fetch_whisper, load_whisper, read_tasks
from vivavoce.registry import build_pool
from vivavoce.settings import Settings
from vivavoce.synthesis.synthesizer import Synthesizer
from vivavoce.synthesis.times import estimate
from vivavoce.text.pipeline import SpokenSegment
from vivavoce.text.tracked import Tracked
from vivavoce.types import Samples, SpeechRequest, TimedWord

LANGUAGES = "en,es,fr,it,pt"  # where Whisper's words are those of the text
SENTENCES = Path(__file__).with_name("sentences.toml")


def main(
    languages: Annotated[str, typer.Option(help="Codes with commas between.")] = LANGUAGES,
    models: Annotated[str, typer.Option(help="Models; hibari speaks English only.")] = (
        "kokoro,hibari"
    ),
) -> None:
    """Print the errors of the words' starts, in milliseconds."""
    console = Console()
    whisper = load_whisper(fetch_whisper(Settings().cache_dir, console))
    table = Table("model", "language", "words", "mean, Whisper", "p95", "mean, estimated", "p95")
    tasks = read_tasks(SENTENCES, languages.split(","), models.split(","), None)
    spoken = asyncio.run(_speak(tasks, models.split(",")))
    for model, language in dict.fromkeys((task.model, task.language) for task in tasks):
        heard, estimated = [], []
        for task, (samples, words) in zip(tasks, spoken, strict=True):
            if (task.model, task.language) == (model, language) and task.kind == "plain":
                found, _ = whisper.transcribe(samples, language=language, word_timestamps=True)
                told = [(word.word, word.start) for part in found for word in part.words]
                heard += _gaps(words, told)
                estimated += _estimate_gaps(task.text, language, samples, words)
        table.add_row(model, language, str(len(heard)), *_figures(heard), *_figures(estimated))
    console.print(table)


async def _speak(
    tasks: Sequence[Task], models: Sequence[str]
) -> list[tuple[Samples, Sequence[TimedWord]]]:
    pool = build_pool(Settings(models=tuple(models)))
    synthesizer, spoken = Synthesizer(pool), []
    try:
        for task in tasks:
            request = SpeechRequest(
                task.text, model=task.model, language=task.language, sample_rate_hz=RATE_HZ,
                timestamps="word",
            )  # fmt: skip
            speech = await synthesizer.open(request)
            samples = np.concatenate([part async for part in speech.samples()])
            spoken.append((samples, tuple(speech.words)))
    finally:
        await pool.aclose()
    return spoken


def _gaps(words: Sequence[TimedWord], told: Sequence[tuple[str, float]]) -> list[float]:
    """Return the seconds between the starts of equal words, in order."""
    ours = [_key(word.spoken) for word in words]
    theirs = [_key(word) for word, _ in told]
    blocks = SequenceMatcher(None, ours, theirs, autojunk=False).get_matching_blocks()
    pairs = [(block.a + i, block.b + i) for block in blocks for i in range(block.size)]
    return [words[a].start_s - told[b][1] for a, b in pairs]


def _estimate_gaps(
    text: str, language: str, samples: Samples, words: Sequence[TimedWord]
) -> Iterator[float]:
    segment = SpokenSegment(Tracked.of(text), language=language)
    for phone, word in zip(estimate(samples, RATE_HZ, segment), words, strict=True):
        yield phone.start_s - word.start_s


def _key(word: str) -> str:
    return "".join(filter(str.isalnum, word.lower()))


def _figures(gaps: Sequence[float]) -> tuple[str, str]:
    """Return the mean and the 95th percentile of the distance from the median, in ms."""
    distances: NDArray[np.float64] = 1000 * np.abs(np.array(gaps) - np.median(gaps))
    return f"{distances.mean():.0f} ms", f"{np.percentile(distances, 95):.0f} ms"


if __name__ == "__main__":
    typer.run(main)
