"""Who was looked up within the last second is known without the database, and no longer."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import jwt
import pytest
from sqlalchemy import Engine, event
from uuid_utils.compat import uuid7

from app.domain.access.caller import Caller, EndedError, Permission
from app.domain.shared.problems import ErrorCode, RequestError
from app.services.auth import caller_cache, operator_keys
from app.services.auth.access import Access, caller_of
from app.services.auth.caller_cache import Remembered, place_of
from app.services.auth.tokens import Tokens
from app.store.engine.database import Database
from tests.client import ADMINISTRATOR
from tests.conftest import LOOK_UP
from tests.worlds import NOON, a_key

READ = Permission.EVENT_READ


class Clock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def access(database: Database, clock: Clock) -> Access:
    return Access(database, remembered=Remembered(clock))


@pytest.fixture
def looks() -> Iterator[list[str]]:
    """The look-ups of keys that this process sends."""
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if LOOK_UP in statement:
            sent.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    yield sent
    event.remove(Engine, "before_cursor_execute", note)


def says(key: str, **more: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"} | more


def caller(key_id: UUID | None = None, **given: Any) -> Caller:
    return Caller("desk", uuid7(), frozenset(), credential_id=key_id, **given)


async def test_a_key_is_looked_up_once_in_half_a_second(
    access: Access, clock: Clock, looks: list[str]
) -> None:
    first = await caller_of(access, says(ADMINISTRATOR), "a")

    clock.seconds += 0.4
    again = await caller_of(access, says(ADMINISTRATOR), "b")
    asked = len(looks)
    clock.seconds += 0.2
    renewed = await caller_of(access, says(ADMINISTRATOR), "a")

    assert again is first
    assert asked == 1
    assert renewed == first
    assert len(looks) == 2


async def test_a_key_that_another_process_revoked_is_good_for_a_second_at_most(
    access: Access, clock: Clock, database: Database
) -> None:
    key = await a_key(database, READ)
    known = await caller_of(access, says(key), "a")
    assert known.credential_id is not None
    await operator_keys.revoke(database, known.credential_id, datetime.now(UTC))

    clock.seconds += 0.4
    still = await caller_of(access, says(key), "a")
    clock.seconds += 0.6
    with pytest.raises(EndedError, match="The key was revoked"):
        await caller_of(access, says(key), "a")

    assert still is known
    assert len(access.remembered) == 0


def test_one_renews_while_the_others_are_still_answered(clock: Clock) -> None:
    known, place = Remembered(clock), place_of("k", None)
    known.keep(place, caller(), None, known.look())

    clock.seconds += 0.6
    asked = [known.at(place, NOON) for _ in range(3)]
    clock.seconds += 0.4
    late = known.at(place, NOON)

    assert [each is None for each in asked] == [True, False, False]
    assert late is None


def test_a_credential_that_has_expired_is_not_known_whenever_it_was_looked_up(
    clock: Clock,
) -> None:
    known, place = Remembered(clock), place_of("k", None)
    known.keep(place, caller(expires_at=NOON), None, known.look())

    assert known.at(place, NOON - timedelta(microseconds=1)) is not None
    assert known.at(place, NOON) is None


def test_what_this_process_revokes_is_forgotten_at_once(clock: Clock) -> None:
    known, key_id = Remembered(clock), uuid7()
    places = [place_of("k", None), place_of("k", "wells"), place_of("other", None)]
    for place, id in zip(places, (key_id, key_id, uuid7()), strict=True):
        known.keep(place, caller(id), None, known.look())

    known.forget(key_id)

    assert [known.at(place, NOON) is None for place in places] == [True, True, False]


def test_a_look_that_began_before_a_revocation_is_not_kept(clock: Clock) -> None:
    known, place, key_id = Remembered(clock), place_of("k", None), uuid7()
    look = known.look()

    known.forget(key_id)
    known.keep(place, caller(key_id), None, look)

    assert known.at(place, NOON) is None


def test_memory_is_bounded_and_the_oldest_look_goes_first(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caller_cache, "MOST", 2)
    known, places = Remembered(clock), [place_of(each, None) for each in "abc"]

    for place in (places[0], places[1], places[0], places[2]):
        known.keep(place, caller(), None, known.look())

    assert [known.at(place, NOON) is None for place in places] == [False, True, False]


async def test_an_organization_is_asked_for_each_by_itself(
    access: Access, database: Database
) -> None:
    key = await a_key(database, READ, organization="acme")
    await caller_of(access, says(key), "a")
    at_home = await caller_of(access, says(ADMINISTRATOR), "a")

    away = await caller_of(access, says(ADMINISTRATOR, **{"data-partition-id": "acme"}), "a")
    with pytest.raises(RequestError) as refused:
        await caller_of(access, says(key, **{"data-partition-id": "default"}), "a")

    assert away.organization_id != at_home.organization_id
    assert refused.value.code is ErrorCode.FORBIDDEN
    assert len(access.remembered) == 3


async def test_a_key_that_is_not_valid_is_not_remembered(access: Access) -> None:
    for _ in range(2):
        with pytest.raises(RequestError):
            await caller_of(access, says("wrong"), "a")

    assert len(access.remembered) == 0


async def test_a_token_is_remembered_until_it_expires(database: Database, clock: Clock) -> None:
    secret, until = "s" * 32, datetime.now(UTC) + timedelta(hours=1)
    claims = {"sub": "desk", "organization": "default", "permissions": [], "exp": until}
    token = jwt.encode(claims, secret, "HS256")
    access = Access(database, Tokens(secret=secret), remembered=Remembered(clock))

    first = await caller_of(access, says(token), "a")
    again = await caller_of(access, says(token), "a")

    place = place_of(token, None)
    assert again is first
    assert first.expires_at is not None
    assert access.remembered.at(place, first.expires_at) is None
