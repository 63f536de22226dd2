"""Hypothesis strategies for texts, JSON values, definitions, drafts and events."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from app.domain.event_types.fields import FieldDefinition, FieldKind
from app.domain.events.severity import Outcome, Severity
from app.domain.events.state import Entity, EventDraft, EventState

ANY_CHARACTER = st.one_of(
    st.characters(),
    st.characters(categories=["Cs", "Cc"]),  # lone surrogates, U+0000 and other controls
)
ANY_TEXT = st.text(ANY_CHARACTER, max_size=20)
STORABLE_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
INSTANTS = st.datetimes(timezones=st.just(UTC))


def _json(texts: SearchStrategy[str], numbers: SearchStrategy[Any]) -> SearchStrategy[Any]:
    return st.recursive(
        st.none() | st.booleans() | numbers | texts,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
        max_leaves=10,
    )


FINITE_NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
ANY_NUMBER = st.integers() | st.floats() | st.sampled_from([10**400, -(10**400)])
STORABLE_JSON = _json(STORABLE_TEXT, FINITE_NUMBERS)
STORABLE_OBJECTS = st.dictionaries(STORABLE_TEXT, STORABLE_JSON, max_size=4)
ANY_JSON = _json(ANY_TEXT, ANY_NUMBER)

ENTITIES = st.builds(Entity, STORABLE_TEXT, STORABLE_TEXT)
EVENTS = st.builds(
    EventState,
    id=st.uuids(),
    type=STORABLE_TEXT,
    severity=st.sampled_from(Severity),
    summary=STORABLE_TEXT,
    source=STORABLE_TEXT,
    occurred_at=INSTANTS,
    recorded_at=INSTANTS,
    updated_at=INSTANTS,
    event_type_id=st.none() | st.uuids(),
    event_type_version=st.none() | st.integers(min_value=1),
    category=st.none() | STORABLE_TEXT,
    entity=st.none() | ENTITIES,
    content=st.none() | STORABLE_TEXT,
    source_id=st.none() | STORABLE_TEXT,
    subject=st.none() | STORABLE_TEXT,
    outcome=st.none() | st.sampled_from(Outcome),
    fields=STORABLE_OBJECTS,
    tags=st.lists(STORABLE_TEXT, max_size=3).map(tuple),
    duplicate_of_id=st.none() | st.uuids(),
    occurrences=st.integers(min_value=1),
    last_occurred_at=st.none() | INSTANTS,
    notification=st.booleans(),
    acknowledged_at=st.none() | INSTANTS,
    acknowledged_by=st.none() | STORABLE_TEXT,
    acknowledgement_note=st.none() | STORABLE_TEXT,
    alert_key=st.none() | STORABLE_TEXT,
    resolved_at=st.none() | INSTANTS,
    resolved_by=st.none() | STORABLE_TEXT,
    resolution_note=st.none() | STORABLE_TEXT,
    silenced_by_id=st.none() | st.uuids(),
    version=st.integers(min_value=1),
    severity_text=st.none() | STORABLE_TEXT,
    summary_given=st.booleans(),
    extensions=st.none() | STORABLE_OBJECTS,
    payload=st.none() | st.builds(dict, data=STORABLE_JSON),
)

FIELD_NAMES = st.sampled_from(["volume", "cause", "a_1"])
SOME_TEXT = st.none() | ANY_TEXT
DRAFTS = st.builds(
    EventDraft,
    type=SOME_TEXT,
    entity=st.none() | st.builds(Entity, ANY_TEXT, ANY_TEXT),
    severity=SOME_TEXT,
    summary=SOME_TEXT,
    content=SOME_TEXT,
    source=SOME_TEXT,
    source_id=SOME_TEXT,
    subject=SOME_TEXT,
    outcome=st.none() | st.sampled_from(Outcome),
    occurred_at=st.none() | INSTANTS,
    fields=ANY_JSON | st.dictionaries(FIELD_NAMES, ANY_JSON),
    tags=st.none() | st.lists(ANY_TEXT, max_size=3).map(tuple),
    notification=st.none() | st.booleans(),
    acknowledged=st.none() | st.booleans(),
)


@st.composite
def valid_definitions(draw: st.DrawFn) -> FieldDefinition:
    """A valid field definition."""
    kind = draw(st.sampled_from(FieldKind))
    attributes: dict[str, Any] = {
        "label": draw(st.none() | st.just("Volume of gas")),
        "help_text": draw(st.none() | STORABLE_TEXT),
        "required": draw(st.booleans()),
    }
    if kind in (FieldKind.NUMBER, FieldKind.INTEGER):
        low, high = sorted(draw(st.tuples(st.floats(-1e9, 1e9), st.floats(-1e9, 1e9))))
        attributes |= {"minimum": draw(st.sampled_from([None, low])), "maximum": high}
    if kind in (FieldKind.TEXT, FieldKind.LONG_TEXT, FieldKind.URL, FieldKind.EMAIL):
        short, long = sorted(draw(st.tuples(st.integers(0, 99), st.integers(0, 99))))
        attributes |= {"min_length": draw(st.sampled_from([None, short])), "max_length": long}
        attributes["pattern"] = draw(st.sampled_from([None, "^[A-Z]{2}-[0-9]+$", "é+"]))
    if kind in (FieldKind.SELECT, FieldKind.MULTI_SELECT):
        names = st.text("abcé ", min_size=1).filter(str.strip)
        options = st.lists(names, min_size=1, max_size=4, unique=True)
        attributes["options"] = tuple(draw(options))
    return FieldDefinition(name=draw(FIELD_NAMES), kind=kind, **attributes)
