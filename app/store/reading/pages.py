"""Keyset pagination with opaque cursors.

A cursor is bound to its organization and to the order of its list: any other is INVALID_CURSOR.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Generic, TypeVar
from uuid import UUID

from app.domain.shared.limits import Limits
from app.domain.shared.problems import ErrorCode, RequestError, bad_user_input

T = TypeVar("T")
DEFAULT_PAGE_SIZE = 20
_CHECKSUM_BYTES = 6
_MAX_POSITION = 2**31 - 1  # of an integer column
_MAX_NUMBER = 2**63 - 1  # of a big integer column


def encode_cursor(organization_id: UUID, kind: str, *parts: Any) -> str:
    payload = json.dumps([kind, *parts], separators=(",", ":")).encode()
    return (
        base64.urlsafe_b64encode(_checksum(organization_id, payload) + payload).decode().rstrip("=")
    )


def decode_cursor(organization_id: UUID, kind: str, cursor: str, argument: str) -> list[Any]:
    """The parts of the cursor. Raises INVALID_CURSOR if `encode_cursor` did not produce it."""
    try:
        decoded = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise invalid_cursor_error(argument) from None
    checksum, payload = decoded[:_CHECKSUM_BYTES], decoded[_CHECKSUM_BYTES:]
    is_canonical = base64.urlsafe_b64encode(decoded).decode().rstrip("=") == cursor
    if not is_canonical or checksum != _checksum(organization_id, payload):
        raise invalid_cursor_error(argument)
    try:
        cursor_kind, *parts = json.loads(payload)
    except (ValueError, TypeError):  # the checksum detects mistakes, not forgeries
        raise invalid_cursor_error(argument) from None
    if cursor_kind != kind:
        raise invalid_cursor_error(
            argument, "The cursor belongs to a different list or sort order."
        )
    return list(parts)


def invalid_cursor_error(
    argument: str, why: str = "The cursor is damaged or belongs to a different organization."
) -> RequestError:
    return RequestError(
        ErrorCode.INVALID_CURSOR, f"Invalid cursor. {why} Start again without a cursor.", argument
    )


def _checksum(organization_id: UUID, payload: bytes) -> bytes:
    return hashlib.blake2s(payload, key=organization_id.bytes, digest_size=_CHECKSUM_BYTES).digest()


@dataclass(frozen=True)
class PageRequest:
    """The requested part of a list: the first `size` rows or, if `backwards`, the last."""

    size: int
    backwards: bool = False
    after: str | None = None
    before: str | None = None
    offset: int = 0


def parse_page_request(
    limits: Limits,
    *,
    first: int | None = None,
    after: str | None = None,
    last: int | None = None,
    before: str | None = None,
    offset: int | None = None,
) -> PageRequest:
    """Validates the arguments of a list. Raises BAD_USER_INPUT with the invalid argument."""
    if first is not None and last is not None:
        raise bad_user_input("Use either first or last, not both.", "last")
    if after is not None and before is not None:
        raise bad_user_input("Use either after or before, not both.", "before")
    if offset is not None and (after is not None or before is not None or last is not None):
        raise bad_user_input("offset cannot be combined with after, before or last.", "offset")
    if offset is not None and not 0 <= offset <= limits.offset:
        raise bad_user_input(f"offset must be from 0 to {limits.offset:,}.", "offset")
    argument, size = ("first", first) if last is None else ("last", last)
    size = DEFAULT_PAGE_SIZE if size is None else size
    if not 1 <= size <= limits.page_size:
        raise bad_user_input(f"{argument} must be from 1 to {limits.page_size}.", argument)
    return PageRequest(size, last is not None, after, before, offset or 0)


@dataclass(frozen=True)
class Order:
    """A sort order by a unique key, and the conversion of the key to and from a cursor."""

    name: str
    columns: tuple[Any, ...]
    descending: bool
    key_to_json: Callable[[tuple[Any, ...]], list[Any]]
    key_from_json: Callable[[list[Any]], tuple[Any, ...]]

    @cached_property
    def column_names(self) -> tuple[str, ...]:
        return tuple(column.key for column in self.columns)

    def encode_key_cursor(self, organization_id: UUID, key: tuple[Any, ...]) -> str:
        return encode_cursor(organization_id, self.name, *self.key_to_json(key))


def creation_order(name: str, id_column: Any) -> Order:
    """The order by ID, which is the order of creation."""
    return Order(
        name=name,
        columns=(id_column,),
        descending=False,
        key_to_json=lambda key: [str(key[0])],
        key_from_json=lambda parts: (UUID(parts[0]),),
    )


def newest_first_order(name: str, id_column: Any) -> Order:
    """The order by ID, newest first."""
    return replace(creation_order(name, id_column), descending=True)


def number_order(name: str, column: Any, *, descending: bool) -> Order:
    """The order by a number that is unique in the list."""
    return Order(
        name=name,
        columns=(column,),
        descending=descending,
        key_to_json=list,
        key_from_json=lambda parts: (min(max(0, operator.index(parts[0])), _MAX_NUMBER),),
    )


def position_order(name: str, position_column: Any, id_column: Any) -> Order:
    """The order by position, and by ID among rows that have the same one for a moment."""

    def key_from_json(parts: list[Any]) -> tuple[int, UUID]:
        position, row_id = parts
        return min(max(0, int(position)), _MAX_POSITION), UUID(row_id)

    return Order(
        name=name,
        columns=(position_column, id_column),
        descending=False,
        key_to_json=lambda key: [key[0], str(key[1])],
        key_from_json=key_from_json,
    )


@dataclass
class Page(Generic[T]):
    rows: Sequence[T]
    has_next: bool
    has_previous: bool


@dataclass(frozen=True)
class PageBound:
    """A key that bounds a page: all keys of the page are greater, or all are less."""

    argument: str
    key: tuple[Any, ...]
    is_lower_bound: bool


def decode_page_bounds(order: Order, page: PageRequest, organization_id: UUID) -> list[PageBound]:
    """The bounds that the cursors of the request set. Raises INVALID_CURSOR."""
    bounds = []
    for argument, cursor in (("after", page.after), ("before", page.before)):
        if cursor is not None:
            parts = decode_cursor(organization_id, order.name, cursor, argument)
            try:
                key = order.key_from_json(parts)
            except (ValueError, TypeError, LookupError, AttributeError, OverflowError):
                raise invalid_cursor_error(argument) from None
            is_lower_bound = (argument == "after") is not order.descending
            bounds.append(PageBound(argument, key, is_lower_bound))
    return bounds


def build_page(rows: Sequence[T], page: PageRequest) -> Page[T]:
    """Builds a page from its rows and, if it exists, one row more, in the order of the read."""
    has_more, rows = len(rows) > page.size, rows[: page.size]
    if page.backwards:
        return Page(rows[::-1], page.before is not None, has_more or page.after is not None)
    has_previous = page.after is not None or page.offset > 0
    return Page(rows, has_more or page.before is not None, has_previous)
