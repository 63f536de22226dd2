"""Query, mutation and subscription of notifications."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Annotated, Any
from uuid import UUID

import strawberry

from app.domain.events import filters
from app.domain.shared.problems import Problem, invalid_input
from app.graphql.execution.subscription_execution import FollowedFeed
from app.graphql.shared.context import Context, Info
from app.graphql.shared.examples import with_example
from app.graphql.shared.field_sources import (
    ConnectionPart,
    FirstValue,
    InMemoryRow,
    ListSource,
    declare_source,
)
from app.graphql.shared.nodes import InvalidArgumentsError, parse_input_ids, paths_of_items
from app.graphql.shared.pages import After, First, PageInfo, SubscribeAfter, build_page_info
from app.graphql.types.bulk_event_payload import REMAINING_COUNT, BulkEventPayload
from app.graphql.types.event import Event
from app.graphql.types.event_inputs import EventFilter, parse_checked_filter, parse_event_filter
from app.graphql.types.loaders import get_loaders
from app.graphql.types.user_error import UserError, to_user_errors
from app.services.change_log import feed, notifications, subscriptions
from app.services.change_log.notifications import NotificationPageRequest
from app.services.events import status_changes
from app.services.events.status_changes import StatusChangeResult, rang_position
from app.services.shared.readers import UNACKNOWLEDGED_COUNT
from app.store import tables
from app.store.change_log.changes import Entry, LogPosition
from app.store.reading.pages import parse_page_request

FilterArgument = Annotated[
    EventFilter | None,
    strawberry.argument(
        description="Conditions on the notifications. All notifications if omitted."
    ),
]


def _resolve_node(root: strawberry.Parent[NotificationEdge]) -> Event:
    return Event.from_row(root.row)


@strawberry.type(description="A notification and its cursor.")
class NotificationEdge:
    cursor: str = strawberry.field(
        description="Cursor of the notification: the position in the change log at which "
        "`notificationAdded` last delivered it. Pass it as `after` to `notifications` for older "
        "notifications or to `notificationAdded` for newer ones, or as `upTo` to "
        "`acknowledgeEvents`.",
        metadata=declare_source(ConnectionPart.CURSOR),
    )
    node: Event = strawberry.field(
        resolver=_resolve_node,
        description="The notification: an event, in its current state.",
        metadata=declare_source(ConnectionPart.NODE, InMemoryRow("row")),
    )
    row: strawberry.Private[tables.Event]
    position: strawberry.Private[LogPosition]

    @strawberry.field(
        description="Whether the caller has marked the notification as read with "
        "`markNotificationsRead`. A subscription to `notificationAdded` that selects this field is "
        "not shared with other subscribers: select it only if you need it."
    )
    async def read(self, info: Info) -> bool:
        read_position = await get_loaders(info).read_positions.load(info.context.caller)
        return read_position is not None and self.position <= read_position


@strawberry.type(description="A page of notifications, newest first, with counts over all pages.")
class NotificationConnection:
    edges: list[NotificationEdge] = strawberry.field(
        description="Notifications of this page with their cursors.",
        metadata=declare_source(ConnectionPart.EDGES),
    )
    page_info: PageInfo = strawberry.field(
        description="Pagination information.",
        metadata=declare_source(ConnectionPart.PAGE_INFO),
    )
    count: strawberry.Private[Callable[[], Awaitable[int]]]
    count_unacknowledged: strawberry.Private[Callable[[], Awaitable[int]]]

    @strawberry.field(
        description="Notifications of this page without their cursors.",
        metadata=declare_source(ConnectionPart.NODES),
    )
    def nodes(self) -> list[Event]:
        return [Event.from_row(edge.row) for edge in self.edges]

    @strawberry.field(
        description="Number of notifications on all pages.",
        metadata=declare_source(ConnectionPart.TOTAL_COUNT),
    )
    async def total_count(self) -> int:
        return await self.count()

    @strawberry.field(
        description="Number of unacknowledged notifications on all pages, including resolved ones. "
        "`notificationSummary` has the number of open ones.",
        metadata=declare_source(ConnectionPart.UNACKNOWLEDGED_COUNT),
    )
    async def unacknowledged_count(self) -> int:
        return await self.count_unacknowledged()


def _build_page_request(
    _root: Any,
    context: Context,
    filter: EventFilter | None = None,
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
        description=with_example(
            "Notifications, that is, events with `notification: true`, in the order in which "
            "`notificationAdded` last delivered them, newest first, without those that a silence "
            "suppresses. Use this query for the list "
            "of a notification bell, as in DeltaFi. To receive later notifications without a gap, "
            "read `logHead` in the same operation, and subscribe to `notificationAdded` with it as "
            "`after`.\n\n"
            "Requires EVENT_READ. Request errors: `INVALID_CURSOR`, `CURSOR_EXPIRED`, "
            "`BAD_USER_INPUT`.",
            """
            {
              notifications(filter: { acknowledged: false }, first: 10) {
                unacknowledgedCount
                edges { cursor node { id summary severity occurredAt } }
                pageInfo { hasNextPage endCursor }
              }
              logHead
            }
            """,
        ),
        metadata=declare_source(ListSource(_build_page_request, notifications.NOTIFICATION_LIST)),
    )
    async def notifications(
        self, info: Info, filter: FilterArgument = None, first: First = 20, after: After = None
    ) -> NotificationConnection:
        database, caller = info.context.database, info.context.caller
        reader = notifications.NOTIFICATION_LIST
        request = _build_page_request(self, info.context, filter, first, after)
        page = await reader.fetch_page(database, caller, request)
        edges = [
            NotificationEdge(
                cursor=page.encode_row_cursor(row),
                row=row,
                position=rang_position(row),
            )
            for row in page.rows
        ]
        return NotificationConnection(
            edges=edges,
            page_info=build_page_info(page, edges),
            count=lambda: reader.count_rows(database, caller, request),
            count_unacknowledged=lambda: reader.count_rows(
                database, caller, request, UNACKNOWLEDGED_COUNT
            ),
        )

    log_head: str = strawberry.field(
        description=with_example(
            "Cursor of the current end of the change log. A subscription with this cursor as "
            "`after` delivers everything that is recorded later. It is read before the other "
            "fields of its operation: what is recorded between a list and `logHead` is delivered, "
            "even if the list already has it.\n\n"
            "Requires a valid credential, but no permission.",
            """
            { logHead }
            """,
        ),
        metadata=declare_source(FirstValue(_fetch_log_head)),
    )


@strawberry.type(description="Result of acknowledging events.")
class AcknowledgeEventsPayload:
    acknowledged_count: int = strawberry.field(
        default=0, description="Number of events that this call acknowledged."
    )
    remaining_count: int = strawberry.field(default=0, description=REMAINING_COUNT)
    events: list[Event] = strawberry.field(
        default_factory=list,
        description="Events that this call acknowledged, at most 100: first the notifications, "
        "newest first, then the events that are not notifications.",
    )
    user_errors: list[UserError] = strawberry.field(
        description="Errors that prevented changes. Empty on success."
    )

    @classmethod
    def from_result(cls, result: StatusChangeResult) -> AcknowledgeEventsPayload:
        return cls(
            acknowledged_count=result.changed_count,
            remaining_count=result.remaining_count,
            events=[Event.from_row(row) for row in result.rows],
            user_errors=to_user_errors(result.problems),
        )


async def _parse_selection(
    ids: Sequence[str] | None,
    filter: EventFilter | None,
    context: Context,
    *later_problems: Problem,
) -> tuple[list[UUID] | None, filters.EventFilter]:
    """Returns the IDs, if given, and the filter.

    Raises InvalidArgumentsError for too many or invalid IDs, a filter besides them, or
    `later_problems`, which are those of later arguments.
    """
    problems = []
    if ids is not None and filter is not None:
        problems.append(invalid_input("Use either ids or filter, not both.", "ids"))
    max_ids = context.limits.events_per_bulk_change
    if ids is not None and len(ids) > max_ids:
        message = (
            f"The call has {len(ids):,} IDs; at most {max_ids:,} are allowed. Split the IDs into "
            "several calls."
        )
        raise InvalidArgumentsError((*problems, invalid_input(message, "ids"), *later_problems))
    parsed_ids = parse_input_ids(
        paths_of_items(ids or (), "ids"), *problems, later_problems=later_problems
    )
    event_filter = await parse_checked_filter(filter, context)
    return None if ids is None else parsed_ids, event_filter


async def _parse_required_selection(
    ids: Sequence[str] | None, filter: EventFilter | None, context: Context
) -> tuple[list[UUID] | None, filters.EventFilter]:
    """Returns the IDs, if given, and the filter. One of the arguments is required."""
    problems = []
    if ids is None and filter is None:
        problems.append(invalid_input("Either ids or filter is required; both are missing.", "ids"))
    return await _parse_selection(ids, filter, context, *problems)


IdsArgument = Annotated[
    list[strawberry.ID] | None,
    strawberry.argument(
        description="IDs of the events, at most 10,000 by default. An empty list selects no "
        "events. Not allowed with `filter`."
    ),
]


@strawberry.type
class NotificationMutations:
    @strawberry.mutation(
        description=with_example(
            "Acknowledges the unacknowledged notifications that a filter selects, also resolved "
            "ones, or the events with the given IDs. Without `filter` and `ids`, acknowledges all "
            "notifications of the organization. With `notificationsOnly: false`, acknowledges all "
            "unacknowledged events that the filter selects. One call acknowledges at most 10,000 "
            "events by "
            "default, the oldest first. To acknowledge only what the user has seen, pass the "
            "cursor of the newest visible notification as `upTo`.\n\n"
            "Events are acknowledged in transactions of 500. A failed call can be repeated: "
            "events that are already acknowledged keep their time, credential and note, and are "
            "not counted.\n\n"
            "Requires EVENT_UPDATE. User errors: `INVALID_INPUT` if the note is too long, an ID "
            "is not a UUID, there are too many IDs, `ids` is combined with `filter` or `upTo`, or "
            "`notificationsOnly: false` is combined with `upTo` or has no `filter` or `ids`; "
            "`NOT_FOUND` for each unknown ID (the other events are still acknowledged). Request "
            "errors: `INVALID_CURSOR`, `CURSOR_EXPIRED`, `BAD_USER_INPUT`.",
            """
            mutation AcknowledgeSeen($newest: String!) {
              acknowledgeEvents(
                filter: { severities: [INFO, SUCCESS] }
                upTo: $newest
                note: "Seen in the morning shift."
              ) {
                acknowledgedCount
                userErrors { code message }
              }
            }
            """,
        )
    )
    async def acknowledge_events(
        self,
        info: Info,
        ids: IdsArgument = None,
        filter: FilterArgument = None,
        up_to: Annotated[
            str | None,
            strawberry.argument(
                description="Cursor of `notifications` or `notificationAdded`. Newer "
                "notifications are not acknowledged. No upper bound if omitted. Not allowed with "
                "`ids`."
            ),
        ] = None,
        note: Annotated[
            str | None,
            strawberry.argument(
                description="Note on each acknowledgement, at most 1,000 characters by default. "
                "Null if omitted."
            ),
        ] = None,
        notifications_only: Annotated[
            bool,
            strawberry.argument(
                description="Whether the filter selects notifications only. If false, `filter` "
                "(or `ids`) is required, where `{}` selects all events, and `upTo` is not allowed. "
                "Does not affect `ids`. Default true."
            ),
        ] = True,
    ) -> AcknowledgeEventsPayload:
        context, problems = info.context, list[Problem]()
        if ids is not None and up_to is not None:
            problems.append(invalid_input("Use either ids or upTo, not both.", "upTo"))
        if not notifications_only and ids is None and filter is None:
            message = "filter is required with notificationsOnly: false. {} selects all events."
            problems.append(invalid_input(message, "filter"))
        if not notifications_only and up_to is not None:
            message = "upTo is a position among notifications: omit notificationsOnly: false."
            problems.append(invalid_input(message, "upTo"))
        parsed_ids, event_filter = await _parse_selection(ids, filter, context, *problems)
        return AcknowledgeEventsPayload.from_result(
            await notifications.acknowledge_events(
                context.database,
                context.command,
                event_filter,
                up_to,
                note,
                parsed_ids,
                notifications_only=notifications_only,
            )
        )

    @strawberry.mutation(
        description=with_example(
            "Removes the acknowledgements of the events that a filter selects, whether or not "
            "they are notifications, or of the events with the given IDs. One call changes at "
            "most 10,000 events by default, the oldest first.\n\n"
            "Events are changed in transactions of 500. A failed call can be repeated: events "
            "that are not acknowledged are not counted.\n\n"
            "Requires EVENT_UPDATE. User errors: `INVALID_INPUT` unless exactly one of `ids` and "
            "`filter` is given, or if an ID is not a UUID or there are too many IDs; `NOT_FOUND` "
            "for each unknown ID (the other events are still changed). Request errors: "
            "`BAD_USER_INPUT`.",
            """
            mutation {
              unacknowledgeEvents(filter: { types: ["backup.*"], notification: true }) {
                changedCount
                remainingCount
                userErrors { code message }
              }
            }
            """,
        )
    )
    async def unacknowledge_events(
        self,
        info: Info,
        ids: IdsArgument = None,
        filter: Annotated[
            EventFilter | None,
            strawberry.argument(
                description="Conditions on the events. `{}` selects all events. Not allowed with "
                "`ids`."
            ),
        ] = None,
    ) -> BulkEventPayload:
        context = info.context
        parsed_ids, event_filter = await _parse_required_selection(ids, filter, context)
        return BulkEventPayload.from_result(
            await notifications.unacknowledge_events(
                context.database, context.command, event_filter, parsed_ids
            )
        )

    @strawberry.mutation(
        description=with_example(
            "Resolves the unresolved events with a status, which are notifications or have an "
            "alert key, that a filter selects, or the events with the "
            "given IDs. One call resolves at most 10,000 events by default, the oldest first.\n\n"
            "Events are resolved in transactions of 500. A failed call can be repeated: events "
            "that are already resolved keep their time, credential and note, and are not "
            "counted.\n\n"
            "Requires EVENT_UPDATE. User errors: `INVALID_INPUT` unless exactly one of `ids` and "
            "`filter` is given, or if the note is too long, an ID is not a UUID or there are too "
            "many IDs; `NOT_FOUND` for each unknown ID (the other events are still resolved). "
            "Request errors: `BAD_USER_INPUT`.",
            """
            mutation {
              resolveEvents(filter: { source: "/flare-monitor" }, note: "Flare stopped") {
                changedCount
                remainingCount
                userErrors { code message }
              }
            }
            """,
        )
    )
    async def resolve_events(
        self,
        info: Info,
        ids: IdsArgument = None,
        filter: Annotated[
            EventFilter | None,
            strawberry.argument(
                description="Conditions on the notifications. `{}` selects all notifications. Not "
                "allowed with `ids`."
            ),
        ] = None,
        note: Annotated[
            str | None,
            strawberry.argument(
                description="Note on each resolution, at most 1,000 characters by default. Null "
                "if omitted."
            ),
        ] = None,
    ) -> BulkEventPayload:
        context = info.context
        parsed_ids, event_filter = await _parse_required_selection(ids, filter, context)
        return BulkEventPayload.from_result(
            await status_changes.resolve_events(
                context.database, context.command, event_filter, note, parsed_ids
            )
        )

    @strawberry.mutation(
        description=with_example(
            "Removes the resolutions of the resolved events with a status, which are notifications "
            "or have an alert key, that a filter selects, or of the events with the given IDs. "
            "Their acknowledgements stay. Notifications move to the top of `notifications`, and "
            "`notificationAdded` delivers them again. One call reopens at most 10,000 events by "
            "default, the newest of the selected ones.\n\n"
            "An event stays resolved if another event with the same `source` and `alertKey` is "
            "not resolved; of several selected ones, the newest is reopened. `filter` does not "
            "select events that have to stay resolved.\n\n"
            "Events are reopened in transactions of 500. A failed call can be repeated: events "
            "that are not resolved are not counted.\n\n"
            "Requires EVENT_UPDATE. User errors: `INVALID_INPUT` unless exactly one of `ids` and "
            "`filter` is given, or if an ID is not a UUID or there are too many IDs; `NOT_FOUND` "
            "for each unknown ID, and `CONFLICT` for each ID of an event that stays resolved (the "
            "other events are still reopened). Request errors: `BAD_USER_INPUT`.",
            """
            mutation {
              reopenEvents(filter: { source: "/flare-monitor" }) {
                changedCount
                remainingCount
                userErrors { code message }
              }
            }
            """,
        )
    )
    async def reopen_events(
        self,
        info: Info,
        ids: IdsArgument = None,
        filter: Annotated[
            EventFilter | None,
            strawberry.argument(
                description="Conditions on the events. `{}` selects all resolved events with a "
                "status. Not allowed with `ids`."
            ),
        ] = None,
    ) -> BulkEventPayload:
        context = info.context
        parsed_ids, event_filter = await _parse_required_selection(ids, filter, context)
        return BulkEventPayload.from_result(
            await status_changes.reopen_events(
                context.database, context.command, event_filter, parsed_ids
            )
        )


@strawberry.type
class NotificationSubscriptions:
    @strawberry.subscription(
        description=with_example(
            "Delivers every new notification, in the order of the change log: an event that is "
            "logged with `notification: true`, or becomes a notification through an update or a "
            "counted duplicate. A notification is delivered again if a more severe duplicate with "
            "`notification: true` escalates it, and when it is reopened. A resolved event is not "
            "delivered. A notification that a silence suppresses is delivered when the silence is "
            "over, if it is still OPEN.\n\n"
            "To resume without a gap after a lost connection, pass the last received cursor as "
            "`after`: the notifications since then are delivered first.\n\n"
            "Requires EVENT_READ. Request errors: `INVALID_CURSOR`, `CURSOR_EXPIRED` if entries "
            "after the cursor have been pruned, `BAD_USER_INPUT`.",
            """
            subscription {
              notificationAdded(filter: { severities: [ERROR] }) {
                cursor
                node { id summary severity }
              }
            }
            """,
        )
    )
    async def notification_added(
        self, info: Info, filter: FilterArgument = None, after: SubscribeAfter = None
    ) -> AsyncIterator[NotificationEdge]:
        context = info.context
        event_filter = await parse_checked_filter(filter, context)
        subscription = await subscriptions.subscribe_to_notifications(
            context.database, context.caller, event_filter, context.resume_cursor(after)
        )
        return FollowedFeed(subscription, _to_notification_edge)


def _to_notification_edge(cursor: str, entry: Entry) -> NotificationEdge | None:
    """Converts an entry of the change log. None if the event has since been deleted."""
    if entry.event is None:
        return None
    return NotificationEdge(cursor=cursor, row=entry.event, position=entry.position)
