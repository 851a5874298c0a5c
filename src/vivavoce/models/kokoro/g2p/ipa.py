"""Convert IPA to the alphabet of Kokoro, which hibari shares.

- The alphabet has capitals for diphthongs and single letters for affricates.
- Its stress marks stand before the vowel. In IPA they stand before the syllable.
- Sounds that it lacks become their nearest neighbours.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Final

from vivavoce.models.kokoro.g2p.alphabet import PUNCTUATION, SYMBOLS
from vivavoce.models.kokoro.g2p.hibari_words import sayable

_VOWELS = frozenset("aeiouyæøœɐɑɒɔəɚɛɜɤɨɪɯʊʌᵊᵻAIOQWY")
_VOWEL_RUN = re.compile(f"[{''.join(sorted(_VOWELS))}][\u0303ː]*")
_FULL_VOWEL = _VOWELS - frozenset("əᵊᵻ")
_STRESS = re.compile("[ˈˌ]+")
_TONES = {"˨˩˦": "↓", "˧˥": "↗", "˥˩": "↘", "˥˥": "→", "˥": "→", "˨˩": "↓"}
_NO_TONES = dict.fromkeys("→↗↓↘", "")
_AFFRICATES = {"tʃ": "ʧ", "dʒ": "ʤ", "ts": "ʦ", "dz": "ʣ"}
_SIBILANTS = {"tɕ": "ʨ", "dʑ": "ʥ", "ts": "ʦ", "dz": "ʣ"}
_NEAREST = {
    "g": "ɡ", "ɓ": "b", "ɗ": "d", "ɠ": "ɡ", "ʛ": "ɡ", "ɢ": "ɡ", "ʄ": "ɟ", "ɦ": "h", "ħ": "h",
    "ʜ": "h", "ʕ": "ʔ", "ʢ": "ʔ", "ʡ": "ʔ", "ɧ": "ʃ", "ɭ": "l", "ɺ": "ɾ", "ʟ": "l", "ɬ": "l",
    "ɮ": "l", "ɫ": "l", "ɱ": "m", "ʙ": "b", "ʀ": "ʁ", "ʐ": "ʒ", "ʑ": "ʒ", "ʍ": "w", "ɘ": "ə",
    "ɞ": "ɜ", "ɵ": "ə", "ɶ": "œ", "ʉ": "u", "ʏ": "y", "ᵿ": "ʊ", "ɝ": "ɜɹ", "ʘ": "p", "ǀ": "t",
    "ǁ": "k", "ǂ": "k", "ǃ": "k", "ˑ": "", "ʱ": "ʰ", "ʷ": "w", "ˠ": "", "ˤ": "", "ⁿ": "n", "ˡ": "l",
    "˞": "ɹ",
}  # fmt: skip
_ENGLISH = {
    "tʃ": "ʧ", "dʒ": "ʤ", "eɪ": "A", "ej": "A", "aɪ": "I", "aj": "I", "aʊ": "W", "aw": "W",
    "ɔɪ": "Y", "ɔj": "Y", "ɪ\u0308": "ᵻ", "ɨ": "ᵻ", "r": "ɹ", "ɻ": "ɹ", "l\u0329": "ᵊl",
    "n\u0329": "ᵊn", "m\u0329": "ᵊm", "e": "ɛ", "ɜ˞": "ɜɹ", "ə˞": "əɹ", "ɚ": "əɹ", "ɝ": "ɜɹ",
    **_NO_TONES,
}  # fmt: skip
_AMERICAN = {
    **_ENGLISH, "oʊ": "O", "əʊ": "O", "ow": "O", "oː": "O", "o": "O", "ɜːɹ": "ɜɹ", "ɜːr": "ɜɹ",
    "ɜː": "ɜɹ", "ɜɹ": "ɜɹ", "ɒ": "ɑ", "a": "æ", "aː": "ɑ", "ː": "",
}  # fmt: skip
_BRITISH = {
    **_ENGLISH, "oʊ": "Q", "əʊ": "Q", "ow": "Q", "oː": "Q", "o": "Q", "eə": "ɛː", "æ": "a",
}  # fmt: skip
_LANGUAGES: Mapping[str, Mapping[str, str]] = {
    "en": _AMERICAN,
    "en-GB": _BRITISH,
    **{language: {**_AFFRICATES, **_NO_TONES} for language in ("es", "fr", "pt")},
    "it": {**_AFFRICATES, "ss": "S", "sː": "S", **_NO_TONES},
    "ja": {**_SIBILANTS, "r": "ɾ", "ɹ": "ɾ", "u": "ɯ", "g": "ɡ", "ˈ": "", "ˌ": "", **_NO_TONES},
    "zh": {
        **_SIBILANTS, "tʂ": "ꭧ", "ʈʂ": "ꭧ", "ʐ": "ɻ", "r": "ɻ", "ɹ": "ɻ", "ˈ": "", "ˌ": "",
        **_TONES,
    },
}  # fmt: skip
# hibari reads "[word](/sounds/)" as a command. A user's text must not give one.
_LINK = re.compile(r"\]\s*\(")
SOUNDS: Final = "\ue001"  # stands for sounds in a text, which has no private characters of its own

Phonemes = Sequence[tuple[int, int, str]]  # as in `Segment`


def to_symbols(ipa: str, language: str) -> str:
    """Return `ipa` in the alphabet of Kokoro. `language` is ISO 639-1, or "en-GB"."""
    pattern, table = _table(language)
    symbols = pattern.sub(lambda match: table[match[0]], unicodedata.normalize("NFD", ipa))
    symbols = symbols.replace("c\u0327", "ç")
    known = "".join(c for c in symbols if c in SYMBOLS and (c == " " or c not in PUNCTUATION))
    return " ".join(_stressed(word, language) for word in known.split())


def pieces(text: str, phonemes: Phonemes) -> Iterator[tuple[str, str | None]]:
    """Yield the parts of `text` in order, each with its sounds in IPA or None."""
    done = 0
    for start, end, ipa in phonemes:
        if done <= start <= end <= len(text):
            if start > done:
                yield text[done:start], None
            yield text[start:end], ipa
            done = end
    if done < len(text):
        yield text[done:], None


def marked(text: str, phonemes: Phonemes, read: Callable[[str], str]) -> tuple[str, list[str]]:
    """Return `text` with `SOUNDS` in place of each part that has sounds, and these in IPA.

    `read` is applied to the other parts, whose outer spaces stay.
    """
    parts = list(pieces(text, phonemes))
    written = (SOUNDS if ipa else _inside(part, read) for part, ipa in parts)
    return "".join(written), [ipa for _, ipa in parts if ipa]


def _inside(text: str, read: Callable[[str], str]) -> str:
    inner = text.strip()
    if not inner:
        return text
    start = text.index(inner)
    return text[:start] + read(inner).replace(SOUNDS, " ") + text[start + len(inner) :]


def with_commands(text: str, symbols: Iterable[str]) -> str:
    """Return `text` for hibari's front end, with a command to say the next of `symbols` in place of
    each `SOUNDS`. The word of a command is `SOUNDS` again.
    """
    first, *others = map(sayable, _LINK.sub("] (", text).split(SOUNDS))
    commands = (f"[{SOUNDS}](/{sounds}/)" if sounds else "" for sounds in symbols)
    return first + "".join(next(commands, "") + part for part in others)


@cache
def _table(language: str) -> tuple[re.Pattern[str], Mapping[str, str]]:
    table = {**_NEAREST, **_LANGUAGES.get(language, {})}
    longest_first = sorted(table, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first))), table


def _stressed(word: str, language: str) -> str:
    """Return `word` with each stress mark before its vowel, and one on a word of one syllable."""
    out, pending = "", ""
    for symbol in word:
        if symbol in "ˈˌ":
            pending = symbol
        else:
            if pending and symbol in _VOWELS:
                out, pending = out + pending, ""
            out += symbol
    if language in ("ja", "zh") or _STRESS.search(out):
        return out
    vowels = list(_VOWEL_RUN.finditer(out))
    if language == "fr":
        vowels = vowels[-1:]
    if len(vowels) == 1 and vowels[0][0][0] in _FULL_VOWEL:
        at = vowels[0].start()
        return f"{out[:at]}ˈ{out[at:]}"
    return out
