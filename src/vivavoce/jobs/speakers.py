"""Tell who says the quotes of a paragraph, where the text beside them says so plainly.

- After a quote: “…,” said Anna · “…?” Anna asked. The quote does not end with a full stop.
- Before a quote, at the start of a sentence: Anna said, “…” · Anna said quietly: “…”
- A quote goes on if nothing but that stands between: “…,” said Anna, “…”

All else is unclear: pronouns, two names, a longer name, other words between, and quotes that are
claimed by two. Knows the verbs of a few languages, and no grammar.
"""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final

QUOTE: Final = re.compile(r"“[^“”]++”|„[^„“”]++[“”]|«[^«»]++»|「[^「」]++」|\"[^\"]++\"")
_VERBS: Final = (
    "said|says|asked|asks|answered|replied|replies|cried|called|shouted|whispered|murmured"
    "|muttered|exclaimed|added|began|continued|laughed|sighed|remarked|agreed|told"
    "|sagte|fragte|antwortete|rief|flüsterte|meinte|erwiderte|murmelte|schrie|sprach"
    "|dit|demanda|répondit|murmura|cria|dijo|preguntó|respondió|gritó|susurró"
    "|disse|chiese|rispose|gridò|sussurrò|mormorò|perguntou|respondeu"
    "|сказала?|спросила?|ответила?|крикнула?|прошептала?"
)
_BEFORE_CHARS: Final = 160  # of a quote, that are looked at
_ADVERBS: Final = r"(?:\s+(?-i:(?![A-ZÀ-ÞА-Я])[^\W\d_]+)){0,3}"  # and other words without a name
_GOES_ON = re.compile(rf"{_ADVERBS}\s*[,.:;—–]\s*")
_FULL_STOPS: Final = ".。"


@lru_cache(maxsize=16)
def _patterns(names: tuple[str, ...]) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Return what stands behind a quote, and what before it, each with the name in a group."""
    name = "|".join(re.escape(each) for each in sorted(names, key=len, reverse=True))
    # No longer name, no possessive, and not one of two.
    end = r"(?![\w’'-])(?!\s+(?-i:[A-ZÀ-ÞА-Я])[\w’'])(?!\s+(?:and|und|et|y|e|и)\b)"
    behind = rf"[\s,—–]*+(?:(?:{_VERBS})\s+({name}){end}|({name})\s+(?:{_VERBS})\b)"
    before = (
        rf"(?:\A|[.!?…:”“»」\"]\s+)(?:({name})\s+(?:{_VERBS})|(?:{_VERBS})\s+({name}){end})"
        rf"{_ADVERBS}\s*[,:]\s*\Z"
    )
    return re.compile(behind, re.IGNORECASE), re.compile(before, re.IGNORECASE)


def speakers(
    text: str, start: int, end: int, names: Sequence[str]
) -> Iterator[tuple[int, int, str]]:
    """Yield start and end of each quote between two places, and its speaker of `names`, or ""."""
    names = [name for name in names if name.strip()]
    if not names:
        yield from ((*quote.span(), "") for quote in QUOTE.finditer(text, start, end))
        return
    behind, before = _patterns(tuple(names))
    quotes = list(QUOTE.finditer(text, start, end))
    claims: list[set[str]] = [set() for _ in quotes]
    for at, quote in enumerate(quotes):
        last = text[quote.end() - 2]
        following = quotes[at + 1].start() if at + 1 < len(quotes) else end
        if found := behind.match(text, quote.end(), following):
            inverted = found[1] is not None
            if last not in _FULL_STOPS and (inverted or last in ",!?…—，！？"):
                claims[at].add(_named(found))
                if at + 1 < len(quotes) and _GOES_ON.fullmatch(text, found.end(), following):
                    claims[at + 1].add(_named(found))
        edge = quotes[at - 1].end() - 1 if at else start
        lead = text[max(edge, quote.start() - _BEFORE_CHARS) : quote.start()]
        if found := before.search(lead):
            claims[at].add(_named(found))
    for quote, claimed in zip(quotes, claims, strict=True):
        said = claimed.pop() if len(claimed) == 1 else ""
        yield *quote.span(), next((name for name in names if _folded(name) == said), "")


def _named(found: re.Match[str]) -> str:
    return _folded(found[1] or found[2])


def _folded(name: str) -> str:
    """Return a name as `re.IGNORECASE` compares it, to which all letters i are one."""
    return name.replace("İ", "i").replace("ı", "i").casefold()
