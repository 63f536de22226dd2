"""Audit entries and their connection."""

from __future__ import annotations

from datetime import datetime

import strawberry
from strawberry.scalars import JSON

from app.domain.access.audit import AuditAction, format_changes
from app.domain.shared.values import to_camel_case
from app.graphql.shared import enums  # noqa: F401 (describes the enums before they are used)
from app.graphql.shared.nodes import Node, format_id
from app.graphql.shared.pages import PageInfo, build_page_info
from app.services.change_log.audit import AuditPage
from app.store import tables
from app.store.change_log.audit import SUBJECTS, entry_id


def _format_subject_type(subject: str) -> str:
    """Returns the name of the object type, for example `GuardRule`."""
    return to_camel_case(f"_{subject}")


SUBJECTS_BY_TYPE = {_format_subject_type(subject): subject for subject in SUBJECTS}


@strawberry.type(
    description="An entry about anything but an event in the change log: who changed what, and "
    "when. The entry is written in the transaction that makes the change."
)
class AuditEntry(Node):
    at: datetime = strawberry.field(description="Time of the change.")
    actor: str = strawberry.field(
        description="Actor that made the change: the name of the API key, the subject of the "
        "access token, or the command, such as `tocsin keys`. For SIGN_IN_FAILED, the name of the "
        "API key that was rejected."
    )
    action: AuditAction = strawberry.field(description="Action that the entry records.")
    subject_type: str = strawberry.field(
        description="Object type of the subject, that is, of what was changed: "
        f"{', '.join(f'`{name}`' for name in sorted(SUBJECTS_BY_TYPE))}."
    )
    subject_id: strawberry.ID | None = strawberry.field(
        description="ID of the subject, which may have been deleted since."
    )
    subject_name: str | None = strawberry.field(
        description="Name of the subject after the change. Null if the subject has no name."
    )
    changes: JSON = strawberry.field(
        description="Changed values of the subject before and after the change, by name of the "
        'field, such as `{"enabled": [true, false]}`. For CREATED, all values before are null; '
        "for DELETED, all values after are. Secrets are never included. `fields` and "
        "`conditionalRules` of an event type contain names; the changes to a field or conditional "
        "rule itself are a separate entry. Empty for an UPDATED entry that an earlier version of "
        "Tocsin wrote. For SIGN_IN_FAILED, `reason` is EXPIRED or REVOKED. For RETENTION_APPLIED, "
        "`before` is the time before which entries were removed, `removedEventChanges` and "
        "`removedAuditEntries` are their numbers, and `oldestRemoved` and `newestRemoved` their "
        "first and last times; an entry about a retention policy has `before` and `deletedEvents`. "
        "For a channel, `address` and `headers` say that these secrets were changed, `lastError` "
        "is the error of DELIVERIES_FAILING, and `reason` that of DELIVERIES_SKIPPED."
    )

    @classmethod
    def from_row(cls, row: tables.Change) -> AuditEntry:
        action = AuditAction(row.kind)
        return cls(
            id=format_id(entry_id(row)),
            at=row.at,
            actor=row.actor,
            action=action,
            subject_type=_format_subject_type(row.subject),
            subject_id=format_id(row.subject_id),
            subject_name=row.state.get("name"),
            changes=JSON(format_changes(action, row.changes, row.state)),
        )


@strawberry.type(description="An audit entry and its cursor.")
class AuditEntryEdge:
    cursor: str = strawberry.field(description="Cursor of the entry in `auditEntries`.")
    node: AuditEntry = strawberry.field(description="The entry.")


@strawberry.type(
    description="A page of audit entries, newest first. With conditions, at most 200,000 entries "
    "are examined per page, so a page can be short or empty even though `hasNextPage` is true: "
    "continue with `endCursor`."
)
class AuditEntryConnection:
    edges: list[AuditEntryEdge] = strawberry.field(
        description="Entries of this page with their cursors."
    )
    page_info: PageInfo = strawberry.field(description="Pagination information.")

    @strawberry.field(description="Entries of this page without their cursors.")
    def nodes(self) -> list[AuditEntry]:
        return [edge.node for edge in self.edges]

    @classmethod
    def from_page(cls, page: AuditPage) -> AuditEntryConnection:
        edges = [
            AuditEntryEdge(cursor=cursor, node=AuditEntry.from_row(row))
            for cursor, row in page.entries
        ]
        return cls(
            edges=edges,
            page_info=build_page_info(page, edges, page.end),
        )
