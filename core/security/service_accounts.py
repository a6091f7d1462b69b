"""Service accounts: named holders of keys within a project. Every key that an administrator makes over HTTP belongs to one."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from core.db import Database
from core.errors import InvalidRequest, NotFound
from core.ids import new_id
from core.tables import ApiKeyRow, ProjectRow, ServiceAccountRow

MAX_NAME = 255


@dataclass(frozen=True)
class ServiceAccount:
    """A holder of keys. Its role is shown, as OpenAI's clients expect; what a key may do stands in the key's scopes."""

    id: str
    project_id: str
    name: str
    role: str
    created_at: float


class ServiceAccountStore:
    """The service accounts of one project. Unknown and foreign ids raise `NotFound`, an unknown project as well."""

    def __init__(self, database: Database, project_id: str) -> None:
        self._database = database
        self._project_id = project_id

    def create(self, name: str, role: str = "member") -> ServiceAccount:
        """A new account, without a key; raises `InvalidRequest` for a name that is none."""
        _check_name(name)
        with self._database.begin() as session:
            if session.get(ProjectRow, self._project_id) is None:
                raise NotFound(f"No such project: {self._project_id}", param="project_id")
            row = ServiceAccountRow(
                id=new_id("svc_acct_"),
                project_id=self._project_id,
                name=name,
                role=role,
                created_at=self._database.time(session),
            )
            session.add(row)
            return _account(row)

    def get(self, account_id: str) -> ServiceAccount:
        """The account."""
        with self._database.read() as session:
            return _account(self._row(session, account_id))

    def list(self) -> tuple[ServiceAccount, ...]:
        """The accounts, newest first."""
        query = select(ServiceAccountRow).where(ServiceAccountRow.project_id == self._project_id)
        with self._database.read() as session:
            rows = session.scalars(query.order_by(ServiceAccountRow.created_at.desc(), ServiceAccountRow.id.desc()))
            return tuple(_account(row) for row in rows)

    def change(self, account_id: str, *, name: str | None, role: str | None) -> ServiceAccount:
        """Another name, another role, or both."""
        if name is not None:
            _check_name(name)
        with self._database.begin() as session:
            row = self._row(session, account_id)
            row.name, row.role = name or row.name, role or row.role
            return _account(row)

    def delete(self, account_id: str) -> None:
        """Remove the account and revoke its keys."""
        with self._database.begin() as session:
            row = self._row(session, account_id)
            keys = update(ApiKeyRow).where(
                ApiKeyRow.project_id == self._project_id,
                ApiKeyRow.service_account_id == account_id,
                ApiKeyRow.revoked_at.is_(None),
            )
            session.execute(keys.values(revoked_at=self._database.time(session)))
            session.delete(row)

    def _row(self, session: Session, account_id: str) -> ServiceAccountRow:
        query = select(ServiceAccountRow).where(
            ServiceAccountRow.project_id == self._project_id, ServiceAccountRow.id == account_id
        )
        row = session.scalar(query)
        if row is None:
            raise NotFound(f"No such service account: {account_id}", param="service_account_id")
        return row


def _check_name(name: str) -> None:
    if not 0 < len(name) <= MAX_NAME or not name.isprintable():
        message = f"Invalid value for 'name': it should be 1 to {MAX_NAME} printable characters."
        raise InvalidRequest(message, param="name", code="invalid_value")


def _account(row: ServiceAccountRow) -> ServiceAccount:
    return ServiceAccount(id=row.id, project_id=row.project_id, name=row.name, role=row.role, created_at=row.created_at)
