"""The rules of signing in."""

from __future__ import annotations

from api.context import Context
from api.dashboard.schemas import SignIn
from core.errors import Forbidden, Unauthorized
from core.security.keys import Holder
from core.security.secrets import digest
from core.security.sessions import NewSession, SessionStore


def sign_in(context: Context, asked: SignIn) -> tuple[NewSession, Holder]:
    """A new session and whom it is for. Raises `Unauthorized`, and `Forbidden` for a key of an archived project."""
    sessions = SessionStore(context.database)
    if asked.link is not None:
        opened = sessions.follow_link(asked.link)
        found = sessions.find([digest(opened.secret)]).get(digest(opened.secret))
        if found is None:
            raise Unauthorized("The key behind this link has just been revoked.", code="invalid_link")
        return opened, found
    holder = context.keys.authenticate((asked.api_key or "").strip())
    if holder.archived:
        raise Forbidden("The project of this API key has been archived.", code="project_archived")
    return sessions.open(holder), holder
