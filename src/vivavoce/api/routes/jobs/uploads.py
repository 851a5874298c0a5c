"""Read a new job: a file with its options as form fields, or a text with them as JSON."""

import asyncio
import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect

from vivavoce.api.errors import ClientDisconnected
from vivavoce.api.routes.bodies import read_body
from vivavoce.api.routes.forms import FORM, FormReader, is_form, text_of
from vivavoce.api.schemas.jobs.new import JobFields, NewJob, inlined
from vivavoce.errors import BadRequest

FILE: Final = "file"
MAX_FIELD_BYTES: Final = 256 * 2**10
MAX_NAME_CHARS: Final = 200
_OBJECTS: Final = ("choices", "cast", "pauses", "pronunciations")  # JSON in a form field

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Upload:
    """What a job is to be made of, beside its file."""

    name: str
    fields: JobFields


async def read_upload(http: Request, place: Path) -> Upload:
    """Return the new job in a request, and write its book to `place` while it arrives.

    Raises `BadRequest`, `RequestValidationError`, `ClientDisconnected` and `OSError`.
    """
    if is_form(http.headers.get("content-type", "")):
        return await _from_form(http, place)
    body = _validated(NewJob, await (await read_body(http, NewJob)).json())
    await asyncio.to_thread(place.write_bytes, body.text.encode("utf-8", "replace"))
    return Upload(file_name(body.name or "text.txt"), body)


async def _from_form(http: Request, place: Path) -> Upload:
    def opened() -> IO[bytes]:
        if place.exists():
            problem = "the form has several files, and a job is of one book"
            raise BadRequest(f"{problem}: send it as the part {FILE!r}, with its name", field=FILE)
        return place.open("xb+")

    reader = FormReader(http.headers["content-type"], opened, MAX_FIELD_BYTES)
    try:
        async for chunk in http.stream():
            await asyncio.to_thread(reader.feed, chunk)
        texts, name = defaultdict[str, list[str]](list), ""
        for part in reader.finish():
            if part.file_name and part.name == FILE:
                name = part.file_name
            elif part.name != FILE:
                texts[part.name].append(text_of(part))
        if not name:
            problem = f"the form has no part {FILE!r} with a file name: send the book as that"
            raise BadRequest(problem, field=FILE)
        return Upload(file_name(name), _validated(JobFields, _values(texts)))
    except ClientDisconnect as error:
        raise ClientDisconnected from error
    finally:
        await asyncio.to_thread(reader.close)


def _values(fields: Mapping[str, list[str]]) -> dict[str, object]:
    """Return the fields of a form as JSON has them. Raises `BadRequest`."""
    values: dict[str, object] = {}
    for name, texts in fields.items():
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
