"""Who may do what, and where."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from urllib.parse import quote
from uuid import UUID


class Permission(Enum):
    EVENT_READ = "EVENT_READ"
    EVENT_CREATE = "EVENT_CREATE"
    EVENT_UPDATE = "EVENT_UPDATE"
    EVENT_DELETE = "EVENT_DELETE"
    EVENT_TYPE_MANAGE = "EVENT_TYPE_MANAGE"
    RULE_MANAGE = "RULE_MANAGE"
    ORGANIZATION_MANAGE = "ORGANIZATION_MANAGE"


READS_TYPES = frozenset(
    {Permission.EVENT_READ, Permission.EVENT_CREATE, Permission.EVENT_TYPE_MANAGE}
)


@dataclass(frozen=True)
class Caller:
    """An authenticated credential, in the organization that its request acts in."""

    name: str
    organization_id: UUID
    permissions: frozenset[Permission]
    every_organization: bool = False
    credential_id: UUID | None = None
    expires_at: datetime | None = None

    def may(self, any_of: Iterable[Permission]) -> bool:
        return not self.permissions.isdisjoint(any_of)

    @property
    def source(self) -> str:
        """The caller's name as a URI-reference: the source of what it reports."""
        return quote(self.name, safe="-._~")
