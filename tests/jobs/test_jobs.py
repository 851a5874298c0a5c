"""Make, steer and change jobs: what is spoken again, what is reported, and what is not allowed."""

import asyncio
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final, Literal, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.jobs.narrating import VIEWER, narrated, opened, outputs_of, spoken_lines, text_of
from vivavoce.books.processes import NICENESS
from vivavoce.books.read import read_book
from vivavoce.books.write import BookFormat, ChapterFormat
from vivavoce.errors import BadRequest, Forbidden, UnknownJob, UnknownVoice, WrongState
from vivavoce.jobs import ACTIONS, Action, Cast, JobLimits, JobOptions
from vivavoce.jobs.script import MARKUP, read_cast, write_script
from vivavoce.types import Pronunciation
from vivavoce.voices.record import Viewer

FLAC = JobOptions(formats=("flac",))
TEXT = text_of(2, 6)
CHAPTER_ENDS: Final = get_args(ChapterFormat)


async def test_change_of_a_word_remakes_what_it_touches(tmp_path: Path) -> None:
    async with opened(tmp_path) as jobs:
        job = await narrated(jobs, TEXT, FLAC)
        before, said = await outputs_of(jobs, job.id), len(spoken_lines(tmp_path))
        rules = [Pronunciation("chapter 2", alias="part two")]
        await jobs.pronounce(job.id, rules, VIEWER)
        assert (await jobs.run(job.id)).state == "done"
        again = spoken_lines(tmp_path)[said:]
        assert len(again) == 7  # the sentences and the heading of chapter 2
        assert all("part two" in line.lower() for line in again)
        await jobs.pronounce(job.id, [], VIEWER)
        await jobs.run(job.id)
        assert len(spoken_lines(tmp_path)) == said + 7  # the old takes are still there
        assert await outputs_of(jobs, job.id) == before


@pytest.mark.skipif(sys.platform != "linux", reason="a thread of its own priority is Linux's")
async def test_long_work_gives_way_to_speech(tmp_path: Path) -> None:
    async with opened(tmp_path) as jobs:
        await narrated(jobs, TEXT, FLAC)
        own = os.getpriority(os.PRIO_PROCESS, 0)
        priority = {
            thread.name.partition("_")[0].partition("-")[0]: os.getpriority(
                os.PRIO_PROCESS, thread.native_id or 0
            )
            for thread in threading.enumerate()
        }
    assert priority["jobs"] == min(own + NICENESS, 19)
    assert priority["tone"] == own


async def test_sentence_is_made_anew_with_another_seed(tmp_path: Path) -> None:
    async with opened(tmp_path) as jobs:
        job = await narrated(jobs, TEXT, FLAC)
        said = len(spoken_lines(tmp_path))
        first = await asyncio.to_thread((await jobs.chapter_audio(job.id, 1, VIEWER)).read_bytes)
        second = await asyncio.to_thread((await jobs.chapter_audio(job.id, 2, VIEWER)).read_bytes)
        await jobs.redo(job.id, VIEWER, chapter=2, sentence=3)
        await jobs.run(job.id)
        assert len(spoken_lines(tmp_path)) == said + 1
        assert (await jobs.sentences(job.id, 2, VIEWER))[2].take == 1
        audio = [await jobs.chapter_audio(job.id, number, VIEWER) for number in (1, 2)]
        assert audio[0].read_bytes() == first
        assert audio[1].read_bytes() != second
        await jobs.redo(job.id, VIEWER, chapter=1)
        await jobs.run(job.id)
        assert len(spoken_lines(tmp_path)) == said + 1 + 7
        with pytest.raises(BadRequest, match="chapter 9"):
            await jobs.redo(job.id, VIEWER, chapter=9)


async def test_book_with_a_changed_chapter_speaks_that_one_alone(tmp_path: Path) -> None:
    async with opened(tmp_path) as jobs:
        await narrated(jobs, TEXT, FLAC)
        said = len(spoken_lines(tmp_path))
        changed = TEXT.replace("In chapter 2 the captain wrote line 4", "Nobody wrote line 4")
        job, is_new = await jobs.create(changed.encode(), "book.txt", FLAC, VIEWER, paused=True)
        await jobs.run(job.id)
        assert is_new
        assert len(spoken_lines(tmp_path)) == said + 1


@pytest.mark.parametrize("harm", ["cut", "gone", "other", "power cut"])
async def test_damaged_take_is_made_again(harm: str, tmp_path: Path) -> None:
    async with opened(tmp_path) as jobs:
        job = await narrated(jobs, TEXT, FLAC)
        expected, said = await outputs_of(jobs, job.id), len(spoken_lines(tmp_path))
        takes = sorted((tmp_path / "audio").rglob("*.flac"))
        match harm:
            case "cut":
                takes[3].write_bytes(takes[3].read_bytes()[:-200])
            case "gone":
                takes[3].unlink()
            case "power cut":  # before the database had heard of a take
                takes[3].write_bytes(takes[3].read_bytes()[:-200])
                with closing(sqlite3.connect(tmp_path / "jobs.db")) as database, database:
                    database.execute("DELETE FROM takes WHERE key = ?", (takes[3].stem,))
                    database.execute(
                        "UPDATE sentences SET key = '' WHERE key = ?", (takes[3].stem,)
                    )
            case _:
                takes[3].write_bytes(b"fLaC" + bytes(500))
        shutil.rmtree(next(tmp_path.glob("job_*")) / "chapters")  # noqa: ASYNC240
        assert (await jobs.run(job.id)).state == "done"
        assert len(spoken_lines(tmp_path)) == said + 1
        assert await outputs_of(jobs, job.id) == expected


@pytest.mark.parametrize("fault", ["raise", "silence"])
async def test_bad_sentence_is_tried_reported_and_the_rest_spoken(
    fault: str, tmp_path: Path
) -> None:
    cast = Cast(voices={"Anna": fault})
    text = "One\n\nThe rain came down all day long.\n\nAnna: Nobody will ever hear me say this.\n"
    options = JobOptions(formats=("flac",), cast=cast, attempts=3)
    async with opened(tmp_path) as jobs:
        job = await narrated(jobs, text, options)
        assert (job.state, job.sentences_failed) == ("done", 1)
        report = await jobs.report(job.id, VIEWER)
        assert [part.text for part in report.failed] == ["Nobody will ever hear me say this."]
        assert report.failed[0].reason
        assert [part.text for part in report.skipped] == ["Anna:"]

        def tries() -> int:
            return sum(line.startswith(fault) for line in spoken_lines(tmp_path))

        assert tries() == 3 * 2  # each attempt is retried once, as every speech is
        await jobs.run(job.id)
        assert tries() == 3 * 2  # it is not tried again unasked
        await jobs.act(job.id, "retry", VIEWER)
        await jobs.run(job.id)
        assert tries() == 2 * 3 * 2


async def test_job_of_which_nothing_can_be_spoken_fails(tmp_path: Path) -> None:
    options = JobOptions(formats=("flac",), voice="raise", attempts=1)
    async with opened(tmp_path) as jobs:
        job = await narrated(jobs, text_of(1, 40), options)
        assert job.state == "failed"
        assert "one after the other" in job.problem


async def test_limit_of_the_disk_pauses_a_job_and_says_so(tmp_path: Path) -> None:
    async with opened(tmp_path, limits=JobLimits(max_bytes=30_000)) as jobs:
        job = await narrated(jobs, TEXT, FLAC)
        assert (job.state, "max_jobs_bytes" in job.problem) == ("paused", True)
        with pytest.raises(Forbidden, match="max_jobs_bytes"):
            await jobs.create(b"One.", "a.txt", FLAC, VIEWER)
    async with opened(tmp_path) as jobs:
        assert (await jobs.run(job.id)).state == "done"


def measured(path: Path) -> tuple[float, float]:
    """Return the loudness and the true peak of a file, as FFmpeg's command measures them."""
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        pytest.skip("needs the command ffmpeg, which measures independently")
    command = [ffmpeg, "-nostats", "-i", str(path), "-af", "ebur128=peak=true", "-f", "null", "-"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True)
    summary = shown.stderr.split("Summary:")[1]
    (loudness,), (peak,) = (re.findall(rf"{at}:\s+(-[\d.]+)", summary) for at in ("I", "Peak"))
    return float(loudness), float(peak)


@pytest.mark.parametrize("chapter_format", get_args(ChapterFormat))
async def test_every_file_has_the_loudness_of_a_book(
    tmp_path: Path, chapter_format: ChapterFormat
) -> None:
    formats: tuple[BookFormat, ...] = ("m4b", "mp3", "opus", "flac", "zip", "epub")
    epub_audio: Literal["mp3", "m4a"] = "m4a" if chapter_format == "m4a" else "mp3"
    options = JobOptions(formats=formats, chapter_format=chapter_format, epub_audio=epub_audio)
    async with opened(tmp_path) as jobs:
        job = await narrated(jobs, TEXT, options)
        files = {each.format: each.path for each in await jobs.outputs(job.id, VIEWER)}
        paths = [files.pop(format) for format in ("m4b", "mp3", "opus", "flac")]
        for format, archive in files.items():
            shutil.unpack_archive(archive, tmp_path / format, "zip")
            paths += [p for p in (tmp_path / format).rglob("*.*") if p.suffix[1:] in CHAPTER_ENDS]
        assert len(paths) == 4 + 2 * 2
        for path in paths:
            loudness, peak = await asyncio.to_thread(measured, path)
            assert loudness == pytest.approx(-19.0, abs=0.3), path
            assert peak <= -2.0, path


async def test_chapters_have_the_loudness_that_ffmpeg_measures(tmp_path: Path) -> None:
    async with opened(tmp_path) as jobs:
        job = await narrated(jobs, TEXT, FLAC)
        for chapter in await jobs.chapters(job.id, VIEWER):
            path = await jobs.chapter_audio(job.id, chapter.number, VIEWER)
            loudness, peak = await asyncio.to_thread(measured, path)
            assert loudness == pytest.approx(-19.0, abs=0.3)
            assert peak <= -2.9
            assert chapter.drift is not None
            assert chapter.drift.loudness_lufs == pytest.approx(loudness, abs=0.1)
            assert chapter.drift.pace == pytest.approx(1.0, abs=0.1)


async def test_sentences_are_where_their_times_say(tmp_path: Path) -> None:
    async with opened(tmp_path) as jobs:
        job = await narrated(jobs, TEXT, FLAC)
        path = await jobs.chapter_audio(job.id, 1, VIEWER)
        rows = json.loads(path.with_suffix(".json").read_bytes())
        book = await jobs.book(job.id, VIEWER)
        at_s = 0.0
        for block, start, end, start_s, end_s, words in rows:
            text = book.chapters[0].blocks[block].text
            assert text[start:end].strip() == text[start:end] != ""
            assert at_s < start_s < end_s
            said = [text[word[0] : word[1]] for word in words]
            assert said == re.findall(r"\w+", text[start:end])
            assert start_s <= words[0][2]
            assert words[-1][3] <= end_s + 0.01
            at_s = end_s


async def test_events_tell_of_each_sentence_to_the_end(tmp_path: Path) -> None:
    async with opened(tmp_path) as jobs:
        job, _ = await jobs.create(TEXT.encode(), "book.txt", FLAC, VIEWER, paused=True)
        running = asyncio.create_task(jobs.run(job.id))
        events = [event async for event in jobs.events(job.id, VIEWER)]
        await running
        percents = [event.percent for event in events]
        assert percents == sorted(percents)
        assert (events[-1].state, events[-1].percent) == ("done", 100.0)
        assert events[-1].chapters_ready == (1, 2)
        assert any(event.left_s for event in events)


async def test_jobs_are_seen_by_their_owner_alone(tmp_path: Path) -> None:
    mine, other = Viewer("mine"), Viewer("other")
    async with opened(tmp_path) as jobs:
        job, _ = await jobs.create(b"One.", "a.txt", FLAC, mine, paused=True)
        assert [each.id for each in await jobs.all(mine)] == [job.id]
        assert await jobs.all(other) == []
        assert len(await jobs.all(Viewer(manages=True))) == 1
        with pytest.raises(UnknownJob):
            await jobs.get(job.id, other)
        with pytest.raises(UnknownVoice):
            await jobs.create(b"One.", "a.txt", JobOptions(voice="nobody"), mine)
        await jobs.remove(job.id, mine)
        assert not list(tmp_path.glob("job_*"))  # noqa: ASYNC240


async def test_takes_that_another_job_needs_are_kept(tmp_path: Path) -> None:
    async with opened(tmp_path) as jobs:
        first = await narrated(jobs, TEXT, FLAC)
        second, _ = await jobs.create(TEXT.encode(), "other.txt", FLAC, VIEWER, paused=True)
        await jobs.run(second.id)
        said = len(spoken_lines(tmp_path))
        await jobs.remove(first.id, VIEWER)
        shutil.rmtree(next(tmp_path.glob("job_*")) / "chapters")  # noqa: ASYNC240
        assert (await jobs.run(second.id)).state == "done"
        assert len(spoken_lines(tmp_path)) == said
        await jobs.remove(second.id, VIEWER)
        assert not list((tmp_path / "audio").rglob("*.flac"))


@given(st.lists(st.sampled_from(sorted(ACTIONS)), max_size=12))
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_actions_lead_where_the_table_says(tmp_path: Path, actions: Sequence[Action]) -> None:
    async def check() -> None:
        async with opened(tmp_path) as jobs:
            job, _ = await jobs.create(b"One.", "a.txt", FLAC, VIEWER)
            state = job.state
            for action in actions:
                allowed, after = ACTIONS[action]
                if state in allowed or state == after:
                    state = after
                    assert (await jobs.act(job.id, action, VIEWER)).state == after
                else:
                    with pytest.raises(WrongState):
                        await jobs.act(job.id, action, VIEWER)
                assert (await jobs.get(job.id, VIEWER)).state == state
            await jobs.remove(job.id, VIEWER)

    asyncio.run(check())


# -- who says what --


def lines_of(text: str, cast: Cast) -> list[tuple[str | None, str]]:
    book = read_book(text.encode(), "book.txt")
    return [(line.voice, line.text) for line in write_script(book, JobOptions(cast=cast)).lines]


def test_cast_gives_each_character_a_voice() -> None:
    cast = Cast(quotes="q", voices={"Anna": "a", "Old Bob": "b"})
    text = (
        "It was late, and the long road lay in the dark.\n\n"
        "anna: I said so this morning already!\n\n"
        "Old Bob: “You did say so, my dear.” He laughed at that for a while.\n\n"
        "Then someone asked: “Who is there at this hour?” Nobody knew.\n\n"
        "[voice:Anna] Nobody indeed was there at all. [voice:x] Or was there someone?\n\n"
        "They went on like this. [voice:default] And then they slept until the morning."
    )
    assert lines_of(text, cast) == [
        (None, "It was late, and the long road lay in the dark."),
        ("a", "I said so this morning already!"),
        ("b", "“You did say so, my dear.”"),
        ("b", "He laughed at that for a while."),
        (None, "Then someone asked:"),
        ("q", "“Who is there at this hour?”"),
        (None, "Nobody knew."),
        ("a", "Nobody indeed was there at all."),
        ("x", "Or was there someone?"),
        ("x", "They went on like this."),
        (None, "And then they slept until the morning."),
    ]


@given(st.text(alphabet='ab “”"«»[]:/voice.\u2014 ', max_size=80))
@settings(deadline=None)
def test_every_word_is_a_line_or_has_a_reason(text: str) -> None:
    cast = Cast(quotes="q", voices={"a": "x", "b": "y"}, named_quotes=True)
    if not text.strip():
        return
    book = read_book(f"Start here.\n\n{text}\n\nEnd.".encode(), "book.txt")
    script = write_script(book, JobOptions(cast=cast))
    for number, chapter in enumerate(book.chapters, 1):
        for index, block in enumerate(chapter.blocks):
            covered = [
                set(range(each.start, each.end))
                for each in (*script.lines, *script.unspoken)
                if (each.chapter, each.block) == (number, index)
                and getattr(each, "reason", "") != MARKUP  # inside of a line
            ]
            places = {at for at, character in enumerate(block.text) if not character.isspace()}
            assert places <= set().union(*covered)
            assert sum(map(len, covered)) == len(set().union(*covered))


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("cast.toml", b"voices = 1", "table"),
        ("cast.toml", b"[voices]\nAnna = 1", "Anna"),
        ("cast.toml", b"other = 'x'", "other"),
        ("cast.json", b"[" * 100_000, "neither"),
        ("cast.json", b"\xff", "neither"),
        ("cast.json", b"[]", "table"),
        ("cast.toml", b"named_quotes = 1", "named_quotes of the cast is 1: true or false"),
    ],
)
def test_bad_cast_is_refused(name: str, data: bytes, why: str) -> None:
    with pytest.raises(BadRequest, match=why) as refused:
        read_cast(data, name)
    assert refused.value.field == "cast"


def test_cast_is_read_as_toml_and_json() -> None:
    expected = Cast("n", "q", {"Anna": "a"}, named_quotes=True)
    toml = b'narrator = "n"\nquotes = "q"\nnamed_quotes = true\n[voices]\nAnna = "a"\n'
    assert read_cast(toml, "cast.toml") == expected
    assert (
        read_cast(
            b'{"narrator":"n","quotes":"q","named_quotes":true,"voices":{"Anna":"a"}}', "c.json"
        )
        == expected
    )
