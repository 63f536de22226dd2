"""Descriptions and arguments that are the same for every kind of rule."""

from __future__ import annotations

from typing import Annotated, Any

import strawberry

from app.domain.rules.guards import GuardRuleState
from app.graphql.shared.context import Context
from app.graphql.shared.nodes import parse_id_argument
from app.services.definitions.rules import RulePageRequest
from app.store.reading.pages import parse_page_request

RULE_EVENT_TYPE_DESCRIPTION = (
    "ID of the event type to whose events the rule is limited. Null means that the rule applies to "
    "all events of the organization. Cannot be changed later."
)
EventTypeIdFilter = Annotated[
    strawberry.ID | None,
    strawberry.argument(
        description="ID of an event type. Only the rules of this event type are listed, without "
        "those that apply to all events. If omitted, all rules of the organization are listed."
    ),
]


def build_rule_page_request(
    _root: Any,
    context: Context,
    event_type_id: strawberry.ID | None = None,
    first: int | None = 20,
    after: str | None = None,
    state: GuardRuleState | None = None,
) -> RulePageRequest:
    """Builds the request for a page. Raises RequestError BAD_USER_INPUT or INVALID_CURSOR."""
    parsed_type_id = (
        None if event_type_id is None else parse_id_argument(event_type_id, "eventTypeId")
    )
    return RulePageRequest(
        parsed_type_id, parse_page_request(context.limits, first=first, after=after), state
    )
