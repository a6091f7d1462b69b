"""Secrets that the service must be able to use again, such as those that sign webhooks, are sealed before they are stored.

Who reads the database, or a backup of it, does not have the key: that stands in `RFT_SECRETS_KEY`, or in a file of the data
directory.
"""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken

from core.errors import RftError
from core.settings import Settings

KEY_FILE = "secrets.key"


class SecretUnreadable(RftError):
    """A secret was sealed under another key: several machines need the same `RFT_SECRETS_KEY`."""

    code = "secret_unreadable"
    type = "server_error"


class SecretBox:
    """Seals and opens secrets with AES and a message authentication code (Fernet)."""

    def __init__(self, key: str) -> None:
        self._fernet = Fernet(base64.urlsafe_b64encode(hashlib.sha256(key.encode()).digest()))

    @classmethod
    def load(cls, settings: Settings) -> SecretBox:
        """The box under the settings' key, or under the one in the data directory, which is made at first use."""
        return cls(settings.secrets_key or _key_of(settings.data_dir / KEY_FILE))

    def seal(self, secret: str) -> str:
        """The secret as it may be stored."""
        return self._fernet.encrypt(secret.encode()).decode()

    def open(self, sealed: str) -> str:
        """The secret of `seal`; raises `SecretUnreadable`."""
        try:
            return self._fernet.decrypt(sealed.encode()).decode()
        except InvalidToken:
            raise SecretUnreadable("A stored secret cannot be read: it was sealed under another key.") from None


def _key_of(path: Path) -> str:
    """The file's key. Of processes that start together one makes it, and the others read that one."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        whole = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
        with os.fdopen(os.open(whole, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(32))
            file.flush()
            os.fsync(file.fileno())
        try:
            path.hardlink_to(whole)
        except FileExistsError:
            pass
        finally:
            whole.unlink()
    return path.read_text().strip()
