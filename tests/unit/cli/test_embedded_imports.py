from __future__ import annotations

import subprocess
import sys

EMBEDDED = "cli.main, cli.serve, api.app, worker.supervisor, worker.runner"


def test_an_embedded_service_imports_nothing_of_celery_or_redis() -> None:
    code = (
        f"import sys, {EMBEDDED}\n"
        "from core.settings import Settings\n"
        "api.app.create_app(Settings())\n"
        "print(sorted({'celery', 'kombu', 'redis'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
