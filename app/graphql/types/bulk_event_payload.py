"""The payload of mutations that change many events."""

from __future__ import annotations

import strawberry

from app.graphql.types.user_error import UserError, to_user_errors
from app.services.events.bulk_changes import BulkResult

REMAINING_COUNT = (
    "Number of selected events that are left for another call, because one call changes at most "
    "10,000 events by default. 0 if no events are left."
)


@strawberry.type(description="Result of changing or deleting many events.")
class BulkEventPayload:
    changed_count: int = strawberry.field(
        default=0, description="Number of events that this call changed or deleted."
    )
    remaining_count: int = strawberry.field(default=0, description=REMAINING_COUNT)
    user_errors: list[UserError] = strawberry.field(
        description="Errors that prevented changes. Empty on success."
    )

    @classmethod
    def from_result(cls, result: BulkResult) -> BulkEventPayload:
        return cls(
            changed_count=result.changed_count,
            remaining_count=result.remaining_count,
            user_errors=to_user_errors(result.problems),
        )
