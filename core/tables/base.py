"""What all tables share. Times are unix seconds (float where leases need it). Every table carries `project_id`."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, Float, String
from sqlalchemy.orm import DeclarativeBase

Json = dict[str, Any]


class Base(DeclarativeBase):
    """Root of the table models."""

    type_annotation_map = {Json: JSON, list[str]: JSON, str: String(255), float: Float(53), int: BigInteger}  # noqa: RUF012
