"""Failed authentication attempts are rate-limited by address; valid credentials are not."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest

from app.domain.access.caller import Permission
from app.domain.shared.limits import FailedAuthLimits
from app.domain.shared.problems import ErrorCode, RequestError
from app.services.auth.access import Access, authenticate_credential, authenticate_headers
from app.services.auth.auth_throttle import AuthThrottle
from app.store.engine.database import Database
from tests.client import ADMINISTRATOR, TIMEOUT_SECONDS
from tests.conftest import Serve
from tests.factories import create_api_key

NEVER = 1e6
READ = Permission.EVENT_READ
REVOKE = "mutation ($id: ID!) { revokeApiKey(id: $id) { apiKey { revokedAt } } }"


async def wait_until_rejected(throttle: AuthThrottle) -> None:
    """Waits until as many failures of the address as permitted are delayed."""
    async with asyncio.timeout(TIMEOUT_SECONDS):
        with pytest.raises(RequestError):
            while True:
                throttle.check_allowed("a", "unknown")
                await asyncio.sleep(0)


async def test_too_many_failures_are_rejected_by_every_api_and_recently_valid_keys_accepted(
    serve: Serve, database_url: str, database: Database
) -> None:
    failed_auth = {
        "free_attempts": 2,
        "first_delay_seconds": 7,
        "max_delay_seconds": 7,
        "max_delayed_requests": 0,
    }
    revoked, never_seen = await create_api_key(database, READ), await create_api_key(database, READ)
    async with serve(database_url, failed_auth=failed_auth) as client:
        was_valid = client.as_key(revoked)
        before = [(await each.post("{ logHead }")).status_code for each in (client, was_valid)]
        [key_id] = await fetch_key_ids(database, revoked)
        await client.execute_field(REVOKE, id=str(key_id))
        attacker = client.as_key("wrong")
        free = [(await attacker.post("{ logHead }")).status_code for _ in range(2)]

        refused = [
            await attacker.post("{ logHead }"),
            await attacker.http.get("/event-types/a/schema.json"),
        ]
        async with attacker.socket() as socket:
            close_code, _ = await socket.receive_close()
        served = await client.post("{ logHead }")
        without_header = await client.as_key(None).post("{ logHead }")
        ended = await was_valid.post("{ logHead }")
        refused.append(await client.as_key(never_seen).post("{ logHead }"))

    assert before == [200, 200]
    assert free == [401, 401]
    for each in refused:
        assert each.status_code == 429
        assert each.headers["retry-after"] == "7"
        assert each.json()["errors"] == [
            {
                "message": "Too many failed authentication attempts from this address. "
                "Retry in 7 s.",
                "extensions": {"code": "LIMIT_EXCEEDED"},
            }
        ]
    assert close_code == 1013
    assert served.status_code == 200
    assert (without_header.status_code, ended.status_code) == (401, 401)


async def test_a_delayed_failure_holds_no_database_connection(database: Database) -> None:
    throttle = AuthThrottle(
        FailedAuthLimits(
            free_attempts=0,
            first_delay_seconds=NEVER,
            max_delay_seconds=NEVER,
            max_delayed_requests=40,
        )
    )
    access = Access(database, throttle=throttle)
    wrong = {"authorization": "Bearer wrong"}
    # more than the connections of the pool
    failures = [asyncio.ensure_future(authenticate_headers(access, wrong, "a")) for _ in range(40)]
    await wait_until_rejected(throttle)

    caller = await authenticate_headers(access, {"authorization": f"Bearer {ADMINISTRATOR}"}, "b")

    assert caller.name == "administrator"
    await cancel_tasks(failures)


async def fetch_key_ids(database: Database, secret: str) -> list[UUID]:
    caller = await authenticate_credential(Access(database), f"Bearer {secret}")
    return [caller.credential_id] if caller.credential_id else []


async def cancel_tasks(tasks: Sequence[asyncio.Future[Any]]) -> None:
    for each in tasks:
        each.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_delays_double_up_to_the_maximum(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waited: list[float] = []
    own_task, actual_sleep = asyncio.current_task(), asyncio.sleep

    async def sleep(seconds: float) -> None:
        if asyncio.current_task() is not own_task:  # the servers that tests share
            return await actual_sleep(seconds)
        return waited.append(seconds)

    throttle = AuthThrottle(
        FailedAuthLimits(free_attempts=2, first_delay_seconds=0.25, max_delay_seconds=1.5)
    )
    monkeypatch.setattr(asyncio, "sleep", sleep)

    for _ in range(50):
        await throttle.delay_failure("a")

    assert waited == [0.25, 0.5, 1.0] + [1.5] * 45


async def test_failures_of_one_address_do_not_affect_others() -> None:
    limits = FailedAuthLimits(
        free_attempts=2, first_delay_seconds=NEVER, max_delay_seconds=NEVER, max_delayed_requests=3
    )
    throttle = AuthThrottle(limits)
    for _ in range(2):
        await throttle.delay_failure("a")
    waiting = [asyncio.ensure_future(throttle.delay_failure("a")) for _ in range(3)]
    await wait_until_rejected(throttle)

    await throttle.delay_failure("b")
    with pytest.raises(RequestError) as refused:
        await throttle.delay_failure("a")

    assert refused.value.code is ErrorCode.LIMIT_EXCEEDED
    await cancel_tasks(waiting)
    throttle.check_allowed("a", "unknown")


async def test_failures_expire() -> None:
    throttle = AuthThrottle(
        FailedAuthLimits(
            free_attempts=1,
            window_seconds=0,
            first_delay_seconds=NEVER,
            max_delay_seconds=NEVER,
            max_delayed_requests=0,
        )
    )

    for _ in range(5):
        await throttle.delay_failure("a")

    assert len(throttle) == 1


async def test_tracked_addresses_are_bounded_and_the_latest_are_kept() -> None:
    throttle = AuthThrottle(
        FailedAuthLimits(
            free_attempts=2,
            first_delay_seconds=NEVER,
            max_delay_seconds=NEVER,
            max_delayed_requests=1,
            tracked_addresses=3,
        )
    )

    for address in ("a", "b", "c", "a", "d"):
        await throttle.delay_failure(address)

    assert len(throttle) == 3
    waiting = asyncio.ensure_future(throttle.delay_failure("a"))  # the third of a
    await wait_until_rejected(throttle)
    await throttle.delay_failure("b")  # "b" was evicted: this counts as its first failure
    await cancel_tasks([waiting])


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", False),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("2001:db8::1", "2001:db8::2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::1", True),
        (None, "", True),
    ],
)
async def test_a_client_is_an_ipv4_address_or_an_ipv6_network(
    one: str | None, other: str | None, same: bool
) -> None:
    throttle = AuthThrottle()

    await throttle.delay_failure(one)
    await throttle.delay_failure(other)

    assert len(throttle) == (1 if same else 2)
