"""Open the models in this process, for the commands that need no server."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING

from vivavoce.errors import VivavoceError

if TYPE_CHECKING:
    from vivavoce.client import VoiceEntry
    from vivavoce.provenance import Provenance
    from vivavoce.serving.pool import Pool
    from vivavoce.settings import Settings
    from vivavoce.synthesis.design import Preview, Wish


@asynccontextmanager
async def open_pool(settings: "Settings") -> AsyncGenerator["Pool"]:
    """Yield a pool of the models in `settings`, and close it at the end."""
    from vivavoce.registry import build_pool

    # The command ends with its models, so they need no processes of their own.
    pool = build_pool(settings.model_copy(update={"isolate_models": False}))
    try:
        yield pool
    finally:
        await pool.aclose()


def provenance_of(settings: "Settings") -> "Provenance":
    """Return how speech is marked. Raises as `load_provenance` does."""
    from vivavoce import __version__
    from vivavoce.provenance.manifest import load_provenance

    return load_provenance(
        settings.provenance,
        settings.data_dir,
        settings.c2pa_certificate,
        settings.c2pa_key,
        __version__,
    )


def design_previews(settings: "Settings", wish: "Wish") -> "Sequence[Preview]":
    """Return the previews of `wish`, and show the progress on stderr, if that is a terminal."""
    return asyncio.run(_design(settings, wish))


async def _design(settings: "Settings", wish: "Wish") -> "Sequence[Preview]":
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn

    from vivavoce.synthesis.design import make_previews
    from vivavoce.synthesis.synthesizer import Synthesizer
    from vivavoce.voices.record import Viewer

    console = Console(stderr=True)
    columns = ("previews", BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    off = not console.is_terminal
    made = []
    async with open_pool(settings) as pool:
        synthesizer = Synthesizer(pool, default_language=settings.default_language)
        synthesizer.provenance = provenance_of(settings)
        with Progress(*columns, console=console, transient=True, disable=off) as bar:
            task = bar.add_task("", total=wish.count)
            async with aclosing(make_previews(synthesizer, wish, Viewer(manages=True))) as previews:
                async for preview in previews:
                    made.append(preview)
                    bar.advance(task)
    return made


def voices(settings: "Settings", model: str | None) -> "tuple[VoiceEntry, ...]":
    """Return the voices of `model`, or of every model that works here.

    Raises the error of `model`. Without `model`, raises the first model's error if none works.
    """
    return asyncio.run(_voices(settings, model))


async def _voices(settings: "Settings", model: str | None) -> "tuple[VoiceEntry, ...]":
    from vivavoce.client import VoiceEntry
    from vivavoce.synthesis.routing import Router
    from vivavoce.synthesis.saved import SavedVoices
    from vivavoce.voices.library import FOLDER, VoiceLibrary
    from vivavoce.voices.record import Viewer

    entries: list[VoiceEntry] = []
    problems: list[VivavoceError] = []
    async with open_pool(settings) as pool:
        saved = SavedVoices(VoiceLibrary(settings.data_dir / FOLDER), Router(pool))
        for name in (model,) if model else pool.names:
            try:
                info = await pool.info(name)
            except VivavoceError as problem:
                problems.append(problem)
                continue
            entries += [
                VoiceEntry(one.id, one.name, info.name, one.languages, one.gender, one.listed)
                for one in (await saved.add_to([info], Viewer(manages=True)))[0].voices
            ]
    if problems and not entries:
        raise problems[0]
    return tuple(entries)
