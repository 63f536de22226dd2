"""Organizations are isolated from each other in every API and with every permission.

Two organizations have the same data. A caller with every permission in one of them uses all values
that are unique to the other: the responses are the same as for values that do not exist.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from string import Template
from typing import Any
from uuid import uuid4

import pytest
from graphql import build_schema as parse

from app.domain.access.caller import Permission
from app.graphql.schema import build_schema
from app.http.cloudevent_messages import BATCH_MEDIA_TYPE, EVENT_MEDIA_TYPE, PATH
from app.store.engine.database import Database
from tests.client import Client
from tests.factories import create_api_key

NULL, ANSWERED = "null", "answered"
NOT_FOUND, INVALID_CURSOR, FORBIDDEN = "NOT_FOUND", "INVALID_CURSOR", "FORBIDDEN"
ERRORS = "userErrors { code message path }"


@pytest.fixture
def client(own_client: Client) -> Client:
    return own_client


def build_mutation(mutation: str, selection: str = "") -> str:
    return f"mutation {{ {mutation} {{ {selection} {ERRORS} }} }}"


def event_mutation(mutation: str) -> str:
    return build_mutation(mutation, "event { id summary }")


def event_type_mutation(mutation: str) -> str:
    return build_mutation(mutation, "eventType { id name }")


DRAFT = 'source: "/a", summary: "new"'
RULE = 'name: "r", fingerprint: ["type"], window: "PT1M", action: COUNT'
GUARD = 'name: "g", expression: "true", message: "m"'
SHOW_RULE = (
    '{name: "s", effect: SHOW, targets: ["b"], condition: {field: {field: "a", operator: EXISTS}}}'
)

# Each root field with operations that name values of the other organization, and the expected
# result. `$name` is a value of the other organization, `$own_name` one of the caller's.
STRANGER_OPERATIONS: dict[str, list[tuple[str, str]]] = {
    "Query.node": [
        (f'{{ node(id: "${name}") {{ __typename id }} }}', NULL)
        for name in (
            "event",
            "silence",
            "event_type",
            "field",
            "conditional_rule",
            "guard_rule",
            "duplication_rule",
            "channel",
            "delivery",
            "event_source",
            "api_key",
            "retention_policy",
            "audit_entry",
            "organization",
        )
    ],
    "Query.viewer": [
        ("{ viewer { organization { key } organizations { id key apiKeys { id } } } }", ANSWERED)
    ],
    "Query.logHead": [],  # a position: it counts over all organizations and identifies none
    "Query.organization": [
        ('{ organization(key: "$organization_key") { id } }', NULL),
        (
            """{ organization { id apiKeys { id name } events { totalCount }
                 containerEvents(containerId: "$entity") { totalCount }
                 container(id: "$entity") { events { totalCount } } } }""",
            ANSWERED,
        ),
        ('{ organization { events(after: "$cursor") { totalCount } } }', INVALID_CURSOR),
        (
            '{ organization { containerEvents(before: "$cursor") { totalCount } } }',
            INVALID_CURSOR,
        ),
    ],
    "Query.event": [('{ event(id: "$event") { id } }', NULL)],
    "Query.eventBySource": [
        ('{ eventBySource(source: "/a", sourceId: "$source_id") { id } }', NULL)
    ],
    "Query.events": [
        *(
            (f"{{ events(filter: {{ {filter} }}) {{ totalCount nodes {{ id }} }} }}", ANSWERED)
            for filter in (
                'ids: ["$event"]',
                'not: {ids: ["$event"]}',
                'eventTypeId: "$event_type"',
                'sourceIds: ["$source_id"]',
                'entityId: "$entity"',
                'types: ["$type"]',
                'silencedBy: "$silence"',
            )
        ),
        ('{ events(first: 1, after: "$cursor") { totalCount } }', INVALID_CURSOR),
        ('{ events(last: 1, before: "$cursor") { totalCount } }', INVALID_CURSOR),
        (
            """{ events { totalCount nodes { id duplicateOf { id } silencedBy { id }
                 eventType { id } occurrences history { nodes { cursor eventId } }
                 correlations { nodes { event { id } } } } } }""",
            ANSWERED,
        ),
    ],
    "Query.cloudEvents": [
        ('{ cloudEvents(type: "$type") { total events } }', ANSWERED),
        ("{ cloudEvents(pageSize: 500) { total events } }", ANSWERED),
    ],
    "Query.eventCounts": [
        ("{ eventCounts(by: [TYPE, ENTITY, SOURCE]) { type source count } }", ANSWERED),
        ('{ eventCounts(by: [TYPE], filter: {ids: ["$event"]}) { count } }', ANSWERED),
        ('{ eventCounts(byFields: ["b"], sum: ["a"]) { fields sums count } }', ANSWERED),
    ],
    "Query.eventChanges": [
        ('{ eventChanges(eventId: "$event") { nodes { cursor kind } } }', ANSWERED),
        ('{ eventChanges(after: "$change") { nodes { eventId } } }', INVALID_CURSOR),
        ("{ eventChanges(first: 100) { nodes { eventId cursor } } }", ANSWERED),
    ],
    "Query.auditEntries": [
        ('{ auditEntries(filter: {subjectId: "$guard_rule"}) { nodes { id } } }', ANSWERED),
        ('{ auditEntries(after: "$audit") { nodes { id } } }', INVALID_CURSOR),
        ("{ auditEntries(first: 100) { nodes { subjectId } edges { cursor } } }", ANSWERED),
    ],
    "Query.retentionPolicies": [
        ('{ retentionPolicies(after: "$policies") { nodes { id } } }', INVALID_CURSOR),
        ("{ retentionPolicies { totalCount nodes { id name filter } } }", ANSWERED),
    ],
    "Query.channel": [('{ channel(id: "$channel") { id name url } }', NULL)],
    "Query.channels": [
        ('{ channels(after: "$channels") { nodes { id } } }', INVALID_CURSOR),
        (
            '{ channels { nodes { deliveries(after: "$deliveries") { nodes { id } } } } }',
            INVALID_CURSOR,
        ),
        ("{ channels { totalCount nodes { id name url deliveries { nodes { id } } } } }", ANSWERED),
    ],
    "Query.channelProblem": [("{ channelProblem(kind: WEBHOOK) }", NULL)],
    "Query.source": [('{ source(id: "$event_source") { id name rejected { body } } }', NULL)],
    "Query.sources": [
        ('{ sources(after: "$sources") { nodes { id } } }', INVALID_CURSOR),
        ("{ sources { totalCount nodes { id name mapping { summary } } } }", ANSWERED),
        ("{ sources { nodes { id rejected { at error body } } } }", ANSWERED),
    ],
    "Query.trySource": [],  # its arguments contain everything that it reads
    "Query.notifications": [
        ('{ notifications(after: "$bell") { nodes { id } } }', INVALID_CURSOR),
        ("{ notifications { totalCount unacknowledgedCount edges { cursor } } }", ANSWERED),
    ],
    "Query.notificationSummary": [
        ("{ notificationSummary { openCount unreadCount bySeverity { count } } }", ANSWERED),
        ('{ notificationSummary(filter: {ids: ["$event"]}) { openCount } }', ANSWERED),
    ],
    "Query.entity": [
        ('{ entity(type: "Well", id: "$entity") { events { totalCount } } }', ANSWERED)
    ],
    "Query.eventType": [
        ('{ eventType(by: {id: "$event_type"}) { id } }', NULL),
        ('{ eventType(by: {type: "$type"}) { id } }', NULL),
    ],
    "Query.eventTypes": [
        ('{ eventTypes(after: "$types") { nodes { id } } }', INVALID_CURSOR),
        ("{ eventTypes { totalCount nodes { id events { totalCount } } } }", ANSWERED),
        ("{ eventTypes { nodes { versions { nodes { createdBy definition } } } } }", ANSWERED),
        (
            '{ eventTypes { nodes { versions(after: "$type_versions") { totalCount } } } }',
            INVALID_CURSOR,
        ),
    ],
    "Query.guardRule": [('{ guardRule(id: "$guard_rule") { id } }', NULL)],
    "Query.guardRules": [
        ('{ guardRules(eventTypeId: "$event_type") { totalCount nodes { id } } }', ANSWERED),
        ('{ guardRules(after: "$guards") { nodes { id } } }', INVALID_CURSOR),
    ],
    "Query.duplicationRules": [
        ('{ duplicationRules(eventTypeId: "$event_type") { totalCount nodes { id } } }', ANSWERED),
        ('{ duplicationRules(after: "$duplications") { nodes { id } } }', INVALID_CURSOR),
        ("{ duplicationRules { totalCount nodes { id matchCount } } }", ANSWERED),
    ],
    "Query.checkEvent": [
        (
            f'{{ checkEvent(input: {{eventTypeId: "$event_type", {DRAFT}}}) '
            f"{{ accepted {ERRORS} }} }}",
            NOT_FOUND,
        ),
        (
            f'{{ checkEvent(input: {{sourceId: "$source_id", {DRAFT}}}) '
            f"{{ accepted duplicateOf {{ id }} {ERRORS} }} }}",
            ANSWERED,
        ),
    ],
    "Query.serverHealth": [("{ serverHealth { problems } }", ANSWERED)],
    "Query.checkEventType": [
        (
            '{ checkEventType(id: "$event_type", definition: {name: "mine"}) '
            f"{{ summary {ERRORS} }} }}",
            NOT_FOUND,
        ),
        ('{ checkEventType(definition: {name: "n", type: "$type"}) { summary } }', ANSWERED),
    ],
    "Query.tryGuardRule": [
        (
            '{ tryGuardRule(expression: "false", eventTypeId: "$event_type") '
            f"{{ checked rejected {ERRORS} }} }}",
            NOT_FOUND,
        )
    ],
    "Mutation.logEvent": [
        (
            build_mutation(
                f'logEvent(input: {{eventTypeId: "$event_type", {DRAFT}}})', "duplicate"
            ),
            NOT_FOUND,
        )
    ],
    "Mutation.logEvents": [
        (
            f'mutation {{ logEvents(input: [{{eventTypeId: "$event_type", {DRAFT}}}]) '
            f"{{ accepted rejected results {{ {ERRORS} }} }} }}",
            ANSWERED,
        )
    ],
    # A replay would be detected before its time is rejected.
    "Mutation.ingestCloudEvents": [
        (
            'mutation { ingestCloudEvents(events: [{specversion: "1.0", id: "$source_id", '
            'source: "/a", type: "$type", time: "2999-01-01T00:00:00Z"}]) '
            f"{{ accepted duplicates rejected results {{ duplicate {ERRORS} }} }} }}",
            ANSWERED,
        )
    ],
    # No argument names data of another organization: a report creates an own event.
    "Mutation.logContainerEvent": [],
    "Mutation.updateEvent": [
        (event_mutation('updateEvent(input: {id: "$event", summary: "mine"})'), NOT_FOUND)
    ],
    "Mutation.deleteEvent": [(event_mutation('deleteEvent(id: "$event")'), NOT_FOUND)],
    "Mutation.acknowledgeEvent": [(event_mutation('acknowledgeEvent(id: "$event")'), NOT_FOUND)],
    "Mutation.unacknowledgeEvent": [
        (event_mutation('unacknowledgeEvent(id: "$event")'), NOT_FOUND)
    ],
    "Mutation.resolveEvent": [(event_mutation('resolveEvent(id: "$event")'), NOT_FOUND)],
    "Mutation.reopenEvent": [(event_mutation('reopenEvent(id: "$event")'), NOT_FOUND)],
    "Mutation.markNotificationsRead": [
        (
            build_mutation(f'markNotificationsRead(upTo: "{cursor}")', "summary { openCount }"),
            INVALID_CURSOR,
        )
        for cursor in ("$bell", "$log_head")
    ],
    "Mutation.acknowledgeEvents": [
        (build_mutation('acknowledgeEvents(upTo: "$bell")', "acknowledgedCount"), INVALID_CURSOR),
        (
            build_mutation('acknowledgeEvents(upTo: "$log_head")', "acknowledgedCount"),
            INVALID_CURSOR,
        ),
        (
            build_mutation('acknowledgeEvents(filter: {types: ["$type"]})', "acknowledgedCount"),
            ANSWERED,
        ),
        (build_mutation('acknowledgeEvents(ids: ["$event"])', "acknowledgedCount"), NOT_FOUND),
    ],
    "Mutation.unacknowledgeEvents": [
        (build_mutation('unacknowledgeEvents(ids: ["$event"])', "changedCount"), NOT_FOUND),
        (
            build_mutation('unacknowledgeEvents(filter: {types: ["$type"]})', "changedCount"),
            ANSWERED,
        ),
    ],
    "Mutation.reopenEvents": [
        (build_mutation('reopenEvents(ids: ["$event"])', "changedCount"), NOT_FOUND),
        (build_mutation('reopenEvents(filter: {types: ["$type"]})', "changedCount"), ANSWERED),
    ],
    "Mutation.resolveEvents": [
        (build_mutation('resolveEvents(ids: ["$event"])', "changedCount"), NOT_FOUND),
        (
            build_mutation('resolveEvents(filter: {types: ["$type"]})', "changedCount"),
            ANSWERED,
        ),
    ],
    "Mutation.deleteEvents": [
        (
            build_mutation(
                'deleteEvents(filter: {types: ["$type"]}, expectedCount: 0)', "changedCount"
            ),
            ANSWERED,
        ),
    ],
    "Mutation.correlateEvents": [
        (
            event_mutation(
                f'{verb}(eventId: "{one}", relatedIds: ["{other}"], relation: {relation})'
            ),
            NOT_FOUND,
        )
        for verb in ("correlateEvents",)
        for one, other in (("$own_event", "$event"), ("$event", "$own_event"))
        for relation in ("RELATED", "CAUSED_BY")
    ],
    "Mutation.uncorrelateEvents": [
        (
            event_mutation('uncorrelateEvents(eventId: "$event", relatedIds: ["$own_event"])'),
            NOT_FOUND,
        ),
        (
            event_mutation('uncorrelateEvents(eventId: "$own_event", relatedIds: ["$event"])'),
            NOT_FOUND,
        ),
    ],
    "Mutation.createEventType": [],  # names are unique per organization: see the test below
    "Mutation.updateEventType": [
        (
            event_type_mutation('updateEventType(input: {id: "$event_type", name: "mine"})'),
            NOT_FOUND,
        )
    ],
    "Mutation.replaceEventType": [
        (
            event_type_mutation(
                'replaceEventType(input: {id: "$event_type", definition: {name: "mine"}})'
            ),
            NOT_FOUND,
        )
    ],
    "Mutation.deleteEventType": [
        (event_type_mutation('deleteEventType(id: "$event_type")'), NOT_FOUND)
    ],
    "Mutation.transitionEventType": [
        (event_type_mutation('transitionEventType(id: "$event_type", to: ARCHIVED)'), NOT_FOUND)
    ],
    "Mutation.addEventField": [
        (
            event_type_mutation(
                'addEventField(eventTypeId: "$event_type", field: {name: "c", kind: TEXT})'
            ),
            NOT_FOUND,
        )
    ],
    "Mutation.updateEventField": [
        (event_type_mutation('updateEventField(input: {id: "$field", label: "mine"})'), NOT_FOUND)
    ],
    "Mutation.removeEventField": [
        (event_type_mutation('removeEventField(id: "$field")'), NOT_FOUND)
    ],
    "Mutation.reorderEventFields": [
        (
            event_type_mutation(
                'reorderEventFields(eventTypeId: "$event_type", fieldIds: ["$field"])'
            ),
            NOT_FOUND,
        ),
        (
            event_type_mutation(
                'reorderEventFields(eventTypeId: "$own_event_type", fieldIds: ["$field"])'
            ),
            "INVALID_INPUT",
        ),
    ],
    "Mutation.addConditionalRule": [
        (
            event_type_mutation(
                f'addConditionalRule(eventTypeId: "$event_type", rule: {SHOW_RULE})'
            ),
            NOT_FOUND,
        )
    ],
    "Mutation.updateConditionalRule": [
        (
            event_type_mutation(
                'updateConditionalRule(input: {id: "$conditional_rule", enabled: false})'
            ),
            NOT_FOUND,
        )
    ],
    "Mutation.deleteConditionalRule": [
        (event_type_mutation('deleteConditionalRule(id: "$conditional_rule")'), NOT_FOUND)
    ],
    "Mutation.createGuardRule": [
        (
            build_mutation(
                f'createGuardRule(input: {{eventTypeId: "$event_type", {GUARD}}})',
                "guardRule { id }",
            ),
            NOT_FOUND,
        )
    ],
    "Mutation.updateGuardRule": [
        (
            build_mutation(
                'updateGuardRule(input: {id: "$guard_rule", name: "mine"})', "guardRule { id }"
            ),
            NOT_FOUND,
        )
    ],
    "Mutation.publishGuardRule": [
        (build_mutation('publishGuardRule(id: "$guard_rule")', "guardRule { id }"), NOT_FOUND)
    ],
    "Mutation.retireGuardRule": [
        (build_mutation('retireGuardRule(id: "$guard_rule")', "guardRule { id }"), NOT_FOUND)
    ],
    "Mutation.createDuplicationRule": [
        (
            build_mutation(
                f'createDuplicationRule(input: {{eventTypeId: "$event_type", {RULE}}})',
                "duplicationRule { id }",
            ),
            NOT_FOUND,
        )
    ],
    "Mutation.updateDuplicationRule": [
        (
            build_mutation(
                'updateDuplicationRule(input: {id: "$duplication_rule", enabled: false})',
                "duplicationRule { id }",
            ),
            NOT_FOUND,
        )
    ],
    "Mutation.deleteDuplicationRule": [
        (
            build_mutation(
                'deleteDuplicationRule(id: "$duplication_rule")', "duplicationRule { id }"
            ),
            NOT_FOUND,
        )
    ],
    "Mutation.resetDuplication": [
        (build_mutation('resetDuplication(ruleId: "$duplication_rule")', "clearedCount"), NOT_FOUND)
    ],
    "Mutation.createOrganization": [
        (
            build_mutation(
                'createOrganization(key: "$organization_key", name: "n")', "organization { id }"
            ),
            FORBIDDEN,
        )
    ],
    "Mutation.updateOrganization": [],  # the organization of the request
    "Query.silence": [('{ silence(id: "$silence") { id } }', NULL)],
    "Query.silences": [
        ('{ silences(after: "$silences") { nodes { id } } }', INVALID_CURSOR),
        ("{ silences { totalCount nodes { id filter comment silencedCount } } }", ANSWERED),
    ],
    "Mutation.createSilence": [],  # its filter selects events of the organization only
    "Mutation.updateSilence": [
        (
            build_mutation(
                'updateSilence(input: {id: "$silence", comment: "c"})', "silence { id }"
            ),
            NOT_FOUND,
        )
    ],
    "Mutation.expireSilence": [
        (build_mutation('expireSilence(id: "$silence")', "silence { id }"), NOT_FOUND)
    ],
    "Mutation.createRetentionPolicy": [],  # its filter selects events of the organization only
    "Mutation.updateRetentionPolicy": [
        (
            build_mutation(
                'updateRetentionPolicy(input: {id: "$retention_policy", name: "p"})',
                "retentionPolicy { id }",
            ),
            NOT_FOUND,
        )
    ],
    "Mutation.deleteRetentionPolicy": [
        (
            build_mutation(
                'deleteRetentionPolicy(id: "$retention_policy")', "retentionPolicy { id }"
            ),
            NOT_FOUND,
        )
    ],
    "Mutation.createChannel": [],  # its filter selects events of the organization only
    "Mutation.updateChannel": [
        (
            build_mutation('updateChannel(input: {id: "$channel", name: "c"})', "channel { id }"),
            NOT_FOUND,
        )
    ],
    **{
        f"Mutation.{name}": [(build_mutation(f'{name}(id: "$channel")', selection), NOT_FOUND)]
        for name, selection in (
            ("deleteChannel", "channel { id }"),
            ("rotateChannelSecret", "channel { id } secret"),
            ("testChannel", "delivery { id }"),
        )
    },
    "Mutation.createSource": [],  # no argument names data of another organization
    "Mutation.updateSource": [
        (
            build_mutation(
                'updateSource(input: {id: "$event_source", name: "s"})', "source { id }"
            ),
            NOT_FOUND,
        )
    ],
    **{
        f"Mutation.{name}": [(build_mutation(f'{name}(id: "$event_source")', selection), NOT_FOUND)]
        for name, selection in (
            ("deleteSource", "source { id }"),
            ("rotateSourceToken", "source { id } token url"),
        )
    },
    "Mutation.redeliver": [
        (build_mutation(f"redeliver({arguments})", "queuedCount"), expected)
        for arguments, expected in (
            ('channelId: "$channel", deliveryId: "$delivery"', NOT_FOUND),
            ('channelId: "$channel", after: "$log_head"', NOT_FOUND),
            ('channelId: "$own_enabled_channel", deliveryId: "$delivery"', NOT_FOUND),
            ('channelId: "$own_enabled_channel", after: "$log_head"', INVALID_CURSOR),
        )
    ],
    "Mutation.createApiKey": [],  # no argument names data of another organization
    "Mutation.revokeApiKey": [
        (build_mutation('revokeApiKey(id: "$api_key")', "apiKey { id }"), NOT_FOUND)
    ],
    "Subscription.notificationAdded": [
        (f'subscription {{ notificationAdded(after: "{after}") {{ cursor }} }}', INVALID_CURSOR)
        for after in ("$bell", "$log_head")
    ],
    "Subscription.notificationSummaryChanged": [
        ("subscription { notificationSummaryChanged { openCount unreadCount } }", ANSWERED),
    ],
    "Subscription.eventChanged": [
        (f'subscription {{ eventChanged(after: "{after}") {{ cursor }} }}', INVALID_CURSOR)
        for after in ("$change", "$log_head")
    ],
}

# The HTTP endpoints besides GraphQL, tried in the same way: method, path, headers, body and
# expected status.
SCHEMA, JSON_EVENT = "/event-types/$type/schema.json", {"content-type": EVENT_MEDIA_TYPE}
SENT = (
    '{"specversion": "1.0", "id": "$source_id", "source": "/a", "type": "$type", '
    '"time": "2999-01-01T00:00:00Z"}'
)
OTHER_ORGANIZATION = {"data-partition-id": "$organization_key"}
HTTP_REQUESTS: list[tuple[str, str, dict[str, str], str, int]] = [
    ("GET", SCHEMA, {}, "", 404),
    ("GET", SCHEMA, OTHER_ORGANIZATION, "", 403),
    ("POST", PATH, JSON_EVENT, SENT, 400),
    ("POST", PATH, JSON_EVENT | OTHER_ORGANIZATION, SENT, 403),
    ("POST", PATH, {"content-type": BATCH_MEDIA_TYPE}, f"[{SENT}]", 207),
]

TYPE = """mutation { createEventType(input: {name: "Gauge", type: "gauge", state: PUBLISHED,
  fields: [{name: "a", kind: NUMBER}, {name: "b", kind: TEXT}],
  conditionalRules: [{name: "s", effect: SHOW, targets: ["b"],
    condition: {field: {field: "a", operator: EXISTS}}}]}) {
  eventType { id fields { id } conditionalRules { id } } } }"""
GUARD_RULE = """mutation ($type: ID!) { createGuardRule(input: {name: "g", eventTypeId: $type,
  expression: "event.fields.a > 0", message: "m"}) { guardRule { id } } }"""
DUPLICATION_RULE = """mutation ($type: ID!) { createDuplicationRule(input: {name: "d",
  eventTypeId: $type, fingerprint: ["fields.a"], window: "PT1M", action: FLAG})
  { duplicationRule { id } } }"""
KEY = """mutation { createApiKey(input: {name: "k", permissions: [EVENT_READ]}) {
  apiKey { id } } }"""
TYPE_VERSIONS = """query ($id: ID!) {
  eventType(by: {id: $id}) { versions { pageInfo { endCursor } } } }"""
POLICY = """mutation { createRetentionPolicy(input: {name: "p", keepFor: "P1D",
  filter: {types: ["none"]}}) { retentionPolicy { id } } }"""
# Nothing listens at its address, and a disabled channel does not change by itself.
CHANNEL = """mutation ($enabled: Boolean) { createChannel(input: {name: "c", kind: WEBHOOK,
  url: "http://127.0.0.1:65535/", enabled: $enabled, filter: {types: ["none"]}}) {
  channel { id } } }"""
TEST = "mutation ($id: ID!) { testChannel(id: $id) { delivery { id } } }"
SOURCE = """mutation { createSource(input: {name: "s", kind: JSON,
  mapping: {summary: "body.s"}}) { source { id } url } }"""
DELIVERIES = """query ($id: ID!) {
  channel(id: $id) { deliveries { pageInfo { endCursor } } } }"""
SILENCE = """mutation { createSilence(input: {filter: {types: ["silenced"]}, comment: "c",
  endsAt: "%s"}) { silence { id } } }"""
AUDIT_ENTRY = "{ auditEntries(first: 1) { nodes { id } } }"
CURSORS = {
    "cursor": "{ events(first: 1) { pageInfo { endCursor } } }",
    "types": "{ eventTypes(first: 1) { pageInfo { endCursor } } }",
    "guards": "{ guardRules(first: 1) { pageInfo { endCursor } } }",
    "duplications": "{ duplicationRules(first: 1) { pageInfo { endCursor } } }",
    "policies": "{ retentionPolicies(first: 1) { pageInfo { endCursor } } }",
    "channels": "{ channels(first: 1) { pageInfo { endCursor } } }",
    "sources": "{ sources(first: 1) { pageInfo { endCursor } } }",
    "silences": "{ silences(first: 1) { pageInfo { endCursor } } }",
    "bell": "{ notifications(first: 1) { pageInfo { endCursor } } }",
    "change": "{ eventChanges(first: 1) { pageInfo { endCursor } } }",
    "audit": "{ auditEntries(first: 1) { pageInfo { endCursor } } }",
}
# All data of an organization, except the last use of its keys.
STATE_QUERIES = (
    """{ events(first: 20) { totalCount nodes { id type summary version updatedAt fields tags
         acknowledgedAt occurrences duplicateOf { id } history(first: 50) { nodes { cursor } }
         correlations { nodes { relation event { id } } } } } }""",
    """{ eventTypes(first: 50) { totalCount nodes { id type name state version updatedAt
         fields { id name label } conditionalRules { id enabled } jsonSchema
         versions(first: 2) { nodes { number createdBy summary } }
         guardRules { id name state versions { number } }
         duplicationRules { id name enabled matchCount resetAt } } } }""",
    "{ eventChanges(first: 100) { nodes { cursor kind eventId actor } } }",
    "{ auditEntries(first: 100) { nodes { id action subjectId actor changes } } }",
    "{ retentionPolicies { nodes { id name filter keepFor updatedAt } } }",
    "{ channels { nodes { id name url updatedAt deliveries { nodes { id state } } } } }",
    "{ sources { nodes { id name kind enabled updatedAt rejected { error body } } } }",
    "{ silences { nodes { id filter endsAt comment silencedCount } } }",
    "{ notifications { totalCount unacknowledgedCount nodes { id } } }",
    "{ eventCounts(by: [SEVERITY, TYPE, SOURCE, ACKNOWLEDGED]) { type source count } }",
    '{ eventCounts(byFields: ["b"], sum: ["a"]) { fields sums count occurrences } }',
    "{ organization { id key name apiKeys { id name permissions revokedAt } } }",
)


async def populate_organization(client: Client) -> dict[str, str]:
    """Creates data in the client's organization. Returns its IDs and cursors by name."""
    event_type = (await client.execute_field(TYPE))["eventType"]
    guard = (await client.execute_field(GUARD_RULE, type=event_type["id"]))["guardRule"]
    await client.execute_field(build_mutation(f'publishGuardRule(id: "{guard["id"]}")'))
    rule = (await client.execute_field(DUPLICATION_RULE, type=event_type["id"]))["duplicationRule"]
    attributes: dict[str, Any] = {"type": "gauge", "source": "/a", "fields": {"a": 1, "b": "x"}}
    well = {"type": "Well", "id": "w"}
    event = await client.log_event(**attributes, sourceId="1", notification=True, entity=well)
    flagged = await client.log_event(**attributes, sourceId="2")
    await client.execute_field(
        event_mutation(
            f'correlateEvents(eventId: "{event["id"]}", relatedIds: ["{flagged["id"]}"])'
        )
    )
    await client.execute_field(
        'mutation { logContainerEvent(containerId: "c", event: {eventType: ACCESS}) { duplicate } }'
    )
    key = (await client.execute_field(KEY))["apiKey"]
    policy = (await client.execute_field(POLICY))["retentionPolicy"]
    channel = (await client.execute_field(CHANNEL, enabled=False))["channel"]
    enabled_channel = (await client.execute_field(CHANNEL, enabled=True))["channel"]
    delivery = (await client.execute_field(TEST, id=channel["id"]))["delivery"]
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    silence = (await client.execute_field(SILENCE % tomorrow))["silence"]
    await client.log_event(type="silenced", notification=True)
    source = await client.execute_field(SOURCE)
    await client.http.post(source["url"], json={"secret": 1})
    cursors = {
        name: (await client.execute_field(query))["pageInfo"]["endCursor"]
        for name, query in CURSORS.items()
    }
    deliveries = (await client.execute_field(DELIVERIES, id=channel["id"]))["deliveries"]
    versions = (await client.execute_field(TYPE_VERSIONS, id=event_type["id"]))["versions"]
    return cursors | {
        "channel": channel["id"],
        "enabled_channel": enabled_channel["id"],
        "delivery": delivery["id"],
        "event_source": source["source"]["id"],
        "deliveries": deliveries["pageInfo"]["endCursor"],
        "type_versions": versions["pageInfo"]["endCursor"],
        "event": event["id"],
        "event_type": event_type["id"],
        "field": event_type["fields"][0]["id"],
        "conditional_rule": event_type["conditionalRules"][0]["id"],
        "guard_rule": guard["id"],
        "duplication_rule": rule["id"],
        "api_key": key["id"],
        "retention_policy": policy["id"],
        "silence": silence["id"],
        "audit_entry": (await client.execute_field(AUDIT_ENTRY))["nodes"][0]["id"],
        "organization": (await client.execute_field("{ organization { id } }"))["id"],
        "log_head": await client.execute_field("{ logHead }"),
    }


async def add_unique_names(client: Client) -> dict[str, str]:
    """Adds values chosen by users that only this organization has."""
    await client.execute_field(
        build_mutation(
            'createEventType(input: {name: "Ours", type: "only.ours"})', "eventType { id }"
        )
    )
    await client.log_event(
        source="/a",
        sourceId="only-ours-1",
        entity={"type": "Well", "id": "only-ours-w"},
        notification=True,
    )
    return {"type": "only.ours", "source_id": "only-ours-1", "entity": "only-ours-w"}


def nonexistent_values(names: dict[str, str]) -> dict[str, str]:
    """Returns other values of the same kinds, which do not exist."""
    nonexistent = {name: str(uuid4()) for name in names}
    nonexistent |= dict.fromkeys([*CURSORS, "deliveries", "log_head"], "bmV2ZXIgd2FzCg")
    return nonexistent | {
        "type": "never.was",
        "source_id": "never-was-1",
        "entity": "never-was-w",
        "organization_key": "nowhere",
    }


async def fetch_state(client: Client) -> list[Any]:
    return [await client.execute_field(query) for query in STATE_QUERIES]


async def run_as_stranger(stranger: Client, operation: str, values: dict[str, str]) -> str:
    """Returns the response to the stranger, with the values of the operation masked."""
    substituted = Template(operation).substitute(values)
    if substituted.startswith("subscription"):
        async with stranger.subscription(substituted) as subscription:
            message = await subscription.socket.receive()
            failed = message["type"] == "error"
            answer = {"data": None, "errors": message["payload"]} if failed else message["payload"]
    else:
        answer = await stranger.execute(substituted)
    for error in answer.get("errors", ()):
        error.pop("locations", None)  # the column depends on the length of the IDs
    return mask_values(values, json.dumps(answer))


async def request_as_stranger(
    stranger: Client, request: tuple[Any, ...], values: dict[str, str]
) -> str:
    """Returns the response to the stranger of an HTTP endpoint besides GraphQL, masked in the
    same way.
    """
    method, address, headers, body, status = request
    answer = await stranger.http.request(
        method,
        Template(address).substitute(values),
        headers={name: Template(value).substitute(values) for name, value in headers.items()},
        content=Template(body).substitute(values),
    )
    assert answer.status_code == status, (request, answer.text)
    return mask_values(values, answer.text)


def mask_values(values: dict[str, str], text: str) -> str:
    for name in sorted(values, key=lambda name: -len(values[name])):
        if not name.startswith("own_"):
            text = text.replace(values[name], f"<{name}>")
    return text


def result_code(text: str) -> str:
    answer = json.loads(text)
    if "errors" in answer:
        [code] = {error["extensions"]["code"] for error in answer["errors"]}
        return str(code)
    [root] = answer["data"].values()
    if root is None:
        return NULL
    codes = {error["code"] for error in root.get("userErrors", ())} if type(root) is dict else ()
    return next(iter(codes), ANSWERED)


def test_every_root_field_is_tried() -> None:
    schema = parse(build_schema().as_str())
    roots = (schema.query_type, schema.mutation_type, schema.subscription_type)

    fields = {f"{root}.{name}" for root in roots if root for name in root.fields}

    assert set(STRANGER_OPERATIONS) == fields


async def test_values_of_another_organization_are_like_values_that_do_not_exist(
    client: Client, database: Database
) -> None:
    key = await create_api_key(database, *Permission, organization="acme")
    stranger = client.as_key(key)
    own = await populate_organization(stranger)
    theirs = (
        await populate_organization(client)
        | await add_unique_names(client)
        | {"organization_key": "default"}
    )
    nonexistent = nonexistent_values(theirs)
    mine = {f"own_{name}": value for name, value in own.items()}
    before, own_before = await fetch_state(client), await fetch_state(stranger)

    for root_field, tries in STRANGER_OPERATIONS.items():
        for operation, expected in tries:
            foreign = await run_as_stranger(stranger, operation, theirs | mine)
            nothing = await run_as_stranger(stranger, operation, nonexistent | mine)

            assert foreign == nothing, (root_field, operation)
            assert result_code(foreign) == expected, (root_field, operation, foreign)
            named = {name for name in theirs if f"${name}" in operation}
            for name in set(theirs) - named - {"log_head"}:
                assert f"<{name}>" not in foreign, (root_field, operation, foreign)

    for request in HTTP_REQUESTS:
        foreign = await request_as_stranger(stranger, request, theirs | mine)

        assert foreign == await request_as_stranger(stranger, request, nonexistent | mine), request
        assert theirs["organization"] not in foreign, request

    assert await fetch_state(client) == before
    assert await fetch_state(stranger) == own_before


async def test_changes_in_another_organization_affect_no_counts_and_names(
    client: Client, database: Database
) -> None:
    stranger = client.as_key(await create_api_key(database, *Permission, organization="acme"))
    await populate_organization(stranger)
    before = await fetch_state(stranger)

    await populate_organization(client)
    await add_unique_names(client)
    await client.execute_field("mutation { acknowledgeEvents { acknowledgedCount } }")
    await client.execute_field("mutation { resetDuplication { clearedCount } }")

    assert await fetch_state(stranger) == before
    await add_unique_names(stranger)  # every name and source ID is available in this organization


@pytest.mark.parametrize("key", ["default", "nowhere"])
async def test_the_header_has_the_same_error_for_foreign_and_unknown_organizations(
    client: Client, database: Database, key: str
) -> None:
    stranger = await create_api_key(database, *Permission, organization="acme")

    answer = await client.as_key(stranger, data_partition_id=key).post("{ logHead }")

    assert answer.status_code == 403
    assert answer.json()["errors"] == [
        {
            "message": f"The API key has no access to the organization {key!r}. Name a different "
            "organization in the header data-partition-id.",
            "extensions": {"code": "FORBIDDEN"},
        }
    ]


@pytest.mark.parametrize(
    ("field", "selection"),
    [("notificationAdded", "node { summary }"), ("eventChanged", "event { summary }")],
)
async def test_a_subscription_receives_nothing_of_another_organization(
    client: Client, database: Database, field: str, selection: str
) -> None:
    stranger = client.as_key(await create_api_key(database, *Permission, organization="acme"))
    head = await stranger.execute_field("{ logHead }")

    async with stranger.subscription(
        f"subscription ($after: String) {{ {field}(after: $after) {{ {selection} }} }}", after=head
    ) as subscription:
        await client.log_event(summary="ours", notification=True)
        await stranger.log_event(summary="theirs", notification=True)
        first = await subscription.receive_next()

    assert first == {selection.split()[0]: {"summary": "theirs"}}
