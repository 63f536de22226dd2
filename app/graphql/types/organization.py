"""The organization, with its events, containers and API keys."""

from __future__ import annotations

from typing import Annotated

import strawberry

from app.domain.events import filters
from app.domain.events.severity import Outcome
from app.domain.intake.containers import (
    CONTAINER_ENTITY_TYPE,
    ContainerActivity,
    build_container_filter,
)
from app.domain.shared.problems import ErrorCode, RequestError
from app.graphql.shared.context import Context, Info
from app.graphql.shared.field_sources import ComputedField, declare_source
from app.graphql.shared.nodes import Node, format_id
from app.graphql.shared.pages import After, Before, Connection, First, Last, Offset
from app.graphql.shared.permissions import MANAGE_ORGANIZATION
from app.graphql.types.api_key import ApiKey, list_api_keys
from app.graphql.types.event import (
    LATEST_FIRST,
    Entity,
    Event,
    OrderBy,
    build_event_page_request,
    create_event_list_source,
    create_events_field,
    fetch_event_connection,
)
from app.graphql.types.event_inputs import EventOrder, TimeRange, check_text_argument
from app.services.events.event_queries import EventPageRequest
from app.store import tables


def _build_container_events_request(
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
) -> EventPageRequest:
    time_range = None if occurred_at is None else occurred_at.to_domain()
    checked_id = check_text_argument(container_id, context.limits, "containerId")
    event_filters = [
        organization.build_events_filter(),
        build_container_filter(checked_id, activity, outcome, time_range),
    ]
    return build_event_page_request(
        context,
        event_filters,
        order_by,
        first=first,
        after=after,
        last=last,
        before=before,
        offset=offset,
    )


@strawberry.type(
    description="A tenant. Events, event types, rules and API keys belong to one organization and "
    "are invisible to all others. The header `data-partition-id` selects the organization of a "
    "request; the name of the header comes from FDPlan, which calls a tenant a data partition."
)
class Organization(Node):
    key: str = strawberry.field(
        description="Key of the organization in the header `data-partition-id` and in the claims "
        "of access tokens."
    )
    name: str = strawberry.field(description="Display name of the organization.")
    configuration_version: int = strawberry.field(
        description="Number of changes to the configuration of the organization: its name, event "
        "types, guard rules, duplication rules, retention policies, silences, sources and "
        "channels, except their tokens and signing secrets. Each mutation that changes one of them "
        "raises it by 1, as does a channel that the server disables. If it is the same twice, "
        "nothing changed in between."
    )
    current: strawberry.Private[bool] = True
    events: Connection[Event] = create_events_field(
        lambda organization: organization.build_events_filter(),
        "Events of the organization. Requires EVENT_READ. The organization must be the "
        "organization of the request; otherwise the error is `FORBIDDEN`.",
    )

    @strawberry.field(
        description="Events about containers: the audit trail of Events Management, an API for "
        "container events. The endpoints `by_access`, `by_block`, `by_create` and `by_expire` of "
        "Events Management correspond to values of `activity`, and `by_fail` to `activity: "
        "ACCESS, outcome: FAILURE`. Requires EVENT_READ. The organization must be the "
        "organization of the request; otherwise the error is `FORBIDDEN`.",
        metadata=declare_source(create_event_list_source(_build_container_events_request)),
    )
    async def container_events(
        self,
        info: Info,
        container_id: Annotated[
            str | None,
            strawberry.argument(
                description="Identifier of the container. All containers if omitted."
            ),
        ] = None,
        activity: Annotated[
            ContainerActivity | None,
            strawberry.argument(
                description="Activity that the events report. All activities if omitted."
            ),
        ] = None,
        outcome: Annotated[
            Outcome | None,
            strawberry.argument(description="Outcome of the activity. All outcomes if omitted."),
        ] = None,
        occurred_at: Annotated[
            TimeRange | None,
            strawberry.argument(
                description="Time range in which the events occurred. Any time if omitted."
            ),
        ] = None,
        order_by: OrderBy = LATEST_FIRST,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        offset: Offset = None,
    ) -> Connection[Event]:
        filter_arguments = (container_id, activity, outcome, occurred_at, order_by)
        page_arguments = (first, after, last, before, offset)
        return await fetch_event_connection(
            info,
            _build_container_events_request(self, info.context, *filter_arguments, *page_arguments),
        )

    @strawberry.field(
        description="Container with this identifier, that is, an entity of type `Container`. The "
        "container is returned even if there are no events about it. Requires EVENT_READ. The "
        "organization must be the organization of the request; otherwise the error is `FORBIDDEN`.",
        metadata=declare_source(ComputedField()),
    )
    async def container(
        self,
        info: Info,
        id: Annotated[
            str,
            strawberry.argument(
                description="Identifier of the container, at most 255 characters by default."
            ),
        ],
    ) -> Entity:
        self.build_events_filter()
        check_text_argument(id, info.context.limits, "id")
        return Entity(type=CONTAINER_ENTITY_TYPE, entity_id=id)

    @strawberry.field(
        description="API keys of the organization, at most 200 by default: first the valid keys, "
        "newest first, then the revoked and expired keys, most recently revoked or expired first. "
        "Null if the caller lacks ORGANIZATION_MANAGE. The organization must be the organization "
        "of the request; otherwise the error is `FORBIDDEN`.",
        metadata=declare_source(ComputedField()),
    )
    async def api_keys(self, info: Info) -> list[ApiKey] | None:
        if not info.context.caller.has_any_permission(MANAGE_ORGANIZATION):
            return None
        self.require_current("keys")
        return await list_api_keys(info.context)

    def build_events_filter(self) -> filters.EventFilter:
        self.require_current("events")
        return filters.EventFilter()

    def require_current(self, resource: str) -> None:
        if not self.current:
            message = (
                f"The request acts in a different organization. To read the {resource} of "
                f"{self.key}, send the header data-partition-id: {self.key}."
            )
            raise RequestError(ErrorCode.FORBIDDEN, message)

    @classmethod
    def from_row(cls, row: tables.Organization, current: bool = True) -> Organization:
        return cls(
            id=format_id(row.id),
            key=row.key,
            name=row.name,
            configuration_version=row.definitions,
            current=current,
        )
