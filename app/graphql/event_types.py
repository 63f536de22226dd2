"""Event types and their fields, as people define them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry
from strawberry.scalars import JSON

from app.domain import filters
from app.domain.definitions import TypeDefinition
from app.domain.fields import FieldDefinition, FieldKind
from app.domain.lifecycle import EventTypeState
from app.domain.problems import bad_input
from app.graphql.context import Info
from app.graphql.event_filters import storable
from app.graphql.events import Event, events_field
from app.graphql.nodes import Node, id_of, wanted_id
from app.graphql.pages import After, Connection, First, connection
from app.graphql.problems import UserError, user_errors
from app.services import event_types
from app.store import tables
from app.store.pages import page_request


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
        description="Rises with every change of the definition or its fields; events keep the one "
        "that they were checked against."
    )
    created_at: datetime = strawberry.field(description="When it was made.")
    updated_at: datetime = strawberry.field(description="When it was last changed.")
    events: Connection[Event] = events_field(
        lambda parent: filters.EventFilter(event_type_id=UUID(parent.id)),
        "The events that were checked against it.",
    )

    @strawberry.field(description="Its fields, in form order.")
    async def fields(self, info: Info) -> list[EventField]:
        return await info.context.loaders.event_fields.load(UUID(self.id)) or []

    @classmethod
    def from_row(cls, row: tables.EventType) -> EventType:
        return cls(
            id=id_of(row.id),
            type=row.type,
            name=row.name,
            description=row.description,
            category=row.category,
            state=row.state,
            version=row.version,
            created_at=row.created_at,
            updated_at=row.updated_at,
        )


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

    @strawberry.field(description="The event type that it belongs to.")
    async def event_type(self, info: Info) -> EventType:
        event_type = await info.context.loaders.event_types.load(self.event_type_id)
        if event_type is None:
            raise bad_input("The event type was deleted meanwhile.")
        return event_type

    @classmethod
    def from_row(cls, row: tables.EventField) -> EventField:
        return cls(
            id=id_of(row.id),
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


@strawberry.input(one_of=True, description="An event type, by its id or by its type.")
class EventTypeBy:
    id: strawberry.Maybe[strawberry.ID] = strawberry.field(description="Its id.")
    type: strawberry.Maybe[str] = strawberry.field(description="Its type, exactly.")


@strawberry.input(description="A field of a new event type.")
class EventFieldInput:
    name: str = strawberry.field(
        description="Its key in `Event.fields`: `^[a-z][a-z0-9_]{0,62}$`, no reserved word of CEL."
    )
    label: str | None = strawberry.field(
        default=None, description="What people call it; its name, if left out."
    )
    kind: FieldKind = strawberry.field(description="What values it takes.")
    required: bool | None = strawberry.field(
        default=None, description="Whether an event must have a value; it need not, if left out."
    )
    help_text: str | None = strawberry.field(default=None, description="What to fill in.")
    unit: str | None = strawberry.field(default=None, description="What a number counts: `mcf`.")
    options: list[str] | None = strawberry.field(
        default=None, description="What SELECT and MULTI_SELECT choose from: at least one."
    )
    minimum: float | None = strawberry.field(
        default=None, description="NUMBER, INTEGER: the least value, inclusive."
    )
    maximum: float | None = strawberry.field(
        default=None, description="NUMBER, INTEGER: the greatest value, inclusive."
    )
    min_length: int | None = strawberry.field(
        default=None, description="Texts: the fewest characters."
    )
    max_length: int | None = strawberry.field(
        default=None, description="Texts: the most characters."
    )
    pattern: str | None = strawberry.field(
        default=None,
        description="Texts: a regular expression, without lookaround or backreference, that finds "
        "something in the value. Begin with `^` and end with `$` for the whole.",
    )
    default: JSON | None = strawberry.field(
        default=None, description="The value of an event that gives none."
    )

    def to_domain(self) -> FieldDefinition:
        return FieldDefinition(
            name=self.name,
            label=self.label,
            kind=self.kind,
            required=bool(self.required),
            help_text=self.help_text,
            unit=self.unit,
            options=None if self.options is None else tuple(self.options),
            minimum=self.minimum,
            maximum=self.maximum,
            min_length=self.min_length,
            max_length=self.max_length,
            pattern=self.pattern,
            default=self.default,
        )


@strawberry.input(description="A new event type.")
class CreateEventTypeInput:
    type: str | None = strawberry.field(
        default=None,
        description="Left out, it is made from category and name: `flaring.flaring_incident`.",
    )
    name: str = strawberry.field(description="What people call it.")
    description: str | None = strawberry.field(default=None, description="What it is for.")
    category: str | None = strawberry.field(
        default=None, description="The group it belongs to; `general`, if left out."
    )
    state: EventTypeState | None = strawberry.field(
        default=EventTypeState.DRAFT,
        description="DRAFT, which takes no events yet, or PUBLISHED, which does.",
    )
    fields: list[EventFieldInput] | None = strawberry.field(
        default=None, description="Its fields, in form order: up to 200."
    )

    def to_domain(self) -> TypeDefinition:
        return TypeDefinition(
            name=self.name,
            type=self.type,
            description=self.description,
            category=self.category,
            state=self.state or EventTypeState.DRAFT,
            fields=tuple(field.to_domain() for field in self.fields or ()),
        )


@strawberry.type(description="What became of a change of an event type.")
class EventTypePayload:
    event_type: EventType | None = strawberry.field(
        description="The event type; null where it was refused."
    )
    user_errors: list[UserError] = strawberry.field(description="Everything that is wrong.")


@strawberry.type
class EventTypeQueries:
    @strawberry.field(description="One event type; null where there is none.")
    async def event_type(
        self,
        info: Info,
        by: Annotated[EventTypeBy, strawberry.argument(description="Its id or its type.")],
    ) -> EventType | None:
        database, caller = info.context.database, info.context.caller
        if by.id:
            row = await event_types.find(database, caller, id=wanted_id(by.id.value, "by", "id"))
        else:
            wanted = by.type.value if by.type else ""
            storable(wanted, info.context.limits, "by", "type")
            row = await event_types.find(database, caller, type=wanted)
        return None if row is None else EventType.from_row(row)

    @strawberry.field(description="The organization's event types, in order of creation.")
    async def event_types(
        self, info: Info, first: First = 20, after: After = None
    ) -> Connection[EventType]:
        database, caller = info.context.database, info.context.caller
        request = page_request(info.context.limits, first=first, after=after)
        page = await event_types.page(database, caller, request)
        return connection(
            page,
            event_types.BY_CREATION,
            caller.organization_id,
            EventType.from_row,
            lambda: event_types.count(database, caller),
        )


@strawberry.type
class EventTypeMutations:
    @strawberry.mutation(
        description="Defines an event type. Published, it takes events at once; as a draft it can "
        "be shaped first."
    )
    async def create_event_type(
        self,
        info: Info,
        input: Annotated[CreateEventTypeInput, strawberry.argument(description="The definition.")],
    ) -> EventTypePayload:
        saved = await event_types.create_event_type(
            info.context.database, info.context.desk, input.to_domain()
        )
        return EventTypePayload(
            event_type=None if (row := saved.event_type) is None else EventType.from_row(row),
            user_errors=user_errors(saved.problems, "input"),
        )
