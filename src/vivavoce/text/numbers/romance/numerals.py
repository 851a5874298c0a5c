"""Write numbers as cardinals, ordinals and digits that agree with their noun."""

import re
from functools import lru_cache

from num2words import num2words  # type: ignore[import-untyped]  # the package ships no types

from vivavoce.text.numbers.digits import MAX_DIGITS
from vivavoce.text.numbers.romance.language import RomanceLanguage

_ROMAN = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}
_VALID_ROMAN = re.compile(r"C{0,3}(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})")
_FEMININE = {
    "es": (
        (re.compile(r"\bveinti(?:ún|uno)\b"), "veintiuna"),
        (re.compile(r"\buno?$"), "una"),
        (re.compile(r"ientos\b"), "ientas"),
    ),
    "fr": ((re.compile(r"\bun$"), "une"),),
    "it": ((re.compile(r"^uno$"), "una"),),
    "pt": (
        (re.compile(r"\bum$"), "uma"),
        (re.compile(r"\bdois\b"), "duas"),
        (re.compile(r"entos\b"), "entas"),
    ),
}
_MASCULINE = {"es": ((re.compile(r"veintiuno$"), "veintiún"), (re.compile(r"\buno$"), "un"))}
_MILLIONS = re.compile(r"\b(?:mill|milh|bilh)\w+")


@lru_cache(4096)
def _numeral(number: int, numerals: str, kind: str) -> str:
    return str(num2words(number, lang=numerals, to=kind)).replace(",", "")


def cardinal(number: int, lang: RomanceLanguage) -> str:
    spoken = _numeral(number, lang["numerals"], "cardinal")
    if lang.code == "es":
        spoken = spoken.replace("veintiuno mil", "veintiún mil").replace("y uno mil", "y un mil")
    elif lang.code == "it":
        spoken = spoken.replace("dicotto", "diciotto")  # num2words: 118
        if spoken.endswith("tre") and number > 3:
            spoken = spoken[:-1] + "é"
    return spoken


def ordinal(
    number: int, lang: RomanceLanguage, *, feminine: bool = False, plural: bool = False
) -> str:
    """Return the ordinal numeral: 3 → *tercero*, *troisième*, *terzo*, *terceiro*."""
    spoken = _numeral(number, lang["numerals"], "ordinal")
    if feminine and lang.code == "fr":
        spoken = "première" if number == 1 else spoken
    elif feminine:
        spoken = re.sub(r"o\b", "a", spoken)
    return spoken + "s" if plural and lang.code != "it" else spoken


def spoken_number(written: str, lang: RomanceLanguage) -> str:
    """Return a written amount in words: `1.250`, `3,5`, `1,250.50`, `007`."""
    english = re.fullmatch(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?", written) and (
        "." in written or written.count(",") > 1
    )
    if english:
        whole, _, part = written.replace(",", "").partition(".")
    elif lang.patterns["grouped"].fullmatch(written):
        whole, _, part = lang.patterns["group_sign"].sub("", written).partition(",")
    else:
        whole, _, part = written.replace(",", ".").partition(".")
    if len(whole) > MAX_DIGITS or (len(whole) > 1 and whole[0] == "0"):
        spoken = spoken_digits(whole, lang)
    else:
        spoken = cardinal(int(whole or "0"), lang)
    return f"{spoken} {lang['decimal']} {_decimals(part, lang)}" if part else spoken


def spoken_digits(text: str, lang: RomanceLanguage) -> str:
    return " ".join(cardinal(int(c), lang) for c in text if c.isdecimal())


def _decimals(part: str, lang: RomanceLanguage) -> str:
    zeros = len(part) - len(part.lstrip("0"))
    if len(part) > 2 or zeros == len(part):
        return spoken_digits(part, lang)
    return " ".join([cardinal(0, lang)] * zeros + [cardinal(int(part), lang)])


def is_one(written: str, lang: RomanceLanguage) -> bool:
    """True if the noun after this number is in the singular."""
    return bool(
        re.fullmatch(r"0*1(?:[.,]0{1,2})?", written)
        or (lang.code == "fr" and re.fullmatch(r"[01](?:,\d+)?", written))
    )


def is_feminine(noun: str, lang: RomanceLanguage) -> bool:
    """True if the noun, or the first word of several, is feminine, as far as one can see."""
    noun = noun.split(" ")[0].lower()
    if noun in lang.lists["feminine"]:
        return True
    return noun not in lang.lists["masculine"] and noun.endswith(
        tuple(lang["feminine_endings"].split())
    )


def agreeing(spoken: str, noun: str, lang: RomanceLanguage) -> str:
    """Return a numeral in the gender of the noun behind it."""
    feminine = is_feminine(noun, lang)
    if lang.code == "it" and spoken == "uno" and not feminine:
        impure = re.match(r"s[^aeiouhàèéìòù]|z|gn|ps|pn|x|y", noun.lower())
        return "uno" if impure else "un"
    at = max((found.end() for found in _MILLIONS.finditer(spoken)), default=0)
    head, tail = spoken[:at], spoken[at:]
    for pattern, form in (_FEMININE if feminine else _MASCULINE).get(lang.code, ()):
        tail = pattern.sub(form, tail)
    return head + tail


def counted(written: str, forms: tuple[str, str], lang: RomanceLanguage) -> tuple[str, str]:
    """Return an amount in words and its noun, agreeing in number and gender."""
    noun = forms[0] if is_one(written, lang) else forms[1]
    return agreeing(spoken_number(written, lang), noun, lang), noun


def linked(numeral: str, noun: str, lang: RomanceLanguage) -> str:
    """Return what stands between a numeral and its noun: *un millón **de** pesos*, *un'ora*."""
    if re.search(
        r"(?:ll?[oóiõ](?:n|ns|ni|ne|nes|es|ão)|ilh(?:ão|ões)|illiards?|iliard[oi])$", numeral
    ):
        return elided(lang["of_money"], noun, lang)
    return " "


def elided(of: str, noun: str, lang: RomanceLanguage) -> str:
    """Return ` de `, or ` d'` before a vowel in French."""
    vowel = lang.code == "fr" and noun[:1].lower() in "aeiouyhéèêàâôîœ"
    return " d'" if vowel else f" {of} "


def roman(numeral: str) -> int | None:
    """Return the value of a Roman numeral below 400, None if it is not one."""
    if not _VALID_ROMAN.fullmatch(numeral):
        return None
    values = [_ROMAN[c] for c in numeral]
    return sum(-v if v < after else v for v, after in zip(values, [*values[1:], 0], strict=True))
