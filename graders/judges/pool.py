"""The judges of a process, by the names that graders call them."""

from __future__ import annotations

import threading
from typing import Protocol

from core.errors import InvalidRequest, NotFound, Unavailable
from core.models import JudgeEndpoint, ModelRegistry
from core.outbound import Outbound
from core.sampler import SamplerServer
from core.settings import variable
from graders.judges.base import Transport
from graders.judges.judge import Judge
from graders.judges.transports import EndpointTransport, SamplerTransport

HOSTED_CONCURRENCY = 4
"""Questions at a time to a model of this service: its sampler shares the machine with all else."""
HOSTED_SECONDS = 600.0


class Judges(Protocol):
    """Judges by name."""

    def check(self, name: str, param: str) -> None:
        """Raises `InvalidRequest` (400) naming `param` where no judge has this name."""

    def get(self, name: str) -> Judge:
        """The judge of this name, one for all that ask."""


class JudgePool:
    """An entry under `judges` of the operator's models file, or else a model or alias that this service hosts.

    A judge is made when it is first asked for. `sampler` serves the hosted ones and stays its owner's to close.
    """

    def __init__(self, registry: ModelRegistry, sampler: SamplerServer) -> None:
        self._registry = registry
        self._sampler = sampler
        self._outbound = Outbound(allow_private=True)
        self._lock = threading.Lock()
        self._judges: dict[str, Judge] = {}

    def check(self, name: str, param: str) -> None:
        """Raises `InvalidRequest` (400) naming `param` where no judge has this name."""
        if name not in self._registry.judges and name not in self._registry.aliases and name not in self._registry.models:
            known = ", ".join(f"'{known}'" for known in (*self._registry.judges, *self._registry.models, *self._registry.aliases))
            raise InvalidRequest(
                f"Invalid value for '{param}': '{name}' is not a model that can grade here. Known are: {known}.",
                param=param,
                code="invalid_value",
            )

    def get(self, name: str) -> Judge:
        """The judge of this name, one for all that ask; raises `NotFound`, and `Unavailable` where its key is not set."""
        with self._lock:
            if name not in self._judges:
                self._judges[name] = self._make(name)
            return self._judges[name]

    def close(self) -> None:
        """End the judges' threads and connections; questions under way are waited for, none is asked again."""
        with self._lock:
            judges, self._judges = list(self._judges.values()), {}
        for judge in judges:
            judge.close()
        self._outbound.close()

    def _make(self, name: str) -> Judge:
        entry = self._registry.judges.get(name)
        if entry is not None:
            return Judge(self._to(entry), concurrency=entry.concurrency, seconds=entry.timeout_seconds)
        transport = SamplerTransport(self._sampler, self._registry.resolve(name).id)
        return Judge(transport, concurrency=HOSTED_CONCURRENCY, seconds=HOSTED_SECONDS)

    def _to(self, entry: JudgeEndpoint) -> Transport:
        key = variable(entry.api_key_env) if entry.api_key_env else None
        if entry.api_key_env and not key:
            raise Unavailable(f"The judge '{entry.name}' cannot be used: the operator has not set its API key.")
        return EndpointTransport(self._outbound, entry.base_url, entry.model, key)


class NoJudges:
    """For graders that ask none."""

    def check(self, name: str, param: str) -> None:
        """Raises `InvalidRequest` whatever the name."""
        raise InvalidRequest(f"Invalid value for '{param}': there is no judge '{name}'.", param=param, code="invalid_value")

    def get(self, name: str) -> Judge:
        """Raises `NotFound` whatever the name."""
        raise NotFound(f"There is no judge '{name}'.")
