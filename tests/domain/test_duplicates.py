"""Duplication rules, compared with a model that looks at every earlier event."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.events.severity import Outcome, Severity
from app.domain.events.state import Entity, EventState
from app.domain.rules.duplicates import (
    FINGERPRINT_PATHS,
    DuplicateAction,
    DuplicateMatch,
    DuplicateProblem,
    DuplicationRule,
    OriginalEvent,
    OriginalEvents,
    RuleFingerprint,
    compute_fingerprints,
    count_duplicate,
    find_nearest_original,
    fingerprint_fields,
    validate_duplication_rule,
)
from app.domain.shared.limits import Limits
from tests.domain.examples import EVENT_ID, OTHER_ID, TYPE_ID, make_event
from tests.domain.strategies import EVENTS

NOON = datetime(2026, 4, 10, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
BEGINNING = datetime.min.replace(tzinfo=UTC)
END = datetime.max.replace(tzinfo=UTC)
LONGEST = timedelta(days=Limits().duplicate_window_days)


def make_rule(*fingerprint: str, **overrides: Any) -> DuplicationRule:
    rule_attributes: dict[str, Any] = {
        "id": UUID(int=1),
        "name": "same again",
        "window": 15 * MINUTE,
        "action": DuplicateAction.REJECT,
    }
    return DuplicationRule(fingerprint=fingerprint, **rule_attributes | overrides)


def make_original(minutes: int, order: int) -> OriginalEvent:
    return OriginalEvent(UUID(int=order), NOON + minutes * MINUTE, order)


def compute_digest(event: EventState, *fingerprint: str) -> str | None:
    claims = compute_fingerprints([make_rule(*fingerprint)], event)
    return claims[0].digest if claims else None


def event_with_fields(**values: Any) -> EventState:
    return make_event(fields=values)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 150}, {"a": 150.0}),
        ({"a": 0.0}, {"a": -0.0}),
        ({"a": [150, {"deep": 1.0}]}, {"a": [150.0, {"deep": 1}]}),
        ({"a": 1e300}, {"a": int(1e300)}),
        ({"a": {"x": 1, "y": 2}}, {"a": {"y": 2, "x": 1}}),
        ({"a": 1, "b": 1}, {"a": 1, "b": 2}),
        ({"a": 1, "b": 1}, {"a": 1}),
        # Timestamps with different offsets and fractions, in lists and objects, too.
        ({"a": "2026-04-10T12:00:00Z"}, {"a": "2026-04-10T14:00:00.000+02:00"}),
        ({"a": "2026-04-10t12:00:00.120z"}, {"a": "2026-04-10T12:00:00.12Z"}),
        ({"a": "0001-01-01T00:00:00Z"}, {"a": "0001-01-01T01:00:00+01:00"}),
        ({"a": "2026-04-30T23:59:60Z"}, {"a": "2026-05-01T01:59:60+02:00"}),
        (
            {"a": [{"at": "2026-04-10T12:00:00Z"}]},
            {"a": [{"at": "2026-04-10T10:00:00-02:00"}]},
        ),
        ({"a": {"x": 1, "y": None}}, {"a": {"x": 1}}),
    ],
)
def test_fingerprints_are_equal_where_the_values_are(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    assert compute_digest(event_with_fields(**one), "fields.a") == compute_digest(
        event_with_fields(**other), "fields.a"
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"b": 1}, {"b": 1, "a": ""}),
        ({"b": 1}, {"b": 1, "a": []}),
        ({"b": 1, "a": None}, {"b": 1, "a": ""}),
        ({"b": 1, "a": None}, {"b": 1, "a": "null"}),
        ({"a": "2026-04-10T12:00:00.0000001Z"}, {"a": "2026-04-10T12:00:00.0000002Z"}),
        ({"a": "2026-04-30T23:59:60Z"}, {"a": "2026-04-30T23:59:59.999999Z"}),
        ({"a": "2026-04-10T12:00:00"}, {"a": "2026-04-10T12:00:00Z"}),
        ({"a": [None]}, {"a": []}),
        ({"a": 1}, {"a": "1"}),
        ({"a": 1}, {"a": True}),
        ({"a": 0}, {"a": False}),
        ({"a": []}, {"a": {}}),
        ({"a": [1, 2]}, {"a": [2, 1]}),
        ({"a": [1]}, {"a": [[1]]}),
        ({"a": "x"}, {"a": "X"}),
        ({"a": "x"}, {"a": "x "}),
        ({"a": "é"}, {"a": "e\u0301"}),
        ({"a": 9007199254740993}, {"a": 9007199254740992}),
        # A digest that joins values with a delimiter or without their paths would confuse these.
        ({"a": "x|y", "b": "z"}, {"a": "x", "b": "y|z"}),
        ({"a": "x,y", "b": "z"}, {"a": "x", "b": "y,z"}),
        ({"a": 'x","y', "b": "z"}, {"a": "x", "b": 'y","z'}),
        ({"a": "x\ny", "b": "z"}, {"a": "x", "b": "y\nz"}),
        ({"a": "xy", "b": "z"}, {"a": "x", "b": "yz"}),
        ({"a": "x"}, {"b": "x"}),
        ({"a": "x", "b": "y"}, {"a": "y", "b": "x"}),
    ],
)
def test_fingerprints_differ_where_the_values_do(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    digests = {
        compute_digest(event_with_fields(**each), "fields.a", "fields.b") for each in (one, other)
    }

    assert len(digests) == 2


def test_sets_are_equal_in_any_order_and_lists_are_not() -> None:
    fingerprint = ["fields.colors", "fields.route", "tags"]
    event, other = (
        make_event(fields={"colors": colors, "route": ["x", "y"]}, tags=tuple(colors))
        for colors in (["red", "green"], ["green", "red"])
    )
    rules = [make_rule(*fingerprint), make_rule("fields", id=UUID(int=2))]

    as_sets = [compute_fingerprints(rules, each, {"colors"}) for each in (event, other)]
    as_lists = [compute_fingerprints(rules, each) for each in (event, other)]

    assert as_sets[0] == as_sets[1]
    assert not {claim.digest for claim in as_lists[0]} & {claim.digest for claim in as_lists[1]}


@pytest.mark.parametrize(
    ("fields", "value"),
    [
        ({"a.b.c": 1, "a": {"b.c": 2, "b": {"c": 3}}, "a.b": {"c": 4}}, 1),
        ({"a": {"b.c": 2, "b": {"c": 3}}, "a.b": {"c": 4}}, 4),
        ({"a": {"b.c": 2, "b": {"c": 3}}}, 2),
        ({"a": {"b.c": None, "b": {"c": 3}}, "a.b": None, "a.b.c": None}, 3),
        ({"a": [{"b": {"c": 3}}, {"b": [{"c": 4}, {"c": None}, {}, 5]}, 6]}, [3, [4]]),
        ({"a": {"b": {"c": ""}}}, ""),
        ({"a": {"b": {"c": []}}}, []),
    ],
)
def test_a_path_finds_the_longest_key_first(fields: dict[str, Any], value: Any) -> None:
    event = make_event(fields=fields)

    # The path is part of the digest, the place where the value was found is not.
    assert compute_digest(event, "fields.a.b.c") == compute_digest(
        event_with_fields(**{"a.b.c": value}), "fields.a.b.c"
    )


@pytest.mark.parametrize(
    "fields",
    [{"a": {"b": {}}}, {"a": {"b": {"c": None}}}, {"a": {"b": 1}}, {"a": "b.c"}, {"a": []}],
)
def test_a_rule_does_not_apply_where_its_path_leads_nowhere(fields: dict[str, Any]) -> None:
    assert compute_digest(make_event(fields=fields), "fields.a.b.c") is None


def test_the_order_of_the_paths_belongs_to_the_fingerprint() -> None:
    event = event_with_fields(a=1, b=2)

    assert compute_digest(event, "fields.a", "fields.b") != compute_digest(
        event, "fields.b", "fields.a"
    )


@pytest.mark.parametrize(
    ("path", "changed"),
    [
        ("type", {"type": "pump.started"}),
        ("severity", {"severity": Severity.ERROR}),
        ("summary", {"summary": "Another"}),
        ("content", {"content": "Another"}),
        ("content", {"content": None}),
        ("source", {"source": "//other"}),
        ("subject", {"subject": "pump-4"}),
        ("subject", {"subject": None}),
        ("outcome", {"outcome": Outcome.SUCCESS}),
        ("outcome", {"outcome": None}),
        ("tags", {"tags": ("other",)}),
        ("entity", {"entity": Entity("Well", "well-002")}),
        ("entity", {"entity": None}),
        ("entity.type", {"entity": Entity("Pad", "well-001")}),
        ("entity.id", {"entity": Entity("Well", "well-002")}),
        ("fields", {"fields": {"pressure": 4.5, "more": 1}}),
        ("fields.pressure", {"fields": {"pressure": 4}}),
    ],
)
def test_each_path_tells_events_apart_by_what_it_names_alone(
    path: str, changed: dict[str, Any]
) -> None:
    event = make_event(fields={"pressure": 4.5}, tags=("a",), outcome=Outcome.FAILURE)
    elsewhere = replace(
        event, id=OTHER_ID, source_id="other", occurred_at=NOON, recorded_at=NOON, version=9
    )

    other = replace(event, **changed)

    assert compute_digest(event, path) != compute_digest(other, path)
    assert compute_digest(event, path) == compute_digest(elsewhere, path)


def test_an_entity_of_the_same_type_alone_is_no_other_type() -> None:
    event, other = (make_event(entity=Entity("Well", each)) for each in ("1", "2"))

    assert compute_digest(event, "entity.type") == compute_digest(other, "entity.type")


@pytest.mark.parametrize(
    "fingerprint",
    [
        ("subject",),
        ("content", "outcome"),
        ("entity", "entity.type", "entity.id"),
        ("fields.a", "fields.b"),
        ("fields",),
    ],
)
def test_a_rule_does_not_apply_where_all_its_paths_are_absent(fingerprint: Sequence[str]) -> None:
    bare = make_event(subject=None, content=None, outcome=None, entity=None, fields={"a": None})

    assert compute_fingerprints([make_rule(*fingerprint)], bare) == []


@pytest.mark.parametrize(
    ("fingerprint", "event"),
    [
        (("subject", "source"), make_event(subject=None)),
        (("fields.a",), event_with_fields(a="")),
        (("fields.a", "fields.b"), event_with_fields(b=[])),
        (("subject",), make_event(subject="")),
    ],
)
def test_a_rule_applies_where_one_of_its_paths_is_there(
    fingerprint: Sequence[str], event: EventState
) -> None:
    assert len(compute_fingerprints([make_rule(*fingerprint)], event)) == 1


@pytest.mark.parametrize("name", ["a.b", "été", "\U0001f525", " ", "a\u2028b", "fields.a"])
def test_a_path_names_a_field_to_the_letter(name: str) -> None:
    there = make_event(fields={name: 1})

    assert compute_digest(there, f"fields.{name}") is not None
    assert compute_digest(make_event(fields={name.strip() + "x": 1}), f"fields.{name}") is None
    assert list(fingerprint_fields([f"fields.{name}"])) == [name]


def test_rules_of_other_event_types_make_no_claim() -> None:
    everywhere = make_rule("source")
    of_it = make_rule("source", id=UUID(int=2), event_type_id=TYPE_ID)
    of_another = make_rule("source", id=UUID(int=3), event_type_id=OTHER_ID)
    rules = [everywhere, of_another, of_it]

    typed = compute_fingerprints(rules, make_event(event_type_id=TYPE_ID))
    free = compute_fingerprints(rules, make_event(event_type_id=None))

    assert [claim.rule for claim in typed] == [everywhere, of_it]
    assert [claim.rule for claim in free] == [everywhere]


@given(EVENTS, st.data())
def test_any_event_has_a_fingerprint_of_any_paths(event: EventState, data: st.DataObject) -> None:
    paths = ["type", "entity", "entity.id", "tags", "fields", "content", "outcome"]
    paths += [f"fields.{name}" for name in event.fields if name]
    fingerprint = data.draw(st.lists(st.sampled_from(paths), min_size=1, unique=True))
    rule = make_rule(*fingerprint)

    claims = compute_fingerprints([rule], event)

    assert claims == compute_fingerprints([rule], EventState.from_json(event.to_json()))
    assert all(len(claim.digest) == 64 for claim in claims)


@pytest.mark.parametrize(
    ("minutes", "window", "expected"),
    [
        (0, timedelta(), True),
        (15, 15 * MINUTE, True),
        (-15, 15 * MINUTE, True),
        (15, 15 * MINUTE - timedelta(microseconds=1), False),
        (-15, 15 * MINUTE - timedelta(microseconds=1), False),
        (1, timedelta(), False),
    ],
)
def test_a_window_reaches_both_ways_and_holds_its_ends(
    minutes: int, window: timedelta, expected: bool
) -> None:
    first = make_original(0, 1)

    assert find_nearest_original([first], NOON + minutes * MINUTE, window) == (
        first if expected else None
    )


@pytest.mark.parametrize(
    ("firsts", "expected"),
    [
        ([make_original(-3, 1), make_original(2, 2)], 2),
        ([make_original(-2, 1), make_original(3, 2)], 1),
        ([make_original(-2, 2), make_original(2, 1)], 1),
        ([make_original(-2, 1), make_original(2, 2)], 1),
        ([make_original(0, 3), make_original(0, 2)], 2),
        ([make_original(-20, 1)], None),
        ([], None),
    ],
)
def test_the_nearest_in_time_is_matched_and_of_equally_near_ones_the_earliest_logged(
    firsts: list[OriginalEvent], expected: int | None
) -> None:
    match = find_nearest_original(firsts, NOON, 15 * MINUTE)

    assert (match and match.order) == expected


def test_the_first_and_the_last_instant_have_windows() -> None:
    first, last = OriginalEvent(EVENT_ID, BEGINNING, 1), OriginalEvent(OTHER_ID, END, 2)

    assert find_nearest_original([first, last], BEGINNING, LONGEST) == first
    assert find_nearest_original([first, last], END, LONGEST) == last
    assert find_nearest_original([first, last], NOON, LONGEST) is None


PATHS = ("type", "entity", "fields", "source", "fields.volume_mcf")


@pytest.mark.parametrize(
    ("attributes", "places"),
    [
        ({"fingerprint": PATHS}, []),
        ({"fingerprint": ()}, [("fingerprint",)]),
        ({"fingerprint": ("",)}, [("fingerprint", "0")]),
        ({"fingerprint": ("source", "colour")}, [("fingerprint", "1")]),
        ({"fingerprint": ("Source",)}, [("fingerprint", "0")]),
        ({"fingerprint": ("source ",)}, [("fingerprint", "0")]),
        ({"fingerprint": ("entity.name",)}, [("fingerprint", "0")]),
        ({"fingerprint": ("fields.",)}, [("fingerprint", "0")]),
        ({"fingerprint": ("fields.other",)}, [("fingerprint", "0")]),
        ({"fingerprint": ("fields.other",), "fields": None}, []),
        ({"fingerprint": ("fields.été",), "fields": None}, []),
        ({"fingerprint": ("fields.a\0b",), "fields": None}, [("fingerprint", "0")]),
        ({"fingerprint": ("fields.\ud800",), "fields": None}, [("fingerprint", "0")]),
        ({"fingerprint": ("f" * 256,)}, [("fingerprint", "0")]),
        ({"fingerprint": ("type", "source", "type")}, [("fingerprint", "2")]),
        ({"fingerprint": tuple(f"fields.{n}" for n in range(50)), "fields": None}, []),
        ({"fingerprint": ("source",) * 51}, [("fingerprint",)]),
        ({"window": timedelta()}, []),
        ({"window": LONGEST}, []),
        ({"window": LONGEST + timedelta(microseconds=1)}, [("window",)]),
        ({"window": -timedelta(microseconds=1)}, [("window",)]),
        ({"name": ""}, [("name",)]),
        ({"name": "n" * 255}, []),
        ({"name": "n" * 256}, [("name",)]),
        ({"name": "a\nb"}, [("name",)]),
        (
            {"name": "", "fingerprint": ("colour",), "window": -MINUTE},
            [("name",), ("fingerprint", "0"), ("window",)],
        ),
    ],
)
def test_all_problems_of_a_rule_are_reported(
    attributes: dict[str, Any], places: list[tuple[str, ...]]
) -> None:
    rule_attributes: dict[str, Any] = {
        "name": "r",
        "fingerprint": ("source",),
        "window": MINUTE,
        "fields": ["volume_mcf"],
    }

    problems = validate_duplication_rule(**rule_attributes | attributes, limits=Limits())

    assert [problem.path for problem in problems] == places


def test_the_fields_of_a_fingerprint_are_distinguished_from_attributes() -> None:
    assert list(fingerprint_fields(["type", "fields", "fields.a", "entity.id", "fields.b.c"])) == [
        "a",
        "b.c",
    ]


def test_a_rejection_names_the_rule_and_the_existing_event() -> None:
    claim = RuleFingerprint(make_rule("source"), "0" * 64)

    problem = DuplicateProblem.from_match(DuplicateMatch(claim, OriginalEvent(EVENT_ID, NOON, 1)))

    assert (problem.rule_id, problem.existing_id) == (claim.rule.id, EVENT_ID)
    assert problem.path == ()


# --- what a counted duplicate changes -------------------------------------------------------------

ESCALATED = ("severity", "severity_text", "version", "updated_at")
ACKNOWLEDGEMENT = ("acknowledged_at", "acknowledged_by", "acknowledgement_note")
FROM_LOWEST = [Severity.SUCCESS, Severity.INFO, Severity.WARN, Severity.ERROR]


@given(EVENTS, EVENTS, st.booleans())
def test_an_original_is_no_quieter_than_a_duplicate_that_was_counted(
    original: EventState, duplicate: EventState, escalate: bool
) -> None:
    counted = count_duplicate(original, duplicate, escalate=escalate)

    after, changed = counted.original, {"occurrences", "last_occurred_at", "notification"}
    is_higher = FROM_LOWEST.index(duplicate.severity) > FROM_LOWEST.index(original.severity)
    assert after.occurrences == original.occurrences + 1
    assert after.last_occurred_at == max(original.latest_occurrence, duplicate.occurred_at)
    assert after.notification == (original.notification or duplicate.notification)
    assert counted.notifies == (
        duplicate.notification and (not original.notification or (escalate and is_higher))
    )
    if (escalate and is_higher) or counted.notifies:
        changed |= set(ACKNOWLEDGEMENT)
        assert [getattr(after, name) for name in ACKNOWLEDGEMENT] == [None] * 3
    if escalate and is_higher:
        changed |= set(ESCALATED)
        assert (after.severity, after.severity_text) == (
            duplicate.severity,
            duplicate.severity_text,
        )
        assert after.version == original.version + 1
        assert after.updated_at == max(original.updated_at, duplicate.recorded_at)
    kept = {name: value for name, value in vars(original).items() if name not in changed}
    assert {name: vars(after)[name] for name in kept} == kept


@given(EVENTS)
def test_a_report_has_what_was_reported_and_no_nulls(duplicate: EventState) -> None:
    report = duplicate.to_report_json()

    everything = duplicate.to_json()
    assert None not in report.values()
    assert report == {name: everything[name] for name in report}
    left_out = {name for name, value in everything.items() if value is not None} - report.keys()
    assert left_out == {"id", "recordedAt", "updatedAt", "version", "occurrences", "summaryGiven"}


# --- the rules against a model -----------------------------------------------------------------


@dataclass(frozen=True)
class ModelEvent:
    """An event of the model: what it was, and since when no rule may remember it."""

    event: EventState
    is_first: bool
    forgotten_by: set[UUID] = field(default_factory=set)


@dataclass
class Model:
    """Keeps every event as it is, and compares each new one with all of them."""

    rules: Sequence[DuplicationRule]
    seen: list[ModelEvent] = field(default_factory=list)

    def report(self, event: EventState) -> tuple[UUID, UUID] | None:
        """(rule, first) where it is a duplicate."""
        for rule in self.rules:
            likely = [
                (abs((each.event.occurred_at - event.occurred_at).total_seconds()), place, each)
                for place, each in enumerate(self.seen)
                if each.is_first and rule.id not in each.forgotten_by
                if self._same(rule, each.event, event)
            ]
            near = [each for each in likely if each[0] <= rule.window.total_seconds()]
            if near:
                if rule.action is DuplicateAction.FLAG:
                    self.seen.append(ModelEvent(event, is_first=False))
                return rule.id, min(near, key=lambda each: each[:2])[2].event.id
        self.seen.append(ModelEvent(event, is_first=True))
        return None

    def forget(self, rule_id: UUID) -> None:
        for each in self.seen:
            each.forgotten_by.add(rule_id)

    def delete(self, event_id: UUID) -> None:
        self.seen = [each for each in self.seen if each.event.id != event_id]

    @staticmethod
    def _same(rule: DuplicationRule, one: EventState, other: EventState) -> bool:
        ids = {one.event_type_id, other.event_type_id, rule.event_type_id or one.event_type_id}
        if rule.event_type_id is not None and ids != {rule.event_type_id}:
            return False
        values = [
            [
                (path, each.subject if path == "subject" else each.fields.get(path[7:], ABSENT))
                for path in rule.fingerprint
            ]
            for each in (one, other)
        ]
        present_values = [[(p, v) for p, v in each if v not in (None, ABSENT)] for each in values]
        return bool(present_values[0]) and present_values[0] == present_values[1]


ABSENT = object()
RULES = st.lists(
    st.builds(
        lambda paths, minutes, action, of_type: (paths, minutes * MINUTE, action, of_type),
        st.sampled_from(
            [("subject",), ("fields.a",), ("fields.a", "fields.b"), ("subject", "fields.b")]
        ),
        st.integers(0, 4),
        st.sampled_from(DuplicateAction),
        st.sampled_from([None, None, TYPE_ID, OTHER_ID]),
    ),
    min_size=1,
    max_size=4,
).map(
    lambda drawn: [
        make_rule(*paths, id=UUID(int=n + 1), window=window, action=action, event_type_id=of_type)
        for n, (paths, window, action, of_type) in enumerate(drawn)
    ]
)
REPORTED = st.builds(
    lambda minute, subject, values, of_type: {
        "occurred_at": NOON + minute * MINUTE,
        "subject": subject,
        "fields": values,
        "event_type_id": of_type,
    },
    st.integers(-6, 6),
    st.sampled_from(["x", "x", "x", "y", None]),
    st.fixed_dictionaries(
        {}, optional={"a": st.sampled_from([1, 1.0, 2]), "b": st.sampled_from(["", "1"])}
    ),
    st.sampled_from([None, TYPE_ID, OTHER_ID]),
)
STEPS = st.lists(
    st.one_of(
        *[st.tuples(st.just("report"), REPORTED)] * 5,
        st.tuples(st.just("forget"), st.integers(0, 3)),
        st.tuples(st.just("delete"), st.integers(0, 30)),
    ),
    min_size=10,
    max_size=30,
)


def match_original(
    ledger: OriginalEvents, rules: Sequence[DuplicationRule], event: EventState, order: int
) -> Any:
    """What a course does with a ledger: (rule, first), None where the event is a new first."""
    claims = compute_fingerprints(rules, event)
    match = ledger.find_match(claims, event)
    if match is None:
        ledger.add_original(claims, event, order)
        return None
    return match.fingerprint.rule.id, match.original.event_id


@settings(max_examples=1000)
@given(RULES, STEPS)
def test_the_rules_find_what_looking_at_every_event_finds(
    rules: list[DuplicationRule], steps: list[tuple[str, Any]]
) -> None:
    model, ledger = Model(rules), OriginalEvents()

    for number, (kind, what) in enumerate(steps):
        match kind:
            case "report":
                event = make_event(id=UUID(int=1000 + number), **what)
                assert match_original(ledger, rules, event, number) == model.report(event)
            case "forget":
                rule_id = rules[what % len(rules)].id
                model.forget(rule_id)
                ledger.originals = {k: v for k, v in ledger.originals.items() if k[0] != rule_id}
            case "delete":
                event_id = UUID(int=1000 + what)
                model.delete(event_id)
                ledger.originals = {
                    key: [first for first in firsts if first.event_id != event_id]
                    for key, firsts in ledger.originals.items()
                }


def test_the_parts_of_an_attribute_are_listed_after_it() -> None:
    begin = FINGERPRINT_PATHS.index("entity")

    assert FINGERPRINT_PATHS[begin : begin + 3] == ("entity", "entity.type", "entity.id")
