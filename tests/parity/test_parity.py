"""Browsers and the server validate forms alike.

For thousands of random event types, Ajv 8 with both drafts, react-jsonschema-form and JSON Forms
find the same fields invalid, and react-jsonschema-form shows and requires the same fields. The
browser gets null for some of the absent fields, which the server removes. If the type refuses
additional fields, its schema rejects null under an undefined name, too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from random import Random
from typing import Any

import pytest

from app.domain.event_types import visibility
from app.domain.event_types.comparisons import value_satisfies
from app.domain.event_types.conditions import ConditionalEffect, condition_holds
from app.domain.event_types.fields import AdditionalFields, FieldKind
from app.domain.event_types.json_schema import JsonSchemaDraft, compile_schema, validate_values
from app.domain.event_types.visibility import resolve_fields
from app.domain.events.predicates import PredicateOperator
from app.domain.shared.values import is_blank
from tests.parity.conftest import Browser
from tests.parity.random_event_types import (
    UNKNOWN,
    RandomEventType,
    add_nulls,
    draw_types,
    draw_values,
)

TYPES = 2_000
BROKEN_TYPES = 200
VALUES_PER_TYPE = 4
SEED = 4
PARTS: tuple[Enum, ...] = (
    *FieldKind,
    *ConditionalEffect,
    *PredicateOperator,
    *AdditionalFields,
)


@dataclass(frozen=True)
class ParityResult:
    drawn: RandomEventType
    values: dict[str, Any]
    server: dict[str, Any]
    browser: dict[str, Any]


@pytest.mark.timeout(1800)  # 40 s on a quiet machine, 984 s on a busy one
def test_browsers_and_the_server_validate_and_show_the_same_fields(
    browser: Browser, capsys: pytest.CaptureFixture[str]
) -> None:
    types = list(draw_types(SEED, TYPES))

    results = list(_compare_results(browser, types))

    unknown_nulls = Counter(
        each.drawn.additional_fields for each in results if each.values.get(UNKNOWN, "") is None
    )
    unknown_values = Counter(
        each.drawn.additional_fields for each in results if each.values.get(UNKNOWN) is not None
    )
    accepted = sum(not each.server["ajvDraft07"] for each in results)
    hidden = sum(len(each.server["visible"]) < len(each.drawn.fields) for each in results)
    blanks = sum(any(map(is_blank, each.values.values())) for each in results)
    nulls = sum(None in each.values.values() for each in results)
    instants = sum(
        predicate.value is not None
        for drawn in types
        for predicate in drawn.predicates
        for field in drawn.fields
        if field.name == predicate.field and field.kind is FieldKind.DATETIME
    )
    chains = sum(drawn.longest_chain >= 3 for drawn in types)
    occurred = Counter[Enum](each for drawn in types for each in drawn.parts)
    with capsys.disabled():
        print(f"\n{len(types):,} types, {len(results):,} results, {accepted:,} accepted,", end="")
        print(f" {hidden:,} with hidden fields, {blanks:,} with blanks, {nulls:,} with nulls")
        print(f"{instants:,} comparisons of instants, {chains:,} types with chains of 3 and more")
        print(", ".join(f"{each.value} {occurred[each]:,}" for each in PARTS))
        for noun, counts in (("nulls", unknown_nulls), ("other values", unknown_values)):
            numbers = ", ".join(f"{each.value} {counts[each]:,}" for each in AdditionalFields)
            print(f"{noun} under undefined names: {numbers}")
    assert [each for each in results if each.server != each.browser] == []
    assert len(types) >= 2_000
    assert accepted >= 0.3 * len(results)
    assert blanks >= 500
    assert nulls >= 500
    assert instants >= 100
    assert chains >= 100
    assert min(occurred[each] for each in PARTS) >= 50
    assert min(unknown_nulls[each] for each in AdditionalFields) >= 300
    assert min(unknown_values[each] for each in AdditionalFields) >= 100


def _break_not_equal(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(predicate: Any, kind: Any, value: Any) -> bool:
        absent = value is None and predicate.operator is PredicateOperator.NE
        return absent or value_satisfies(predicate, kind, value)

    monkeypatch.setattr("app.domain.event_types.conditions.value_satisfies", broken)


def _break_hide_precedence(monkeypatch: pytest.MonkeyPatch) -> None:
    original = visibility._FieldRules.is_visible

    def broken(ruled: Any, kinds: Any, values: Any) -> bool:
        shown = any(condition_holds(each, kinds, values) for each in ruled.show)
        return shown or original(ruled, kinds, values)

    monkeypatch.setattr(visibility._FieldRules, "is_visible", broken)


def _break_resolution_order(monkeypatch: pytest.MonkeyPatch) -> None:
    original = visibility._build_resolution_order

    def broken(*values: Any) -> Any:
        plan = original(*values)
        return visibility._ResolutionOrder(plan.kinds, plan.order[::-1])

    monkeypatch.setattr(visibility, "_build_resolution_order", broken)


def _break_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    original = validate_values

    def broken(fields: Any, values: Any, rules: Any, additional_fields: Any) -> Any:
        return original(fields, values, (), additional_fields)

    monkeypatch.setattr("tests.parity.test_parity.validate_values", broken)


@pytest.mark.parametrize(
    "break_it",
    [_break_not_equal, _break_hide_precedence, _break_resolution_order, _break_rules],
)
def test_a_broken_validator_is_detected(
    browser: Browser,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    break_it: Callable[[pytest.MonkeyPatch], None],
) -> None:
    types = list(draw_types(SEED, BROKEN_TYPES))
    break_it(monkeypatch)

    results = list(_compare_results(browser, types))

    differences = sum(each.server != each.browser for each in results)
    with capsys.disabled():
        print(
            f"\n{break_it.__name__[1:]}: differences in {differences} of {len(results):,} results"
        )
    assert differences > 0


def _compare_results(browser: Browser, types: Sequence[RandomEventType]) -> Iterator[ParityResult]:
    random = Random(SEED)
    for drawn in types:
        drawn_values = [draw_values(random, drawn) for _ in range(VALUES_PER_TYPE)]
        settled = [resolve_fields(drawn.fields, drawn.rules, values) for values in drawn_values]
        with_nulls = [add_nulls(random, drawn, resolved.values) for resolved in settled]
        draft2020, draft07 = (
            compile_schema(drawn.fields, drawn.rules, drawn.additional_fields, draft)
            for draft in (JsonSchemaDraft.DRAFT_2020_12, JsonSchemaDraft.DRAFT_07)
        )
        answers = browser({"draft2020": draft2020, "draft07": draft07, "values": with_nulls})
        for values, answer in zip(with_nulls, answers, strict=True):
            # No defaults: they were applied to the values.
            resolved = resolve_fields(drawn.fields, drawn.rules, values, ())
            problems = validate_values(
                drawn.fields, resolved.values, drawn.rules, drawn.additional_fields
            )
            wrong = {problem.path[0] for problem in problems}
            if drawn.additional_fields is AdditionalFields.REFUSE and UNKNOWN in values:
                assert (UNKNOWN in wrong) is (values[UNKNOWN] is not None)
                wrong.add(UNKNOWN)  # the schema rejects null, too
            server = {
                "ajvDraft2020": sorted(wrong),
                "ajvDraft07": sorted(wrong),
                "rjsf": sorted(wrong),
                "jsonForms": sorted(wrong),
                "visible": [*resolved.visible],
                "required": [*resolved.required],
            }
            yield ParityResult(drawn, values, server, answer)
