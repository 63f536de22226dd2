"""Mutations of organizations."""

from __future__ import annotations

from typing import Annotated

import strawberry

from app.graphql.shared.context import Info
from app.graphql.types.organization import Organization
from app.graphql.types.user_error import UserError, to_user_errors
from app.services.auth import organizations


@strawberry.type(description="What became of making an organization.")
class OrganizationPayload:
    organization: Organization | None = strawberry.field(
        description="The organization; null where it was refused."
    )
    user_errors: list[UserError] = strawberry.field(description="Everything that is wrong.")


@strawberry.type
class OrganizationMutations:
    @strawberry.mutation(
        description="Makes an organization. Only who acts in every organization may: the "
        "administrator, or a token for all of them; others are FORBIDDEN. The header "
        "`data-partition-id` then chooses it, to make its first keys."
    )
    async def create_organization(
        self,
        info: Info,
        key: Annotated[
            str,
            strawberry.argument(
                description="Its key in headers and tokens, unique: up to 255 visible ASCII "
                "characters, and not `*`."
            ),
        ],
        name: Annotated[str, strawberry.argument(description="What people call it.")],
    ) -> OrganizationPayload:
        result = await organizations.create(info.context.database, info.context.command, key, name)
        row = result.organization
        return OrganizationPayload(
            organization=None if row is None else Organization.from_row(row, current=False),
            user_errors=to_user_errors(result.problems),
        )
