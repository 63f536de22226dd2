"""Delivers to the channels of all organizations, in the background of every server process.

One process at a time delivers to a channel: the one that holds its lease. Each channel has a worker
of its own, with its own position in the change log, so that no channel waits for another one.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import structlog
from sqlalchemy import ColumnElement, select
from sqlmodel import col

from app import metrics
from app.domain.access.audit import AuditAction
from app.domain.channels.attempts import AttemptResult, pause_seconds
from app.domain.channels.channels import (
    ChannelKind,
    UnreadableTriggerError,
    triggers_from_json,
)
from app.domain.events.filter_json import UnreadableFilterError, filter_from_json
from app.domain.shared.problems import ErrorCode, RequestError
from app.services.change_log.feed import Feed
from app.services.channels.channel_secrets import ChannelSecrets, decrypt_secrets
from app.services.channels.channels import ChannelTools
from app.services.channels.deliveries import (
    INTERNAL_ERROR,
    LEASE_TIME,
    ChannelHealth,
    LeasedChannel,
    LeaseLostError,
    build_delivery,
    delete_old_deliveries,
    delete_orphaned_deliveries,
    find_source,
)
from app.services.channels.delivery_selection import DeliverySelector
from app.services.channels.encryption import DecryptionError, SecretKeys
from app.services.shared import leases
from app.services.shared.background_tasks import log_failure, run_in_background
from app.store import tables
from app.store.change_log import changes
from app.store.change_log.changes import LogPosition, LogSnapshot
from app.store.engine.database import ALL_ORGANIZATIONS, Database
from app.store.engine.database_errors import DATABASE_ERRORS

RENEWAL_SECONDS = 3.0
POLL_SECONDS = 1.0
# Maximum pause before a worker that has failed is started again, and before it reads the change log
# again. The first pause is a second, and each further one twice as long.
MAX_RESTART_SECONDS = 60.0
# A worker that fails later fails for the first time again.
STABLE_SECONDS = 300.0
# A worker that stops finishes what it has begun to send.
MAX_STOP_SECONDS = 5.0
CLEANING_SECONDS = 60.0
# Deleting the deliveries of deleted channels searches an index for each channel.
ORPHANS_SECONDS = 3_600.0
# Deliveries that a worker loads at once when few are left, so that it does not search a long queue
# for each of them.
MAX_LOADED_DELIVERIES = 50
MIN_LOADED_DELIVERIES = 25
# Of each order key, so that a long queue of one entity does not delay others.
MAX_LOADED_OF_KEY = 10
# New deliveries that are stored before they are attempted. The change log has the others.
MAX_NEW_DELIVERIES = 1_000
# The position of a channel is stored at least so often, also if no entry is for the channel.
PROGRESS_SECONDS = 30.0
# After so many failures one after another, only one delivery is attempted at a time.
FAILURES_OF_OUTAGE = 5
# After so many failures to read the change log one after another, the channel is failing.
FAILURES_OF_READING = 3
# A failover can lose the transactions of the last seconds.
REWIND_TIME = timedelta(minutes=15)

_REPLACED = (
    "The change log was replaced by a restore. The channel continues at its end: changes before it "
    "are not delivered."
)
_PRUNED = (
    "Entries of the change log were pruned before they were delivered. The channel continues with "
    "the oldest entry that exists."
)

# The deliveries that each message is about.
_Attempts = dict[asyncio.Task[AttemptResult], list[tables.Delivery]]

log = structlog.get_logger(__name__)


@contextlib.asynccontextmanager
async def start_delivering(
    database: Database, feed: Feed, tools: ChannelTools
) -> AsyncIterator[None]:
    """Delivers to all channels until the block is left. Without keys for secrets, it does not."""
    if tools.keys is None:
        yield
        return
    dispatcher = _Dispatcher(database, feed, tools, tools.keys)
    async with run_in_background(_clean_repeatedly(database, tools), "delivery cleaning"):
        async with run_in_background(dispatcher.run(), "channels"):
            yield
        await dispatcher.stop()


async def _clean_repeatedly(database: Database, tools: ChannelTools) -> None:
    orphans_deleted_at = -ORPHANS_SECONDS
    while True:
        try:
            await delete_old_deliveries(database, tools.limits)
            if time.monotonic() - orphans_deleted_at >= ORPHANS_SECONDS:
                orphans_deleted_at = time.monotonic()
                await delete_orphaned_deliveries(database)
        except Exception as error:  # tried again at the next opportunity
            log_failure("delivery_cleaning_failed", error)
        await asyncio.sleep(CLEANING_SECONDS)


class _Dispatcher:
    """Takes the leases of channels, and runs a worker for each of them."""

    def __init__(
        self, database: Database, feed: Feed, tools: ChannelTools, keys: SecretKeys
    ) -> None:
        self._database = database
        self._feed = feed
        self._tools = tools
        self._keys = keys
        self._holder = str(uuid4())
        self._workers: dict[UUID, _Worker] = {}
        self._failures: dict[UUID, _Failures] = {}
        self._renewed_at = 0.0
        # When channels of kinds that this server cannot send were first seen without a lease.
        self._free_since: dict[UUID, float] = {}

    async def run(self) -> None:
        while True:
            try:
                await self._update_workers()
            except Exception as error:  # tried again at the next opportunity
                log_failure("channels_not_read", error)
            await asyncio.sleep(POLL_SECONDS)

    async def stop(self) -> None:
        """Stops all workers and releases their leases."""
        workers = list(self._workers.values())
        for worker in workers:
            worker.request_stop()
        await asyncio.gather(*(worker.wait(MAX_STOP_SECONDS) for worker in workers))
        with contextlib.suppress(Exception):  # the leases end soon
            await self._release(self._workers)

    async def _update_workers(self) -> None:
        table = tables.Channel
        kinds = [kind for kind in ChannelKind if self._tools.find_problem(kind) is None]
        is_sendable = col(table.kind).in_(kinds)
        statement = select(
            col(table.id), col(table.updated_at), is_sendable, leases.is_free(table)
        ).where(col(table.enabled))
        async with self._database.read(ALL_ORGANIZATIONS) as session:
            rows = (await session.execute(statement)).all()
        left_ids = self._find_left([row[0] for row in rows if not row[2] and row[3]])
        enabled = {row[0]: row[1] for row in rows if row[2] or row[0] in left_ids}
        for channel_id, worker in self._workers.items():
            if enabled.get(channel_id) != worker.updated_at:
                worker.request_stop()
        await self._renew_leases()
        await self._remove_stopped()
        await self._start_workers(enabled.keys() - self._workers.keys())

    def _find_left(self, free_ids: Collection[UUID]) -> set[UUID]:
        """Returns the channels that no server takes. Their worker stores why, and ends.

        `free_ids`: the channels without a lease that this server cannot send, but maybe another.
        """
        now = time.monotonic()
        self._free_since = {each: self._free_since.get(each, now) for each in free_ids}
        seconds = self._tools.limits.unsendable_seconds
        return {each for each, since in self._free_since.items() if now - since >= seconds}

    async def _renew_leases(self) -> None:
        if not self._workers or time.monotonic() - self._renewed_at < RENEWAL_SECONDS:
            return
        table = tables.Channel
        is_ours = (col(table.id).in_(self._workers), leases.is_held_by(table, self._holder))
        renewed = await self._take_leases(*is_ours)
        is_unexpired = col(table.leased_until) > datetime.now(UTC)
        statement = select(col(table.id)).where(*is_ours, is_unexpired)
        async with self._database.read(ALL_ORGANIZATIONS) as session:
            ours = {*await session.scalars(statement)}
        if renewed >= ours:  # those that were locked are tried again with the next poll
            self._renewed_at = time.monotonic()
        for channel_id in self._workers.keys() - ours:
            self._workers[channel_id].cancel()

    async def _remove_stopped(self) -> None:
        stopped = [each for each, worker in self._workers.items() if worker.is_done]
        if not stopped:
            return
        for channel_id in stopped:
            worker = self._workers.pop(channel_id)
            if worker.has_failed:
                self._failures.setdefault(channel_id, _Failures()).add(time.monotonic())
        await self._release(stopped)

    async def _start_workers(self, channel_ids: Collection[UUID]) -> None:
        now = time.monotonic()
        self._failures = {id: each for id, each in self._failures.items() if not each.is_old(now)}
        free_ids = [
            each
            for each in channel_ids
            if each not in self._failures or self._failures[each].restart_at <= now
        ]
        if not free_ids:
            return
        table = tables.Channel
        is_enabled = col(table.enabled).is_(True)
        is_free = (col(table.id).in_(free_ids), is_enabled, leases.is_free(table))
        async with self._database.read(ALL_ORGANIZATIONS) as session:
            free = list(await session.scalars(select(col(table.id)).where(*is_free)))
        if not free:
            return
        taken = await self._take_leases(*is_free)
        async with self._database.read(ALL_ORGANIZATIONS) as session:
            rows = list(await session.scalars(select(table).where(col(table.id).in_(taken))))
        for row in rows:
            channel = LeasedChannel(self._database, row, self._holder)
            restarts = self._failures[row.id].count if row.id in self._failures else 0
            worker = _Worker(channel, self._feed, self._tools, self._keys, restarts)
            self._workers[row.id] = worker

    async def _take_leases(self, *conditions: ColumnElement[bool]) -> set[UUID]:
        return await leases.take_leases(
            self._database, ALL_ORGANIZATIONS, tables.Channel, conditions, self._holder, LEASE_TIME
        )

    async def _release(self, channel_ids: Collection[UUID]) -> None:
        await leases.release_leases(
            self._database, ALL_ORGANIZATIONS, tables.Channel, self._holder, *channel_ids
        )


@dataclass
class _Failures:
    """The failures of a worker one after another."""

    count: int = 0
    restart_at: float = 0.0

    def add(self, now: float) -> None:
        self.count += 1
        self.restart_at = now + pause_seconds(self.count, MAX_RESTART_SECONDS)

    def is_old(self, now: float) -> bool:
        return now > self.restart_at + STABLE_SECONDS


class _Worker:
    """Delivers to a channel, in a task of its own, until it is stopped or loses its lease.

    `restarts`: how often errors have ended the previous workers of the channel, one after another.
    """

    def __init__(
        self,
        channel: LeasedChannel,
        feed: Feed,
        tools: ChannelTools,
        keys: SecretKeys,
        restarts: int,
    ) -> None:
        self.updated_at = channel.row.updated_at
        self._channel = channel
        self._row = channel.row
        self._feed = feed
        self._tools = tools
        self._limits = tools.limits
        self._keys = keys
        self._sender = tools.sender.with_own_connections()
        self._source = tools.format_source(self._row.id)
        self._position = changes.LOG_START
        self._new_count = 0
        self._has_room = asyncio.Event()
        self._has_work = asyncio.Event()
        self._is_stopping = False
        self._restarts = restarts
        self._health_lock = asyncio.Lock()
        self._reading_error: str | None = None
        self._failing_since = self._row.failing_since
        self._failures = 0 if self._failing_since is None else FAILURES_OF_OUTAGE
        self._is_failing = self._row.last_error is not None  # whether the last attempt failed
        self._probe_at = 0.0
        self._next_message_at = 0.0
        self._probes_new = False
        self._attempts: _Attempts = {}
        # Deliveries to attempt now, in their order.
        self._loaded: list[tables.Delivery] = []
        # When others can be found. None if all pending deliveries are loaded or in flight.
        self._search_at: datetime | None = datetime.min.replace(tzinfo=UTC)
        # Held while deliveries are stored or loaded, so that each is loaded once.
        self._loading_lock = asyncio.Lock()
        self._task = asyncio.create_task(self._run(), name=f"channel {self._row.id}")

    @property
    def is_done(self) -> bool:
        return self._task.done()

    @property
    def has_failed(self) -> bool:
        """Whether the worker ended because of an error, and not because it was stopped."""
        if self._task.cancelled():
            return False
        return self._task.exception() is not None or self._task.result()

    def request_stop(self) -> None:
        """Stops after the attempts that have begun."""
        self._is_stopping = True
        self._has_work.set()

    def cancel(self) -> None:
        self._task.cancel()

    async def wait(self, max_seconds: float) -> None:
        """Waits until the worker has stopped. Cancels it after the time."""
        await asyncio.wait([self._task], timeout=max_seconds)
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _run(self) -> bool:
        """Returns whether an error ended the worker."""
        problem = self._tools.find_problem(self._row.kind)
        if problem is not None:
            await self._store_failure(problem)
            return True
        try:
            secrets = decrypt_secrets(self._keys, self._row)
            selector = DeliverySelector(
                self._channel.database,
                self._row,
                filter_from_json(self._row.filter or {}),
                triggers_from_json(self._row.triggers),
                self._limits,
            )
            position, snapshot = await self._find_start()
            self._position = position
            async with (
                self._sender,
                run_in_background(self._follow(selector, snapshot), "channel entries"),
            ):
                await self._deliver(secrets)
        except LeaseLostError:
            return False
        except (DecryptionError, UnreadableFilterError, UnreadableTriggerError) as error:
            await self._store_failure(str(error))
            return True
        except Exception as error:
            log_failure("channel_failed", error, channel=str(self._row.id))
            # A database that fails for a moment is no outage of the channel.
            is_transient = isinstance(error, DATABASE_ERRORS)
            if not is_transient or self._restarts >= FAILURES_OF_OUTAGE:
                await self._store_failure(INTERNAL_ERROR)
            return True
        return False

    async def _find_start(self) -> tuple[LogPosition, LogSnapshot]:
        async with self._channel.database.read(self._row.organization_id) as session:
            snapshot = await changes.fetch_snapshot(session)
        if not snapshot.has_epoch_of(self._row.log_identity):
            return await self._channel.skip_to_head(_REPLACED)
        if self._row.has_gap:
            await self._channel.report_gap(_PRUNED)
        if snapshot.identity != self._row.log_identity:
            return await self._channel.rewind(REWIND_TIME)
        return LogPosition(self._row.tx, self._row.seq), snapshot

    async def _store_failure(self, error: str) -> None:
        """Stores why nothing can be delivered, which is an outage."""
        async with self._health_lock:
            since = self._failing_since
            transition = AuditAction.DELIVERIES_FAILING if since is None else None
            health = ChannelHealth(error, since or datetime.now(UTC), transition)
            try:
                await self._store_health([], health)
            except LeaseLostError:
                return
            except Exception as failure:  # it is stored with the next failure
                log_failure("channel_failed", failure, channel=str(self._row.id))

    async def _store_health(
        self, results: Sequence[tuple[tables.Delivery, AttemptResult]], health: ChannelHealth
    ) -> bool:
        """Returns whether the channel is as it was. Raises LeaseLostError."""
        if not await self._channel.record_results(results, self._limits, health):
            return False
        self._failing_since = health.failing_since
        self._log_transition(health)
        return True

    # Entries of the change log become deliveries.

    async def _follow(self, selector: DeliverySelector, snapshot: LogSnapshot) -> None:
        """If it fails, it is tried again. What is stored already is delivered meanwhile."""
        failures = 0
        while True:
            begin = self._position
            try:
                await self._add_deliveries(selector, snapshot)
            except LeaseLostError:
                return self.request_stop()
            except Exception as error:
                self._search_at = datetime.now(UTC)  # what it has stored is not known
                self._has_work.set()
                if isinstance(error, RequestError) and error.code is ErrorCode.CURSOR_EXPIRED:
                    return self.request_stop()  # the change log was replaced: start again
                failures = 1 if self._position > begin else failures + 1
                log_failure("channel_failed", error, channel=str(self._row.id))
                if failures >= FAILURES_OF_READING:
                    self._reading_error = INTERNAL_ERROR
                    await self._store_failure(self._reading_error)
                await asyncio.sleep(pause_seconds(failures, MAX_RESTART_SECONDS))

    async def _add_deliveries(self, selector: DeliverySelector, snapshot: LogSnapshot) -> None:
        self._change_new_count(await self._channel.count_new() - self._new_count)
        retry_time = timedelta(seconds=self._limits.retry_seconds)
        own_events = find_source(self._row)
        progress = self._feed.follow_progress(
            selector.feed_filter, self._position, PROGRESS_SECONDS, skips_pruned=True
        )
        async with contextlib.aclosing(progress):
            async for entries, end in progress:
                now = datetime.now(UTC)
                others = [entry for entry in entries if entry.state.source != own_events]
                rows = [
                    build_delivery(
                        self._row, entry, trigger, self._source, snapshot, now, retry_time
                    )
                    for entry, trigger in await selector.select(others)
                ]
                await self._has_room.wait()
                async with self._loading_lock:
                    self._add_loaded(await self._channel.add_deliveries(rows, end))
                self._position = end
                if self._reading_error is not None:
                    await self._end_reading_error()
                if rows:
                    self._has_work.set()

    async def _end_reading_error(self) -> None:
        """Ends the outage, unless the attempts fail, too: then the first success ends it."""
        async with self._health_lock:
            if self._failures < FAILURES_OF_OUTAGE:
                health = ChannelHealth(None, None, AuditAction.DELIVERIES_RECOVERED)
                await self._store_health([], health)
            self._reading_error = None

    def _add_loaded(self, deliveries: Sequence[tables.Delivery]) -> None:
        """Adds new deliveries to the loaded ones, if no unknown one can hold them back."""
        if self._search_at is None and len(self._loaded) < MAX_LOADED_DELIVERIES:
            self._loaded += deliveries
        elif deliveries:
            self._search_at = datetime.now(UTC)
        self._change_new_count(len(deliveries))

    @property
    def _in_flight(self) -> list[tables.Delivery]:
        return [delivery for message in self._attempts.values() for delivery in message]

    def _change_new_count(self, difference: int) -> None:
        self._new_count += difference
        if self._new_count < MAX_NEW_DELIVERIES:
            self._has_room.set()
        else:
            self._has_room.clear()

    # Deliveries are attempted.

    async def _deliver(self, secrets: ChannelSecrets) -> None:
        try:
            while self._attempts or not self._is_stopping:
                self._has_work.clear()
                next_at = await self._start_attempts(secrets)
                await self._wait_for_work(next_at)
                if any(task.done() for task in self._attempts):
                    await self._record_done()
        finally:
            for task in self._attempts:
                task.cancel()
            await asyncio.gather(*self._attempts, return_exceptions=True)

    async def _start_attempts(self, secrets: ChannelSecrets) -> float | None:
        """Starts attempts. Returns the time after which others can start; None if not by time."""
        if self._is_stopping:
            return None
        in_outage = self._failures >= FAILURES_OF_OUTAGE
        is_text = self._row.kind is ChannelKind.APPRISE
        room = (1 if in_outage or is_text else self._limits.concurrency) - len(self._attempts)
        if room <= 0:
            return None
        now = time.monotonic()
        begin = max(self._probe_at if in_outage else 0.0, self._next_message_at)
        if now < begin:
            return begin
        next_time = await (self._load_probe() if in_outage else self._load_due(is_text=is_text))
        messages = [[delivery] for delivery in self._take_loaded(room)]
        if is_text and messages and not in_outage:  # a digest
            more = self._limits.apprise_digest - 1
            messages[0] += self._loaded[:more]
            self._loaded = self._loaded[more:]
        for message in messages:
            self._attempts[asyncio.create_task(self._attempt(message, secrets))] = message
        if is_text and messages:
            self._next_message_at = now + self._limits.apprise_interval_seconds
        if len(messages) == room or next_time is None:
            return None
        pause = (next_time - datetime.now(UTC)).total_seconds()
        return time.monotonic() + min(max(pause, 0), PROGRESS_SECONDS)

    async def _load_due(self, *, is_text: bool) -> datetime | None:
        """Loads deliveries to attempt now if few are loaded and others can be found.

        Returns the time at which others become due. None if there are none, or if those that
        are due can be found when an attempt ends.
        """
        digest = self._limits.apprise_digest
        least = digest if is_text else MIN_LOADED_DELIVERIES
        async with self._loading_lock:
            now = datetime.now(UTC)
            if self._search_at is None or self._search_at > now:
                return self._search_at
            if len(self._loaded) >= least:
                return None
            known_ids = {each.id for each in (*self._loaded, *self._in_flight)}
            limit = len(known_ids) + (digest if is_text else MAX_LOADED_DELIVERIES)
            per_key = limit if is_text else MAX_LOADED_OF_KEY
            due, next_time = await self._channel.load_due(limit, per_key)
            self._loaded += [each for each in due if each.id not in known_ids]
            self._loaded.sort(key=lambda delivery: delivery.number)
            largest = max(Counter(each.order_key for each in due).values(), default=0)
            has_all = len(due) < limit and largest < per_key
            self._search_at = next_time if has_all else now
            return next_time if has_all else None

    async def _load_probe(self) -> datetime | None:
        """Loads the delivery that shows whether an outage has ended, in place of the others.

        Returns the time of the next one.
        """
        async with self._loading_lock:
            # New and failed deliveries take turns: either may be what is rejected.
            self._loaded, next_time = await self._channel.load_probe(new_first=self._probes_new)
            self._probes_new = not self._probes_new
            self._search_at = datetime.now(UTC)
            return next_time

    def _take_loaded(self, limit: int) -> list[tables.Delivery]:
        """Takes deliveries whose order keys are not those of earlier ones, also in flight."""
        keys = {delivery.order_key for delivery in self._in_flight}
        taken: list[tables.Delivery] = []
        kept: list[tables.Delivery] = []
        for delivery in self._loaded:
            is_first = delivery.order_key not in keys
            (taken if is_first and len(taken) < limit else kept).append(delivery)
            keys.add(delivery.order_key)
        self._loaded = kept
        return taken

    async def _wait_for_work(self, until: float | None) -> None:
        waiter = asyncio.create_task(self._has_work.wait())
        timeout = None if until is None else max(0.0, until - time.monotonic())
        try:
            await asyncio.wait(
                {*self._attempts, waiter}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            waiter.cancel()

    async def _attempt(
        self, message: Sequence[tables.Delivery], secrets: ChannelSecrets
    ) -> AttemptResult:
        try:
            return await self._tools.send(
                self._row.kind, secrets, message, self._sender, is_failing=self._is_failing
            )
        except Exception:  # a bug: it must not stop the other deliveries
            ids = [str(delivery.id) for delivery in message]
            log.exception("delivery_failed", channel=str(self._row.id), deliveries=ids)
            return AttemptResult(datetime.now(UTC), error=INTERNAL_ERROR)

    async def _record_done(self) -> None:
        """Records the results of the attempts that have ended."""
        done = [task for task in self._attempts if task.done()]
        results = [task.result() for task in done]
        attempted = [
            (delivery, result)
            for task, result in zip(done, results, strict=True)
            for delivery in self._attempts[task]
        ]
        async with self._health_lock:
            is_current = await self._store_health(attempted, self._judge_health(results))
        for task in done:
            del self._attempts[task]
        self._change_new_count(-sum(delivery.attempts == 0 for delivery, _ in attempted))
        failed = {delivery.order_key for delivery, result in attempted if not result.is_success}
        if failed:  # they hold back later ones
            self._loaded = [each for each in self._loaded if each.order_key not in failed]
            self._search_at = datetime.now(UTC)
        for result in results:
            metrics.DELIVERY_ATTEMPTS.labels("success" if result.is_success else "error").inc()
        if not is_current or any(result.is_gone for result in results):
            self._is_stopping = True

    def _log_transition(self, health: ChannelHealth) -> None:
        if health.transition is not None:
            log.warning(
                "channel_failing" if health.failing_since else "channel_recovered",
                channel=str(self._row.id),
                name=self._row.name,
                cause=health.last_error,
            )

    def _judge_health(self, results: list[AttemptResult]) -> ChannelHealth:
        """Counts failures, and decides whether an outage begins or ends."""
        for result in results:
            self._failures = 0 if result.is_success else self._failures + 1
        self._is_failing = self._failures > 0
        failures_in_outage = self._failures - FAILURES_OF_OUTAGE + 1
        if failures_in_outage > 0:
            pause = pause_seconds(failures_in_outage, self._limits.max_probe_seconds)
            self._probe_at = time.monotonic() + pause
        last_error, since = results[-1].summary or self._reading_error, self._failing_since
        is_gone = any(result.is_gone for result in results)
        if since is None and (failures_in_outage > 0 or is_gone):
            return ChannelHealth(last_error, results[-1].at, AuditAction.DELIVERIES_FAILING)
        has_recovered = self._reading_error is None and not is_gone
        if since is not None and has_recovered and any(result.is_success for result in results):
            return ChannelHealth(last_error, None, AuditAction.DELIVERIES_RECOVERED)
        return ChannelHealth(last_error, since)
