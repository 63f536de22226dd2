"""Data loaders: each reads the related rows of many rows of a response in one statement."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

from strawberry.dataloader import DataLoader

from app.domain.access.caller import Caller
from app.domain.event_types.definitions import VersionDefinition
from app.domain.rules.guards import Violation
from app.graphql.shared.context import Context
from app.graphql.shared.field_sources import build_object
from app.graphql.shared.pages import Connection
from app.graphql.types.channel import Channel, DeliveryConnection
from app.graphql.types.conditional_rule import ConditionalRule
from app.graphql.types.correlation import CorrelationConnection
from app.graphql.types.event import Event
from app.graphql.types.event_change import EventChangeConnection
from app.graphql.types.event_type import EventField, EventType, EventTypeVersion
from app.graphql.types.field_value import FieldValue
from app.graphql.types.guard_rule import GuardRuleVersion
from app.graphql.types.loaders import RuleKey
from app.graphql.types.silence import Silence
from app.graphql.types.source import RejectedPayload
from app.services.change_log import history, read_marks
from app.services.channels import delivery_pages
from app.services.channels.delivery_pages import ChannelProgress, DeliveryPageKey
from app.services.definitions import event_types, guards, rules
from app.services.definitions.event_types import Version, VersionPageKey
from app.services.events import correlation_queries, guard_violations
from app.services.rules import duplication_rules
from app.services.shared.readers import RowT, fetch_rows_by_id
from app.services.sources import sources
from app.store import tables
from app.store.change_log.changes import LogPosition
from app.store.reading.pages import PageRequest

Key = TypeVar("Key")
Value = TypeVar("Value")


class RequestLoaders:
    """Data loaders of one operation, or of all responses of a broadcast."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.events: DataLoader[UUID, Event | None] = self._create_loader(self._load_events)
        self.guard_violations: DataLoader[UUID, list[Violation] | None] = self._create_loader(
            self._load_guard_violations
        )
        self.silences: DataLoader[UUID, Silence | None] = self._create_loader(self._load_silences)
        self.rejected_payloads: DataLoader[UUID, list[RejectedPayload] | None] = (
            self._create_loader(self._load_rejected_payloads)
        )
        self.rejected_counts: DataLoader[UUID, int | None] = self._create_loader(
            self._load_rejected_counts
        )
        self.event_types: DataLoader[UUID, EventType | None] = self._create_loader(
            self._load_event_types
        )
        self.event_fields: DataLoader[UUID, list[EventField] | None] = self._create_loader(
            self._load_event_fields
        )

        self.rules: DataLoader[RuleKey, Any] = self._create_loader(self._load_rules)
        self.rules_by_event_type: DataLoader[RuleKey, list[Any] | None] = self._create_loader(
            self._load_rules_by_event_type
        )
        self.guard_rule_version: DataLoader[Version, GuardRuleVersion | None] = self._create_loader(
            self._load_guard_rule_version
        )
        self.guard_rule_versions: DataLoader[UUID, list[GuardRuleVersion] | None] = (
            self._create_loader(self._load_guard_rule_versions)
        )
        self.match_counts: DataLoader[UUID, int | None] = self._create_loader(
            self._load_match_counts
        )
        self.conditional_rules: DataLoader[UUID, list[ConditionalRule] | None] = (
            self._create_loader(self._load_conditional_rules)
        )
        self.version_definitions: DataLoader[Version, VersionDefinition | None] = (
            self._create_loader(self._load_version_definitions)
        )
        self.event_type_versions: DataLoader[
            VersionPageKey, Connection[EventTypeVersion] | None
        ] = self._create_loader(self._load_event_type_versions)
        self.read_positions: DataLoader[Caller, LogPosition | None] = self._create_loader(
            self._load_read_positions
        )
        self.channels: DataLoader[UUID, Channel | None] = self._create_loader(self._load_channels)
        self.channel_progress: DataLoader[UUID, ChannelProgress | None] = self._create_loader(
            self._load_channel_progress
        )
        self.deliveries: DataLoader[DeliveryPageKey, DeliveryConnection | None] = (
            self._create_loader(self._load_deliveries)
        )
        self.event_histories: DataLoader[tuple[UUID, PageRequest], EventChangeConnection | None] = (
            self._create_loader(self._load_event_histories)
        )
        self.direct_correlations: DataLoader[
            tuple[UUID, PageRequest], CorrelationConnection | None
        ] = self._create_loader(self._load_direct_correlations)

    async def field_values(
        self, event_type_id: UUID, version: int, values: Any
    ) -> list[FieldValue]:
        definition = await self.version_definitions.load((event_type_id, version))
        return [
            FieldValue.from_definition(event_type_id, version, field, values[field.name])
            for field in (definition.fields if definition else ())
            if field.name in values
        ]

    async def correlations(
        self, event_id: UUID, depth: int, request: PageRequest
    ) -> CorrelationConnection:
        if depth > 1:
            context = self._context
            page = await correlation_queries.fetch_page(
                context.database, context.caller, request, event_id, depth, context.limits
            )
            return CorrelationConnection.from_neighbours(page)
        connection = await self.direct_correlations.load((event_id, request))
        if connection is None:
            raise KeyError(event_id)
        return connection

    async def _load_direct_correlations(
        self, keys: list[tuple[UUID, PageRequest]]
    ) -> dict[tuple[UUID, PageRequest], CorrelationConnection]:
        connections = {}
        for request in {request for _, request in keys}:
            ids = [event_id for event_id, key_request in keys if key_request == request]
            context = self._context
            pages = await correlation_queries.fetch_direct_pages(
                context.database, context.caller, request, ids, context.limits
            )
            for event_id, page in pages.items():
                connections[event_id, request] = CorrelationConnection.from_neighbours(page)
        return connections

    async def _load_event_histories(
        self, keys: list[tuple[UUID, PageRequest]]
    ) -> dict[tuple[UUID, PageRequest], EventChangeConnection]:
        connections = {}
        for request in {request for _, request in keys}:
            ids = [event_id for event_id, key_request in keys if key_request == request]
            context = self._context
            pages = await history.fetch_pages(context.database, context.caller, request, ids)
            for event_id, page in pages.items():
                connections[event_id, request] = EventChangeConnection.from_history(page)
        return connections

    async def _load_channels(self, ids: list[UUID]) -> dict[UUID, Channel]:
        rows = await self._fetch_rows(tables.Channel, ids)
        return {id: Channel.from_row(row) for id, row in rows.items()}

    async def _load_channel_progress(self, ids: list[UUID]) -> dict[UUID, ChannelProgress]:
        context = self._context
        return await delivery_pages.fetch_progress(context.database, context.caller, ids)

    async def _load_deliveries(
        self, keys: list[DeliveryPageKey]
    ) -> dict[DeliveryPageKey, DeliveryConnection]:
        context = self._context
        pages = await delivery_pages.fetch_pages(context.database, context.caller, keys)
        return {key: DeliveryConnection.from_page(page) for key, page in pages.items()}

    async def _load_read_positions(self, callers: list[Caller]) -> dict[Caller, LogPosition]:
        database = self._context.database
        return {
            caller: await read_marks.fetch_read_position(database, caller) for caller in {*callers}
        }

    async def _load_event_types(self, ids: list[UUID]) -> dict[UUID, EventType]:
        rows = await self._fetch_rows(tables.EventType, ids)
        return {id: EventType.from_row(row) for id, row in rows.items()}

    async def _load_event_fields(self, ids: list[UUID]) -> dict[UUID, list[EventField]]:
        rows = await event_types.fetch_fields(self._context.database, self._context.caller, ids)
        return {id: [EventField.from_row(row) for row in fields] for id, fields in rows.items()}

    async def _load_events(self, ids: list[UUID]) -> dict[UUID, Event]:
        rows = await self._fetch_rows(tables.Event, ids)
        return {id: Event.from_row(row) for id, row in rows.items()}

    async def _load_rejected_payloads(
        self, source_ids: list[UUID]
    ) -> dict[UUID, list[RejectedPayload]]:
        context = self._context
        payloads = await sources.fetch_rejected_payloads(
            context.database, context.caller, source_ids
        )
        return {
            source_id: [RejectedPayload.from_row(row) for row in rows]
            for source_id, rows in payloads.items()
        }

    async def _load_rejected_counts(self, source_ids: list[UUID]) -> dict[UUID, int]:
        context = self._context
        return await sources.count_rejected_payloads(context.database, context.caller, source_ids)

    async def _load_guard_violations(self, ids: list[UUID]) -> dict[UUID, list[Violation]]:
        context = self._context
        return await guard_violations.fetch_violations(
            context.database, context.caller, ids, datetime.now(UTC), context.limits
        )

    async def _load_silences(self, ids: list[UUID]) -> dict[UUID, Silence]:
        rows = await self._fetch_rows(tables.Silence, ids)
        return {id: Silence.from_row(row) for id, row in rows.items()}

    async def _load_rules(self, keys: list[RuleKey]) -> dict[RuleKey, Any]:
        objects = dict[RuleKey, Any]()
        for table, ids in _group_by_table(keys).items():
            rows = await self._fetch_rows(table, ids)
            objects |= {(table, id): build_object(row) for id, row in rows.items()}
        return objects

    async def _load_rules_by_event_type(self, keys: list[RuleKey]) -> dict[RuleKey, list[Any]]:
        context, objects = self._context, dict[RuleKey, list[Any]]()
        for table, ids in _group_by_table(keys).items():
            rows_by_type = await rules.fetch_rules_by_type(
                context.database, context.caller, table, ids
            )
            objects |= {
                (table, id): [build_object(row) for row in rows]
                for id, rows in rows_by_type.items()
            }
        return objects

    async def _load_guard_rule_version(
        self, versions: list[Version]
    ) -> dict[Version, GuardRuleVersion]:
        rows = await guards.fetch_versions(self._context.database, self._context.caller, versions)
        return {version: GuardRuleVersion.from_row(row) for version, row in rows.items()}

    async def _load_guard_rule_versions(
        self, ids: list[UUID]
    ) -> dict[UUID, list[GuardRuleVersion]]:
        rows_by_rule = await guards.fetch_all_versions(
            self._context.database, self._context.caller, ids
        )
        return {
            id: [GuardRuleVersion.from_row(row) for row in rows]
            for id, rows in rows_by_rule.items()
        }

    async def _load_match_counts(self, ids: list[UUID]) -> dict[UUID, int]:
        return await duplication_rules.fetch_match_counts(
            self._context.database, self._context.caller, ids
        )

    async def _load_conditional_rules(self, ids: list[UUID]) -> dict[UUID, list[ConditionalRule]]:
        rows = await event_types.fetch_conditional_rules(
            self._context.database, self._context.caller, ids
        )
        return {id: [ConditionalRule.from_row(row) for row in rules] for id, rules in rows.items()}

    async def _load_version_definitions(
        self, versions: list[Version]
    ) -> dict[Version, VersionDefinition]:
        return await event_types.fetch_version_definitions(
            self._context.database, self._context.caller, versions
        )

    async def _load_event_type_versions(
        self, keys: list[VersionPageKey]
    ) -> dict[VersionPageKey, Connection[EventTypeVersion]]:
        caller = self._context.caller
        rows_by_key = await event_types.fetch_version_pages(self._context.database, caller, keys)
        return {
            key: EventTypeVersion.build_connection(caller.organization_id, key, rows)
            for key, rows in rows_by_key.items()
        }

    async def _fetch_rows(self, table: type[RowT], ids: list[UUID]) -> dict[UUID, RowT]:
        return await fetch_rows_by_id(self._context.database, self._context.caller, table, ids)

    def _create_loader(
        self, read: Callable[[list[Key]], Awaitable[dict[Key, Value]]]
    ) -> DataLoader[Key, Value | None]:
        async def load(keys: list[Key]) -> list[Value | None]:
            values = await read(keys)
            return [values.get(key) for key in keys]

        # A broadcast has one context: without `cache=False`, later responses would have the values
        # that were read for an earlier one.
        return DataLoader(load_fn=load, cache=False)


def _group_by_table(keys: list[RuleKey]) -> dict[tables.RuleTable, list[UUID]]:
    ids: dict[tables.RuleTable, list[UUID]] = defaultdict(list)
    for table, id in keys:
        ids[table].append(id)
    return ids
