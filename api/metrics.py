"""`GET /metrics`: what Prometheus reads of an API process. For admin keys: the figures are those of all projects together."""

from __future__ import annotations

from fastapi import APIRouter, Depends
from fastapi.responses import Response
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from api.auth import ContextDep, administrator
from api.objects import Responses
from core.telemetry.metrics import exposition
from core.telemetry.state import StateCollector
from graders.sandbox.figures import SandboxCollector

router = APIRouter(tags=["health"], dependencies=[Depends(administrator)])

_TEXT: Responses = {200: {"description": "Prometheus' text format", "content": {"text/plain": {"schema": {"type": "string"}}}}}


@router.get("/metrics", response_class=Response, responses=_TEXT)
def metrics(context: ContextDep) -> Response:
    """This process's metrics, those of its grader process, and the state of the queue that all processes share."""
    collectors = (StateCollector(context.database), SandboxCollector(lambda: context.sandbox.path))
    return Response(exposition(*collectors), media_type=CONTENT_TYPE_PLAIN_0_0_4)
