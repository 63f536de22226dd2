"""Mutations of event types, their fields and their conditional rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import strawberry

from app.domain.event_types import event_type_draft
from app.domain.event_types.lifecycle import EventTypeState
from app.domain.shared.values import parse_id
from app.graphql.event_types.conditional_rules import (
    ConditionalRuleInput,
    ConditionalRulePayload,
    RuleId,
    UpdateConditionalRuleInput,
)
from app.graphql.event_types.inputs import (
    CreateEventTypeInput,
    EventFieldInput,
    UpdateEventFieldInput,
    UpdateEventTypeInput,
)
from app.graphql.shared.context import Info
from app.graphql.shared.nodes import invalid_id_problem
from app.graphql.types.conditional_rule import ConditionalRule
from app.graphql.types.duplication_rule import DuplicationRule
from app.graphql.types.event_type import EventField, EventType
from app.graphql.types.guard_rule import GuardRule
from app.graphql.types.user_error import UserError, to_user_errors
from app.services.definitions import event_types
from app.services.event_types import event_type_commands
from app.services.event_types.event_type_commands import EventTypeResult
from app.store import tables


@strawberry.type(description="What became of a change of an event type.")
class EventTypePayload:
    event_type: EventType | None = strawberry.field(
        description="The event type; once deleted, as it was; null where the change was refused."
    )
    user_errors: list[UserError] = strawberry.field(description="Everything that is wrong.")

    @classmethod
    def from_result(cls, result: EventTypeResult, *argument_path: str) -> EventTypePayload:
        row = result.event_type
        return cls(
            event_type=None if row is None else EventType.from_row(row),
            user_errors=to_user_errors(result.problems, *argument_path),
        )


TypeId = Annotated[strawberry.ID, strawberry.argument(description="The event type's id.")]
FieldId = Annotated[strawberry.ID, strawberry.argument(description="The field's id.")]


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
        context = info.context
        result = await event_type_commands.create_event_type(
            context.database, context.command, input.to_domain()
        )
        return EventTypePayload.from_result(result, "input")

    @strawberry.mutation(description="Changes what an event type is called and belongs to.")
    async def update_event_type(
        self,
        info: Info,
        input: Annotated[UpdateEventTypeInput, strawberry.argument(description="What to change.")],
    ) -> EventTypePayload:
        edit = event_type_draft.update_attributes(input.to_domain())
        id_path = ("input", "id")
        return EventTypePayload.from_result(
            await _apply_edit(info, input.id, edit, *id_path, if_version=input.if_version)
        )

    @strawberry.mutation(
        description="Takes an event type away, with its fields and rules, while no event has it; "
        "after that, archive it."
    )
    async def delete_event_type(self, info: Info, id: TypeId) -> EventTypePayload:
        event_type_id = parse_id(id)
        if event_type_id is None:
            return EventTypePayload.from_result(
                EventTypeResult(problems=(invalid_id_problem("id"),))
            )
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
            event_type.preloaded_guard_rules = [
                GuardRule.from_row(row) for row in deleted.guard_rules
            ]
            event_type.preloaded_duplication_rules = [
                DuplicationRule.from_row(row) for row in deleted.duplication_rules
            ]
            for field in event_type.preloaded_fields:
                field.preloaded_event_type = event_type
            for rule in event_type.preloaded_conditional_rules:
                rule.preloaded_event_type = event_type
        return payload

    @strawberry.mutation(
        description="Moves an event type through its life: DRAFT, PUBLISHED, DEPRECATED, ARCHIVED. "
        "`EventType.transitions` says where it may go."
    )
    async def transition_event_type(
        self,
        info: Info,
        id: TypeId,
        to: Annotated[EventTypeState, strawberry.argument(description="Its new state.")],
        sunset_at: Annotated[
            datetime | None,
            strawberry.argument(
                description="With DEPRECATED: new events are refused from then on."
            ),
        ] = None,
    ) -> EventTypePayload:
        event_type_id = parse_id(id)
        if event_type_id is None:
            return EventTypePayload.from_result(
                EventTypeResult(problems=(invalid_id_problem("id"),))
            )
        context = info.context
        return EventTypePayload.from_result(
            await event_type_commands.transition_event_type(
                context.database, context.command, event_type_id, to, sunset_at
            )
        )

    @strawberry.mutation(description="Adds a field at the end of the form.")
    async def add_event_field(
        self,
        info: Info,
        event_type_id: TypeId,
        field: Annotated[EventFieldInput, strawberry.argument(description="The field.")],
    ) -> EventTypePayload:
        parsed_type_id = parse_id(event_type_id)
        if parsed_type_id is None:
            return EventTypePayload.from_result(
                EventTypeResult(problems=(invalid_id_problem("eventTypeId"),))
            )
        context = info.context
        return EventTypePayload.from_result(
            await event_type_commands.add_event_field(
                context.database, context.command, parsed_type_id, field.to_domain()
            )
        )

    @strawberry.mutation(
        description="Changes a field. Events that are there already keep the version that they "
        "were checked against."
    )
    async def update_event_field(
        self,
        info: Info,
        input: Annotated[UpdateEventFieldInput, strawberry.argument(description="What to change.")],
    ) -> EventTypePayload:
        return EventTypePayload.from_result(
            await _apply_part_edit(
                info, tables.EventField, input.id, event_type_draft.update_field, input.to_domain()
            )
        )

    @strawberry.mutation(
        description="Takes a field away; stored values stay as they are. A field that a rule names "
        "stays: IN_USE."
    )
    async def remove_event_field(self, info: Info, id: FieldId) -> EventTypePayload:
        return EventTypePayload.from_result(
            await _apply_part_edit(info, tables.EventField, id, event_type_draft.remove_field)
        )

    @strawberry.mutation(description="Puts the fields of an event type into another order.")
    async def reorder_event_fields(
        self,
        info: Info,
        event_type_id: TypeId,
        field_ids: Annotated[
            list[strawberry.ID],
            strawberry.argument(description="All of the type's fields, each once, in their order."),
        ],
    ) -> EventTypePayload:
        ids = [parse_id(field_id) for field_id in field_ids]
        if None in ids:
            problem = invalid_id_problem("fieldIds", str(ids.index(None)))
            return EventTypePayload.from_result(EventTypeResult(problems=(problem,)))
        edit = event_type_draft.reorder_fields(
            [field_id for field_id in ids if field_id is not None]
        )
        return EventTypePayload.from_result(
            await _apply_edit(info, event_type_id, edit, "eventTypeId")
        )

    @strawberry.mutation(description="Adds a conditional rule to an event type.")
    async def add_conditional_rule(
        self,
        info: Info,
        event_type_id: TypeId,
        rule: Annotated[ConditionalRuleInput, strawberry.argument(description="The rule.")],
    ) -> ConditionalRulePayload:
        parsed_type_id = parse_id(event_type_id)
        if parsed_type_id is None:
            return _build_rule_payload(
                EventTypeResult(problems=(invalid_id_problem("eventTypeId"),))
            )
        context = info.context
        result = await event_type_commands.add_conditional_rule(
            context.database, context.command, parsed_type_id, rule.to_domain()
        )
        return _build_rule_payload(
            result, None if result.draft is None else list(result.draft.rules)[-1]
        )

    @strawberry.mutation(description="Changes a conditional rule.")
    async def update_conditional_rule(
        self,
        info: Info,
        input: Annotated[
            UpdateConditionalRuleInput, strawberry.argument(description="What to change.")
        ],
    ) -> ConditionalRulePayload:
        table = tables.ConditionalRule
        attributes = input.to_domain()
        result = await _apply_part_edit(
            info, table, input.id, event_type_draft.update_rule, attributes
        )
        return _build_rule_payload(result, parse_id(input.id))

    @strawberry.mutation(description="Takes a conditional rule away, and answers with it.")
    async def delete_conditional_rule(self, info: Info, id: RuleId) -> ConditionalRulePayload:
        result = await _apply_part_edit(
            info, tables.ConditionalRule, id, event_type_draft.delete_rule
        )
        payload = _build_rule_payload(result)
        rule_id, row, shape = parse_id(id), result.event_type, result.draft
        if (
            rule_id is not None
            and row is not None
            and shape is not None
            and shape.removed_rule is not None
        ):
            payload.conditional_rule = ConditionalRule.from_domain(
                rule_id, row.id, shape.removed_rule
            )
        return payload


async def _apply_edit(
    info: Info, id: str, edit: event_type_draft.Edit, *id_path: str, if_version: int | None = None
) -> EventTypeResult:
    event_type_id = parse_id(id)
    if event_type_id is None:
        return EventTypeResult(problems=(invalid_id_problem(*id_path),))
    context = info.context
    return await event_type_commands.edit_event_type(
        context.database, context.command, event_type_id, edit, *id_path, if_version=if_version
    )


async def _apply_part_edit(
    info: Info,
    table: type[event_types.TypePart],
    id: str,
    edit: Callable[..., event_type_draft.Edit],
    *attributes: Mapping[str, Any],
) -> EventTypeResult:
    id_path = ("input", "id") if attributes else ("id",)
    part_id = parse_id(id)
    if part_id is None:
        return EventTypeResult(problems=(invalid_id_problem(*id_path),))
    context = info.context
    return await event_type_commands.edit_part(
        context.database, context.command, table, part_id, edit(part_id, *attributes), *id_path
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
