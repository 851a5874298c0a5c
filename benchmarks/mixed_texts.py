"""Make texts that mix scripts, numbers and markup as no author would. A seed gives the same texts.

Each is of one form: plain, Markdown, HTML, SSML, or one of these with a part cut out.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape, quoteattr

# The words of many scripts, which the models here read, spell, transliterate or leave out.
WORDS: Final = (
    "the", "ship", "came", "in", "late", "Dr.", "St.", "don't", "NASA", "IV", "Louis XIV", "e.g.",
    "mañana", "¿qué?", "l'été", "œuvre", "perché", "coração", "Straße", "żółw", "Åse", "naïve",
    "Αθήνα", "π", "Δx", "Москва", "книга", "שלום", "سلام", "नमस्ते", "สวัสดี", "안녕하세요", "東京",
    "こんにちは", "カメラ", "你好", "重庆", "ｆｕｌｌ", "ﬁne", "ǆ", "İ", "ß", "𝒳", "Ⅻ", "①", "㌔",
    "e\u0301", "a\u0300\u0316\u0301", "👩\u200d👧", "🇫🇷", "👍🏽", "\u200d", "\u200b",
    "\u202eabc\u202c", "\ufeff", "\u00ad", "\ue000", "\ufffd", "\U000e0041", "ஃ", "ᚠᚢᚦ", "𓀀", "ⵣ",
)  # fmt: skip
NUMBERS: Final = (
    "0", "7", "1,250", "1.250,5", "3.10", ".5", "-8", "1e9", "10^12", "007", "1st", "22nd", "3/4",
    "1 1/2", "½", "x²", "12/31/2025", "31.12.2025", "2025-12-31", "14:30", "8:30pm", "24h",
    "5'11\"", "$4.50", "€1.2m", "¥500", "R$ 3", "45%", "21 °C", "60 km/h", "250g", "10-20",
    "1990–95", "№ 5", "+44 20 7946 0958", "(555) 010-9999", "192.168.0.1", "v2.0.1", "4:2",
    "1:1:1", "٣٤", "१२", "三百", "２０２５", "20個", "第3章", "5*3=15", "≥ 2", "±0.5", "1/0",
    "12345678901234567890123",
)  # fmt: skip
SIGNS: Final = (
    ".", ",", "!", "?!", "…", "...", ";", ":", "—", " - ", "/", "\\", "|", "&", "@", "#", "*",
    "_", "~", "^", "`", "'", '"', "«", "»", "„", "“", "”", "(", ")", "[", "]", "{", "}", "<", ">",
    "=", "。", "、", "「", "」", "？", "·", "•", "→", "§", "©", "%20", "\u2028", "\x0b", "\x07",
)  # fmt: skip
LOOSE: Final = (
    "https://example.org/a?b=1&c=%20#d", "mail@example.org", "www.example.com", "/usr/bin/env",
    "C:\\Temp\\a.txt", "snake_case", "camelCase()", "a->b", "if (x < 3) { y++; }", "&amp;",
    "&nbsp;", "&#8364;", "&#x1F600;", "&bogus;", "*sighs*", "[laughs]", "(coughs)", "<sigh>",
    "[1]", "[sic]", "List<String>", "a < b", ":-)", "#tag", "@name", "```", "-->", "<!--", "]]>",
    "<![CDATA[",
)  # fmt: skip
TAGS: Final = (
    '<break time="0.5s"/>', "<break/>", '<break time="soon"/>', "[pause:1.5s]", "[pause: 300 ms]",
    "[pause:", "[short pause]", "[voice:default]", "[/voice]", "[word](/wˈɜɹd/)", "[x](/🙂/)",
    '<phoneme alphabet="ipa" ph="təˈmɑːtoʊ">tomato</phoneme>', '<phoneme ph="">x</phoneme>',
    '<phoneme alphabet="x-sampa" ph="t@">x</phoneme>', "[speed:1.5]", "<|endoftext|>", "</speak>",
    "<br>", "<b>", "</b>", "<a href='x", "\\[pause]", "[b]", "[/b]", "<prosody rate='fast'>",
)  # fmt: skip
_SEPARATORS: Final = (" ", " ", " ", " ", " ", "", "\n", "\n\n", "\t", "\u00a0")
_CHARS: Final = (
    (0x20, 0x7E), (0xA0, 0x24F), (0x300, 0x36F), (0x370, 0x1FFF), (0x2000, 0x2BFF),
    (0x3000, 0x9FFF), (0xAC00, 0xD7A3), (0xE000, 0xFFFF), (0x10000, 0x1FFFF),
)  # fmt: skip
_PIECES: Final = (WORDS, WORDS, NUMBERS, NUMBERS, SIGNS, LOOSE, TAGS)
END: Final = "\n\nThen the ship came in."  # what follows all markup is always spoken


@dataclass(frozen=True, slots=True)
class Mixed:
    """A text, its form, and whether a server must be able to read it."""

    text: str
    form: str
    readable: bool


def mixed(count: int, seed: int = 0, *, chars: int | None = None) -> Iterator[Mixed]:
    """Yield `count` texts of every form in turn, of `chars` characters or as many as drawn."""
    for number in range(count):
        draw = random.Random(f"{seed} {number}")
        form = list(FORMS)[number % len(FORMS)]
        size = chars or int(10 ** draw.uniform(1, 3.3 if number % 101 else 5))
        yield FORMS[form](draw, size)


def stretch(draw: random.Random, chars: int) -> str:
    """Return pieces of all kinds with a separator after each, about `chars` characters."""
    out, length = [], 0
    while length < chars:
        piece = _character(draw) if draw.random() < 0.05 else draw.choice(draw.choice(_PIECES))
        out.append(piece + draw.choice(_SEPARATORS))
        length += len(out[-1])
    return "".join(out)


def _character(draw: random.Random) -> str:
    return chr(draw.randint(*draw.choice(_CHARS)))


def _plain(draw: random.Random, chars: int) -> Mixed:
    return Mixed(stretch(draw, chars) + END, "plain", readable=True)


def _markdown(draw: random.Random, chars: int) -> Mixed:
    shapes = (
        "# {}\n", "- {}\n", "1. {}\n", "> {}\n", "**{}** ", "*{}* ", "`{}` ", "[{}](http://a.b) ",
        "![{}](c.png) ", "| {} | 1 |\n|---|---|\n", "```\n{}\n```\n", "{}[^1]\n\n", "~~{}~~ ",
    )  # fmt: skip
    return Mixed(_shaped(draw, chars, shapes) + END, "Markdown", readable=True)


def _html(draw: random.Random, chars: int) -> Mixed:
    shapes = (
        "<p>{}</p>\n", "<h1>{}</h1>", "<ul><li>{}<li>x</ul>", "<b>{}</b> ", '<a href="x">{}</a> ',
        "<div class='a'>{}<br/></div>", "<table><tr><td>{}</td></tr></table>", "<!-- {} -->",
        "<code>{}</code> ", "<script>{}</script>", "<em>{} ", "</em>{} ",
    )  # fmt: skip
    return Mixed(f"<div>{_shaped(draw, chars, shapes)}</div>{END}", "HTML", readable=True)


def _shaped(draw: random.Random, chars: int, shapes: tuple[str, ...]) -> str:
    out, length = [], 0
    while length < chars:
        inner = stretch(draw, draw.randint(1, min(120, max(1, chars))))
        out.append(draw.choice(shapes).replace("{}", inner))
        length += len(out[-1])
    return "".join(out)


def _ssml(draw: random.Random, chars: int) -> Mixed:
    inner = ""
    while len(inner) < chars:
        inner += _element(draw, 0)
    return Mixed(f"<speak>{inner}<p>Then the ship came in.</p></speak>", "SSML", readable=True)


def _element(draw: random.Random, depth: int) -> str:
    number, word = draw.choice(NUMBERS), draw.choice(WORDS)
    if depth < 4 and draw.random() < 0.5:
        name, attributes = draw.choice(
            (
                ("p", ""), ("s", ""), ("prosody", f' rate="{draw.randint(50, 200)}%"'),
                ("prosody", ' volume="soft"'), ("emphasis", ' level="strong"'), ("w", ""),
                ("lang", f' xml:lang="{draw.choice(("en-US", "fr", "ja"))}"'), ("voice", ""),
            )
        )  # fmt: skip
        children = "".join(_element(draw, depth + 1) for _ in range(draw.randint(1, 3)))
        return f"<{name}{attributes}>{children}</{name}>"
    kind = draw.choice(("characters", "cardinal", "ordinal", "digits", "date", "time", "currency"))
    shapes = (
        lambda: f'<break time="{draw.randint(0, 900)}ms"/>',
        lambda: f'<mark name="m{depth}"/>',
        lambda: f"<sub alias={quoteattr(_legal(word))}>{escape(_legal(number))}</sub>",
        lambda: f'<say-as interpret-as="{kind}">{escape(_legal(number))}</say-as>',
        lambda: f'<phoneme alphabet="ipa" ph="təˈmɑːtoʊ">{escape(_legal(word))}</phoneme>',
        lambda: escape(_legal(stretch(draw, draw.randint(1, 80)))),
    )
    return draw.choice(shapes)()


def _legal(text: str) -> str:
    """Return `text` without the characters that XML does not allow."""
    return "".join(c for c in text if c in "\t\n\r" or (c >= " " and c not in "\ufffe\uffff"))


def _damaged(draw: random.Random, chars: int) -> Mixed:
    """Return a text of another form with a part cut out, which breaks its markup."""
    whole = draw.choice((_markdown, _html, _ssml, _ssml))(draw, chars).text
    start = draw.randrange(len(whole))
    cut = whole[:start] + whole[start + draw.randint(1, 40) :]
    return Mixed(cut, "damaged", readable=False)


FORMS: Final[dict[str, Callable[[random.Random, int], Mixed]]] = {
    "plain": _plain, "Markdown": _markdown, "HTML": _html, "SSML": _ssml, "damaged": _damaged,
}  # fmt: skip
