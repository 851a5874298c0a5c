"""A book in several languages is read in each, by a voice that speaks it."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.books.generate import Document, Epub
from tests.jobs.narrating import LIMITS, VIEWER
from vivavoce.audio import comment_in
from vivavoce.books.write import BookFormat
from vivavoce.jobs import Cast, JobOptions, Jobs
from vivavoce.models.tone import ToneModel, ToneStream
from vivavoce.registry import build_pool
from vivavoce.serving.local import LocalEngine
from vivavoce.serving.pool import Pool
from vivavoce.settings import Settings
from vivavoce.synthesis.synthesizer import Synthesizer
from vivavoce.types import Segment, Voice

CHAPTERS = {
    "en": ("One", "There are 3 lamps on the table."),
    "es": ("Dos", "Hay 3 lámparas en la mesa."),
    "fr": ("Trois", "Il y a 3 lampes sur la table."),
}
ALL: tuple[BookFormat, ...] = ("m4b", "epub", "vtt")


def book() -> bytes:
    pages = []
    for language, (title, text) in CHAPTERS.items():
        page = Document(f"{language}.xhtml", title, language)
        page.heading(title)
        page.paragraph(text)
        pages.append(page)
    return Epub(pages).bytes()


class Reader(ToneModel):
    """Tone that writes down in which voice and language it is asked to speak sentences."""

    def __init__(self, said: list[tuple[str, str]]) -> None:
        super().__init__(char_s=0.012)
        self._said = said

    def open(self, segment: Segment) -> ToneStream:
        if " " in segment.text:
            self._said.append((segment.voice, segment.language))
        return super().open(segment)


class EnglishReader(Reader):
    """One that speaks English alone, in a voice of its own."""

    def __init__(self, said: list[tuple[str, str]]) -> None:
        super().__init__(said)
        voice = Voice("reader", "Reader", ("en",))
        self.info = replace(self.info, name="english", languages=("en",), voices=(voice,))


@asynccontextmanager
async def narrated(
    folder: Path, options: JobOptions
) -> AsyncGenerator[tuple[Jobs, list[tuple[str, str]]]]:
    """Yield the jobs, and the voice and language of each sentence."""
    said: list[tuple[str, str]] = []
    pool = Pool({
        "english": lambda: LocalEngine(EnglishReader(said)),
        "tone": lambda: LocalEngine(Reader(said)),
    })  # fmt: skip
    jobs = Jobs(folder, Synthesizer(pool), LIMITS)
    try:
        job, _ = await jobs.create(book(), "book.epub", options, VIEWER, paused=True)
        assert (await jobs.run(job.id)).state == "done"
        yield jobs, said
    finally:
        await jobs.aclose()
        await pool.aclose()


@pytest.mark.parametrize(
    ("options", "voices"),
    [
        (JobOptions(formats=ALL), ["reader", "sine", "sine"]),
        (JobOptions(model="tone", formats=ALL), ["sine", "sine", "sine"]),
        (JobOptions(voice="hum", formats=ALL), ["hum", "hum", "hum"]),
    ],
)
async def test_each_chapter_is_read_in_its_language(
    tmp_path: Path, options: JobOptions, voices: list[str]
) -> None:
    async with narrated(tmp_path, options) as (jobs, said):
        assert set(said) == set(zip(voices, CHAPTERS, strict=True))
        (job,) = await jobs.all(VIEWER)
        files = {each.format: each.path for each in await jobs.outputs(job.id, VIEWER)}
        comment = comment_in(await asyncio.to_thread(files["m4b"].read_bytes)) or ""
        assert {line.rpartition("=")[2] for line in comment.splitlines()} == set(voices)


@pytest.mark.parametrize(
    "options", [JobOptions(voice="reader"), JobOptions(cast=Cast(narrator="reader"))]
)
async def test_a_narrator_that_was_chosen_reads_all(tmp_path: Path, options: JobOptions) -> None:
    async with narrated(tmp_path, options) as (_, said):
        assert said == [("reader", "en")] * 3


@pytest.mark.slow
async def test_kokoro_reads_a_book_in_three_languages(tmp_path: Path) -> None:
    settings = Settings(models=["kokoro"], isolate_models=False, data_dir=tmp_path)
    pool = build_pool(settings)
    jobs = Jobs(tmp_path / "jobs", Synthesizer(pool), LIMITS)
    try:
        options = JobOptions(formats=ALL)
        job, _ = await jobs.create(book(), "book.epub", options, VIEWER, paused=True)
        job = await jobs.run(job.id)
        assert (job.state, job.sentences_made, job.sentences_failed) == ("done", 6, 0)
        files = {each.format: each.path for each in await jobs.outputs(job.id, VIEWER)}
        subtitles = await asyncio.to_thread(files["vtt"].read_text, "utf-8")
        assert all(text in subtitles for _, text in CHAPTERS.values())
        assert 5 < job.audio_s < 20
    finally:
        await jobs.aclose()
        await pool.aclose()
