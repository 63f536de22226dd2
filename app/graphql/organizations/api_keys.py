"""Mutations of API keys."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import strawberry

from app.domain.access.caller import Permission
from app.domain.shared.values import parse_id
from app.graphql.shared.context import Info
from app.graphql.shared.nodes import invalid_id_problem
from app.graphql.types.api_key import ApiKey
from app.graphql.types.user_error import UserError, to_user_errors
from app.services.auth import keys
from app.services.auth.keys import ApiKeyResult


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
    def from_result(cls, result: ApiKeyResult, *argument_path: str) -> ApiKeyPayload:
        return cls(
            api_key=None if result.key is None else ApiKey.from_row(result.key),
            secret=result.secret,
            user_errors=to_user_errors(result.problems, *argument_path),
        )


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
        result = await keys.create(
            info.context.database,
            info.context.command,
            input.name,
            input.permissions,
            input.expires_at,
        )
        return ApiKeyPayload.from_result(result, "input")

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
        key_id = parse_id(id)
        if key_id is None:
            return ApiKeyPayload.from_result(ApiKeyResult(problems=(invalid_id_problem("id"),)))
        result = await keys.revoke(info.context.database, info.context.command, key_id)
        info.context.evict_cached_caller(key_id)
        return ApiKeyPayload.from_result(result)
