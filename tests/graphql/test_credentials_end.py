"""A socket is closed when its credential ends, in whichever process that happened."""

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
from tests.client import Client
from tests.conftest import Serve
from tests.factories import create_api_key, create_key_caller

BELL = "subscription { notificationAdded { node { summary } } }"
READ = Permission.EVENT_READ


@pytest.fixture
def client(own_client: Client) -> Client:
    return own_client


async def test_a_socket_ends_when_its_key_is_revoked_by_another_process(
    client: Client, database: Database
) -> None:
    revoked, other = await create_api_key(database, READ), await create_api_key(database, READ)
    caller = await authenticate_credential(Access(database), f"Bearer {revoked}")
    assert caller.credential_id is not None

    async with (
        client.as_key(revoked).subscription(BELL) as subscription,
        client.as_key(other).subscription(BELL) as other_subscription,
    ):
        # `database` belongs to the test: the server learns of the commit only from the change log.
        await operator_keys.revoke(database, caller.credential_id, datetime.now(UTC))

        assert await subscription.socket.receive_close() == (4403, "The API key was revoked.")
        await client.log_event(summary="later", notification=True)
        assert await other_subscription.receive_next() == {"node": {"summary": "later"}}


async def test_a_socket_ends_when_its_key_expires(client: Client, database: Database) -> None:
    end = None
    for seconds in (1, 4, 16):  # on a busy machine a socket may take longer than its key lasts
        soon = datetime.now(UTC) + timedelta(seconds=seconds)
        key = await create_api_key(database, READ, expires_at=soon)
        with contextlib.suppress(ConnectionClosed):
            async with client.as_key(key).subscription(BELL) as subscription:
                end = await subscription.socket.receive_close()
                break

    assert end == (4403, "The credential has expired.")
    assert datetime.now(UTC) >= soon


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
async def test_an_open_transaction_does_not_delay_a_revocation(
    client: Client, database: Database, database_url: str
) -> None:
    revoked = await create_api_key(database, READ)
    caller = await authenticate_credential(Access(database), f"Bearer {revoked}")
    assert caller.credential_id is not None
    other_process = Database(database_url)

    async with (
        client.as_key(revoked).subscription(BELL) as subscription,
        other_process.write(ALL_ORGANIZATIONS) as session,
    ):
        await session.execute(text("SELECT pg_current_xact_id()"))
        await operator_keys.revoke(database, caller.credential_id, datetime.now(UTC))

        assert await subscription.socket.receive_close() == (4403, "The API key was revoked.")
    await other_process.close()


async def test_one_statement_checks_the_keys_of_all_sockets(
    database: Database, statements: list[str]
) -> None:
    caller = await create_key_caller(database, READ)
    other = await create_key_caller(database, READ)
    assert caller.credential_id is not None
    watcher = CredentialWatcher()
    lifetimes = [
        watcher.track_caller(caller),
        watcher.track_caller(caller),
        watcher.track_caller(other),
    ]
    await operator_keys.revoke(database, caller.credential_id, datetime.now(UTC))
    statements.clear()

    await watcher.check_revocations(database)

    assert len([each for each in statements if "api_key" in each]) == 1
    assert [each.ended.done() for each in lifetimes] == [True, True, False]
    statements.clear()
    del lifetimes
    await watcher.check_revocations(database)
    assert statements == []


async def test_an_already_expired_credential_ends_immediately(database: Database) -> None:
    past = datetime.now(UTC) - timedelta(seconds=1)
    caller = await authenticate_credential(
        Access(database), f"Bearer {await create_api_key(database, READ)}"
    )

    lifetime = CredentialWatcher().track_caller(replace(caller, expires_at=past))

    assert await lifetime.ended == "The credential has expired."


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
