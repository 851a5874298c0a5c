"""Keep the server's lexicon in one TOML file, which people may edit as well.

    [[rules]]
    word = "Kubernetes"
    ipa = "ˌkuːbɚˈnɛtiz"

Commands write the file, and every process reads it again when it has changed.
"""

import json
import logging
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field, TypeAdapter, ValidationError

from vivavoce.errors import BadRequest, SettingsError, UnknownRule
from vivavoce.files import replace_file, stamp_of
from vivavoce.permissions import why_unreadable
from vivavoce.text.lexicon.matching import Lexicon
from vivavoce.text.lexicon.rules import MAX_RULES, check, checked
from vivavoce.types import Pronunciation

log = logging.getLogger(__name__)

FILE_NAME: Final = "lexicon.toml"
_RULES: Final = TypeAdapter(
    Annotated[list[Pronunciation], Field(max_length=MAX_RULES)], config={"extra": "forbid"}
)


class LexiconFile:
    """The rules in the file `path`, to read and to change."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> tuple[Pronunciation, ...]:
        """Return the rules. Raises `SettingsError` if the file is not as it should be."""
        try:
            table = tomllib.loads(self.path.read_text("utf-8"))
            if unknown := set(table) - {"rules"}:
                raise ValueError(f"{unknown.pop()!r} is no part of it")
            return checked(_RULES.validate_python(table.get("rules", [])))
        except FileNotFoundError:
            return ()
        except OSError as error:
            why = (
                why_unreadable(self.path) or f"{str(self.path)!r} cannot be read ({error.strerror})"
            )
            raise SettingsError(f"the lexicon {why}") from error
        except (ValidationError, BadRequest, ValueError) as error:
            raise SettingsError(
                f"the lexicon {str(self.path)!r} is wrong ({_reason(error)}): mend or remove it"
            ) from error

    def write(self, rules: Iterable[Pronunciation]) -> None:
        """Replace all rules. Raises `BadRequest` for a rule that means nothing."""
        new = checked(rules)
        self._change(lambda _: new)

    def add(self, rules: Iterable[Pronunciation]) -> None:
        """Add rules. Each replaces the one for the same word, language, case and voice."""
        added = {_key(rule): rule for rule in map(check, rules)}

        def changed(old: tuple[Pronunciation, ...]) -> Iterable[Pronunciation]:
            return checked({**{_key(rule): rule for rule in old}, **added}.values())

        self._change(changed)

    def remove(self, word: str, *, language: str | None = None, voice: str | None = None) -> int:
        """Remove the rules for `word`, of any language and voice or of those named.

        Returns their number. Raises `BadRequest` if there is none.
        """
        gone = 0

        def is_gone(rule: Pronunciation) -> bool:
            same_scope = language in (None, rule.language) and voice in (None, rule.voice)
            return rule.word.lower() == word.strip().lower() and same_scope

        def left(old: tuple[Pronunciation, ...]) -> Iterable[Pronunciation]:
            nonlocal gone
            kept = [rule for rule in old if not is_gone(rule)]
            gone = len(old) - len(kept)
            if not gone:
                raise UnknownRule(f"the lexicon has no rule for {word[:100]!r}", field="word")
            return kept

        self._change(left)
        return gone

    def _change(
        self, change: Callable[[tuple[Pronunciation, ...]], Iterable[Pronunciation]]
    ) -> None:
        replace_file(self.path, lambda: to_toml(change(self.read())).encode(), of="rules")


class LiveLexicon:
    """The lexicon of a running server, which follows its file.

    If the file becomes unreadable, the rules stay as they were.
    """

    def __init__(self, path: Path | None) -> None:
        self._file = None if path is None else LexiconFile(path)
        self._stamp: object = None
        self._lexicon = Lexicon(())

    @property
    def is_stale(self) -> bool:
        """True if the file has changed. The check is one `stat`."""
        return self._file is not None and stamp_of(self._file.path) != self._stamp

    def current(self) -> Lexicon:
        """Return the rules, read again if the file has changed. That may take 0.1 s."""
        if self._file is not None and self.is_stale:
            self._stamp = stamp_of(self._file.path)
            try:
                self._lexicon = Lexicon(self._file.read())
            except SettingsError as error:
                log.error("the lexicon stays as it was: %s", error.message)
        return self._lexicon


def to_toml(rules: Iterable[Pronunciation]) -> str:
    """Return `rules` as the text of a file."""
    tables = []
    for rule in rules:
        values = {name: value for name, value in asdict(rule).items() if value}
        # A JSON string without its escapes of slashes is a basic string of TOML.
        lines = (
            f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in values.items()
        )
        tables.append("\n".join(["[[rules]]", *lines, ""]))
    return "\n".join(tables)


def _key(rule: Pronunciation) -> tuple[object, ...]:
    word = rule.word if rule.case else rule.word.lower()
    return word, rule.case, rule.language, rule.voice


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        problem = error.errors(include_url=False, include_input=False)[0]
        return f"rule {'.'.join(map(str, problem['loc']))}: {problem['msg']}"
    return error.message if isinstance(error, BadRequest) else str(error)
