"""Turns errors into HTTP answers, once, in the shape of the surface that was called.

Native (`/v1/tts`, `/health`): {"error": {code, message, field, request_id}}.
OpenAI (everything else under `/v1/`): {"error": {message, type, param, code}}.
Wit.ai (what calls `speaks_wit`): {"error": message, "code": code}.
"""

import json
import reprlib
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.types import Scope

from vivavoce.errors import (
    BadRequest,
    BodyTooLarge,
    DeadlineExceeded,
    EngineFault,
    Forbidden,
    MissingDependency,
    NoRoom,
    NotReady,
    OutOfMemory,
    Overloaded,
    Unauthorized,
    UnknownModel,
    UnknownRequest,
    UnknownVoice,
    VivavoceError,
)
from vivavoce.names import MAX_NAME_CHARS

STATUS: Sequence[tuple[type[VivavoceError], int]] = (
    (UnknownModel, 404),
    (UnknownVoice, 404),
    (UnknownRequest, 404),
    (BodyTooLarge, 413),
    (BadRequest, 422),
    (Unauthorized, 401),
    (Forbidden, 403),
    (Overloaded, 429),
    (DeadlineExceeded, 504),
    (NotReady, 503),
    (OutOfMemory, 503),
    (NoRoom, 503),
    (MissingDependency, 503),
    (EngineFault, 500),
    (VivavoceError, 500),
)
# OpenAI answers 400 where the native surface says 422.
OPENAI_STATUS: Mapping[int, int] = {422: 400}
OPENAI_FIELDS: Mapping[str, str] = {
    "text": "input",
    "speaker": "voice",
    "instruct": "instructions",
    "format": "response_format",
    "task": "task_type",
}
WIT_FIELDS: Mapping[str, str] = {"speaker": "voice", "instruct": "style"}

_SHOWN_CHARS = 100
_SHORT = reprlib.Repr()
_SHORT.maxlevel = 2

FAILED = "vivavoce.failed"  # a key in a scope: the answer says 200, and in its body that it failed


class ClientLeft(Exception):
    """The client closed its connection; there is nobody to answer."""


def is_native(path: str) -> bool:
    return path.startswith(("/v1/tts", "/health"))


def speaks_wit(scope: Scope) -> None:
    """Has the errors of this request answered in Wit.ai's shape: its paths are a setting, so no path tells."""
    scope["vivavoce.wit"] = True


def asked_as(request: HTTPConnection, field: str) -> str:
    """The name of a request's field on the surface that it came by."""
    return WIT_FIELDS.get(field, field) if _is_wit(request) else field_name(request.url.path, field)


def _is_wit(request: HTTPConnection) -> bool:
    return bool(request.scope.get("vivavoce.wit"))


def install(app: FastAPI) -> None:
    """Registers the handlers of every error that an endpoint may raise."""
    app.add_exception_handler(VivavoceError, _on_our_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(ClientLeft, _on_client_left)
    app.add_exception_handler(Exception, _on_bug)


def error_body(path: str, status: int, *, code: str, message: str, field: str | None, request_id: str) -> bytes:
    """The JSON of an error in the shape of the surface that `path` belongs to."""
    if is_native(path):
        error: dict[str, object] = {"code": code, "message": message, "field": field, "request_id": request_id}
    else:
        error = {"message": message, "type": _openai_type(status), "param": field, "code": code}
    return json.dumps({"error": error}).encode("ascii")  # escaped: an echoed value may hold a lone surrogate


def _openai_type(status: int) -> str:
    if status == 429:
        return "rate_limit_error"
    return "invalid_request_error" if status < 500 else "server_error"


def status_of(error: VivavoceError) -> int:
    """The native surface's status for an error."""
    return next(status for kind, status in STATUS if isinstance(error, kind))


def error_response(
    request: HTTPConnection,
    status: int,
    *,
    code: str,
    message: str,
    field: str | None = None,
    retry_after_s: float | None = None,
) -> Response:
    path = request.url.path
    if not is_native(path):
        status = OPENAI_STATUS.get(status, status)
    headers = {} if retry_after_s is None else {"Retry-After": str(max(1, round(retry_after_s)))}
    if _is_wit(request):
        wit = json.dumps({"error": message, "code": code}).encode("ascii")
        return Response(wit, status, headers, "application/json")
    body = error_body(
        path, status, code=code, message=message, field=field, request_id=request.scope.get("request_id", "")
    )
    return Response(body, status, headers, "application/json")


async def _on_our_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, VivavoceError)
    return answer_to(request, error)


def answer_to(request: HTTPConnection, error: VivavoceError) -> Response:
    """The answer that tells `error` in the shape of the surface that was called."""
    response = error_response(
        request,
        status_of(error),
        code=error.code,
        message=error.message,
        field=asked_as(request, error.field) if isinstance(error, BadRequest) else None,
        retry_after_s=error.retry_after_s
        if isinstance(error, Overloaded | OutOfMemory | NoRoom)
        else 5.0
        if isinstance(error, NotReady)
        else None,
    )
    if isinstance(error, Unauthorized):
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def field_name(path: str, field: str) -> str:
    """The name of a request's field on the surface that `path` belongs to."""
    return field if is_native(path) else OPENAI_FIELDS.get(field, field)


async def _on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    problem = error.errors()[0]
    field, message = describe(problem)
    status = 400 if problem["type"] == "json_invalid" else 422
    return error_response(request, status, code="invalid_request", message=message, field=field)


def describe(problem: Mapping[str, Any]) -> tuple[str | None, str]:
    """The field and a sentence for one of pydantic's error details (plain dictionaries, hence `Any`)."""
    where = [str(part) for part in problem["loc"] if part not in ("body", "query")]
    kind = problem["type"]
    if kind == "json_invalid":
        reason = problem.get("ctx", {}).get("error", "it cannot be read")
        return None, f"the body is not valid JSON: {reason}; check quotes and commas"
    if not where:
        return None, "the body is not a JSON object; send one, with the header 'Content-Type: application/json'"
    field = where[0][:MAX_NAME_CHARS]
    if kind == "missing":
        return field, f"the field {field!r} is missing; send it"
    if kind == "extra_forbidden":
        return field, f"the field {field!r} is not known here; see /docs for the names, or leave it out"
    if kind == "string_too_long" and isinstance(problem.get("input"), str):
        length, limit = len(problem["input"]), problem["ctx"]["max_length"]
        return field, f"the field {field!r} has {length:,} characters, the limit is {limit:,}; shorten it"
    return field, f"the field {field!r} cannot be {_shown(problem.get('input'))}: {_sentence(problem['msg'])}"


def _shown(value: object) -> str:
    """Return the beginning of `value` as Python writes it, without writing all of it first."""
    text = repr(value[:_SHOWN_CHARS]) if isinstance(value, str | bytes) else _SHORT.repr(value)
    return text if len(text) <= 80 else text[:77] + "…"


def _sentence(message: str) -> str:
    return message.removeprefix("Value error, ").replace("Input should", "it should")


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    messages = {
        400: "the body cannot be read: send JSON in UTF-8, its numbers of at most 4,300 digits, not nested deeply",
        404: f"there is no {request.method} {request.url.path[:MAX_NAME_CHARS]} here; see /docs for what there is",
        405: f"{request.url.path[:MAX_NAME_CHARS]} does not take {request.method}; see /docs",
    }
    response = error_response(
        request,
        error.status_code,
        code=HTTPStatus(error.status_code).phrase.lower().replace(" ", "_"),
        message=messages.get(error.status_code, str(error.detail)),
    )
    response.headers.update(error.headers or {})
    return response


async def _on_client_left(request: Request, error: Exception) -> Response:
    return Response(status_code=499)


async def _on_bug(request: Request, error: Exception) -> Response:
    return error_response(
        request, 500, code="internal_error", message="the server failed to answer; its log has the details"
    )
