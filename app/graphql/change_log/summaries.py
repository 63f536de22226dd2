"""Query, mutation and subscription of the summary of notifications, and their read marks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

import strawberry

from app.domain.events.severity import Severity
from app.graphql.change_log.notifications import FilterArgument
from app.graphql.execution.subscription_execution import LiveValue
from app.graphql.shared.context import Info
from app.graphql.shared.examples import with_example
from app.graphql.types.event_inputs import parse_checked_filter, parse_event_filter
from app.graphql.types.user_error import UserError
from app.services.change_log import notification_summaries, read_marks


@strawberry.type(description="Number of open notifications with a severity.")
class SeverityCount:
    severity: Severity = strawberry.field(description="Severity of the notifications.")
    count: int = strawberry.field(description="Number of open notifications with this severity.")


@strawberry.type(
    description="Numbers of notifications, for a notification bell. Open notifications are those "
    "with the status OPEN, which are neither acknowledged nor resolved."
)
class NotificationSummary:
    open_count: int = strawberry.field(description="Number of open notifications.")
    unread_count: int = strawberry.field(
        description="Number of open notifications that the caller has not marked as read with "
        "`markNotificationsRead`. At most 1,000: if there are more, it is 1,000."
    )
    by_severity: list[SeverityCount] = strawberry.field(
        description="Number of open notifications of each severity, most severe first. Severities "
        "without open notifications are omitted."
    )
    cursor: str = strawberry.field(
        description="Position in the change log. The numbers contain all changes up to the "
        "position and possibly later ones. Pass it as `after` to `notificationAdded` or "
        "`eventChanged` to follow the changes since then, or as `upTo` to "
        "`markNotificationsRead`."
    )

    @classmethod
    def from_domain(
        cls, summary: notification_summaries.NotificationSummary
    ) -> NotificationSummary:
        counts = summary.notifications.counts
        return cls(
            open_count=sum(count for _, count in counts),
            unread_count=summary.unread_count,
            by_severity=[
                SeverityCount(severity=severity, count=count) for severity, count in counts
            ],
            cursor=summary.notifications.cursor,
        )


@strawberry.type
class NotificationSummaryQueries:
    @strawberry.field(
        description=with_example(
            "Numbers of open and unread notifications. To keep them up to date, use the "
            "subscription `notificationSummaryChanged`.\n\n"
            "Requires EVENT_READ. Request errors: `BAD_USER_INPUT`.",
            """
            {
              notificationSummary(filter: { severities: [ERROR, WARN] }) {
                openCount
                unreadCount
                bySeverity { severity count }
              }
            }
            """,
        )
    )
    async def notification_summary(
        self, info: Info, filter: FilterArgument = None
    ) -> NotificationSummary:
        context = info.context
        event_filter = await parse_checked_filter(filter, context)
        return NotificationSummary.from_domain(
            await notification_summaries.fetch_summary(
                context.database, context.caller, event_filter
            )
        )


@strawberry.type(description="Result of marking notifications as read.")
class MarkNotificationsReadPayload:
    summary: NotificationSummary | None = strawberry.field(
        description="Numbers of all notifications after the change. Null on error."
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Errors that prevented the change. Empty on success."
    )


@strawberry.type
class NotificationSummaryMutations:
    @strawberry.mutation(
        description=with_example(
            "Marks all notifications up to a cursor as read, for the calling user or API key "
            "only. Unlike an acknowledgement, it does not change the notifications for others. "
            "A mark never moves back: a cursor before the caller's mark changes nothing. "
            "After a restore or a failover of the database, all notifications are unread.\n\n"
            "Requires EVENT_READ. Request errors: `INVALID_CURSOR`, `CURSOR_EXPIRED`.",
            """
            mutation MarkRead($newest: String!) {
              markNotificationsRead(upTo: $newest) {
                summary { openCount unreadCount }
                userErrors { code message }
              }
            }
            """,
        )
    )
    async def mark_notifications_read(
        self,
        info: Info,
        up_to: Annotated[
            str,
            strawberry.argument(
                description="Cursor of the newest notification that was read, or the cursor of a "
                "summary. If other notifications may still be recorded before it, they stay "
                "unread."
            ),
        ],
    ) -> MarkNotificationsReadPayload:
        context = info.context
        await read_marks.mark_notifications_read(
            context.database, context.caller, up_to, context.now
        )
        summary = await notification_summaries.fetch_summary(
            context.database, context.caller, parse_event_filter(None, context.limits)
        )
        return MarkNotificationsReadPayload(summary=NotificationSummary.from_domain(summary))


@strawberry.type
class NotificationSummarySubscriptions:
    @strawberry.subscription(
        description=with_example(
            "Delivers the current summary at once, and a new one whenever its numbers change, at "
            "most four a second. A client that reads slowly skips summaries and receives the "
            "latest. After a lost connection, subscribe again: the first summary is current.\n\n"
            "Requires EVENT_READ. Request errors: `BAD_USER_INPUT`.",
            """
            subscription {
              notificationSummaryChanged {
                openCount
                unreadCount
                bySeverity { severity count }
              }
            }
            """,
        )
    )
    async def notification_summary_changed(
        self, info: Info, filter: FilterArgument = None
    ) -> AsyncIterator[NotificationSummary]:
        context = info.context
        summaries = context.notification_summaries.subscribe(
            context.caller, await parse_checked_filter(filter, context)
        )
        return LiveValue(
            summaries,
            NotificationSummary.from_domain,
            lambda summary: (summary.notifications.responses, summary.unread_count),
        )
