"""Builds the HTTP application from settings: the models, the surfaces, the layers around them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Any

from fastapi import FastAPI, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response

from vivavoce import __version__
from vivavoce.api import errors, health, openai, tts, wit
from vivavoce.api.auth import Guard
from vivavoce.api.lan import network_url
from vivavoce.api.middleware import BodyLimit, RequestId
from vivavoce.api.pool import pool_from
from vivavoce.api.qr import elsewhere
from vivavoce.engines.pool import Pool
from vivavoce.keys import FILE_NAME, Keyring
from vivavoce.settings import Settings
from vivavoce.synthesis import Synthesizer

FRESH = {"Cache-Control": "no-cache"}
ELSEWHERE = "<!-- elsewhere -->"  # where the page says how other devices open it
EXPOSED = (
    "X-Model",
    "X-Voice",
    "X-Language",
    "X-Sample-Rate",
    "X-Ignored",
    "X-Finish-Reason",
    "X-Request-Id",
    "Retry-After",
)


def create_app(settings: Settings, pool: Pool | None = None) -> FastAPI:
    """The server. `pool` stands in for the models that the settings name. Nothing is loaded before it starts.

    Raises `SettingsError` if there are keys and they cannot be read.
    """
    keyring = Keyring(settings.data_dir / FILE_NAME)
    models = pool or pool_from(settings)
    synthesizer = Synthesizer(
        models,
        default_model=settings.model,
        max_text_chars=settings.max_text_chars,
        timeout_s=settings.request_timeout_s,
    )

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        # In the background: health answers while models load, and a request waits for the model that it needs.
        loading = [asyncio.create_task(asyncio.to_thread(synthesizer.router.warm_up))]
        if settings.load == "startup":
            loading.append(asyncio.create_task(models.load_all()))
        yield
        await models.aclose()
        await asyncio.gather(*loading)

    app = FastAPI(
        title="vivavoce",
        version=__version__,
        description="Text in, speech out.",
        lifespan=lifespan,
        docs_url=None,  # FastAPI's own /docs and /redoc load their scripts from a CDN
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
    )
    app.state.synthesizer = synthesizer
    errors.install(app)
    for module in (tts, openai, health):
        app.include_router(module.router)
    if settings.wit_prefix:
        app.include_router(wit.router, prefix=settings.wit_prefix.rstrip("/"))
    _add_page(app, settings)
    _add_docs(app)
    app.add_middleware(BodyLimit, max_bytes=settings.max_body_bytes, max_total_bytes=settings.max_bodies_bytes)
    app.add_middleware(Guard, keyring=keyring)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=settings.cors_origins,
        allow_methods=["GET", "POST", "OPTIONS"],
        allow_headers=["*"],
        expose_headers=EXPOSED,
    )
    app.add_middleware(RequestId)
    return app


def _add_page(app: FastAPI, settings: Settings) -> None:
    web = files("vivavoce") / "web"

    @app.get("/", include_in_schema=False)
    async def page(request: Request) -> HTMLResponse:
        # The port is that of the socket: the setting may be 0, for any.
        port = (request.scope.get("server") or ("", None))[1] or settings.port
        url = settings.public_url or network_url(settings.host, port, tls=request.url.scheme == "https")
        html = (web / "index.html").read_text("utf-8")
        return HTMLResponse(html.replace(ELSEWHERE, elsewhere(url) if url else ""), headers=FRESH)

    app.mount("/web", _Fresh(directory=str(web)), name="web")


class _Fresh(StaticFiles):
    """Files that browsers ask for again, by their ETag, so that an upgraded server has no stale page."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:  # passed on as they are
        response = super().file_response(*args, **kwargs)
        response.headers.update(FRESH)
        return response


def _add_docs(app: FastAPI) -> None:
    """Swagger UI at /docs, from the files that the `fastapi-swagger` package brings."""

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url="openapi.json",  # relative, so that it works behind a proxy's prefix
            title="vivavoce API",
            swagger_js_url="swagger/swagger-ui-bundle.js",
            swagger_css_url="swagger/swagger-ui.css",
            swagger_favicon_url="web/icon.svg",
        )

    app.mount("/swagger", StaticFiles(packages=[("fastapi_swagger", "resources")]), name="swagger")
