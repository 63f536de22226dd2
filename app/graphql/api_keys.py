"""API keys: read, made and revoked."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import strawberry

from app.domain.access import Permission
from app.domain.values import read_id
from app.graphql.context import Context, Info
from app.graphql.nodes import Node, id_of, malformed
from app.graphql.problems import UserError, user_errors
from app.services import keys
from app.services.keys import Saved
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
            id=id_of(row.id),
            name=row.name,
            permissions=[each for each in Permission if each.value in row.permissions],
            created_at=row.created_at,
            expires_at=row.expires_at,
            last_used_at=row.last_used_at,
            revoked_at=row.revoked_at,
        )


@strawberry.input(description="A new key of the organization that the request acts in.")
class CreateApiKeyInput:
    name: str = strawberry.field(
        description="Who or what will use it. Percent-encoded as a source it has at most 255 "
        "characters."
    )
    permissions: list[Permission] = strawberry.field(
        description="What it may do: at least one, and none that its maker lacks."
    )
    expires_at: datetime | None = strawberry.field(
        default=None, description="When it ends, in the future; left out, it does not expire."
    )


@strawberry.type(description="What became of making or revoking a key.")
class ApiKeyPayload:
    api_key: ApiKey | None = strawberry.field(
        description="The key; null where the change was refused."
    )
    secret: str | None = strawberry.field(
        description="What the key's user sends, as `Authorization: Bearer SECRET`. Shown once: "
        "only in the answer that made the key."
    )
    user_errors: list[UserError] = strawberry.field(description="Everything that is wrong.")

    @classmethod
    def from_saved(cls, saved: Saved, *place: str) -> ApiKeyPayload:
        return cls(
            api_key=None if saved.key is None else ApiKey.from_row(saved.key),
            secret=saved.secret,
            user_errors=user_errors(saved.problems, *place),
        )


async def api_keys_of(context: Context) -> list[ApiKey]:
    now = datetime.now(UTC)
    rows = await keys.of_organization(context.database, context.caller, now, context.limits)
    return [ApiKey.from_row(row) for row in rows]


@strawberry.type
class ApiKeyMutations:
    @strawberry.mutation(
        description="Makes a key of the organization that the request acts in. LIMIT_REACHED from "
        "100 keys that are neither revoked nor expired."
    )
    async def create_api_key(
        self,
        info: Info,
        input: Annotated[CreateApiKeyInput, strawberry.argument(description="The key.")],
    ) -> ApiKeyPayload:
        saved = await keys.create(
            info.context.database,
            info.context.desk,
            input.name,
            input.permissions,
            input.expires_at,
        )
        return ApiKeyPayload.from_saved(saved, "input")

    @strawberry.mutation(
        description="Ends a key for good, and the sockets that it opened. A second time changes "
        "nothing. A key of every organization is revoked by who acts in every organization, else "
        "FORBIDDEN."
    )
    async def revoke_api_key(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The key's id.")],
    ) -> ApiKeyPayload:
        key_id = read_id(id)
        if key_id is None:
            return ApiKeyPayload.from_saved(Saved(problems=(malformed("id"),)))
        saved = await keys.revoke(info.context.database, info.context.desk, key_id)
        info.context.forget_key(key_id)
        return ApiKeyPayload.from_saved(saved)
