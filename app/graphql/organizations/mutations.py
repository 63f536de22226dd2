"""Mutations of organizations."""

from __future__ import annotations

from typing import Annotated

import strawberry

from app.graphql.shared.context import Info
from app.graphql.shared.examples import with_example
from app.graphql.types.organization import Organization
from app.graphql.types.user_error import UserError, to_user_errors
from app.services.auth import organizations


@strawberry.type(description="Result of creating or updating an organization.")
class OrganizationPayload:
    organization: Organization | None = strawberry.field(
        description="The organization after the change. Null if the change was rejected."
    )
    user_errors: list[UserError] = strawberry.field(
        description="Errors that prevented the change. Empty on success."
    )

    @classmethod
    def from_result(
        cls, result: organizations.OrganizationResult, *, current: bool = True
    ) -> OrganizationPayload:
        row = result.organization
        return cls(
            organization=None if row is None else Organization.from_row(row, current),
            user_errors=to_user_errors(result.problems),
        )


OrganizationName = Annotated[
    str,
    strawberry.argument(
        description="Display name of the organization: one line, at most 255 characters by default."
    ),
]


@strawberry.type
class OrganizationMutations:
    @strawberry.mutation(
        description=with_example(
            "Creates an organization (a tenant). To create the first API key of the organization, "
            "send `createApiKey` with the key of the organization in the header "
            "`data-partition-id`.\n\n"
            "Requires ORGANIZATION_MANAGE and a credential that gives access to all "
            "organizations: the administrator's key, or an access token whose `organization` claim "
            "is `*`. Otherwise the request error is `FORBIDDEN`. User errors: `ALREADY_EXISTS` if "
            "the key is taken, `INVALID_INPUT`.",
            """
            mutation {
              createOrganization(key: "permian", name: "Permian Basin") {
                organization { id key }
                userErrors { code message path }
              }
            }
            """,
        )
    )
    async def create_organization(
        self,
        info: Info,
        key: Annotated[
            str,
            strawberry.argument(
                description="Key of the organization in headers and access tokens, unique on the "
                "server: visible ASCII characters without spaces, at most 255 by default. Must "
                "not be `*`."
            ),
        ],
        name: OrganizationName,
    ) -> OrganizationPayload:
        result = await organizations.create(info.context.database, info.context.command, key, name)
        return OrganizationPayload.from_result(result, current=False)

    @strawberry.mutation(
        description=with_example(
            "Changes the display name of the organization of the request. Its key cannot be "
            "changed.\n\n"
            "Requires ORGANIZATION_MANAGE. User errors: `INVALID_INPUT`.",
            """
            mutation {
              updateOrganization(name: "Permian Basin East") {
                organization { key name }
                userErrors { code message path }
              }
            }
            """,
        )
    )
    async def update_organization(
        self,
        info: Info,
        name: OrganizationName,
    ) -> OrganizationPayload:
        result = await organizations.rename(info.context.database, info.context.command, name)
        return OrganizationPayload.from_result(result)
