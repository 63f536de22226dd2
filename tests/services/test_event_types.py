"""The forms of event types, known in the process."""

from __future__ import annotations

import pytest

from app.domain.event_types.definitions import TypeDefinition
from app.domain.event_types.fields import FieldDefinition, FieldKind
from app.domain.event_types.lifecycle import EventTypeState
from app.services.definitions import event_types
from app.services.event_types import event_type_commands
from app.store.engine.database import Database
from tests.worlds import a_desk


async def test_a_full_cache_forgets_nothing_that_is_asked_for(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = await a_desk(database)
    made = []
    for name in ("first", "second"):
        field = FieldDefinition(name, FieldKind.TEXT)
        definition = TypeDefinition(name, state=EventTypeState.PUBLISHED, fields=(field,))
        saved = await event_type_commands.create_event_type(database, desk, definition)
        assert saved.event_type is not None
        made.append((saved.event_type.id, 1))
    monkeypatch.setattr(event_types, "KNOWN_FORMS", 1)
    await event_types.forms(database, desk.reporter, made[:1])

    found = await event_types.forms(database, desk.reporter, made)

    assert [found[version].fields[0].name for version in made] == ["first", "second"]
