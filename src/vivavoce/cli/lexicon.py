"""Define `vivavoce lexicon`, which manages the pronunciations of the server on this machine."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vivavoce.cli.options import Config, Json

if TYPE_CHECKING:
    from vivavoce.text.lexicon import LexiconFile
    from vivavoce.types import Pronunciation

lexicon = typer.Typer(name="lexicon", no_args_is_help=True, help="Manage how words are pronounced.")

Word = Annotated[str, typer.Argument(help="A word or phrase.")]
Language = Annotated[
    str | None, typer.Option(help="English name or ISO 639 code.", show_default="any")
]
Voice = Annotated[str | None, typer.Option(help="A voice's name.", show_default="any")]
Case = Annotated[bool, typer.Option("--case", help="Match upper and lower case exactly.")]


@lexicon.callback()
def root() -> None:
    """Manage how words are pronounced.

    A running server uses a change at once. The rules are in `data_dir`, so run
    this command as the server's user and with its settings.
    """


@lexicon.command("add")
def add(
    word: Word,
    alias: Annotated[
        str | None, typer.Option(help="Text to say instead.", show_default="none")
    ] = None,
    ipa: Annotated[
        str | None, typer.Option(help="Sounds in IPA to say instead.", show_default="none")
    ] = None,
    language: Language = None,
    voice: Voice = None,
    case: Case = False,
    config: Config = None,
) -> None:
    """Add a rule, or replace the one for the same word.

    Examples:
      vivavoce lexicon add SQL --alias sequel
      vivavoce lexicon add Kubernetes --ipa "ˌkuːbɚˈnɛtiz" --language en
      vivavoce lexicon add US --alias "the States" --case
    """
    from vivavoce.types import Pronunciation

    _file(config).add([Pronunciation(word, alias, ipa, language, case, voice)])
    typer.echo(f"added {word}")


@lexicon.command("list")
def list_rules(as_json: Json = False, config: Config = None) -> None:
    """List the rules.

    Examples:
      vivavoce lexicon list
      vivavoce lexicon list --json
    """
    rules = _file(config).read()
    if as_json:
        typer.echo(json.dumps([asdict(rule) for rule in rules], indent=2, ensure_ascii=False))
    elif rules:
        _print(rules)
    else:
        typer.echo("no rules: add one with `vivavoce lexicon add WORD --alias TEXT`")


@lexicon.command("remove")
def remove(
    word: Word, language: Language = None, voice: Voice = None, config: Config = None
) -> None:
    """Remove the rules for a word.

    Examples:
      vivavoce lexicon remove SQL
      vivavoce lexicon remove Kubernetes --language en
    """
    count = _file(config).remove(word, language=_code(language), voice=voice)
    typer.echo(f"removed {_rules(count)} for {word}")


@lexicon.command("test")
def try_rules(
    text: Annotated[str, typer.Argument(help="The text to look for words in.")],
    language: Annotated[str, typer.Option(help="English name or ISO 639 code.")] = "en",
    voice: Voice = None,
    config: Config = None,
) -> None:
    """Show a text with its words replaced, sounds between slashes.

    Examples:
      vivavoce lexicon test "SQL runs on Kubernetes."
      vivavoce lexicon test "Le SQL." --language fr
    """
    from vivavoce.text.lexicon import Lexicon, apply
    from vivavoce.text.pipeline import parsed, prepared

    rules = Lexicon(_file(config).read())
    code = _code(language) or "en"
    runs = apply(
        prepared(parsed(text, "auto")),
        [rules],
        lambda run: run.style.language or code,
        voices=() if voice is None else (voice.lower(),),
    )
    said = (run.text.text if run.phonemes is None else f"/{run.phonemes}/" for run in runs)
    typer.echo("".join(said).strip())


@lexicon.command("import")
def import_rules(
    path: Annotated[Path, typer.Argument(help="A file in W3C's PLS 1.0.", exists=True)],
    case: Case = False,
    config: Config = None,
) -> None:
    """Add the rules of a PLS file.

    Examples:
      vivavoce lexicon import names.pls
      vivavoce lexicon import acronyms.pls --case
    """
    from vivavoce.errors import BadRequest
    from vivavoce.text.lexicon.pls import from_pls

    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise BadRequest(f"{str(path)!r} is not in UTF-8: convert it", field="file") from error
    rules = from_pls(text, case=case)
    _file(config).add(rules)
    typer.echo(f"added {_rules(len(rules))} from {path}")


@lexicon.command("export")
def export(
    language: Annotated[str, typer.Option(help="English name or ISO 639 code.")] = "en",
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="File to write.", show_default="stdout")
    ] = None,
    config: Config = None,
) -> None:
    """Write the rules of one language as a PLS file. A voice's own rules are left out.

    Examples:
      vivavoce lexicon export -o english.pls
      vivavoce lexicon export --language fr
    """
    from vivavoce.cli.output import open_output
    from vivavoce.text.lexicon.pls import to_pls

    text = to_pls(_file(config).read(), _code(language) or "en")
    if output is None:
        typer.echo(text, nl=False)
    else:
        with open_output(output) as file:
            file.write(text.encode())


def _rules(count: int) -> str:
    return f"{count} rule{'' if count == 1 else 's'}"


def _file(config: "Config") -> "LexiconFile":
    from vivavoce.settings import Settings
    from vivavoce.text.lexicon import FILE_NAME, LexiconFile

    return LexiconFile(Settings.read(config).data_dir / FILE_NAME)


def _code(language: str | None) -> str | None:
    from vivavoce.text.language.names import parse_language

    return parse_language(language) if language else None


def _print(rules: "tuple[Pronunciation, ...]") -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("word", "said as", "language", "voice", "case", box=box.SIMPLE_HEAD)
    for rule in rules:
        said = [rule.alias or "", f"/{rule.ipa}/" if rule.ipa else ""]
        cells = (rule.word, " ".join(filter(None, said)), rule.language or "", rule.voice or "")
        table.add_row(*map(Text, cells), "exact" if rule.case else "")
    Console().print(table)
