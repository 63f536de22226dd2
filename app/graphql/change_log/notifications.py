"""The bell: its list and its subscription."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated, Any

import strawberry

from app.graphql.execution.subscription_execution import Followed
from app.graphql.shared.context import Context, Info
from app.graphql.shared.declared import Listed, Made, Part, reads
from app.graphql.shared.pages import After, First, PageInfo, Since, page_info
from app.graphql.types.event import Event
from app.graphql.types.event_filter import NotificationFilter, selected
from app.graphql.types.user_error import UserError, user_errors
from app.services.change_log import feed, notifications, subscriptions
from app.services.change_log.notifications import BellPage
from app.store.change_log.changes import Entry
from app.store.reading.pages import page_request

Filter = Annotated[
    NotificationFilter | None, strawberry.argument(description="Only these notifications.")
]


@strawberry.type(description="A notification, with its place in the log.")
class NotificationEdge:
    cursor: str = strawberry.field(
        description="Where it rang in the log. As `after` of `notifications` it leads to what "
        "rang earlier, as `after` of `notificationAdded` to what rang later.",
        metadata=reads(Part.CURSOR),
    )
    node: Event = strawberry.field(
        description="The event that rang, as it is now.", metadata=reads(Part.NODE)
    )


@strawberry.type(description="A page of the bell, the newest first.")
class NotificationConnection:
    edges: list[NotificationEdge] = strawberry.field(
        description="The notifications with their cursors.", metadata=reads(Part.EDGES)
    )
    page_info: PageInfo = strawberry.field(
        description="Whether and where the list goes on.", metadata=reads(Part.PAGE_INFO)
    )
    count: strawberry.Private[Callable[[], Awaitable[int]]]
    count_unacknowledged: strawberry.Private[Callable[[], Awaitable[int]]]

    @strawberry.field(description="The notifications alone.", metadata=reads(Part.NODES))
    def nodes(self) -> list[Event]:
        return [edge.node for edge in self.edges]

    @strawberry.field(
        description="How many notifications the filter selects.", metadata=reads(Part.TOTAL)
    )
    async def total_count(self) -> int:
        return await self.count()

    @strawberry.field(
        description="How many of those nobody has acknowledged.",
        metadata=reads(Part.UNACKNOWLEDGED),
    )
    async def unacknowledged_count(self) -> int:
        return await self.count_unacknowledged()


def _bell(
    _root: Any,
    context: Context,
    filter: NotificationFilter | None = None,
    first: int | None = 20,
    after: str | None = None,
) -> BellPage:
    wanted = selected(filter, context.limits)
    return BellPage(wanted, page_request(context.limits, first=first, after=after))


async def _log_head(_root: Any, context: Context) -> str:
    return await feed.log_head(context.database, context.caller)


@strawberry.type
class NotificationQueries:
    @strawberry.field(
        description="The bell: events that are notifications, in the order in which they rang, "
        "the newest first. To go on live without a gap, subscribe to `notificationAdded` after "
        "the first edge's cursor, or after `logHead` where the list is empty.",
        metadata=reads(Listed(_bell, notifications.select_page, ("rang_tx", "rang_seq"))),
    )
    async def notifications(
        self, info: Info, filter: Filter = None, first: First = 20, after: After = None
    ) -> NotificationConnection:
        database, caller = info.context.database, info.context.caller
        page = _bell(self, info.context, filter, first, after)
        wanted = page.filter
        bell = await notifications.page(database, caller, wanted, page.request)
        edges = [
            NotificationEdge(cursor=cursor, node=Event.from_row(row)) for cursor, row in bell.rows
        ]
        return NotificationConnection(
            edges=edges,
            page_info=page_info([edge.cursor for edge in edges], bell.has_next, bell.has_previous),
            count=lambda: notifications.count(database, caller, wanted),
            count_unacknowledged=lambda: notifications.unacknowledged_count(
                database, caller, wanted
            ),
        )

    @strawberry.field(
        description="The end of the change log as of now: a subscription `after` it misses "
        "nothing that comes later.",
        metadata=reads(Made(_log_head)),
    )
    async def log_head(self, info: Info) -> str:
        return await _log_head(self, info.context)


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
        filter: Filter = None,
        up_to: Annotated[
            str | None,
            strawberry.argument(description="A cursor of `notifications` or `notificationAdded`."),
        ] = None,
        note: Annotated[
            str | None, strawberry.argument(description="What there is to say of them.")
        ] = None,
    ) -> AcknowledgeEventsPayload:
        done = await notifications.acknowledge_events(
            info.context.database,
            info.context.desk,
            selected(filter, info.context.limits),
            up_to,
            note,
        )
        return AcknowledgeEventsPayload(
            acknowledged_count=done.count,
            events=[Event.from_row(row) for row in done.rows],
            user_errors=user_errors(done.problems),
        )


@strawberry.type
class NotificationSubscriptions:
    @strawberry.subscription(
        description="Every new notification, in log order, whichever process stored it. With "
        "`after` it first sends what was missed since, so that a client which remembers its last "
        "cursor can resume without a gap."
    )
    async def notification_added(
        self, info: Info, filter: Filter = None, after: Since = None
    ) -> AsyncIterator[NotificationEdge]:
        context = info.context
        wanted = selected(filter, context.limits)
        following = await subscriptions.notifications_added(
            context.database, context.caller, wanted, context.behind(after)
        )
        return Followed(following, _rung)


def _rung(cursor: str, entry: Entry) -> NotificationEdge | None:
    """Nothing for an event that is deleted since."""
    if entry.event is None:
        return None
    return NotificationEdge(cursor=cursor, node=Event.from_row(entry.event))
