"""The peer of the API's speed: FastAPI with nothing around it, doing the same single query on the same database."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.responses import JSONResponse
from sqlalchemy import select

from core.db import Database
from core.tables import EventRow, JobRow

JOBS = JobRow.__table__
EVENTS = EventRow.__table__
PAGE = 20


def create_app(database_url: str) -> FastAPI:
    """Two routes: a job's row, and the newest events of a job."""
    app = FastAPI()
    engine = Database(database_url).engine

    @app.get("/v1/fine_tuning/jobs/{job_id}")
    def retrieve(job_id: str) -> Any:
        with engine.connect() as connection:
            row = connection.execute(select(JOBS).where(JOBS.c.id == job_id)).one()
        return JSONResponse(dict(row._mapping))

    @app.get("/v1/fine_tuning/jobs/{job_id}/events")
    def events(job_id: str) -> Any:
        query = select(EVENTS).where(EVENTS.c.job_id == job_id).order_by(EVENTS.c.seq.desc()).limit(PAGE)
        with engine.connect() as connection:
            rows = connection.execute(query).all()
        return JSONResponse({"object": "list", "data": [dict(row._mapping) for row in rows]})

    return app
