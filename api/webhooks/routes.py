"""`/v1/webhook_endpoints` and `/v1/webhook_event_types`."""

from __future__ import annotations

from typing import Annotated

from anyio.to_thread import run_sync
from fastapi import APIRouter, Header, Query
from fastapi.responses import JSONResponse

from api.auth import CallerDep, ContextDep
from api.body import JsonBody, OptionalJsonBody, json_schema_of
from api.objects import Deleted, ListWithEnds
from api.paging import list_object
from api.webhooks import service
from api.webhooks.objects import DeliveryObject, EndpointObject, EndpointWithSecret, EventTypeList, TestObject
from api.webhooks.schemas import CreateEndpoint, RotateSecret, TestEndpoint, UpdateEndpoint, delivery_object, endpoint_object
from core.webhooks.events import EVENT_TYPES

router = APIRouter(prefix="/v1", tags=["webhooks"])

Limit = Annotated[int, Query(ge=1, le=100)]


@router.get("/webhook_event_types", response_model=EventTypeList)
def list_event_types(_caller: CallerDep) -> JSONResponse:
    """Every type that can be subscribed to."""
    return JSONResponse({"object": "list", "data": list(EVENT_TYPES)})


@router.post("/webhook_endpoints", response_model=EndpointWithSecret, openapi_extra=json_schema_of(CreateEndpoint))
def create_endpoint(
    caller: CallerDep, context: ContextDep, body: JsonBody, x_stainless_retry_count: Annotated[str, Header()] = "0"
) -> JSONResponse:
    """Create an endpoint. Its signing secret is in this reply, and in no other but that of a rotation."""
    is_retry = x_stainless_retry_count not in ("", "0")
    endpoint, secret = service.create_endpoint(context, caller.project_id, body, is_retry=is_retry)
    return JSONResponse(endpoint_object(endpoint, secret))


@router.get("/webhook_endpoints", response_model=ListWithEnds[EndpointObject])
def list_endpoints(caller: CallerDep, context: ContextDep, after: str | None = None, limit: Limit = 20) -> JSONResponse:
    """The project's endpoints, newest first."""
    page = context.webhooks(caller.project_id).list(after=after, limit=limit)
    return JSONResponse(list_object([endpoint_object(it) for it in page.data], has_more=page.has_more, with_ends=True))


@router.get("/webhook_endpoints/{webhook_endpoint_id}", response_model=EndpointObject)
def retrieve_endpoint(webhook_endpoint_id: str, caller: CallerDep, context: ContextDep) -> JSONResponse:
    """An endpoint as it stands."""
    return JSONResponse(endpoint_object(context.webhooks(caller.project_id).get(webhook_endpoint_id)))


@router.post(
    "/webhook_endpoints/{webhook_endpoint_id}", response_model=EndpointObject, openapi_extra=json_schema_of(UpdateEndpoint)
)
def update_endpoint(webhook_endpoint_id: str, caller: CallerDep, context: ContextDep, body: JsonBody) -> JSONResponse:
    """Change an endpoint. What is still owed to it goes to the new URL."""
    return JSONResponse(endpoint_object(service.update_endpoint(context, caller.project_id, webhook_endpoint_id, body)))


@router.delete("/webhook_endpoints/{webhook_endpoint_id}", response_model=Deleted)
def delete_endpoint(webhook_endpoint_id: str, caller: CallerDep, context: ContextDep) -> JSONResponse:
    """Remove an endpoint, with what is still owed to it."""
    context.webhooks(caller.project_id).delete(webhook_endpoint_id)
    return JSONResponse({"id": webhook_endpoint_id, "object": "webhook_endpoint.deleted", "deleted": True})


@router.post(
    "/webhook_endpoints/{webhook_endpoint_id}/rotate_secret",
    response_model=EndpointWithSecret,
    openapi_extra=json_schema_of(RotateSecret, required=False),
)
def rotate_secret(webhook_endpoint_id: str, caller: CallerDep, context: ContextDep, body: OptionalJsonBody) -> JSONResponse:
    """Replace the signing secret, at once or with a day in which both sign."""
    endpoint, secret = service.rotate_secret(context, caller.project_id, webhook_endpoint_id, body)
    return JSONResponse(endpoint_object(endpoint, secret))


@router.post(
    "/webhook_endpoints/{webhook_endpoint_id}/test", response_model=TestObject, openapi_extra=json_schema_of(TestEndpoint)
)
async def test_endpoint(webhook_endpoint_id: str, caller: CallerDep, context: ContextDep, body: JsonBody) -> JSONResponse:
    """Send a sample of an event now, in one of the few threads for it: an endpoint may take its time to answer."""
    result = await run_sync(
        service.test_endpoint, context, caller.project_id, webhook_endpoint_id, body, limiter=context.webhook_tests
    )
    return JSONResponse(result)


@router.get("/webhook_endpoints/{webhook_endpoint_id}/deliveries", response_model=ListWithEnds[DeliveryObject])
def list_deliveries(
    webhook_endpoint_id: str, caller: CallerDep, context: ContextDep, after: str | None = None, limit: Limit = 20
) -> JSONResponse:
    """What was sent to the endpoint and what still is to be, newest first."""
    page = context.webhooks(caller.project_id).deliveries(webhook_endpoint_id, after=after, limit=limit)
    return JSONResponse(list_object([delivery_object(it) for it in page.data], has_more=page.has_more, with_ends=True))
