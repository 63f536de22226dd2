"""Queries of event types."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import strawberry
from strawberry.scalars import JSON

from app.domain.event_types.definitions import validate_version_definition
from app.domain.event_types.json_schema import JsonSchemaDraft, compile_schema
from app.domain.event_types.ui_schema import compile_ui_schema
from app.domain.event_types.version_changes import describe_changes, format_definition
from app.graphql.event_types.inputs import CreateEventTypeInput, EventTypeBy, EventTypeFilter
from app.graphql.shared.context import Context, Info
from app.graphql.shared.examples import with_example
from app.graphql.shared.field_sources import ListSource, LookupSource, declare_source
from app.graphql.shared.nodes import InvalidArgumentsError, parse_id_argument
from app.graphql.shared.pages import After, Connection, First, fetch_connection
from app.graphql.types.event_inputs import check_text_argument
from app.graphql.types.event_type import EventType
from app.graphql.types.loaders import get_loaders
from app.graphql.types.user_error import UserError, to_user_errors
from app.services.definitions import event_types
from app.services.definitions.event_types import EventTypePageRequest
from app.services.event_types import event_type_commands
from app.store.reading.pages import parse_page_request


def _parse_event_type_key(_root: Any, context: Context, by: EventTypeBy) -> UUID | str:
    """Returns the ID or the type. Raises RequestError BAD_USER_INPUT if it is invalid."""
    if by.id:
        return parse_id_argument(by.id.value, "by", "id")
    type_name = by.type.value if by.type else ""
    check_text_argument(type_name, context.limits, "by", "type")
    return type_name


def _build_page_request(
    _root: Any,
    context: Context,
    filter: EventTypeFilter | None = None,
    first: int | None = 20,
    after: str | None = None,
) -> EventTypePageRequest:
    type_filter = (filter or EventTypeFilter()).to_domain(context.limits)
    return EventTypePageRequest(
        type_filter, parse_page_request(context.limits, first=first, after=after)
    )


@strawberry.type(description="Result of validating the definition of an event type.")
class EventTypeCheck:
    summary: str | None = strawberry.field(
        default=None,
        description="What the definition changes, in words, such as `Added field 'crew' (TEXT).` "
        "Null if it changes nothing, or has errors.",
    )
    json_schema: JSON | None = strawberry.field(
        default=None,
        description="JSON Schema of `Event.fields` under the definition, in draft-07 for "
        "react-jsonschema-form. Null if the definition is invalid by itself.",
    )
    ui_schema: JSON | None = strawberry.field(
        default=None,
        description="uiSchema for react-jsonschema-form. Null if the definition is invalid by "
        "itself.",
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list,
        description="Errors that saving the definition would return. Empty if it can be saved.",
    )


@strawberry.type
class EventTypeQueries:
    @strawberry.field(
        description=with_example(
            "Event type with this ID or type. Null if there is no such event type.\n\n"
            "Requires EVENT_READ, EVENT_CREATE or EVENT_TYPE_MANAGE. Request errors: "
            "`BAD_USER_INPUT`, for example if the ID is not a UUID.",
            """
            {
              eventType(by: { type: "flaring.flaring_incident" }) {
                name
                fields { name label kind required }
              }
            }
            """,
        ),
        metadata=declare_source(LookupSource(_parse_event_type_key, event_types.EVENT_TYPE_BY_KEY)),
    )
    async def event_type(
        self,
        info: Info,
        by: Annotated[
            EventTypeBy, strawberry.argument(description="ID or type of the event type.")
        ],
    ) -> EventType | None:
        key = _parse_event_type_key(self, info.context, by)
        if isinstance(key, UUID):  # batched: `CachedEventTypes` selects one field for each ID
            return await get_loaders(info).event_types.load(key)
        row = await event_types.EVENT_TYPE_BY_KEY.fetch_row(
            info.context.database, info.context.caller, key
        )
        return None if row is None else EventType.from_row(row)

    @strawberry.field(
        description=with_example(
            "Event types of the organization, in order of creation. An event type defines the "
            "fields of its events. Events of other types can also be logged; they are "
            "free-form.\n\n"
            "Requires EVENT_READ, EVENT_CREATE or EVENT_TYPE_MANAGE. Request errors: "
            "`INVALID_CURSOR`, `BAD_USER_INPUT`.",
            """
            {
              eventTypes(filter: { states: [PUBLISHED] }, first: 20) {
                nodes { id type name category version }
                pageInfo { hasNextPage endCursor }
              }
            }
            """,
        ),
        metadata=declare_source(ListSource(_build_page_request, event_types.EVENT_TYPE_LIST)),
    )
    async def event_types(
        self,
        info: Info,
        filter: Annotated[
            EventTypeFilter | None,
            strawberry.argument(
                description="Conditions on the event types. All event types if omitted."
            ),
        ] = None,
        first: First = 20,
        after: After = None,
    ) -> Connection[EventType]:
        request = _build_page_request(self, info.context, filter, first, after)
        return await fetch_connection(
            info.context, event_types.EVENT_TYPE_LIST, request, EventType.from_row
        )

    @strawberry.field(
        description=with_example(
            "Result of a dry run of `replaceEventType` or, without `id`, of `createEventType`: "
            "the definition is validated but not saved. An editor can use this query to show the "
            "form and the errors while the definition is designed.\n\n"
            "Requires EVENT_TYPE_MANAGE. Request errors: `BAD_USER_INPUT` if the ID is not a "
            "UUID.",
            """
            {
              checkEventType(
                definition: { name: "Flaring incident", fields: [{ name: "cause", kind: SELECT }] }
              ) {
                summary
                jsonSchema
                userErrors { code message path }
              }
            }
            """,
        )
    )
    async def check_event_type(
        self,
        info: Info,
        definition: Annotated[
            CreateEventTypeInput, strawberry.argument(description="Definition to validate.")
        ],
        id: Annotated[
            strawberry.ID | None,
            strawberry.argument(
                description="ID of the event type whose definition would be replaced. A new event "
                "type if omitted."
            ),
        ] = None,
    ) -> EventTypeCheck:
        event_type_id = None if id is None else parse_id_argument(id, "id")
        context = info.context
        try:
            checked = definition.to_domain("definition")
        except InvalidArgumentsError as error:
            return EventTypeCheck(user_errors=to_user_errors(error.problems))
        result = await event_type_commands.check_event_type(
            context.database, context.command, event_type_id, checked
        )
        after = result.definition
        is_valid = not validate_version_definition(after.version_definition, context.limits)
        is_changed = not result.problems and after != result.before
        before = None if result.before is None else format_definition(result.before.to_json())
        return EventTypeCheck(
            summary=describe_changes(before, format_definition(after.to_json()))
            if is_changed
            else None,
            json_schema=JSON(
                compile_schema(
                    after.fields, after.rules, after.additional_fields, JsonSchemaDraft.DRAFT_07
                )
            )
            if is_valid
            else None,
            ui_schema=JSON(compile_ui_schema(after.fields)) if is_valid else None,
            user_errors=to_user_errors(result.problems),
        )
