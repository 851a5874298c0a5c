"""Cut plain text at inline tags: pauses, voices and sounds. No tag is ever spoken.

- `<break time="0.5s"/>`, `[pause:1.5s]`, `[pause]`
- `<phoneme alphabet="ipa" ph="…">word</phoneme>`, `[word](/sounds/)`
- `[voice:name]`, until the next one. `[voice:default]` returns to the voice of the request.
- `*sighs*`: an action is spoken between pauses.
- `[laughs]`, `(coughs)`, `<sigh>`: a sound that nobody can make is a pause.
- Any other tag in brackets, such as `[speed:1.2]`, `</tone>` or `<|end|>`, is dropped. Tags of HTML
  are left to `text.normalize`.

Never raises. Time is linear: every pattern is bounded, and begins with a bracket or a star.
"""

import html
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from vivavoce.names import is_name
from vivavoce.text.document import PLAIN, Run
from vivavoce.text.markup import values
from vivavoce.text.markup.actions import begins_action, is_direction
from vivavoce.text.markup.alphabets import is_phonetic, to_ipa
from vivavoce.text.tracked import Tracked

ACTION_PAUSE_S: Final = 0.3
_PAUSES: Final[Mapping[str, float]] = {"short": 0.4, "": values.DEFAULT_PAUSE_S, "long": 1.5}
_DEFAULT_VOICES: Final = frozenset({"", "default", "reset"})

_TAG = re.compile(
    r"<break\b(?P<break>[^<>]{0,200}+)>(?:\s{0,9}</break\s{0,9}>)?"
    r"|<phoneme\b(?P<phoneme>[^<>]{0,400}+)>(?P<word>[^<>]{0,200}+)</phoneme\s{0,9}>"
    r"|<(?P<close>/?)(?P<name>[A-Za-z][\w:.-]{0,40}+)(?P<attributes>(?:\s[^<>]{0,400}+|/)?)>"
    r"|<\|[^|<>\n]{1,60}+\|>"
    r"|(?<!\\)\[(?P<said>[^\[\]\n]{1,200}+)\]\((?:/(?P<sounds>[^()/\n]{1,200}+)/|[+-]\d(?:\.\d)?)\)"
    r"|\[\[(?P<apple>(?:slnc|rate|volm|pbas|pmod|emph|inpt|nmbr|char|rset|sync|xtnd|cmnt)"
    r"\b[^\[\]\n]{0,80}+)\]\]"
    r"|(?<!\\)\[(?P<bracket>[^\[\]\n]{1,120}+)\](?!\()"
    r"|(?<![\w)])\((?P<aside>[^\W\d][\w ,]{0,39}+)\)"
    r"|(?<![\w*\\])\*(?=[^\s*])(?P<action>[^*\n]{1,300}+)(?<=\S)\*(?![\w*])",
    re.IGNORECASE,
)
_MARKS = re.compile(r"[<\[(*]")
_PAUSE = re.compile(
    r"(?:(short|long) )?(?:pause|break|silence|wait|delay)(?:\s?[:= ]\s?([^\s]{1,20}(?: ?m?s)?))?",
    re.IGNORECASE,
)
_VOICE = re.compile(r"(/)?voice(?:\s?[:=]\s?(.*))?", re.IGNORECASE)
_NAMED = re.compile(  # "speed:1.2", and "emotion: happy" where the name is that of a tag
    r"[a-z][\w-]{0,40}[:=](?!/)\S*+|/[a-z][\w:-]{0,40}"
    r"|(?:speed|rate|pitch|volume|emotion|style|lang|language|speaker|sound|sfx|tone|mood|effect)"
    r"\s?[:=].*+",
    re.IGNORECASE,
)
_CLOSERS = re.compile(r"(?:<|\[)/([A-Za-z][\w:.-]{0,40}+)\s{0,9}[>\]]")
_ATTRIBUTE = re.compile(
    r"([\w:-]{1,40}+)\s{0,9}=\s{0,9}(?:\"([^\"]*+)\"|'([^']*+)'|[“”„]([^“”„]*+)[“”]|([^\s\"'“”/]++))"
)
_HTML = re.compile(
    r"a|abbr|article|audio|b|big|blockquote|body|br|button|center|cite|code|d[dlt]|del|details|div"
    r"|em|emphasis|figcaption|figure|font|footer|h[1-6]|head|header|hr|html|i|img|ins|kbd|lang|li"
    r"|main|mark|nav|[ou]l|p|phoneme|pre|prosody|q|s|samp|say-as|section|small|span|speak|strike"
    r"|strong|sub|summary|sup|table|tbody|td|tfoot|th|thead|title|tr|tt|u|video|voice|w|wbr"
    r"|amazon:.*|mstts:.*",
    re.IGNORECASE,
)
# An action that is no emphasis stands for itself: between sentences, lines or quotations.
_BEFORE_ACTION = re.compile(r"(?:\A|\n|[.!?…:\"”»」。！？—-])\s{0,9}\Z")
_AFTER_ACTION = re.compile(r"\s{0,9}(?:\Z|\n|[\"“«「(\[*]|[^\W\d_a-z])")
_INSIDE_BEFORE = re.compile(r"[a-z,] ?\Z")
_INSIDE_AFTER = re.compile(r" ?[a-z]")


@dataclass(frozen=True, slots=True)
class _Action:
    """The effect of a tag. None for everything means that it is dropped."""

    text: Tracked | None = None  # spoken instead of the tag
    phonemes: str | None = None
    pause_s: float | None = None  # after it
    pause_before_s: float | None = None
    voice: str | None = None  # from here on; "": the request's own


_DROP = _Action()


def split_tags(text: Tracked) -> list[Run]:
    """Return `text` in runs, without tags. Their texts still hold Markdown and HTML."""
    if not _MARKS.search(text.text):
        return [Run(text)]
    cutter = _Cutter(text)
    return cutter.runs()


class _Cutter:
    """One text being cut."""

    def __init__(self, text: Tracked) -> None:
        self._text = text
        self._closed = {name.lower() for name in _CLOSERS.findall(text.text)}
        self._runs: list[Run] = []
        self._parts: list[Tracked] = []
        self._style = PLAIN
        self._readers: tuple[tuple[str, Callable[[re.Match[str]], _Action | None]], ...] = (
            ("break", self._break), ("phoneme", self._phoneme), ("name", self._element),
            ("said", self._said), ("apple", self._apple), ("bracket", self._bracket),
            ("aside", self._aside), ("action", self._starred),
        )  # fmt: skip

    def runs(self) -> list[Run]:
        done = 0
        for start, end, action in self._actions():
            self._add(self._text[done:start])
            self._apply(action, start, end)
            done = end
        self._add(self._text[done:])
        self._end_run()
        return self._runs or [Run(self._text[:0])]

    def _actions(self) -> Iterator[tuple[int, int, _Action]]:
        """Yield the places of tags, and the effect of each."""
        for match in _TAG.finditer(self._text.text):
            read = next((read for name, read in self._readers if match[name] is not None), None)
            action = _DROP if read is None else read(match)
            if action is not None:
                yield match.start(), match.end(), action

    def _apply(self, action: _Action, start: int, end: int) -> None:
        if action.voice is not None:
            self._end_run()
            self._style = replace(PLAIN, voice=action.voice or None)
        elif action.pause_before_s is not None and self._parts:
            self._end_run(pause_s=action.pause_before_s)
        if action.text is not None:
            if action.phonemes is not None or action.pause_s is not None:
                self._end_run()
            self._add(action.text)
        elif action == _DROP and _joins_words(self._text.text, start, end):
            self._add(Tracked.spanning(" ", *self._text.span(start, end)))
        if action.phonemes is not None or action.pause_s is not None:
            self._end_run(phonemes=action.phonemes, pause_s=action.pause_s)

    def _add(self, text: Tracked) -> None:
        if text.text:
            self._parts.append(text)

    def _end_run(self, *, phonemes: str | None = None, pause_s: float | None = None) -> None:
        text = Tracked.join(self._parts)
        self._parts = []
        blank = not text.text.strip()
        if blank and pause_s is not None and self._runs:
            before = self._runs[-1]
            total = min((before.pause_s or 0.0) + pause_s, values.MAX_PAUSE_S)
            self._runs[-1] = replace(before, pause_s=total)
            pause_s = None
        if text.text or pause_s is not None:
            self._runs.append(Run(text, self._style, phonemes=phonemes, pause_s=pause_s))

    # --- tags -------------------------------------------------------------------------------------

    def _break(self, match: re.Match[str]) -> _Action:
        given = _attributes(match["break"])
        if "time" in given:
            pause_s = values.pause_s(given["time"])
        else:
            pause_s = values.STRENGTHS.get(given.get("strength", "medium").lower())
        return _Action(pause_s=values.DEFAULT_PAUSE_S if pause_s is None else pause_s)

    def _phoneme(self, match: re.Match[str]) -> _Action:
        given = _attributes(match["phoneme"])
        sounds = to_ipa(given.get("ph", ""), given.get("alphabet", "ipa"))
        word = self._text[slice(*match.span("word"))]
        if not word.text.strip() and sounds:
            word = Tracked.spanning(sounds.ipa, *self._text.span(*match.span()))
        return _Action(word, phonemes=sounds.ipa if sounds and sounds.ipa else None)

    def _said(self, match: re.Match[str]) -> _Action | None:
        word = self._text[slice(*match.span("said"))]
        if match["sounds"] is None:
            return _Action(word)  # Kokoro's degree of stress
        if not is_phonetic(match["sounds"]):
            return None  # a link of Markdown
        sounds = to_ipa(match["sounds"])
        return _Action(word, phonemes=sounds.ipa if sounds else None)

    def _apple(self, match: re.Match[str]) -> _Action:
        name, _, value = match["apple"].partition(" ")
        pause_s = values.pause_s(f"{value} ms") if name.lower() == "slnc" else None
        return _Action(pause_s=pause_s)

    def _bracket(self, match: re.Match[str]) -> _Action | None:
        content = match["bracket"].strip()
        if not content:
            return None
        if pause := _PAUSE.fullmatch(content):
            asked = None if pause[2] is None else values.pause_s(pause[2])
            length = _PAUSES[(pause[1] or "").lower()] if asked is None else asked
            return _Action(pause_s=length)
        if (voice := _VOICE.fullmatch(content)) and (voice[1] or voice[2] is not None):
            name = (voice[2] or "").strip()
            if name.lower() in _DEFAULT_VOICES:
                return _Action(voice="")
            return _Action(voice=name) if is_name(name) else _DROP
        if content.lower() in self._closed or content[0] == "/":
            return _DROP if _NAMED.fullmatch(content) or content[0] != "/" else None
        if match.string[match.start() - 1 : match.start()].isalnum():
            return None  # code, such as "list[a:b]"
        if _NAMED.fullmatch(content):
            return _DROP
        return _Action(pause_s=ACTION_PAUSE_S) if is_direction(content) else None

    def _aside(self, match: re.Match[str]) -> _Action | None:
        direction = is_direction(match["aside"], moods=False)
        return _Action(pause_s=ACTION_PAUSE_S) if direction else None

    def _element(self, match: re.Match[str]) -> _Action | None:
        name, attributes = match["name"].lower(), match["attributes"].strip()
        if _HTML.fullmatch(name):
            return None
        if match["close"] or attributes.endswith("/") or "=" in attributes or name in self._closed:
            return _DROP
        if attributes:
            return None
        if "-" in name or ":" in name:
            return _DROP
        glued = match.string[match.start() - 1 : match.start()].isalnum()  # List<String>
        return _Action(pause_s=ACTION_PAUSE_S) if is_direction(name) and not glued else None

    def _starred(self, match: re.Match[str]) -> _Action | None:
        content = match["action"]
        before = match.string[max(0, match.start() - 10) : match.start()]
        after = match.string[match.end() : match.end() + 10]
        if begins_action(content):
            stressed = _INSIDE_BEFORE.search(before) and _INSIDE_AFTER.match(after)
            if stressed:  # "he *laughs* at it"
                return None
        elif not (" " in content and _BEFORE_ACTION.search(before) and _AFTER_ACTION.match(after)):
            return None
        return _Action(
            self._text[slice(*match.span("action"))],
            pause_before_s=ACTION_PAUSE_S,
            pause_s=ACTION_PAUSE_S,
        )


def _attributes(written: str) -> Mapping[str, str]:
    found = {}
    for name, *values_given in (match.groups() for match in _ATTRIBUTE.finditer(written)):
        found[name.lower()] = html.unescape("".join(filter(None, values_given)))
    return found


def _joins_words(text: str, start: int, end: int) -> bool:
    """True if the characters before `start` and after `end` would become one word."""
    return text[max(0, start - 1) : start].isalnum() and text[end : end + 1].isalnum()
