"""The table of permissions: every root field and HTTP endpoint, for each kind of caller."""

from __future__ import annotations

import time
from typing import Any

import httpx
import jwt
import pytest

from app.domain.access.caller import EVENT_TYPE_READ_PERMISSIONS, Permission
from app.graphql.shared.permissions import CREATE_EVENTS, MANAGE_ORGANIZATION, REQUIRED_PERMISSIONS
from app.http.cloudevent_messages import BATCH_MEDIA_TYPE, PATH
from app.services.auth import operator_keys
from app.services.auth.access import Access, authenticate_credential
from app.store.engine.database import Database
from tests.client import Client
from tests.conftest import Serve
from tests.factories import NOON, create_api_key

ID = '"018f0000-0000-7000-8000-000000000000"'


def _event_type_mutation(mutation: str) -> str:
    return f"mutation {{ {mutation} {{ eventType {{ id }} }} }}"


OPERATIONS = {
    "Query.node": f"{{ node(id: {ID}) {{ id }} }}",
    "Query.viewer": "{ viewer { name } }",
    "Query.logHead": "{ logHead }",
    "Query.organization": "{ organization { key } }",
    "Query.event": f"{{ event(id: {ID}) {{ id }} }}",
    "Query.events": "{ events { nodes { id } } }",
    "Query.eventBySource": '{ eventBySource(source: "/a", sourceId: "1") { id } }',
    "Query.eventChanges": "{ eventChanges { nodes { kind } } }",
    "Query.auditEntries": "{ auditEntries { nodes { id } } }",
    "Query.eventCounts": "{ eventCounts(by: [SEVERITY]) { count } }",
    "Query.cloudEvents": "{ cloudEvents { total } }",
    "Mutation.ingestCloudEvents": "mutation { ingestCloudEvents(events: []) { accepted } }",
    "Query.entity": '{ entity(type: "Well", id: "1") { entityId } }',
    "Query.notifications": "{ notifications { nodes { id } } }",
    "Query.eventType": '{ eventType(by: {type: "gauge"}) { id } }',
    "Query.eventTypes": "{ eventTypes { nodes { id } } }",
    "Mutation.logEvent": "mutation { logEvent(input: {}) { duplicate } }",
    "Mutation.logEvents": "mutation { logEvents(input: []) { accepted } }",
    "Mutation.updateEvent": f"mutation {{ updateEvent(input: {{id: {ID}}}) {{ event {{ id }} }} }}",
    "Mutation.acknowledgeEvent": f"mutation {{ acknowledgeEvent(id: {ID}) {{ event {{ id }} }} }}",
    "Mutation.unacknowledgeEvent": (
        f"mutation {{ unacknowledgeEvent(id: {ID}) {{ event {{ id }} }} }}"
    ),
    "Mutation.resolveEvent": f"mutation {{ resolveEvent(id: {ID}) {{ event {{ id }} }} }}",
    "Mutation.reopenEvent": f"mutation {{ reopenEvent(id: {ID}) {{ event {{ id }} }} }}",
    "Query.notificationSummary": "{ notificationSummary { openCount } }",
    "Mutation.markNotificationsRead": (
        'mutation { markNotificationsRead(upTo: "AAAA") { userErrors { code } } }'
    ),
    "Mutation.acknowledgeEvents": "mutation { acknowledgeEvents { acknowledgedCount } }",
    "Mutation.unacknowledgeEvents": (
        "mutation { unacknowledgeEvents(ids: []) { userErrors { code } } }"
    ),
    "Mutation.reopenEvents": "mutation { reopenEvents(ids: []) { userErrors { code } } }",
    "Mutation.resolveEvents": "mutation { resolveEvents(ids: []) { userErrors { code } } }",
    "Mutation.correlateEvents": (
        f"mutation {{ correlateEvents(eventId: {ID}, relatedIds: []) {{ event {{ id }} }} }}"
    ),
    "Mutation.uncorrelateEvents": (
        f"mutation {{ uncorrelateEvents(eventId: {ID}, relatedIds: []) {{ event {{ id }} }} }}"
    ),
    "Mutation.deleteEvent": f"mutation {{ deleteEvent(id: {ID}) {{ event {{ id }} }} }}",
    "Mutation.deleteEvents": (
        "mutation { deleteEvents(filter: {}, expectedCount: -1) { userErrors { code } } }"
    ),
    "Mutation.createEventType": (
        'mutation { createEventType(input: {name: ""}) { userErrors { code } } }'
    ),
    "Query.checkEvent": "{ checkEvent(input: {}) { accepted } }",
    "Query.serverHealth": "{ serverHealth { version } }",
    "Query.checkEventType": '{ checkEventType(definition: {name: ""}) { summary } }',
    "Mutation.replaceEventType": _event_type_mutation(
        f'replaceEventType(input: {{id: {ID}, definition: {{name: ""}}}})'
    ),
    "Mutation.updateEventType": _event_type_mutation(f"updateEventType(input: {{id: {ID}}})"),
    "Mutation.deleteEventType": _event_type_mutation(f"deleteEventType(id: {ID})"),
    "Mutation.transitionEventType": _event_type_mutation(
        f"transitionEventType(id: {ID}, to: DRAFT)"
    ),
    "Mutation.addEventField": _event_type_mutation(
        f'addEventField(eventTypeId: {ID}, field: {{name: "a", kind: TEXT}})'
    ),
    "Mutation.updateEventField": _event_type_mutation(f"updateEventField(input: {{id: {ID}}})"),
    "Mutation.removeEventField": _event_type_mutation(f"removeEventField(id: {ID})"),
    "Mutation.reorderEventFields": _event_type_mutation(
        f"reorderEventFields(eventTypeId: {ID}, fieldIds: [])"
    ),
    "Mutation.addConditionalRule": _event_type_mutation(
        f"addConditionalRule(eventTypeId: {ID}, rule: "
        '{name: "r", effect: SHOW, targets: [], condition: {all: []}})'
    ),
    "Mutation.updateConditionalRule": _event_type_mutation(
        f"updateConditionalRule(input: {{id: {ID}}})"
    ),
    "Mutation.deleteConditionalRule": _event_type_mutation(f"deleteConditionalRule(id: {ID})"),
    "Query.guardRule": f"{{ guardRule(id: {ID}) {{ id eventType {{ id }} }} }}",
    "Query.guardRules": "{ guardRules { nodes { id } } }",
    "Mutation.createGuardRule": (
        'mutation { createGuardRule(input: {name: "", expression: "", message: ""}) '
        "{ userErrors { code } } }"
    ),
    "Mutation.updateGuardRule": (
        f"mutation {{ updateGuardRule(input: {{id: {ID}}}) {{ userErrors {{ code }} }} }}"
    ),
    "Mutation.publishGuardRule": (
        f"mutation {{ publishGuardRule(id: {ID}) {{ userErrors {{ code }} }} }}"
    ),
    "Mutation.retireGuardRule": (
        f"mutation {{ retireGuardRule(id: {ID}) {{ userErrors {{ code }} }} }}"
    ),
    "EventType.guardRules": "{ eventTypes { nodes { guardRules { id } } } }",
    "Query.duplicationRules": "{ duplicationRules { nodes { id eventType { id } } } }",
    "Mutation.createDuplicationRule": (
        'mutation { createDuplicationRule(input: {name: "", fingerprint: [], window: "PT1M", '
        "action: FLAG}) { userErrors { code } } }"
    ),
    "Mutation.updateDuplicationRule": (
        f"mutation {{ updateDuplicationRule(input: {{id: {ID}}}) {{ userErrors {{ code }} }} }}"
    ),
    "Mutation.deleteDuplicationRule": (
        f"mutation {{ deleteDuplicationRule(id: {ID}) {{ userErrors {{ code }} }} }}"
    ),
    "Mutation.resetDuplication": "mutation { resetDuplication { clearedCount } }",
    "EventType.duplicationRules": "{ eventTypes { nodes { duplicationRules { id } } } }",
    "EventType.events": "{ eventTypes { nodes { events { totalCount } } } }",
    "Mutation.logContainerEvent": (
        'mutation { logContainerEvent(containerId: "c", event: {eventType: ACCESS}) { duplicate } }'
    ),
    "Organization.containerEvents": "{ organization { containerEvents { totalCount } } }",
    "Organization.container": '{ organization { container(id: "c") { type } } }',
    "Mutation.createApiKey": (
        'mutation { createApiKey(input: {name: "", permissions: []}) { userErrors { code } } }'
    ),
    "Mutation.revokeApiKey": f"mutation {{ revokeApiKey(id: {ID}) {{ userErrors {{ code }} }} }}",
    "Query.channel": f"{{ channel(id: {ID}) {{ id }} }}",
    "Query.channels": "{ channels { nodes { id } } }",
    "Query.channelProblem": "{ channelProblem(kind: WEBHOOK) }",
    "Query.source": f"{{ source(id: {ID}) {{ id }} }}",
    "Query.sources": "{ sources { nodes { id } } }",
    "Mutation.deleteSource": f"mutation {{ deleteSource(id: {ID}) {{ userErrors {{ code }} }} }}",
    "Mutation.deleteChannel": f"mutation {{ deleteChannel(id: {ID}) {{ userErrors {{ code }} }} }}",
    "Mutation.rotateChannelSecret": (
        f"mutation {{ rotateChannelSecret(id: {ID}) {{ userErrors {{ code }} }} }}"
    ),
    "Mutation.testChannel": f"mutation {{ testChannel(id: {ID}) {{ userErrors {{ code }} }} }}",
    "Mutation.redeliver": f"mutation {{ redeliver(channelId: {ID}) {{ userErrors {{ code }} }} }}",
    "Query.retentionPolicies": "{ retentionPolicies { nodes { id } } }",
    "Mutation.deleteRetentionPolicy": (
        f"mutation {{ deleteRetentionPolicy(id: {ID}) {{ userErrors {{ code }} }} }}"
    ),
    "Mutation.createOrganization": (
        'mutation { createOrganization(key: "", name: "") { userErrors { code } } }'
    ),
    "Mutation.updateOrganization": (
        'mutation { updateOrganization(name: "") { userErrors { code } } }'
    ),
    "Organization.events": "{ organization { events { totalCount } } }",
    "Query.silence": f"{{ silence(id: {ID}) {{ id }} }}",
    "Query.silences": "{ silences { nodes { id } } }",
    "Mutation.createSilence": (
        'mutation { createSilence(input: {filter: {}, endsAt: "2026-01-01T00:00:00Z", '
        'comment: ""}) { userErrors { code } } }'
    ),
    "Mutation.updateSilence": (
        f"mutation {{ updateSilence(input: {{id: {ID}}}) {{ userErrors {{ code }} }} }}"
    ),
    "Mutation.expireSilence": f"mutation {{ expireSilence(id: {ID}) {{ userErrors {{ code }} }} }}",
}
# HTTP endpoints besides GraphQL, and a field that is null without its permission.
KEYS, SEND, SCHEMA = (
    "Organization.apiKeys",
    "POST /cloudevents",
    "GET /event-types/TYPE/schema.json",
)
HTTP_PERMISSIONS = {
    KEYS: MANAGE_ORGANIZATION,
    SEND: CREATE_EVENTS,
    SCHEMA: EVENT_TYPE_READ_PERMISSIONS,
}
EVERYTHING = set(OPERATIONS) | set(HTTP_PERMISSIONS)
GAUGE = 'mutation { createEventType(input: {name: "Gauge"}) { userErrors { code } } }'
SECRET = "a secret of no less than 32 bytes"
# For callers that act in every organization and have the permission.
GLOBAL_ONLY = {"Mutation.createOrganization"}
FOR_EVERY_CREDENTIAL = {"Query.viewer", "Query.logHead"}
# Allowed by EVENT_READ alone, or for sockets: they have tests of their own below.
CHECKED_ELSEWHERE = {
    "DuplicationRule.eventType",
    "GuardRule.eventType",
    "Query.tryGuardRule",
    "Mutation.createRetentionPolicy",
    "Mutation.updateRetentionPolicy",
    "Mutation.createChannel",
    "Mutation.updateChannel",
    "Mutation.createSource",
    "Mutation.updateSource",
    "Mutation.rotateSourceToken",
    "Query.trySource",
    "Delivery.event",
    "Entity.events",
    "EventField.eventType",
    "FieldValue.field",
    "GuardRule.expression",
    "GuardRule.hasUnpublishedChanges",
    "GuardRule.versions",
    "Event.duplicateOf",
    "Event.silencedBy",
    "Event.correlations",
    "Event.eventType",
    "Event.history",
    "Subscription.notificationAdded",
    "Subscription.notificationSummaryChanged",
    "Subscription.eventChanged",
}


def test_every_row_of_the_table_is_tested() -> None:
    assert set(OPERATIONS) | CHECKED_ELSEWHERE == set(REQUIRED_PERMISSIONS)


@pytest.mark.parametrize("permission", Permission)
async def test_a_permission_allows_exactly_the_operations_of_the_table(
    client: Client, shared_database: Database, permission: Permission
) -> None:
    await client.execute_field(GAUGE)
    holder = client.as_key(await _create_key(client, shared_database, permission))

    allowed_operations = await _allowed_operations(holder)

    assert allowed_operations == _operations_allowed_by(permission)


@pytest.mark.parametrize("every_organization", [False, True])
async def test_an_administrator_has_all_permissions_in_its_organizations(
    client: Client, shared_database: Database, every_organization: bool
) -> None:
    await client.execute_field(GAUGE)
    key = await _create_key(
        client, shared_database, *Permission, every_organization=every_organization
    )

    allowed_operations = await _allowed_operations(
        client.as_key(key, data_partition_id=client.headers["data-partition-id"])
    )

    assert allowed_operations == EVERYTHING - (set() if every_organization else GLOBAL_ONLY)


async def test_a_token_allows_exactly_the_operations_of_its_claims(
    serve: Serve, database_url: str, database: Database
) -> None:
    await create_api_key(database, organization="acme")
    everything = [each.value for each in Permission]
    kinds: list[tuple[dict[str, Any], set[str]]] = [
        ({"organization": "default", "permissions": everything}, EVERYTHING - GLOBAL_ONLY),
        (
            {"organization": ["acme", "default"], "permissions": everything},
            EVERYTHING - GLOBAL_ONLY,
        ),
        ({"organization": "*", "permissions": everything}, EVERYTHING),
        (
            {"organization": "*", "scope": "EventRead"},
            _operations_allowed_by(Permission.EVENT_READ),
        ),
        ({"organization": "*"}, FOR_EVERY_CREDENTIAL),
    ]

    async with serve(database_url, jwt_secret=SECRET) as client:
        await client.execute_field(GAUGE)
        for claims, expected in kinds:
            token_claims = {"sub": "desk", "exp": time.time() + 600} | claims
            token = jwt.encode(token_claims, SECRET, "HS256")

            assert await _allowed_operations(client.as_key(token)) == expected, claims


async def test_an_invalid_credential_allows_nothing(
    serve: Serve, database_url: str, database: Database
) -> None:
    expired = await create_api_key(database, *Permission, expires_at=NOON)
    revoked = await create_api_key(database, *Permission)
    revoked_caller = await authenticate_credential(Access(database), f"Bearer {revoked}")
    assert revoked_caller.credential_id is not None
    await operator_keys.revoke(database, revoked_caller.credential_id, NOON)
    bad = {
        None: "Missing credential: send the header Authorization: Bearer KEY.",
        "wrong": "Invalid API key. Check that the key is complete and that it was created on this "
        "server.",
        expired: "The API key has expired.",
        revoked: "The API key was revoked.",
    }

    async with serve(database_url, failed_auth={"free_attempts": 10_000}) as client:
        for key, message in bad.items():
            caller = client.as_key(key)
            for operation_name, operation in OPERATIONS.items():
                answer = await caller.post(operation)

                assert answer.status_code == 401, operation_name
                assert answer.json() == {
                    "errors": [{"message": message, "extensions": {"code": "UNAUTHENTICATED"}}]
                }
            for operation_name, answer in {
                SEND: await _send_cloud_events(caller),
                SCHEMA: await _fetch_json_schema(caller),
            }.items():
                assert answer.status_code == 401, operation_name
                [error] = answer.json()["errors"]
                assert error["message"] == message, operation_name


async def test_definitions_are_not_readable_through_other_fields(
    client: Client, shared_database: Database
) -> None:
    await client.execute_field(
        """mutation { createEventType(input: {name: "Gauge", state: PUBLISHED,
             fields: [{name: "a", kind: NUMBER}]}) { userErrors { code } } }"""
    )
    event = await client.log_event(type="general.gauge", fields={"a": 1})
    updater = client.as_key(await _create_key(client, shared_database, Permission.EVENT_UPDATE))

    answer = await updater.execute(
        """mutation ($id: ID!) { updateEvent(input: {id: $id}) { event {
             fieldValues { name field { eventType { id } } } } } }""",
        id=event["id"],
    )

    [value] = answer["data"]["updateEvent"]["event"]["fieldValues"]
    assert value == {"name": "a", "field": None}
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["FORBIDDEN"]


@pytest.mark.parametrize(
    "field", ["notificationAdded", "eventChanged", "notificationSummaryChanged"]
)
async def test_without_the_permission_a_subscription_ends_with_forbidden(
    client: Client, shared_database: Database, field: str
) -> None:
    reporter = client.as_key(await _create_key(client, shared_database, Permission.EVENT_CREATE))

    async with reporter.subscription(f"subscription {{ {field} {{ cursor }} }}") as subscription:
        error = await subscription.receive_error()

    assert error["extensions"]["code"] == "FORBIDDEN"
    assert "EVENT_READ" in error["message"]


@pytest.mark.parametrize(
    ("permissions", "allowed"),
    [
        ({Permission.RULE_MANAGE}, False),
        ({Permission.EVENT_READ}, False),
        ({Permission.RULE_MANAGE, Permission.EVENT_READ}, True),
    ],
)
async def test_trying_a_rule_requires_two_permissions(
    client: Client, shared_database: Database, permissions: set[Permission], allowed: bool
) -> None:
    author = client.as_key(await _create_key(client, shared_database, *permissions))

    answer = await author.execute('{ tryGuardRule(expression: "true") { checked } }')

    codes = [error["extensions"]["code"] for error in answer.get("errors", ())]
    assert codes == ([] if allowed else ["FORBIDDEN"])


async def test_the_error_names_the_required_permission(
    client: Client, shared_database: Database
) -> None:
    reader = client.as_key(await _create_key(client, shared_database, Permission.EVENT_READ))

    error = await reader.expect_error(OPERATIONS["Mutation.deleteEvent"])

    assert error["message"] == "Mutation.deleteEvent requires the permission EVENT_DELETE."


async def _create_key(
    client: Client, shared_database: Database, *permissions: Permission, **more: Any
) -> str:
    """Creates an API key of the client's organization."""
    organization = client.headers["data-partition-id"]
    return await create_api_key(shared_database, *permissions, organization=organization, **more)


async def _allowed_operations(caller: Client) -> set[str]:
    """Returns the operations that are not forbidden."""
    allowed_operations = set()
    for operation_name, operation in OPERATIONS.items():
        answer = await caller.execute(operation)
        codes = {error["extensions"]["code"] for error in answer.get("errors", ())}
        # The cursor of an operation is checked after the permission.
        assert codes <= {"FORBIDDEN", "INVALID_CURSOR"}, (operation_name, answer)
        if "FORBIDDEN" not in codes:
            allowed_operations.add(operation_name)
    organization = (await caller.execute("{ organization { apiKeys { id } } }"))["data"][
        "organization"
    ]
    if organization is not None and organization["apiKeys"] is not None:
        allowed_operations.add(KEYS)
    for operation_name, answered in {
        SEND: await _send_cloud_events(caller),
        SCHEMA: await _fetch_json_schema(caller),
    }.items():
        assert answered.status_code in (200, 202, 403), (operation_name, answered.text)
        if answered.status_code != 403:
            allowed_operations.add(operation_name)
    return allowed_operations


async def _send_cloud_events(caller: Client) -> httpx.Response:
    return await caller.http.post(PATH, content=b"[]", headers={"content-type": BATCH_MEDIA_TYPE})


async def _fetch_json_schema(caller: Client) -> httpx.Response:
    return await caller.http.get("/event-types/general.gauge/schema.json")


def _operations_allowed_by(permission: Permission) -> set[str]:
    return {
        operation_name
        for operation_name in EVERYTHING - GLOBAL_ONLY
        if operation_name in FOR_EVERY_CREDENTIAL
        or permission in _required_permissions(operation_name)
    }


def _required_permissions(operation_name: str) -> frozenset[Permission]:
    """Returns the permissions for the whole operation, including the path to a field below the
    roots.
    """
    root_fields = {
        "EventType.events": "Query.eventTypes",
        "EventType.duplicationRules": "Query.eventTypes",
        "EventType.guardRules": "Query.eventTypes",
        "Organization.container": "Query.organization",
        "Organization.containerEvents": "Query.organization",
        "Organization.events": "Query.organization",
    }
    if operation_name in HTTP_PERMISSIONS:
        return HTTP_PERMISSIONS[operation_name]
    return (
        REQUIRED_PERMISSIONS[operation_name]
        & REQUIRED_PERMISSIONS[root_fields.get(operation_name, operation_name)]
    )
