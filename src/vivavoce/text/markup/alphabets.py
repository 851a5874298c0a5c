"""Convert the phonetic alphabets of markup to IPA, and drop symbols that are not IPA.

Kokoro's capitals for diphthongs (`A` as in *day*) count as IPA, which has none of these letters.
"""

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

MAX_CHARS: Final = 200

_LETTERS = (
    "abcdefghijklmnopqrstuvwxyzçæðøħŋœβθχɐɑɒɓɔɕɖɗɘəɚɛɜɝɞɟɠɡɢɣɤɥɦɧɨɪɫɬɭɮɯɰɱɲɳɴɵɶɸɹɺɻɽɾʀʁʂʃʄʈʉʊʋʌʍʎʏ"
    "ʐʑʒʔʕʘʙʛʜʝʟʡʢǀǁǂǃʣʤʥʦʧʨꭧᵊᵻᵿᵝ"
)
_MARKS = "ˈˌːˑʰʱʲʷˠˤˡⁿ˞˥˦˧˨˩→↗↓↘̴̘̙̜̝̞̟̠̤̥̩̪̬̯̰̹̺̻̼̽̆̈̊̍̃̚"
_CAPITALS = "AIOQSTWY"
_IPA = frozenset(_LETTERS + _MARKS + _CAPITALS + " ")
_SILENT = frozenset("/[]().|‖‿͜͡ꜛꜜ-_’")  # syllables, ties, brackets around
_OTHER_FORMS = str.maketrans(
    {"'": "ˈ", ",": "ˌ", ":": "ː", "ꞌ": "ˈ", "ʼ": "", "\u0361": "", "\u035c": ""}
)
# Any of these in ASCII brackets makes it likely that they hold sounds, and no path.
_PHONETIC = re.compile(f"[{re.escape(''.join(c for c in _LETTERS + _MARKS if not c.isascii()))}]")

_XSAMPA = {
    "A": "ɑ", "B": "β", "B\\": "ʙ", "C": "ç", "D": "ð", "E": "ɛ", "F": "ɱ", "G": "ɣ", "G\\": "ɢ",
    "G\\_<": "ʛ", "H": "ɥ", "H\\": "ʜ", "I": "ɪ", "I\\": "ᵻ", "J": "ɲ", "J\\": "ɟ", "J\\_<": "ʄ",
    "K": "ɬ", "K\\": "ɮ", "L": "ʎ", "L\\": "ʟ", "M": "ɯ", "M\\": "ɰ", "N": "ŋ", "N\\": "ɴ",
    "O": "ɔ", "O\\": "ʘ", "P": "ʋ", "Q": "ɒ", "R": "ʁ", "R\\": "ʀ", "S": "ʃ", "T": "θ", "U": "ʊ",
    "U\\": "ᵿ", "V": "ʌ", "W": "ʍ", "X": "χ", "X\\": "ħ", "Y": "ʏ", "Z": "ʒ", "b_<": "ɓ",
    "d`": "ɖ", "d_<": "ɗ", "g": "ɡ", "g_<": "ɠ", "h\\": "ɦ", "j\\": "ʝ", "l`": "ɭ", "l\\": "ɺ",
    "n`": "ɳ", "p\\": "ɸ", "r`": "ɽ", "r\\": "ɹ", "r\\`": "ɻ", "s`": "ʂ", "s\\": "ɕ", "t`": "ʈ",
    "v\\": "ʋ", "x\\": "ɧ", "z`": "ʐ", "z\\": "ʑ", "@": "ə", "@\\": "ɘ", "@`": "ɚ", "{": "æ",
    "}": "ʉ", "1": "ɨ", "2": "ø", "3": "ɜ", "3\\": "ɞ", "3`": "ɝ", "4": "ɾ", "5": "ɫ", "6": "ɐ",
    "7": "ɤ", "8": "ɵ", "9": "œ", "&": "ɶ", "?": "ʔ", "?\\": "ʕ", "<\\": "ʢ", ">\\": "ʡ",
    "!\\": "ǃ", "|\\": "ǀ", "|\\|\\": "ǁ", "=\\": "ǂ", "-\\": "", '"': "ˈ", "%": "ˌ", ":": "ː",
    ":\\": "ˑ", "'": "ʲ", "~": "\u0303", "=": "\u0329", "`": "˞", "||": "", "|": "", ".": "",
    "$": "", "^": "", "!": "", "-": "", "_h": "ʰ", "_w": "ʷ", "_j": "ʲ", "_G": "ˠ", "_?\\": "ˤ",
    "_n": "ⁿ",
    "_l": "ˡ", "_0": "\u0325", "_v": "\u032c", "_t": "\u0324", "_k": "\u0330", "_N": "\u033c",
    "_d": "\u032a", "_a": "\u033a", "_m": "\u033b", "_O": "\u0339", "_c": "\u031c", "_+": "\u031f",
    "_-": "\u0320", '_"': "\u0308", "_x": "\u033d", "_^": "\u032f", "_r": "\u031d", "_o": "\u031e",
    "_A": "\u0318", "_q": "\u0319", "_e": "\u0334", "_}": "\u031a", "_~": "\u0303", "_=": "\u0329",
    "_T": "˥", "_H": "˦", "_M": "˧", "_L": "˨", "_B": "˩", "_R": "˩˥", "_F": "˥˩", "_X": "\u0306",
    "_>": "",
}  # fmt: skip
_XSAMPA_SYMBOL = re.compile("|".join(map(re.escape, sorted(_XSAMPA, key=len, reverse=True))))
_ARPABET = {
    "AA": "ɑ", "AE": "æ", "AH": "ʌ", "AH0": "ə", "AO": "ɔ", "AW": "aʊ", "AX": "ə", "AXR": "ɚ",
    "AY": "aɪ", "EH": "ɛ", "ER": "ɝ", "ER0": "ɚ", "EY": "eɪ", "IH": "ɪ", "IX": "ɨ", "IY": "i",
    "OW": "oʊ", "OY": "ɔɪ", "UH": "ʊ", "UW": "u", "UX": "ʉ", "B": "b", "CH": "tʃ", "D": "d",
    "DH": "ð", "DX": "ɾ", "EL": "əl", "EM": "əm", "EN": "ən", "F": "f", "G": "ɡ", "H": "h",
    "HH": "h", "JH": "dʒ", "K": "k", "L": "l", "M": "m", "N": "n", "NG": "ŋ", "NX": "ɾ", "P": "p",
    "Q": "ʔ", "R": "ɹ", "S": "s", "SH": "ʃ", "T": "t", "TH": "θ", "V": "v", "W": "w", "WH": "ʍ",
    "Y": "j", "Z": "z", "ZH": "ʒ",
}  # fmt: skip
_ARPABET_STRESS = {"0": "", "1": "ˈ", "2": "ˌ"}


@dataclass(frozen=True, slots=True)
class Sounds:
    """Sounds in IPA, and the symbols that were dropped because they are none."""

    ipa: str
    unknown: tuple[str, ...] = ()


def to_ipa(written: str, alphabet: str = "ipa") -> Sounds | None:
    """Return sounds written in `ipa`, `x-sampa` or `cmu-arpabet`, or None for another alphabet.

    At most `MAX_CHARS` characters are read.
    """
    written = written[:MAX_CHARS]
    match alphabet.strip().lower():
        case "ipa" | "":
            return _known(written.translate(_OTHER_FORMS))
        case "x-sampa" | "xsampa":
            return _known(_XSAMPA_SYMBOL.sub(lambda match: _XSAMPA[match[0]], written))
        case "cmu-arpabet" | "arpabet" | "x-arpabet" | "x-cmu":
            return _from_arpabet(written)
    return None


def is_phonetic(written: str) -> bool:
    """True if `written` is most likely IPA: it has only symbols of IPA, and one beyond ASCII."""
    sounds = to_ipa(written)
    return bool(sounds and not sounds.unknown and _PHONETIC.search(sounds.ipa))


def _known(ipa: str) -> Sounds:
    # Nasal vowels are a letter and a mark, and ç is a letter of its own.
    symbols = unicodedata.normalize("NFD", ipa).replace("c\u0327", "ç")
    symbols = " ".join(symbols.replace("ʻ", "ʰ").split())
    unknown = {c: None for c in symbols if c not in _IPA and c not in _SILENT}
    return Sounds("".join(c for c in symbols if c in _IPA).strip(), tuple(unknown))


def _from_arpabet(written: str) -> Sounds:
    out, unknown = "", dict[str, None]()
    for word in written.upper().split():
        name, stress = (word[:-1], word[-1]) if word[-1] in _ARPABET_STRESS else (word, "")
        sound = _ARPABET.get(word) or _ARPABET.get(name)
        if sound is None:
            unknown[word] = None
        else:
            out += _ARPABET_STRESS.get(stress, "") + sound
    return Sounds(out, tuple(unknown))
