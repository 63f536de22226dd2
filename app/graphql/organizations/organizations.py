"""Organizations, the viewer, and finding anything by its id."""

from __future__ import annotations

from typing import Annotated, Any

import strawberry

from app.domain.access.caller import Permission
from app.graphql.shared.context import Context, Info
from app.graphql.shared.declared import Made, reads
from app.graphql.shared.nodes import Node, wanted_id
from app.graphql.shared.permissions import (
    MANAGE_ORGANIZATION,
    READ,
    READ_ORGANIZATION,
    READ_RULES,
    READ_TYPES,
)
from app.graphql.types.api_key import ApiKey
from app.graphql.types.conditional_rule import ConditionalRule
from app.graphql.types.duplication_rule import DuplicationRule
from app.graphql.types.event import (
    Event,
)
from app.graphql.types.event_type import EventField, EventType
from app.graphql.types.guard_rule import GuardRule
from app.graphql.types.organization import Organization
from app.graphql.types.user_error import UserError, user_errors
from app.services.auth import keys, organizations
from app.services.definitions import event_types, guards
from app.services.events import event_queries
from app.services.rules import duplication_rules
from app.store import tables


async def _organization_of(viewer: Viewer, _context: Context) -> Organization:
    return viewer.organization


async def _choices(_viewer: Viewer, context: Context) -> list[Organization]:
    caller = context.caller
    found = await organizations.organizations(context.database, caller, context.limits.page)
    return [Organization.from_row(row, row.id == caller.organization_id) for row in found]


async def _viewer(_root: Any, context: Context) -> Viewer:
    caller = context.caller
    row = await organizations.organization(context.database, caller)
    return Viewer(
        name=caller.name,
        organization=Organization.from_row(row),
        permissions=[each for each in Permission if each in caller.permissions],
    )


async def _organization(
    _root: Any, context: Context, key: str | None = None
) -> Organization | None:
    row = await organizations.organization(context.database, context.caller)
    return Organization.from_row(row) if key in (None, row.key) else None


@strawberry.type(description="Who asks.")
class Viewer:
    name: str = strawberry.field(description="The name of the credential.")
    organization: Organization = strawberry.field(
        description="The organization that this request acts in.",
        metadata=reads(Made(_organization_of)),
    )
    permissions: list[Permission] = strawberry.field(description="What the credential may do.")

    @strawberry.field(
        description="The organizations that the credential may choose among, up to 100. The "
        "header `data-partition-id` chooses, by key.",
        metadata=reads(Made(_choices)),
    )
    async def organizations(self, info: Info) -> list[Organization]:
        return await _choices(self, info.context)


@strawberry.type
class OrganizationQueries:
    @strawberry.field(
        description="Who asks, in which organization, with which permissions.",
        metadata=reads(Made(_viewer)),
    )
    async def viewer(self, info: Info) -> Viewer:
        return await _viewer(self, info.context)

    @strawberry.field(
        description="The request's organization; with its key, the same; with another key, null.",
        metadata=reads(Made(_organization)),
    )
    async def organization(
        self,
        info: Info,
        key: Annotated[
            str | None, strawberry.argument(description="The organization's key.")
        ] = None,
    ) -> Organization | None:
        return await _organization(self, info.context, key)

    @strawberry.field(
        description="Whatever has this id: an event, an event type, a field, a rule, a key or "
        "the organization; null where nothing has."
    )
    async def node(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The id.")],
    ) -> Node | None:
        database, caller = info.context.database, info.context.caller
        wanted = wanted_id(id, "id")
        if caller.may(READ) and (event := await event_queries.find(database, caller, wanted)):
            return Event.from_row(event)
        if caller.may(READ_TYPES):
            if event_type := await event_types.find(database, caller, id=wanted):
                return EventType.from_row(event_type)
            if field := await event_types.find_part(database, caller, tables.EventField, wanted):
                return EventField.from_row(field)
            rules = tables.ConditionalRule
            if rule := await event_types.find_part(database, caller, rules, wanted):
                return ConditionalRule.from_row(rule)
        if caller.may(READ_RULES):
            if guard := await guards.find(database, caller, wanted):
                return GuardRule.from_row(guard)
            found = await duplication_rules.by_ids(database, caller, [wanted])
            if wanted in found:
                return DuplicationRule.from_row(found[wanted])
        if caller.may(MANAGE_ORGANIZATION) and (key := await keys.find(database, caller, wanted)):
            return ApiKey.from_row(key)
        if caller.may(READ_ORGANIZATION) and wanted == caller.organization_id:
            return Organization.from_row(await organizations.organization(database, caller))
        return None


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
        saved = await organizations.create(info.context.database, info.context.desk, key, name)
        made = saved.organization
        return OrganizationPayload(
            organization=None if made is None else Organization.from_row(made, current=False),
            user_errors=user_errors(saved.problems),
        )
