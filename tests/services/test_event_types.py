"""The cache of event type definitions."""

from __future__ import annotations

import pytest
from cachetools import LRUCache

from app.domain.event_types.definitions import EventTypeDefinition
from app.domain.event_types.fields import FieldDefinition, FieldKind
from app.domain.event_types.lifecycle import EventTypeState
from app.services.definitions import event_types
from app.services.event_types import event_type_commands
from app.store.engine.database import Database
from tests.factories import admin_command


async def test_a_full_cache_still_returns_all_requested_versions(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = await admin_command(database)
    versions = []
    for name in ("first", "second"):
        field = FieldDefinition(name, FieldKind.TEXT)
        definition = EventTypeDefinition(name, state=EventTypeState.PUBLISHED, fields=(field,))
        saved = await event_type_commands.create_event_type(database, command, definition)
        assert saved.event_type is not None
        versions.append((saved.event_type.id, 1))
    monkeypatch.setattr(event_types, "version_cache", LRUCache(1))
    await event_types.fetch_version_definitions(database, command.actor, versions[:1])

    definitions = await event_types.fetch_version_definitions(database, command.actor, versions)

    assert [definitions[version].fields[0].name for version in versions] == ["first", "second"]
