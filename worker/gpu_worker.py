"""`rft worker --queue gpu` of a distributed service: a supervisor that Celery's messages and Redis' wake-ups call to work.

While Redis is away the supervisor looks at the database by itself. Imports no torch.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from core.settings import get_settings
from core.wakeups import listen
from worker.celery_app import GPU_QUEUE, Consumer, celery_app
from worker.process import begin, on_end, redis_url
from worker.supervisor import Supervisor
from worker.tasks import add_run_task


def main(arguments: Sequence[str]) -> None:
    """Run until SIGTERM or SIGINT; the job under way becomes due for another worker."""
    begin("worker.gpu_worker", arguments)
    settings = get_settings()
    app = celery_app(redis_url(settings))
    supervisor = Supervisor(settings, idle_seconds=settings.look_seconds)
    on_end(supervisor.stop)
    add_run_task(app, supervisor.take)
    Consumer(app, GPU_QUEUE, at_once=1).start()
    listen(settings, supervisor.heard)
    supervisor.serve()


if __name__ == "__main__":
    main(sys.argv[1:])
