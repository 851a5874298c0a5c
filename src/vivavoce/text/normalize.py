"""Make any text speakable: markup, emoji and invisible characters go, words and pauses stay.

Knows no language and no model. The model's front end reads numbers, dates and abbreviations, apart
from digits that are no number in any language. Markup is recognised by patterns that do not
match plain text such as "2 * 3", "snake_case", "C#", "a < b" or "1. January": a Markdown parser
reads the last one as a list, and prose that is indented as code.

Time is linear: no pattern begins with a repetition that a later start would scan again. A long text
is normalised in parts, so that no single step of it takes long.
"""

import html
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

from vivavoce.text.numbers.digits import separate
from vivavoce.text.tracked import Replacement, Tracked
from vivavoce.text.windows import Part, part_end

PART_CHARS = 4_000  # the most that is normalised in one go: some 5 ms
_GAPS = ("", " ", "\n\n")  # what may stand between two parts, a stronger one later
_PASSES = 6  # markup in markup; nobody reads text that is nested deeper
_MARKUP_CHARACTERS = re.compile(r"[\[\]()<>*_`~#|&\\]|://")
_SPEAKABLE = re.compile(r"[^\W_]|[$€£¥₹₩₽]")

# Characters
_PICTURE = (
    "\ue000"  # stands for emoji in between; private characters of the input are dropped before
)
_REPLACED = {
    **dict.fromkeys(map(ord, "\r\v\f\x1c\x1d\x1e\x85\u2028"), "\n"),
    **dict.fromkeys(map(ord, "\t\x1f"), " "),
    **dict.fromkeys(map(ord, "’‘ʼ‛"), "'"),
    **dict.fromkeys(map(ord, "‐‑‒−"), "-"),
    ord("\u2029"): "\n\n",
    ord("\u20e3"): "",  # the frame of a key-cap emoji; its digit is text
    ord("\n"): "\n",
}
# Other forms of ordinary letters: ligatures, full-width, half-width kana, mathematical alphabets.
_COMPATIBILITY = re.compile("[ﬀ-ﬆ０-９Ａ-Ｚａ-ｚｦ-ﾟ\U0001d400-\U0001d7ff]+")
_UNCOMMON = re.compile(r"[^\n -~]")
_SURROGATES = re.compile("[\ud800-\udbff][\udc00-\udfff]|[\ud800-\udfff]")
# A letter with its marks, or the parts of a Hangul syllable: what NFC may make into one.
_COMPOSED = re.compile(
    "[!-~][\u0300-\u036f]++|[\u0300-\U0010ffff][\u0300-\u036f\u3099\u309a]*+"
    "|[^\u0000-\u007f]?[\u0300-\u036f\u0483-\u0487\u0591-\u05c7\u0610-\u065f\u0900-\u0dff\u1100-\u11ff]++"
)
# such as ° © ℃ № ♭ ㎏
_READ_SYMBOLS = re.compile("[\u00a0-\u00ff\u2100-\u214f\u25b3\u266d-\u266f\u3012\u3200-\u33ff]")

# HTML and SSML
_TAG = re.compile(
    r"<(/?)(a|abbr|amazon:\w+|article|audio|b|big|blockquote|body|br|break|button|center|cite|code|dd|del|details"
    r"|div|dl|dt|em|emphasis|figcaption|figure|font|footer|h[1-6]|head|header|hr|html|i|img|ins|kbd|lang|li|main"
    r"|mark|mstts:[\w-]+|nav|ol|p|phoneme|pre|prosody|q|s|samp|say-as|section|small|span|speak|strike|strong|sub"
    r"|summary|sup|table|tbody|td|tfoot|th|thead|title|tr|tt|u|ul|video|voice|w|wbr)"
    r"(?:\s[^<>=]*+=[^<>]*+|\s*+/?)>|<[!?][A-Za-z][^<>]*+>",
    re.IGNORECASE,
)
_TAG_TEXT = {
    "br": "\n",
    "break": " ",
    "td": " ",
    "th": " ",
    **dict.fromkeys(("s", "w", "q", "wbr"), ""),
}
_BLOCK_TAG = re.compile(
    "article|blockquote|body|center|d[dlt]|details|div|fig.*|footer|h[1-6]|head|header|hr|html|main|nav|[ou]l|p|pre"
    "|section|speak|summary|table|t(?:body|foot|head)|title|tr"
)
_ENTITY = re.compile(
    r"&(?:amp;|#38;|#x26;)*(#\d{1,7};|#[xX][0-9a-fA-F]{1,6};|[A-Za-z][A-Za-z0-9]{1,31};)"
)

# Lines; these see lines whose spaces are single and whose ends are bare
_FENCE = re.compile(r"(?:`{3,}|~{3,})\s?[\w+#.-]*")
_RULE = re.compile(rf"[-=_*#~+:| {_PICTURE}]+")
_TABLE_RULE = re.compile(r"\|? ?:?-+:? ?(?:\| ?:?-+:? ?)*\|?")
_LINK_TARGET = re.compile(r"\[[^\[\]]+\]: ?<?(?:https?:|mailto:|www\.|[/#.])\S*(?: .*)?")
_SPACES = re.compile(r"\s{2,}+|[^\S ]")
_PREFIX = re.compile(rf"(?:>(?=[ >]|$) ?|[-*+•‣⁃·–—] (?:\[[ xX]\] )?|#{{1,6}} |{_PICTURE}+ ?)*")
# A word that goes on in the next line, unless its first part is one that keeps its hyphen.
_DIVIDED = re.compile(
    r"(?<![^\W\d_])(?!(?:well|self|non|ex|co|all|half|mid|anti|semi)-)[^\W\d_]{2,}-$", re.IGNORECASE
)
_MARKS = frozenset(f">-=*+•‣⁃·–—_`~#:|[ {_PICTURE}")  # what a line begins with that is not plain
_HEADING = re.compile(r"#{1,6} ")
_NUMBERED = re.compile(r" ?(\d{1,3})[.)] ")
_CLOSED = re.compile(r"[.!?…:;,。！？；：，、।—][\"'”’»)\]」』）》]*$")
_HAN_OR_KANA_END = re.compile("[\u3040-\u30ff\u3400-\u9fff][」』）》)]*$")

# Inside lines; these see all lines at once and never match across two
_IMAGE_OR_LINK = re.compile(
    r"!?\[([^\[\]\n]*)\]\((?:<[^<>\n]*+>|[^()\s<>]*+(?:\([^()\s]*+\)[^()\s]*+)*+)"
    r"(?: [\"'][^()\n]*+)?\)"
)
_REFERENCE = re.compile(r"(?<=\S)\[\^[^\[\]\s]{1,40}\]|!?\[([^\[\]\n]+)\]\[[^\[\]\n]{0,80}\]")
_URL_SIGN = re.compile(r"://|www\.|mailto:", re.IGNORECASE)
_URL = re.compile(
    r"<?(?:(?<!://)(?<!@)(?<!www\.)(?:(?:https?|ftp)://(?:[\w.~%!$&'*+;=:-]*@)*+(?:www\.)*+)++"
    r"|(?<!mailto:)(?:mailto:)++|(?<![\w.@/])(?:www\.)++)"
    # an ASCII host ends where Chinese goes on without a space
    r"([A-Za-z0-9.@-]++|[^\W_][^\s/:?#@<>]*+)"
    r"((?::\d+)?(?:[/?#](?:[A-Za-z0-9\-._~:/?#@!$&'*+,;=%]|\([A-Za-z0-9\-._~/,;=%]*+\))*+)?>?)",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"(?<![.,;:!?'*_~-])[.,;:!?'*_~-]*+$")
_STARS = re.compile(r"(?<!\*)\*{2,}+")
_STARRED = re.compile(r"(?<![A-Za-z0-9*\\])\*(?=[^\s*])([^*\n]*+)(?<=\S)\*(?![A-Za-z0-9*])")
_UNDERLINED = re.compile(r"(?<![\w\\])(_{1,3}+)(?=[^\s_])([^_\n]*+)(?<=\S)\1(?!\w)")
_ESCAPE = re.compile(r"(?<!\\)\\++(?=[*_`#\[\]~|>])")
_REWRITES: tuple[tuple[re.Pattern[str], Replacement], ...] = (
    (re.compile(r"(?<=\w)`(?=[a-z]{1,2}\b)"), "'"),  # don`t
    (re.compile(r"`+|~{2,}"), ""),
    (re.compile(rf"[(\[] ?{_PICTURE}[ {_PICTURE}]*+[)\]]"), " "),
    (
        re.compile(rf" ?{_PICTURE}[ {_PICTURE}]*+((?=[,.!?;:…)、。！？，]))?"),
        lambda pictures: " " if pictures[1] is None else "",
    ),
    (
        re.compile(r"[-=_~#*•·|<>\\/]{4,}|_{3,}|(?<= )#+$", re.MULTILINE),
        " ",
    ),  # drawn lines, "## Title ##"
    (re.compile(r"(?<=\w)-{2,3}(?=\w)|(?<= )-{2,3}(?= )"), "—"),
    (re.compile(r"([!?！？]{3})[!?！？]+"), r"\1"),
    (re.compile(r"([^\w\s])\1{3,}"), r"\1\1\1"),
    (re.compile(r" {2,}"), " "),
)


def normalize(text: str) -> str:
    """Return `text` as words and punctuation only. See `normalize_part`."""
    return joined((normalize_part(part), gap) for part, gap in parts(Tracked.of(text))).text


def parts(text: Tracked) -> list[Part]:
    """Cut `text` into parts of at most `PART_CHARS`, each to be normalised by itself.

    A part ends at a blank line, else at a line's end, a sentence's or a word's, else anywhere.
    Markup that continues beyond a part is not recognised, unless it is a comment. A list or table
    may lose a full stop.
    """
    if len(text) <= PART_CHARS:
        return [(text, "")]
    text = _without_comments(text.replace("\r\n", "\n"))
    found: list[Part] = []
    start = 0
    while start < len(text):
        end, gap = part_end(text.text, start, PART_CHARS)
        found.append((text[start:end], gap))
        start = end
    return found


def joined(parts: Iterable[Part]) -> Tracked:
    """Return normalised `parts` as one text, without those that say nothing."""
    text = Tracked.of("")
    gap = ""
    kept: list[Tracked] = []
    for part, after in parts:
        if part.text:
            kept += [part.before(gap if kept else ""), part]
            gap = ""
        gap = max(gap, after, key=_GAPS.index)
    return Tracked.join(kept) if kept else text


def normalize_part(text: Tracked) -> Tracked:
    """Return one of `parts` as words and punctuation only.

    Paragraphs are separated by a blank line. Other whitespace is one space.

    Headings, list items and table rows become sentences. Links keep their text, images their
    description, bare web addresses their host. Text with nothing to say (only punctuation, emoji)
    becomes "". Takes any string, never raises, and leaves its own results as they are, but for
    markup at the edges of parts.
    """
    text, settled = _settled(text)
    return text if settled else _settled(text.sub(_MARKUP_CHARACTERS, " "))[0]


def _settled(text: Tracked) -> tuple[Tracked, bool]:
    for _ in range(_PASSES):
        before, paragraphs = text, list(_paragraphs(_plain_lines(_clean(text))))
        text = Tracked.joined("\n\n", paragraphs)
        if text.text == before.text:
            return text, True
    return text, False


# --- characters -----------------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def _spoken_character(character: str) -> str:
    code = ord(character)
    category = unicodedata.category(character)
    if code in _REPLACED:
        return _REPLACED[code]
    if 0x1F000 <= code <= 0x1FAFF or (category == "So" and not _READ_SYMBOLS.match(character)):
        return _PICTURE
    if category == "Zs":
        return " "
    invisible = category.startswith("C") or 0xFE00 <= code <= 0xFE0F or 0xE0100 <= code <= 0xE01EF
    return "" if invisible else character


def _clean(text: Tracked) -> Tracked:
    """Return `text` without invisible characters. Emoji become `_PICTURE`."""
    text = text.sub(_SURROGATES, lambda half: _paired(half[0])).replace("\r\n", "\n")
    if _UNCOMMON.search(text.text):
        text = text.map(_spoken_character)
    text = text.sub(_COMPATIBILITY, lambda match: unicodedata.normalize("NFKC", match[0]))
    if unicodedata.is_normalized("NFC", text.text):
        return text
    return text.sub(_COMPOSED, lambda match: unicodedata.normalize("NFC", match[0]))


def _paired(surrogates: str) -> str:
    """Return two surrogates as their character, and half of a pair as nothing."""
    return surrogates.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "ignore")


# --- HTML -----------------------------------------------------------------------------------------


def _plain_lines(text: Tracked) -> Tracked:
    """Return `text` without tags and comments and with character references resolved."""
    if "<" in text.text:
        text = _without_comments(text).sub(_TAG, _tag_text)
    if "&" in text.text:
        text = text.sub(_ENTITY, lambda match: html.unescape("&" + match[1]))
    return text


def _without_comments(text: Tracked) -> Tracked:
    parts = []
    done = 0
    find = text.text.find
    while (start := find("<!--", done)) >= 0 and (end := find("-->", start + 4)) >= 0:
        parts.append(text[done:start])
        done = end + 3
    return Tracked.join([*parts, text[done:]]) if parts else text


def _tag_text(tag: re.Match[str]) -> str:
    name = (tag[2] or "").lower()
    if name == "li":
        return "" if tag[1] else "\n- "
    if not _BLOCK_TAG.fullmatch(name):
        return _TAG_TEXT.get(name, "")
    return "\n\n# " if name[0] == "h" and name[1:].isdigit() and not tag[1] else "\n\n"


# --- lines ----------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Unit:
    """Lines that are read as one: running text, or one heading, list item or table row."""

    lines: list[Tracked]
    continues: bool = True  # with the next line, if that has no mark of its own
    closed: bool = False  # by a full stop, whatever follows


def _paragraphs(text: Tracked) -> Iterator[Tracked]:
    """Yield the speakable paragraphs of Markdown or plain text, one line each."""
    paragraphs = [_units(block) for block in _blocks(text)]
    units = [Tracked.joined(" ", unit.lines) for units in paragraphs for unit in units]
    lines = iter(_inline(Tracked.joined("\n", units)).split("\n"))
    for units_ in paragraphs:
        if len(units_) == 1 and not units_[0].closed:
            paragraph = next(lines).strip()
            if _SPEAKABLE.search(paragraph.text):
                yield paragraph
            continue
        sentences = [
            _stopped(line) if unit.closed or unit is not units_[-1] else line
            for unit, line in zip(
                units_, (line.strip() for line in islice(lines, len(units_))), strict=True
            )
        ]
        if len(sentences) > 1:
            sentences = [line for line in sentences if line.text]
        paragraph = Tracked.joined(" ", sentences)
        if _SPEAKABLE.search(paragraph.text):
            yield paragraph


def _blocks(text: Tracked) -> Iterator[list[Tracked]]:
    """Yield blocks of lines with single spaces. A leading space marks an indented line."""
    block: list[Tracked] = []
    end = -1
    for raw in [*text.text.split("\n"), ""]:
        start, end = end + 1, end + 1 + len(raw)
        if not raw:
            if block:
                yield block
                block = []
            continue
        line = text[start:end].strip().sub(_SPACES, " ")
        written = line.text
        kept = Tracked.join((line.before(" "), line)) if raw[0].isspace() else line
        if written and written[0] not in _MARKS:
            block.append(kept)
            continue
        drawn = _FENCE.fullmatch(written) or (
            _RULE.fullmatch(written) and not ("|" in written and "-" in written)
        )
        heading = _HEADING.match(written)
        if block and (heading or drawn or not written):
            yield block
            block = []
        if heading:
            yield [line]
        elif written and not drawn:
            block.append(kept)


def _units(block: Sequence[Tracked]) -> list[_Unit]:
    texts = [line.text for line in block]
    if len(block) == 1 and texts[0][0] not in _MARKS and "|" not in texts[0]:
        return [_Unit([block[0]])]
    table = any("|" in text and _TABLE_RULE.fullmatch(text.strip()) for text in texts)
    numbers = {int(match[1]) for match in map(_NUMBERED.match, texts) if match}
    units: list[_Unit] = []
    for indented in block:
        line = indented.strip()
        prefix = _PREFIX.match(line.text)[0]  # type: ignore[index]  # matches at least ""
        rest = line[len(prefix) :]
        number = _NUMBERED.match(rest.text)
        if _LINK_TARGET.fullmatch(rest.text) or (table and _TABLE_RULE.fullmatch(line.text)):
            continue
        if (table and "|" in line.text) or (
            line.text[0] == line.text[-1] == "|" and line.text.count("|") > 2
        ):
            cells = (cell.strip() for cell in rest.split("|"))
            row = Tracked.joined(", ", [cell for cell in cells if cell.text])
            units.append(_Unit([row], continues=False, closed=True))
        elif number and numbers & {int(number[1]) - 1, int(number[1]) + 1}:
            units.append(_Unit([rest], continues=False, closed=True))
        elif prefix.strip("> "):
            mark = prefix.strip(f"> {_PICTURE}")
            units.append(_Unit([rest], continues=False, closed=bool(mark)))
        elif units and (units[-1].continues or indented.text[0] == " "):
            before = units[-1].lines[-1]
            if _DIVIDED.search(before.text) and rest.text[:1].islower():
                units[-1].lines[-1] = before[:-1] + rest
            else:
                units[-1].lines.append(rest)
        else:
            units.append(_Unit([rest]))
    return units


def _stopped(sentence: Tracked) -> Tracked:
    """Return `sentence` with a full stop, unless it ends with punctuation or says nothing."""
    if not _SPEAKABLE.search(sentence.text) or _CLOSED.search(sentence.text):
        return sentence
    return sentence.after("。" if _HAN_OR_KANA_END.search(sentence.text) else ".")


# --- inside lines ---------------------------------------------------------------------------------


def _inline(text: Tracked) -> Tracked:
    """Return `text` with inline markup resolved. The number of lines stays."""
    text = text.sub(_IMAGE_OR_LINK, r"\1")
    text = text.sub(_REFERENCE, lambda match: match[1] or "")
    if _URL_SIGN.search(text.text):
        text = text.sub(_URL, _host)
    text = text.sub(_STARS, _stars)
    text = text.sub(_STARRED, r"\1")
    text = text.sub(_UNDERLINED, r"\2")
    text = text.sub(_ESCAPE, "")
    for pattern, replacement in _REWRITES:
        text = text.sub(pattern, replacement)
    return separate(text, decimal_comma=True)


def _host(url: re.Match[str]) -> str:
    sentence_end = _SENTENCE_END.search(f"{url[1]}{url[2]}".rstrip(">"))
    return url[1].rstrip(".-") + (sentence_end[0] if sentence_end else "")


def _stars(run: re.Match[str]) -> str:
    """Return "" for a mark of bold text, and the stars of "2**8"."""
    before, after = (
        run.string[max(0, run.start() - 1) : run.start()],
        run.string[run.end() : run.end() + 1],
    )
    power = (before == after == " ") or (
        (before + after).isascii() and before.isalnum() and after.isalnum()
    )
    return run[0] if power and len(run[0]) == 2 else ""
