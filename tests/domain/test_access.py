"""Permissions, grants, the source of a caller, and validation of API keys."""

from __future__ import annotations

from datetime import datetime, timedelta
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.access.caller import (
    Permission,
    validate_grants,
    validate_key,
    validate_organization,
)
from app.domain.shared.limits import Limits
from tests.domain.examples import NOW, make_caller
from tests.domain.strategies import STORABLE_TEXT

READ, CREATE, DELETE = Permission.EVENT_READ, Permission.EVENT_CREATE, Permission.EVENT_DELETE


@pytest.mark.parametrize(
    ("has", "any_of", "may"),
    [
        ({READ}, {READ}, True),
        ({READ, CREATE}, {CREATE}, True),
        ({READ}, {READ, CREATE}, True),
        ({READ}, {CREATE}, False),
        ({READ, CREATE}, {DELETE}, False),
        (set(), {READ}, False),
        (set(Permission), set(), False),
    ],
)
def test_one_of_several_permissions_is_sufficient(
    has: set[Permission], any_of: set[Permission], may: bool
) -> None:
    caller = make_caller(permissions=frozenset(has))

    allowed = caller.has_any_permission(any_of)

    assert allowed is may


def test_a_caller_of_every_organization_also_needs_the_permission() -> None:
    caller = make_caller(permissions=frozenset({READ}), every_organization=True)

    allowed = caller.has_any_permission({DELETE})

    assert allowed is False


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("administrator", "administrator"),
        ("field desk", "field%20desk"),
        ("scada-7_b.x~y", "scada-7_b.x~y"),
        ("https://a/b?c#d", "https%3A%2F%2Fa%2Fb%3Fc%23d"),
        ("100 %", "100%20%25"),
        ("Büro №1", "B%C3%BCro%20%E2%84%961"),
    ],
)
def test_the_source_of_a_caller_is_its_name_percent_encoded(name: str, source: str) -> None:
    assert make_caller(name=name).source == source


@given(STORABLE_TEXT)
def test_the_name_of_a_caller_can_be_decoded_from_its_source(name: str) -> None:
    source = make_caller(name=name).source

    assert unquote(source) == name
    assert source.isascii()
    assert all(character.isalnum() or character in "-._~%" for character in source)


@pytest.mark.parametrize(
    ("key", "fits"),
    [
        ("acme", True),
        ("a-b.c:d/e~!", True),
        ("x" * 255, True),
        ("**", True),
        ("*", False),
        ("", False),
        ("x" * 256, False),
        ("a b", False),
        ("a\t", False),
        ("ä", False),
        ("\x7f", False),
    ],
)
def test_an_organization_key_is_a_valid_header_value(key: str, fits: bool) -> None:
    problems = validate_organization(key, "Acme", Limits())

    assert (problems == []) is fits
    assert {problem.path for problem in problems} <= {("key",)}


@given(st.text(max_size=300))
def test_the_name_of_a_key_must_fit_into_a_source(name: str) -> None:
    problems = validate_key(name, [READ], None, NOW, Limits())

    if not problems:
        assert len(make_caller(name=name).source) <= 255


def test_a_key_must_expire_in_the_future() -> None:
    def problems(ends: datetime | None) -> list[tuple[str, ...]]:
        return [each.path for each in validate_key("desk", [READ], ends, NOW, Limits())]

    assert problems(None) == []
    assert problems(NOW + timedelta(microseconds=1)) == []
    assert problems(NOW) == [("expiresAt",)]


def test_a_caller_cannot_grant_a_permission_that_it_lacks() -> None:
    creator = make_caller(permissions=frozenset({READ, DELETE}))

    problems = validate_grants([READ, CREATE, DELETE, CREATE], creator)

    assert [problem.path for problem in problems] == [("permissions", "1"), ("permissions", "3")]
