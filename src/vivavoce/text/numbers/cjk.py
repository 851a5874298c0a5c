"""Numbers, dates, times, money, units and symbols as words in Japanese and Chinese.

Works on plain text by patterns, most specific first. Japanese numerals come from num2words, Chinese
ones from cn2an. Knows no readings: whether 十分 is *jippun* or *jūbun* is the front end's question.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cn2an  # type: ignore[import-untyped]  # the package ships no types
from num2words import num2words  # type: ignore[import-untyped]  # the package ships no types

_NUMBER = r"\d{1,3}(?:,\d{3}(?!\d))++(?:\.\d+)?|\d+(?:\.\d+)?"
_WHOLE = rf"(?<!\d)(?<!\d\d\d,)(?:{_NUMBER})"  # from its first digit on
_DATE = re.compile(r"(?<![\w-])(\d{4})([-/.])(\d{1,2})\2(\d{1,2})(?!\d)", re.ASCII)
_TIME = re.compile(r"(?<![\d:])([01]?\d|2[0-4])[:：]([0-5]\d)(?:[:：]([0-5]\d))?(?!\d)")
_MAX_DIGITS = 12  # longer runs are read digit by digit: they are identifiers, not amounts


@dataclass(frozen=True, slots=True)
class _Words:
    cardinal: Callable[[int], str]
    zero: str
    digits: tuple[str, ...]  # the words for 0-9
    point: str
    minus: str
    to: str
    date: tuple[str, str, str]
    time: tuple[str, str, str]
    units: Mapping[str, str]
    symbols: Mapping[str, str]
    percent_first: bool  # 百分之五 instead of 五パーセント


def _table(text: str) -> dict[str, str]:
    return {
        entry[: entry.index("=", 1)]: entry[entry.index("=", 1) + 1 :] for entry in text.split()
    }


def _chinese_cardinal(number: int) -> str:
    words = str(cn2an.an2cn(str(number)))
    return words.removeprefix("一") if 10 <= number < 20 else words


_JAPANESE = _Words(
    cardinal=lambda number: _japanese_cardinal(number),
    zero="ゼロ",
    digits=("ゼロ", *"一二三四五六七八九"),
    point="点",
    minus="マイナス",
    to="から",
    date=("年", "月", "日"),
    time=("時", "分", "秒"),
    units=_table(
        """
        km/h=キロメートル毎時 km²=平方キロメートル km2=平方キロメートル m²=平方メートル
        m2=平方メートル m³=立方メートル m3=立方メートル km=キロメートル cm=センチメートル
        mm=ミリメートル m=メートル kg=キログラム mg=ミリグラム g=グラム t=トン ml=ミリリットル
        mL=ミリリットル l=リットル L=リットル ℃=度 °C=度 °F=度 °=度 %=パーセント ％=パーセント
        kB=キロバイト KB=キロバイト MB=メガバイト GB=ギガバイト TB=テラバイト Hz=ヘルツ
        kHz=キロヘルツ MHz=メガヘルツ GHz=ギガヘルツ W=ワット kW=キロワット kWh=キロワット時
        V=ボルト dB=デシベル h=時間 min=分 ms=ミリ秒 s=秒 €=ユーロ $=ドル £=ポンド ¥=円 ￥=円
        ₩=ウォン
        """
    ),
    symbols=_table(
        """
        &=アンド ＆=アンド @=アットマーク ＠=アットマーク +=プラス ＋=プラス ==イコール
        ＝=イコール #=シャープ ＃=シャープ %=パーセント ％=パーセント ×=かける ÷=わる
        ±=プラスマイナス €=ユーロ $=ドル £=ポンド ¥=円 ￥=円 ℃=度 °=度 <=小なり >=大なり
        §=セクション ©=コピーライト √=ルート π=パイ ∞=無限大 /=、 ／=、
        """
    ),
    percent_first=False,
)
_CHINESE = _Words(
    cardinal=_chinese_cardinal,
    zero="零",
    digits=tuple("零一二三四五六七八九"),
    point="点",
    minus="负",
    to="到",
    date=("年", "月", "日"),
    time=("点", "分", "秒"),
    units=_table(
        """
        km/h=公里每小时 km²=平方公里 km2=平方公里 m²=平方米 m2=平方米 m³=立方米 m3=立方米 km=公里
        cm=厘米 mm=毫米 m=米 kg=公斤 mg=毫克 g=克 t=吨 ml=毫升 mL=毫升 l=升 L=升 ℃=摄氏度
        °C=摄氏度 °F=华氏度 °=度 kB=千字节 KB=千字节 MB=兆 GB=吉字节 TB=太字节 Hz=赫兹 kHz=千赫
        MHz=兆赫 GHz=吉赫 W=瓦 kW=千瓦 kWh=千瓦时 V=伏 dB=分贝 h=小时 min=分钟 ms=毫秒 s=秒
        €=欧元 $=美元 £=英镑 ¥=元 ￥=元 ₩=韩元
        """
    ),
    symbols=_table(
        """
        &=和 ＆=和 @=艾特 ＠=艾特 +=加 ＋=加 ==等于 ＝=等于 #=井号 ＃=井号 %=百分号 ％=百分号
        ×=乘 ÷=除以 ±=正负 €=欧元 $=美元 £=英镑 ¥=元 ￥=元 ℃=摄氏度 °=度 <=小于 >=大于 §=节
        ©=版权 √=根号 π=派 ∞=无穷大 /=， ／=，
        """
    ),
    percent_first=True,
)
_MONEY = "€$£¥￥₩"
_PERCENT = re.compile(rf"(?<![\w-])(-?)({_WHOLE})\s?[%％]|({_WHOLE})\s?[%％]")
_MEASURES = {
    words.to: re.compile(
        rf"((?<![\w-])-)?({_WHOLE})\s?"
        rf"({'|'.join(map(re.escape, sorted(words.units, key=len, reverse=True)))})(?![A-Za-z²³])"
    )
    for words in (_JAPANESE, _CHINESE)
}


def verbalize_japanese(text: str) -> str:
    """Return `text` with every number in kanji and every unit in kana."""
    return _verbalize(text, _JAPANESE)


def verbalize_chinese(text: str) -> str:
    """Return `text` with every number in Chinese characters.

    Years and identifiers are read digit by digit. 二 becomes 两 in amounts.
    """
    text = re.sub(r"(?<![\d.])(1[5-9]\d\d|20\d\d)(?=年)", _each_digit, _plain(text))
    text = re.sub(
        r"(?<![\d.,:])2(?=[个位本张条只件次种天年名座家人台辆杯瓶米公层间块])(?!年代)", "两", text
    )
    return _verbalize(text, _CHINESE)


def _japanese_cardinal(number: int) -> str:
    return "ゼロ" if number == 0 else str(num2words(number, lang="ja"))


def _each_digit(match: re.Match[str]) -> str:
    return _digits(match.group(), _CHINESE)


def _digits(text: str, words: _Words) -> str:
    return "".join(words.digits[int(c)] for c in text if c.isdigit())


def _plain(text: str) -> str:
    """Return `text` with all digits in ASCII and fraction signs as a/b."""
    out = []
    for char in text:
        if char.isdecimal():
            out.append(str(unicodedata.decimal(char)))
        elif unicodedata.category(char) == "No" and char not in "²³":
            out.append(unicodedata.normalize("NFKC", char).replace("\u2044", "/"))
        else:
            out.append(char)
    return re.sub(
        r"(?<=\d)，(?=\d{3})",
        ",",
        "".join(out).replace("．", ".").replace("−", "-").replace("－", "-"),
    )


def _verbalize(text: str, words: _Words) -> str:
    text = _plain(text)
    text = _DATE.sub(lambda m: _date(m, words), text)
    text = _TIME.sub(lambda m: _time(m, words), text)
    text = _amounts(text, words)
    text = re.sub(r"(?<!\d)(\d{1,12})/(\d{1,12})(?!\d)", lambda m: _fraction(m, words), text)
    text = re.sub(
        r"\+?(?<!\d)\d+(?:[-–]\d+){2,}",
        lambda m: "、".join(_digits(p, words) for p in re.split("[-–]", m.group())),
        text,
    )
    text = re.sub(rf"({_WHOLE})\s?[-–~〜～]\s?(?={_NUMBER})", lambda m: m.group(1) + words.to, text)
    text = re.sub(r"(?<=\d)-(?=\d)", " ", text)
    text = re.sub(rf"(?<![\w-])-(?={_NUMBER})", words.minus, text)
    text = re.sub(
        r"(?<!\d)\d+(?:\.\d+){2,}",
        lambda m: words.point.join(_digits(p, words) for p in m.group().split(".")),
        text,
    )
    text = re.sub(_NUMBER, lambda m: _number(m.group(), words), text)
    for symbol, spoken in words.symbols.items():
        text = text.replace(symbol, spoken)
    return "".join(_leftover(c, words) for c in text)


def _date(match: re.Match[str], words: _Words) -> str:
    year, month, day = match.group(1), int(match.group(3)), int(match.group(4))
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return match.group()
    spoken_year = _digits(year, words) if words.percent_first else words.cardinal(int(year))
    y, m, d = words.date
    return f"{spoken_year}{y}{words.cardinal(month)}{m}{words.cardinal(day)}{d}"


def _time(match: re.Match[str], words: _Words) -> str:
    parts = [int(part) for part in match.groups() if part is not None]
    spoken = []
    for position, (value, unit) in enumerate(zip(parts, words.time, strict=False)):
        if position == 1 and value == 0 and len(parts) == 2:
            break
        lead = words.zero if words.percent_first and position and value < 10 else ""
        spoken.append(f"{lead}{words.cardinal(value)}{unit}")
    return "".join(spoken)


def _amounts(text: str, words: _Words) -> str:
    """Speak amounts with a unit or a currency, before or after the number."""
    text = re.sub(
        rf"(-?)([{_MONEY}])\s?({_NUMBER})(?:\s?([万億亿]))?",
        lambda m: (
            _sign(m, words)
            + _number(m.group(3), words)
            + (m.group(4) or "")
            + words.units[m.group(2)]
        ),
        text,
    )
    if words.percent_first:
        text = _PERCENT.sub(
            lambda m: _sign(m, words) + "百分之" + _number(m.group(2) or m.group(3), words), text
        )
    return _MEASURES[words.to].sub(
        lambda m: _sign(m, words) + _number(m.group(2), words) + words.units[m.group(3)], text
    )


def _sign(match: re.Match[str], words: _Words) -> str:
    return words.minus if match.group(1) else ""


def _fraction(match: re.Match[str], words: _Words) -> str:
    top, bottom = (words.cardinal(int(part)) for part in match.groups())
    return f"{bottom}分の{top}" if not words.percent_first else f"{bottom}分之{top}"


def _number(written: str, words: _Words) -> str:
    whole, _, part = written.replace(",", "").partition(".")
    identifier = len(whole) > _MAX_DIGITS or (len(whole) > 1 and whole[0] == "0")
    spoken = _digits(whole, words) if identifier else words.cardinal(int(whole))
    if part and spoken == "ゼロ":
        spoken = "零"  # れいてんご
    return f"{spoken}{words.point}{_digits(part, words)}" if part else spoken


def _leftover(char: str, words: _Words) -> str:
    """Return a remaining digit (②, Ⅳ) as its value. Kanji numerals stay."""
    value = (
        None
        if char.isalpha() and unicodedata.category(char) != "Nl"
        else unicodedata.numeric(char, None)
    )
    return char if value is None or char == "〇" else _number(format(value, "g"), words)
