"""Observers of the SQL statements that this process sends, with or without a session."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import URL

Observer = Callable[[URL, str], None]

_observers: list[Observer] = []


@contextmanager
def observe_statements(observer: Observer) -> Iterator[None]:
    """Calls the observer with the database's URL and the text of each statement before it is sent.

    It is called in the context of the sender, so it can read context variables.
    """

    def forward(connection: Connection, _cursor: Any, statement: str, *_: Any) -> None:
        observer(connection.engine.url, statement)

    event.listen(Engine, "before_cursor_execute", forward)
    _observers.append(observer)
    try:
        yield
    finally:
        _observers.remove(observer)
        event.remove(Engine, "before_cursor_execute", forward)


def notify_observers(url: URL, statement: str) -> None:
    """Notifies the observers of a statement that is sent without SQLAlchemy."""
    for observer in _observers:
        observer(url, statement)
