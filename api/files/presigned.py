"""Downloads of large files from the object store itself, where the operator allows them (`RFT_PRESIGNED_DOWNLOADS`)."""

from __future__ import annotations

from fastapi import Request
from fastapi.responses import RedirectResponse

from api.context import Context
from core.files import File
from core.storage.base import ObjectKey

LEAST_BYTES = 1 << 20
"""Of a file that is worth a second request."""
LINK_SECONDS = 300
"""In which a download has to begin; it may take longer."""
_SCRIPTED = frozenset({"cors", "same-origin", "no-cors"})
"""What browsers call a request of a page's script (Sec-Fetch-Mode): the store is another origin, which it may not read."""


def at_the_store(request: Request, context: Context, file: File) -> RedirectResponse | None:
    """The way to the file's bytes at the store; None where they are sent from here: small files, ranges, heads, pages' scripts.

    Who follows must not send the `Authorization` of this service along: the clients of OpenAI, `curl` and browsers do not.
    """
    wanted = request.method == "GET" and "range" not in request.headers and file.bytes >= LEAST_BYTES
    if context.links is None or not wanted or request.headers.get("sec-fetch-mode") in _SCRIPTED:
        return None
    link = context.links.link(ObjectKey.parse(file.object_key), file.filename, LINK_SECONDS)
    # The link opens the file to whoever has it: no cache keeps it, no page that it leads to hears of it.
    return RedirectResponse(link, status_code=307, headers={"cache-control": "no-store", "referrer-policy": "no-referrer"})
