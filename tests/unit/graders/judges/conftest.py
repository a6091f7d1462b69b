from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from core.outbound import Outbound
from graders.judges.judge import Judge
from graders.judges.transports import EndpointTransport
from tests.judge import Script, Server, serving

MakeJudge = Callable[..., tuple[Server, Judge]]


@pytest.fixture
def make_judge() -> Iterator[MakeJudge]:
    """A scripted server, and a judge that asks it impatiently."""
    with ExitStack() as stack:

        def make(script: Script, *, key: str | None = None, **options: Any) -> tuple[Server, Judge]:
            server = stack.enter_context(serving(script))
            outbound = Outbound(allow_private=True)
            stack.callback(outbound.close)
            values = {"concurrency": 4, "seconds": 30.0, "first_pause": 0.001, **options}
            judge = Judge(EndpointTransport(outbound, f"{server.url}/v1/", "model-there", key), **values)
            stack.callback(judge.close)
            return server, judge

        yield make
