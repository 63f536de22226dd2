"""Query, mutation and subscription of notifications."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated, Any

import strawberry

from app.graphql.execution.subscription_execution import FollowedFeed
from app.graphql.shared.context import Context, Info
from app.graphql.shared.field_sources import ComputedField, ConnectionPart, Listed, declare_source
from app.graphql.shared.pages import After, First, PageInfo, SubscribeAfter, build_page_info
from app.graphql.types.event import Event
from app.graphql.types.event_filter import NotificationFilter, parse_event_filter
from app.graphql.types.user_error import UserError, to_user_errors
from app.services.change_log import feed, notifications, subscriptions
from app.services.change_log.notifications import NotificationPageRequest
from app.store.change_log.changes import Entry
from app.store.reading.pages import parse_page_request

FilterArgument = Annotated[
    NotificationFilter | None, strawberry.argument(description="Only these notifications.")
]


@strawberry.type(description="A notification, with its place in the log.")
class NotificationEdge:
    cursor: str = strawberry.field(
        description="Where it rang in the log. As `after` of `notifications` it leads to what "
        "rang earlier, as `after` of `notificationAdded` to what rang later.",
        metadata=declare_source(ConnectionPart.CURSOR),
    )
    node: Event = strawberry.field(
        description="The event that rang, as it is now.",
        metadata=declare_source(ConnectionPart.NODE),
    )


@strawberry.type(description="A page of the bell, the newest first.")
class NotificationConnection:
    edges: list[NotificationEdge] = strawberry.field(
        description="The notifications with their cursors.",
        metadata=declare_source(ConnectionPart.EDGES),
    )
    page_info: PageInfo = strawberry.field(
        description="Whether and where the list goes on.",
        metadata=declare_source(ConnectionPart.PAGE_INFO),
    )
    count: strawberry.Private[Callable[[], Awaitable[int]]]
    count_unacknowledged: strawberry.Private[Callable[[], Awaitable[int]]]

    @strawberry.field(
        description="The notifications alone.", metadata=declare_source(ConnectionPart.NODES)
    )
    def nodes(self) -> list[Event]:
        return [edge.node for edge in self.edges]

    @strawberry.field(
        description="How many notifications the filter selects.",
        metadata=declare_source(ConnectionPart.TOTAL_COUNT),
    )
    async def total_count(self) -> int:
        return await self.count()

    @strawberry.field(
        description="How many of those nobody has acknowledged.",
        metadata=declare_source(ConnectionPart.UNACKNOWLEDGED_COUNT),
    )
    async def unacknowledged_count(self) -> int:
        return await self.count_unacknowledged()


def _build_page_request(
    _root: Any,
    context: Context,
    filter: NotificationFilter | None = None,
    first: int | None = 20,
    after: str | None = None,
) -> NotificationPageRequest:
    event_filter = parse_event_filter(filter, context.limits)
    return NotificationPageRequest(
        event_filter, parse_page_request(context.limits, first=first, after=after)
    )


async def _fetch_log_head(_root: Any, context: Context) -> str:
    return await feed.fetch_log_head(context.database, context.caller)


@strawberry.type
class NotificationQueries:
    @strawberry.field(
        description="The bell: events that are notifications, in the order in which they rang, "
        "the newest first. To go on live without a gap, subscribe to `notificationAdded` after "
        "the first edge's cursor, or after `logHead` where the list is empty.",
        metadata=declare_source(
            Listed(_build_page_request, notifications.select_page_columns, ("rang_tx", "rang_seq"))
        ),
    )
    async def notifications(
        self, info: Info, filter: FilterArgument = None, first: First = 20, after: After = None
    ) -> NotificationConnection:
        database, caller = info.context.database, info.context.caller
        page_request = _build_page_request(self, info.context, filter, first, after)
        event_filter = page_request.filter
        page = await notifications.fetch_page(database, caller, event_filter, page_request.request)
        edges = [
            NotificationEdge(cursor=cursor, node=Event.from_row(row)) for cursor, row in page.rows
        ]
        return NotificationConnection(
            edges=edges,
            page_info=build_page_info(
                [edge.cursor for edge in edges], page.has_next, page.has_previous
            ),
            count=lambda: notifications.count_notifications(database, caller, event_filter),
            count_unacknowledged=lambda: notifications.count_unacknowledged(
                database, caller, event_filter
            ),
        )

    @strawberry.field(
        description="The end of the change log as of now: a subscription `after` it misses "
        "nothing that comes later.",
        metadata=declare_source(ComputedField(_fetch_log_head)),
    )
    async def log_head(self, info: Info) -> str:
        return await _fetch_log_head(self, info.context)


@strawberry.type(description="What became of acknowledging many notifications.")
class AcknowledgeEventsPayload:
    acknowledged_count: int = strawberry.field(description="How many were acknowledged.")
    events: list[Event] = strawberry.field(
        description="Those that were, the newest first: at most 100 of them."
    )
    user_errors: list[UserError] = strawberry.field(description="Everything that is wrong.")


@strawberry.type
class NotificationMutations:
    @strawberry.mutation(
        description="Acknowledges all unacknowledged notifications that the filter selects. With "
        "`upTo`, a cursor, nothing that rang later: what nobody has seen yet stays unacknowledged."
    )
    async def acknowledge_events(
        self,
        info: Info,
        filter: FilterArgument = None,
        up_to: Annotated[
            str | None,
            strawberry.argument(description="A cursor of `notifications` or `notificationAdded`."),
        ] = None,
        note: Annotated[
            str | None, strawberry.argument(description="What there is to say of them.")
        ] = None,
    ) -> AcknowledgeEventsPayload:
        result = await notifications.acknowledge_events(
            info.context.database,
            info.context.command,
            parse_event_filter(filter, info.context.limits),
            up_to,
            note,
        )
        return AcknowledgeEventsPayload(
            acknowledged_count=result.count,
            events=[Event.from_row(row) for row in result.rows],
            user_errors=to_user_errors(result.problems),
        )


@strawberry.type
class NotificationSubscriptions:
    @strawberry.subscription(
        description="Every new notification, in log order, whichever process stored it. With "
        "`after` it first sends what was missed since, so that a client which remembers its last "
        "cursor can resume without a gap."
    )
    async def notification_added(
        self, info: Info, filter: FilterArgument = None, after: SubscribeAfter = None
    ) -> AsyncIterator[NotificationEdge]:
        context = info.context
        event_filter = parse_event_filter(filter, context.limits)
        subscription = await subscriptions.subscribe_to_notifications(
            context.database, context.caller, event_filter, context.resume_cursor(after)
        )
        return FollowedFeed(subscription, _to_notification_edge)


def _to_notification_edge(cursor: str, entry: Entry) -> NotificationEdge | None:
    """Converts a log entry. None if the event has since been deleted."""
    if entry.event is None:
        return None
    return NotificationEdge(cursor=cursor, node=Event.from_row(entry.event))
