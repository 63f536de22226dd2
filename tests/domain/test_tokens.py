"""The meaning of a token's claims, and the rejection of invalid ones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.domain.access.caller import Caller, Permission
from app.domain.access.tokens import TokenClaims, TokenRequirements, parse_claims
from app.domain.shared.problems import ErrorCode, RequestError

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
SECONDS = int(NOW.timestamp())
READ, CREATE = Permission.EVENT_READ, Permission.EVENT_CREATE
UPDATE, DELETE = Permission.EVENT_UPDATE, Permission.EVENT_DELETE
ABSENT = object()
AS_SOURCE = (
    "At most 255 characters are allowed; the name, percent-encoded as an event source, has 258."
)
NOT_FINITE = (float("nan"), float("inf"), float("-inf"))
EARLY = (
    "The token was issued in the future (iat). Synchronize the clocks of the identity provider "
    "and this server."
)


def parse_token(terms: TokenRequirements | None = None, **overrides: Any) -> TokenClaims:
    usual = {"sub": "scada", "organization": "wells", "exp": SECONDS + 60}
    defaults = {name: value for name, value in (usual | overrides).items() if value is not ABSENT}
    return parse_claims(defaults, terms or TokenRequirements(leeway=timedelta(seconds=30)), NOW)


def parse_typed_token(token_type: str | None, **overrides: Any) -> TokenClaims:
    claims = {"sub": "scada", "organization": "wells", "exp": SECONDS + 60} | overrides
    return parse_claims(claims, TokenRequirements(), NOW, token_type)


def rejection_message(terms: TokenRequirements | None = None, **overrides: Any) -> str:
    with pytest.raises(RequestError) as raised:
        parse_token(terms, **overrides)
    assert raised.value.code is ErrorCode.UNAUTHENTICATED
    return raised.value.message


def test_claims_contain_name_organizations_permissions_and_expiration() -> None:
    claims = parse_token(permissions=["EVENT_READ"])

    assert claims == TokenClaims(
        name="scada",
        organizations=frozenset({"wells"}),
        permissions=frozenset({READ}),
        expires_at=NOW + timedelta(seconds=60 + 30),
    )


@pytest.mark.parametrize(
    ("organization", "organizations"),
    [
        ("wells", {"wells"}),
        (["wells"], {"wells"}),
        (["wells", "Felder Süd", "wells"], {"wells", "Felder Süd"}),
        ("*", None),
        (["wells", "*"], None),
        ("w*", {"w*"}),
        ("wells pipes", {"wells pipes"}),
    ],
)
def test_the_organization_is_a_key_a_list_of_keys_or_every_one(
    organization: Any, organizations: set[str] | None
) -> None:
    assert parse_token(organization=organization).organizations == organizations


@pytest.mark.parametrize("organization", [ABSENT, None, []])
def test_a_token_without_an_organization_is_rejected(organization: Any) -> None:
    message = rejection_message(organization=organization)

    assert message == "The token has no organization: the 'organization' claim is missing or empty."


@pytest.mark.parametrize(
    "organization", ["", 7, True, {"key": "wells"}, ["wells", 7], [["wells"]], "a\n", "x" * 256]
)
def test_an_organization_that_is_not_a_key_is_rejected(organization: Any) -> None:
    message = rejection_message(organization=organization)

    assert message == (
        "The token's 'organization' claim must be an organization key, a list of organization "
        "keys, or '*'."
    )


@pytest.mark.parametrize(
    ("attributes", "permissions"),
    [
        ({"permissions": ["EVENT_READ", "EVENT_CREATE"]}, {READ, CREATE}),
        ({"permissions": ["EventRead", "EventCreate"]}, {READ, CREATE}),
        ({"permissions": ["EventUpdate", "EventDelete"]}, {UPDATE, DELETE}),
        ({"permissions": sorted(each.value for each in Permission)}, set(Permission)),
        ({"permissions": "EVENT_READ EventCreate"}, {READ, CREATE}),
        ({"scope": "openid EVENT_READ  EventCreate profile"}, {READ, CREATE}),
        ({"scope": "EVENT_READ\topenid\r\nEventCreate\n"}, {READ, CREATE}),
        ({"scope": ["EVENT_READ", "openid"]}, {READ}),
        ({"permissions": ["EVENT_READ"], "scope": "EVENT_CREATE"}, {READ}),
        ({"permissions": [], "scope": "EVENT_CREATE"}, set()),
        ({"permissions": None, "scope": "EVENT_CREATE"}, {CREATE}),
        ({"permissions": ["event_read", "EVENTREAD", "Admin", "*", "", "EventRead "]}, set()),
        ({"scope": ""}, set()),
        ({}, set()),
    ],
)
def test_permissions_of_tocsin_and_deltafi_are_known_and_others_ignored(
    attributes: dict[str, Any], permissions: set[Permission]
) -> None:
    assert parse_token(**attributes).permissions == permissions


@pytest.mark.parametrize(
    ("path", "claims"),
    [
        ("roles", {"roles": ["EVENT_READ"]}),
        ("realm.roles", {"realm": {"roles": ["EVENT_READ"]}}),
        ("https://a.example/roles", {"https://a.example/roles": "EVENT_READ"}),
        ("realm.roles", {"realm.roles": ["EVENT_READ"], "realm": {"roles": ["EVENT_CREATE"]}}),
        (
            "roles",
            {"roles": "EVENT_READ", "permissions": ["EVENT_CREATE"], "scope": "EVENT_CREATE"},
        ),
        ("scope", {"scope": "EVENT_READ", "permissions": ["EVENT_CREATE"]}),
    ],
)
def test_permissions_are_read_from_the_configured_claim(path: str, claims: dict[str, Any]) -> None:
    requirements = TokenRequirements(permissions_claim=path)

    assert parse_token(requirements, **claims).permissions == {READ}


@pytest.mark.parametrize(
    ("path", "claims"),
    [
        ("realm.roles", {"realm": "EVENT_CREATE", "scope": "EVENT_READ"}),
        ("realm.roles", {"realm": {"roles": None}, "scope": "EVENT_READ"}),
        ("roles", {"permissions": ["EVENT_CREATE"], "scope": "EVENT_READ"}),
        ("roles", {"roles": [], "scope": "EVENT_READ"}),
        ("permissions", {"scope": "EVENT_READ"}),
    ],
)
def test_without_the_configured_claim_a_token_has_no_permissions(
    path: str, claims: dict[str, Any]
) -> None:
    requirements = TokenRequirements(permissions_claim=path)

    assert parse_token(requirements, **claims).permissions == frozenset()


def test_organizations_are_read_from_the_configured_claim() -> None:
    requirements = TokenRequirements(organization_claim="tocsin.keys")

    claims = parse_token(requirements, tocsin={"keys": ["pipes"]})
    missing = rejection_message(requirements, tocsin=[])
    invalid = rejection_message(requirements, tocsin={"keys": 7})

    assert claims.organizations == frozenset({"pipes"})
    assert missing == (
        "The token has no organization: the 'tocsin.keys' claim is missing or empty."
    )
    assert invalid == (
        "The token's 'tocsin.keys' claim must be an organization key, a list of organization "
        "keys, or '*'."
    )


@pytest.mark.parametrize("claim", ["permissions", "scope"])
@pytest.mark.parametrize("value", [7, {"EVENT_READ": True}, ["EVENT_READ", 7], [["EVENT_READ"]]])
def test_permissions_that_are_not_names_are_rejected(claim: str, value: Any) -> None:
    message = rejection_message(**{claim: value})

    assert message == (
        f"The token's '{claim}' claim must be a list of permission names, or permission names "
        "separated by spaces."
    )


@pytest.mark.parametrize("name", ["scada", "Büro №1", "https://id/users/7", "x" * 255, "ü" * 42])
def test_the_name_is_the_subject(name: str) -> None:
    claims = parse_token(sub=name)

    assert claims.name == name
    assert len(Caller(name, None, frozenset()).source) <= 255  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (ABSENT, " has no subject: the 'sub' claim must be a non-empty string."),
        ("", " has no subject: the 'sub' claim must be a non-empty string."),
        (7, " has no subject: the 'sub' claim must be a non-empty string."),
        (["scada"], " has no subject: the 'sub' claim must be a non-empty string."),
        (
            "a\x00",
            "'s 'sub' claim is invalid: Character 2 is U+0000, which is not allowed. Remove the "
            "character.",
        ),
        (
            "\ud800",
            "'s 'sub' claim is invalid: Character 1 is U+D800, which is not allowed. Remove the "
            "character.",
        ),
        (
            "x" * 256,
            "'s 'sub' claim is invalid: At most 255 characters are allowed; sub has 256.",
        ),
        ("ü" * 43, f"'s 'sub' claim is invalid: {AS_SOURCE}"),
    ],
)
def test_a_subject_that_cannot_be_a_name_is_rejected(name: Any, message: str) -> None:
    assert rejection_message(sub=name) == f"The token{message}"


@pytest.mark.parametrize(
    ("claim", "passing", "failing", "message"),
    [
        ("exp", SECONDS - 29, SECONDS - 30, "The token has expired (exp)."),
        ("exp", SECONDS - 29.5, SECONDS - 30.5, "The token has expired (exp)."),
        ("exp", SECONDS + 10**9, 0, "The token has expired (exp)."),
        ("nbf", SECONDS + 30, SECONDS + 31, "The token is not valid yet (nbf)."),
        ("nbf", 0, SECONDS + 10**9, "The token is not valid yet (nbf)."),
        ("iat", SECONDS + 30, SECONDS + 31, EARLY),
    ],
)
def test_times_are_checked_with_a_leeway_of_30_seconds(
    claim: str, passing: float, failing: float, message: str
) -> None:
    claims: dict[str, Any] = {claim: failing}

    parse_token(**(claims | {claim: passing}))

    assert rejection_message(**claims) == message


@pytest.mark.parametrize("claim", ["exp", "nbf", "iat"])
@pytest.mark.parametrize(
    "value",
    [None, True, "1", [1], {}, -1, -0.5, SECONDS * 1000, 10**400, 1e300, *NOT_FINITE],
    ids=str,
)
def test_a_claim_that_is_not_a_time_is_rejected(claim: str, value: Any) -> None:
    message = rejection_message(**{claim: value})

    assert message == (
        f"The token's '{claim}' claim must be a number of seconds since 1970-01-01T00:00:00Z."
    )


def test_a_token_that_never_expires_is_rejected() -> None:
    assert (
        rejection_message(exp=ABSENT)
        == "The token has no expiration time: the 'exp' claim is missing."
    )


@pytest.mark.parametrize("value", ["https://id", ABSENT, None, "https://id/", ["https://id"], 7])
def test_the_issuer_is_checked_if_configured(value: Any) -> None:
    parse_token(iss=value)
    if value == "https://id":
        parse_token(TokenRequirements(issuer="https://id"), iss=value)
        return

    message = rejection_message(TokenRequirements(issuer="https://id"), iss=value)

    assert message == (
        "The token's issuer (iss) is not the issuer in TOCSIN_JWT_ISSUER. Request a token from "
        "that issuer."
    )


@pytest.mark.parametrize("value", ["tocsin", ["tocsin"], ["other", "tocsin"]])
def test_the_audience_may_be_one_of_several(value: Any) -> None:
    parse_token(TokenRequirements(audience="tocsin"), aud=value)
    parse_token(aud=value)


@pytest.mark.parametrize(
    "value", [ABSENT, None, "tocsin2", "other tocsin", [], [["tocsin"]], {"tocsin": 1}]
)
def test_another_audience_is_rejected_if_configured(value: Any) -> None:
    message = rejection_message(TokenRequirements(audience="tocsin"), aud=value)

    assert message == (
        "The token's audience (aud) does not include this server. Request a token for the "
        "audience in TOCSIN_JWT_AUDIENCE."
    )


@pytest.mark.parametrize(
    ("token_type", "claims"),
    [
        ("JWT", {"nonce": "a"}),
        (None, {"nonce": "a"}),
        ("jwt", {"at_hash": "a"}),
        ("JWT", {"c_hash": "a"}),
        ("JWT", {"typ": "ID"}),
        ("logout+jwt", {}),
        ("id_token+jwt", {}),
    ],
)
def test_tokens_of_an_identity_provider_other_than_access_tokens_are_rejected(
    token_type: str | None, claims: dict[str, Any]
) -> None:
    with pytest.raises(RequestError) as raised:
        parse_typed_token(token_type, **claims)

    assert raised.value.code is ErrorCode.UNAUTHENTICATED
    assert raised.value.message == (
        "The token is not an access token. Send the access token of the identity provider "
        "(access_token), not its ID token."
    )


@pytest.mark.parametrize(
    ("token_type", "claims"),
    [
        (None, {}),
        ("JWT", {}),
        ("JWT", {"typ": "Bearer", "nonce": "a"}),
        ("at+jwt", {"nonce": "a"}),
        ("application/AT+JWT", {}),
    ],
)
def test_access_tokens_are_accepted_with_and_without_their_type(
    token_type: str | None, claims: dict[str, Any]
) -> None:
    assert parse_typed_token(token_type, **claims).name == "scada"
