"""Sources and the payloads that they have rejected."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import strawberry

from app.domain.sources import sources as domain
from app.domain.sources.sources import SourceKind
from app.graphql.shared import enums  # noqa: F401 (describes the enums before they are used)
from app.graphql.shared.context import Context, Info
from app.graphql.shared.nodes import Node, format_id
from app.graphql.types.loaders import get_loaders
from app.services.sources.sources import read_mapping
from app.store import tables

ATTRIBUTE_DESCRIPTIONS = {
    "summary": "Expression for the summary of the event: a string.",
    "severity": "Expression for the severity: a string, as in `LogEventInput`.",
    "content": "Expression for the content: a string.",
    "type": "Expression for the event type: a string, such as `disk.full`.",
    "entity_type": "Expression for the type of the entity: a string. Requires `entityId`.",
    "entity_id": "Expression for the ID of the entity: a string. Requires `entityType`.",
    "occurred_at": "Expression for the time of the event: an RFC 3339 timestamp, or the result of "
    "`timestamp()`. The time of arrival if null.",
    "alert_key": "Expression for the alert key: a string, as in `LogEventInput`.",
    "resolved": "Expression that is true if the payload resolves the event of the alert key. "
    "Requires `alertKey`.",
    "acknowledged": "Expression that is true if the event is already acknowledged.",
    "notification": "Expression that is true if the event is a notification.",
    "tags": "Expression for the tags: a list of strings.",
    "fields": "Expression for the custom fields: a JSON object, such as `body` for all of it.",
    "source_id": "Expression for the ID of the event at its sender: a string. A payload that is "
    "sent again with the same ID is logged only once.",
}


def format_source_url(context: Context, source_id: UUID) -> str:
    """Returns the address of a source without its token."""
    return f"{context.public_url.rstrip('/')}{domain.format_source_uri(source_id)}"


@strawberry.type(
    description="How the payloads of a source become events: a CEL expression for each attribute, "
    "over `body`, the JSON value of the payload, and `headers`, the request headers by name in "
    "lower case, without credentials."
)
class SourceMapping:
    summary: str = strawberry.field(description=ATTRIBUTE_DESCRIPTIONS["summary"])
    severity: str | None = strawberry.field(description=ATTRIBUTE_DESCRIPTIONS["severity"])
    content: str | None = strawberry.field(description=ATTRIBUTE_DESCRIPTIONS["content"])
    type: str | None = strawberry.field(description=ATTRIBUTE_DESCRIPTIONS["type"])
    entity_type: str | None = strawberry.field(description=ATTRIBUTE_DESCRIPTIONS["entity_type"])
    entity_id: str | None = strawberry.field(description=ATTRIBUTE_DESCRIPTIONS["entity_id"])
    occurred_at: str | None = strawberry.field(description=ATTRIBUTE_DESCRIPTIONS["occurred_at"])
    alert_key: str | None = strawberry.field(description=ATTRIBUTE_DESCRIPTIONS["alert_key"])
    resolved: str | None = strawberry.field(description=ATTRIBUTE_DESCRIPTIONS["resolved"])
    acknowledged: str | None = strawberry.field(description=ATTRIBUTE_DESCRIPTIONS["acknowledged"])
    notification: str | None = strawberry.field(description=ATTRIBUTE_DESCRIPTIONS["notification"])
    tags: str | None = strawberry.field(description=ATTRIBUTE_DESCRIPTIONS["tags"])
    fields: str | None = strawberry.field(description=ATTRIBUTE_DESCRIPTIONS["fields"])
    source_id: str | None = strawberry.field(description=ATTRIBUTE_DESCRIPTIONS["source_id"])

    @classmethod
    def from_domain(cls, mapping: domain.SourceMapping) -> SourceMapping:
        return cls(**vars(mapping))


@strawberry.type(description="A payload that a source has rejected.")
class RejectedPayload:
    at: datetime = strawberry.field(description="Time at which the payload was received.")
    error: str = strawberry.field(
        description="Why the payload could not be read, or why one of its events was rejected."
    )
    body: str = strawberry.field(
        description="Beginning of the payload, at most 64 KiB (configurable). The token of the "
        "source is replaced by `***`."
    )

    @classmethod
    def from_row(cls, row: tables.RejectedPayload) -> RejectedPayload:
        return cls(at=row.at, error=row.error, body=row.body)


@strawberry.type(
    description="A source: an address to which another system sends payloads, which become events. "
    "The address is `POST /sources/{id}` with the token as a bearer token, or "
    "`POST /sources/{id}/{token}` for systems that cannot send headers. PagerDuty senders can also "
    "use `POST /v2/enqueue` with the token as `routing_key`. The events have the `source` "
    "`/sources/{id}`."
)
class Source(Node):
    name: str = strawberry.field(
        description="Display name of the source. It is the actor of the changes that its payloads "
        "make."
    )
    kind: SourceKind = strawberry.field(description="Format of the payloads.")
    mapping: SourceMapping | None = strawberry.field(
        description="How payloads become events. Null unless the kind is JSON."
    )
    enabled: bool = strawberry.field(
        description="Whether the source accepts payloads. A disabled source responds with 403."
    )
    last_received_at: datetime | None = strawberry.field(
        description="Time of the last payload, accurate to one minute. Null if there was none."
    )
    created_at: datetime = strawberry.field(description="Time of creation.")
    updated_at: datetime = strawberry.field(
        description="Time of the last change of the source or its token."
    )

    @strawberry.field(
        description="Address to which systems send payloads by POST, without the token: they send "
        "it as a bearer token."
    )
    async def url(self, info: Info) -> str:
        return format_source_url(info.context, UUID(self.id))

    @strawberry.field(
        description="Number of payloads in `rejected`: at most 20 (configurable), because earlier "
        "ones are not kept."
    )
    async def rejected_count(self, info: Info) -> int:
        return await get_loaders(info).rejected_counts.load(UUID(self.id)) or 0

    @strawberry.field(
        description="Payloads that could not be read, or of which an event was rejected, newest "
        "first: the last 20 (configurable)."
    )
    async def rejected(self, info: Info) -> list[RejectedPayload]:
        return await get_loaders(info).rejected_payloads.load(UUID(self.id)) or []

    @classmethod
    def from_row(cls, row: tables.Source) -> Source:
        mapping = read_mapping(row)
        return cls(
            id=format_id(row.id),
            name=row.name,
            kind=row.kind,
            mapping=None if mapping is None else SourceMapping.from_domain(mapping),
            enabled=row.enabled,
            last_received_at=row.last_received_at,
            created_at=row.created_at,
            updated_at=row.updated_at,
        )
