"""Authentication by tokens of an identity provider."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from app.domain.access.caller import Permission
from app.store.engine.database import Database
from tests.client import LOG_EVENT, Client
from tests.conftest import Serve
from tests.factories import create_api_key
from tests.identity_provider import Provider, SigningKey, identity_provider, signing_key

VIEWER = "{ viewer { name organization { key } organizations { key } permissions } }"
KEY, OTHER = signing_key("A"), signing_key("B")
ISSUER, AUDIENCE = "https://id.example.org", "tocsin"


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    async with identity_provider(KEY) as provider:
        yield provider


@pytest.fixture
async def server(
    provider: Provider, database_url: str, database: Database, serve: Serve
) -> AsyncIterator[Client]:
    """Administrator of a server that trusts the provider and has the organization acme."""
    await create_api_key(database, organization="acme")
    async with serve(
        database_url,
        jwt_jwks_url=provider.url,
        jwt_issuer=ISSUER,
        jwt_audience=AUDIENCE,
        jwt_leeway_seconds=0,
    ) as client:
        yield client


def sign_token(key: SigningKey = KEY, **overrides: Any) -> str:
    usual = {"iss": ISSUER, "aud": AUDIENCE, "sub": "Büro 1", "organization": "acme"}
    return key.sign(usual | {"exp": time.time() + 600} | overrides)


async def test_a_token_acts_in_its_organization_with_its_permissions(server: Client) -> None:
    reader = server.as_key(sign_token(permissions=["EventRead", "ReadFlows"]))
    writer = server.as_key(sign_token(scope="openid EVENT_READ EVENT_CREATE"))

    viewer = await reader.execute_field(VIEWER)
    event = await writer.log_event(summary="reported with a token")
    error = await reader.expect_error(LOG_EVENT, input={"summary": "not allowed"})

    assert viewer == {
        "name": "Büro 1",
        "organization": {"key": "acme"},
        "organizations": [{"key": "acme"}],
        "permissions": ["EVENT_READ"],
    }
    assert event["source"] == "B%C3%BCro%201"
    assert error["extensions"]["code"] == "FORBIDDEN"
    assert await reader.execute_field("{ events { totalCount } }") == {"totalCount": 1}
    assert await server.execute_field("{ events { totalCount } }") == {"totalCount": 0}


async def test_the_header_selects_among_the_organizations_of_a_token(server: Client) -> None:
    several = sign_token(organization=["acme", "default", "gone"], scope="EventRead")

    default = await server.as_key(several).execute_field(VIEWER)
    acme = await server.as_key(several, data_partition_id="acme").execute_field(VIEWER)
    gone = await server.as_key(several, data_partition_id="gone").post(VIEWER)
    foreign = await server.as_key(sign_token(), slb_data_partition_id="default").post(VIEWER)

    assert default["organization"] == {"key": "default"}
    assert acme["organization"] == {"key": "acme"}
    assert acme["organizations"] == [{"key": "acme"}, {"key": "default"}]
    for refused, key in ((gone, "gone"), (foreign, "default")):
        assert refused.status_code == 403
        [error] = refused.json()["errors"]
        assert error["message"] == (
            f"The access token has no access to the organization '{key}'. Name a different "
            "organization in the header data-partition-id."
        )
        assert error["extensions"] == {"code": "FORBIDDEN"}


async def test_a_token_for_every_organization_acts_in_each_and_creates_organizations(
    server: Client,
) -> None:
    make = 'mutation { createOrganization(key: "new", name: "New") { userErrors { code } } }'
    all_organizations = sign_token(
        organization="*", permissions=[each.value for each in Permission]
    )
    acme_only = sign_token(permissions=[each.value for each in Permission])

    error = await server.as_key(acme_only).expect_error(make)
    payload = await server.as_key(all_organizations).execute_field(make)
    viewer = await server.as_key(all_organizations, data_partition_id="new").execute_field(VIEWER)

    assert error["extensions"]["code"] == "FORBIDDEN"
    assert payload == {"userErrors": []}
    assert viewer["organization"] == {"key": "new"}
    assert viewer["organizations"] == [{"key": "acme"}, {"key": "default"}, {"key": "new"}]


async def test_an_invalid_token_results_in_401_with_the_reason(server: Client) -> None:
    expired = "The token has expired (exp)."
    other_issuer = (
        "The token's audience (aud) does not include this server. Request a token for the "
        "audience in TOCSIN_JWT_AUDIENCE."
    )
    unknown = "The identity provider publishes no key 'B' for ES256, the algorithm of the token."
    refused = {
        sign_token(exp=time.time() - 1): expired,
        sign_token(aud="elsewhere"): other_issuer,
        sign_token(OTHER): unknown,
    }

    for invalid_tokens, message in refused.items():
        answer = await server.as_key(invalid_tokens).post(VIEWER)

        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.json() == {
            "errors": [{"message": message, "extensions": {"code": "UNAUTHENTICATED"}}]
        }


async def test_without_keys_of_the_provider_tokens_result_in_503_and_api_keys_work(
    server: Client, provider: Provider
) -> None:
    await provider.stop()

    answer = await server.as_key(sign_token()).post(VIEWER)

    assert answer.status_code == 503
    assert answer.json()["errors"][0]["extensions"] == {"code": "UNAVAILABLE"}
    assert (await server.execute_field(VIEWER))["name"] == "administrator"


async def test_a_socket_ends_with_its_token(server: Client) -> None:
    short = server.as_key(sign_token(exp=time.time() + 8))

    async with short.socket() as socket:
        assert (await socket.receive())["type"] == "connection_ack"
        code, _ = await socket.receive_close()

    assert code == 4403
