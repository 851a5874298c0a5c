"""Check what is made anew of a job by itself, what is silent, and what is shown meanwhile."""

import asyncio
import os
import pty
import re
import subprocess
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from tests.decoding import decode
from tests.jobs.narrating import (
    VIEWER,
    LoggingTone,
    narrated,
    opened,
    spoken_lines,
    text_of,
)
from vivavoce.books.read import read_book
from vivavoce.jobs import JobOptions
from vivavoce.jobs.script import PAUSE, write_script
from vivavoce.models.tone import ToneStream
from vivavoce.types import AudioChunk, Samples, StopReason

FLAC = JobOptions(formats=("flac",))


# -- pauses --


def gaps_s(flac: bytes) -> list[float]:
    """Return the silences of at least 0.2 s between two sounds."""
    samples, rate_hz = decode(flac)
    loud = np.flatnonzero(np.abs(samples.reshape(-1)) > 0.002)
    gaps = [(b - a) / rate_hz for a, b in pairwise(loud.tolist())]
    return [gap for gap in gaps if gap >= 0.2]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It rains.\n\n[pause: 3s]\n\nIt stops.", [3.0]),
        ("It rains.\n\n[pause: 3s]\n\n[pause: 2s]\n\nIt stops.", [5.0]),
        ("It rains. [pause: 3s]\n\nIt stops.", [3.0]),
        ("It rains.\n\n[pause: 3s] It stops.", [3.0]),
        ("It rains all day long. [pause: 3s] It stops in the night.", [3.0]),
        ("It rains.\n\n<speak><break time='2s'/></speak>\n\nIt stops.", [2.0]),
        ("It rains.\n\n[pause: 300 ms]\n\nIt stops.", [0.8]),  # as between any paragraphs
        ("It rains.\n\n[laughs]\n\nIt stops.", [0.8]),
        ("[pause: 3s]\n\nIt rains.\n\nIt stops.", [0.8]),  # nothing comes before it
    ],
)
async def test_pause_of_the_author_is_that_long(
    text: str, expected: list[float], tmp_path: Path
) -> None:
    async with opened(tmp_path) as jobs:
        job = await narrated(jobs, text, FLAC)
        assert (job.state, job.sentences_failed) == ("done", 0)
        path = await jobs.chapter_audio(job.id, 1, VIEWER)
        assert gaps_s(path.read_bytes()) == pytest.approx(expected, abs=0.03)
        assert (await jobs.report(job.id, VIEWER)).failed == []


def test_pause_alone_is_no_line_and_is_listed() -> None:
    book = read_book(b"It rains.\n\n[pause: 3s]\n\n<div>\n\nIt stops.", "book.txt")
    script = write_script(book, JobOptions())
    assert [line.text for line in script.lines] == ["It rains.", "It stops."]
    assert [part.reason for part in script.unspoken if part.text == "[pause: 3s]"] == [PAUSE]


def test_pause_at_the_end_of_a_chapter_is_kept() -> None:
    book = read_book(b"# A\n\nIt rains.\n\n[pause: 9s]\n\n# B\n\nIt stops.", "book.md")
    script = write_script(book, JobOptions())
    assert [line.pause_s for line in script.lines if "It" in line.text] == [9.0, 2.0]


# -- the lexicon --


async def test_resumed_job_remakes_what_a_new_rule_of_the_server_touches(tmp_path: Path) -> None:
    text = text_of(2, 12)
    async with opened(tmp_path) as jobs:
        job, _ = await jobs.create(text.encode(), "book.txt", FLAC, VIEWER, paused=True)
        running = asyncio.create_task(jobs.run(job.id))
        async for event in jobs.events(job.id, VIEWER):
            if event.sentences_made >= 6:
                await jobs.act(job.id, "pause", VIEWER)
                break
        await running
        assert (await jobs.get(job.id, VIEWER)).state == "paused"
        rows = [row for n in (1, 2) for row in await jobs.sentences(job.id, n, VIEWER)]
        made = {row.text for row in rows if row.state == "made"}
        assert 6 <= len(made) < job.sentences
        before = len(spoken_lines(tmp_path))
        rule = '[[rules]]\nword = "line 2"\nalias = "row two"\n'
        (tmp_path / "lexicon.toml").write_text(rule)
        assert (await jobs.run(job.id)).state == "done"
        again = [line.partition(" ")[2] for line in spoken_lines(tmp_path)[before:]]
    assert sum("row two" in text for text in again) == 2  # one in each chapter
    touched = {text for text in made if "line 2 " in text}
    assert len(touched) == 1
    assert {text.replace("row two", "line 2") for text in again} & made == touched


# -- outliers --


class Drawling(LoggingTone):
    """A voice that says one sentence four times as slowly with some seeds."""

    seeds: Sequence[int] = (0,)

    def __init__(self, log: Path) -> None:
        super().__init__(log)
        self.lanes = 1

    def step(
        self, streams: Sequence[ToneStream], ahead_s: Sequence[float] = ()
    ) -> Sequence[Samples | AudioChunk | StopReason]:
        [stream] = streams
        drawls = "line 5 " in stream.segment.text and stream.segment.seed in self.seeds
        self._char_s = 0.048 if drawls else 0.012
        return super().step(streams, ahead_s)


class AlwaysDrawling(Drawling):
    seeds = range(2**32)


async def test_sentence_unlike_the_others_is_made_again_with_another_seed(tmp_path: Path) -> None:
    async with opened(tmp_path, tone=Drawling) as jobs:
        job = await narrated(jobs, text_of(1, 12), FLAC)
        report = await jobs.report(job.id, VIEWER)
        sentences = await jobs.sentences(job.id, 1, VIEWER)
    said = spoken_lines(tmp_path)
    assert sum("line 5 " in line for line in said) == 2
    assert len(said) == job.sentences + 1
    assert (report.outliers, report.failed) == ([], [])
    lengths = [one.audio_s for one in sentences if "captain" in one.text]
    assert max(lengths) < 1.2 * min(lengths)  # the slow one was four times as long


async def test_sentence_that_stays_unlike_the_others_is_listed(tmp_path: Path) -> None:
    async with opened(tmp_path, tone=AlwaysDrawling) as jobs:
        job = await narrated(jobs, text_of(1, 12), FLAC)
        assert job.state == "done"
        [outlier] = (await jobs.report(job.id, VIEWER)).outliers
        assert "line 5 " in outlier.text
        assert "pace is 0.2" in outlier.reason
        said = len(spoken_lines(tmp_path))
        await jobs.run(job.id)
        assert len(spoken_lines(tmp_path)) == said  # it is not tried again unasked


# -- progress --


def test_bar_shows_percent_chapter_speed_and_time_left(tmp_path: Path) -> None:
    book = tmp_path / "book.txt"
    book.write_text(text_of(2, 30))
    environment = {
        **os.environ,
        "VIVAVOCE_DATA_DIR": str(tmp_path / "data"),
        "VIVAVOCE_MODELS": "tone",
        "VIVAVOCE_TONE_REAL_TIME_FACTOR": "0.02",
        "VIVAVOCE_ISOLATE_MODELS": "false",
        "TERM": "xterm",
        "COLUMNS": "120",
    }
    command = [sys.executable, "-m", "vivavoce", "book", book.name, "-o", "book.flac"]
    reader, terminal = pty.openpty()
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=terminal)
    os.close(terminal)
    shown = b""
    try:
        while data := os.read(reader, 65_536):
            shown += data
    except OSError:  # Linux tells the end of a terminal so
        pass
    finally:
        os.close(reader)
        assert process.wait() == 0, shown
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())
    told = re.findall(
        r"([\d.]+) %  chapter (\d) of 2, ([\d.]+) × real time, (\d+:\d\d:\d\d) left", text
    )
    percents = [float(percent) for percent, *_ in told]
    assert len(set(percents)) >= 3
    assert percents == sorted(percents)
    assert {chapter for _, chapter, *_ in told} == {"1", "2"}
    assert all(float(speed) > 0 for _, _, speed, _ in told)
    lefts = [
        sum(int(p) * 60**n for n, p in enumerate(reversed(left.split(":")))) for *_, left in told
    ]
    assert lefts[-1] <= max(lefts)
    assert "book.flac: 0:0" in text
