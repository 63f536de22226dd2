"""A socket ends with its credential, whichever process ended that."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from websockets.exceptions import ConnectionClosed

from app.domain.access.caller import Permission
from app.services.auth import keys, operator_keys
from app.services.auth.access import Access, authenticate_credential
from app.services.auth.credential_watcher import CredentialWatcher
from app.store.engine.database import ALL_ORGANIZATIONS, Database
from tests.client import Client, Subscription
from tests.conftest import Serve
from tests.factories import create_api_key

BELL = "subscription { notificationAdded { node { summary } } }"
READ = Permission.EVENT_READ


@pytest.fixture
def client(own_client: Client) -> Client:
    return own_client


async def receive_close(heard: Subscription) -> tuple[int, str]:
    """The code and the reason that the socket was closed with."""
    with pytest.raises(ConnectionClosed) as closed:
        await heard.socket.receive()
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code, closed.value.rcvd.reason


async def test_a_socket_ends_when_its_key_is_revoked_by_another_process(
    client: Client, database: Database
) -> None:
    revoked, other = await create_api_key(database, READ), await create_api_key(database, READ)
    caller = await authenticate_credential(Access(database), f"Bearer {revoked}")
    assert caller.credential_id is not None

    async with (
        client.as_key(revoked).subscription(BELL) as heard,
        client.as_key(other).subscription(BELL) as going_on,
    ):
        # `database` is one of its own: the server learns of the commit by the log alone.
        await operator_keys.revoke(database, caller.credential_id, datetime.now(UTC))

        assert await receive_close(heard) == (4403, "The API key was revoked.")
        await client.log_event(summary="later", notification=True)
        assert await going_on.receive_next() == {"node": {"summary": "later"}}


async def test_a_socket_ends_when_its_key_expires(client: Client, database: Database) -> None:
    end = None
    for seconds in (1, 4, 16):  # on a busy machine a socket may take longer than its key lasts
        soon = datetime.now(UTC) + timedelta(seconds=seconds)
        key = await create_api_key(database, READ, expires_at=soon)
        with contextlib.suppress(ConnectionClosed):
            async with client.as_key(key).subscription(BELL) as heard:
                end = await receive_close(heard)
                break

    assert end == (4403, "The credential has expired.")
    assert datetime.now(UTC) >= soon


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
async def test_a_transaction_that_stays_open_holds_up_no_revocation(
    client: Client, database: Database, database_url: str
) -> None:
    revoked = await create_api_key(database, READ)
    caller = await authenticate_credential(Access(database), f"Bearer {revoked}")
    assert caller.credential_id is not None
    stuck = Database(database_url)

    async with (
        client.as_key(revoked).subscription(BELL) as heard,
        stuck.write(ALL_ORGANIZATIONS) as session,
    ):
        await session.execute(text("SELECT pg_current_xact_id()"))
        await operator_keys.revoke(database, caller.credential_id, datetime.now(UTC))

        assert await receive_close(heard) == (4403, "The API key was revoked.")
    await stuck.close()


async def test_all_sockets_are_looked_after_by_one_statement(
    database: Database, statements: list[str]
) -> None:
    caller = await authenticate_credential(
        Access(database), f"Bearer {await create_api_key(database, READ)}"
    )
    other = await authenticate_credential(
        Access(database), f"Bearer {await create_api_key(database, READ)}"
    )
    assert caller.credential_id is not None
    endings = CredentialWatcher()
    held = [endings.track_caller(caller), endings.track_caller(caller), endings.track_caller(other)]
    await operator_keys.revoke(database, caller.credential_id, datetime.now(UTC))
    statements.clear()

    await endings.check_revocations(database)

    assert len([each for each in statements if "api_key" in each]) == 1
    assert [each.revoked.is_set() for each in held] == [True, True, False]
    statements.clear()
    del held
    await endings.check_revocations(database)
    assert statements == []


async def test_what_ended_before_its_time_tells_so_at_once(database: Database) -> None:
    past = datetime.now(UTC) - timedelta(seconds=1)
    caller = await authenticate_credential(
        Access(database), f"Bearer {await create_api_key(database, READ)}"
    )

    ending = CredentialWatcher().track_caller(replace(caller, expires_at=past))

    assert await ending.wait_until_ended() == "The credential has expired."


async def test_an_operation_on_a_socket_is_a_use_of_its_key(
    serve: Serve, database_url: str, database: Database
) -> None:
    async with serve(database_url) as client, client.socket() as socket:
        assert (await socket.receive())["type"] == "connection_ack"
        connected = datetime.now(UTC)

        await socket.send(id="1", type="subscribe", payload={"query": "{ __typename }"})
        assert (await socket.receive())["type"] == "next"

    async with database.read(ALL_ORGANIZATIONS) as session:
        [key] = await keys.list_keys(session, connected)
    assert key.last_used_at is not None
    assert key.last_used_at > connected
