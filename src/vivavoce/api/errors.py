"""Turn errors into HTTP answers, in the format of the API that was called (`api.surfaces`)."""

import json
import reprlib
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.routing import Match, Mount
from starlette.types import Receive, Scope, Send

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
    UnknownConsent,
    UnknownJob,
    UnknownModel,
    UnknownRequest,
    UnknownRule,
    UnknownVoice,
    VivavoceError,
    WrongState,
)
from vivavoce.names import MAX_NAME_CHARS

STATUS: Sequence[tuple[type[VivavoceError], int]] = (
    (UnknownModel, 404), (UnknownVoice, 404), (UnknownConsent, 404), (UnknownRequest, 404),
    (UnknownRule, 404), (UnknownJob, 404), (WrongState, 409),
    (BodyTooLarge, 413), (BadRequest, 422), (Unauthorized, 401), (Forbidden, 403),
    (Overloaded, 429),
    (DeadlineExceeded, 504), (NotReady, 503), (OutOfMemory, 503), (DiskFull, 503),
    (MissingDependency, 503), (EngineFault, 500), (VivavoceError, 500),
)  # fmt: skip
_SHOWN_CHARS = 100
_NO_CONTROLS = r"^[^\x00"  # how patterns begin that refuse control characters
_SHORT = reprlib.Repr()
_SHORT.maxlevel = 2

# Keys in a scope.
HEAD = "vivavoce.head"  # the client sent HEAD, which is answered like GET
FAILED = "vivavoce.failed"  # the answer has status 200, and its body reports a failure


class ClientDisconnected(Exception):
    """The client closed its connection, so no answer can be sent."""


def field_name(request: HTTPConnection, field: str) -> str:
    """Return the field's name in the API that the client used."""
    return surface_of(request.scope).field_names.get(field, field)


def install(app: FastAPI) -> None:
    """Register handlers for all errors that an endpoint may raise."""
    app.add_exception_handler(VivavoceError, _on_our_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(ClientDisconnected, _on_disconnect)
    app.add_exception_handler(Exception, _on_bug)
    app.router.default = _no_endpoint


def error_body(
    scope: Scope, status: int, *, code: str, message: str, field: str | None = None
) -> bytes:
    """Return the JSON of an error in the format of the called API."""
    error = ErrorFacts(status, code, message, field, scope.get("request_id", ""))
    # Escaped: an echoed value may hold a lone surrogate.
    return json.dumps(surface_of(scope).render_error(error)).encode("ascii")


def status_of(error: VivavoceError) -> int:
    """Return the status for an error in the native API."""
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
    """Return an error response in the format of the API that the client used."""
    status = surface_of(request.scope).status_map.get(status, status)
    headers = {} if retry_after_s is None else {"Retry-After": str(max(1, round(retry_after_s)))}
    body = error_body(request.scope, status, code=code, message=message, field=field)
    return Response(body, status, headers, "application/json")


def refuse(
    scope: Scope, status: int, *, code: str, message: str, retry_after_s: float | None = None
) -> Response:
    """Return an error response that closes the connection: the rest of the request is not read."""
    response = error_response(
        HTTPConnection(scope), status, code=code, message=message, retry_after_s=retry_after_s
    )
    response.headers["connection"] = "close"
    return response


async def _on_our_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, VivavoceError)
    return answer_to(request, error)


def answer_to(request: HTTPConnection, error: VivavoceError) -> Response:
    """Return the response for `error` in the format of the API that the client used."""
    retry_after_s = None
    if isinstance(error, Overloaded | OutOfMemory | DiskFull):
        retry_after_s = error.retry_after_s
    elif isinstance(error, NotReady):
        retry_after_s = 5.0
    field = field_name(request, error.field) if isinstance(error, BadRequest) else None
    status, code, message = status_of(error), error.code, error.message
    response = error_response(
        request, status, code=code, message=message, field=field, retry_after_s=retry_after_s
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


def error_facts(error: VivavoceError) -> dict[str, object]:
    """Return what a message of a live connection tells about an error."""
    field = error.field if isinstance(error, BadRequest) else None
    return {"code": error.code, "message": error.message, "field": field}


def describe(problem: Mapping[str, Any]) -> tuple[str | None, str]:
    """Return the field and a message for an error detail of pydantic, a plain dictionary."""
    where = [str(part) for part in problem["loc"] if part not in ("body", "query", "path")]
    kind = problem["type"]
    if kind == "json_invalid":
        reason = problem.get("ctx", {}).get("error", "it cannot be read")
        return None, f"the body is not valid JSON: {reason}; check quotes and commas"
    if not where:
        message = "the body is not a JSON object; send one, with the header "
        return None, message + "'Content-Type: application/json'"
    field = where[0][:MAX_NAME_CHARS]
    named = f"the field {field!r}"
    if len(where) > 1:
        named = f"the field {where[-1][:MAX_NAME_CHARS]!r} in {field!r}"
    if kind == "missing":
        return field, f"{named} is missing; send it"
    if kind == "extra_forbidden":
        return field, f"{named} is not known here; see /docs for the names, or leave it out"
    if kind == "string_too_long" and isinstance(problem.get("input"), str):
        length, limit = f"{len(problem['input']):,}", f"{problem['ctx']['max_length']:,}"
        message = f"the field {field!r} has {length} characters, the limit is {limit}; shorten it"
        return field, message
    if kind == "string_pattern_mismatch" and problem["ctx"]["pattern"].startswith(_NO_CONTROLS):
        problem = {**problem, "msg": "it should hold no control characters"}
    reason = problem["msg"].removeprefix("Value error, ").replace("Input should", "it should")
    return field, f"the field {field!r} cannot be {_shown(problem.get('input'))}: {reason}"


def _shown(value: object) -> str:
    """Return the beginning of the `repr` of `value`, without building all of it, or of a file."""
    if isinstance(value, bytes):
        return "a file"
    if isinstance(value, list) and value and all(isinstance(one, bytes) for one in value):
        return f"{len(value)} files"
    text = repr(value[:_SHOWN_CHARS]) if isinstance(value, str) else _SHORT.repr(value)
    return text if len(text) <= 80 else text[:77] + "…"


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    method = "HEAD" if request.scope.get(HEAD) else request.method
    path = request.url.path[:MAX_NAME_CHARS]
    messages = {
        400: "the body cannot be read: send JSON in UTF-8, its numbers of at most 4,300 digits, "
        "not nested deeply",
        404: f"there is no {method} {path} here; see /docs for what there is",
        405: f"{path} does not take {method}; see /docs",
    }
    status, message = error.status_code, messages.get(error.status_code, str(error.detail))
    if status == HTTPStatus.NOT_FOUND and _is_websocket(request):
        message = (
            f"{path} is a WebSocket: connect to it with ws:// or wss://, and let any proxy between "
            "pass the upgrade on"
        )
    code = HTTPStatus(status).phrase.lower().replace(" ", "_")
    response = error_response(request, status, code=code, message=message)
    response.headers.update(error.headers or {})
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        response.headers["Allow"] = ", ".join(_allowed_methods(request))
    return response


def _is_websocket(request: Request) -> bool:
    """True if there is a WebSocket at the path."""
    asked = {**request.scope, "type": "websocket"}
    return any(
        not isinstance(route, Mount) and route.matches(asked)[0] is Match.FULL
        for route in request.app.routes
    )


async def _no_endpoint(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer where there is nothing. Starlette refuses a WebSocket with a bare 403."""
    if scope["type"] != "websocket":
        raise HTTPException(HTTPStatus.NOT_FOUND)
    path = scope["path"][:MAX_NAME_CHARS]
    message = f"there is no WebSocket {path} here; live speech is at /v1/tts/stream"
    response = error_response(HTTPConnection(scope), 404, code="not_found", message=message)
    await response(scope, receive, send)


def _allowed_methods(request: Request) -> list[str]:
    """Return the methods of all endpoints at the path. Starlette names those of one only."""
    found = []
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        asked = {**request.scope, "method": method}
        if any(route.matches(asked)[0] is Match.FULL for route in request.app.routes):
            found.append(method)
    return ["HEAD", *found] if "GET" in found else found


async def _on_disconnect(request: Request, error: Exception) -> Response:
    return Response(status_code=499)


async def _on_bug(request: Request, error: Exception) -> Response:
    message = "the server failed to answer; its log has the details"
    return error_response(request, 500, code="internal_error", message=message)
