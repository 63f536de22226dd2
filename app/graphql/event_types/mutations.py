"""Mutations of event types, their fields and their conditional rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import strawberry
from uuid_utils.compat import uuid7

from app.domain.event_types import event_type_draft
from app.domain.event_types.lifecycle import EventTypeState
from app.graphql.event_types.conditional_rules import (
    ConditionalRuleInput,
    ConditionalRulePayload,
    RuleId,
    UpdateConditionalRuleInput,
)
from app.graphql.event_types.inputs import (
    CreateEventTypeInput,
    EventFieldInput,
    ReplaceEventTypeInput,
    UpdateEventFieldInput,
    UpdateEventTypeInput,
)
from app.graphql.shared.context import Info
from app.graphql.shared.examples import with_example
from app.graphql.shared.nodes import parse_input_id, parse_input_ids, paths_of_items
from app.graphql.types.conditional_rule import ConditionalRule
from app.graphql.types.event_type import EventField, EventType
from app.graphql.types.user_error import UserError, to_user_errors
from app.services.definitions import event_types
from app.services.event_types import event_type_commands
from app.services.event_types.event_type_commands import EventTypeResult
from app.store import tables


@strawberry.type(
    description="Result of creating, changing or deleting an event type or one of its fields."
)
class EventTypePayload:
    event_type: EventType | None = strawberry.field(
        default=None,
        description="The event type after the change, or the last state of a deleted event type. "
        "Null if the change was rejected.",
    )
    user_errors: list[UserError] = strawberry.field(
        description="Errors that prevented the change. Empty on success."
    )

    @classmethod
    def from_result(cls, result: EventTypeResult, *argument_path: str) -> EventTypePayload:
        row = result.event_type
        return cls(
            event_type=None if row is None else EventType.from_row(row),
            user_errors=to_user_errors(result.problems, *argument_path),
        )


TypeId = Annotated[strawberry.ID, strawberry.argument(description="ID of the event type.")]
FieldId = Annotated[strawberry.ID, strawberry.argument(description="ID of the field to remove.")]


@strawberry.type
class EventTypeMutations:
    @strawberry.mutation(
        description=with_example(
            "Creates an event type with version 1. A PUBLISHED event type accepts events "
            "immediately; a DRAFT must first be published with `transitionEventType`.\n\n"
            "Requires EVENT_TYPE_MANAGE. User errors: `ALREADY_EXISTS` if the type is taken, "
            "`INVALID_INPUT`, `CYCLE` if the visibility of a field would depend on itself, "
            "`LIMIT_REACHED` if there are too many fields (200 by default) or conditional rules "
            "(100 by default), or if their conditions compare too many values in total (5,000 by "
            "default; each value counts once for each target of its rule, and a time that is "
            "compared by GT, GTE, LT or LTE counts as 250 values).",
            """
            mutation {
              createEventType(
                input: {
                  name: "Flaring incident"
                  category: "flaring"
                  state: PUBLISHED
                  fields: [{ name: "volume_mcf", kind: NUMBER, required: true, unit: "mcf" }]
                }
              ) {
                eventType { id type version }
                userErrors { code message path }
              }
            }
            """,
        )
    )
    async def create_event_type(
        self,
        info: Info,
        input: Annotated[
            CreateEventTypeInput, strawberry.argument(description="Event type to create.")
        ],
    ) -> EventTypePayload:
        context = info.context
        result = await event_type_commands.create_event_type(
            context.database, context.command, input.to_domain("input")
        )
        return EventTypePayload.from_result(result, "input")

    @strawberry.mutation(
        description=with_example(
            "Changes the name, type, description, category or `additionalFields` of an event type, "
            "and increments its version. If nothing changes, the version stays the same.\n\n"
            "Requires EVENT_TYPE_MANAGE. User errors: `NOT_FOUND`, `CONFLICT` if the version of "
            "the event type is not `ifVersion`, `IN_USE` if the type would change and stored "
            "events have the event type, `ALREADY_EXISTS` if the new type is taken, "
            "`INVALID_INPUT`.",
            """
            mutation {
              updateEventType(
                input: { id: "019a3f5c-7b1e-7000-8000-000000000101", name: "Flaring event" }
              ) {
                eventType { name version }
                userErrors { code message path }
              }
            }
            """,
        )
    )
    async def update_event_type(
        self,
        info: Info,
        input: Annotated[
            UpdateEventTypeInput, strawberry.argument(description="Changes to the event type.")
        ],
    ) -> EventTypePayload:
        edit = event_type_draft.update_attributes(input.to_domain())
        id_path = ("input", "id")
        event_type_id = parse_input_id(input.id, *id_path)
        return EventTypePayload.from_result(
            await _apply_edit(info, event_type_id, edit, *id_path, if_version=input.if_version)
        )

    @strawberry.mutation(
        description=with_example(
            "Replaces the definition of an event type, and increments its version once, however "
            "much changes. If nothing changes, the version does not change. Stored events keep "
            "the version that they were validated against. `checkEventType` returns the errors "
            "and the changes before you save a definition.\n\n"
            "Requires EVENT_TYPE_MANAGE. User errors: `NOT_FOUND`, `CONFLICT` if the event type "
            "does not have the version `ifVersion`, `IN_USE` if a guard rule or duplication rule "
            "would no longer be valid, or if `type` changes and stored events have the event "
            "type, `ALREADY_EXISTS` if the new type is taken, `CYCLE`, `LIMIT_REACHED`, "
            "`INVALID_INPUT`.",
            """
            mutation {
              replaceEventType(
                input: {
                  id: "019a3f5c-7b1e-7000-8000-000000000101"
                  definition: {
                    name: "Flaring incident"
                    fields: [{ name: "volume_mcf", kind: NUMBER, required: true }]
                  }
                }
              ) {
                eventType { version fields { id name } }
                userErrors { code message path }
              }
            }
            """,
        )
    )
    async def replace_event_type(
        self,
        info: Info,
        input: Annotated[ReplaceEventTypeInput, strawberry.argument(description="New definition.")],
    ) -> EventTypePayload:
        id_path, path = ("input", "id"), ("input", "definition")
        event_type_id = parse_input_id(input.id, *id_path)
        definition = input.definition.to_domain(*path)
        edit = event_type_draft.replace_definition(definition, uuid7, *path)
        return EventTypePayload.from_result(
            await _apply_edit(info, event_type_id, edit, *id_path, if_version=input.if_version)
        )

    @strawberry.mutation(
        description=with_example(
            "Deletes an event type with its fields and rules of every kind, and returns its last "
            "state. An event type that has stored events "
            "cannot be deleted: archive it with `transitionEventType` instead.\n\n"
            "Requires EVENT_TYPE_MANAGE. User errors: `NOT_FOUND`, `IN_USE` with the number of "
            "stored events, `INVALID_INPUT`.",
            """
            mutation {
              deleteEventType(id: "019a3f5c-7b1e-7000-8000-000000000101") {
                eventType { type }
                userErrors { code message }
              }
            }
            """,
        )
    )
    async def delete_event_type(self, info: Info, id: TypeId) -> EventTypePayload:
        event_type_id = parse_input_id(id, "id")
        deleted = await event_type_commands.delete_event_type(
            info.context.database, info.context.command, event_type_id
        )
        payload = EventTypePayload.from_result(
            EventTypeResult(deleted.event_type, deleted.problems)
        )
        if (event_type := payload.event_type) is not None:
            event_type.preloaded_definition = deleted.definition
            event_type.preloaded_fields = [EventField.from_row(row) for row in deleted.fields]
            event_type.preloaded_conditional_rules = [
                ConditionalRule.from_row(row) for row in deleted.rules
            ]
            event_type.preloaded_rules = deleted.scoped_rules
            for field in event_type.preloaded_fields:
                field.preloaded_event_type = event_type
            for rule in event_type.preloaded_conditional_rules:
                rule.preloaded_event_type = event_type
        return payload

    @strawberry.mutation(
        description=with_example(
            "Changes the lifecycle state of an event type. `EventType.transitions` lists the "
            "possible new states. The version does not change. A transition to the current state "
            "is not an error: for a DEPRECATED event type, it can change `sunsetAt`. When a draft "
            "is published, its definition is validated.\n\n"
            "Requires EVENT_TYPE_MANAGE. User errors: `ILLEGAL_TRANSITION` as a `TransitionError` "
            "with the allowed states, `NOT_FOUND`, `INVALID_INPUT`.",
            """
            mutation {
              transitionEventType(
                id: "019a3f5c-7b1e-7000-8000-000000000101"
                to: DEPRECATED
                sunsetAt: "2027-01-01T00:00:00Z"
              ) {
                eventType { state sunsetAt transitions }
                userErrors { code message ... on TransitionError { from allowed } }
              }
            }
            """,
        )
    )
    async def transition_event_type(
        self,
        info: Info,
        id: TypeId,
        to: Annotated[
            EventTypeState, strawberry.argument(description="New state of the event type.")
        ],
        sunset_at: Annotated[
            datetime | None,
            strawberry.argument(
                description="Time from which the event type rejects new events: at once if it has "
                "passed. Allowed only with `to: DEPRECATED`; otherwise the error is "
                "`INVALID_INPUT`. Null sets no time, but keeps the `sunsetAt` of an event type "
                "that is already DEPRECATED."
            ),
        ] = None,
    ) -> EventTypePayload:
        event_type_id = parse_input_id(id, "id")
        context = info.context
        return EventTypePayload.from_result(
            await event_type_commands.transition_event_type(
                context.database, context.command, event_type_id, to, sunset_at
            )
        )

    @strawberry.mutation(
        description=with_example(
            "Adds a field to an event type, after the existing fields, and increments the version "
            "of the event type. Stored events keep the version that they were validated "
            "against.\n\n"
            "Requires EVENT_TYPE_MANAGE. User errors: `NOT_FOUND`, `ALREADY_EXISTS` if the event "
            "type has a field with this name, `LIMIT_REACHED` if there are too many fields (200 "
            "by default), `INVALID_INPUT`.",
            """
            mutation {
              addEventField(
                eventTypeId: "019a3f5c-7b1e-7000-8000-000000000101"
                field: { name: "cause", kind: SELECT, options: ["equipment", "weather"] }
              ) {
                eventType { version fields { id name } }
                userErrors { code message path }
              }
            }
            """,
        )
    )
    async def add_event_field(
        self,
        info: Info,
        event_type_id: TypeId,
        field: Annotated[EventFieldInput, strawberry.argument(description="Field to add.")],
    ) -> EventTypePayload:
        parsed_type_id = parse_input_id(event_type_id, "eventTypeId")
        context = info.context
        return EventTypePayload.from_result(
            await event_type_commands.add_event_field(
                context.database, context.command, parsed_type_id, field.to_domain("field")
            )
        )

    @strawberry.mutation(
        description=with_example(
            "Changes a field of an event type and increments the version of the event type. "
            "Stored events keep the version that they were validated against.\n\n"
            "Requires EVENT_TYPE_MANAGE. User errors: `NOT_FOUND`, `INVALID_INPUT`, `IN_USE` if a "
            "conditional rule or guard rule would no longer be valid.",
            """
            mutation {
              updateEventField(
                input: { id: "019a3f5c-7b1e-7000-8000-000000000201", required: false }
              ) {
                eventType { version }
                userErrors { code message path }
              }
            }
            """,
        )
    )
    async def update_event_field(
        self,
        info: Info,
        input: Annotated[
            UpdateEventFieldInput, strawberry.argument(description="Changes to the field.")
        ],
    ) -> EventTypePayload:
        field_id, table = parse_input_id(input.id, "input", "id"), tables.EventField
        return EventTypePayload.from_result(
            await _apply_part_edit(
                info, table, field_id, event_type_draft.update_field, input.to_domain()
            )
        )

    @strawberry.mutation(
        description=with_example(
            "Removes a field from an event type and increments the version of the event type. "
            "Stored values of the field are kept.\n\n"
            "Requires EVENT_TYPE_MANAGE. User errors: `NOT_FOUND`, `IN_USE` if a rule of the "
            "event type uses the field (unless it is a guard rule that is RETIRED), "
            "`INVALID_INPUT`.",
            """
            mutation {
              removeEventField(id: "019a3f5c-7b1e-7000-8000-000000000201") {
                eventType { version fields { name } }
                userErrors { code message }
              }
            }
            """,
        )
    )
    async def remove_event_field(self, info: Info, id: FieldId) -> EventTypePayload:
        field_id, table = parse_input_id(id, "id"), tables.EventField
        return EventTypePayload.from_result(
            await _apply_part_edit(info, table, field_id, event_type_draft.remove_field)
        )

    @strawberry.mutation(
        description=with_example(
            "Changes the order of the fields of an event type and increments the version of the "
            "event type.\n\n"
            "Requires EVENT_TYPE_MANAGE. User errors: `NOT_FOUND`, `INVALID_INPUT` unless "
            "`fieldIds` contains each field of the event type exactly once.",
            """
            mutation {
              reorderEventFields(
                eventTypeId: "019a3f5c-7b1e-7000-8000-000000000101"
                fieldIds: [
                  "019a3f5c-7b1e-7000-8000-000000000202"
                  "019a3f5c-7b1e-7000-8000-000000000201"
                ]
              ) {
                eventType { fields { name position } }
                userErrors { code message path }
              }
            }
            """,
        )
    )
    async def reorder_event_fields(
        self,
        info: Info,
        event_type_id: TypeId,
        field_ids: Annotated[
            list[strawberry.ID],
            strawberry.argument(
                description="IDs of all fields of the event type, each once, in the new order."
            ),
        ],
    ) -> EventTypePayload:
        parsed_type_id, *parsed_field_ids = parse_input_ids(
            {("eventTypeId",): event_type_id, **paths_of_items(field_ids, "fieldIds")}
        )
        edit = event_type_draft.reorder_fields(parsed_field_ids)
        return EventTypePayload.from_result(
            await _apply_edit(info, parsed_type_id, edit, "eventTypeId")
        )

    @strawberry.mutation(
        description=with_example(
            "Adds a conditional rule to an event type and increments the version of the event "
            "type.\n\n"
            "Requires EVENT_TYPE_MANAGE. User errors: `NOT_FOUND`, `INVALID_INPUT`, `CYCLE` if "
            "the visibility of a field would depend on itself, `LIMIT_REACHED` if there are too "
            "many conditional rules (100 by default) or their conditions compare too many values "
            "in total (5,000 by default; each value counts once for each target of its rule, and a "
            "time that is compared by GT, GTE, LT or LTE counts as 250 values).",
            """
            mutation {
              addConditionalRule(
                eventTypeId: "019a3f5c-7b1e-7000-8000-000000000101"
                rule: {
                  name: "Explain other causes"
                  effect: SHOW
                  targets: ["details"]
                  condition: { field: { field: "cause", operator: EQ, value: "other" } }
                }
              ) {
                conditionalRule { id }
                userErrors { code message path }
              }
            }
            """,
        )
    )
    async def add_conditional_rule(
        self,
        info: Info,
        event_type_id: TypeId,
        rule: Annotated[ConditionalRuleInput, strawberry.argument(description="Rule to add.")],
    ) -> ConditionalRulePayload:
        parsed_type_id = parse_input_id(event_type_id, "eventTypeId")
        context = info.context
        result = await event_type_commands.add_conditional_rule(
            context.database, context.command, parsed_type_id, rule.to_domain()
        )
        return _build_rule_payload(
            result, None if result.draft is None else list(result.draft.rules)[-1]
        )

    @strawberry.mutation(
        description=with_example(
            "Changes a conditional rule and increments the version of its event type.\n\n"
            "Requires EVENT_TYPE_MANAGE. User errors: `NOT_FOUND`, `INVALID_INPUT`, `CYCLE` if "
            "the visibility of a field would depend on itself, `LIMIT_REACHED` if the conditions "
            "of the event type compare too many values in total (5,000 by default; each value "
            "counts once for each target of its rule, and a time that is compared by GT, GTE, LT "
            "or LTE counts as 250 values).",
            """
            mutation {
              updateConditionalRule(
                input: { id: "019a3f5c-7b1e-7000-8000-000000000301", enabled: false }
              ) {
                conditionalRule { enabled }
                userErrors { code message path }
              }
            }
            """,
        )
    )
    async def update_conditional_rule(
        self,
        info: Info,
        input: Annotated[
            UpdateConditionalRuleInput, strawberry.argument(description="Changes to the rule.")
        ],
    ) -> ConditionalRulePayload:
        table = tables.ConditionalRule
        attributes = input.to_domain()
        rule_id = parse_input_id(input.id, "input", "id")
        result = await _apply_part_edit(
            info, table, rule_id, event_type_draft.update_rule, attributes
        )
        return _build_rule_payload(result, rule_id)

    @strawberry.mutation(
        description=with_example(
            "Deletes a conditional rule, increments the version of its event type, and returns "
            "the last state of the rule.\n\n"
            "Requires EVENT_TYPE_MANAGE. User errors: `NOT_FOUND`, `INVALID_INPUT`.",
            """
            mutation {
              deleteConditionalRule(id: "019a3f5c-7b1e-7000-8000-000000000301") {
                conditionalRule { name }
                userErrors { code message }
              }
            }
            """,
        )
    )
    async def delete_conditional_rule(self, info: Info, id: RuleId) -> ConditionalRulePayload:
        rule_id = parse_input_id(id, "id")
        result = await _apply_part_edit(
            info, tables.ConditionalRule, rule_id, event_type_draft.delete_rule
        )
        payload = _build_rule_payload(result)
        row, shape = result.event_type, result.draft
        if row is not None and shape is not None and shape.removed_rule is not None:
            payload.conditional_rule = ConditionalRule.from_domain(
                rule_id, row.id, shape.removed_rule
            )
        return payload


async def _apply_edit(
    info: Info, id: UUID, edit: event_type_draft.Edit, *id_path: str, if_version: int | None = None
) -> EventTypeResult:
    context = info.context
    return await event_type_commands.edit_event_type(
        context.database, context.command, id, edit, *id_path, if_version=if_version
    )


async def _apply_part_edit(
    info: Info,
    table: type[event_types.TypePart],
    id: UUID,
    edit: Callable[..., event_type_draft.Edit],
    *attributes: Mapping[str, Any],
) -> EventTypeResult:
    id_path = ("input", "id") if attributes else ("id",)
    context = info.context
    return await event_type_commands.edit_part(
        context.database, context.command, table, id, edit(id, *attributes), *id_path
    )


def _build_rule_payload(
    result: EventTypeResult, rule_id: UUID | None = None
) -> ConditionalRulePayload:
    row, shape = result.event_type, result.draft
    rule = None
    if row is not None and shape is not None and rule_id is not None:
        rule = ConditionalRule.from_domain(rule_id, row.id, shape.rules[rule_id])
    return ConditionalRulePayload(
        conditional_rule=rule,
        event_type=None if row is None else EventType.from_row(row),
        user_errors=to_user_errors(result.problems),
    )
