"""`Organization.configurationVersion` counts the changes of the configuration."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from app.domain.shared.limits import Limits, RetentionLimits
from app.services.retention.application import apply_due_policies
from app.store.engine.database import Database
from tests.client import Client
from tests.graphql.test_retention import make_old

VERSION = "{ viewer { organization { configurationVersion } } }"
CREATE_TYPE = """mutation {
  payload: createEventType(input: {type: "t", name: "T"}) { object: eventType { id } } }"""
ADD_FIELD = """mutation ($id: ID!) {
  payload: addEventField(eventTypeId: $id, field: {name: "f", kind: TEXT}) {
    object: eventType { id } } }"""
TRANSITION = """mutation ($id: ID!) {
  payload: transitionEventType(id: $id, to: ARCHIVED) { object: eventType { id } } }"""
CREATE_GUARD = """mutation { payload: createGuardRule(
  input: {name: "G", expression: "true", message: "m"}) { object: guardRule { id } } }"""
PUBLISH_GUARD = (
    "mutation ($id: ID!) { payload: publishGuardRule(id: $id) { object: guardRule { id } } }"
)
CREATE_DUPLICATION = """mutation { payload: createDuplicationRule(
  input: {name: "D", fingerprint: ["summary"], window: "PT1S", action: FLAG, position: 0}) {
    object: duplicationRule { id } } }"""
MOVE_DUPLICATION = """mutation ($id: ID!) { payload: updateDuplicationRule(
  input: {id: $id, position: 1}) { object: duplicationRule { id } } }"""
DELETE_DUPLICATION = """mutation ($id: ID!) {
  payload: deleteDuplicationRule(id: $id) { object: duplicationRule { id } } }"""
CREATE_POLICY = """mutation { payload: createRetentionPolicy(
  input: {name: "P", filter: {}, keepFor: "P1D"}) { object: retentionPolicy { id } } }"""
RENAME_POLICY = """mutation ($id: ID!) { payload: updateRetentionPolicy(
  input: {id: $id, name: "Q"}) { object: retentionPolicy { id } } }"""
DELETE_TYPE = (
    "mutation ($id: ID!) { payload: deleteEventType(id: $id) { object: eventType { id } } }"
)
_END = (datetime.now(UTC) + timedelta(days=30)).isoformat().replace("+00:00", "Z")
CREATE_SILENCE = """mutation { payload: createSilence(
  input: {filter: {types: ["t"]}, endsAt: "$END", comment: ""}) {
    object: silence { id } } }""".replace("$END", _END)
CREATE_SOURCE = """mutation { payload: createSource(input: {name: "S", kind: GRAFANA}) {
  object: source { id } } }"""
DISABLE_SOURCE = """mutation ($id: ID!) { payload: updateSource(
  input: {id: $id, enabled: false}) { object: source { id } } }"""
ROTATE_TOKEN = """mutation ($id: ID!) { payload: rotateSourceToken(id: $id) {
  object: source { id } } }"""
CREATE_CHANNEL = """mutation { payload: createChannel(input: {
  name: "C", kind: WEBHOOK, url: "https://a.example", enabled: false}) {
    object: channel { id } } }"""
MOVE_CHANNEL = """mutation ($id: ID!) { payload: updateChannel(
  input: {id: $id, url: "https://a.example/b"}) { object: channel { id } } }"""
RENAME = """mutation { payload: updateOrganization(name: "Other") {
  object: organization { id configurationVersion } } }"""
CREATE_KEY = """mutation {
  createApiKey(input: {name: "k", permissions: [EVENT_READ]}) { userErrors { code } } }"""


async def fetch_version(client: Client) -> int:
    viewer = await client.execute_field(VERSION)
    return int(viewer["organization"]["configurationVersion"])


async def test_each_change_of_the_configuration_raises_its_version_by_one(client: Client) -> None:
    first = await fetch_version(client)
    ids: dict[str, str] = {}
    documents = [
        ("type", CREATE_TYPE),
        ("type", ADD_FIELD),
        ("guard", CREATE_GUARD),
        ("guard", PUBLISH_GUARD),
        ("rule", CREATE_DUPLICATION),
        ("other rule", CREATE_DUPLICATION),
        ("rule", MOVE_DUPLICATION),
        ("rule", DELETE_DUPLICATION),
        ("policy", CREATE_POLICY),
        ("policy", RENAME_POLICY),
        ("type", TRANSITION),
        ("type", DELETE_TYPE),
        ("silence", CREATE_SILENCE),
        ("source", CREATE_SOURCE),
        ("source", DISABLE_SOURCE),
        ("channel", CREATE_CHANNEL),
        ("channel", MOVE_CHANNEL),
        ("organization", RENAME),
    ]
    versions = []

    for name, document in documents:
        variables = {"id": ids[name]} if "$id" in document else {}
        payload = await client.execute_field(document, **variables)
        ids[name] = payload["object"]["id"]
        versions.append(await fetch_version(client))

    assert versions == list(range(first + 1, first + 1 + len(documents)))
    assert payload["object"]["configurationVersion"] == versions[-1]


async def test_what_changes_no_configuration_keeps_its_version(
    own_client: Client, database: Database
) -> None:
    await own_client.execute_field(RENAME)
    await own_client.execute_field(CREATE_POLICY)
    source = await own_client.execute_field(CREATE_SOURCE)
    version = await fetch_version(own_client)

    await own_client.execute_field(RENAME)
    await own_client.log_event(summary="old")
    await make_old(database, "old")
    await own_client.execute_field(CREATE_KEY)
    await own_client.execute_field(ROTATE_TOKEN, id=source["object"]["id"])
    await apply_due_policies(database, RetentionLimits(), Limits())

    assert await fetch_version(own_client) == version
    assert await own_client.execute_field("{ events { totalCount } }") == {"totalCount": 0}
