"""Markup becomes speech, plain text stays as it is, and no string is too strange or too long."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vivavoce.text.normalize import normalize

MARKUP = [
    ("# Title\n\nText", "Title.\n\nText"),
    ("## Title ##\nText", "Title.\n\nText"),
    (
        "**bold**, *italic*, ***both***, __strong__ and _soft_",
        "bold, italic, both, strong and soft",
    ),
    ("**Note:** read this", "Note: read this"),
    ("这是**重点**内容", "这是重点内容"),
    ("~~old~~ new", "old new"),
    ("run `pip install` now", "run pip install now"),
    ("```python\nprint(1)\n```", "print(1)"),
    ("Before\n```\ncode\n```\nafter", "Before\n\ncode\n\nafter"),
    ("see [the docs](https://a.example/x_(y)) here", "see the docs here"),
    ('a [link](/x "with title") b', "a link b"),
    ("[text][1] more\n\n[1]: https://a.example", "text more"),
    ("claim[^2] stands", "claim stands"),
    ("![a red cat](cat.png)", "a red cat"),
    ("[![badge](b.png)](https://a.example)", "badge"),
    ("Visit https://www.example.com/a/b?c=d#e.", "Visit example.com."),
    ("(see http://user:pw@example.com:8080/x)", "(see example.com)"),
    ("<https://example.com/x> and www.example.org/y", "example.com and example.org"),
    ("请看https://example.com/页。谢谢", "请看example.com页。谢谢"),
    ("mailto:me@example.com", "me@example.com"),
    ("Shopping:\n- milk\n- two eggs!\n* bread", "Shopping: milk. two eggs! bread."),
    ("My list\n- milk\n- eggs", "My list. milk. eggs."),
    ("- a long item\n  that goes on\n- next", "a long item that goes on. next."),
    ("- [x] done\n- [ ] open", "done. open."),
    ("- 苹果\n- 牛奶", "苹果。 牛奶。"),
    ("Steps:\n1. mix\n2. bake", "Steps: 1. mix. 2. bake."),
    ("| Name | Age |\n|------|----:|\n| Bob  | 5   |", "Name, Age. Bob, 5."),
    ("a | b\n--|--\nc | d", "a, b. c, d."),
    ("> quoted\n> > twice", "quoted twice"),
    ("one\n\n---\n\ntwo", "one\n\ntwo"),
    ("<p>Hi <b>you</b></p><p>there<br/>now</p>", "Hi you\n\nthere now"),
    ("<ul><li>one</li><li>two</li></ul>", "one. two."),
    ("<h2>Head</h2>body", "Head.\n\nbody"),
    ('<speak>Hi <break time="1s"/>you</speak>', "Hi you"),
    ("a<!-- hidden -->b", "ab"),
    ("AT&amp;T &amp;amp; caf&eacute; &#233;", "AT&T & café é"),
    (r"\*not bold\*", "not bold"),
]


@pytest.mark.parametrize(("text", "spoken"), MARKUP)
def test_markup_becomes_words_and_pauses(text: str, spoken: str) -> None:
    assert normalize(text) == spoken


@pytest.mark.parametrize(
    "text",
    [
        "2 * 3 = 6 and 2*3*4 = 24",
        "2**8 and 2 ** 8",
        "snake_case and other_snake_case",
        "C# and F#",
        "#hashtag",
        "a < b and c > d",
        "if a <b and c> d",
        "List<int> of <name>",
        "I <3 you",
        "1. January",
        "1. milk",
        "5* hotel",
        "*.txt and *.py",
        "-5 degrees",
        "--help",
        "x[0] and f(x)",
        "a[i](b c)",
        "[sic]",
        "a|b",
        "~5 minutes",
        "AT&T, R&D &c.",
        "me@example.com",
        "example.com/path",
        "3.14, 10:30, 1,000.00",
        "Hello... what?!",
        "“Quoted”, «so» and „auch“",
        "你好，世界！真的？……是。",
        "20 °C, № 5, © 2024",
        "Vraiment ? Oui !",
        "don't",
    ],
)
def test_plain_text_stays_as_it_is(text: str) -> None:
    assert normalize(text) == text


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("Great 👍 job!", "Great job!"),
        ("I love it ❤️!", "I love it!"),
        ("Great👍job", "Great job"),
        ("(😀) hi", "hi"),
        ("👨‍👩‍👧 family 🇩🇪 👍🏽", "family"),
        ("press 5️⃣", "press 5"),
        ("✅ Done\n❌ Failed", "Done. Failed"),
        ("\ufeffHi\u00ad the\u200bre\u202e\x00\x07", "Hi there"),
        ("a\u00a0b\u3000c\td", "a b c d"),
        ("x\r\ny\r\n\r\nz", "x y\n\nz"),
        ("a\u2029b", "a\n\nb"),
        ("\ud83d\ude00 hi \ud800you\udc00", "hi you"),
        ("e\u0301", "é"),
        ("e\u200b\u0301", "é"),
        ("ﬁnal １２３ ＡＢＣ，（ｶﾞ）", "final 123 ABC，（ガ）"),
        ("𝐁𝐨𝐥𝐝 𝒻𝑜𝓃𝓉", "Bold font"),
        ("don’t, l‑a, −5", "don't, l-a, -5"),
        ("Wow!!!!!!!!", "Wow!!!"),
        ("What?!?!?!?!", "What?!?"),
        ("Hmm........", "Hmm..."),
        ("a -- b, c---d", "a — b, c—d"),
        ("name: ________ -----", "name:"),
        ("  one\n two  \n\n\n \n three ", "one two\n\nthree"),
    ],
)
def test_characters_are_made_speakable(text: str, spoken: str) -> None:
    assert normalize(text) == spoken


@pytest.mark.parametrize(
    "text",
    ["", " \n\t", "...", "?!", "😀🎉", "---", "***", "# ", "- \n- ", "\ud800", "\u200b", "<b></b>"],
)
def test_text_with_nothing_to_say_is_empty(text: str) -> None:
    assert normalize(text) == ""


FRAGMENTS = st.sampled_from(
    [
        *[
            "\n\n",
            "- ",
            "1. ",
            "2. ",
            "> ",
            "# ",
            "**",
            "```",
            "|-|",
            "](",
            "![",
            "http://",
            "www.",
            "a.b/c",
        ],
        *["a", "b1", "é", "e\u0301", "中", "あ", "😀", "\u200b", "\ud800"],
        *["&amp;", "&lt;", "&#42;", "<b>", "</p>", "<li>", "<!--", "-->"],
        *"*_`~#<>[]()|\\-+=!?.&:/@ \n",
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(FRAGMENTS, max_size=40).map("".join) | st.text(st.characters(), max_size=60))
def test_its_own_result_stays_as_it_is(text: str) -> None:
    once = normalize(text)
    assert normalize(once) == once
    assert once == once.strip()
    assert "  " not in once
    once.encode("utf-8")  # no half of a surrogate pair is left


@pytest.mark.parametrize(
    "wrapped", ["&" + "amp;" * 500 + "lt;b&gt;x", "[" * 50 + "x" + "](u)" * 50, "**- " * 50 + "x"]
)
def test_deeply_nested_markup_settles(wrapped: str) -> None:
    once = normalize(wrapped)
    assert "x" in once
    assert normalize(once) == once


@pytest.mark.parametrize(
    "unit",
    [
        *[
            "[",
            "*",
            "(",
            "_",
            "`",
            "\\",
            "<",
            " ",
            "\n",
            "😀",
            "中",
            "e\u0301",
            "?!",
            "word ",
            "**a",
            "_a ",
            "- **- ",
        ],
        *[
            "[a](",
            "[a](b",
            "[[a](b)",
            "http://",
            "http://a/(",
            "a@",
            "<a ",
            "<b =",
            "<!--",
            "&amp;",
        ],
        *["1. a\n", "- a\n", "a|b\n|-|\n"],
    ],
)
def test_a_hundred_thousand_characters_take_linear_time(unit: str) -> None:
    text = (unit * 100_000)[:100_000]
    started = time.process_time()
    normalize(text)
    assert (
        time.process_time() - started < 3.0
    )  # a tenth of it is usual; quadratic time would be minutes
