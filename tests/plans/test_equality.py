"""Plans and execution return equal responses for everything that plans cover."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from tests.plans.plan_and_execution import PlanAndExecution
from tests.plans.random_documents import RandomDocument
from tests.plans.test_coverage import list_planned_fields

DOCUMENTS = 400
FILTERS: list[dict[str, Any]] = [
    {},
    {"types": ["t*", "notice"]},
    {"types": []},
    {"category": "c", "severities": ["WARN", "ERROR"]},
    {"source": "source-1", "sourceIds": ["1", "3", "5"]},
    {"entity": {"type": "Well", "id": "w-5"}},
    {"entityId": "w-10", "outcome": "FAILURE"},
    {"occurredAt": {"from": "2026-04-02T00:00:00Z", "to": "2026-04-05T00:00:00+02:00"}},
    {"recordedAt": {"from": "2026-04-02T00:00:00Z"}},
    {"lastOccurredAt": {"from": "2026-04-03T00:00:00Z"}},
    {"updatedAt": {"to": "2026-04-06T00:00:00Z"}},
    {"missing": ["CATEGORY", "OUTCOME"]},
    {"missing": []},
    {"notification": True, "acknowledged": False},
    {"duplicate": True},
    {"missing": ["SILENCED_BY"], "severities": ["INFO"]},
    {"tags": {"all": ["a:b"]}},
    {"tags": {"any": ["a:b", "c"]}},
    {"search": "quoted NUMBER"},
    {"fields": [{"field": "volume", "operator": "GT", "value": 101}]},
    {"fields": [{"field": "cause", "operator": "EXISTS"}], "subject": "same"},
    {"or": [{"source": "source-0"}, {"and": [{"category": "c"}, {"not": {"types": ["t2"]}}]}]},
    {"and": [], "not": {"severities": []}},
]


async def test_random_documents_have_the_same_response_from_plan_and_execution(
    both: PlanAndExecution,
) -> None:
    arguments = await list_argument_choices(both)
    used: set[str] = set()

    for seed in range(DOCUMENTS):
        drawn = RandomDocument(seed, arguments)
        await both.execute_both(drawn.text(), **drawn.variables)
        used |= drawn.used

    assert {each for each in list_planned_fields() if each not in used} == set()


async def test_pages_of_every_kind_are_the_same(both: PlanAndExecution) -> None:
    page = "{ edges { cursor node { id } } pageInfo { hasNextPage hasPreviousPage } totalCount }"
    for order in ("OCCURRED_AT", "RECORDED_AT", "LAST_OCCURRED_AT", "SEVERITY"):
        for direction in ("ASC", "DESC"):
            by = f"orderBy: {{field: {order}, direction: {direction}}}"
            whole = await both.execute_both(f"{{ events(first: 40, {by}) {page} }}")
            cursors = [each["cursor"] for each in whole["events"]["edges"]]
            for offset in (0, 17, 39):
                for window in (
                    f'first: 7, after: "{cursors[offset]}"',
                    f'last: 7, before: "{cursors[offset]}"',
                    f'first: 7, before: "{cursors[offset]}"',
                    f'last: 7, after: "{cursors[offset]}"',
                    f"first: 5, offset: {offset}",
                    "last: 7",
                ):
                    query = f"{{ events({window}, {by}) {{ edges {{ cursor node {{ id }} }} }} }}"
                    await both.execute_both(query)


async def list_argument_choices(
    both: PlanAndExecution,
) -> dict[str, list[dict[str, tuple[str, Any]]]]:
    """Returns arguments of each field, as types and values."""
    data = await both.execute_both(
        """{ events(first: 40) { edges { cursor node { id source sourceId } } }
             eventTypes { edges { cursor node { id type } } }
             guardRules { edges { cursor node { id } } }
             duplicationRules { edges { cursor } }
             silences { nodes { id } }
             notifications { edges { cursor } } }"""
    )
    events = [each["node"] for each in data["events"]["edges"]]
    cursors = [each["cursor"] for each in data["events"]["edges"]]
    types = [each["node"] for each in data["eventTypes"]["edges"]]
    unknown = str(UUID(int=7))
    lists: list[dict[str, tuple[str, Any]]] = [
        {},
        {"first": ("Int", 3)},
        {"last": ("Int", 4)},
        {"first": ("Int", 2), "offset": ("Int", 5)},
        {"first": ("Int", None), "filter": ("EventFilter", None)},
        {"after": ("String", cursors[5]), "first": ("Int", 5)},
        {"before": ("String", cursors[9]), "last": ("Int", 5)},
        {"orderBy": ("EventOrder", {"field": "RECORDED_AT", "direction": "ASC"})},
        {"orderBy": ("EventOrder", {"field": "LAST_OCCURRED_AT", "direction": "DESC"})},
        {"orderBy": ("EventOrder", {"field": "SEVERITY", "direction": "DESC"})},
        *({"filter": ("EventFilter", each), "first": ("Int", 5)} for each in FILTERS),
    ]
    ids = [each["id"] for each in (*events[:12], {"id": unknown})]
    return {
        "Query.events": lists,
        "Entity.events": lists,
        "Query.event": [{"id": ("ID!", each)} for each in ids],
        "Query.eventBySource": [
            {"source": ("String!", each["source"]), "sourceId": ("String!", each["sourceId"])}
            for each in (*events[:5], {"source": "x", "sourceId": 'y"'})
            if each["sourceId"] and '"' not in each["sourceId"]
        ],
        "Query.entity": [{"type": ("String!", "Well"), "id": ("String!", "w-5")}],
        "Query.eventType": [
            *({"by": ("EventTypeBy!", {"id": each["id"]})} for each in types),
            *({"by": ("EventTypeBy!", {"type": each["type"]})} for each in types),
            {"by": ("EventTypeBy!", {"type": "none"})},
        ],
        "Query.eventTypes": [
            {},
            {"first": ("Int", 1)},
            {"first": ("Int", 2), "filter": ("EventTypeFilter", {"states": ["PUBLISHED"]})},
            {"filter": ("EventTypeFilter", {"search": "typ", "category": "c"})},
        ],
        "Query.notifications": [
            {},
            {"first": ("Int", 3)},
            *({"first": ("Int", 3), "filter": ("EventFilter", each)} for each in FILTERS),
            {"filter": ("EventFilter", {"notification": False, "acknowledged": True})},
            {"after": ("String", data["notifications"]["edges"][4]["cursor"])},
        ],
        "Query.guardRules": [
            {},
            {"state": ("GuardRuleState", "PUBLISHED")},
            {"eventTypeId": ("ID", types[2]["id"]), "first": ("Int", 1)},
            {"after": ("String", data["guardRules"]["edges"][0]["cursor"])},
        ],
        "Query.guardRule": [
            {"id": ("ID!", each["id"])}
            for each in (data["guardRules"]["edges"][1]["node"], {"id": unknown})
        ],
        "Query.duplicationRules": [
            {},
            {"eventTypeId": ("ID", types[2]["id"])},
            {"after": ("String", data["duplicationRules"]["edges"][0]["cursor"])},
        ],
        "Query.retentionPolicies": [{}, {"first": ("Int", 1)}],
        "Query.silences": [
            {},
            {"first": ("Int", 1)},
            *({"active": ("Boolean", each)} for each in (True, False)),
        ],
        "Query.silence": [
            {"id": ("ID!", each["id"])} for each in (data["silences"]["nodes"][0], {"id": unknown})
        ],
        "Query.eventCounts": [
            {"by": ("[EventDimension!]!", ["SEVERITY", "TYPE", "ENTITY"])},
            {"by": ("[EventDimension!]!", []), "filter": ("EventFilter", FILTERS[3])},
            {
                "by": ("[EventDimension!]!", ["OUTCOME", "ACKNOWLEDGED"]),
                "every": ("Duration", "P1D"),
                "filter": ("EventFilter", FILTERS[7]),
            },
            {
                "byFields": ("[String!]", ["volume", "cause"]),
                "sum": ("[String!]", ["volume"]),
                "every": ("Duration", "P1M"),
                "timeZone": ("String", "Europe/Berlin"),
                "filter": ("EventFilter", FILTERS[7]),
            },
        ],
        "Query.cloudEvents": [
            {
                "from": ("DateTime", "2026-04-02T00:00:00Z"),
                "to": ("DateTime", "2026-05-02T00:00:00Z"),
            },
            {
                "from": ("DateTime", "2026-04-02T00:00:00Z"),
                "planningTags": ("[String!]", ["a:b"]),
                "pageSize": ("Int", 3),
            },
        ],
        "Query.organization": [{}, {"key": ("String", "default")}, {"key": ("String", "other")}],
        "Organization.events": lists,
        "Organization.container": [{"id": ("String!", "c-1")}],
        "Organization.containerEvents": [
            {},
            {"containerId": ("String", "c-1"), "activity": ("ContainerActivity", "ACCESS")},
            {"occurredAt": ("TimeRange", {"from": "2026-04-02T00:00:00Z"})},
        ],
    }
