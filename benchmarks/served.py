"""Serves one side of the API's comparison: `python -m benchmarks.served ours|bare PORT`, with the settings of the environment."""

from __future__ import annotations

import sys

import uvicorn
from fastapi import FastAPI

from benchmarks import bare_api
from core.settings import get_settings


def main(side: str, port: int) -> None:
    """Serve until the end of the process."""
    uvicorn.run(_app(side), port=port, log_level="warning", access_log=False, backlog=2048)


def _app(side: str) -> FastAPI:
    settings = get_settings()
    if side == "bare":
        return bare_api.create_app(settings.database_url)
    from api.app import create_app

    return create_app(settings)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
