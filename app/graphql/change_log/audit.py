"""Query of audit entries."""

from __future__ import annotations

from typing import Annotated

import strawberry

from app.domain.access.audit import AuditAction
from app.domain.shared.limits import Limits
from app.domain.shared.messages import quote_value
from app.domain.shared.problems import bad_user_input
from app.graphql.shared.context import Info
from app.graphql.shared.examples import with_example
from app.graphql.shared.pages import After, First
from app.graphql.types.audit_entry import SUBJECTS_BY_TYPE, AuditEntryConnection
from app.graphql.types.event_inputs import FilterPath, TimeRange
from app.services.change_log import audit
from app.store.change_log.audit import ALL_ENTRIES
from app.store.change_log.audit import AuditFilter as StoredAuditFilter
from app.store.reading.pages import parse_page_request


@strawberry.input(
    description=with_example(
        "Conditions on audit entries. An entry must meet all given conditions; a condition that is "
        "null or omitted is ignored, and an empty list matches no entry. By default, a list can "
        "have at most 100 values; otherwise the error is `BAD_USER_INPUT`.",
        """
        { actions: [DELETED], subjectTypes: ["GuardRule"], at: { from: "2026-04-10T00:00:00Z" } }
        """,
    )
)
class AuditFilter:
    actions: list[AuditAction] | None = strawberry.field(
        default=None, description="Actions, one of which the entry must record."
    )
    actors: list[str] | None = strawberry.field(
        default=None, description="Actors (`AuditEntry.actor`), one of whom made the change."
    )
    subject_types: list[str] | None = strawberry.field(
        default=None,
        description="Types of subject (`AuditEntry.subjectType`), one of which the subject must "
        "have. Any other name is rejected with `BAD_USER_INPUT`.",
    )
    subject_id: strawberry.ID | None = strawberry.field(
        default=None, description="ID of the existing or deleted subject."
    )
    at: TimeRange | None = strawberry.field(
        default=None, description="Time range in which the change was made."
    )

    def to_domain(self, limits: Limits) -> StoredAuditFilter:
        """Converts the filter. Raises RequestError BAD_USER_INPUT with a path if it is invalid."""
        path = FilterPath(limits, ("filter",))
        subject_types = path.check_size(self.subject_types, "subjectTypes")
        return StoredAuditFilter(
            actions=path.check_size(self.actions, "actions"),
            actors=path.check_texts(self.actors, "actors"),
            subjects=None if subject_types is None else _parse_subject_types(subject_types),
            subject_id=path.parse_id(self.subject_id, "subjectId"),
            at=None if self.at is None else self.at.to_domain(),
        )


def _parse_subject_types(names: tuple[str, ...]) -> tuple[str, ...]:
    for index, name in enumerate(names):
        if name not in SUBJECTS_BY_TYPE:
            message = (
                f"Unknown subject type {quote_value(name[:100])}: expected one of "
                f"{', '.join(sorted(SUBJECTS_BY_TYPE))}."
            )
            raise bad_user_input(message, "filter", "subjectTypes", str(index))
    return tuple(SUBJECTS_BY_TYPE[name] for name in names)


@strawberry.type
class AuditQueries:
    @strawberry.field(
        description=with_example(
            "Changes to everything but events, newest first: to event types and their fields, "
            "rules of every kind, silences, channels, API keys, retention policies and the "
            "organization. "
            "Includes changes to objects that were deleted since.\n\n"
            "Requires ORGANIZATION_MANAGE. Request errors: `INVALID_CURSOR`, `BAD_USER_INPUT`.",
            """
            {
              auditEntries(filter: { subjectTypes: ["GuardRule", "ConditionalRule"] }, first: 50) {
                nodes { at actor action subjectType subjectName changes }
                pageInfo { hasNextPage endCursor }
              }
            }
            """,
        )
    )
    async def audit_entries(
        self,
        info: Info,
        filter: Annotated[
            AuditFilter | None,
            strawberry.argument(description="Conditions on the entries. All entries if omitted."),
        ] = None,
        first: First = 20,
        after: After = None,
    ) -> AuditEntryConnection:
        context = info.context
        page = await audit.fetch_page(
            context.database,
            context.caller,
            parse_page_request(context.limits, first=first, after=after),
            ALL_ENTRIES if filter is None else filter.to_domain(context.limits),
        )
        return AuditEntryConnection.from_page(page)
