"""The one injected object: sessions for reads and writes, and the wake signal of the change log.

Every session has a scope: it reads and writes the rows of one organization, or of all of them with
ALL_ORGANIZATIONS. Only `write()` commits.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache, wraps
from typing import Any, Literal, ParamSpec, TypeVar
from uuid import UUID

from cachetools import LRUCache
from sqlalchemy import ColumnElement, Dialect, Select, Uuid, bindparam, event
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

from app.domain.shared.limits import DatabaseLimits
from app.store.engine import database_errors, dialect, row_reader
from app.store.engine.batch_queue import BatchQueue
from app.store.engine.log_horizon import LogHorizon, register_log_writer
from app.store.tables import OrganizationOwned, owned_tables
from app.store.tables.columns import DriverCodec

DEFAULT_LIMITS = DatabaseLimits()
MAX_ATTEMPTS = 5
MAX_CACHED_ORGANIZATIONS = 1_000
MAX_EVENTS_PER_TRANSACTION = 500
Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


class _AllOrganizations(Enum):
    ALL_ORGANIZATIONS = "everywhere"


ALL_ORGANIZATIONS = _AllOrganizations.ALL_ORGANIZATIONS
OrganizationScope = UUID | Literal[_AllOrganizations.ALL_ORGANIZATIONS]
ORGANIZATION_PARAMETER = "organization_id"
_ORGANIZATION_ID: Any = bindparam(ORGANIZATION_PARAMETER, None, type_=Uuid())


@dataclass
class CommitTracker:
    """`started`: the writes may become durable, even if the caller fails or is cancelled.

    A commit has begun, or a task that does not end with the caller has taken over the writes.
    """

    started: bool = False


_COMMIT_TRACKER: ContextVar[CommitTracker | None] = ContextVar("commits", default=None)


@contextmanager
def track_commits() -> Iterator[CommitTracker]:
    """Tracks the commits that this task and the tasks it creates start inside the block."""
    tracker = CommitTracker()
    token = _COMMIT_TRACKER.set(tracker)
    try:
        yield tracker
    finally:
        _COMMIT_TRACKER.reset(token)


def current_commit_tracker() -> CommitTracker:
    """The commit tracker of this task, to pass to another task that works for it."""
    return _COMMIT_TRACKER.get() or CommitTracker()


class ScopedSession(Session):
    """Adds the organization to every statement on an `OrganizationOwned` table.

    It reads, changes and deletes rows. New rows are inserted by `insert_rows`.
    """


_NOT_INSERTED = "use insert_rows of app.store.writing.inserts"


# Execution option of statements that look up lists of IDs: SQLite does not scan an index of the
# organization instead.
BY_ID = {"by_id": True}


@lru_cache(maxsize=1024)
def _organization_criteria(organization_id: UUID, hidden: bool) -> tuple[LoaderCriteriaOption, ...]:
    def build_condition(table: type[OrganizationOwned]) -> ColumnElement[bool]:
        condition = col(table.organization_id) == organization_id
        return dialect.hide_from_planner(condition) if hidden else condition

    return tuple(
        with_loader_criteria(table, build_condition(table), include_aliases=True)
        for table in owned_tables()
    )


# Lambdas, so that the criteria apply to aliased tables too.
_SCOPE_CRITERIA = tuple(
    with_loader_criteria(
        table, lambda row_class: row_class.organization_id == _ORGANIZATION_ID, include_aliases=True
    )
    for table in owned_tables()
)


def scoped_to_organization(statement: Select[Any]) -> Select[Any]:
    """Adds a session's scope to a statement that is executed without a session.

    The value of `ORGANIZATION_PARAMETER` is the organization.
    """
    return statement.options(*_SCOPE_CRITERIA)


@event.listens_for(ScopedSession, "do_orm_execute")
def _scope_statement(state: ORMExecuteState) -> None:
    scope: OrganizationScope = state.session.info["scope"]
    if state.is_insert:
        raise AssertionError(_NOT_INSERTED)
    if scope is not ALL_ORGANIZATIONS:
        hidden = bool(state.execution_options.get("by_id")) and dialect.is_sqlite(state.session)
        state.statement = state.statement.options(*_organization_criteria(scope, hidden))


@event.listens_for(ScopedSession, "before_flush")
def _check_flushed_rows(session: Session, _context: UOWTransaction, _instances: Any) -> None:
    scope: OrganizationScope = session.info["scope"]
    if session.new:
        raise AssertionError(_NOT_INSERTED)
    for row in session.dirty:
        if isinstance(row, OrganizationOwned) and scope not in (
            ALL_ORGANIZATIONS,
            row.organization_id,
        ):
            raise AssertionError(f"a {type(row).__name__} of another organization")


class Database:
    """`direct_url`: for what needs a session of its own; the URL itself, unless it is of a pooler.

    `write_queue`: calls that wait to share a transaction; a batch is one transaction.

    `session.info["organization_caches"]` caches data by organization. A reader must check in its
    own transaction that the data is still valid. `session.info["horizon_parameters"]` is the
    horizon that was known before the session's first statement, and so before its snapshot.
    """

    def __init__(
        self, url: str, direct_url: str | None = None, limits: DatabaseLimits = DEFAULT_LIMITS
    ) -> None:
        self.url = dialect.parse_database_url(url)
        pooled = direct_url is not None
        self.direct_url = self.url if direct_url is None else dialect.parse_database_url(direct_url)
        self.wake = dialect.create_wake_signal(self.direct_url)  # has one connection
        readers = max(1, (limits.connections - 1) // 3)
        self._reader, self._writer = dialect.create_engines(
            self.url, limits.connections - 1 - readers, pooled=pooled
        )
        self.row_reader = row_reader.create_row_reader(self.url, readers, pooled=pooled)
        self.max_connections = limits.connections if dialect.is_postgresql(self.url) else 0
        self.log_horizon = LogHorizon(self.row_reader, self.url.get_backend_name())
        self.write_queue = BatchQueue(
            dialect.max_shared_transactions(self.url), max_batch_size=MAX_EVENTS_PER_TRANSACTION
        )
        self._organization_caches: LRUCache[UUID, Any] = LRUCache(MAX_CACHED_ORGANIZATIONS)
        self.dialect: Dialect = self._reader.dialect
        self.driver_codec = DriverCodec(self.dialect)

    @asynccontextmanager
    async def read(self, scope: OrganizationScope) -> AsyncIterator[AsyncSession]:
        """A session on one snapshot of the database. Keep it short, and never wait inside it."""
        async with self._session(self._reader, scope) as session:
            yield session

    @asynccontextmanager
    async def write(
        self, scope: OrganizationScope, *, writes_log: bool = True
    ) -> AsyncIterator[AsyncSession]:
        """A transaction: committed at the end of the block, rolled back on any exception.

        `writes_log`: whether it may append to the change log. If not, subscribers do not wait for
        it, however long it takes.
        """
        async with self._session(self._writer, scope, writes_log) as session:
            if writes_log:
                await register_log_writer(session)
            yield session
            if (tracker := _COMMIT_TRACKER.get()) is not None:
                tracker.started = True
            try:
                await _complete(session.commit())
            finally:
                if writes_log:
                    self.wake.notify()

    @property
    def connections_in_use(self) -> int:
        pools: set[Any] = {self._reader.pool, self._writer.pool}  # one pool on PostgreSQL
        return int(sum(pool.checkedout() for pool in pools)) + self.row_reader.connections_in_use

    async def renew_writers(self) -> bool:
        """Closes the connections of SQLite that write. False if one is in use: call it again later.

        A connection that was opened while the file was read-only stays so.
        """
        if dialect.is_postgresql(self.url):
            return True
        pool: Any = self._writer.pool
        if pool.checkedout():
            return False
        await self._writer.dispose()
        return True

    async def close(self) -> None:
        await self.write_queue.drain()
        await self.row_reader.close()
        await self._reader.dispose()
        await self._writer.dispose()

    def _session(
        self, engine: AsyncEngine, scope: OrganizationScope, writes_log: bool = False
    ) -> AsyncSession:
        return AsyncSession(
            engine,
            sync_session_class=ScopedSession,
            expire_on_commit=False,
            info={
                "scope": scope,
                "organization_caches": self._organization_caches,
                "horizon_parameters": self.log_horizon.parameters,
                "writes_log": writes_log,
            },
        )


async def _complete(commit: Coroutine[Any, Any, None]) -> None:
    """Awaits the commit to its end. If the caller is cancelled meanwhile, it is cancelled after it.

    A commit that is cancelled leaves a connection of unknown state, which the pool must replace.
    """
    task = asyncio.create_task(commit)
    cancellation: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancellation = error
    if cancellation is not None:
        task.exception()  # the caller does not learn of it, and asyncio must not log it
        raise cancellation
    task.result()


def retry_on_deadlock(
    function: Callable[Parameters, Coroutine[Any, Any, Result]],
) -> Callable[Parameters, Coroutine[Any, Any, Result]]:
    """Retries an operation that PostgreSQL rolled back to resolve a deadlock.

    Only for operations of one transaction, so that nothing of a failed attempt is stored.
    """

    @wraps(function)
    async def run_with_retries(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        for _ in range(MAX_ATTEMPTS - 1):
            try:
                return await function(*args, **kwargs)
            except DBAPIError as error:
                if not database_errors.is_deadlock(error):
                    raise
        return await function(*args, **kwargs)

    return run_with_retries
