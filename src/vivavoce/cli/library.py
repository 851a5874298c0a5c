"""Define the commands of `vivavoce voices` that make, show and change saved voices."""

import json
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vivavoce.cli.options import Config, Json, option

if TYPE_CHECKING:
    from vivavoce.voices.library import VoiceLibrary
    from vivavoce.voices.record import Consent, SavedVoice

Name = Annotated[str, typer.Argument(help="Name of the voice: letters, digits, `.`, `_`, `-`.")]
Saved = Annotated[str, typer.Argument(help="Name or id, from `vivavoce voices list`.")]
Description = Annotated[str, option("A description for people.", default="none")]


def mix(
    name: Name,
    formula: Annotated[str, typer.Argument(help="Voices of Kokoro with their weights.")],
    description: Description = "",
    config: Config = None,
) -> None:
    """Save a mix of Kokoro's voices under a name.

    Examples:
      vivavoce voices mix evening "af_bella(2)+af_sky(1)"
      vivavoce voices mix less-sky "af_bella(2)-af_sky(1)"
    """
    from vivavoce.models.kokoro.voices import native_of, parse_mix
    from vivavoce.registry import TAKEN_NAMES
    from vivavoce.voices.library import draft
    from vivavoce.voices.record import Viewer

    parsed = parse_mix(formula)
    languages, gender = native_of(parsed)
    facts: dict[str, Any] = {"languages": languages, "gender": gender, "description": description}
    voice = draft(name, "mixed", formula=str(parsed), **facts)
    saved = _library(config).add(voice, Viewer(manages=True), None, TAKEN_NAMES)
    typer.echo(f"saved {saved.name}, {saved.formula}")


def add(
    name: Name,
    recording: Annotated[Path, typer.Argument(help="A file with 1 to 30 s of speech.")],
    words: Annotated[str | None, option("The exact words of it.", default="none")] = None,
    consent_by: Annotated[str | None, option("Who speaks, and agrees.", default="none")] = None,
    consent_words: Annotated[str | None, option("What they said to agree.", default="none")] = None,
    consent_scope: Annotated[str, option("What it may be used for.", default="anything")] = "",
    expires: Annotated[
        datetime | None, option("Last day of the consent.", default="none", formats=["%Y-%m-%d"])
    ] = None,
    language: Annotated[str | None, option("Language that it speaks.", default="any")] = None,
    description: Description = "",
    config: Config = None,
) -> None:
    """Save the voice of a recording, which a Base checkpoint of Qwen3-TTS speaks with.

    Examples:
      vivavoce voices add anna anna.wav --consent-by "Anna Lind" --consent-words "I agree."
    """
    from vivavoce.errors import BadRequest
    from vivavoce.registry import TAKEN_NAMES
    from vivavoce.text.language.names import parse_language
    from vivavoce.voices.library import draft
    from vivavoce.voices.record import Viewer
    from vivavoce.voices.recording import take_recording

    taken = take_recording(_contents(recording))
    code = parse_language(language) if language else None
    facts: dict[str, Any] = {"languages": (code,) if code else (), "description": description}
    consent = _consent(consent_by, consent_words, consent_scope, expires)
    library = _library(config)
    if consent is None and library.require_consent:
        raise BadRequest(
            "consent is missing: say who speaks with --consent-by, and what they agreed to with "
            "--consent-words, or set require_consent = false",
            field="consent",
        )
    voice = draft(name, "cloned", consent=consent, words=words, **facts)
    saved = library.add(voice, Viewer(manages=True), taken, TAKEN_NAMES)
    for warning in taken.warnings:
        typer.echo(f"warning: {warning}", err=True)
    typer.echo(f"saved {saved.name}, {taken.seconds:.1f} s")


def design(
    description: Annotated[str, typer.Argument(help="Who speaks, and how.")],
    name: Annotated[str, typer.Option("--name", help="Name of the voice.", show_default=False)],
    pick: Annotated[
        int | None, option("The preview to keep; 0 for none.", default="ask", min=0, max=4)
    ] = None,
    text: Annotated[str | None, option("What the previews say.", default="two sentences")] = None,
    language: Annotated[str | None, option("Language of the text.", default="detected")] = None,
    count: Annotated[int, option("Previews.", min=1, max=4)] = 3,
    seed: Annotated[
        int | None,
        option("Of the first preview; the others follow.", default="any", min=0, max=2**32 - 1),
    ] = None,
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Folder for the previews.", metavar="DIR")
    ] = Path(),
    config: Config = None,
) -> None:
    """Make a voice from a description, with a VoiceDesign checkpoint of Qwen3-TTS.

    Writes previews to listen to, NAME-1.wav and so on, and saves the one that
    you pick, which a Base checkpoint then speaks with.

    Examples:
      vivavoce voices design "A calm old man, close to the microphone." --name sage
      vivavoce voices design "A cheerful girl." --name mia --seed 7 --pick 2 -o previews
    """
    from vivavoce.cli.in_process import design_previews
    from vivavoce.cli.output import open_output
    from vivavoce.registry import TAKEN_NAMES
    from vivavoce.settings import Settings
    from vivavoce.synthesis.design import Wish
    from vivavoce.text.language.names import parse_language
    from vivavoce.voices.record import Viewer, check_name

    check_name(name, TAKEN_NAMES)
    if pick is not None and pick > count:
        raise typer.BadParameter(f"--pick is {pick}, and --count makes {count} previews")
    code = parse_language(language) if language else None
    output.mkdir(parents=True, exist_ok=True)
    made = design_previews(Settings.read(config), Wish(description, text, code, count, seed))
    for number, preview in enumerate(made, 1):
        path = output / f"{name}-{number}.wav"
        with open_output(path) as file:
            file.write(preview.audio)
        typer.echo(f"{number}  {path}, {preview.recording.seconds:.1f} s, seed {preview.seed}")
    if pick is None and sys.stdin.isatty():
        asked = f"Which one is to be kept, 1 to {count}, or 0 for none"
        pick = typer.prompt(asked, type=int)
    if not pick or not 0 < pick <= count:
        typer.echo(f"nothing is saved: keep one with --seed {made[0].seed} --pick 1 to {count}")
        return
    voice, recording = made[pick - 1].drafted(name)
    saved = _library(config).add(voice, Viewer(manages=True), recording, TAKEN_NAMES)
    typer.echo(f"saved {saved.name}, {recording.seconds:.1f} s")


def list_saved(as_json: Json = False, config: Config = None) -> None:
    """List the saved voices.

    Examples:
      vivavoce voices list
    """
    voices = _all(_library(config))
    if as_json:
        typer.echo(json.dumps([_facts(voice) for voice in voices], indent=2, ensure_ascii=False))
    elif voices:
        _print(voices)
    else:
        typer.echo("no saved voices: make one with `vivavoce voices mix NAME FORMULA`")


def show(voice: Saved, config: Config = None) -> None:
    """Show what is known of a saved voice, as JSON.

    Examples:
      vivavoce voices show evening
    """
    from vivavoce.voices.record import Viewer

    found = _library(config).get(voice, Viewer(manages=True))
    typer.echo(json.dumps(_facts(found), indent=2, ensure_ascii=False))


def remove(voice: Saved, config: Config = None) -> None:
    """Remove a saved voice with its recording and its record of consent.

    Examples:
      vivavoce voices remove evening
    """
    from vivavoce.voices.record import Viewer

    typer.echo(f"removed {_library(config).remove(voice, Viewer(manages=True)).name}")


def revoke(voice: Saved, config: Config = None) -> None:
    """End the consent to a voice: its recording is erased, and the record stays.

    Examples:
      vivavoce voices revoke anna
    """
    from vivavoce.voices.record import Viewer

    typer.echo(f"revoked {_library(config).revoke(voice, Viewer(manages=True)).name}")


def export(
    voice: Saved,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="File to write.", show_default="NAME.vvoice"),
    ] = None,
    config: Config = None,
) -> None:
    """Write a saved voice to one file.

    Examples:
      vivavoce voices export evening -o evening.vvoice
    """
    from vivavoce.voices.record import Viewer

    library, viewer = _library(config), Viewer(manages=True)
    data = library.export(voice, viewer)
    path = output or Path(f"{library.get(voice, viewer).name}.vvoice")
    path.write_bytes(data)
    typer.echo(f"wrote {path}")


def import_voice(
    path: Annotated[Path, typer.Argument(help="A file of `vivavoce voices export`.")],
    name: Annotated[str | None, option("Another name.", default="that in the file")] = None,
    config: Config = None,
) -> None:
    """Save the voice in a file.

    Examples:
      vivavoce voices import evening.vvoice
    """
    from dataclasses import replace

    from vivavoce.models.kokoro.voices import parse_mix
    from vivavoce.registry import TAKEN_NAMES
    from vivavoce.voices.archive import unpack
    from vivavoce.voices.record import Viewer

    voice, recording = unpack(_contents(path))
    voice = replace(voice, name=name or voice.name)
    if voice.formula is not None:
        voice = replace(voice, formula=str(parse_mix(voice.formula)))
    saved = _library(config).add(voice, Viewer(manages=True), recording, TAKEN_NAMES)
    typer.echo(f"saved {saved.name}")


def _library(config: "Config") -> "VoiceLibrary":
    from vivavoce.settings import Settings
    from vivavoce.voices.library import FOLDER, VoiceLibrary

    settings = Settings.read(config)
    return VoiceLibrary(settings.data_dir / FOLDER, require_consent=settings.require_consent)


def _all(library: "VoiceLibrary") -> "Sequence[SavedVoice]":
    from vivavoce.voices.record import Viewer

    library.refresh()
    return library.visible(Viewer(manages=True))


def _contents(path: Path) -> bytes:
    from vivavoce.audio.decode import MAX_BYTES
    from vivavoce.errors import BadRequest

    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise BadRequest(
            f"{str(path)!r} cannot be read ({error.strerror})", field="file"
        ) from error


def _consent(
    by: str | None, words: str | None, scope: str, expires: datetime | None
) -> "Consent | None":
    from vivavoce.voices.record import Consent

    if by is None and words is None:
        return None
    return Consent(by or "", words or "", scope, None if expires is None else expires.date())


def _facts(voice: "SavedVoice") -> dict[str, Any]:  # Any: JSON
    from vivavoce.voices.store import FORM

    facts: dict[str, Any] = FORM.dump_python(voice, mode="json")
    return facts | {"ended": voice.ended()}


def _print(voices: "Sequence[SavedVoice]") -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("name", "kind", "languages", "owner", "shared", "state", box=box.SIMPLE_HEAD)
    for voice in voices:
        cells = (voice.name, voice.kind, ", ".join(voice.languages), voice.owner)
        state = voice.ended() or voice.formula or "ready"
        table.add_row(*map(Text, cells), "yes" if voice.shared else "", Text(state))
    Console().print(table)
