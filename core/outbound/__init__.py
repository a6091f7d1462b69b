"""Requests to others: judges, endpoint graders, webhooks. Nothing of this service may reach out in any other way.

URLs come from tenants, so a request is made only to an address that has been checked, within one deadline for all of it, and its
reply is read within bounds.
"""

from __future__ import annotations

from core.outbound.client import Outbound, Reply
from core.outbound.errors import OutboundFailed, OutboundRefused
from core.outbound.urls import check_url

__all__ = ["Outbound", "OutboundFailed", "OutboundRefused", "Reply", "check_url"]
