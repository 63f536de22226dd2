"""The cost of an operation, the maximum cost, and rate limits."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest

from app.domain.access.caller import Caller, Permission
from app.domain.shared.limits import RequestLimits
from app.domain.shared.problems import ErrorCode, RequestError
from app.graphql.schema import build_schema
from app.services.auth.rate_limits import RateLimits
from app.store.engine.database import Database
from tests.client import Client
from tests.cloudevent_client import cloud_event, send_structured
from tests.conftest import Serve
from tests.factories import create_api_key

DOCUMENTS = build_schema().documents

COSTS: list[tuple[int, str, dict[str, Any]]] = [
    (1, "{ logHead }", {}),
    (1, "{ viewer { name permissions } }", {}),
    (1, "{ __typename }", {}),
    # A page costs 1, and its rows once for each selection of them.
    (21, "{ events { nodes { id } } }", {}),
    (1, "{ events(first: 100) { totalCount pageInfo { endCursor } } }", {}),
    (101, "{ events(first: 100) { edges { node { id tags } } } }", {}),
    (201, "{ events(last: 100) { edges { cursor } nodes { id } } }", {}),
    (21, "{ events(first: null) { nodes { id } } }", {}),
    (11, "query ($n: Int) { events(first: $n) { nodes { id } } }", {"n": 10}),
    (21, "query ($n: Int) { events(first: $n) { nodes { id } } }", {}),
    (21, "query ($n: Int) { events(first: $n) { nodes { id } } }", {"n": None}),
    (31, "query ($n: Int = 30) { events(first: $n) { nodes { id } } }", {}),
    (6, "query ($n: Int = 30) { events(first: $n) { nodes { id } } }", {"n": 5}),
    (6, "query ($n: Int) { events(last: $n, first: null) { nodes { id } } }", {"n": 5}),
    # A page size out of range is rejected by the resolver.
    (101, "{ events(first: 1000000) { nodes { id } } }", {}),
    (1, "{ events(first: -5) { nodes { id } } }", {}),
    (21, "query ($n: Int) { events(first: $n) { nodes { id } } }", {"n": "ten"}),
    (101, "query ($n: Int) { events(first: $n) { nodes { id } } }", {"n": 1e300}),
    # Fields below a row cost once per row.
    (111, "{ events(first: 10) { nodes { history(first: 9) { nodes { kind } } } } }", {}),
    (41, "{ events { nodes { eventType { name } } } }", {}),
    (
        1 + 10 + 10 + 200 + 200,
        "{ events(first: 10) { nodes { history { nodes { kind event { id } } } } } }",
        {},
    ),
    (121, "{ events { nodes { fieldValues { name } } } }", {}),
    # A traversal costs a page for each level.
    (1 + 20, "{ event(id: 1) { correlations { totalCount } } }", {}),
    (1 + 100, "{ event(id: 1) { correlations(depth: 5) { nodes { depth } } } }", {}),
    (
        1 + 50 + 10,
        """query ($d: Int!) { event(id: 1) { correlations(depth: $d, first: 10) {
             nodes { event { duplicateOf { id } } } } } }""",
        {"d": 5},
    ),
    (1 + 500, "{ cloudEvents(pageSize: 500) { events total } }", {}),
    (1, "{ cloudEvents(pageSize: 500) { total } }", {}),
    (10, "{ eventCounts(by: [TYPE]) { count } }", {}),
    (1_000, '{ eventCounts(by: [], every: "PT1M", first: 10000) { count } }', {}),
    (500, '{ tryGuardRule(expression: "true", last: 500) { checked } }', {}),
    # A bulk mutation costs by the number of items in the input.
    (
        500,
        "mutation ($i: [LogEventInput!]!) { logEvents(input: $i) { results { event { id } } } }",
        {"i": [{}] * 500},
    ),
    (2, "mutation { logEvents(input: [{}, {}]) { accepted } }", {}),
    (1, "mutation { logEvents(input: {}) { accepted } }", {}),
    (
        6,
        "mutation ($e: [JSON!]!) { ingestCloudEvents(events: $e) { results { event { "
        "eventType { id } } } } }",
        {"e": [{}, {}, {}]},
    ),
    (1 + 100, "mutation { acknowledgeEvents { events { id } } }", {}),
    (1, "mutation { acknowledgeEvents { acknowledgedCount } }", {}),
    # Selections that are executed together cost once, wherever they are written.
    (21, "{ events { nodes { id } } events { nodes { type } } }", {}),
    (42, "{ a: events { nodes { id } } b: events { nodes { id } } }", {}),
    (
        41,
        """{ events { ...A ...B } } fragment A on EventConnection { nodes { eventType { id } } }
           fragment B on EventConnection { nodes { ...C } }
           fragment C on Event { eventType { name } }""",
        {},
    ),
    (
        7,
        """{ node(id: 1) { ... on EventType { fields { name } }
             ... on Event { duplicateOf { id } } } }""",
        {},
    ),
    (10, '{ checkEventType(definition: {name: "a"}) { summary } }', {}),
    (500, "{ __schema { types { name } } }", {}),
]


@pytest.mark.parametrize(("cost", "text", "variables"), COSTS)
def test_an_operation_costs_the_nodes_that_it_requests(
    cost: int, text: str, variables: dict[str, Any]
) -> None:
    document = DOCUMENTS.get_document(text)

    assert document.errors == ()
    assert document.calculate_cost(None, variables) == cost


def test_each_operation_of_a_document_has_its_own_cost() -> None:
    document = DOCUMENTS.get_document("query A { logHead } query B { events { nodes { id } } }")

    costs = [document.calculate_cost(name, {}) for name in ("A", "B", "C", None)]

    assert costs == [1, 21, 0, 0]


async def test_each_response_contains_the_cost(client: Client) -> None:
    query = "query ($n: Int) { events(first: $n) { nodes { id } } }"

    over_http = await client.execute(query, n=7)
    failed = await client.execute('{ events(after: "nowhere") { nodes { id } } }')
    async with client.subscription(query, n=7) as subscription:
        over_socket = (await subscription.socket.receive())["payload"]

    assert over_http["extensions"] == {"cost": {"requested": 8, "limit": 2_000}}
    assert failed["extensions"] == {"cost": {"requested": 21, "limit": 2_000}}
    assert over_socket == over_http


async def test_eight_large_pages_in_one_operation_are_rejected(client: Client) -> None:
    pages = " ".join(f"p{n}: cloudEvents(pageSize: $n) {{ events }}" for n in range(8))
    text = f"query ($n: Int) {{ {pages} }}"

    answer = await client.execute(text, n=500)
    async with client.subscription(text, n=500) as subscription:
        over_socket = await subscription.receive_error()
    fewer = await client.execute(text, n=200)

    assert answer == {
        "errors": [
            {
                "message": "The operation costs 4,008 points; the maximum is 2,000. Request "
                "smaller pages or fewer fields.",
                "locations": [{"line": 1, "column": 1}],
                "extensions": {"code": "LIMIT_EXCEEDED"},
            }
        ],
        "extensions": {"cost": {"requested": 4_008, "limit": 2_000}},
    }
    assert over_socket == answer["errors"][0]
    assert fewer["extensions"]["cost"]["requested"] == 1_608
    assert "errors" not in fewer


async def test_a_mutation_that_costs_too_much_stores_nothing(client: Client) -> None:
    bulks = " ".join(f"b{n}: logEvents(input: $i) {{ accepted }}" for n in range(5))

    error = await client.expect_error(
        f"mutation ($i: [LogEventInput!]!) {{ {bulks} }}", i=[{}] * 401
    )

    assert error["extensions"] == {"code": "LIMIT_EXCEEDED"}
    assert await client.execute_field("{ events { totalCount } }") == {"totalCount": 0}


async def test_the_rate_of_a_credential_is_limited(
    serve: Serve, database_url: str, database: Database
) -> None:
    limits = {"points_per_minute": 60}
    page = "{ events(first: 49) { nodes { id } } }"
    message = (
        "The request costs 50 points and would exceed the rate limit of this credential, 60 "
        "points per minute. Retry in "
    )
    async with serve(database_url, requests=limits) as client:
        other = client.as_key(await create_api_key(database, *Permission))
        first = await client.post(page)

        second = await client.post(page)
        async with client.subscription(page) as subscription:
            over_socket = await subscription.receive_error()
        unharmed = await other.post(page)

    [error] = second.json()["errors"]
    assert (first.status_code, second.status_code, unharmed.status_code) == (200, 429, 200)
    assert 1 <= int(second.headers["retry-after"]) <= 40
    assert error["message"].startswith(message)
    assert error["extensions"]["code"] == "LIMIT_EXCEEDED"
    assert error["extensions"]["retryAfterSeconds"] == int(second.headers["retry-after"])
    assert over_socket["message"].startswith(message)
    assert over_socket["extensions"].keys() == {"code", "retryAfterSeconds"}


async def test_each_operation_of_a_socket_is_charged(serve: Serve, database_url: str) -> None:
    page = "{ events(first: 49) { nodes { id } } }"
    async with (
        serve(database_url, requests={"points_per_minute": 60}) as client,
        client.subscription(page) as subscription,
    ):
        first = await subscription.socket.receive()
        complete = await subscription.socket.receive()
        await subscription.socket.send(id="1", type="subscribe", payload={"query": page})
        error = await subscription.receive_error()

    assert (first["type"], complete["type"]) == ("next", "complete")
    assert first["payload"]["extensions"] == {"cost": {"requested": 50, "limit": 2_000}}
    assert error["extensions"]["code"] == "LIMIT_EXCEEDED"


async def test_cloud_events_over_http_are_rate_limited(serve: Serve, database_url: str) -> None:
    async with serve(database_url, requests={"points_per_minute": 3}) as client:
        taken = await send_structured(client, [cloud_event(id=str(n)) for n in range(3)])
        refused = await send_structured(client, cloud_event(id="4"))

    assert (taken.status_code, refused.status_code) == (202, 429)
    assert refused.json()["code"] == "LIMIT_EXCEEDED"
    assert 1 <= int(refused.headers["retry-after"]) <= 20


def make_caller(name: str = "desk", credential: UUID | None = None) -> Caller:
    return Caller(name, uuid4(), frozenset(), credential_id=credential)


def retry_after(rates: RateLimits, who: Caller, points: int) -> int | None:
    """Returns the seconds to wait, None if not rejected."""
    try:
        rates.charge_points(who, points)
    except RequestError as error:
        return error.retry_after if error.code is ErrorCode.LIMIT_EXCEEDED else -1
    return None


def test_a_bucket_refills_and_a_rejection_costs_nothing() -> None:
    now = [0.0]
    rates = RateLimits(RequestLimits(points_per_minute=60), lambda: now[0])
    command = make_caller()
    spent = []

    for at, points in [(0, 50), (0, 20), (9, 20), (10, 20), (10, 1), (1_000, 60), (1_000, 1)]:
        now[0] = float(at)
        spent.append(retry_after(rates, command, points))

    assert spent == [None, 10, 1, None, 1, None, 1]


def test_a_cost_over_the_bucket_size_delays_later_requests() -> None:
    now = [0.0]
    rates = RateLimits(RequestLimits(points_per_minute=60), lambda: now[0])
    command = make_caller()

    assert retry_after(rates, command, 180) is None
    assert retry_after(rates, command, 1) == 121
    now[0] = 121.0
    assert retry_after(rates, command, 1) is None


def test_what_was_charged_in_advance_is_not_charged_again() -> None:
    rates = RateLimits(RequestLimits(points_per_minute=60), lambda: 0.0)
    caller = make_caller()

    rates.charge_points(caller, 1)
    rates.charge_points(caller, 100, charged=1)  # more than the capacity needs a full bucket

    assert retry_after(rates, caller, 1) == 41


def test_a_key_has_one_bucket_in_all_organizations_and_buckets_are_bounded() -> None:
    rates = RateLimits(RequestLimits(points_per_minute=1, tracked_credentials=3), lambda: 0.0)
    key = uuid4()

    spent = [retry_after(rates, make_caller(str(n), key), 1) for n in range(2)]
    for n in range(10):
        rates.charge_points(make_caller(str(n)), 1)

    assert spent == [None, 60]
    assert len(rates) == 3


def test_tokens_of_the_same_name_in_two_organizations_have_separate_limits() -> None:
    rates = RateLimits(RequestLimits(points_per_minute=1), lambda: 0.0)
    first, second = make_caller("ann"), make_caller("ann")

    spent = [retry_after(rates, caller, 1) for caller in (first, second, first)]

    assert spent == [None, None, 60]


def test_without_a_configured_rate_nothing_is_counted() -> None:
    rates = RateLimits()

    for _ in range(3):
        rates.charge_points(make_caller(), 1_000_000)

    assert len(rates) == 0
