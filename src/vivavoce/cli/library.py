"""Define the commands of `vivavoce voices` that make, show and change saved voices."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vivavoce.cli.options import Config, Json, Server, ServerKey, option
from vivavoce.cli.shelf import opened

if TYPE_CHECKING:
    from vivavoce.client import Consent, SavedVoice

Name = Annotated[str, typer.Argument(help="Name of the voice: letters, digits, `.`, `_`, `-`.")]
Saved = Annotated[str, typer.Argument(help="Name or id, from `vivavoce voices list`.")]
Description = Annotated[str | None, option("A description for people.", default="none")]
Words = Annotated[str | None, option("The exact words of the recording.", default="none")]
ConsentBy = Annotated[str | None, option("Who speaks, and agrees.", default="none")]
ConsentWords = Annotated[str | None, option("What they said to agree.", default="none")]
ConsentScope = Annotated[str, option("What it may be used for.", default="anything")]
Expires = Annotated[
    datetime | None, option("Last day of the consent.", default="none", formats=["%Y-%m-%d"])
]


def mix(
    name: Name,
    formula: Annotated[str, typer.Argument(help="Voices of Kokoro with their weights.")],
    description: Description = None,
    server: Server = None,
    key: ServerKey = None,
    config: Config = None,
) -> None:
    """Save a mix of Kokoro's voices under a name.

    Examples:
      vivavoce voices mix evening "af_bella(2)+af_sky(1)"
      vivavoce voices mix less-sky "af_bella(2)-af_sky(1)"
    """
    with opened(server, key, config) as voices:
        saved = voices.mix(name, formula, description=description)
    typer.echo(f"saved {saved.name}, {saved.formula}")


def add(
    name: Name,
    recording: Annotated[Path, typer.Argument(help="A file with 1 to 30 s of speech.")],
    words: Words = None,
    consent_by: ConsentBy = None,
    consent_words: ConsentWords = None,
    consent_scope: ConsentScope = "",
    expires: Expires = None,
    language: Annotated[str | None, option("Language that it speaks.", default="any")] = None,
    description: Description = None,
    server: Server = None,
    key: ServerKey = None,
    config: Config = None,
) -> None:
    """Save the voice of a recording, which a Base checkpoint of Qwen3-TTS speaks with.

    Examples:
      vivavoce voices add anna anna.wav --consent-by "Anna Lind" --consent-words "I agree."
    """
    consent = None
    if consent_by is not None or consent_words is not None:
        consent = _consent(consent_by, consent_words, consent_scope, expires)
    languages = [language] if language else None
    with opened(server, key, config) as voices:
        saved = voices.add(
            name, recording, words=words, consent=consent, languages=languages,
            description=description,
        )  # fmt: skip
    for warning in saved.warnings:
        typer.echo(f"warning: {warning}", err=True)
    typer.echo(f"saved {saved.name}")


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
    server: Server = None,
    key: ServerKey = None,
    config: Config = None,
) -> None:
    """Make a voice from a description, with a VoiceDesign checkpoint of Qwen3-TTS.

    Writes previews to listen to, NAME-1.wav and so on, and saves the one that
    you pick, which a Base checkpoint then speaks with.

    Examples:
      vivavoce voices design "A calm old man, close to the microphone." --name merlin
      vivavoce voices design "A cheerful girl." --name mia --seed 7 --pick 2 -o previews
    """
    from vivavoce.cli.output import open_output
    from vivavoce.errors import BadRequest
    from vivavoce.registry import TAKEN_NAMES
    from vivavoce.voices.record import check_name

    check_name(name, TAKEN_NAMES)
    if pick is not None and pick > count:
        raise typer.BadParameter(f"--pick is {pick}, and --count makes {count} previews")
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        problem = f"cannot write into {str(output)!r} ({error.strerror}): choose another folder"
        raise BadRequest(problem, field="output") from error
    with opened(server, key, config) as voices:
        made = voices.design(description, text=text, language=language, count=count, seed=seed)
        for number, preview in enumerate(made, 1):
            path = output / f"{name}-{number}.wav"
            with open_output(path) as file:
                file.write(preview.audio)
            typer.echo(f"{number}  {path}, {preview.duration_s:.1f} s, seed {preview.seed}")
        if pick is None and sys.stdin.isatty():
            asked = f"Which one is to be kept, 1 to {count}, or 0 for none"
            pick = typer.prompt(asked, type=int)
        if not pick or not 0 < pick <= count:
            typer.echo(f"nothing is saved: keep one with --seed {made[0].seed} --pick 1 to {count}")
            return
        saved = voices.keep(name, made[pick - 1].id)
    typer.echo(f"saved {saved.name}, {made[pick - 1].duration_s:.1f} s")


def list_saved(
    as_json: Json = False, server: Server = None, key: ServerKey = None, config: Config = None
) -> None:
    """List the saved voices.

    Examples:
      vivavoce voices list
    """
    with opened(server, key, config) as shelf:
        voices = shelf.list()
    if as_json:
        typer.echo(_json([asdict(voice) for voice in voices]))
    elif voices:
        _print(voices)
    else:
        typer.echo("no saved voices: make one with `vivavoce voices mix NAME FORMULA`")


def show(voice: Saved, server: Server = None, key: ServerKey = None, config: Config = None) -> None:
    """Show what is known of a saved voice, as JSON.

    Examples:
      vivavoce voices show evening
    """
    with opened(server, key, config) as voices:
        typer.echo(_json(asdict(voices.get(voice))))


def edit(
    voice: Saved,
    name: Annotated[str | None, option("Another name.", default="as it is")] = None,
    words: Words = None,
    description: Description = None,
    server: Server = None,
    key: ServerKey = None,
    config: Config = None,
) -> None:
    """Change the name of a saved voice, the words of its recording, or its description.

    With other words the voice has another id. The former one still means it.

    Examples:
      vivavoce voices edit anna --words "The lamp is on the table."
    """
    if name is None and words is None and description is None:
        raise typer.BadParameter("nothing is to change: give --name, --words or --description")
    with opened(server, key, config) as voices:
        saved = voices.update(voice, name=name, words=words, description=description)
    typer.echo(f"changed {saved.name}, {saved.id}")


def consent(
    voice: Saved,
    consent_by: ConsentBy = None,
    consent_words: ConsentWords = None,
    consent_scope: ConsentScope = "",
    expires: Expires = None,
    server: Server = None,
    key: ServerKey = None,
    config: Config = None,
) -> None:
    """Replace the record of consent to a saved voice, to prolong it for example.

    The former record is kept beside it.

    Examples:
      vivavoce voices consent anna --consent-by "Anna Lind" --consent-words "For ever."
    """
    with opened(server, key, config) as voices:
        renewed = _consent(consent_by, consent_words, consent_scope, expires)
        saved = voices.renew(voice, renewed)
    typer.echo(f"renewed {saved.name}, " + (f"until {expires:%Y-%m-%d}" if expires else "for ever"))


def remove(
    voice: Saved, server: Server = None, key: ServerKey = None, config: Config = None
) -> None:
    """Remove a saved voice with its recording and its record of consent.

    Examples:
      vivavoce voices remove evening
    """
    with opened(server, key, config) as voices:
        typer.echo(f"removed {voices.remove(voice).name}")


def revoke(
    voice: Saved, server: Server = None, key: ServerKey = None, config: Config = None
) -> None:
    """End the consent to a voice: its recording is erased, and the record stays.

    Examples:
      vivavoce voices revoke anna
    """
    with opened(server, key, config) as voices:
        typer.echo(f"revoked {voices.revoke(voice).name}")


def export(
    voice: Saved,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="File to write.", show_default="NAME.vvoice"),
    ] = None,
    server: Server = None,
    key: ServerKey = None,
    config: Config = None,
) -> None:
    """Write a saved voice to one file.

    Examples:
      vivavoce voices export evening -o evening.vvoice
    """
    from vivavoce.cli.output import PIPE, open_output

    with opened(server, key, config) as voices:
        data = voices.export(voice)
        path = output or Path(f"{voices.get(voice).name}.vvoice")
    with open_output(path) as file:
        file.write(data)
    typer.echo(f"wrote {path}", err=path == PIPE)


def import_voice(
    path: Annotated[Path, typer.Argument(help="A file of `vivavoce voices export`.")],
    name: Annotated[str | None, option("Another name.", default="that in the file")] = None,
    server: Server = None,
    key: ServerKey = None,
    config: Config = None,
) -> None:
    """Save the voice in a file.

    Examples:
      vivavoce voices import evening.vvoice
    """
    with opened(server, key, config) as voices:
        typer.echo(f"saved {voices.import_(path, name=name).name}")


def _consent(by: str | None, words: str | None, scope: str, expires: datetime | None) -> "Consent":
    from vivavoce.client import Consent

    return Consent(by or "", words or "", scope, None if expires is None else expires.date())


def _json(facts: object) -> str:
    return json.dumps(facts, indent=2, ensure_ascii=False, default=str)


def _print(voices: "Sequence[SavedVoice]") -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("name", "kind", "languages", "owner", "shared", "state", box=box.SIMPLE_HEAD)
    for voice in voices:
        cells = (voice.name, voice.kind, ", ".join(voice.languages), voice.owner)
        state = voice.ended or voice.formula or "ready"
        table.add_row(*map(Text, cells), "yes" if voice.shared else "", Text(state))
    Console().print(table)
