"""Read a new job: a file with its options as form fields, or a text with them as JSON."""

import asyncio
import io
import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from tempfile import SpooledTemporaryFile
from typing import IO, Any, Final, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect

from vivavoce.api.errors import ClientDisconnected
from vivavoce.api.routes.bodies import read_body
from vivavoce.api.routes.forms import FORM, FormPart, FormReader, is_form, text_of
from vivavoce.api.schemas.jobs.new import JobFields, NewJob, inlined
from vivavoce.errors import BadRequest

FILE: Final = "file"
SPOOLED_BYTES: Final = 2**20  # of a book in memory, before it goes to a disk
MAX_FIELD_BYTES: Final = 256 * 2**10
MAX_NAME_CHARS: Final = 200
_OBJECTS: Final = ("choices", "cast", "pauses", "pronunciations")  # JSON in a form field

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Upload:
    """What a job is to be made of. Whoever has read the file closes it."""

    name: str
    file: IO[bytes]
    fields: JobFields


async def read_upload(http: Request) -> Upload:
    """Return the new job in a request.

    Raises `BadRequest`, `RequestValidationError` and `ClientDisconnected`.
    """
    if is_form(http.headers.get("content-type", "")):
        return await _from_form(http)
    body = _validated(NewJob, await (await read_body(http, NewJob)).json())
    name = file_name(body.name or "text.txt")
    return Upload(name, io.BytesIO(body.text.encode("utf-8", "replace")), body)


async def _from_form(http: Request) -> Upload:
    reader = FormReader(http.headers["content-type"], _spooled, MAX_FIELD_BYTES)
    try:
        async for chunk in http.stream():
            await asyncio.to_thread(reader.feed, chunk)
        texts, files = defaultdict[str, list[str]](list), list[FormPart]()
        for part in reader.finish():
            if part.file_name:
                files.append(part)
            elif part.name != FILE:
                texts[part.name].append(text_of(part))
        if [part.name for part in files] != [FILE]:
            problem = f"the form has {len(files)} files, and the book is the one that a job is of"
            raise BadRequest(f"{problem}: send it as the part {FILE!r}, with its name", field=FILE)
        fields = _validated(JobFields, _values(texts))
        return Upload(file_name(files[0].file_name or ""), files[0].content, fields)
    except BaseException as error:
        reader.close()
        if isinstance(error, ClientDisconnect):
            raise ClientDisconnected from error
        raise


def _spooled() -> IO[bytes]:
    return SpooledTemporaryFile(SPOOLED_BYTES)


def _values(given: Mapping[str, list[str]]) -> dict[str, object]:
    """Return the fields of a form as JSON has them. Raises `BadRequest`."""
    values: dict[str, object] = {}
    for name, texts in given.items():
        if name in _OBJECTS:
            try:
                values[name] = json.loads(texts[-1])
            except (ValueError, RecursionError) as error:
                problem = f"{name} {texts[-1][:80]!r} is not JSON: see /docs for its form"
                raise BadRequest(problem, field=name) from error
        else:
            values[name] = ",".join(texts) if name in ("formats", "chapters") else texts[-1]
    return values


def _validated(model: type[M], values: object) -> M:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        problems = [{**one, "loc": ("body", *one["loc"])} for one in error.errors()]
        raise RequestValidationError(problems) from error


def file_name(given: str) -> str:
    """Return the last part of a file name that a client sent, without control characters."""
    last = PurePosixPath(given.replace("\\", "/")).name
    clean = "".join(char for char in last if char.isprintable()).strip(". ")
    stem, dot, ending = clean.rpartition(".")
    return f"{stem[: MAX_NAME_CHARS - len(ending) - 1]}{dot}{ending}"[-MAX_NAME_CHARS:] or "book"


def described() -> dict[str, Any]:
    """Return the description of the two bodies for OpenAPI. Any: of a schema."""
    form = inlined(JobFields)
    for name in _OBJECTS:
        text = {"type": "string", "contentMediaType": "application/json"}
        form["properties"][name] = {**text, "description": f"As `{name}` in JSON."}
    for name in ("formats", "chapters"):
        form["properties"][name] = {"type": "string", "description": "Separated by commas."}
    form["properties"][FILE] = {
        "type": "string",
        "format": "binary",
        "description": "The book: EPUB, HTML, Markdown, text, PDF or DOCX.",
    }
    form["required"] = [FILE]
    content = {FORM: {"schema": form}, "application/json": {"schema": inlined(NewJob)}}
    return {"requestBody": {"required": True, "content": content}}
