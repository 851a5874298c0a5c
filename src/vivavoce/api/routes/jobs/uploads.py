"""Read a new job: a file with its options as form fields, or a text with them as JSON."""

import io
import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from vivavoce.api.errors import ClientDisconnected
from vivavoce.api.routes.bodies import read_body
from vivavoce.api.schemas.jobs.new import JobFields, NewJob, inlined
from vivavoce.errors import BadRequest

FORM: Final = "multipart/form-data"
FILE: Final = "file"
MAX_FIELDS: Final = 40
MAX_FIELD_BYTES: Final = 256 * 2**10
MAX_NAME_CHARS: Final = 200
_OBJECTS: Final = ("choices", "cast", "pauses", "pronunciations")  # JSON in a form field

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Upload:
    """What a job is to be made of. Whoever has read the file closes it."""

    name: str
    file: UploadFile
    fields: JobFields


async def read_upload(http: Request) -> Upload:
    """Return the new job in a request.

    Raises `BadRequest`, `RequestValidationError` and `ClientDisconnected`.
    """
    if http.headers.get("content-type", "").lower().startswith(FORM):
        return await _from_form(http)
    body = _validated(NewJob, await (await read_body(http, NewJob)).json())
    name = file_name(body.name or "text.txt")
    return Upload(name, UploadFile(io.BytesIO(body.text.encode("utf-8", "replace"))), body)


async def _from_form(http: Request) -> Upload:
    try:
        form = await http.form(
            max_files=1, max_fields=MAX_FIELDS, max_part_size=MAX_FIELD_BYTES
        )  # the file is on disk from its second megabyte on
    except HTTPException as error:
        problem = f"the form cannot be read ({error.detail}): send the book as the part {FILE!r}"
        raise BadRequest(problem, field=FILE) from error
    except ClientDisconnect as error:
        raise ClientDisconnected from error
    try:
        file = form.get(FILE)
        if not isinstance(file, UploadFile) or not file.filename:
            problem = f"the form has no part {FILE!r} with a file name: send the book as that"
            raise BadRequest(problem, field=FILE)
        return Upload(file_name(file.filename), file, _validated(JobFields, _values(form)))
    except BaseException:
        await form.close()
        raise


def _values(form: FormData) -> dict[str, object]:
    """Return the fields of a form as JSON has them. Raises `BadRequest`."""
    given = defaultdict[str, list[str]](list)
    for name, value in form.multi_items():
        if name != FILE and isinstance(value, str):
            given[name].append(value)
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
