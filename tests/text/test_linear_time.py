"""Every pattern and every step that a text passes takes time that grows with its length, and no
faster.

Processor time at 25,000 and at 100,000 characters is compared: four times as much text may take six
times as long.
"""

import ast
import gc
import importlib
import math
import pkgutil
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from functools import partial
from pathlib import Path
from types import ModuleType

import pytest
from benchmarks.fuzz_text import TOKENS

import vivavoce.models.kokoro.g2p
import vivavoce.text
from vivavoce.models.kokoro.g2p.romance.rules import RuleTable
from vivavoce.text.clauses import clause_end, pause_end
from vivavoce.text.language.detect import detect, speakable_share
from vivavoce.text.normalize import normalize
from vivavoce.text.numbers.cjk import language as cjk
from vivavoce.text.numbers.romance import language as romance
from vivavoce.text.numbers.verbalize import LANGUAGES, verbalize
from vivavoce.text.split import split, weighted_length
from vivavoce.text.subtitles import subtitles
from vivavoce.text.tracked import Tracked
from vivavoce.text.words import words
from vivavoce.types import TimedWord

SHORT, LONG = 25_000, 100_000
MOST = 6.0  # times as long, for four times as much text
# of processor time for the short text: a square law takes longer, a linear one need not be compared
TELLING_S = 0.015

LONG_TOKENS = (
    "😀",
    "http://",
    "mailto:",
    "a@",
    "<a ",
    "*a",
    "1,",
    "1.1",
    "1-",
    "½",
    "A.",
    "a",
    "中",
    ". ",
    "\n\n",
)


@pytest.fixture(autouse=True)
def no_garbage_collection() -> Iterator[None]:
    """Its time grows with all that the process holds, and counts as the text's."""
    gc.disable()
    yield
    gc.enable()


def modules(package: ModuleType) -> Iterator[ModuleType]:
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        yield importlib.import_module(found.name)


def compiled(value: object) -> Iterator[re.Pattern[str]]:
    """Yield the patterns in `value`: a module's variable, or what is inside one.

    Rules are for one word; see below.
    """
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, RuleTable):
        return
    elif isinstance(value, dict):
        yield from compiled(tuple(value.values()))
    elif isinstance(value, tuple | list | set | frozenset):
        for part in value:
            yield from compiled(part)
    elif is_dataclass(value) and not isinstance(value, type):
        yield from compiled(tuple(getattr(value, field.name) for field in fields(value)))


def written(module: ModuleType) -> Iterator[tuple[str, str]]:
    """Yield the patterns that a module gives to functions of `re`, with the function's name."""
    for call in ast.walk(ast.parse(Path(module.__file__).read_text("utf-8"))):
        match call:
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id="re"), attr=name), args=[pattern, *_]
            ):
                if name not in ("compile", "escape"):
                    source = compile(ast.Expression(pattern), module.__name__, "eval")
                    yield (
                        name,
                        eval(source, vars(module)),
                    )  # a constant, or made of the module's constants


def of_tables() -> Iterator[tuple[str, re.Pattern[str]]]:
    """Yield the patterns that contain words of a language's table."""
    for package in (romance, cjk):
        for code in package.LANGUAGES:
            for name, pattern in package.language(code).patterns.items():
                yield f"{code} {name}", pattern


def searches() -> dict[str, Callable[[str], object]]:
    """How each pattern goes through a text, by the module's name and the pattern."""
    found: dict[str, Callable[[str], object]] = {
        f"tables: {name} {pattern.pattern}": partial(pattern.sub, "")
        for name, pattern in of_tables()
    }
    known = set[re.Pattern[str]]()
    for module in (*modules(vivavoce.text), *modules(vivavoce.models.kokoro.g2p)):
        name = module.__name__.rpartition(".")[2]
        for pattern in compiled(vars(module)):
            if pattern in known:  # of another module
                continue
            known.add(pattern)
            found[f"{name}: {pattern.pattern}"] = partial(pattern.sub, "")
        for function, source in written(module):
            pattern = re.compile(source)
            anchored = function in ("match", "fullmatch")
            use = getattr(pattern, function) if anchored else partial(pattern.sub, "")
            found[f"{name}: {function} {source}"] = use
    return found


def exhaust(function: Callable[[str], object], text: str) -> None:
    for _ in function(text):  # type: ignore[attr-defined]  # every one given is iterable
        pass


def run_of(token: str, length: int, around: str) -> str:
    return around + token * ((length - 2 * len(around)) // len(token)) + around[::-1]


def processor_s(function: Callable[[str], object], text: str) -> float:
    started_s = time.thread_time()
    function(text)
    return time.thread_time() - started_s


def growth(
    function: Callable[[str], object], token: str, around: str, short: int, long: int
) -> float:
    """Return the time of the long text over that of the short one, 0 if that is negligible."""
    # A fifth of the short text tells of most that a square law would stay below `TELLING_S`.
    if 5**2 * processor_s(function, run_of(token, short // 5, around)) < TELLING_S:
        return 0.0
    short_text, long_text = run_of(token, short, around), run_of(token, long, around)
    short_s = processor_s(function, short_text)
    if short_s < TELLING_S:
        return 0.0
    if short_s > 2.0:  # no need to wait for the long one
        return math.inf
    ratios = []
    for _ in range(3):  # the least: others use this machine too
        ratios.append(processor_s(function, long_text) / processor_s(function, short_text))
        if ratios[-1] <= MOST:
            break
    return min(ratios)


def runs(name: str) -> Iterator[tuple[str, str]]:
    """Yield every token and character of the pattern, between letters, some with a space."""
    characters = sorted(
        {character for character in name.partition(": ")[2] if not character.isspace()}
    )
    yield from ((token, "a") for token in dict.fromkeys((*TOKENS, *characters)))
    yield from ((token, "a ") for token in LONG_TOKENS)


SEARCHES = searches()


def test_patterns_of_all_modules_are_found() -> None:
    assert len(SEARCHES) > 100


@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("module", sorted({name.partition(":")[0] for name in SEARCHES}))
def test_pattern_takes_linear_time(module: str) -> None:
    superlinear = [
        (name, token, around, round(times, 1))
        for name, search in SEARCHES.items()
        if name.startswith(f"{module}:")
        for token, around in runs(name)
        if (times := growth(search, token, around, SHORT, LONG)) > MOST
    ]
    assert not superlinear


@pytest.mark.parametrize("token", ["<b>. ", "[a] , ", "Dr. ", ".", "a.m. ", "*_", "```", "<"])
def test_a_cut_of_an_unfinished_text_takes_bounded_time(token: str) -> None:
    text = (token * LONG)[:LONG] + " Yes"
    opening = partial(clause_end, language="en", opening=True)
    for find in (opening, partial(pause_end, language="en")):
        assert processor_s(find, text) < 0.5  # it is done on the event loop


def _share(text: str) -> object:
    return speakable_share(text, "de")


def _subtitles(text: str) -> str:
    text = text[: len(text) // 5]
    said = words(Tracked.of(text), "en")
    timed = [
        TimedWord(word.spoken, word.spoken, word.start, word.end, 0.3 * at, 0.3 * at + 0.3)
        for at, word in enumerate(said)
    ]
    return subtitles(timed, [text], "vtt")


WHOLE: dict[str, Callable[[str], object]] = {
    "normalize": normalize,
    "split": partial(exhaust, lambda text: split(text, "en", max_chars=250)),
    "detect": lambda text: detect(text, ("en", "de", "fr")),
    "speakable_share": _share,
    "weighted_length": weighted_length,
    "subtitles": _subtitles,
    "words": lambda text: words(Tracked.of(text), "en"),
}


@pytest.mark.parametrize("step", WHOLE)
def test_step_takes_linear_time(step: str) -> None:
    grown = {token: growth(WHOLE[step], token, "a ", SHORT, LONG) for token in LONG_TOKENS}
    assert not {token: times for token, times in grown.items() if times > MOST}


@pytest.mark.parametrize("language", LANGUAGES)
def test_verbalizing_takes_linear_time(language: str) -> None:
    # Shorter: what is given to it is one piece, and numbers take their time to be put into words.
    grown = {
        token: growth(lambda text: verbalize(text, language), token, "a ", SHORT // 10, LONG // 10)
        for token in LONG_TOKENS
    }
    assert not {token: times for token, times in grown.items() if times > MOST}
