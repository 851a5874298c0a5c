"""Serve the server's lexicon, `/v1/tts/lexicon`."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query

from vivavoce.api.dependencies import ServerDep
from vivavoce.api.routes.bodies import BoundedRoute
from vivavoce.api.schemas.answers import NATIVE_ERRORS
from vivavoce.api.schemas.texts import LexiconBody
from vivavoce.api.schemas.values import Name
from vivavoce.text.language.names import parse_language
from vivavoce.text.lexicon import FILE_NAME, LexiconFile

router = APIRouter(
    prefix="/v1/tts/lexicon", tags=["native"], responses=NATIVE_ERRORS, route_class=BoundedRoute
)


@router.get("")
async def read(server: ServerDep) -> LexiconBody:
    """Return the rules of pronunciation for all requests."""
    lexicon = await asyncio.to_thread(server.lexicon.current)
    return LexiconBody.of(lexicon.rules)


@router.put("")
async def replace(server: ServerDep, body: LexiconBody) -> LexiconBody:
    """Replace all rules. Requests that come afterwards are spoken with the new ones."""
    file = LexiconFile(server.folders.data / FILE_NAME)
    await asyncio.to_thread(file.write, body.to_rules())
    return await read(server)


@router.delete("")
async def remove(
    server: ServerDep,
    word: Annotated[Name | None, Query(description="By default all rules go.")] = None,
    language: Name | None = None,
    voice: Name | None = None,
) -> LexiconBody:
    """Remove the rules for a word, of any language and voice or of those named, or all rules."""
    file = LexiconFile(server.folders.data / FILE_NAME)
    if word is None:
        await asyncio.to_thread(file.write, ())
    else:
        code = parse_language(language) if language else None
        await asyncio.to_thread(file.remove, word, language=code, voice=voice)
    return await read(server)
