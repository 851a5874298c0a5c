"""Check the rules of a lexicon, wherever they come from."""

import unicodedata
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from vivavoce.errors import BadRequest
from vivavoce.names import is_name
from vivavoce.text.language.names import parse_language
from vivavoce.text.markup.alphabets import to_ipa
from vivavoce.types import Pronunciation

MAX_RULES: Final = 5_000
MAX_REQUEST_RULES: Final = 100
MAX_WORD_CHARS: Final = 100
MAX_ALIAS_CHARS: Final = 500
MAX_IPA_CHARS: Final = 200


def checked(
    rules: Iterable[Pronunciation], *, field: str = "rules", max_rules: int = MAX_RULES
) -> tuple[Pronunciation, ...]:
    """Return `rules` in their plain form. Raises `BadRequest` for the first that means nothing."""
    found = tuple(rules)
    if len(found) > max_rules:
        raise BadRequest(
            f"there are {len(found):,} rules of pronunciation, and {max_rules:,} are allowed",
            field=field,
        )
    return tuple(check(rule, field=field) for rule in found)


def check(rule: Pronunciation, *, field: str = "rules") -> Pronunciation:
    """Return `rule` in its plain form: NFC, single spaces, IPA without brackets."""
    word = _plain(rule.word)
    alias = None if rule.alias is None else _plain(rule.alias)
    problem = _problem(word, alias, rule)
    if problem:
        raise BadRequest(f"the rule for {rule.word[:40]!r} {problem}", field=field)
    try:
        language = parse_language(rule.language) if rule.language else None
    except BadRequest as error:
        raise BadRequest(
            f"the rule for {rule.word[:40]!r} has a wrong language: {error.message}", field=field
        ) from error
    ipa = None
    if rule.ipa is not None:
        sounds = to_ipa(rule.ipa)
        ipa = sounds.ipa if sounds else ""
    return replace(rule, word=word, alias=alias, ipa=ipa, language=language)


def _problem(word: str, alias: str | None, rule: Pronunciation) -> str:
    """Return the fault of a rule, or an empty string."""
    if not any(map(str.isalnum, word)) or len(word) > MAX_WORD_CHARS:
        return f"needs a word or phrase of at most {MAX_WORD_CHARS} characters"
    if alias is None and rule.ipa is None:
        return "needs an alias, or ipa"
    if alias is not None and not 0 < len(alias) <= MAX_ALIAS_CHARS:
        return f"needs an alias of 1 to {MAX_ALIAS_CHARS} characters"
    if rule.voice is not None and not is_name(rule.voice):
        return "has a voice that no voice can be named"
    if rule.ipa is None:
        return ""
    sounds = to_ipa(rule.ipa)
    if len(rule.ipa) > MAX_IPA_CHARS or sounds is None or not sounds.ipa:
        return f"needs sounds in IPA, of at most {MAX_IPA_CHARS} characters"
    if sounds.unknown:
        return f"has symbols that are not IPA: {' '.join(sounds.unknown)[:40]}"
    return ""


def _plain(text: str) -> str:
    visible = "".join(c for c in text if c.isspace() or unicodedata.category(c)[0] != "C")
    return unicodedata.normalize("NFC", " ".join(visible.replace("’", "'").split()))
