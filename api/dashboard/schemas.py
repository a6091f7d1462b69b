"""Wire shapes of signing in."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator

Json = dict[str, Any]


class SignIn(BaseModel):
    """An API key, or the token of a sign-in link."""

    model_config = ConfigDict(extra="forbid")

    api_key: str | None = None
    link: str | None = None

    @model_validator(mode="after")
    def _one(self) -> SignIn:
        if (self.api_key is None) == (self.link is None):
            raise ValueError("give either 'api_key' or 'link'")
        return self


def session_object(project_id: str, scopes: tuple[str, ...]) -> Json:
    """Whom a browser is signed in as."""
    return {"object": "dashboard.session", "project_id": project_id, "scopes": list(scopes)}
