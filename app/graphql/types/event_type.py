"""Event types and their fields."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import strawberry
from strawberry.scalars import JSON

from app.domain.event_types.definitions import VersionDefinition
from app.domain.event_types.fields import FieldKind
from app.domain.event_types.json_schema import compile_schema
from app.domain.event_types.lifecycle import EventTypeState, allowed_transitions
from app.domain.events import filters
from app.domain.shared.problems import bad_user_input
from app.graphql.shared.context import Info
from app.graphql.shared.field_sources import DefinitionField, backed_by_table, declare_source
from app.graphql.shared.nodes import Node, format_id
from app.graphql.shared.pages import Connection
from app.graphql.types.event import Event, create_events_field
from app.graphql.types.loaders import get_loaders
from app.store import tables

if TYPE_CHECKING:
    from app.graphql.types.conditional_rule import ConditionalRule
    from app.graphql.types.duplication_rule import DuplicationRule
    from app.graphql.types.guard_rule import GuardRule


@backed_by_table(tables.EventType)
@strawberry.type(
    description="The definition of a kind of event: which fields its events have, and whether it "
    "takes events."
)
class EventType(Node):
    type: str = strawberry.field(
        description="The CloudEvents type that its events carry; unique in the organization."
    )
    name: str = strawberry.field(description="What people call it.")
    description: str | None = strawberry.field(description="What it is for.")
    category: str = strawberry.field(description="The group it belongs to.")
    state: EventTypeState = strawberry.field(description="Where it is in its life.")
    version: int = strawberry.field(
        description="Rises with every change of the definition, its fields or its conditional "
        "rules; events keep the one that they were checked against."
    )
    sunset_at: datetime | None = strawberry.field(
        description="While DEPRECATED: new events are refused from then on."
    )
    created_at: datetime = strawberry.field(description="When it was made.")
    updated_at: datetime = strawberry.field(description="When it was last changed.")
    events: Connection[Event] = create_events_field(
        lambda parent: filters.EventFilter(event_type_id=UUID(parent.id)),
        "The events that were checked against it.",
        has_source=False,
    )

    # Set for a deleted event type, whose rows can no longer be loaded.
    preloaded_fields: strawberry.Private[list[EventField] | None] = None
    preloaded_conditional_rules: strawberry.Private[list[ConditionalRule] | None] = None
    preloaded_guard_rules: strawberry.Private[list[GuardRule] | None] = None
    preloaded_duplication_rules: strawberry.Private[list[DuplicationRule] | None] = None
    preloaded_definition: strawberry.Private[VersionDefinition | None] = None

    @strawberry.field(
        description="Where the lifecycle may go from here.",
        metadata=declare_source(DefinitionField()),
    )
    def transitions(self) -> list[EventTypeState]:
        return list(allowed_transitions(self.state))

    @strawberry.field(
        description="Its fields, in form order.", metadata=declare_source(DefinitionField())
    )
    async def fields(self, info: Info) -> list[EventField]:
        if self.preloaded_fields is not None:
            return self.preloaded_fields
        return await get_loaders(info).event_fields.load(UUID(self.id)) or []

    @strawberry.field(
        description="The rules by which fields are shown, hidden or required, in order of "
        "creation.",
        metadata=declare_source(DefinitionField()),
    )
    async def conditional_rules(
        self, info: Info
    ) -> list[Annotated[ConditionalRule, strawberry.lazy("app.graphql.types.conditional_rule")]]:
        if self.preloaded_conditional_rules is not None:
            return self.preloaded_conditional_rules
        return await get_loaders(info).conditional_rules.load(UUID(self.id)) or []

    @strawberry.field(
        description="The guard rules that are for its events alone, in order of creation.",
        metadata=declare_source(DefinitionField()),
    )
    async def guard_rules(
        self, info: Info
    ) -> list[Annotated[GuardRule, strawberry.lazy("app.graphql.types.guard_rule")]]:
        if self.preloaded_guard_rules is not None:
            return self.preloaded_guard_rules
        return await get_loaders(info).guard_rules_by_event_type.load(UUID(self.id)) or []

    @strawberry.field(
        description="The duplication rules that are for its events alone, in order of creation.",
        metadata=declare_source(DefinitionField()),
    )
    async def duplication_rules(
        self, info: Info
    ) -> list[Annotated[DuplicationRule, strawberry.lazy("app.graphql.types.duplication_rule")]]:
        if self.preloaded_duplication_rules is not None:
            return self.preloaded_duplication_rules
        return await get_loaders(info).duplication_rules_by_event_type.load(UUID(self.id)) or []

    @strawberry.field(
        description="JSON Schema 2020-12 of `fields`, conditional rules included, now or at an "
        "earlier version: a form or Ajv judges a value as the server does. It is served at "
        "`/event-types/TYPE/schema.json` as well.",
        metadata=declare_source(DefinitionField()),
    )
    async def json_schema(
        self,
        info: Info,
        version: Annotated[
            int | None, strawberry.argument(description="The version; the latest, if left out.")
        ] = None,
    ) -> JSON:
        version_number = self.version if version is None else version
        definition = self.preloaded_definition if version_number == self.version else None
        definition = definition or await get_loaders(info).version_definitions.load(
            (UUID(self.id), version_number)
        )
        if definition is None:
            latest = f"{self.type} has no version {version_number}; its latest is {self.version}."
            raise bad_user_input(latest, "version")
        return JSON(compile_schema(definition.fields, definition.rules))

    @classmethod
    def from_row(cls, row: tables.EventType) -> EventType:
        return cls(
            id=format_id(row.id),
            type=row.type,
            name=row.name,
            description=row.description,
            category=row.category,
            state=row.state,
            sunset_at=row.sunset_at,
            version=row.version,
            created_at=row.created_at,
            updated_at=row.updated_at,
        )


@backed_by_table(tables.EventField)
@strawberry.type(description="A field that the events of a type have.")
class EventField(Node):
    name: str = strawberry.field(description="Its key in `Event.fields`.")
    label: str = strawberry.field(description="What people call it.")
    kind: FieldKind = strawberry.field(description="What values it takes.")
    required: bool = strawberry.field(description="Whether an event must have a value.")
    position: int = strawberry.field(description="Its place in the form, from 0.")
    help_text: str | None = strawberry.field(description="What to fill in.")
    unit: str | None = strawberry.field(description="What a number counts: `mcf`.")
    options: list[str] | None = strawberry.field(description="What a SELECT may choose from.")
    minimum: float | None = strawberry.field(description="The least number, inclusive.")
    maximum: float | None = strawberry.field(description="The greatest number, inclusive.")
    min_length: int | None = strawberry.field(description="The fewest characters.")
    max_length: int | None = strawberry.field(description="The most characters.")
    pattern: str | None = strawberry.field(
        description="A regular expression that finds something in every value of it."
    )
    default: JSON | None = strawberry.field(description="The value of an event that gives none.")
    event_type_id: strawberry.Private[UUID]
    preloaded_event_type: strawberry.Private[EventType | None] = None

    @strawberry.field(
        description="The event type that it belongs to.", metadata=declare_source(DefinitionField())
    )
    async def event_type(self, info: Info) -> EventType:
        load = get_loaders(info).event_types.load
        event_type = self.preloaded_event_type or await load(self.event_type_id)
        if event_type is None:
            raise bad_user_input("The event type was deleted meanwhile.")
        return event_type

    @classmethod
    def from_row(cls, row: tables.EventField) -> EventField:
        return cls(
            id=format_id(row.id),
            event_type_id=row.event_type_id,
            name=row.name,
            label=row.label,
            kind=row.kind,
            required=row.required,
            position=row.position,
            help_text=row.help_text,
            unit=row.unit,
            options=row.options,
            minimum=row.minimum,
            maximum=row.maximum,
            min_length=row.min_length,
            max_length=row.max_length,
            pattern=row.pattern,
            default=None if row.default is None else JSON(row.default),
        )
