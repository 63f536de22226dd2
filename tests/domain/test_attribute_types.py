"""An attribute of any type works in digests, CloudEvents and expressions, also if it is null."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from types import NoneType
from typing import Any, get_args, get_type_hints

import pytest

from app.domain.event_types.fields import FieldDefinition, FieldKind
from app.domain.events import cloudevents
from app.domain.events.cloudevents import extract_tocsin_attributes, format_cloud_event
from app.domain.events.severity import Severity
from app.domain.events.state import Attribute, EventDraft, EventState, Use
from app.domain.intake.intake import COPIED_ATTRIBUTES
from app.domain.rules.expression_messages import EVENT_ATTRIBUTES
from app.domain.rules.expressions import Expression, compile_expression
from app.domain.shared.limits import Limits
from tests.domain.examples import (
    EARLIER,
    NOW,
    OTHER_ID,
    evaluate_expression,
    make_draft,
    make_event,
)

LIMITS = Limits()
NULLABLE_EXTENSION = Use.REPORTED | Use.NULLABLE | Use.EXTENSION


@dataclass(frozen=True)
class WiderDraft(EventDraft):
    """A draft with an additional attribute."""

    added: Any = None


@pytest.mark.parametrize("value", [EARLIER, Severity.WARN, OTHER_ID, False, ("a",), {"a": 1}])
def test_a_digest_includes_an_attribute_of_any_type(value: object) -> None:
    with_value = WiderDraft(summary="a", added=value).digest()

    assert with_value is not None
    assert with_value != WiderDraft(summary="a").digest()


@pytest.mark.parametrize("name", COPIED_ATTRIBUTES)
def test_an_attribute_that_is_copied_has_the_same_type_in_draft_and_event(name: str) -> None:
    draft_type, event_type = (get_type_hints(each)[name] for each in (EventDraft, EventState))

    reported_types = {each for each in get_args(draft_type) if each is not NoneType}
    stored_types = {each for each in get_args(event_type) or [event_type] if each is not NoneType}
    assert reported_types == stored_types != set()


def test_digests_that_are_stored_remain_valid() -> None:
    digest = make_draft(fields={"a": [1.5, None]}, payload={"data": [1]}).first_version_digest()

    assert digest == "0ee2a6aed548c5f184226dcb96b1c639120c665c5703a58ad564df9acd211e8e"


@pytest.mark.parametrize(
    ("name", "type", "value", "formatted"),
    [
        ("acknowledged_at", datetime, EARLIER, "2026-04-09T08:00:00.000000Z"),
        ("notification", bool, True, True),
        ("notification", bool, False, False),
        ("severity", Severity, Severity.WARN, "WARN"),
        ("category", str, "pumps", "pumps"),
    ],
)
def test_an_extension_attribute_of_any_type_is_written_and_read(
    monkeypatch: pytest.MonkeyPatch, name: str, type: type[Any], value: object, formatted: object
) -> None:
    attribute = Attribute(name, type, NULLABLE_EXTENSION, cloud_event="added")
    monkeypatch.setattr(cloudevents, "_EXTENSIONS", (attribute,))

    written = format_cloud_event(make_event(**{name: value}), None)
    extensions = {"added": written.get("added")}
    read = extract_tocsin_attributes(extensions, LIMITS)

    assert written.get("added") == formatted
    assert (read, extensions) == ({name: value}, {})


@pytest.mark.parametrize("text", ["2026-04-09T08:00:00", "2026-04-09", "", "noon"])
def test_an_invalid_time_remains_an_extension_attribute(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    attribute = Attribute("acknowledged_at", datetime, NULLABLE_EXTENSION, cloud_event="added")
    monkeypatch.setattr(cloudevents, "_EXTENSIONS", (attribute,))
    extensions = {"added": text}

    assert extract_tocsin_attributes(extensions, LIMITS) == {}
    assert extensions == {"added": text}


@pytest.mark.parametrize(
    ("expression", "of_null", "of_instant"),
    [
        ("event.acknowledged_at == null", True, False),
        ("has(event.acknowledged_at)", False, True),
        ("event.acknowledged_at != null && event.acknowledged_at < now", False, True),
        (
            "event.acknowledged_at == null || event.acknowledged_at.getFullYear() == 2026",
            True,
            True,
        ),
        ("has(event.occurred_at) && event.occurred_at <= event.recorded_at", True, True),
    ],
)
def test_an_expression_reads_a_time_that_is_null_as_null(
    monkeypatch: pytest.MonkeyPatch, expression: str, of_null: bool, of_instant: bool
) -> None:
    monkeypatch.setitem(EVENT_ATTRIBUTES, "acknowledged_at", EVENT_ATTRIBUTES["occurred_at"])
    # No other test compiles expressions for this field, so the message types are not cached.
    fields = (FieldDefinition("of_this_test", FieldKind.TEXT),)
    event = make_event(acknowledged_at=None)

    compiled = compile_expression(expression, fields, LIMITS)

    assert isinstance(compiled, Expression), compiled
    acknowledged = replace(event, acknowledged_at=EARLIER)
    assert evaluate_expression(compiled, event, None, NOW) is of_null
    assert evaluate_expression(compiled, acknowledged, None, NOW) is of_instant
