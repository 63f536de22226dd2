"""Event filters as JSON, as they are stored."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from app.domain.events.filter_json import UnreadableFilterError, filter_from_json, filter_to_json
from app.domain.events.filters import EventFilter


def test_a_filter_is_read_as_it_was_stored() -> None:
    values = {
        "ids": [str(uuid4())],
        "entity": {"type": "Well", "id": "w"},
        "outcome": "FAILURE",
        "acknowledged": False,
        "lastOccurredAt": {"to": "2026-01-01T00:00:00.000000Z"},
        "missing": [],
        "or": [{"fields": [{"field": "a", "operator": "EXISTS"}]}, {"notification": True}],
    }

    filter = filter_from_json(values)

    assert filter_to_json(filter) == values
    assert filter_from_json({}) == EventFilter()


@pytest.mark.parametrize(
    "values",
    [
        {"ofTheNextVersion": True},
        {"entity": {"type": "Well", "ofTheNextVersion": "w"}},
        {"not": {"or": [{"ofTheNextVersion": True}]}},
        {"severities": ["OF_THE_NEXT_VERSION"]},
        {"recordedAt": {"to": "yesterday"}},
        {"ids": ["1"]},
        {"severities": 1},
    ],
)
def test_a_condition_that_cannot_be_read_is_never_left_out(values: dict[str, Any]) -> None:
    with pytest.raises(UnreadableFilterError):
        filter_from_json(values)
