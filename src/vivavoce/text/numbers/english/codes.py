"""Read addresses, paths, file names and code: "foo at example dot com", "get user name"."""

import re

from vivavoce.text.numbers.english.numerals import digits, number, year
from vivavoce.text.numbers.english.rules import DIGITS, TABLE, Rule, one_of, spelled, words_of

_MARKS = TABLE["marks"]
_NAMES = TABLE["names"]
_EXTENSIONS = one_of(words_of("files", "extensions"))
_DOMAINS = one_of(words_of("domains"))
_SAID_DOMAINS = words_of("domains", "said")
_PIECE = re.compile(r"[A-Za-z]++|\d++|[^\w\s]|_")
_HUMP_OR_YEAR = re.compile(
    r"(?<=[a-z\d])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|(?<=[a-z])(?=(?:19|20)\d\d\Z)"
)
_HUMP = re.compile(r"(?<=[a-z\d])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


_INTERVALS = {"h": "hours", "d": "days", "m": "minutes"}


def _piece(text: str) -> str:
    """Return a part of an address in words."""
    if text.isdecimal():
        if len(text) == 4 and text[:2] in ("19", "20"):
            return year(int(text))
        return number(text) if len(text) < 3 else digits(text)
    if text.isalpha():
        if len(text) == 1 or (len(text) < 5 and not re.search("[aeiouAEIOU]|y$", text)):
            return spelled(text)
        return text
    return str(_MARKS.get(text, ""))


def _address(address: str) -> str:
    pieces = [_piece(piece) for piece in _PIECE.findall(address)]
    return f" {' '.join(filter(None, pieces))} "


def _web(match: re.Match[str]) -> str:
    """Return a URL or e-mail address in words, without its scheme."""
    address = re.sub(r"\A(?:https?|ftp|file)://|\Amailto:", "", match[0])
    host, slash, path = address.partition("/")
    head, _, top = host.rpartition(".")
    if len(top) == 2 and top.isalpha() and top not in _SAID_DOMAINS:
        return f"{_address(head)}dot {spelled(top)}{_address(slash + path)}"
    return _address(address)


def _identifier(match: re.Match[str]) -> str:
    """Return the words of a name in code: "get user name"."""
    words = _HUMP.sub(" ", match[1].replace("_", " ").strip())
    return words if words.isupper() else re.sub(r"\b[A-Z](?=[a-z])", lambda m: m[0].lower(), words)


def _one_by_one(match: re.Match[str]) -> str:
    """Return the characters of a hash one by one: "hash F F zero zero"."""
    named = (_piece(c) if not c.isdecimal() else digits(c) for c in match[0])
    return f" {', '.join(' '.join(part.split()) for part in ' '.join(named).split(' colon '))} "


def _ip(match: re.Match[str]) -> str:
    return " point ".join(map(digits, match[1].split("."))) + (
        f" {_MARKS[match[2][0]]} {digits(match[2])}" if match[2] else ""
    )


CODES: tuple[Rule, ...] = (
    # C++, AT&T, 24/7
    Rule(re.compile(rf"(?<![\w.]){one_of(_NAMES)}(?![\w+#/])"), lambda m: _NAMES[m[0]]),
    # F#m7: a chord
    Rule(
        re.compile(r"(?<![\w#&])([A-G])[#♯](?=(?:m|maj|min|dim|sus|aug|add)?\d{0,2}(?![\w#]))"),
        lambda m: f"{m[1]} sharp ",
        "#♯",
    ),
    # https://example.org/a, j.doe@mail.co.uk
    Rule(
        re.compile(
            r"(?:\b(?:https?|ftp|file)://|\bwww\.|\bmailto:)[^\s<>\"“”]*[\w/]"
            r"|(?<![\w.+-])[\w.+-]++@[\w-]++(?:\.[\w-]++)+"
        ),
        _web,
        "/@.",
    ),
    # /usr/local/bin, ~/notes, C:\Users, src/main.py, report_2024.pdf
    Rule(
        re.compile(
            r"(?<![\w.~/:-])(?:(?:~|\.{1,2})?/[\w.-]++/(?:[\w./-]*[\w/])?|(?:~|\.{1,2})/[\w-]++(?:\.[\w-]++)*+"
            r"|[A-Za-z]:\\(?:[\w.\\-]*[\w\\])?"
            rf"|[\w-]++(?:[./][\w-]++)*\.{_EXTENSIONS}(?![\w/]))"
        ),
        lambda m: _address(m[0]),
        "/\\.",
    ),
    # example.com, example.co.uk/help
    Rule(
        re.compile(
            rf"(?<![\w-])(?<![\w-]\.)[\w-]++(?:\.[\w-]++)*\.{_DOMAINS}(?!\.?\w)(?:[/?#][\w/.?=&%#~+-]*[\w/])?"
        ),
        _web,
        ".",
    ),
    # os.path.join()
    Rule(
        re.compile(r"(?<![\w.])[a-z_]\w++(?:\.[a-z_]\w++)++(?![\w.]?\w)(?:\(\))?"),
        lambda m: m[0].replace(".", " dot ").replace("_", " ").removesuffix("()"),
        ".",
    ),
    # $PATH
    Rule(re.compile(r"\$(?=[A-Z_]{2})"), lambda m: "dollar ", "$"),
    # 192.168.1.1:8080
    Rule(re.compile(r"(?<![\w.])(\d{1,3}(?:\.\d{1,3}){3})(?![\w.]?\d)([:/]\d{1,5})?"), _ip, "."),
    # #FF8800, 0x1F, 3f2a9c1, 00:1B:44:11:3A:B7
    Rule(
        re.compile(
            r"(?<![\w&])(?:#(?=[\da-fA-F]*[a-fA-F])[\da-fA-F]{6}"
            r"|0x[\da-fA-F]+|(?=\d*[a-f]++\d)[\da-f]{7,40}|(?:[\dA-Fa-f]{2}:){5}[\dA-Fa-f]{2}"
            r"|[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12})(?!\w)"
        ),
        _one_by_one,
        DIGITS,
    ),
    # |x - 1|
    Rule(
        re.compile(r"(?<![\w|])\|([\w.]{1,12}+(?: ?[-+] ?[\w.]{1,8}+)?)\|(?![\w|])"),
        lambda m: f"the absolute value of {m[1]}",
        "|",
    ),
    # i++
    Rule(
        re.compile(r"(?<![\w.+-])([A-Za-z_]\w{0,30}+)(\+\+|--)(?![\w+-])"),
        lambda m: f"{m[1]} {'plus plus' if m[2] == '++' else 'minus minus'}",
        "+-",
    ),
    # q4-6h
    Rule(
        re.compile(r"(?<!\w)q(\d{1,2})(?:[-–](\d{1,2}))?(h|hr|hrs|d|min)(?!\w)"),
        lambda m: f"every {m[1]}{' to ' + m[2] if m[2] else ''} {_INTERVALS[m[3][0]]}",
        DIGITS,
    ),
    # !done
    Rule(re.compile(r"(?:(?<=[(=|&] )|(?<=[(=|&]))!(?=[A-Za-z_(])"), lambda m: "not ", "!"),
    # #ThrowbackThursday
    Rule(
        re.compile(r"(?<![\w&#])#((?=\d*[A-Za-z])\w++)"),
        lambda m: f"hashtag {_HUMP_OR_YEAR.sub(' ', m[1].replace('_', ' '))}",
        "#",
    ),
    # @some_body
    Rule(
        re.compile(r"(?<![\w.@])@([A-Za-z_]\w*+)"),
        lambda m: f"at {_HUMP.sub(' ', m[1].replace('_', ' ').strip())}",
        "@",
    ),
    # hello%20world
    Rule(re.compile(r"(?<=\w)(?:%20|\+(?=[a-z]{3,}+\+))(?=\w)"), lambda m: " ", "%+"),
    # --max-count, -v
    Rule(
        re.compile(r"(?<![\w.)-])(--?)([A-Za-z](?:[\w-]*\w)?)(?![\w-])"),
        lambda m: f"{'dash ' * len(m[1])}{m[2].replace('-', ' ')}",
        "-",
    ),
    # get_user_name(), main()
    Rule(
        re.compile(r"(?<!\w)((?=_{0,2}[A-Za-z\d]+_)\w++|[A-Za-z_]\w*+(?=\(\)))(?:\(\))?"),
        _identifier,
        "_(",
    ),
    # maxRetryCount, NullPointerException
    Rule(
        re.compile(
            r"(?<!\w)([a-z]{2,}+(?:[A-Z][a-z]++|[A-Z]{2,}+)+|(?:[A-Z][a-z]++){3,}+)(?![\w'’])"
        ),
        _identifier,
    ),
    # OpenJDK
    Rule(re.compile(r"(?<!\w)([A-Z][a-z]{2,}+)([A-Z]{2,5}+)(?!\w)"), lambda m: f"{m[1]} {m[2]}"),
    # .NET, .env
    Rule(re.compile(r"(?<![\w.])\.(?=[A-Za-z]{2})"), lambda m: "dot ", "."),
    Rule(re.compile(r"(?<=[A-Z])\.NET\b"), lambda m: " dot net"),
    # parts[0], f(x): the index
)
