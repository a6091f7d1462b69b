"""`rft worker --queue default` of a distributed service: light work, when Celery's messages ask for it.

What nobody has asked for in a while is done all the same: while Redis is away, jobs are validated and webhooks delivered.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from core.bell import Bell
from core.settings import get_settings
from core.telemetry.pulse import Pulse
from core.telemetry.server import serve_metrics
from core.wakeups import open_database
from worker.celery_app import LIGHT_QUEUE, Consumer, celery_app
from worker.light.build import light_chores, validation
from worker.light.run import LightWork
from worker.process import begin, on_end, redis_url
from worker.tasks import add_light_tasks

TASKS_AT_ONCE = 4
_PATIENCE = 2.0
"""How many times the usual pause of a chore passes before it is done unasked."""


def main(arguments: Sequence[str]) -> None:
    """Run until SIGTERM or SIGINT."""
    begin("worker.light_worker", arguments)
    settings = get_settings()
    database = open_database(settings)
    end = Bell()
    on_end(end.ring)
    pulse = Pulse()
    serve_metrics(settings, pulse)
    light = LightWork(
        light_chores(settings, database),
        pause=lambda chore: _PATIENCE * max(chore.every, settings.look_seconds),
        passed=pulse.beat,
    )
    app = celery_app(redis_url(settings))
    add_light_tasks(app, validation(settings, database).check, light.ask)
    light.start()
    Consumer(app, LIGHT_QUEUE, at_once=TASKS_AT_ONCE).start()
    end.wait(None)
    light.stop()


if __name__ == "__main__":
    main(sys.argv[1:])
