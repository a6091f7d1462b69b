"""The app: its parts, its routes and what surrounds them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from anyio import CapacityLimiter
from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from api import health
from api.admin import routes as admin
from api.chat import routes as chat
from api.chat.client import SamplerClient
from api.context import Context, Lookups
from api.dashboard import routes as dashboard
from api.document import DocumentedApp
from api.errors import install_error_handlers
from api.evals import routes as evals
from api.files import routes as files
from api.graders import routes as graders
from api.jobs import live, planning
from api.jobs import rollout_routes as rollouts
from api.jobs import routes as jobs
from api.jobs.stream import JobStreams
from api.metrics import router as metrics_router
from api.middleware import BodyLimit, ReplyHeaders
from api.models import routes as models
from api.observed import Observed
from api.permissions import routes as permissions
from api.responses import routes as responses
from api.strangers import StrangerLimit
from api.uploads import routes as uploads
from api.usage import routes as usage
from api.webhooks import routes as webhooks
from core.limits.base import Limits, RateLimiter
from core.limits.local import LocalRates
from core.models import ModelRegistry
from core.outbound import Outbound
from core.sampler import sampler_service
from core.security.box import SecretBox
from core.security.keys import KeyStore
from core.security.uses import LastUses
from core.settings import Settings
from core.storage.build import open_links, open_store
from core.telemetry.tracing import open_traces
from core.uploads import MAX_PART_BYTES
from core.wakeups import listen, open_database
from graders.judges.pool import JudgePool
from graders.sandbox.service import open_sandbox

MAX_JSON_BYTES = 8 * 1024 * 1024
FORM_OVERHEAD_BYTES = 64 * 1024
"""What the other parts of an upload's form may take beside its file."""
MAX_INTAKE = 32
"""Files and parts taken in at the same time; more wait."""
MAX_JOINING = 4
"""Uploads whose parts are joined at the same time; more wait."""
MAX_WEBHOOK_TESTS = 8
MAX_GRADING = 32
"""Graders tried out at the same time; more wait."""


def create_app(settings: Settings) -> FastAPI:
    """The service over HTTP. The database must be migrated; child processes start when they are first needed.

    Raises `InvalidModels` or `InvalidRequest` where the settings name something that cannot be used.
    """
    app = DocumentedApp(
        title="Touchstone",
        version=version("touchstone-rft"),
        lifespan=_lifespan,
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
    )
    app.state.context = _context(settings)
    install_error_handlers(app)
    for router in (
        health.router,
        metrics_router,
        jobs.router,  # early: routes are tried in order, and jobs are polled most
        live.router,
        planning.router,
        rollouts.router,
        files.router,
        uploads.router,
        graders.router,
        models.router,
        chat.router,
        responses.router,
        permissions.router,
        evals.router,
        webhooks.router,
        admin.router,
        usage.router,
        dashboard.router,
    ):
        app.include_router(router)
    limits = {
        "/v1/files": settings.max_file_bytes + FORM_OVERHEAD_BYTES,
        "/v1/uploads/[^/]+/parts": MAX_PART_BYTES + FORM_OVERHEAD_BYTES,
    }
    app.add_middleware(BodyLimit, default=MAX_JSON_BYTES, limits=limits)
    app.add_middleware(StrangerLimit, rates=app.state.context.rates, limit=settings.stranger_requests_per_minute)
    app.add_middleware(ReplyHeaders, organization=settings.organization)
    app.add_middleware(Observed, traces=app.state.context.traces)
    if settings.trusted_proxies:
        app.add_middleware(ProxyHeadersMiddleware, trusted_hosts=settings.trusted_proxies)
    return app


def _context(settings: Settings) -> Context:
    sampler, models = sampler_service(settings), ModelRegistry.load(settings)
    database = open_database(settings)
    keys, lookups = KeyStore(database), Lookups.of(settings.database_url)
    return Context(
        settings=settings,
        database=database,
        objects=open_store(settings.object_store_url),
        links=open_links(settings),
        keys=keys,
        lookups=lookups,
        streams=JobStreams(lookups.database, settings.organization),
        uses=LastUses(keys),
        rates=_rates(settings),
        limits=Limits.default(settings),
        models=models,
        sandbox=open_sandbox(settings),
        sampler=SamplerClient(sampler),
        judges=JudgePool(models, sampler),
        grading=CapacityLimiter(MAX_GRADING),
        intake=CapacityLimiter(MAX_INTAKE),
        joining=CapacityLimiter(MAX_JOINING),
        outbound=Outbound(allow_private=settings.allow_private_urls),
        box=SecretBox.load(settings),
        webhook_tests=CapacityLimiter(MAX_WEBHOOK_TESTS),
        traces=open_traces("api"),
    )


def _rates(settings: Settings) -> RateLimiter:
    if settings.redis_url is None:
        return LocalRates()
    from core.limits.shared import SharedRates  # an embedded service pays nothing for Redis

    return SharedRates(settings.redis_url)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Ends the child processes and the connections with the app."""
    context: Context = app.state.context
    listen_no_more = listen(context.settings, context.streams.heard)
    yield
    await run_in_threadpool(listen_no_more)
    await run_in_threadpool(context.judges.close)
    await context.sampler.close()
    await run_in_threadpool(context.sandbox.close)
    context.outbound.close()
    for part in (context.lookups, context.uses, context.rates):
        part.close()
    context.database.dispose()
    await run_in_threadpool(context.traces.close)
