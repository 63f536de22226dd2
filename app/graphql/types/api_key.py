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
    description="An API key of an organization. `createApiKey` returns the secret of the key "
    "once; Tocsin stores only a hash of the secret."
)
class ApiKey(Node):
    name: str = strawberry.field(
        description="Name of the key, recorded as the actor in the change log. Percent-encoded, "
        "it is the default `source` of events that are logged with the key."
    )
    permissions: list[Permission] = strawberry.field(description="Permissions that the key grants.")
    created_at: datetime = strawberry.field(description="Time of creation.")
    created_by: str | None = strawberry.field(
        description="Actor that created the key: the name of an API key, the subject of an access "
        "token, or `tocsin keys`. Null if the key was created before Tocsin recorded this."
    )
    expires_at: datetime | None = strawberry.field(
        description="Expiration time of the key. Null if the key never expires."
    )
    last_used_at: datetime | None = strawberry.field(
        description="Time at which the key was last used, accurate to one minute. Null if the key "
        "was never used."
    )
    revoked_at: datetime | None = strawberry.field(
        description="Time at which the key was revoked. Null if the key was not revoked."
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
            created_by=row.created_by,
            expires_at=row.expires_at,
            last_used_at=row.last_used_at,
            revoked_at=row.revoked_at,
        )


async def list_api_keys(context: Context) -> list[ApiKey]:
    now = datetime.now(UTC)
    rows = await keys.list_for_organization(context.database, context.caller, now, context.limits)
    return [ApiKey.from_row(row) for row in rows]
