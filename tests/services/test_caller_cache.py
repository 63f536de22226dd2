"""The caller cache: a lookup is reused for at most a second."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import jwt
import pytest
from sqlalchemy import Engine, event
from uuid_utils.compat import uuid7

from app.domain.access.caller import Caller, InactiveCredentialError, Permission
from app.domain.shared.problems import ErrorCode, RequestError
from app.services.auth import caller_cache, operator_keys
from app.services.auth.access import Access, authenticate_headers
from app.services.auth.caller_cache import CallerCache, create_cache_key
from app.services.auth.tokens import TokenVerifier
from app.store.engine.database import Database
from tests.client import ADMINISTRATOR
from tests.conftest import LOOK_UP
from tests.factories import NOON, create_api_key

READ = Permission.EVENT_READ


class FakeClock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def access(database: Database, clock: FakeClock) -> Access:
    return Access(database, caller_cache=CallerCache(clock))


@pytest.fixture
def key_lookups() -> Iterator[list[str]]:
    """Records the key lookups of this process."""
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if LOOK_UP in statement:
            sent.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    yield sent
    event.remove(Engine, "before_cursor_execute", note)


def authorization_headers(key: str, **more: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"} | more


def make_caller(key_id: UUID | None = None, **overrides: Any) -> Caller:
    return Caller("desk", uuid7(), frozenset(), credential_id=key_id, **overrides)


async def test_a_key_is_looked_up_once_in_half_a_second(
    access: Access, clock: FakeClock, key_lookups: list[str]
) -> None:
    first = await authenticate_headers(access, authorization_headers(ADMINISTRATOR), "a")

    clock.seconds += 0.4
    again = await authenticate_headers(access, authorization_headers(ADMINISTRATOR), "b")
    lookups = len(key_lookups)
    clock.seconds += 0.2
    renewed = await authenticate_headers(access, authorization_headers(ADMINISTRATOR), "a")

    assert again is first
    assert lookups == 1
    assert renewed == first
    assert len(key_lookups) == 2


async def test_a_key_that_another_process_revoked_is_accepted_for_at_most_a_second(
    access: Access, clock: FakeClock, database: Database
) -> None:
    key = await create_api_key(database, READ)
    caller = await authenticate_headers(access, authorization_headers(key), "a")
    assert caller.credential_id is not None
    await operator_keys.revoke(database, caller.credential_id, datetime.now(UTC))

    clock.seconds += 0.4
    cached = await authenticate_headers(access, authorization_headers(key), "a")
    clock.seconds += 0.6
    with pytest.raises(InactiveCredentialError, match="The API key was revoked"):
        await authenticate_headers(access, authorization_headers(key), "a")

    assert cached is caller
    assert len(access.caller_cache) == 0


def test_one_request_refreshes_an_entry_while_others_use_it(clock: FakeClock) -> None:
    cache, cache_key = CallerCache(clock), create_cache_key("k", None)
    cache.store(cache_key, make_caller(), None, cache.begin_lookup())

    clock.seconds += 0.6
    lookups = [cache.get(cache_key, NOON) for _ in range(3)]
    clock.seconds += 0.4
    expired = cache.get(cache_key, NOON)

    assert [each is None for each in lookups] == [True, False, False]
    assert expired is None


def test_an_expired_credential_is_never_returned_from_the_cache(
    clock: FakeClock,
) -> None:
    cache, cache_key = CallerCache(clock), create_cache_key("k", None)
    cache.store(cache_key, make_caller(expires_at=NOON), None, cache.begin_lookup())

    assert cache.get(cache_key, NOON - timedelta(microseconds=1)) is not None
    assert cache.get(cache_key, NOON) is None


def test_a_key_that_this_process_revokes_is_removed_immediately(clock: FakeClock) -> None:
    cache, key_id = CallerCache(clock), uuid7()
    cache_keys = [
        create_cache_key("k", None),
        create_cache_key("k", "wells"),
        create_cache_key("other", None),
    ]
    for cache_key, id in zip(cache_keys, (key_id, key_id, uuid7()), strict=True):
        cache.store(cache_key, make_caller(id), None, cache.begin_lookup())

    cache.invalidate_key(key_id)

    assert [cache.get(cache_key, NOON) is None for cache_key in cache_keys] == [True, True, False]


def test_a_lookup_that_began_before_a_revocation_is_not_cached(clock: FakeClock) -> None:
    cache, cache_key, key_id = CallerCache(clock), create_cache_key("k", None), uuid7()
    lookup_token = cache.begin_lookup()

    cache.invalidate_key(key_id)
    cache.store(cache_key, make_caller(key_id), None, lookup_token)

    assert cache.get(cache_key, NOON) is None


def test_the_cache_is_bounded_and_evicts_the_oldest_lookup(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caller_cache, "MAX_CALLERS", 2)
    cache, cache_keys = CallerCache(clock), [create_cache_key(each, None) for each in "abc"]

    for cache_key in (cache_keys[0], cache_keys[1], cache_keys[0], cache_keys[2]):
        cache.store(cache_key, make_caller(), None, cache.begin_lookup())

    assert [cache.get(cache_key, NOON) is None for cache_key in cache_keys] == [False, True, False]


async def test_each_organization_is_looked_up_separately(
    access: Access, database: Database
) -> None:
    key = await create_api_key(database, READ, organization="acme")
    await authenticate_headers(access, authorization_headers(key), "a")
    at_home = await authenticate_headers(access, authorization_headers(ADMINISTRATOR), "a")

    away = await authenticate_headers(
        access, authorization_headers(ADMINISTRATOR, **{"data-partition-id": "acme"}), "a"
    )
    with pytest.raises(RequestError) as refused:
        await authenticate_headers(
            access, authorization_headers(key, **{"data-partition-id": "default"}), "a"
        )

    assert away.organization_id != at_home.organization_id
    assert refused.value.code is ErrorCode.FORBIDDEN
    assert len(access.caller_cache) == 3


async def test_an_invalid_key_is_not_cached(access: Access) -> None:
    for _ in range(2):
        with pytest.raises(RequestError):
            await authenticate_headers(access, authorization_headers("wrong"), "a")

    assert len(access.caller_cache) == 0


async def test_a_token_is_cached_until_it_expires(database: Database, clock: FakeClock) -> None:
    secret, until = "s" * 32, datetime.now(UTC) + timedelta(hours=1)
    claims = {"sub": "desk", "organization": "default", "permissions": [], "exp": until}
    token = jwt.encode(claims, secret, "HS256")
    access = Access(database, TokenVerifier(secret=secret), caller_cache=CallerCache(clock))

    first = await authenticate_headers(access, authorization_headers(token), "a")
    again = await authenticate_headers(access, authorization_headers(token), "a")

    cache_key = create_cache_key(f"Bearer {token}", None)
    assert again is first
    assert first.expires_at is not None
    assert access.caller_cache.get(cache_key, first.expires_at - timedelta(seconds=1)) is not None
    assert access.caller_cache.get(cache_key, first.expires_at) is None
