"""Turn errors into HTTP answers, once, in the shape of the surface that was called (`api.surfaces`)."""

import json
import reprlib
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.routing import Match
from starlette.types import Scope

from vivavoce.api.surfaces import ErrorFacts, surface_of
from vivavoce.errors import (
    BadRequest,
    BodyTooLarge,
    DeadlineExceeded,
    DiskFull,
    EngineFault,
    Forbidden,
    MissingDependency,
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
    (DiskFull, 503),
    (MissingDependency, 503),
    (EngineFault, 500),
    (VivavoceError, 500),
)
_SHOWN_CHARS = 100
_SHORT = reprlib.Repr()
_SHORT.maxlevel = 2

HEAD = "vivavoce.head"  # a key in a scope: the client sent HEAD, which is answered like GET
FAILED = "vivavoce.failed"  # a key in a scope: the answer says 200, and in its body that it failed


class ClientDisconnected(Exception):
    """The client closed its connection; there is nobody to answer."""


def asked_as(request: HTTPConnection, field: str) -> str:
    """Return the name of a request's field on the surface that the request came by."""
    return surface_of(request.scope).field_names.get(field, field)


def install(app: FastAPI) -> None:
    """Register the handlers of every error that an endpoint may raise."""
    app.add_exception_handler(VivavoceError, _on_our_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(ClientDisconnected, _on_client_left)
    app.add_exception_handler(Exception, _on_bug)


def error_body(
    scope: Scope, status: int, *, code: str, message: str, field: str | None = None
) -> bytes:
    """Return the JSON of an error in the shape of the surface that the request came by."""
    error = ErrorFacts(status, code, message, field, scope.get("request_id", ""))
    # Escaped: an echoed value may hold a lone surrogate.
    return json.dumps(surface_of(scope).render_error(error)).encode("ascii")


def status_of(error: VivavoceError) -> int:
    """Return the native surface's status for an error."""
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
    status = surface_of(request.scope).status_map.get(status, status)
    headers = {} if retry_after_s is None else {"Retry-After": str(max(1, round(retry_after_s)))}
    body = error_body(request.scope, status, code=code, message=message, field=field)
    return Response(body, status, headers, "application/json")


async def _on_our_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, VivavoceError)
    return answer_to(request, error)


def answer_to(request: HTTPConnection, error: VivavoceError) -> Response:
    """Return the answer that tells `error` in the shape of the surface that was called."""
    response = error_response(
        request,
        status_of(error),
        code=error.code,
        message=error.message,
        field=asked_as(request, error.field) if isinstance(error, BadRequest) else None,
        retry_after_s=error.retry_after_s
        if isinstance(error, Overloaded | OutOfMemory | DiskFull)
        else 5.0
        if isinstance(error, NotReady)
        else None,
    )
    if isinstance(error, Unauthorized):
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


async def _on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    problem = error.errors()[0]
    field, message = describe(problem)
    status = 400 if problem["type"] == "json_invalid" else 422
    return error_response(request, status, code="invalid_request", message=message, field=field)


def describe(problem: Mapping[str, Any]) -> tuple[str | None, str]:
    """Return the field and a sentence for one of pydantic's error details (plain dictionaries, hence `Any`)."""
    where = [str(part) for part in problem["loc"] if part not in ("body", "query")]
    kind = problem["type"]
    if kind == "json_invalid":
        reason = problem.get("ctx", {}).get("error", "it cannot be read")
        return None, f"the body is not valid JSON: {reason}; check quotes and commas"
    if not where:
        return (
            None,
            "the body is not a JSON object; send one, with the header 'Content-Type: application/json'",
        )
    field = where[0][:MAX_NAME_CHARS]
    if kind == "missing":
        return field, f"the field {field!r} is missing; send it"
    if kind == "extra_forbidden":
        return (
            field,
            f"the field {field!r} is not known here; see /docs for the names, or leave it out",
        )
    if kind == "string_too_long" and isinstance(problem.get("input"), str):
        length, limit = len(problem["input"]), problem["ctx"]["max_length"]
        return (
            field,
            f"the field {field!r} has {length:,} characters, the limit is {limit:,}; shorten it",
        )
    return (
        field,
        f"the field {field!r} cannot be {_shown(problem.get('input'))}: {_sentence(problem['msg'])}",
    )


def _shown(value: object) -> str:
    """Return the beginning of `value` as Python writes it, without writing all of it first."""
    text = repr(value[:_SHOWN_CHARS]) if isinstance(value, str | bytes) else _SHORT.repr(value)
    return text if len(text) <= 80 else text[:77] + "…"


def _sentence(message: str) -> str:
    return message.removeprefix("Value error, ").replace("Input should", "it should")


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    method = "HEAD" if request.scope.get(HEAD) else request.method
    messages = {
        400: "the body cannot be read: send JSON in UTF-8, its numbers of at most 4,300 digits, not nested deeply",
        404: f"there is no {method} {request.url.path[:MAX_NAME_CHARS]} here; see /docs for what there is",
        405: f"{request.url.path[:MAX_NAME_CHARS]} does not take {method}; see /docs",
    }
    response = error_response(
        request,
        error.status_code,
        code=HTTPStatus(error.status_code).phrase.lower().replace(" ", "_"),
        message=messages.get(error.status_code, str(error.detail)),
    )
    response.headers.update(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        response.headers["Allow"] = ", ".join(_allowed_methods(request))
    return response


def _allowed_methods(request: Request) -> list[str]:
    """Return the methods of all endpoints at the request's path; Starlette names those of one."""
    found = [
        method
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE")
        if any(
            route.matches({**request.scope, "method": method})[0] is Match.FULL
            for route in request.app.routes
        )
    ]
    return ["HEAD", *found] if "GET" in found else found


async def _on_client_left(request: Request, error: Exception) -> Response:
    return Response(status_code=499)


async def _on_bug(request: Request, error: Exception) -> Response:
    return error_response(
        request,
        500,
        code="internal_error",
        message="the server failed to answer; its log has the details",
    )
