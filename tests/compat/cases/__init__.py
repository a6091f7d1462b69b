from __future__ import annotations

from tests.compat.cases import admin, answers, evals, files, jobs, models, uploads, webhooks
from tests.compat.cases.base import CASES

__all__ = ["CASES", "admin", "answers", "evals", "files", "jobs", "models", "uploads", "webhooks"]
