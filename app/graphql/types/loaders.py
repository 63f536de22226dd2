"""Interface of the data loaders that resolvers of object types use.

`app.graphql.loaders` implements it. The interface is here and not in the module of the context,
because it names the object types, which all import that module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast
from uuid import UUID

from strawberry.dataloader import DataLoader

from app.domain.event_types.definitions import VersionDefinition
from app.domain.rules.guards import Violation
from app.domain.shared.problems import bad_user_input
from app.graphql.shared.context import Info
from app.services.channels.delivery_pages import ChannelProgress, DeliveryPageKey
from app.services.definitions.event_types import Version, VersionPageKey
from app.store.reading.pages import PageRequest
from app.store.tables import RuleTable

if TYPE_CHECKING:
    from app.domain.access.caller import Caller
    from app.graphql.shared.pages import Connection
    from app.graphql.types.channel import Channel, DeliveryConnection
    from app.graphql.types.conditional_rule import ConditionalRule
    from app.graphql.types.correlation import CorrelationConnection
    from app.graphql.types.event import Event
    from app.graphql.types.event_change import EventChangeConnection
    from app.graphql.types.event_type import EventField, EventType, EventTypeVersion
    from app.graphql.types.field_value import FieldValue
    from app.graphql.types.guard_rule import GuardRuleVersion
    from app.graphql.types.silence import Silence
    from app.graphql.types.source import RejectedPayload
    from app.store.change_log.changes import LogPosition

RelatedT = TypeVar("RelatedT")
# The table of a rule of any kind, and its ID or that of an event type.
RuleKey = tuple[RuleTable, UUID]


class Loaders(Protocol):
    """Data loaders of one HTTP request or WebSocket connection. A key without a row loads None."""

    events: DataLoader[UUID, Event | None]
    guard_violations: DataLoader[UUID, list[Violation] | None]
    silences: DataLoader[UUID, Silence | None]
    rejected_payloads: DataLoader[UUID, list[RejectedPayload] | None]
    rejected_counts: DataLoader[UUID, int | None]
    event_types: DataLoader[UUID, EventType | None]
    event_fields: DataLoader[UUID, list[EventField] | None]
    conditional_rules: DataLoader[UUID, list[ConditionalRule] | None]
    version_definitions: DataLoader[Version, VersionDefinition | None]
    event_type_versions: DataLoader[VersionPageKey, Connection[EventTypeVersion] | None]
    rules: DataLoader[RuleKey, Any]
    rules_by_event_type: DataLoader[RuleKey, list[Any] | None]
    guard_rule_version: DataLoader[Version, GuardRuleVersion | None]
    guard_rule_versions: DataLoader[UUID, list[GuardRuleVersion] | None]
    match_counts: DataLoader[UUID, int | None]
    read_positions: DataLoader[Caller, LogPosition | None]
    channels: DataLoader[UUID, Channel | None]
    channel_progress: DataLoader[UUID, ChannelProgress | None]
    deliveries: DataLoader[DeliveryPageKey, DeliveryConnection | None]
    event_histories: DataLoader[tuple[UUID, PageRequest], EventChangeConnection | None]

    async def field_values(
        self, event_type_id: UUID, version: int, values: Any
    ) -> list[FieldValue]: ...

    async def correlations(
        self, event_id: UUID, depth: int, request: PageRequest
    ) -> CorrelationConnection: ...


def get_loaders(info: Info) -> Loaders:
    """Returns the data loaders of the current request."""
    return cast("Loaders", info.context.loaders)


def require_existing(related: RelatedT | None, noun: str) -> RelatedT:
    """Returns the related object. Raises BAD_USER_INPUT if it was deleted during the request."""
    if related is None:
        raise bad_user_input(f"The {noun} was deleted during the request. Repeat the request.")
    return related
