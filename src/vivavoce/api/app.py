"""Build the HTTP application from settings: services, routes, middleware.

Nothing is loaded before the application starts.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from fastapi import FastAPI, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response

from vivavoce import __version__
from vivavoce.api import errors
from vivavoce.api.dependencies import Server
from vivavoce.api.elevenlabs import routes as elevenlabs
from vivavoce.api.lifecycle import Lifecycle
from vivavoce.api.live import cosyvoice as live_cosyvoice
from vivavoce.api.live import native as live_native
from vivavoce.api.live import omni as live_omni
from vivavoce.api.live.clients import POLL_S, LiveClients
from vivavoce.api.live.realtime import dashscope as live_dashscope
from vivavoce.api.live.realtime import openai as live_openai
from vivavoce.api.middleware.access_log import AccessLogMiddleware, log_speech
from vivavoce.api.middleware.auth import AuthMiddleware
from vivavoce.api.middleware.body_limit import Bodies, BodyLimitMiddleware
from vivavoce.api.middleware.drain import DrainMiddleware
from vivavoce.api.middleware.head import HeadMiddleware
from vivavoce.api.middleware.origins import OriginMiddleware, host_of
from vivavoce.api.replay import ReplayStore
from vivavoce.api.request_log import RequestLog
from vivavoce.api.routes import batch, health, lexicon, metrics, native, openai
from vivavoce.api.routes.bodies import max_plain_bytes
from vivavoce.api.routes.jobs import events as job_events
from vivavoce.api.routes.jobs import listening as job_files
from vivavoce.api.routes.jobs import routes as jobs
from vivavoce.api.routes.voices import consents, custom
from vivavoce.api.routes.voices import native as saved_voices
from vivavoce.api.routes.wit import routes as wit
from vivavoce.errors import EngineFault, MissingDependency, ModelsMissing, VivavoceError
from vivavoce.jobs import FOLDER as JOBS_FOLDER
from vivavoce.jobs import JobLimits, Jobs
from vivavoce.jobs.webhooks import Hosts, Webhooks
from vivavoce.keys import FILE_NAME, Keyring
from vivavoce.network.addresses import is_loopback, network_url, own_names
from vivavoce.network.qr import qr_panel
from vivavoce.observability.metrics import Metrics
from vivavoce.provenance.manifest import load_provenance
from vivavoce.registry import build_pool
from vivavoce.serving.pool import Pool
from vivavoce.settings import Settings
from vivavoce.storage import Folders, SpoolLimit
from vivavoce.synthesis.alignment import Aligner
from vivavoce.synthesis.design import PREVIEWS_FOLDER, Previews
from vivavoce.synthesis.synthesizer import Synthesizer
from vivavoce.text.lexicon import FILE_NAME as LEXICON_FILE
from vivavoce.text.lexicon import LiveLexicon
from vivavoce.types import SpeechReport
from vivavoce.voices.library import FOLDER as VOICES_FOLDER
from vivavoce.voices.library import VoiceLibrary
from vivavoce.voices.record import seconds_of_today

if TYPE_CHECKING:  # needs an extra
    from vivavoce.observability.otel import Tracing

log = logging.getLogger(__name__)

REVALIDATE: Final = {"Cache-Control": "no-cache"}  # an upgraded server must have no stale page
ERASE_EVERY_S: Final = 600.0
BOOKS_READ_AT_ONCE: Final = 2
FORM_BYTES: Final = 2**20  # of an upload, beside its file
ELSEWHERE: Final = "<!-- elsewhere -->"  # replaced by the QR code for other devices
EXPOSED = (
    "X-Model", "X-Voice", "X-Language", "X-Sample-Rate", "X-Ignored", "X-Unspoken",
    "X-Finish-Reason", "X-Synthetic", "Accept-Ranges", "Content-Range", "ETag", "X-Request-Id",
    "Retry-After",
)  # fmt: skip


def create_app(
    settings: Settings,
    pool: Pool | None = None,
    tracing: "Tracing | None" = None,
    beside: Callable[[Server], AbstractAsyncContextManager[object]] = lambda _: nullcontext(),
) -> FastAPI:
    """Return the application of `settings`, with another `pool` or `tracing` if given.

    `beside` runs as long as the application does, and uses its services, see `cli.wyoming`. Raises
    `SettingsError` if there are keys that cannot be read, and `MissingDependency` if traces are
    wanted without the extra `otel`.
    """
    server = _services(settings, pool or build_pool(settings), tracing)
    app = FastAPI(
        title="vivavoce",
        version=__version__,
        description="Text in, speech out. Live speech, not listed here, is at `/v1/tts/stream`.",
        lifespan=lambda _: _lifespan(server, settings, beside(server)),
        docs_url=None,  # FastAPI's own /docs and /redoc load their scripts from a CDN
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        # FastAPI's own spans hold the query, and so a GET's text; `observability.otel` has ours.
        telemetry={"tracing": False, "metrics": False, "logs": False, "operation_spans": False},
    )
    app.state.server = server
    errors.install(app)
    _add_routes(app, settings)
    _add_middleware(app, settings, server)
    return app


def _services(settings: Settings, pool: Pool, tracing: "Tracing | None") -> Server:
    """Return the services that the endpoints share."""
    lifecycle = Lifecycle(settings.shutdown_timeout_s, lambda: pool.failure)
    live = LiveClients(settings.max_live_connections)
    counters = Metrics(lambda: metrics.take_snapshot(pool, lifecycle, live))
    tracing = tracing or _tracing_to(settings.otlp_endpoint)
    pool.observe(counters)

    def report(speech: SpeechReport) -> None:
        counters.spoke(speech)
        log_speech(speech)
        if tracing is not None:
            tracing.spoke(speech)

    live_lexicon = LiveLexicon(settings.data_dir / LEXICON_FILE)
    synthesizer = Synthesizer(
        pool,
        lexicon=live_lexicon,
        default_model=settings.default_model,
        default_language=settings.default_language,
        max_text_chars=settings.max_text_chars,
        timeout_s=settings.request_timeout_s,
        on_report=report,
        aligner=Aligner.if_installed() if settings.align == "auto" else None,
    )
    synthesizer.provenance = load_provenance(
        settings.provenance,
        settings.data_dir,
        settings.c2pa_certificate,
        settings.c2pa_key,
        __version__,
    )
    library = VoiceLibrary(
        settings.data_dir / VOICES_FOLDER, require_consent=settings.require_consent
    )
    synthesizer.saved.library = library
    return Server(
        synthesizer=synthesizer,
        lifecycle=lifecycle,
        folders=Folders(settings.data_dir, settings.cache_dir),
        spool_limit=SpoolLimit(settings.max_spool_bytes),
        metrics=counters,
        tracing=tracing,
        requests=RequestLog(),
        replays=ReplayStore(),
        lexicon=live_lexicon,
        voices=library,
        previews=Previews(settings.data_dir / PREVIEWS_FOLDER),
        live=live,
        jobs=Jobs(settings.data_dir / JOBS_FOLDER, synthesizer, _job_limits(settings)),
        jobs_reading=asyncio.Semaphore(BOOKS_READ_AT_ONCE),
        webhook_hosts=Hosts(settings.webhook_hosts),
        live_timeout_s=settings.live_timeout_s,
        max_text_chars=settings.max_text_chars,
        max_plain_bytes=max_plain_bytes(settings.max_text_chars),
    )


def _job_limits(settings: Settings) -> JobLimits:
    return JobLimits(
        settings.max_book_bytes, settings.max_book_chars, settings.max_jobs, settings.max_jobs_bytes
    )


def _tracing_to(endpoint: str | None) -> "Tracing | None":
    if endpoint is None:
        return None
    try:
        from vivavoce.observability.otel import Tracing
    except ImportError as error:
        raise MissingDependency(
            f"setting 'otlp_endpoint' has the value {endpoint!r}, and {error.name!r} is not "
            "installed: install what sends traces with pip install 'vivavoce[otel]', or unset it"
        ) from error
    return Tracing.to(endpoint)


@asynccontextmanager
async def _lifespan(
    server: Server, settings: Settings, beside: AbstractAsyncContextManager[object]
) -> AsyncGenerator[None]:
    """Load the models in the background at startup, and unload them at the end.

    `/health` answers while models load, and a request waits for the model that it needs.
    """
    pool, lifecycle = server.synthesizer.pool, server.lifecycle
    loading = [asyncio.create_task(asyncio.to_thread(server.synthesizer.router.warm_up))]
    if set(settings.offered) - set(settings.models):  # the embedded ones tell times
        loading.append(asyncio.create_task(server.synthesizer.warm_up_aligner()))
    if settings.load_models == "startup":
        lifecycle.loading = True
        loading.append(asyncio.create_task(_load_all(pool, _needed_models(settings), lifecycle)))
    draining = asyncio.create_task(server.live.drain_when(lambda: lifecycle.draining))
    expiring = asyncio.create_task(_erase_expired(server))
    narrating = asyncio.create_task(_run_jobs(server))
    async with beside:
        yield
    draining.cancel()
    expiring.cancel()
    lifecycle.drain()
    await narrating
    await server.replays.aclose()
    await pool.aclose()
    await asyncio.gather(*loading)
    if server.tracing is not None:
        await asyncio.to_thread(server.tracing.close)


async def _erase_expired(server: Server) -> None:
    """Erase the recordings of voices whose consent ends, though nobody asks, and old previews."""
    while True:
        await asyncio.to_thread(server.voices.refresh)
        await server.synthesizer.saved.take_back()
        await asyncio.to_thread(server.previews.expire)
        await asyncio.sleep(min(ERASE_EVERY_S, seconds_of_today()))


async def _run_jobs(server: Server) -> None:
    """Run jobs and send their webhooks, until the server drains.

    A running job stops at its sentence then, and its events end. It goes on at the next start.
    """
    sending = None
    try:
        await server.jobs.start()
        if server.webhook_hosts:
            webhooks = Webhooks(await server.jobs.outbox(), server.webhook_hosts)
            sending = asyncio.create_task(webhooks.run())
    except VivavoceError as error:
        log.warning("no jobs run until a restart, because %s", error.message)
    while not server.lifecycle.draining:  # noqa: ASYNC110 - a signal handler changes it
        await asyncio.sleep(POLL_S)
    if sending is not None:
        sending.cancel()
    await server.jobs.aclose()


def _needed_models(settings: Settings) -> tuple[str, ...]:
    """Return the models of which at least one must load: the default one, or any."""
    return settings.offered if settings.default_model == "auto" else (settings.default_model,)


async def _load_all(pool: Pool, needed: Sequence[str], lifecycle: Lifecycle) -> None:
    """Load the models, and end the server if none of those `needed` can be loaded."""
    await pool.load_all()
    lifecycle.loading = False
    states = [state for name, state in pool.states().items() if name in needed]
    unusable = states and all(state.state in ("missing", "failed") for state in states)
    if lifecycle.draining or not unusable:
        return
    kind = ModelsMissing if all(state.state == "missing" for state in states) else EngineFault
    lifecycle.fail(kind("; ".join(dict.fromkeys(state.detail for state in states))))


def _add_routes(app: FastAPI, settings: Settings) -> None:
    for module in (
        native, lexicon, saved_voices, custom, consents, jobs, job_files, job_events,
        openai, batch, health, metrics,
        live_native, live_openai, live_omni, live_dashscope, live_cosyvoice, elevenlabs,
    ):  # fmt: skip
        # As they are: `include_router` builds each anew at the first request, in 50 ms of the loop.
        app.router.routes.extend(module.router.routes)
    app.include_router(elevenlabs.prefixed)
    if settings.wit_prefix:
        app.include_router(wit.router, prefix=settings.wit_prefix.rstrip("/"))
    _add_page(app, settings)
    _add_docs(app)


def _add_middleware(app: FastAPI, settings: Settings, server: Server) -> None:
    """Add the layers around the endpoints, from the innermost to the outermost."""
    wit_paths = wit.paths(settings.wit_prefix)
    app.add_middleware(HeadMiddleware)
    most, total = settings.max_body_bytes, settings.max_bodies_bytes
    book = settings.max_book_bytes + FORM_BYTES
    uploads = {jobs.PATH: Bodies(book, max(book, settings.max_spool_bytes))}
    bodies = Bodies(most, max(most, total))
    app.add_middleware(BodyLimitMiddleware, bodies=bodies, uploads=uploads)
    keyring = Keyring(settings.data_dir / FILE_NAME)
    lists = [path for path in wit_paths if path.endswith("/voices")]
    app.add_middleware(AuthMiddleware, keyring=keyring, lists=lists)
    app.add_middleware(DrainMiddleware, lifecycle=server.lifecycle)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=settings.cors_origins,
        allow_methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"],
        allow_headers=["*"],
        expose_headers=EXPOSED,
    )
    if is_loopback(settings.host) and "*" not in settings.allowed_hosts:
        app.add_middleware(OriginMiddleware, hosts=_allowed_hosts(settings))
    app.add_middleware(
        AccessLogMiddleware, metrics=server.metrics, tracing=server.tracing, wit_paths=wit_paths
    )


def _allowed_hosts(settings: Settings) -> set[str]:
    """Return the hosts that may use a server for its own machine only."""
    names = (f"//{name}" for name in settings.allowed_hosts)
    urls = (*settings.cors_origins, settings.public_url or "", *names)
    return {*own_names(settings.host), *filter(None, map(host_of, urls))}


def _add_page(app: FastAPI, settings: Settings) -> None:
    """Serve the page at `/`, with a QR code of its URL for other devices."""
    web = files("vivavoce") / "web"

    @app.get("/books", include_in_schema=False)
    async def books() -> HTMLResponse:
        return HTMLResponse((web / "books" / "index.html").read_text("utf-8"), headers=REVALIDATE)

    @app.get("/", include_in_schema=False)
    async def page(request: Request) -> HTMLResponse:
        # The port is that of the socket: the setting may be 0, for any.
        port = (request.scope.get("server") or ("", None))[1] or settings.port
        tls = request.url.scheme == "https"
        url = settings.public_url or network_url(settings.host, port, tls=tls)
        html = (web / "index.html").read_text("utf-8")
        html = html.replace(ELSEWHERE, qr_panel(url) if url else "")
        return HTMLResponse(html, headers=REVALIDATE)

    app.mount("/web", _RevalidatedFiles(directory=str(web)), name="web")


class _RevalidatedFiles(StaticFiles):
    """Files that browsers check by their ETag at each use."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:  # passed on as they are
        response = super().file_response(*args, **kwargs)
        response.headers.update(REVALIDATE)
        return response


def _add_docs(app: FastAPI) -> None:
    """Serve Swagger UI at `/docs`, from the files of the package `fastapi-swagger`."""

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
