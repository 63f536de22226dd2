"""Drawn configurations, applied one after the other: afterwards, `tocsin config plan` is empty.

It is also empty for the exported configuration. Applies 10,000 configurations, half of them on
each database. Run it by `make soak`; it ends with 1 and the configuration if a plan is not empty.
`tests/configuration/test_convergence.py` runs a short form.
"""

from __future__ import annotations

import argparse
import os
import time
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.api_client import ApiClient
from app.configuration.applying import apply_plan
from app.configuration.configuration import parse_configuration, validate_items
from app.configuration.file_schema import SECTIONS
from app.configuration.planning import create_plan
from app.configuration.plans import Plan, PlanOptions
from app.configuration.stored_state import StoredState, fetch_state, format_state
from app.configuration.yaml_file import format_yaml
from app.domain.shared.values import format_instant
from benchmarks.faults import parse_options, publish_results
from benchmarks.faults_checks import FaultFigures
from benchmarks.faults_cluster import FaultCluster
from benchmarks.processes import KEY

PER_ORGANIZATION = 20  # retired rules and versions accumulate
PRUNE = PlanOptions(prune=True)
TEXTS = st.text("aB1 :#'\"-é漢{}[],&*!|>%@`~", min_size=1, max_size=12).filter(
    lambda text: text.strip() != ""
)
TYPES = ("t.a", "t.b", "t.c")
FIELDS = ("f0", "f1", "f2", "f3")
OPERATORS = st.sampled_from(["EXISTS", "NOT_EXISTS"])


def optional(**values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=values)


@st.composite
def fields(draw: st.DrawFn, name: str) -> dict[str, Any]:
    kind = draw(st.sampled_from(["TEXT", "NUMBER", "BOOLEAN", "SELECT", "MULTI_SELECT", "DATE"]))
    field: dict[str, Any] = {"name": name, "kind": kind}
    field |= draw(optional(label=TEXTS | st.just(name), required=st.booleans(), helpText=TEXTS))
    field |= draw(optional(unit=TEXTS, sourceKey=st.sampled_from(["a.b", "c"])))
    if kind == "TEXT":
        lengths = st.integers(3, 50)
        field |= draw(
            optional(maxLength=lengths, pattern=st.just("^[a-z:]*$"), default=st.just("a"))
        )
    if kind == "NUMBER":
        field |= draw(optional(minimum=st.sampled_from([0, -1.5, 1e-3]), maximum=st.just(10)))
        field |= draw(optional(default=st.sampled_from([1, 2.5])))
    if kind in ("SELECT", "MULTI_SELECT"):
        options = draw(st.lists(st.sampled_from("abno"), min_size=1, unique=True))
        if draw(st.booleans()):
            choices = [{"value": each} | draw(optional(label=TEXTS)) for each in options]
            return field | {"choices": choices}
        return field | {"options": options}
    return field


@st.composite
def conditions(draw: st.DrawFn, field: str) -> dict[str, Any]:
    predicate = {"field": {"field": field, "operator": draw(OPERATORS)}}
    wrap = st.sampled_from(["all", "any", "not", None])
    match draw(wrap):
        case "not":
            return {"not": predicate}
        case None:
            return predicate
        case name:
            return {name: [predicate] * draw(st.integers(0, 2))}


@st.composite
def event_types(draw: st.DrawFn, type_name: str) -> dict[str, Any]:
    names = draw(st.lists(st.sampled_from(FIELDS), unique=True))
    event_type: dict[str, Any] = {"type": type_name, "name": draw(TEXTS)}
    event_type |= draw(optional(description=TEXTS | st.just("a\n\nb\n"), category=TEXTS))
    event_type |= draw(optional(additionalFields=st.sampled_from(["REFUSE", "KEEP", "DROP"])))
    event_type["fields"] = [draw(fields(name)) for name in names]
    state = draw(st.sampled_from(["PUBLISHED", "DEPRECATED", "ARCHIVED", None]))
    if state is not None:
        event_type["state"] = state
    if state == "DEPRECATED":
        times = st.sampled_from(["2999-01-01T00:00:00Z", "2998-06-01T12:30:00.5+02:00"])
        event_type |= draw(optional(sunsetAt=times))
    # A condition refers to an earlier field than its target, so there is no cycle.
    pairs = [(low, high) for low in names for high in names if low < high]
    event_type["conditionalRules"] = [
        {
            "name": draw(st.sampled_from("RST")),
            "effect": draw(st.sampled_from(["SHOW", "HIDE", "REQUIRE"])),
            "targets": [high],
            "condition": draw(conditions(low)),
        }
        | draw(optional(enabled=st.booleans()))
        for low, high in (draw(st.lists(st.sampled_from(pairs), max_size=3)) if pairs else [])
    ]
    return event_type


@st.composite
def rule_scopes(draw: st.DrawFn, types: list[dict[str, Any]]) -> tuple[dict[str, str], list[str]]:
    """The key `eventType`, if there is one, and the names of the fields."""
    event_type = draw(st.sampled_from([None, *types]))
    if event_type is None:
        return {}, []
    return {"eventType": event_type["type"]}, [each["name"] for each in event_type["fields"]]


@st.composite
def guard_rules(draw: st.DrawFn, types: list[dict[str, Any]]) -> dict[str, Any]:
    scope, names = draw(rule_scopes(types))
    expressions = ["true", "event.summary.size() > 2", "event.summary != 'a: b'"]
    expressions += [f"has(event.fields.{name})" for name in names]
    rule = scope | {
        "name": draw(st.sampled_from("GHI")),
        "expression": draw(st.sampled_from(expressions)),
        "message": draw(TEXTS),
    }
    enforcements = st.sampled_from(["REJECT", "WARN"])
    return rule | draw(optional(enforcement=enforcements, published=st.booleans()))


@st.composite
def duplication_rules(draw: st.DrawFn, types: list[dict[str, Any]]) -> dict[str, Any]:
    scope, names = draw(rule_scopes(types))
    paths = ["summary", "entity", "type", "entity.id", *(f"fields.{name}" for name in names)]
    rule = scope | {
        "name": draw(st.sampled_from("DEF")),
        "fingerprint": draw(st.lists(st.sampled_from(paths), min_size=1, unique=True)),
        "window": draw(st.sampled_from(["PT60S", "PT1M", "P1W", "P7D", "PT0S", "PT0.5S"])),
        "action": draw(st.sampled_from(["REJECT", "COUNT", "FLAG"])),
    }
    return rule | draw(optional(escalate=st.booleans(), enabled=st.booleans()))


@st.composite
def policies(draw: st.DrawFn) -> dict[str, Any]:
    policy = {
        "name": draw(st.sampled_from("PQ")),
        "keepFor": draw(st.sampled_from(["P1D", "PT24H", "P2W", "P36600D"])),
    }
    if draw(st.booleans()):
        return policy | {"target": "HISTORY"}
    times = st.sampled_from(["2026-01-01T00:00:00Z", "2026-01-01T01:00:00+01:00"])
    filters = optional(
        types=st.just(["t.*"]),
        severities=st.just(["INFO"]),
        occurredAt=optional(to=times),
        tags=optional(all=st.just(["a"])),
    )
    nested = filters | st.builds(lambda first: {"not": first}, filters)
    return policy | {"filter": draw(nested)}


def in_days(days: float) -> str:
    return format_instant(datetime.now(UTC) + timedelta(days=days))


START = in_days(-1)
STARTS = (START, START.replace("Z", "+00:00"), in_days(-1.5))
# One that has passed ends the silence, or does not create it.
ENDS = (in_days(30), in_days(31), in_days(-0.5))
MAPPINGS = ("body.title", "body.?text", "string(body.id)")


@st.composite
def silences(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "startsAt": draw(st.sampled_from(STARTS)),
        "endsAt": draw(st.sampled_from(ENDS)),
        "filter": draw(st.sampled_from([{"types": ["t.*"]}, {"severities": ["WARN", "INFO"]}])),
        "comment": draw(TEXTS | st.just("")),
    }


@st.composite
def sources(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(["ALERTMANAGER", "GRAFANA", "JSON"]))
    source: dict[str, Any] = {"name": draw(st.sampled_from("ST")), "kind": kind}
    if kind == "JSON":
        expressions = st.sampled_from(MAPPINGS)
        mapping = {"summary": draw(expressions)} | draw(optional(alertKey=expressions))
        source["mapping"] = mapping | draw(optional(content=expressions))
    return source | draw(optional(enabled=st.booleans()))


@st.composite
def channels(draw: st.DrawFn) -> dict[str, Any]:
    if draw(st.integers(0, 7)) == 7:  # a server runs a process for each address of this kind
        urls = st.sampled_from(["json://a.example/1", "https://ntfy.sh/alarms"])
        channel = {"name": draw(st.sampled_from("CD")), "kind": "APPRISE", "url": draw(urls)}
        return channel | draw(optional(enabled=st.booleans()))
    urls = st.sampled_from(["https://a.example/1", "https://b.example/?2", "env:DRAWN_ADDRESS"])
    headers = st.sampled_from([{}, {"x-a": "1"}, {"authorization": "env:DRAWN_ADDRESS"}])
    triggers = st.sampled_from(["NOTIFICATION_ADDED", "EVENT_CHANGED", "EVENT_RESOLVED"])
    channel = {"name": draw(st.sampled_from("CD")), "kind": "WEBHOOK", "url": draw(urls)}
    return channel | draw(
        optional(
            headers=headers,
            filter=st.sampled_from([{}, {"types": ["t.*"]}, {"severities": ["ERROR"]}]),
            triggers=st.lists(triggers, min_size=1, max_size=3, unique=True),
            enabled=st.booleans(),
        )
    )


def identify_silence(silence: dict[str, Any]) -> str:
    start = silence["startsAt"].replace("+00:00", "Z")
    return f"{start} {silence['filter']}"


@st.composite
def configurations(draw: st.DrawFn) -> dict[str, Any]:
    types = [draw(event_types(name)) for name in TYPES if draw(st.booleans())]
    rule_lists = {
        "guardRules": guard_rules(types),
        "duplicationRules": duplication_rules(types),
    }
    content: dict[str, Any] = {"eventTypes": draw(st.permutations(types))}
    for name, rules in rule_lists.items():
        key = lambda rule: (rule.get("eventType"), rule["name"])  # noqa: E731
        content[name] = draw(st.lists(rules, max_size=4, unique_by=key))
    target = lambda policy: (policy.get("target"), policy["name"])  # noqa: E731
    content["retentionPolicies"] = draw(st.lists(policies(), max_size=3, unique_by=target))
    kind = lambda item: (item["kind"], item["name"])  # noqa: E731
    content["silences"] = draw(st.lists(silences(), max_size=3, unique_by=identify_silence))
    content["sources"] = draw(st.lists(sources(), max_size=3, unique_by=kind))
    content["channels"] = draw(st.lists(channels(), max_size=2, unique_by=kind))
    return content


def _plan_text(client: ApiClient, state: StoredState, text: str) -> Plan:
    configuration = parse_configuration(text)
    assert validate_items(configuration) == []
    return create_plan(client, configuration, state, PRUNE)


def _remove_channels(client: ApiClient, organization: str) -> None:
    state = fetch_state(client, organization, SECTIONS)
    text = f"organization: {{key: {organization}}}\nchannels: []\n"
    list(apply_plan(client, _plan_text(client, state, text)))


@dataclass
class ConvergenceResults:
    configurations: int = 0
    changes: int = 0


def apply_drawn_configurations(client: ApiClient, prefix: str, count: int) -> ConvergenceResults:
    """Applies this number of configurations to organizations whose keys begin with the prefix.

    Raises AssertionError, with the configuration in a note, if a plan is not empty afterwards.
    """
    results = ConvergenceResults()
    states: dict[str, StoredState] = {}

    @settings(
        max_examples=count,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
        database=None,
    )
    @given(configurations())
    def check(content: dict[str, Any]) -> None:
        organization = f"{prefix}-{results.configurations // PER_ORGANIZATION}"
        text = format_yaml({"organization": {"key": organization, "name": "O"}} | content)
        if (state := states.get(organization)) is None:
            for each in states:
                # Otherwise, the server would run workers for the channels of all of them.
                _remove_channels(client, each)
            states.clear()
            state = fetch_state(client, organization, SECTIONS)
        plan = _plan_text(client, state, text)
        applied = len(list(apply_plan(client, plan)))
        results.configurations += 1
        results.changes += applied
        states[organization] = state = fetch_state(client, organization, SECTIONS)

        assert applied == len(plan.changes)
        assert _plan_text(client, state, text).changes == []
        exported = format_state(state, with_ids=False)
        assert _plan_text(client, state, exported).changes == []

    os.environ["DRAWN_ADDRESS"] = "https://c.example/T0KEN"
    try:
        check()
    finally:
        del os.environ["DRAWN_ADDRESS"]
    return results


def measure_configurations(cluster: FaultCluster, count: int) -> FaultFigures:
    figures = FaultFigures()
    figures.start_fault(f"{count:,} drawn configurations")
    secrets_key = b64encode(bytes(32)).decode()
    server = cluster.start_server(environment={"TOCSIN_SECRETS_KEYS": secrets_key})
    begun = time.monotonic()
    with ApiClient(server.url, KEY) as client:
        results = apply_drawn_configurations(client, "drawn", count)
    figures.record("configurations applied", results.configurations)
    figures.record("changes of objects", results.changes)
    figures.record("seconds", time.monotonic() - begun)
    figures.record_logged_errors(cluster.read_logged_errors())
    return figures


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=5_000, help="On each database.")
    options = parse_options(parser)

    def measure(site_of: Callable[[str], FaultCluster]) -> FaultFigures:
        with site_of("configurations") as cluster:
            return measure_configurations(cluster, options.count)

    publish_results("configurations", options, measure)


if __name__ == "__main__":
    main()
