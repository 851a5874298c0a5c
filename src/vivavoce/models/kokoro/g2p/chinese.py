"""Convert Mandarin text to phonemes: words by rjieba, pinyin by pypinyin, sounds by table.

- The alphabet is the one that Kokoro's Mandarin voices were trained with.
- The tone is an arrow after the vowel: → first, ↗ second, ↓ third, ↘ fourth, none for neutral.
- Tones are written as they are spoken in context: *nǐ hǎo* has a rising first syllable.
- Spaces separate words.
- Digits are already in words: `text.numbers.verbalize` comes first.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import rjieba
from pypinyin import Style, lazy_pinyin

from vivavoce.models.kokoro.g2p.alphabet import plain_marks, tidy
from vivavoce.models.kokoro.g2p.romance.rules import word_set

HAN = "\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"
_RUNS = re.compile(rf"[{HAN}]+|[^{HAN}]+")
_TONES = {"1": "→", "2": "↗", "3": "↓", "4": "↘", "5": ""}
_INITIALS = {
    "b": "p", "p": "pʰ", "m": "m", "f": "f", "d": "t", "t": "tʰ", "n": "n", "l": "l", "g": "k",
    "k": "kʰ", "h": "x", "j": "ʨ", "q": "ʨʰ", "x": "ɕ", "zh": "ꭧ", "ch": "ꭧʰ", "sh": "ʂ", "r": "ɻ",
    "z": "ʦ", "c": "ʦʰ", "s": "s", "": "",
}  # fmt: skip
_FINALS = {  # * marks the place of the tone
    "a": "a*", "ai": "ai*", "an": "a*n", "ang": "a*ŋ", "ao": "au*", "e": "ɤ*", "ei": "ei*",
    "en": "ə*n", "eng": "ə*ŋ", "er": "ɚ*", "i": "i*", "ia": "ja*", "ian": "jɛ*n", "iang": "ja*ŋ",
    "iao": "jau*", "ie": "je*", "in": "i*n", "ing": "i*ŋ", "io": "jɔ*", "iong": "jʊ*ŋ",
    "iou": "jou*", "o": "wo*", "ong": "ʊ*ŋ", "ou": "ou*", "u": "u*", "ua": "wa*", "uai": "wai*",
    "uan": "wa*n", "uang": "wa*ŋ", "uei": "wei*", "uen": "wə*n", "ueng": "wə*ŋ", "uo": "wo*",
    "v": "y*", "van": "ɥɛ*n", "ve": "ɥe*", "vn": "y*n", "ê": "ɛ*", "m": "m*", "n": "n*", "ng": "ŋ*",
    "hm": "hm*", "hng": "hŋ*",
}  # fmt: skip
_BUZZED = frozenset(("zh", "ch", "sh", "r", "z", "c", "s"))  # after these, i is the vowel ɨ

_DIGITS = "零〇一二三四五六七八九"
_DATES = _DIGITS + "月日号"
_COUNTING = _DIGITS + "第十百初期周月"  # after these 一 is a numeral of its own: 第一, 星期一, 十一
# The segmenter returns these as words, but they are a noun's suffix and a place word.
_SUFFIX_AND_PLACE = frozenset(("子里", "子上", "子下"))
_KIN = frozenset("爸妈爷奶哥姐弟妹公婆叔姑舅宝星")  # when one is doubled, the second is neutral
_CHILDREN = tuple(word_set("女儿 婴儿 幼儿 少儿 孤儿 胎儿 生儿 小儿 健儿 宠儿 血儿 育儿"))
# Words whose last syllable is neutral. pypinyin gives it the tone of the character.
_NEUTRAL_LAST = word_set(
    """
    早上 晚上 窗户 时候 味道 知道 东西 朋友 先生 学生 衣服 喜欢 认识 告诉 客气 漂亮 便宜 休息 麻烦
    故事 意思 太阳 月亮 地方 关系 消息 明白 清楚 舒服 事情 眼睛 耳朵 头发 暖和 热闹 凉快 聪明 商量
    打算 打听 答应 招呼 精神 力气 钥匙 护士 大夫 豆腐 萝卜 葡萄 石榴 玻璃 骆驼 蘑菇 窟窿 葫芦 唠叨
    收拾 亲戚 丈夫 邻居 师傅 生意 行李 工夫 苗条 结实 马虎 糊涂
    """
)


def phonemize(text: str) -> str:
    """Return the phonemes of Mandarin `text`. Other characters stay as they are."""
    runs = _RUNS.findall(plain_marks(text))
    return tidy(" ".join(_read(run) if re.match(f"[{HAN}]", run) else run for run in runs))


@dataclass(frozen=True, slots=True)
class _Syllable:
    char: str
    initial: str
    final: str  # in pinyin, with ü as v
    tone: str  # "1" to "5", where 5 is the neutral tone


def _read(run: str) -> str:
    words = [_syllables(word) for word in _words(run)]
    syllables = [syllable for word in words for syllable in word]
    spoken = iter(_in_context(syllables, _weak_boundaries(words)))
    return " ".join("".join(_sound(next(spoken)) for _ in word) for word in words)


def _words(run: str) -> list[str]:
    """Return the words of `run`, with 子 at the end of its noun: 盒子 里, not 盒 子里."""
    words: list[str] = []
    for word in rjieba.cut(run):
        if words and word in _SUFFIX_AND_PLACE:
            words[-1] += word[0]
            word = word[1:]
        words.append(word)
    return words


def _syllables(word: str) -> list[_Syllable]:
    """Return the syllables of one word.

    pypinyin gets the word as a string: only then does it look for known phrases inside.
    """
    initials = lazy_pinyin(word, style=Style.INITIALS, strict=True)
    finals = lazy_pinyin(word, style=Style.FINALS_TONE3, strict=True, neutral_tone_with_five=True)
    bare = [final.rstrip("12345") for final in finals]
    tones = [final[len(sound) :] for final, sound in zip(finals, bare, strict=True)]
    syllables = [_Syllable(*parts) for parts in zip(word, initials, bare, tones, strict=True)]
    if _ends_neutral(word):
        syllables[-1] = replace(syllables[-1], tone="5")
    return syllables


def _ends_neutral(word: str) -> bool:
    doubled = len(word) == 2 and word[0] == word[1] and word[0] in _KIN
    rhotic = len(word) > 1 and word[-1] == "儿" and not word.endswith(_CHILDREN)
    return doubled or rhotic or word in _NEUTRAL_LAST


def _weak_boundaries(words: Sequence[Sequence[_Syllable]]) -> set[int]:
    """Return the positions after which a third tone depends on the next syllable.

    These are all but the ends of words of several syllables before another such word.
    """
    weak, at = set[int](), 0
    for word, following in zip(words, [*words[1:], ()], strict=True):
        weak |= set(range(at, at + len(word) - 1))
        at += len(word)
        if len(word) == 1 or len(following) == 1:
            weak.add(at - 1)
    return weak


def _in_context(syllables: Sequence[_Syllable], weak: set[int]) -> list[_Syllable]:
    """Return the syllables with their tones as they are spoken.

    一 and 不 follow the next tone. A third tone before a third becomes a second.
    """
    out = []
    for at, (syllable, after) in enumerate(zip(syllables, [*syllables[1:], None], strict=True)):
        before = syllables[at - 1].char if at else ""
        tone = _tone(syllable, before, after, leans=at in weak) if after else syllable.tone
        out.append(replace(syllable, tone=tone))
    return out


def _tone(syllable: _Syllable, before: str, after: _Syllable, *, leans: bool) -> str:
    tone = syllable.tone
    if syllable.char in "一不" and before == after.char:
        return "5"  # 等一等, 是不是
    if syllable.char == "一" and tone != "5":
        numeral = (before and before in _COUNTING) or after.char in _DATES or after.tone == "5"
        return "1" if numeral else "2" if after.tone == "4" else "4"
    if syllable.char == "不" and tone == "4":
        return "2" if after.tone == "4" else "4"
    return "2" if tone == after.tone == "3" and leans else tone


def _sound(syllable: _Syllable) -> str:
    if syllable.final == "i" and syllable.initial in _BUZZED:
        vowel = "ɨ*"
    elif syllable.final == "o" and not syllable.initial:
        vowel = "ɔ*"
    else:
        vowel = _FINALS.get(syllable.final, syllable.final)
    tone = _TONES.get(syllable.tone, "")
    return _INITIALS.get(syllable.initial, syllable.initial) + vowel.replace("*", tone)
