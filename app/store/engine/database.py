"""The one injected object: sessions to read and to write with, and the wake of the log.

Every session has a scope: it sees and writes the rows of one organization, and only who says
EVERYWHERE sees them all. Only `write()` commits.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache, wraps
from typing import Any, Literal, ParamSpec, TypeVar
from uuid import UUID

from sqlalchemy import Dialect, Select, Uuid, bindparam, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import (
    LoaderCriteriaOption,
    ORMExecuteState,
    Session,
    UOWTransaction,
    with_loader_criteria,
)
from sqlmodel import col

from app.store.engine import dialect, raw_rows
from app.store.engine.batch_queue import Groups
from app.store.tables import Owned
from app.store.tables.columns import Raw

ATTEMPTS = 5
TOGETHER = 500
Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


class _All(Enum):
    EVERYWHERE = "everywhere"


EVERYWHERE = _All.EVERYWHERE
Scope = UUID | Literal[_All.EVERYWHERE]
ORGANIZATION = "organization_id"
_ORGANIZATION: Any = bindparam(ORGANIZATION, None, type_=Uuid())


@dataclass
class Commits:
    """`begun`: what was written may be durable, whatever becomes of the one who wrote it."""

    begun: bool = False


_COMMITS: ContextVar[Commits | None] = ContextVar("commits", default=None)


@contextmanager
def commits_watched() -> Iterator[Commits]:
    """Tells of the commits that begin meanwhile, in this task and in those that it starts."""
    commits = Commits()
    token = _COMMITS.set(commits)
    try:
        yield commits
    finally:
        _COMMITS.reset(token)


def commits_here() -> Commits:
    """What tells this task of its commits: for work that another task does for it."""
    return _COMMITS.get() or Commits()


class ScopedSession(Session):
    """Adds the organization to every statement on an `Owned` table."""


@lru_cache(maxsize=1024)
def _inside(organization_id: UUID) -> tuple[LoaderCriteriaOption, ...]:
    return tuple(
        with_loader_criteria(
            table, col(table.organization_id) == organization_id, include_aliases=True
        )
        for table in Owned.__subclasses__()
    )


# Lambdas, so that they fit what is joined under another name.
_CONFINED = tuple(
    with_loader_criteria(
        table, lambda each: each.organization_id == _ORGANIZATION, include_aliases=True
    )
    for table in Owned.__subclasses__()
)


def confined(statement: Select[Any]) -> Select[Any]:
    """What no session sends gets the same scope: the organization is a value, `ORGANIZATION`."""
    return statement.options(*_CONFINED)


@event.listens_for(ScopedSession, "do_orm_execute")
def _stay_inside(state: ORMExecuteState) -> None:
    scope: Scope = state.session.info["scope"]
    if scope is EVERYWHERE:
        return
    if state.is_insert:
        _refuse_rows_of_others(state, scope)
    else:
        state.statement = state.statement.options(*_inside(scope))


def _refuse_rows_of_others(state: ORMExecuteState, organization_id: UUID) -> None:
    mapper = state.bind_mapper
    if mapper is None or not issubclass(mapper.class_, Owned):
        return
    given = state.parameters or {}
    rows = [given] if isinstance(given, Mapping) else given
    if any(row.get("organization_id") != organization_id for row in rows):
        raise AssertionError(f"a {mapper.class_.__name__} of another organization")


@event.listens_for(ScopedSession, "before_flush")
def _write_inside(session: Session, _context: UOWTransaction, _instances: Any) -> None:
    scope: Scope = session.info["scope"]
    for row in (*session.new, *session.dirty):
        if isinstance(row, Owned) and scope not in (EVERYWHERE, row.organization_id):
            raise AssertionError(f"a {type(row).__name__} of another organization")


class Database:
    """`reports`: what waits to be logged, for each organization; what is logged together shares a
    transaction. `session.info["kept"]` holds what was read of an organization and may be used again
    by who asks in its own transaction whether it still holds.
    """

    def __init__(self, url: str) -> None:
        self.url = dialect.read_url(url)
        self.wake = dialect.wake(self.url)
        self._reader, self._writer = dialect.engines(self.url)
        self.raw_rows = raw_rows.raw_rows(self.url)
        self.reports = Groups(dialect.lanes(self.url), most=TOGETHER)
        self._kept: dict[UUID, Any] = {}
        self.raw = Raw(self._reader.dialect)

    @asynccontextmanager
    async def read(self, scope: Scope) -> AsyncIterator[AsyncSession]:
        """A session on one snapshot of the database. Hold it shortly, and never while waiting."""
        async with self._session(self._reader, scope) as session, session.begin():
            yield session

    @asynccontextmanager
    async def write(self, scope: Scope) -> AsyncIterator[AsyncSession]:
        """A transaction: committed at the end of the block, undone by whatever leaves it early."""
        async with self._session(self._writer, scope) as session, session.begin():
            yield session
            if (commits := _COMMITS.get()) is not None:
                commits.begun = True
        self.wake.ring()

    @property
    def dialect(self) -> Dialect:
        return self._reader.dialect

    @property
    def connections_in_use(self) -> int:
        pools: set[Any] = {self._reader.pool, self._writer.pool}  # one pool on PostgreSQL
        return int(sum(pool.checkedout() for pool in pools)) + self.raw_rows.in_use

    async def close(self) -> None:
        await self.reports.drained()
        await self.raw_rows.close()
        await self._reader.dispose()
        await self._writer.dispose()

    def _session(self, engine: AsyncEngine, scope: Scope) -> AsyncSession:
        return AsyncSession(
            engine,
            sync_session_class=ScopedSession,
            expire_on_commit=False,
            info={"scope": scope, "kept": self._kept},
        )


def repeated_when_undone(
    operation: Callable[Parameters, Coroutine[Any, Any, Result]],
) -> Callable[Parameters, Coroutine[Any, Any, Result]]:
    """For an operation of one transaction that locks several rows of a table.

    It begins anew when PostgreSQL undid it to end a deadlock: nothing of it was stored.
    """

    @wraps(operation)
    async def attempted(*args: Parameters.args, **given: Parameters.kwargs) -> Result:
        for _ in range(ATTEMPTS - 1):
            try:
                return await operation(*args, **given)
            except DBAPIError as error:
                if not dialect.was_deadlocked(error):
                    raise
        return await operation(*args, **given)

    return attempted
