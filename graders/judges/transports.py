"""The ways to a model: an endpoint that the operator named, or this service's own sampler."""

from __future__ import annotations

import json

import httpx2

from core.errors import Unavailable
from core.outbound import Outbound, OutboundFailed, Reply
from core.sampler import SamplerServer, reach
from graders.judges.base import Json
from graders.judges.judge import MAX_REPLY_BYTES
from graders.retry import TryAgain, failed

_CONNECT_SECONDS = 5.0


class EndpointTransport:
    """Chat completions of a server that the operator trusts: its address may be a private one."""

    def __init__(self, outbound: Outbound, base_url: str, model: str, key: str | None) -> None:
        self._outbound = outbound
        self._url = f"{base_url.rstrip('/')}/chat/completions"
        self._model = model
        self._headers = {"content-type": "application/json", **({"authorization": f"Bearer {key}"} if key else {})}

    def complete(self, body: Json, timeout: float) -> Reply:
        """See `Transport`."""
        content = json.dumps({"model": self._model, **body}).encode()
        try:
            return self._outbound.send(
                "POST", self._url, headers=self._headers, content=content, timeout=timeout, max_bytes=MAX_REPLY_BYTES
            )
        except OutboundFailed as error:
            raise failed(error) from error


class SamplerTransport:
    """A base model served by this service's sampler, which is started when it is first needed, or runs on its own."""

    def __init__(self, sampler: SamplerServer, base_model: str) -> None:
        self._sampler = sampler
        self._base_model = base_model

    def complete(self, body: Json, timeout: float) -> Reply:
        """See `Transport`."""
        request = {"model": self._base_model, "touchstone": {"base_model": self._base_model}, **body}
        try:
            address = reach(self._sampler)
            transport = httpx2.HTTPTransport(uds=None if address.socket is None else str(address.socket))
            limits = httpx2.Timeout(timeout, connect=_CONNECT_SECONDS)
            with httpx2.Client(transport=transport, timeout=limits, trust_env=False) as http:
                reply = http.post(f"{address.url}/v1/chat/completions", json=request, headers=dict(address.headers))
        except Unavailable as error:
            raise TryAgain("the sampler could not be started") from error
        except httpx2.TransportError as error:
            raise TryAgain("the sampler does not answer") from error
        return Reply(reply.status_code, dict(reply.headers), reply.content)
