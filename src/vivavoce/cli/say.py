"""Define `vivavoce say`, which speaks a text with or without a server."""

import asyncio
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vivavoce.cli import output as outputs
from vivavoce.cli.options import Config, Server, ServerKey, option

if TYPE_CHECKING:
    from typing import BinaryIO

    from vivavoce.cli.sources import HeardWords, Remote, SpeechTimer
    from vivavoce.client import AsyncAudioStream, SpeechFacts
    from vivavoce.settings import Settings
    from vivavoce.text.subtitles import SubtitleFormat
    from vivavoce.types import AudioFormat, Reference, SpeechRequest

_PROGRESS_AFTER_S = 2.0


def say(
    text: Annotated[str, typer.Argument(help="Text to speak. `-` reads it from stdin, in UTF-8.")],
    output: Annotated[
        Path | None, option("File to write. `-` is stdout.", "--output", "-o", default="play it")
    ] = None,
    format: Annotated[
        str | None,
        option(
            "wav, pcm, mp3, opus, aac, flac or m4a.", default="from the file's suffix, else wav"
        ),
    ] = None,
    speaker: Annotated[str | None, option("Voice, from `vivavoce voices`.")] = None,
    language: Annotated[str | None, option("English name or ISO code.", default="detected")] = None,
    instruct: Annotated[
        str | None, option("Style of speaking, for models that follow instructions.")
    ] = None,
    model: Annotated[
        str | None,
        option("Model: a name, or the folder of a Qwen3-TTS checkpoint.", default="auto"),
    ] = None,
    ref_audio: Annotated[
        Path | None,
        option("Recording of the voice to speak with, for models that clone.", metavar="FILE"),
    ] = None,
    ref_text: Annotated[str | None, option("Transcript of --ref-audio, word for word.")] = None,
    speed: Annotated[float, option("Speed, without a change of pitch.", min=0.25, max=4.0)] = 1.0,
    seed: Annotated[
        int | None, option("The same seed gives the same speech.", min=0, max=2**32 - 1)
    ] = None,
    sample_rate: Annotated[
        int | None, option("Samples per second.", default="the model's", min=8_000, max=48_000)
    ] = None,
    subtitles: Annotated[
        Path | None, option("Also write subtitles, as .vtt or .srt.", metavar="FILE")
    ] = None,
    timestamps: Annotated[
        Path | None, option("Also write the times of the words, as JSON.", metavar="FILE")
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show what would be said, and say nothing.")
    ] = False,
    server: Server = None,
    key: ServerKey = None,
    config: Config = None,
) -> None:
    """Speak a text, in this process or through a server.

    Examples:
      vivavoce say "Hello there." -o hello.wav
      cat chapter.txt | vivavoce say - -o chapter.mp3 --speed 1.1
      vivavoce say "Guten Tag." --server http://dgx:8000 -o - | ffplay -nodisp -
      vivavoce say "In my voice." --ref-audio me.wav --ref-text "My words in it."
      vivavoce say "Dr. Lee paid $4.50 on 3/4." --explain
      vivavoce say - -o talk.mp3 --subtitles talk.vtt < talk.txt
    """
    from vivavoce.cli.sources import Remote
    from vivavoce.settings import Settings
    from vivavoce.text.language.names import parse_language
    from vivavoce.types import SpeechRequest

    times = _TimesFiles(subtitles, timestamps)
    remote = Remote(server, key) if server else None
    settings, model = (None, model) if remote else settings_with(config, model)
    request = SpeechRequest(
        text=_read(text),
        model=model or "auto",
        speaker=speaker,
        language=parse_language(language) if language else None,
        instruct=instruct,
        speed=speed,
        seed=seed,
        reference=_read_reference(ref_audio, ref_text, speaker),
        timestamps="word" if times.wanted else None,
        format=_choose_format(output, format),
        sample_rate_hz=sample_rate,
    )
    if explain:
        _explain(request, settings, remote)
        return
    if output is not None:
        shown = "stdout" if output == outputs.PIPE else str(output)
        signs = settings or Settings.read(config)
        _speak_into(output, request, settings, remote, times, shown=shown, signs=signs)
        return
    player = outputs.find_player()  # before the work, in case there is none
    with tempfile.TemporaryDirectory(prefix="vivavoce-") as folder:
        path = Path(folder) / "speech.wav"
        _speak_into(path, request, settings, remote, times, shown="played")
        outputs.play(player, path)


@dataclass(frozen=True, slots=True)
class _TimesFiles:
    """Files to write beside the audio: subtitles by their suffix, and word times as JSON."""

    subtitles: Path | None
    timestamps: Path | None

    def __post_init__(self) -> None:
        if self.subtitles is not None and self.subtitles.suffix not in (".vtt", ".srt"):
            problem = f"{str(self.subtitles)!r} does not end in .vtt or .srt"
            raise typer.BadParameter(problem)

    @property
    def wanted(self) -> bool:
        return self.subtitles is not None or self.timestamps is not None

    def write(self, heard: "HeardWords", request: "SpeechRequest") -> None:
        """Write the files for the words of `request`."""
        if self.subtitles is not None:
            from vivavoce.text.subtitles import subtitles

            form: SubtitleFormat = "vtt" if self.subtitles.suffix == ".vtt" else "srt"
            with outputs.open_output(self.subtitles) as file:
                file.write(_encoded(subtitles(heard.words, [request.text], form)))
        if self.timestamps is not None:
            from vivavoce.api.schemas.times import word_times

            found = {"timing": heard.timing, "words": word_times(heard.words, "word")}
            with outputs.open_output(self.timestamps) as file:
                file.write(_encoded(json.dumps(found, ensure_ascii=False, indent=1) + "\n"))


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def _explain(
    request: "SpeechRequest", settings: "Settings | None", server: "Remote | None"
) -> None:
    """Print each segment as it is written and as it is spoken."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from vivavoce.cli.sources import explain

    found = asyncio.run(explain(request, settings=settings, server=server))
    table = Table("Written", "Spoken", "Pause")
    for segment in found.segments:
        table.add_row(Text(segment.text), Text(segment.spoken), f"{segment.pause_s:g} s")
    console = Console()
    console.print(table)
    console.print(f"by {found.speaker} ({found.model}, {found.language})")
    if found.unspoken:
        console.print(f"not spoken: {' '.join(found.unspoken)}", markup=False)


def _read(text: str) -> str:
    if text != "-":
        return text
    try:
        return sys.stdin.buffer.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        problem = f"stdin is not UTF-8 ({error.reason} at byte {error.start})"
        raise typer.BadParameter(problem) from error


def _read_reference(
    audio: Path | None, text: str | None, speaker: str | None
) -> "Reference | None":
    """Return the decoded recording to clone. Raises `BadRequest` if it cannot be decoded."""
    if audio is None:
        if text is None:
            return None
        problem = "--ref-text is the transcript of a recording: name that with --ref-audio"
        raise typer.BadParameter(problem)
    if speaker is not None:
        problem = "--speaker is one voice and --ref-audio another: leave one of them out"
        raise typer.BadParameter(problem)
    from vivavoce.audio import decode_recording
    from vivavoce.types import Reference

    try:
        data = audio.read_bytes()
    except OSError as error:
        raise typer.BadParameter(f"cannot read {str(audio)!r} ({error.strerror})") from error
    return Reference(*decode_recording(data), text=(text or "").strip() or None)


def _choose_format(output: Path | None, asked: str | None) -> "AudioFormat":
    chosen = asked or ("wav" if output in (None, outputs.PIPE) else outputs.format_of(output))
    names = ", ".join(outputs.FORMATS)
    match chosen:
        case "wav" | "pcm" | "mp3" | "opus" | "aac" | "flac" | "m4a":
            if output is None and chosen != "wav":
                raise typer.BadParameter(f"playing takes wav, not {chosen!r}: name a file with -o")
            return chosen
        case None:
            problem = f"{str(output)!r} does not end in one of {names}: choose with --format"
        case _:
            problem = f"format {chosen!r} is not one of {names}"
    raise typer.BadParameter(problem)


def settings_with(config: Path | None, model: str | None) -> "tuple[Settings, str | None]":
    """Return the settings, with `model` added to them, and the name of `model`."""
    from vivavoce.registry import MODELS
    from vivavoce.settings import Settings
    from vivavoce.settings.types import is_path

    if is_path(model):
        settings = Settings.read(config, default_model=model)
        return settings, settings.default_model
    settings = Settings.read(config)
    if model is None or model in settings.offered or model not in MODELS:
        return settings, model  # includes aliases and unknown names, which routing checks
    return settings.model_copy(update={"models": (*settings.models, model)}), model


def _speak_into(
    path: Path,
    request: "SpeechRequest",
    settings: "Settings | None",
    server: "Remote | None",
    times: _TimesFiles,
    *,
    shown: str,
    signs: "Settings | None" = None,
) -> None:
    """Speak `request` into the file `path`, write `times`, and print a summary on stderr.

    A file is signed as `signs` says, whoever spoke it.
    """
    from vivavoce.cli.sources import HeardWords, SpeechTimer, open_speech

    timer, heard = SpeechTimer(), HeardWords()
    exact_wav = outputs.is_seekable(path) and request.format == "wav"
    asked = replace(request, format="pcm") if exact_wav else request
    speech = open_speech(asked, settings=settings, server=server, timer=timer, heard=heard)
    with outputs.open_output(path) as file, _progress(timer):
        facts = asyncio.run(_write(speech, file, exact_wav=exact_wav))
        if signs is not None and facts.synthetic and outputs.is_seekable(path):
            _sign(file, request.format, facts, signs)
    times.write(heard, request)
    typer.echo(_summary(shown, facts, timer), err=True)
    if facts.ignored:
        ignored = ", ".join(facts.ignored)
        typer.echo(
            f"vivavoce: {facts.model} does not have {ignored}, which had no effect", err=True
        )


def _sign(
    file: "BinaryIO", format: "AudioFormat", facts: "SpeechFacts", settings: "Settings"
) -> None:
    """Replace a file by itself with a manifest, if it is to have one."""
    from vivavoce.cli.in_process import provenance_of
    from vivavoce.provenance import Mark
    from vivavoce.synthesis.outlet import sign

    mark = Mark(facts.model, facts.voice)
    with tempfile.TemporaryFile() as signed:
        file.seek(0)
        if sign(provenance_of(settings), mark, format, file, signed):
            file.seek(0)
            signed.seek(0)
            shutil.copyfileobj(signed, file)
            file.truncate()


async def _write(
    speech: "AbstractAsyncContextManager[AsyncAudioStream]", file: "BinaryIO", *, exact_wav: bool
) -> "SpeechFacts":
    from vivavoce.provenance import Mark

    async with speech as stream:
        rate_hz = stream.sample_rate_hz if exact_wav else None
        comment = Mark(stream.model, stream.voice).comment if stream.synthetic else ""
        await outputs.write_speech(stream, file, wav_rate_hz=rate_hz, comment=comment)
        return stream


@contextmanager
def _progress(timer: "SpeechTimer") -> Iterator[None]:
    """Show the progress on a terminal's stderr after `_PROGRESS_AFTER_S`."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console
    from rich.live import Live
    from rich.spinner import Spinner

    spinner = Spinner("dots")

    def shown() -> Spinner | str:
        if timer.elapsed_s < _PROGRESS_AFTER_S:
            return ""
        loading = timer.first_audio_s is None
        doing = "loading" if loading else f"{timer.audio_s or 0:.0f} s of speech"
        spinner.update(text=f"{doing}, {timer.elapsed_s:.0f} s")
        return spinner

    console = Console(stderr=True)
    with Live(get_renderable=shown, console=console, transient=True, refresh_per_second=8):
        yield


def _summary(shown: str, facts: "SpeechFacts", timer: "SpeechTimer") -> str:
    """Return one line with the length, the voice and the speed of the speech."""
    audio_s, elapsed_s = timer.audio_s, timer.elapsed_s
    length = "speech" if audio_s is None else f"{audio_s:.1f} s of speech"
    parts = [
        f"{shown}: {length} by {facts.voice} ({facts.model}, {facts.language}) in {elapsed_s:.2f} s"
    ]
    if timer.first_audio_s is not None:
        parts.append(f"first audio after {timer.first_audio_s:.2f} s")
    if audio_s:
        parts.append(f"real-time factor {elapsed_s / audio_s:.3f}")
    if timer.load_s:
        parts.append(f"loaded in {timer.load_s:.1f} s")
    return ", ".join(parts)
