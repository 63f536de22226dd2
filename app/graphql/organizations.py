"""Organizations, the viewer, and finding anything by its id."""

from __future__ import annotations

from typing import Annotated, Any

import strawberry

from app.domain import filters
from app.domain.access import Permission
from app.domain.containers import ENTITY_TYPE, ContainerActivity, container_filter
from app.domain.problems import ErrorCode, RequestError
from app.domain.severity import Outcome
from app.graphql.api_keys import ApiKey, api_keys_of
from app.graphql.conditional_rules import ConditionalRule
from app.graphql.context import Context, Info
from app.graphql.duplication_rules import DuplicationRule
from app.graphql.event_filters import EventOrder, TimeRange, storable
from app.graphql.event_types import EventField, EventType
from app.graphql.events import (
    LATEST_FIRST,
    Entity,
    Event,
    events_field,
    events_listed,
    events_page,
    wanted_page,
)
from app.graphql.guard_rules import GuardRule
from app.graphql.nodes import Node, id_of, wanted_id
from app.graphql.pages import After, Before, Connection, First, Last, Offset
from app.graphql.permissions import (
    MANAGE_ORGANIZATION,
    READ,
    READ_ORGANIZATION,
    READ_RULES,
    READ_TYPES,
)
from app.graphql.plans.declared import Made, reads
from app.graphql.problems import UserError, user_errors
from app.services import (
    duplication_rules,
    event_queries,
    event_types,
    guards,
    keys,
    organizations,
)
from app.services.event_queries import EventPage
from app.store import tables


def _containers(
    organization: Organization,
    context: Context,
    container_id: str | None = None,
    activity: ContainerActivity | None = None,
    outcome: Outcome | None = None,
    occurred_at: TimeRange | None = None,
    order_by: EventOrder | None = LATEST_FIRST,
    first: int | None = None,
    after: str | None = None,
    last: int | None = None,
    before: str | None = None,
    offset: int | None = None,
) -> EventPage:
    span = None if occurred_at is None else occurred_at.to_domain()
    named = storable(container_id, context.limits, "containerId")
    selected = [organization.all_events(), container_filter(named, activity, outcome, span)]
    part = {"first": first, "after": after, "last": last, "before": before, "offset": offset}
    return wanted_page(context, selected, order_by, **part)


async def _keys(organization: Organization, context: Context) -> list[ApiKey] | None:
    if not context.caller.may(MANAGE_ORGANIZATION):
        return None
    organization.must_be_current("keys")
    return await api_keys_of(context)


async def _container(organization: Organization, context: Context, id: str) -> Entity:
    organization.all_events()
    storable(id, context.limits, "id")
    return Entity(type=ENTITY_TYPE, entity_id=id)


@strawberry.type(
    description="A tenant: an organization, or a data partition. Nothing crosses from one to "
    "another."
)
class Organization(Node):
    key: str = strawberry.field(description="Its key in headers and tokens.")
    name: str = strawberry.field(description="What people call it.")
    current: strawberry.Private[bool] = True
    events: Connection[Event] = events_field(
        lambda organization: organization.all_events(),
        "The events of the organization, which must be the one that the request acts in.",
    )

    @strawberry.field(
        description="Container events; `by_access`, `by_block`, `by_create` and `by_expire` are "
        "`activity`, `by_fail` is `activity: ACCESS, outcome: FAILURE`.",
        metadata=reads(events_listed(_containers)),
    )
    async def container_events(
        self,
        info: Info,
        container_id: Annotated[
            str | None, strawberry.argument(description="Of this container; left out, of all.")
        ] = None,
        activity: Annotated[
            ContainerActivity | None, strawberry.argument(description="What was done.")
        ] = None,
        outcome: Annotated[Outcome | None, strawberry.argument(description="How it went.")] = None,
        occurred_at: Annotated[
            TimeRange | None, strawberry.argument(description="When it happened.")
        ] = None,
        order_by: Annotated[
            EventOrder | None, strawberry.argument(description="The latest first, if left out.")
        ] = LATEST_FIRST,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        offset: Offset = None,
    ) -> Connection[Event]:
        said = (container_id, activity, outcome, occurred_at, order_by)
        part = (first, after, last, before, offset)
        return await events_page(info, _containers(self, info.context, *said, *part))

    @strawberry.field(
        description="A container, by the name of its owner. It is there whether or not an event "
        "is.",
        metadata=reads(Made(_container)),
    )
    async def container(
        self, info: Info, id: Annotated[str, strawberry.argument(description="The container.")]
    ) -> Entity:
        return await _container(self, info.context, id)

    @strawberry.field(
        description="Its keys, 200 in all: the valid ones, the newest first, then those that were "
        "revoked or have expired, the last of them first. Null without ORGANIZATION_MANAGE. It "
        "must be the organization that the request acts in.",
        metadata=reads(Made(_keys)),
    )
    async def api_keys(self, info: Info) -> list[ApiKey] | None:
        return await _keys(self, info.context)

    def all_events(self) -> filters.EventFilter:
        self.must_be_current("events")
        return filters.EventFilter()

    def must_be_current(self, wanted: str) -> None:
        if not self.current:
            choose = f"To see its {wanted}, choose {self.key} by the header data-partition-id."
            raise RequestError(ErrorCode.FORBIDDEN, choose)

    @classmethod
    def from_row(cls, row: tables.Organization, current: bool = True) -> Organization:
        return cls(id=id_of(row.id), key=row.key, name=row.name, current=current)


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
