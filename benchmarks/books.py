"""Narrate a generated book, and print its speed, memory and disk space.

    python -m benchmarks.books --words 100000 --model hibari --format m4b

The job runs in a process of its own with an empty data folder, as `vivavoce book` would. With
`--beside`, a server narrates the book while one listener asks for short texts. The time to their
first audio is compared with that while the job is paused.
"""

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from statistics import median, quantiles
from typing import Any

VOCABULARY = """
the captain of ship and his old crew had been at sea for many long weeks when they saw a light over
water that nobody could explain it was neither star nor lamp but seemed to follow them through night
while wind went down morning came slowly letters house garden river mountain silence answer question
window children stranger evening
"""
WORDS = VOCABULARY.split()


def book_of(words: int, per_chapter: int = 5_000) -> str:
    """Return a book of `words` words. Its sentences have the lengths of novels."""
    draws, parts, count, chapter = random.Random(1), list[str](), 0, 0
    while count < words:
        chapter += 1
        parts.append(f"Chapter {chapter}")
        end = min(count + per_chapter, words)
        while count < end:
            paragraph = []
            for _ in range(draws.randint(2, 6)):
                length = max(4, min(40, round(draws.lognormvariate(2.7, 0.5))))
                said = draws.choices(WORDS, k=length)
                count += length
                paragraph.append(" ".join(said).capitalize() + draws.choice(".....?!"))
            parts.append(" ".join(paragraph))
    return "\n\n".join(parts)


def folder_bytes(folder: Path) -> dict[str, int]:
    """Return the bytes of takes, of chapters, of outputs, and of all else."""
    sizes = {"audio": 0, "chapters": 0, "out": 0, "rest": 0}
    for path in folder.rglob("*"):
        if path.is_file():
            kind = next((part for part in path.parts if part in sizes), "rest")
            sizes[kind] += path.stat().st_size
    return sizes


def memory_bytes(pid: int) -> int:
    """Return the memory of a process and its children now (`Pss`: a shared page counts once)."""
    whole = 0
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(FileNotFoundError, ProcessLookupError):
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if pid in (parent, int(folder.name)):
                lines = (folder / "smaps_rollup").read_text().splitlines()
                whole += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return whole * 1024


def measure(words: int, model: str, format: str) -> dict[str, Any]:
    """Return what a whole book costs."""
    with tempfile.TemporaryDirectory(prefix="vivavoce-books-") as name:
        folder = Path(name)
        source, target = folder / "book.txt", folder / f"book.{format}"
        source.write_text(book_of(words))
        environment = {**os.environ, "VIVAVOCE_DATA_DIR": str(folder / "data")}
        command = [sys.executable, "-m", "vivavoce", "book", str(source), "-o", str(target),
                   "--model", model]  # fmt: skip
        begun_s, peak = time.monotonic(), 0
        with (folder / "said").open("w+") as told:
            process = subprocess.Popen(command, env=environment, stderr=told)
            while process.poll() is None:
                peak = max(peak, memory_bytes(process.pid))
                time.sleep(0.5)
            told.seek(0)
            said = told.read()
        if process.returncode:
            raise SystemExit(said)
        took_s = time.monotonic() - begun_s
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        hours = said.rsplit(": ", 1)[-1].split(" of speech")[0]
        audio_s = sum(int(part) * 60**n for n, part in enumerate(reversed(hours.split(":"))))
        return {
            "words": words,
            "audio_s": audio_s,
            "took_s": round(took_s, 1),
            "real_time": round(audio_s / took_s, 1),
            "cpu_s": round(used.ru_utime + used.ru_stime, 1),
            "peak_mb": round(peak / 2**20),
            "disk": folder_bytes(folder / "data"),
            "file": target.stat().st_size,
        }


def first_audio_ms(url: str, count: int) -> list[float]:
    """Return the milliseconds to the first audio of short texts, one after the other."""
    import httpx

    times = []
    with httpx.Client(timeout=60) as client:
        for number in range(count):
            begun_s = time.perf_counter()
            body = {"text": f"Here is answer number {number}.", "stream": True, "format": "pcm"}
            with client.stream("POST", f"{url}/v1/tts/synthesize", json=body) as answer:
                next(answer.iter_raw())
                times.append(1000 * (time.perf_counter() - begun_s))
            time.sleep(0.2)
    return times


def beside(words: int, model: str, rounds: int = 8, count: int = 15) -> dict[str, float]:
    """Return the time to the first audio while a job is paused and while it runs, by turns."""
    import httpx
    from tests.conftest import serving

    from vivavoce.api.app import create_app
    from vivavoce.settings import Settings

    with tempfile.TemporaryDirectory(prefix="vivavoce-books-") as name:
        settings = Settings(models=(model,), data_dir=Path(name))
        with serving(create_app(settings)) as url, httpx.Client(base_url=url, timeout=60) as client:
            body = {"text": book_of(words), "name": "book.txt", "formats": ["flac"]}
            job = f"/v1/jobs/{client.post('/v1/jobs', json=body).json()['id']}"

            def made() -> int:
                return int(client.get(job).json()["sentences_made"])

            alone, busy = list[float](), list[float]()
            first_audio_ms(url, 5)
            for _ in range(rounds):
                client.post(f"{job}/pause")
                time.sleep(0.5)  # sentences that were begun are spoken to their end
                alone += first_audio_ms(url, count)
                client.post(f"{job}/resume")
                before = made()
                while made() < before + 10:
                    time.sleep(0.1)
                busy += first_audio_ms(url, count)
            state = client.get(job).json()["state"]
            client.post(f"{job}/cancel")
    return {"alone_ms": round(median(alone), 1), "beside_ms": round(median(busy), 1),
            "ratio": round(median(busy) / median(alone), 2),
            "p90_ratio": round(quantiles(busy, n=10)[-1] / quantiles(alone, n=10)[-1], 2),
            "running": state == "running"}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--words", type=int, default=20_000)
    parser.add_argument("--model", default="hibari")
    parser.add_argument("--format", default="m4b")
    parser.add_argument("--beside", action="store_true")
    given = parser.parse_args()
    if given.beside:
        print(json.dumps(beside(given.words, given.model)))
    else:
        print(json.dumps(measure(given.words, given.model, given.format)))


if __name__ == "__main__":
    main()
