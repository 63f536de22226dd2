"""Alert keys under fire: two servers, one database, and writers that use the same keys."""

from __future__ import annotations

from benchmarks.alert_keys import open_and_resolve_keys
from tests.concurrency.test_duplicates_under_fire import Servers, servers

__all__ = ["servers"]


async def test_reports_from_two_servers_open_and_resolve_each_key_as_one_server_would(
    servers: Servers,
) -> None:
    results = await open_and_resolve_keys(servers, writers=4, keys=6, rounds=6)

    assert results.reports.total() == 4 * 6 * 6
    assert results.second_unresolved == []
    assert results.miscounted == []
    assert results.left_open == []
    assert results.errors == []
    assert min(results.changes[kind] for kind in ("LOGGED", "DUPLICATED", "RESOLVED")) >= 6
    # The writers wait for events that are reopened in both ways. The last of their rounds reports
    # resolutions of dated keys, which are later than all reports, before the reports that they
    # resolve.
    assert len(+results.reopened) == 2
    assert results.stored_as_resolved >= 1
