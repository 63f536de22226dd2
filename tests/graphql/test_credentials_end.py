"""A socket ends with its credential, whichever process ended that."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta

import pytest
from websockets.exceptions import ConnectionClosed

from app.domain.access import Permission
from app.services import operator_keys
from app.services.access import Access, authenticate
from app.services.endings import Ending
from app.services.feed import Feed
from app.store.database import Database
from tests.client import Client, Subscription
from tests.worlds import a_key

BELL = "subscription { notificationAdded { node { summary } } }"
READ = Permission.EVENT_READ


async def ended(heard: Subscription) -> tuple[int, str]:
    """The code and the reason that the socket was closed with."""
    with pytest.raises(ConnectionClosed) as closed:
        await heard.socket.receive()
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code, closed.value.rcvd.reason


async def test_a_socket_ends_when_its_key_is_revoked_by_another_process(
    client: Client, database: Database
) -> None:
    revoked, other = await a_key(database, READ), await a_key(database, READ)
    caller = await authenticate(Access(database), f"Bearer {revoked}")
    assert caller.credential_id is not None

    async with (
        client.as_key(revoked).subscription(BELL) as heard,
        client.as_key(other).subscription(BELL) as going_on,
    ):
        # `database` is one of its own: the server learns of the commit by the log alone.
        await operator_keys.revoke(database, caller.credential_id, datetime.now(UTC))

        assert await ended(heard) == (4403, "The key was revoked.")
        await client.log(summary="later", notification=True)
        assert await going_on.next() == {"node": {"summary": "later"}}


async def test_a_socket_ends_when_its_key_expires(client: Client, database: Database) -> None:
    end = None
    for seconds in (1, 4, 16):  # on a busy machine a socket may take longer than its key lasts
        soon = datetime.now(UTC) + timedelta(seconds=seconds)
        key = await a_key(database, READ, expires_at=soon)
        with contextlib.suppress(ConnectionClosed):
            async with client.as_key(key).subscription(BELL) as heard:
                end = await ended(heard)
                break

    assert end == (4403, "The credential has expired.")
    assert datetime.now(UTC) >= soon


async def test_a_key_that_is_revoked_while_its_socket_begins_is_not_missed(
    database: Database,
) -> None:
    caller = await authenticate(Access(database), f"Bearer {await a_key(database, READ)}")
    assert caller.credential_id is not None
    async with Feed(database, 10) as feed:
        ending, later = feed.ending(), feed.ending()
        await operator_keys.revoke(database, caller.credential_id, datetime.now(UTC))
        later.of(caller)
        assert await later.wait() == "The key was revoked."

        ending.of(caller)

        assert await ending.wait() == "The key was revoked."


async def test_what_ended_before_its_time_tells_so_at_once(database: Database) -> None:
    past = datetime.now(UTC) - timedelta(seconds=1)
    caller = await authenticate(Access(database), f"Bearer {await a_key(database, READ)}")
    ending = Ending()

    ending.of(type(caller)(caller.name, caller.organization_id, frozenset(), expires_at=past))

    assert await ending.wait() == "The credential has expired."
