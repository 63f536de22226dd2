"""Event types and their fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import zip_longest
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import strawberry
from strawberry.scalars import JSON

from app.domain.event_types.definitions import VersionDefinition
from app.domain.event_types.fields import AdditionalFields, FieldKind
from app.domain.event_types.json_schema import JsonSchemaDraft, compile_schema
from app.domain.event_types.lifecycle import EventTypeState, allowed_transitions
from app.domain.event_types.ui_schema import compile_ui_schema
from app.domain.event_types.version_changes import describe_changes, format_definition
from app.domain.events import filters
from app.domain.shared.problems import bad_user_input
from app.graphql.shared.context import Info
from app.graphql.shared.field_sources import (
    DefinitionField,
    EventTypeReference,
    backed_by_table,
    build_object,
    declare_source,
)
from app.graphql.shared.nodes import Node, format_id
from app.graphql.shared.pages import After, Connection, Edge, First, build_page_info
from app.graphql.types.event import Event, create_events_field
from app.graphql.types.loaders import get_loaders, require_existing
from app.services.definitions.event_types import VERSIONS_NEWEST_FIRST, VersionPageKey
from app.store import tables
from app.store.reading.pages import build_page, parse_page_request

if TYPE_CHECKING:
    from app.graphql.types.conditional_rule import ConditionalRule
    from app.graphql.types.duplication_rule import DuplicationRule
    from app.graphql.types.guard_rule import GuardRule


VersionArgument = Annotated[
    int | None,
    strawberry.argument(
        description="Version of the event type. Defaults to the latest version. An unknown version "
        "is rejected with `BAD_USER_INPUT`."
    ),
]


@backed_by_table(tables.EventType)
@strawberry.type(
    description="The definition of a kind of event: the fields of the events, the rules that "
    "validate them, and whether new events are accepted."
)
class EventType(Node):
    type: str = strawberry.field(
        description="CloudEvents type of the events, unique in the organization."
    )
    name: str = strawberry.field(
        description="Display name of the event type, and the default summary of its events."
    )
    description: str | None = strawberry.field(
        description="Description of the event type, for display. Null if none was given."
    )
    category: str = strawberry.field(description="Category that groups event types.")
    state: EventTypeState = strawberry.field(
        description="State in the lifecycle, which determines whether new events are accepted."
    )
    version: int = strawberry.field(
        description="Version of the definition, starting at 1. Each change to the name, type, "
        "description, category, `additionalFields`, fields or conditional rules increments it. "
        "Stored events keep the version that they were validated against."
    )
    additional_fields: AdditionalFields = strawberry.field(
        description="What happens to values under names that the event type does not define."
    )
    sunset_at: datetime | None = strawberry.field(
        description="Time from which a DEPRECATED event type rejects new events. Null if no time "
        "was given."
    )
    created_at: datetime = strawberry.field(description="Time of creation.")
    updated_at: datetime = strawberry.field(description="Time of the last change.")
    events: Connection[Event] = create_events_field(
        lambda parent: filters.EventFilter(event_type_id=UUID(parent.id)),
        "Events that were validated against this event type, in any version. Requires EVENT_READ.",
        has_source=False,
    )

    # Set for a deleted event type, whose rows can no longer be loaded.
    preloaded_fields: strawberry.Private[list[EventField] | None] = None
    preloaded_conditional_rules: strawberry.Private[list[ConditionalRule] | None] = None
    preloaded_rules: strawberry.Private[
        Mapping[tables.RuleTable, Sequence[tables.ScopedRule]] | None
    ] = None
    preloaded_definition: strawberry.Private[VersionDefinition | None] = None

    @strawberry.field(
        description="States that `transitionEventType` can change the event type to.",
        metadata=declare_source(DefinitionField()),
    )
    def transitions(self) -> list[EventTypeState]:
        return list(allowed_transitions(self.state))

    @strawberry.field(
        description="Fields of the event type, in form order.",
        metadata=declare_source(DefinitionField()),
    )
    async def fields(self, info: Info) -> list[EventField]:
        if self.preloaded_fields is not None:
            return self.preloaded_fields
        return await get_loaders(info).event_fields.load(UUID(self.id)) or []

    @strawberry.field(
        description="Rules that show, hide or require fields, in order of creation.",
        metadata=declare_source(DefinitionField()),
    )
    async def conditional_rules(
        self, info: Info
    ) -> list[Annotated[ConditionalRule, strawberry.lazy("app.graphql.types.conditional_rule")]]:
        if self.preloaded_conditional_rules is not None:
            return self.preloaded_conditional_rules
        return await get_loaders(info).conditional_rules.load(UUID(self.id)) or []

    @strawberry.field(
        description="Guard rules of this event type, in order of creation, without the rules that "
        "apply to all events. Requires EVENT_READ, EVENT_CREATE or RULE_MANAGE.",
        metadata=declare_source(DefinitionField()),
    )
    async def guard_rules(
        self, info: Info
    ) -> list[Annotated[GuardRule, strawberry.lazy("app.graphql.types.guard_rule")]]:
        return await self._load_rules(info, tables.GuardRule)

    @strawberry.field(
        description="Duplication rules of this event type, by `position`, without the "
        "rules that apply to all events. Requires EVENT_READ, EVENT_CREATE or RULE_MANAGE.",
        metadata=declare_source(DefinitionField()),
    )
    async def duplication_rules(
        self, info: Info
    ) -> list[Annotated[DuplicationRule, strawberry.lazy("app.graphql.types.duplication_rule")]]:
        return await self._load_rules(info, tables.DuplicationRule)

    @strawberry.field(
        description="JSON Schema of `Event.fields`, including the conditional rules. The server "
        "validates events with the same schema, so a form or a validator such as Ajv accepts the "
        "same values. `title` is the label of a field, and `x-unit` the unit. Also available at "
        "`/event-types/<type>/schema.json`, in draft 2020-12.",
        metadata=declare_source(DefinitionField()),
    )
    async def json_schema(
        self,
        info: Info,
        version: VersionArgument = None,
        draft: Annotated[
            JsonSchemaDraft | None,
            strawberry.argument(
                description="Draft of JSON Schema. Null means DRAFT_2020_12. The schemas of both "
                "drafts accept the same values; use DRAFT_07 for the default validators of Ajv, "
                "react-jsonschema-form and JSON Forms."
            ),
        ] = JsonSchemaDraft.DRAFT_2020_12,
    ) -> JSON:
        definition = await self._load_definition(info, version)
        schema = compile_schema(
            definition.fields,
            definition.rules,
            definition.additional_fields,
            draft or JsonSchemaDraft.DRAFT_2020_12,
        )
        return JSON(schema)

    @strawberry.field(
        description="uiSchema for react-jsonschema-form, to be used with `jsonSchema`: order, "
        "labels with units, help texts and widgets of the fields.",
        metadata=declare_source(DefinitionField()),
    )
    async def ui_schema(self, info: Info, version: VersionArgument = None) -> JSON:
        definition = await self._load_definition(info, version)
        return JSON(compile_ui_schema(definition.fields))

    async def _load_definition(self, info: Info, version: int | None) -> VersionDefinition:
        """Returns a version of the type. Raises RequestError BAD_USER_INPUT if it is unknown."""
        version_number = self.version if version is None else version
        definition = self.preloaded_definition if version_number == self.version else None
        definition = definition or await get_loaders(info).version_definitions.load(
            (UUID(self.id), version_number)
        )
        if definition is None:
            message = (
                f"Event type {self.type!a} has no version {version_number}; "
                f"its latest version is {self.version}."
            )
            raise bad_user_input(message, "version")
        return definition

    @strawberry.field(
        description="Versions of the event type, newest first. Empty for a deleted event type."
    )
    async def versions(
        self, info: Info, first: First = 20, after: After = None
    ) -> Connection[EventTypeVersion]:
        request = parse_page_request(info.context.limits, first=first, after=after)
        latest = self.version if self.preloaded_definition is None else 0  # 0: deleted
        key = VersionPageKey(UUID(self.id), latest, request)
        connection = await get_loaders(info).event_type_versions.load(key)
        if connection is None:
            raise KeyError(self.id)
        return connection

    async def _load_rules(self, info: Info, table: tables.RuleTable) -> list[Any]:
        if self.preloaded_rules is not None:
            return [build_object(row) for row in self.preloaded_rules[table]]
        return await get_loaders(info).rules_by_event_type.load((table, UUID(self.id))) or []

    @classmethod
    def from_row(cls, row: tables.EventType) -> EventType:
        return cls(
            id=format_id(row.id),
            type=row.type,
            name=row.name,
            description=row.description,
            category=row.category,
            state=row.state,
            additional_fields=row.additional_fields,
            sunset_at=row.sunset_at,
            version=row.version,
            created_at=row.created_at,
            updated_at=row.updated_at,
        )


@strawberry.type(description="A version of an event type. It never changes.")
class EventTypeVersion:
    number: int = strawberry.field(
        description="Version number, starting at 1. Each change of the event type increments it."
    )
    created_at: datetime = strawberry.field(
        description="Time of the change that created the version."
    )
    created_by: str | None = strawberry.field(
        description="Name of the API key or subject of the access token that created the version. "
        "Null if the version was created before Tocsin stored this."
    )
    row: strawberry.Private[tables.EventTypeVersion]
    previous_row: strawberry.Private[tables.EventTypeVersion | None]

    @strawberry.field(
        description="What changed since the version before, in words, such as `Added field 'crew' "
        "(TEXT).`"
    )
    def summary(self) -> str:
        before = None if self.previous_row is None else format_definition(self.previous_row.form)
        return describe_changes(before, format_definition(self.row.form))

    @strawberry.field(
        description="Settings, fields and conditional rules of this version, in the form of "
        "`CreateEventTypeInput`, without null attributes. Of versions that were created before "
        "Tocsin stored the settings, only fields and conditional rules are known."
    )
    def definition(self) -> JSON:
        return JSON(format_definition(self.row.form))

    @classmethod
    def build_connection(
        cls, organization_id: UUID, key: VersionPageKey, rows: Sequence[tables.EventTypeVersion]
    ) -> Connection[EventTypeVersion]:
        """Builds a page from its rows and, if it exists, the row of the version before."""
        page = build_page(rows, key.request)
        edges = [
            Edge(
                cursor=VERSIONS_NEWEST_FIRST.encode_key_cursor(organization_id, (row.number,)),
                node=cls(
                    number=row.number,
                    created_at=row.created_at,
                    created_by=row.created_by,
                    row=row,
                    previous_row=previous_row,
                ),
            )
            for row, previous_row in zip_longest(page.rows, rows[1:])
        ]

        async def count() -> int:
            return key.latest

        return Connection(
            edges=edges,
            page_info=build_page_info(page, edges),
            count=count,
        )


async def _load_event_type(rule: strawberry.Parent[Any], info: Info) -> EventType | None:
    if rule.event_type_id is None:
        return None
    return await get_loaders(info).event_types.load(rule.event_type_id)


def create_rule_event_type_field() -> Any:
    """Creates the field that returns the event type of a rule with an `event_type_id`."""
    return strawberry.field(
        resolver=_load_event_type,
        description="Event type to whose events the rule is limited. Null if the rule applies to "
        "all events of the organization. Requires EVENT_READ, EVENT_CREATE or EVENT_TYPE_MANAGE.",
        metadata=declare_source(EventTypeReference("event_type_id")),
    )


@strawberry.type(description="An option of a SELECT or MULTI_SELECT field, with its label.")
class FieldChoice:
    value: str = strawberry.field(description="Value that is stored in `Event.fields`.")
    label: str = strawberry.field(description="Display name of the option. Defaults to the value.")


@backed_by_table(tables.EventField)
@strawberry.type(description="A field of an event type.")
class EventField(Node):
    name: str = strawberry.field(description="Name of the field: its key in `Event.fields`.")
    label: str = strawberry.field(
        description="Display name of the field. Defaults to the name of the field."
    )
    kind: FieldKind = strawberry.field(description="Kind of value that the field accepts.")
    required: bool = strawberry.field(
        description="Whether an event must have a value for the field while the field is visible. "
        "Null, an empty list, and a string that is empty or has only whitespace are no value. "
        "If false, a REQUIRE rule can still require a value."
    )
    position: int = strawberry.field(
        description="Position of the field in the form, starting at 0."
    )
    help_text: str | None = strawberry.field(
        description="Help text for the person who fills in the form. Null if none was given."
    )
    unit: str | None = strawberry.field(
        description="Unit of the value, for display, such as `mcf`. Null if none was given."
    )
    options: list[str] | None = strawberry.field(
        description="Options of a SELECT or MULTI_SELECT field. Null for other kinds. `choices` "
        "has their labels."
    )
    minimum: float | None = strawberry.field(
        description="Minimum value of a NUMBER or INTEGER, inclusive. Null if there is no minimum."
    )
    maximum: float | None = strawberry.field(
        description="Maximum value of a NUMBER or INTEGER, inclusive. Null if there is no maximum."
    )
    min_length: int | None = strawberry.field(
        description="Minimum length in characters of a value of kind TEXT, LONG_TEXT, URL or "
        "EMAIL. Null if there is no minimum."
    )
    max_length: int | None = strawberry.field(
        description="Maximum length in characters of a value of kind TEXT, LONG_TEXT, URL or "
        "EMAIL. Null if there is no maximum."
    )
    pattern: str | None = strawberry.field(
        description="Regular expression that a value of kind TEXT, LONG_TEXT, URL or EMAIL must "
        "match. A match anywhere in the value is sufficient: use `^` and `$` to match the whole "
        "value. Null if there is no pattern."
    )
    default: JSON | None = strawberry.field(
        description="Default value, stored if the field is visible and an event has no value for "
        "it. Null if there is no default."
    )
    source_key: str | None = strawberry.field(
        description="Path from which the value is taken in the `data` of incoming CloudEvents, "
        "such as `api.contentLength`. Null if the value has the name of the field there."
    )
    event_type_id: strawberry.Private[UUID]
    added_in_version: strawberry.Private[int]
    labels: strawberry.Private[dict[str, str]]
    preloaded_event_type: strawberry.Private[EventType | None] = None

    @strawberry.field(
        description="Options of a SELECT or MULTI_SELECT field, with their labels. Null for other "
        "kinds.",
        metadata=declare_source(DefinitionField()),
    )
    def choices(self) -> list[FieldChoice] | None:
        if self.options is None:
            return None
        return [FieldChoice(value=each, label=self.labels.get(each, each)) for each in self.options]

    @strawberry.field(
        description="Event type that the field belongs to. Requires EVENT_READ, EVENT_CREATE or "
        "EVENT_TYPE_MANAGE.",
        metadata=declare_source(DefinitionField()),
    )
    async def event_type(self, info: Info) -> EventType:
        load = get_loaders(info).event_types.load
        return require_existing(
            self.preloaded_event_type or await load(self.event_type_id), "event type"
        )

    @classmethod
    def from_row(cls, row: tables.EventField) -> EventField:
        return cls(
            id=format_id(row.id),
            event_type_id=row.event_type_id,
            added_in_version=row.added_in_version,
            name=row.name,
            label=row.label,
            kind=row.kind,
            required=row.required,
            position=row.position,
            help_text=row.help_text,
            unit=row.unit,
            options=row.options,
            labels=row.labels or {},
            minimum=row.minimum,
            maximum=row.maximum,
            min_length=row.min_length,
            max_length=row.max_length,
            pattern=row.pattern,
            default=None if row.default is None else JSON(row.default),
            source_key=row.source_key,
        )
