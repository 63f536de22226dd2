"""Pages by key and the opaque cursors that name a place in a list.

A cursor is bound to its organization and to the order of its list: any other is INVALID_CURSOR.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypeVar
from uuid import UUID

from sqlalchemy import Select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.shared.limits import Limits
from app.domain.shared.problems import ErrorCode, RequestError, bad_input

T = TypeVar("T")
DEFAULT_PAGE = 20
_CHECK_BYTES = 6


def write_cursor(organization_id: UUID, kind: str, *parts: Any) -> str:
    payload = json.dumps([kind, *parts], separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(_check(organization_id, payload) + payload).decode().rstrip("=")


def read_cursor(organization_id: UUID, kind: str, cursor: str, argument: str) -> list[Any]:
    """The parts that were written. RequestError INVALID_CURSOR for any that was not."""
    try:
        sealed = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise invalid_cursor(argument) from None
    check, payload = sealed[:_CHECK_BYTES], sealed[_CHECK_BYTES:]
    one_way = base64.urlsafe_b64encode(sealed).decode().rstrip("=") == cursor
    if not one_way or check != _check(organization_id, payload):
        raise invalid_cursor(argument)
    try:
        written, *parts = json.loads(payload)
    except (ValueError, TypeError):  # the check keeps mistakes out, not a forger
        raise invalid_cursor(argument) from None
    if written != kind:
        raise invalid_cursor(argument, "It is of another kind of list, or of another order.")
    return list(parts)


def invalid_cursor(
    argument: str, why: str = "It is damaged, or of another organization."
) -> RequestError:
    return RequestError(ErrorCode.INVALID_CURSOR, f"No valid cursor. {why}", argument)


def _check(organization_id: UUID, payload: bytes) -> bytes:
    return hashlib.blake2s(payload, key=organization_id.bytes, digest_size=_CHECK_BYTES).digest()


@dataclass(frozen=True)
class PageRequest:
    """Which part of a list: the first `size` from the front, or the last from the back."""

    size: int
    backwards: bool = False
    after: str | None = None
    before: str | None = None
    offset: int = 0


def page_request(
    limits: Limits,
    *,
    first: int | None = None,
    after: str | None = None,
    last: int | None = None,
    before: str | None = None,
    offset: int | None = None,
) -> PageRequest:
    """Checks the arguments of a list. RequestError BAD_USER_INPUT names what does not fit."""
    if first is not None and last is not None:
        raise bad_input("Give first or last, not both.", "last")
    if after is not None and before is not None:
        raise bad_input("Give after or before, not both.", "before")
    if offset is not None and (after is not None or before is not None or last is not None):
        raise bad_input("offset goes with first alone, not with a cursor or last.", "offset")
    if offset is not None and not 0 <= offset <= limits.offset:
        raise bad_input(f"offset must be from 0 to {limits.offset:,}.", "offset")
    argument, size = ("first", first) if last is None else ("last", last)
    size = DEFAULT_PAGE if size is None else size
    if not 1 <= size <= limits.page:
        raise bad_input(f"{argument} must be from 1 to {limits.page}.", argument)
    return PageRequest(size, last is not None, after, before, offset or 0)


@dataclass(frozen=True)
class Order(Generic[T]):
    """The unique key that rows lie in order of, and how it goes in and out of a cursor."""

    name: str
    columns: tuple[Any, ...]
    descending: bool
    key: Callable[[T], tuple[Any, ...]]
    plain: Callable[[tuple[Any, ...]], list[Any]]
    read: Callable[[list[Any]], tuple[Any, ...]]

    @cached_property
    def keys(self) -> tuple[str, ...]:
        return tuple(column.key for column in self.columns)

    def cursor(self, organization_id: UUID, row: T) -> str:
        return self.cursor_at(organization_id, self.key(row))

    def cursor_at(self, organization_id: UUID, key: tuple[Any, ...]) -> str:
        return write_cursor(organization_id, self.name, *self.plain(key))


@dataclass(frozen=True)
class Page(Generic[T]):
    rows: Sequence[T]
    has_next: bool
    has_previous: bool


@dataclass(frozen=True)
class Bound:
    """A place that a page lies on one side of: `ahead`, where keys are greater."""

    argument: str
    place: tuple[Any, ...]
    ahead: bool


def bounds(order: Order[Any], page: PageRequest, organization_id: UUID) -> list[Bound]:
    """Where the page begins or ends. RequestError INVALID_CURSOR."""
    found = []
    for argument, cursor in (("after", page.after), ("before", page.before)):
        if cursor is not None:
            parts = read_cursor(organization_id, order.name, cursor, argument)
            try:
                place = order.read(parts)
            except (ValueError, TypeError, LookupError, AttributeError, OverflowError):
                raise invalid_cursor(argument) from None
            ahead = (argument == "after") is not order.descending
            found.append(Bound(argument, place, ahead))
    return found


def cut(rows: Sequence[T], page: PageRequest) -> Page[T]:
    """The page, of its rows and the one behind them, read from its front or from its back."""
    more, rows = len(rows) > page.size, rows[: page.size]
    if page.backwards:
        return Page(rows[::-1], page.before is not None, more or page.after is not None)
    behind = page.after is not None or page.offset > 0
    return Page(rows, more or page.before is not None, behind)


async def fetch(
    session: AsyncSession,
    statement: Select[T],
    order: Order[T],
    page: PageRequest,
    organization_id: UUID,
) -> Page[T]:
    """One bounded statement. Rows that are inserted meanwhile move no other to another page."""
    key = tuple_(*order.columns)
    for bound in bounds(order, page, organization_id):
        statement = statement.where(key > bound.place if bound.ahead else key < bound.place)
    falling = order.descending is not page.backwards
    statement = statement.order_by(
        *(column.desc() if falling else column.asc() for column in order.columns)
    )
    found = await session.scalars(statement.offset(page.offset or None).limit(page.size + 1))
    return cut(list(found), page)
