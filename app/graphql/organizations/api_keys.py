"""Mutations of API keys."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import strawberry

from app.domain.access.caller import Permission
from app.graphql.shared.context import Info
from app.graphql.shared.examples import with_example
from app.graphql.shared.nodes import parse_input_id
from app.graphql.types.api_key import ApiKey
from app.graphql.types.user_error import UserError, to_user_errors
from app.services.auth import keys
from app.services.auth.keys import ApiKeyResult


@strawberry.input(
    description=with_example(
        "An API key to create in the organization of the request.",
        """
        {
          name: "flaring-monitor"
          permissions: [EVENT_CREATE]
          expiresAt: "2027-01-01T00:00:00Z"
        }
        """,
    )
)
class CreateApiKeyInput:
    name: str = strawberry.field(
        description="Name of the person or system that uses the key. The name is recorded as the "
        "actor in the change log. Percent-encoded, it is the default `source` of events that are "
        "logged with the key, and can have at most 255 characters (configurable)."
    )
    permissions: list[Permission] = strawberry.field(
        description="Permissions that the key grants: at least one. You cannot grant a permission "
        "that your own credential does not have."
    )
    expires_at: datetime | None = strawberry.field(
        default=None,
        description="Expiration time of the key, which must be in the future. Null means that the "
        "key never expires.",
    )


@strawberry.type(description="Result of creating or revoking an API key.")
class ApiKeyPayload:
    api_key: ApiKey | None = strawberry.field(
        default=None, description="The API key after the change. Null if the change was rejected."
    )
    secret: str | None = strawberry.field(
        default=None,
        description="Secret of the new key, to send in the header `Authorization: Bearer "
        "<secret>`. It is returned only once, by `createApiKey`, and cannot be read later. Null "
        "in the result of `revokeApiKey`, and if the change was rejected.",
    )
    user_errors: list[UserError] = strawberry.field(
        description="Errors that prevented the change. Empty on success."
    )

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
        description=with_example(
            "Creates an API key in the organization of the request and returns its secret. Store "
            "the secret: it is not returned again.\n\n"
            "Requires ORGANIZATION_MANAGE. User errors: `INVALID_INPUT`, including for a "
            "permission that your own credential does not have; `LIMIT_REACHED` if the "
            "organization has too many keys that are neither revoked nor expired (100 by default).",
            """
            mutation {
              createApiKey(input: { name: "flaring-monitor", permissions: [EVENT_CREATE] }) {
                apiKey { id }
                secret
                userErrors { code message path }
              }
            }
            """,
        )
    )
    async def create_api_key(
        self,
        info: Info,
        input: Annotated[CreateApiKeyInput, strawberry.argument(description="API key to create.")],
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
        description=with_example(
            "Revokes an API key permanently, and closes the WebSocket connections and event "
            "streams that were opened with the key. If the key is already revoked, nothing "
            "changes.\n\n"
            "Requires ORGANIZATION_MANAGE. To revoke a key that gives access to all "
            "organizations, your own credential must give access to all organizations; otherwise "
            "the request error is `FORBIDDEN`. User errors: `NOT_FOUND`, `INVALID_INPUT`.",
            """
            mutation {
              revokeApiKey(id: "019a3f5c-7b1e-7000-8000-000000000601") {
                apiKey { name revokedAt }
                userErrors { code message }
              }
            }
            """,
        )
    )
    async def revoke_api_key(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="ID of the API key.")],
    ) -> ApiKeyPayload:
        key_id = parse_input_id(id, "id")
        result = await keys.revoke(info.context.database, info.context.command, key_id)
        info.context.evict_cached_caller(key_id)
        return ApiKeyPayload.from_result(result)
