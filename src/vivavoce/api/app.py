"""Build the HTTP application from settings: the models, the surfaces, the layers around them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response

from vivavoce import __version__
from vivavoce.api import errors
from vivavoce.api.dependencies import Server
from vivavoce.api.lifecycle import DrainMiddleware, Lifecycle
from vivavoce.api.middleware import access_log as watch
from vivavoce.api.middleware.access_log import AccessLogMiddleware, log_speech, reading
from vivavoce.api.middleware.auth import AuthMiddleware
from vivavoce.api.middleware.body_limit import BodyLimitMiddleware, RequestIdMiddleware
from vivavoce.api.middleware.head import HeadMiddleware
from vivavoce.api.middleware.origins import OwnHosts, host_of
from vivavoce.api.request_log import RequestLog
from vivavoce.api.routes import health, openai
from vivavoce.api.routes import native as tts
from vivavoce.api.routes.bodies import max_plain_bytes
from vivavoce.api.routes.replay import ReplayStore
from vivavoce.api.routes.wit import routes as wit
from vivavoce.errors import EngineFault, MissingDependency, ModelsMissing
from vivavoce.keys import FILE_NAME, Keyring
from vivavoce.network.addresses import is_loopback, network_url, own_names
from vivavoce.network.qr import elsewhere
from vivavoce.observability.metrics import Metrics
from vivavoce.registry import build_pool
from vivavoce.serving.pool import Pool
from vivavoce.settings import Settings
from vivavoce.storage import Folders, SpoolLimit
from vivavoce.synthesis.speech import Synthesizer
from vivavoce.types import SpeechReport

if TYPE_CHECKING:  # needs an extra
    from vivavoce.observability.otel import Tracing

FRESH = {"Cache-Control": "no-cache"}
ELSEWHERE = "<!-- elsewhere -->"  # where the page says how other devices open it
EXPOSED = (
    "X-Model",
    "X-Voice",
    "X-Language",
    "X-Sample-Rate",
    "X-Ignored",
    "X-Unspoken",
    "X-Finish-Reason",
    "Accept-Ranges",
    "Content-Range",
    "ETag",
    "X-Request-Id",
    "Retry-After",
)


def create_app(
    settings: Settings, pool: Pool | None = None, tracing: "Tracing | None" = None
) -> FastAPI:
    """Return the server. `pool` stands in for the models that the settings name, `tracing` for
    where they send traces.

    Nothing is loaded before it starts. Raises `SettingsError` if there are keys and they cannot be
    read, and `MissingDependency` if traces are wanted without the extra `otel`.
    """
    keyring = Keyring(settings.data_dir / FILE_NAME)
    models = pool or build_pool(settings)
    life = Lifecycle(settings.shutdown_timeout_s, lambda: models.failure)
    metrics = Metrics(lambda: reading(models, life))
    tracing = tracing or _tracing_to(settings.otlp_endpoint)
    models.observe(metrics)
    replays = ReplayStore()

    def spoken(report: SpeechReport) -> None:
        metrics.spoke(report)
        log_speech(report)
        if tracing is not None:
            tracing.spoke(report)

    synthesizer = Synthesizer(
        models,
        default_model=settings.default_model,
        max_text_chars=settings.max_text_chars,
        timeout_s=settings.request_timeout_s,
        on_report=spoken,
    )

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        # In the background: health answers while models load, and a request waits for the model
        # that it needs.
        loading = [asyncio.create_task(asyncio.to_thread(synthesizer.router.warm_up))]
        if settings.load_models == "startup":
            life.loading = True
            loading.append(asyncio.create_task(_load_all(models, needed(settings), life)))
        yield
        life.drain()
        await replays.aclose()
        await models.aclose()
        await asyncio.gather(*loading)
        if tracing is not None:
            await asyncio.to_thread(tracing.close)

    app = FastAPI(
        title="vivavoce",
        version=__version__,
        description="Text in, speech out.",
        lifespan=lifespan,
        docs_url=None,  # FastAPI's own /docs and /redoc load their scripts from a CDN
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        # FastAPI's own spans hold the query, and so a GET's text; `observability.otel` has ours.
        telemetry={"tracing": False, "metrics": False, "logs": False, "operation_spans": False},
    )
    app.state.server = Server(
        synthesizer=synthesizer,
        life=life,
        folders=Folders(settings.data_dir, settings.cache_dir),
        spool_limit=SpoolLimit(settings.max_spool_bytes),
        metrics=metrics,
        requests=RequestLog(),
        replays=replays,
        max_plain_bytes=max_plain_bytes(settings.max_text_chars),
    )
    errors.install(app)
    wit_paths = wit.paths(settings.wit_prefix)
    for module in (tts, openai, health, watch):
        app.include_router(module.router)
    if wit_paths:
        app.include_router(wit.router, prefix=settings.wit_prefix.rstrip("/"))
    _add_page(app, settings)
    _add_docs(app)
    app.add_middleware(HeadMiddleware)
    app.add_middleware(
        BodyLimitMiddleware,
        max_bytes=settings.max_body_bytes,
        max_total_bytes=settings.max_bodies_bytes,
    )
    app.add_middleware(
        AuthMiddleware,
        keyring=keyring,
        lists=[path for path in wit_paths if path.endswith("/voices")],
    )
    app.add_middleware(DrainMiddleware, life=life)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=settings.cors_origins,
        allow_methods=["GET", "HEAD", "POST", "OPTIONS"],
        allow_headers=["*"],
        expose_headers=EXPOSED,
    )
    if is_loopback(settings.host) and "*" not in settings.allowed_hosts:
        app.add_middleware(OwnHosts, hosts=_allowed_hosts(settings))
    app.add_middleware(AccessLogMiddleware, metrics=metrics, tracing=tracing)
    app.add_middleware(RequestIdMiddleware, wit_paths=wit_paths)
    return app


def needed(settings: Settings) -> tuple[str, ...]:
    """Return the models of which one has to be there: the one that the settings name for requests, or any."""
    return settings.offered if settings.default_model == "auto" else (settings.default_model,)


async def _load_all(models: Pool, needed: Sequence[str], life: Lifecycle) -> None:
    """Load the models; none of those `needed` is a failure of the server, which its `life` then tells."""
    await models.load_all()
    life.loading = False
    states = [state for name, state in models.states().items() if name in needed]
    if (
        life.draining
        or not states
        or any(state.state not in ("missing", "failed") for state in states)
    ):
        return
    kind = ModelsMissing if all(state.state == "missing" for state in states) else EngineFault
    life.fail(kind("; ".join(dict.fromkeys(state.detail for state in states))))


def _allowed_hosts(settings: Settings) -> set[str]:
    """Return the hosts that may use a server for this machine alone."""
    urls = [
        *settings.cors_origins,
        settings.public_url or "",
        *(f"//{name}" for name in settings.allowed_hosts),
    ]
    return {*own_names(settings.host), *(host for url in urls if (host := host_of(url)))}


def _tracing_to(endpoint: str | None) -> "Tracing | None":
    if endpoint is None:
        return None
    try:
        from vivavoce.observability.otel import Tracing
    except ImportError as error:
        raise MissingDependency(
            f"setting 'otlp_endpoint' has the value {endpoint!r}, and {error.name!r} is not installed: install what "
            "sends traces with pip install 'vivavoce[otel]', or unset it"
        ) from error
    return Tracing.to(endpoint)


def _add_page(app: FastAPI, settings: Settings) -> None:
    web = files("vivavoce") / "web"

    @app.get("/", include_in_schema=False)
    async def page(request: Request) -> HTMLResponse:
        # The port is that of the socket: the setting may be 0, for any.
        port = (request.scope.get("server") or ("", None))[1] or settings.port
        url = settings.public_url or network_url(
            settings.host, port, tls=request.url.scheme == "https"
        )
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
