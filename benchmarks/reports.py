"""The cost of a report: alone, on 32 connections and in lists; and the cost of rules.

First, `logEvent` one after another, the same on 32 connections, and `logEvents` of 500, in turns on
one server. Then, several event types: every round logs one event of each type in a random order, so
that other load affects all of them. Prints medians, ratios to the type without rules, and the share
of the validation. Run it with `make bench`.
"""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx

from app.domain.access.caller import Caller
from app.domain.event_types.conditions import ConditionalEffect, ConditionalRule
from app.domain.event_types.fields import FieldDefinition, FieldKind
from app.domain.event_types.lifecycle import EventTypeState
from app.domain.events.predicates import FieldPredicate, PredicateOperator
from app.domain.events.state import EventDraft
from app.domain.intake.intake import Accepted, CommandContext, EventTypeSnapshot, validate_report
from benchmarks.processes import (
    KEY,
    TOCSIN,
    ChildProcess,
    build_environment,
    running_postgresql,
    running_server,
)

NUMBERS = [f"n{index}" for index in range(5)]
TEXTS = [f"t{index}" for index in range(5)]
VALUES: dict[str, Any] = dict.fromkeys(NUMBERS, 150) | dict.fromkeys(TEXTS, "equipment")
CREATE = """
mutation ($input: CreateEventTypeInput!) {
  createEventType(input: $input) { eventType { id } userErrors { message } }
}
"""
GUARD = """
mutation ($input: CreateGuardRuleInput!) {
  createGuardRule(input: $input) { guardRule { id } userErrors { message } }
}
"""
PUBLISH = "mutation ($id: ID!) { publishGuardRule(id: $id) { userErrors { message } } }"
DUPLICATION = """
mutation ($input: CreateDuplicationRuleInput!) {
  createDuplicationRule(input: $input) { userErrors { message } }
}
"""
LOG = """
mutation ($input: LogEventInput!) {
  logEvent(input: $input) { event { id } userErrors { message } }
}
"""


WAYS = {  # connections, events per call
    "one after another": (1, 1),
    "32 connections": (32, 1),
    "lists of 500": (1, 500),
    "lists of 500, 4 connections": (4, 500),
}
TURNS, TURN_SECONDS = 3, 3


def main(database_url: str, rounds: int) -> None:
    with running_client(database_url) as http:
        name = database_url.partition(":")[0]
        print(f"\n{name}, {TURNS} turns of {TURN_SECONDS} s\n")
        print("| logging | events/s | ratio |\n|---|---|---|")
        rates = measure_writing_rates(str(http.base_url))
        for mode, rate in rates.items():
            print(f"| {mode} | {rate:,.0f} | {rate / rates['one after another']:.1f} |")
        kinds = define_event_types(http)
        times: dict[str, list[float]] = defaultdict(list)
        for number in range(rounds):
            order = list(kinds)
            random.Random(number).shuffle(order)
            for kind in order:
                report = {"type": kind, "fields": kinds[kind], "sourceId": str(uuid4())}
                begun = time.perf_counter()
                execute(http, LOG, input=report)
                times[kind].append(time.perf_counter() - begun)
    median = {kind: statistics.median(taken) for kind, taken in times.items()}
    validation_seconds = measure_validation_seconds(rounds)
    print(f"\n{name}, {rounds} reports of each type, one at a time\n")
    print("| event type | logEvent, ms | ratio |\n|---|---|---|")
    for kind in kinds:
        taken = median[kind]
        print(f"| {kind} | {taken * 1e3:.2f} | {taken / median['free-form']:.2f} |")
    share = validation_seconds / median["10 fields, 5 conditional rules"]
    print(
        f"\nValidation of 10 fields with 5 conditional rules: {validation_seconds * 1e6:.0f} us, "
    )
    print(f"{share:.1%} of the whole logEvent.")


def measure_writing_rates(url: str) -> dict[str, float]:
    """Returns events per second of each mode, over all its turns."""
    rates = {}
    done: dict[str, list[dict[str, float]]] = {mode: [] for mode in WAYS}
    for _ in range(TURNS):
        for mode, (connections, size) in WAYS.items():
            instructions = {"url": url, "connections": connections, "size": size}
            child = ChildProcess("benchmarks.writers", instructions | {"seconds": TURN_SECONDS})
            done[mode].append(child.receive())
            child.kill()
    for mode, turns in done.items():
        rates[mode] = sum(each["stored"] for each in turns) / sum(each["seconds"] for each in turns)
    return rates


def define_event_types(http: httpx.Client) -> dict[str, dict[str, Any]]:
    """Creates the event types. Returns the fields of an event by type."""
    define_event_type(
        http, "10 fields, 5 conditional rules", conditionalRules=build_conditional_rules()
    )
    define_event_type(http, "10 fields, 1 guard rule", guards=1)
    define_event_type(http, "10 fields, 10 guard rules", guards=10)
    define_event_type(http, "10 fields, 1 duplication rule", rules=1)
    define_event_type(http, "10 fields, 3 duplication rules", rules=3)
    define_event_type(http, "10 fields")
    kinds = dict.fromkeys(
        (
            "10 fields",
            "10 fields, 5 conditional rules",
            "10 fields, 1 guard rule",
            "10 fields, 10 guard rules",
            "10 fields, 1 duplication rule",
            "10 fields, 3 duplication rules",
        ),
        VALUES,
    )
    return {"free-form": VALUES} | kinds


def define_event_type(
    http: httpx.Client, kind: str, guards: int = 0, rules: int = 0, **report: Any
) -> None:
    fields = [{"name": name, "kind": "NUMBER"} for name in NUMBERS]
    fields += [{"name": name, "kind": "TEXT"} for name in TEXTS]
    definition = {"name": kind, "type": kind, "state": "PUBLISHED", "fields": fields} | report
    type_id = execute(http, CREATE, input=definition)["eventType"]["id"]
    for number in range(guards):
        rule = {
            "name": f"guard {number}",
            "eventTypeId": type_id,
            "expression": f"event.fields.n{number % 5} < 1000 && event.fields.t0 != ''",
            "message": "Too much.",
        }
        execute(http, PUBLISH, id=execute(http, GUARD, input=rule)["guardRule"]["id"])
    for number in range(rules):
        # Reports at one instant would be duplicates: the window is shorter than a request.
        rule = {
            "name": f"rule {number}",
            "eventTypeId": type_id,
            "fingerprint": ["source", f"fields.n{number}"],
            "window": "PT0S",
            "action": "FLAG",
        }
        execute(http, DUPLICATION, input=rule)


def build_conditional_rules() -> list[dict[str, Any]]:
    return [
        {
            "name": f"show t{index}",
            "effect": "SHOW",
            "targets": [f"t{index}"],
            "condition": {"field": {"field": f"n{index}", "operator": "GT", "value": 100}},
        }
        for index in range(5)
    ]


def measure_validation_seconds(rounds: int) -> float:
    """Returns the median time of the validation alone, for the same type and values."""
    rules = tuple(
        ConditionalRule(
            f"show t{index}",
            ConditionalEffect.SHOW,
            (f"t{index}",),
            FieldPredicate(f"n{index}", PredicateOperator.GT, 100),
        )
        for index in range(5)
    )
    fields = [FieldDefinition(name, FieldKind.NUMBER) for name in NUMBERS]
    fields += [FieldDefinition(name, FieldKind.TEXT) for name in TEXTS]
    spec = EventTypeSnapshot(
        UUID(int=1), "t", "T", "general", EventTypeState.PUBLISHED, 1, tuple(fields), rules
    )
    command = CommandContext(Caller("bench", UUID(int=2), frozenset()), datetime.now(UTC))
    taken = []
    for _ in range(rounds + 10):
        begun = time.perf_counter()
        assert isinstance(
            validate_report(EventDraft(type="t", fields=VALUES), spec, command, uuid4()), Accepted
        )
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken[10:])


@contextmanager
def running_client(database_url: str) -> Iterator[httpx.Client]:
    """Starts `tocsin serve` in its own process. Yields a client of it."""
    headers = {"authorization": f"Bearer {KEY}"}
    with (
        running_server([*TOCSIN, "0"], build_environment(database_url)) as url,
        httpx.Client(base_url=url, headers=headers) as http,
    ):
        yield http


def execute(http: httpx.Client, query: str, **variables: Any) -> Any:
    answer = http.post("/graphql", json={"query": query, "variables": variables}).json()
    assert "errors" not in answer, answer
    [payload] = answer["data"].values()
    assert payload["userErrors"] == [], payload
    return payload


if __name__ == "__main__":
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    with tempfile.TemporaryDirectory() as folder:
        main(f"sqlite:///{folder}/tocsin.db", rounds)
        with running_postgresql(Path(folder) / "postgresql") as created:
            main(created("reports"), rounds)
