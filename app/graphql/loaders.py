"""What many rows of one answer ask for, read in one statement each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from uuid import UUID

from strawberry.dataloader import DataLoader

from app.domain.event_types.definitions import Form
from app.graphql.shared.context import Context
from app.graphql.types.conditional_rule import ConditionalRule
from app.graphql.types.correlation import CorrelationConnection
from app.graphql.types.duplication_rule import DuplicationRule
from app.graphql.types.event import Event
from app.graphql.types.event_change import EventChangeConnection
from app.graphql.types.event_type import EventField, EventType
from app.graphql.types.field_value import FieldValue
from app.graphql.types.guard_rule import GuardRule, GuardRuleVersion
from app.services.change_log import history
from app.services.definitions import event_types, guards, rules
from app.services.definitions.event_types import Version
from app.services.events import correlation_queries, event_queries
from app.services.rules import duplication_rules
from app.store import tables
from app.store.reading.pages import PageRequest

Key = TypeVar("Key")
Found = TypeVar("Found")


class Loaders:
    """Of one request, or of one socket."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.events: DataLoader[UUID, Event | None] = self._loader(self._events)
        self.event_types: DataLoader[UUID, EventType | None] = self._loader(self._event_types)
        self.event_fields: DataLoader[UUID, list[EventField] | None] = self._loader(
            self._event_fields
        )

        self.guard_rules: DataLoader[UUID, GuardRule | None] = self._loader(self._guard_rules)
        self.guard_rules_of: DataLoader[UUID, list[GuardRule] | None] = self._loader(
            self._guard_rules_of
        )
        self.guard_version: DataLoader[Version, GuardRuleVersion | None] = self._loader(
            self._guard_version
        )
        self.guard_versions: DataLoader[UUID, list[GuardRuleVersion] | None] = self._loader(
            self._guard_versions
        )
        self.duplication_rules: DataLoader[UUID, DuplicationRule | None] = self._loader(
            self._duplication_rules
        )
        self.duplication_rules_of: DataLoader[UUID, list[DuplicationRule] | None] = self._loader(
            self._duplication_rules_of
        )
        self.caught: DataLoader[UUID, int | None] = self._loader(self._caught)
        self.conditional_rules: DataLoader[UUID, list[ConditionalRule] | None] = self._loader(
            self._conditional_rules
        )
        self.forms: DataLoader[Version, Form | None] = self._loader(self._forms)
        self.histories: DataLoader[tuple[UUID, PageRequest], EventChangeConnection | None] = (
            self._loader(self._histories)
        )
        self.direct_correlations: DataLoader[
            tuple[UUID, PageRequest], CorrelationConnection | None
        ] = self._loader(self._direct_correlations)

    async def field_values(
        self, event_type_id: UUID, version: int, values: Any
    ) -> list[FieldValue]:
        form = await self.forms.load((event_type_id, version))
        return [
            FieldValue.of(event_type_id, field, values[field.name])
            for field in (form.fields if form else ())
            if field.name in values
        ]

    async def correlations(
        self, event_id: UUID, depth: int, request: PageRequest
    ) -> CorrelationConnection:
        if depth > 1:
            context = self._context
            page = await correlation_queries.around(
                context.database, context.caller, request, event_id, depth, context.limits
            )
            return CorrelationConnection.from_neighbours(page)
        found = await self.direct_correlations.load((event_id, request))
        if found is None:
            raise KeyError(event_id)
        return found

    async def _direct_correlations(
        self, keys: list[tuple[UUID, PageRequest]]
    ) -> dict[tuple[UUID, PageRequest], CorrelationConnection]:
        found = {}
        for request in {request for _, request in keys}:
            ids = [event_id for event_id, own in keys if own == request]
            context = self._context
            pages = await correlation_queries.direct(
                context.database, context.caller, request, ids, context.limits
            )
            for event_id, page in pages.items():
                found[event_id, request] = CorrelationConnection.from_neighbours(page)
        return found

    async def _histories(
        self, keys: list[tuple[UUID, PageRequest]]
    ) -> dict[tuple[UUID, PageRequest], EventChangeConnection]:
        found = {}
        for request in {request for _, request in keys}:
            ids = [event_id for event_id, own in keys if own == request]
            context = self._context
            pages = await history.of_events(context.database, context.caller, request, ids)
            for event_id, page in pages.items():
                found[event_id, request] = EventChangeConnection.from_history(page)
        return found

    async def _event_types(self, ids: list[UUID]) -> dict[UUID, EventType]:
        rows = await event_types.by_ids(self._context.database, self._context.caller, ids)
        return {id: EventType.from_row(row) for id, row in rows.items()}

    async def _event_fields(self, ids: list[UUID]) -> dict[UUID, list[EventField]]:
        rows = await event_types.fields_of(self._context.database, self._context.caller, ids)
        return {id: [EventField.from_row(row) for row in fields] for id, fields in rows.items()}

    async def _events(self, ids: list[UUID]) -> dict[UUID, Event]:
        rows = await event_queries.by_ids(self._context.database, self._context.caller, ids)
        return {id: Event.from_row(row) for id, row in rows.items()}

    async def _guard_rules(self, ids: list[UUID]) -> dict[UUID, GuardRule]:
        rows = await guards.by_ids(self._context.database, self._context.caller, ids)
        return {id: GuardRule.from_row(row) for id, row in rows.items()}

    async def _guard_rules_of(self, ids: list[UUID]) -> dict[UUID, list[GuardRule]]:
        context, table = self._context, tables.GuardRule
        found = await rules.of_types(context.database, context.caller, table, ids)
        return {id: [GuardRule.from_row(row) for row in rows] for id, rows in found.items()}

    async def _guard_version(self, places: list[Version]) -> dict[Version, GuardRuleVersion]:
        rows = await guards.versions_at(self._context.database, self._context.caller, places)
        return {place: GuardRuleVersion.from_row(row) for place, row in rows.items()}

    async def _guard_versions(self, ids: list[UUID]) -> dict[UUID, list[GuardRuleVersion]]:
        found = await guards.versions_of(self._context.database, self._context.caller, ids)
        return {id: [GuardRuleVersion.from_row(row) for row in rows] for id, rows in found.items()}

    async def _duplication_rules(self, ids: list[UUID]) -> dict[UUID, DuplicationRule]:
        rows = await duplication_rules.by_ids(self._context.database, self._context.caller, ids)
        return {id: DuplicationRule.from_row(row) for id, row in rows.items()}

    async def _duplication_rules_of(self, ids: list[UUID]) -> dict[UUID, list[DuplicationRule]]:
        context, table = self._context, tables.DuplicationRule
        found = await rules.of_types(context.database, context.caller, table, ids)
        return {id: [DuplicationRule.from_row(row) for row in rows] for id, rows in found.items()}

    async def _caught(self, ids: list[UUID]) -> dict[UUID, int]:
        return await duplication_rules.caught(self._context.database, self._context.caller, ids)

    async def _conditional_rules(self, ids: list[UUID]) -> dict[UUID, list[ConditionalRule]]:
        rows = await event_types.rules_of(self._context.database, self._context.caller, ids)
        return {id: [ConditionalRule.from_row(row) for row in rules] for id, rules in rows.items()}

    async def _forms(self, versions: list[Version]) -> dict[Version, Form]:
        return await event_types.forms(self._context.database, self._context.caller, versions)

    def _loader(
        self, read: Callable[[list[Key]], Awaitable[dict[Key, Found]]]
    ) -> DataLoader[Key, Found | None]:
        async def load(keys: list[Key]) -> list[Found | None]:
            found = await read(keys)
            return [found.get(key) for key in keys]

        # A socket lives long: what one operation read must not answer a later one.
        return DataLoader(load_fn=load, cache=False)
