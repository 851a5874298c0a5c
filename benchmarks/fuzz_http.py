"""Send a server thousands of texts that mix scripts, numbers and markup.

`/v1/tts/explain` is asked about all of them, and some are spoken with each model. Any 5xx, broken
stream or late answer is a fault, and so is an answer that contradicts itself. In the end the same
mixtures are explained at two lengths, to see whether the time grows in proportion.

python -m benchmarks.fuzz_http                                       10,000 texts, ten minutes
python -m benchmarks.fuzz_http --count 1000 --speak tone=100 --seed 1
"""

import argparse
import asyncio
import json
import re
import statistics
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final

from rich.console import Console

from benchmarks.mixed_texts import Mixed, mixed
from benchmarks.process import Server, running, started
from benchmarks.wire import Address, send

ANSWER_WITHIN_S: Final = 60.0
MEMORY_GIB: Final = 10.0
SPEAK: Final = "tone=500,hibari=150,kokoro=100"
SPOKEN_CHARS: Final = 120  # of the texts that are spoken, at most
LANGUAGES: Final = ("en", "es", "fr", "it", "pt", "ja", "zh")
FORMATS: Final = ("pcm", "wav", "mp3", "opus")
SHORT_CHARS, LONG_CHARS = 24_000, 96_000
GROWTHS: Final = 20  # texts that are explained at both lengths
LINEAR: Final = 1.5  # a text of four times the length may take this much more than four times
_SHOWN: Final = 20
_PRIVATE: Final = re.compile("[\ue000-\uf8ff]")

Fields = Mapping[str, object]


@dataclass(slots=True)
class Findings:
    """Answers by kind of request and status, faults, and times."""

    statuses: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    slowest_s: float = 0.0

    def add(self, what: str, body: Fields, faults: Sequence[str]) -> None:
        self.statuses[what] += 1
        self.faults += [f"{fault}: {json.dumps(body)[:400]}" for fault in faults]


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer. The status is 0 if it broke off or came too late."""

    status: int
    data: bytes
    took_s: float


async def ask(address: Address, path: str, body: Fields) -> Answer:
    """Post `body` and return the whole answer."""
    asked_s, status, data = time.monotonic(), 0, b""
    try:
        async with (
            asyncio.timeout(ANSWER_WITHIN_S),
            send(address, "POST", path, json.dumps(body).encode("ascii")) as response,
            aclosing(response.pieces()) as pieces,
        ):
            data = b"".join([piece async for piece in pieces])
            status = response.status
    except (TimeoutError, OSError, asyncio.IncompleteReadError) as error:
        data = repr(error).encode()
    return Answer(status, data, time.monotonic() - asked_s)


async def explain(
    address: Address, number: int, text: Mixed, found: Findings, *, hibari: bool
) -> None:
    """Explain `text` for a model and a language that depend on its number."""
    # English only for hibari, which speaks no other language. None: the server chooses.
    language = (None, LANGUAGES[number // 2 % len(LANGUAGES)])[number % 2]
    body: dict[str, object] = {"text": text.text, "language": language}
    if hibari and number % 7 == 0:
        body |= {"model": "hibari", "language": "en"}
    answer = await ask(address, "/v1/tts/explain", body)
    found.slowest_s = max(found.slowest_s, answer.took_s)
    faults = list(_faults(answer, readable=text.readable))
    if answer.status == 200:
        faults += contradictions(text.text, json.loads(answer.data))
    found.add(f"explain {text.form} {_outcome(answer)}", body, faults)


def contradictions(text: str, explained: Mapping[str, list[Mapping[str, object]]]) -> list[str]:
    """Return what is wrong with an explanation of `text` whatever the text says."""
    faults, last = [], 0
    for segment in explained["segments"]:
        said = str(segment["spoken"])
        for start, end, _ in reversed(segment["phonemes"]):  # type: ignore[call-overload]  # as documented
            said = said[:start] + said[end:]  # the sounds are said, not this
        if _PRIVATE.search(said):
            faults.append("a private character is spoken")
        if segment["model"] in ("hibari", "kokoro") and re.search(r"\d", said):
            faults.append(f"a digit is left in {said[:80]!r}")
        words: list[Mapping[str, int]] = segment["words"]  # type: ignore[assignment]  # as documented
        for word in words:
            if not last <= word["start"] <= word["end"] <= len(text):
                faults.append(f"the span of {word['spoken']!r} is out of order")
            last = max(last, word["start"])
    return faults


async def speak(address: Address, number: int, text: Mixed, model: str, found: Findings) -> None:
    """Speak `text` whole or as a stream, and compare the status with that of an explanation."""
    body = {
        "text": text.text, "model": model, "format": FORMATS[number % len(FORMATS)],
        "stream": number % 3 > 0,
    }  # fmt: skip
    answer = await ask(address, "/v1/tts/synthesize", body)
    faults = list(_faults(answer, readable=text.readable))
    if answer.status == 200 and not answer.data:
        faults.append("no audio")
    explained = await ask(address, "/v1/tts/explain", body)
    if explained.status != answer.status:
        faults.append(f"spoken {answer.status}, explained {explained.status}")
    found.add(f"synthesize {model} {_outcome(answer)}", body, faults)


def _faults(answer: Answer, *, readable: bool) -> list[str]:
    if answer.status == 0 or answer.status >= 500:
        return [f"{answer.status} {answer.data[:200]!r}"]
    if answer.status != 200 and readable and b"is in a script that" not in answer.data:
        return [f"refused {answer.status} {answer.data[:200]!r}"]
    return []


def _outcome(answer: Answer) -> str:
    if answer.status in (0, 200):
        return "200" if answer.status else "broken"
    return f"{answer.status} {json.loads(answer.data)['error']['code']}"


async def growths(server: Server, seed: int) -> list[float]:
    """Return the time for long texts by that for the same mixtures at a quarter of the length.

    It is given as a multiple of four: 1.0 is linear. It is processor time, of which other programs
    take none, or elapsed time if the server is not ours.
    """
    times_s = {}
    for chars in (SHORT_CHARS, LONG_CHARS):
        for number, text in enumerate(mixed(GROWTHS, seed, chars=chars)):
            started_s = _clock_s(server)
            await ask(server.address, "/v1/tts/explain", {"text": text.text, "language": "en"})
            if text.readable:  # a text that is refused at its first fault takes no time
                times_s[chars, number] = (_clock_s(server) - started_s) / len(text.text)
    return [
        time_s / times_s[SHORT_CHARS, number]
        for (chars, number), time_s in times_s.items()
        if chars == LONG_CHARS
    ]


def _clock_s(server: Server) -> float:
    usage = server.usage()
    return usage.cpu_s if usage else time.monotonic()


async def run(server: Server, count: int, seed: int, shares: Mapping[str, int]) -> int:
    """Send everything, print what was found, and return the number of faults."""
    console, found, chars = Console(), Findings(), 0
    started_s = time.monotonic()
    for number, text in enumerate(mixed(count, seed)):
        await explain(server.address, number, text, found, hibari="hibari" in shares)
        chars += len(text.text)
    explained_s = time.monotonic() - started_s
    for model, share in shares.items():
        short = (text for text in mixed(100 * share, seed + 1) if len(text.text) <= SPOKEN_CHARS)
        for number, text in enumerate(short):
            if number == share:
                break
            await speak(server.address, number, text, model, found)
    grown = await growths(server, seed + 2)
    for what, number in sorted(found.statuses.items()):
        console.print(f"{number:6} {what}", highlight=False)
    for fault in found.faults[:_SHOWN]:
        console.print(fault, markup=False, highlight=False, soft_wrap=True)
    console.print(
        f"{count:,} texts of {chars:,} characters explained in {explained_s:.0f} s, the slowest in "
        f"{found.slowest_s:.2f} s. Four times the length took {statistics.median(grown):.2f} "
        f"(median) to {max(grown):.2f} times four times as long. {len(found.faults)} faults."
    )
    return len(found.faults) + sum(growth > LINEAR for growth in grown)


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000, help="how many texts are explained")
    parser.add_argument("--speak", default=SPEAK, help="how many are spoken with each model")
    parser.add_argument("--seed", type=int, default=0, help="which texts")
    parser.add_argument("--url", help="a running server; by default one is started")
    asked = parser.parse_args()
    shares = {model: int(share) for model, share in (s.split("=") for s in asked.speak.split(","))}
    if asked.url:
        server = await running(asked.url, list(shares))
        return await run(server, asked.count, asked.seed, shares)
    async with started(list(shares), environment={}, memory_gib=MEMORY_GIB) as server:
        return await run(server, asked.count, asked.seed, shares)


if __name__ == "__main__":
    raise SystemExit(min(1, asyncio.run(main())))
