"""Cost of each field, in points.

A row that is read and returned costs 1 point. A field that returns no rows and is not in the table
costs nothing, but a root field costs 1 point. The selection below a list is charged once for each
row of the list.
"""

from __future__ import annotations

from dataclasses import dataclass

from graphql import (
    GraphQLField,
    GraphQLNamedType,
    GraphQLObjectType,
    get_named_type,
    get_nullable_type,
    is_list_type,
)


@dataclass(frozen=True)
class FieldCost:
    """Cost of a field.

    `default_rows`: number of rows if no size argument is given.
    `size_arguments`: arguments that set the number of rows: a number, or a list that is counted.
    `limit_name`: the limit that caps the number of rows; the resolver rejects larger values.
    `row_cost`: cost of each row.
    `row_fields`: subfields that contain the rows, such as `nodes`; without them the field itself is
    the list. Each selection of one is charged for all rows, and the field itself costs 1.
    `charges_rows_once`: the field is charged for its rows whatever is selected below it.
    `multiplier_argument`: an argument that multiplies the rows charged once.
    """

    default_rows: int = 1
    size_arguments: tuple[str, ...] = ()
    limit_name: str | None = None
    row_cost: float = 1
    row_fields: tuple[str, ...] = ()
    charges_rows_once: bool = False
    multiplier_argument: str | None = None


ONE_ROW, FEW_ROWS = FieldCost(), FieldCost(2)
PAGE = FieldCost(20, ("first", "last"), "page_size", row_fields=("edges", "nodes"))
# The complete introspection returns a few thousand objects, all of them in memory.
INTROSPECTION = FieldCost(row_cost=500)

COSTS: dict[str, FieldCost] = {
    "Query.cloudEvents": FieldCost(
        20, ("pageSize",), "cloud_events_page_size", row_fields=("events",)
    ),
    # A row is a few numbers: ten rows cost a point.
    "Query.eventCounts": FieldCost(100, ("first",), "count_rows_over_time", row_cost=0.1),
    # Counts, and the positions of the newest 1,000 notifications.
    "Query.notificationSummary": FieldCost(row_cost=10),
    # Reads the event type and all rules that a change could break, and compiles the form.
    "Query.checkEventType": FieldCost(row_cost=10),
    "NotificationSummary.bySeverity": FieldCost(4, row_cost=0.25),
    "Query.tryGuardRule": FieldCost(
        100,
        ("last",),
        "events_per_trial",
        row_fields=("examples", "failures"),
        charges_rows_once=True,
    ),
    # Validates the events of a payload.
    "Query.trySource": FieldCost(row_cost=10),
    # Each payload may be as large as several events.
    "Source.rejected": FieldCost(20, row_cost=4),
    "Query.__schema": INTROSPECTION,
    "Query.__type": FieldCost(row_cost=20),
    # Each step of the traversal reads a page, whatever is selected.
    "Event.correlations": FieldCost(
        20,
        ("first",),
        "page_size",
        row_fields=("edges", "nodes"),
        charges_rows_once=True,
        multiplier_argument="depth",
    ),
    "Channel.hasAddress": ONE_ROW,  # decrypts the secrets of the channel
    # Evaluates all rules that apply.
    "Event.guardViolations": FieldCost(row_cost=5),
    "Event.fieldValues": FieldCost(5),  # the usual number of fields of a type, here and below
    "EventChange.event": ONE_ROW,
    "EventCheck.duplicateOf": ONE_ROW,
    "FieldValue.field": ONE_ROW,
    "EventType.fields": FieldCost(5),
    "EventType.conditionalRules": FieldCost(3),
    "EventType.jsonSchema": ONE_ROW,
    "EventType.uiSchema": ONE_ROW,
    "GuardRule.versions": FieldCost(5),
    "GuardViolation.rule": ONE_ROW,
    "DuplicateError.rule": ONE_ROW,
    "DuplicateError.existing": ONE_ROW,
    "Organization.apiKeys": FieldCost(20),
    "Viewer.organization": ONE_ROW,
    "Viewer.organizations": FieldCost(10),
    # A bulk mutation is charged for its inputs; this covers the returned rows.
    "Mutation.logEvents": FieldCost(
        1, ("input",), "events_per_call", row_fields=("results",), charges_rows_once=True
    ),
    "Mutation.ingestCloudEvents": FieldCost(
        1, ("events",), "events_per_call", row_fields=("results",), charges_rows_once=True
    ),
    "Mutation.correlateEvents": FieldCost(
        1, ("relatedIds",), "correlations_per_call", charges_rows_once=True
    ),
    "Mutation.uncorrelateEvents": FieldCost(
        1, ("relatedIds",), "correlations_per_call", charges_rows_once=True
    ),
    "AcknowledgeEventsPayload.events": FieldCost(100),
}

# Lists of objects that cost nothing: errors of an input that is already charged, the options of a
# field, which are values of its row, and the limits of the server, which are in memory.
FREE_LISTS = frozenset({"userErrors", "warnings", "choices", "limits"})


def find_field_cost(parent: GraphQLNamedType, name: str, field: GraphQLField) -> FieldCost | None:
    """Returns the cost of a field, or None.

    Without an entry in the table, a connection costs its page, and the objects of other rows that
    belong to a row cost a point each.
    """
    if (cost := COSTS.get(f"{parent.name}.{name}")) is not None:
        return cost
    type_ = get_named_type(field.type)
    if isinstance(type_, GraphQLObjectType) and "pageInfo" in type_.fields:
        return PAGE
    if not _is_node(parent) or not _is_node(type_):
        return None
    return FEW_ROWS if is_list_type(get_nullable_type(field.type)) else ONE_ROW


def _is_node(type_: GraphQLNamedType) -> bool:
    """Whether the objects of a type are rows with an ID of their own."""
    return isinstance(type_, GraphQLObjectType) and any(
        interface.name == "Node" for interface in type_.interfaces
    )
