"""Calls of one organization that share a transaction (decision 7)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Protocol, TypeVar
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.store.engine.database import CommitTracker, Database, retry_on_deadlock
from app.store.engine.database_errors import affects_every_transaction


class SharedCall(Protocol):
    """A call. `commit_tracker.started` is set once its changes may be durable."""

    @property
    def commit_tracker(self) -> CommitTracker: ...


CallT = TypeVar("CallT", bound=SharedCall)
ResultT = TypeVar("ResultT")
ProcessCalls = Callable[[AsyncSession, Sequence[CallT]], Awaitable[Sequence[ResultT]]]


async def submit_call(
    database: Database,
    organization_id: UUID,
    call: CallT,
    size: int,
    process: ProcessCalls[CallT, ResultT],
) -> ResultT:
    """Processes the call in a transaction, which concurrent calls with the same `process` share.

    `process` returns one result for each call, in order. It may be called again, in another
    transaction. `size`: number of events of the call.
    """
    handler = partial(_process_together, database, organization_id, process)
    result: ResultT = await database.write_queue.submit(
        (organization_id, process), call, size, handler
    )
    return result


async def _process_together(
    database: Database,
    organization_id: UUID,
    process: ProcessCalls[CallT, ResultT],
    calls: Sequence[CallT],
) -> Sequence[ResultT | BaseException]:
    """Processes the calls in one transaction; if one of them makes it fail, each in its own."""
    if len(calls) == 1:
        return [await _process_separately(database, organization_id, process, calls[0])]
    for call in calls:  # a cancelled caller does not stop the transaction
        call.commit_tracker.started = True
    committing = False
    try:
        async with database.write(organization_id) as session:
            results = await process(session, calls)
            committing = True
    except Exception as error:
        # An interrupted commit may have succeeded: repeating it could change everything twice.
        if committing or affects_every_transaction(error):
            raise
        separately = (
            _process_separately(database, organization_id, process, call) for call in calls
        )
        return list(await asyncio.gather(*separately, return_exceptions=True))
    return results


@retry_on_deadlock
async def _process_separately(
    database: Database, organization_id: UUID, process: ProcessCalls[Any, ResultT], call: SharedCall
) -> ResultT:
    async with database.write(organization_id) as session:
        [result] = await process(session, [call])
        call.commit_tracker.started = True
        return result
