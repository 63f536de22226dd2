"""The organization, with its events, containers and API keys."""

from __future__ import annotations

from typing import Annotated

import strawberry

from app.domain.events import filters
from app.domain.events.severity import Outcome
from app.domain.intake.containers import ENTITY_TYPE, ContainerActivity, container_filter
from app.domain.shared.problems import ErrorCode, RequestError
from app.graphql.shared.context import Context, Info
from app.graphql.shared.declared import Made, reads
from app.graphql.shared.nodes import Node, id_of
from app.graphql.shared.pages import After, Before, Connection, First, Last, Offset
from app.graphql.shared.permissions import (
    MANAGE_ORGANIZATION,
)
from app.graphql.types.api_key import ApiKey, api_keys_of
from app.graphql.types.event import (
    LATEST_FIRST,
    Entity,
    Event,
    events_field,
    events_listed,
    events_page,
    wanted_page,
)
from app.graphql.types.event_filter import EventOrder, TimeRange, storable
from app.services.events.event_queries import EventPage
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
