"""API keys of an organization."""

from __future__ import annotations

from datetime import UTC, datetime

import strawberry

from app.domain.access.caller import Permission
from app.graphql.shared.context import Context
from app.graphql.shared.nodes import Node, format_id
from app.services.auth import keys
from app.store import tables


@strawberry.type(
    description="A credential of one organization. Its secret is shown once, when it is made, and "
    "is kept nowhere."
)
class ApiKey(Node):
    name: str = strawberry.field(
        description="Who or what uses it: the source of what it reports, and the actor in the log."
    )
    permissions: list[Permission] = strawberry.field(description="What it may do.")
    created_at: datetime = strawberry.field(description="When it was made.")
    expires_at: datetime | None = strawberry.field(
        description="From then on it opens nothing; null for one that does not expire."
    )
    last_used_at: datetime | None = strawberry.field(
        description="When it last opened something, true to a minute; null where it never did."
    )
    revoked_at: datetime | None = strawberry.field(
        description="From then on it opens nothing; null where nobody revoked it."
    )

    @classmethod
    def from_row(cls, row: tables.ApiKey) -> ApiKey:
        return cls(
            id=format_id(row.id),
            name=row.name,
            permissions=[
                permission for permission in Permission if permission.value in row.permissions
            ],
            created_at=row.created_at,
            expires_at=row.expires_at,
            last_used_at=row.last_used_at,
            revoked_at=row.revoked_at,
        )


async def list_api_keys(context: Context) -> list[ApiKey]:
    now = datetime.now(UTC)
    rows = await keys.list_for_organization(context.database, context.caller, now, context.limits)
    return [ApiKey.from_row(row) for row in rows]
