"""`tocsin config plan` and `apply`: the server becomes equal to the file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from app.configuration.file_schema import SECTIONS
from app.domain.access.caller import Permission
from tests.client import Client
from tests.configuration.command import (
    APPLY,
    CONFIGURATION,
    PLAN,
    apply_text,
    create_key,
    export_text,
    fetch_nodes,
    run_config,
    without_first_line,
    write_file,
)
from tests.conftest import Serve
from tests.contract.doc_examples import ROOT
from tests.event_type_client import define_event_type, field_input

NO_CHANGES = "No changes.\n"
TYPES = "type name state version fields { name }"
GUARDS = "name state expression publishedVersion { number expression }"
UPDATE_GUARD_RULE = """
mutation ($input: UpdateGuardRuleInput!) { updateGuardRule(input: $input) { userErrors { code } } }
"""
RULE = """
duplicationRules:
  - {name: A, fingerprint: [summary], window: PT1S, action: FLAG}
"""


async def test_an_applied_configuration_is_stored_and_its_export_is_equal_to_the_file(
    client: Client,
) -> None:
    applied = await apply_text(client, CONFIGURATION)

    assert applied.endswith("Applied 9 changes.\n")
    exported = await export_text(client)
    expected = yaml.safe_load(CONFIGURATION)
    expected["organization"]["key"] = client.headers["data-partition-id"]
    # In the order of what identifies them. PT60S is the same as PT1M, and P1W as P7D.
    expected["guardRules"].reverse()
    expected["duplicationRules"][1]["window"] = "PT1M"
    expected["retentionPolicies"][1]["keepFor"] = "P7D"
    expected |= {"sources": [], "channels": []}
    assert yaml.safe_load(exported) == expected
    types = await fetch_nodes(client, "eventTypes", "type state version")
    assert types == [
        {"type": "flaring.incident", "state": "PUBLISHED", "version": 1},
        {"type": "flaring.test", "state": "DRAFT", "version": 1},
    ]
    rules = await fetch_nodes(client, "guardRules", "name state eventType { type }")
    assert rules == [
        {
            "name": "Volume is plausible",
            "state": "PUBLISHED",
            "eventType": {"type": "flaring.incident"},
        },
        {"name": "Summaries are long", "state": "DRAFT", "eventType": None},
    ]
    for text in (CONFIGURATION, exported):
        code, out, err = await run_config(client, *PLAN, "-", text=text)
        assert (code, without_first_line(out), err) == (0, NO_CHANGES, "")


async def test_a_plan_shows_the_changes_in_words_and_as_a_diff_and_changes_nothing(
    client: Client, tmp_path: Path
) -> None:
    await apply_text(client, CONFIGURATION)
    before = await export_text(client)
    text = (
        CONFIGURATION.replace("minimum: 0", "minimum: 1")
        .replace("state: DRAFT", "state: PUBLISHED")
        .replace("size() > 3", "size() > 5")
        .replace("window: PT10M", "window: PT1H")
        .replace("keepFor: P90D", "keepFor: P30D")
        .replace("Permian Basin", "Permian")
    )

    code, out, err = await run_config(client, *PLAN, write_file(tmp_path, text))

    assert (code, err) == (2, "")
    organization = client.headers["data-partition-id"]
    assert out == (
        f"""\
Organization '{organization}' at {client.url}/graphql

~ Organization '{organization}': Name from 'Permian Basin' to 'Permian'.
~ Event type 'flaring.incident': Changed field 'volume_mcf': minimum from 0.0 to 1.0.
    @@ -7,5 +7,5 @@
       required: true
       unit: mcf
    -  minimum: 0
    +  minimum: 1
     - name: cause
       kind: SELECT
~ Event type 'flaring.test': State from DRAFT to PUBLISHED.
    @@ -1,3 +1,2 @@
     type: flaring.test
     name: Test
    -state: DRAFT
~ Guard rule 'Summaries are long': Changed expression.
    @@ -1,4 +1,4 @@
     name: Summaries are long
    -expression: event.summary.size() > 3
    +expression: event.summary.size() > 5
     message: Write a longer summary.
     enforcement: WARN
~ Duplication rule 'Same cause' of event type 'flaring.incident': Changed window. Its stored """
        """fingerprints are cleared: earlier events have no duplicates.
    @@ -4,4 +4,4 @@
     - entity
     - fields.cause
    -window: PT10M
    +window: PT1H
     action: COUNT
~ Retention policy 'Old readings': Changed keepFor. It would delete 0 stored events now.
    @@ -5,3 +5,3 @@
       severities:
       - INFO
    -keepFor: P90D
    +keepFor: P30D

0 to create, 6 to change, 0 to remove.
"""
    )
    assert await export_text(client) == before


async def test_a_saved_plan_is_applied_once_and_refused_after_the_server_changed(
    client: Client, tmp_path: Path
) -> None:
    await apply_text(client, CONFIGURATION)
    file = write_file(tmp_path, CONFIGURATION.replace("minimum: 0", "minimum: 1"))
    plan = str(tmp_path / "plan.json")
    saved = await run_config(client, "plan", file, "--out", plan)
    [rule] = [
        each["id"]
        for each in await fetch_nodes(client, "guardRules", "id name")
        if each["name"] == "Summaries are long"
    ]

    # Its draft has no effect, but is a part of the state.
    update = {"id": rule, "message": "Changed meanwhile."}
    assert await client.execute_field(UPDATE_GUARD_RULE, input=update) == {"userErrors": []}
    refused = await run_config(client, "apply", plan)
    await run_config(client, "plan", file, "--out", plan)
    applied = await run_config(client, "apply", plan)
    repeated = await run_config(client, "apply", plan)

    assert saved[0] == 0
    message = (
        "The configuration of the server changed after the plan was created. Nothing was applied. "
        "Create a new plan.\n"
    )
    assert refused == (1, "", message)
    assert applied[0] == 0
    assert applied[1].endswith("Applied 2 changes.\n")
    assert repeated == (1, "", message)
    types = await fetch_nodes(client, "eventTypes", "type version")
    assert types[0] == {"type": "flaring.incident", "version": 2}


async def test_apply_asks_for_confirmation_and_does_nothing_without_it(
    client: Client, tmp_path: Path
) -> None:
    file = write_file(tmp_path, CONFIGURATION)

    code, out, err = await run_config(client, "apply", file, text="n\n")

    assert code == 1
    assert "8 to create, 1 to change, 0 to remove." in out
    assert (err[:20], err[-9:]) == ("Apply these changes?", "Aborted.\n")
    assert await fetch_nodes(client, "eventTypes", "type") == []


@pytest.mark.parametrize(
    ("permissions", "missing"),
    [
        (["EVENT_READ", "EVENT_TYPE_MANAGE", "ORGANIZATION_MANAGE", "EVENT_DELETE"], "RULE_MANAGE"),
        (["EVENT_TYPE_MANAGE", "RULE_MANAGE", "ORGANIZATION_MANAGE"], "EVENT_DELETE"),
    ],
)
async def test_nothing_is_applied_if_the_credential_lacks_a_permission_of_a_change(
    client: Client, permissions: list[str], missing: str
) -> None:
    key = await create_key(client, *permissions)

    code, out, err = await run_config(client, *APPLY, "-", key=key, text=CONFIGURATION)

    assert (code, err) == (1, f"The credential lacks {missing}. Nothing was applied.\n")
    assert f"The credential lacks {missing}, which these changes require." in out
    assert await fetch_nodes(client, "eventTypes", "type") == []


@pytest.mark.parametrize("dialect", ["sqlite"])
async def test_an_export_omits_the_sections_that_need_other_permissions_than_the_guide_lists(
    client: Client,
) -> None:
    guide = (ROOT / "docs/guides/configuration-as-code.md").read_text()
    table = guide.partition("| section | to read it |")[2].partition("\n\n")[0]
    documented: dict[str, set[str]] = {}
    for _, sections, permissions, *_ in (row.split("|") for row in table.splitlines()[2:]):
        for section in re.findall(r"`(\w+)`", sections):
            documented[section] = set(re.findall(r"`(\w+)`", permissions))

    readable: dict[str, set[str]] = {section.name: set() for section in SECTIONS}
    for permission in Permission:
        key = await create_key(client, permission.value)
        code, _, err = await run_config(client, "export", key=key)
        assert code == 0, err
        for section, sufficient in readable.items():
            if not re.search(rf"\b{section}\b", err):
                sufficient.add(permission.value)

    assert documented.pop("organization") == set()
    assert readable == documented


async def test_a_key_that_manages_rules_only_applies_a_file_with_rules_only(
    client: Client,
) -> None:
    key = await create_key(client, "RULE_MANAGE", "EVENT_READ")

    code, _, err = await run_config(client, *APPLY, "-", key=key, text=RULE)

    assert (code, err) == (0, "")
    assert await fetch_nodes(client, "duplicationRules", "name") == [{"name": "A"}]
    exported = await run_config(client, "export", key=key)
    omitted = "retentionPolicies, sources, channels"
    assert exported[2] == f"Omitted, for lack of permissions: {omitted}.\n"
    assert list(yaml.safe_load(exported[1])) == [
        "organization",
        "eventTypes",
        "guardRules",
        "duplicationRules",
    ]


async def test_prune_removes_what_the_sections_of_the_file_do_not_contain(client: Client) -> None:
    await apply_text(client, CONFIGURATION)
    await client.log_event(type="flaring.incident", fields={"volume_mcf": 1})
    text = "eventTypes: []\nguardRules: []\nduplicationRules: []\n"

    kept = await run_config(client, *PLAN, "-", text=text)
    planned = await run_config(client, *PLAN, "-", "--prune", text=text)
    await apply_text(client, text, "--prune")

    assert without_first_line(kept[1]) == (
        "6 objects on the server not in the file: unchanged. Use --prune to remove what the file "
        "does not contain.\nNo changes.\n"
    )
    assert without_first_line(planned[1]) == (
        """\
- Event type 'flaring.incident': Archived, because it has stored events.
- Event type 'flaring.test': Deleted with its rules. It has no stored events.
- Guard rule 'Volume is plausible' of event type 'flaring.incident': Retired. Guard rules cannot """
        """be deleted.
- Guard rule 'Summaries are long': Retired. Guard rules cannot be deleted.
- Duplication rule 'Same cause' of event type 'flaring.incident': Deleted.
- Duplication rule 'Same summary': Deleted.

0 to create, 0 to change, 6 to remove.
"""
    )
    assert await fetch_nodes(client, "eventTypes", "type state") == [
        {"type": "flaring.incident", "state": "ARCHIVED"}
    ]
    states = await fetch_nodes(client, "guardRules", "state")
    assert states == [{"state": "RETIRED"}, {"state": "RETIRED"}]
    assert await fetch_nodes(client, "duplicationRules", "name") == []
    # The file does not contain their section.
    assert len(await fetch_nodes(client, "retentionPolicies", "name")) == 2
    again = await run_config(client, *PLAN, "-", "--prune", text=text)
    assert (again[0], without_first_line(again[1])) == (0, NO_CHANGES)
    # What was archived and retired comes back with its versions.
    await apply_text(client, CONFIGURATION)
    [rule] = [
        each
        for each in await fetch_nodes(client, "guardRules", GUARDS)
        if each["name"] == "Volume is plausible"
    ]
    assert (rule["state"], rule["publishedVersion"]["number"]) == ("PUBLISHED", 2)


async def test_the_order_of_duplication_rules_is_their_position(client: Client) -> None:
    rules = {
        name: f"  - {{name: {name}, fingerprint: [summary], window: PT1S, action: FLAG}}\n"
        for name in "ABCD"
    }
    await apply_text(client, "duplicationRules:\n" + rules["A"] + rules["B"] + rules["C"])

    out = await apply_text(client, "duplicationRules:\n" + rules["C"] + rules["D"] + rules["A"])

    assert "~ Duplication rule 'C': Moved to position 0.\n" in out
    assert "+ Duplication rule 'D': At position 1.\n" in out
    assert "Applied 2 changes.\n" in out
    # B is not in the file: it follows.
    names = [each["name"] for each in await fetch_nodes(client, "duplicationRules", "name")]
    assert names == ["C", "D", "A", "B"]


async def test_a_field_that_a_changed_rule_used_is_replaced_after_the_rule(client: Client) -> None:
    await apply_text(client, CONFIGURATION)
    renamed = CONFIGURATION.replace("volume_mcf", "volume")

    await apply_text(client, renamed)

    [event_type, _] = await fetch_nodes(client, "eventTypes", TYPES)
    assert [each["name"] for each in event_type["fields"]] == ["volume", "cause", "details"]
    assert event_type["version"] == 3
    [rule, _] = await fetch_nodes(client, "guardRules", GUARDS)
    assert rule["publishedVersion"] == {
        "number": 2,
        "expression": "event.fields.volume < 1000.0",
    }
    code, out, _ = await run_config(client, *PLAN, "-", text=renamed)
    assert (code, without_first_line(out)) == (0, NO_CHANGES)


async def test_a_field_that_an_unchanged_rule_uses_is_not_removed(
    client: Client, tmp_path: Path
) -> None:
    await apply_text(client, CONFIGURATION)
    start = CONFIGURATION.index("duplicationRules:")
    text = CONFIGURATION[:start].replace("{name: volume_mcf", "{name: volume")
    file = write_file(tmp_path, text)

    code, out, err = await run_config(client, "plan", file)

    message = (
        "The change would make the guard rule 'Volume is plausible' invalid. Change or retire the "
        "rule first."
    )
    assert (code, out, err) == (1, "", f"{file}:5:5: {message}\n")


async def test_an_object_with_its_id_can_be_renamed_with_all_that_refers_to_it(
    client: Client,
) -> None:
    await apply_text(client, CONFIGURATION)
    exported = await export_text(client, "--ids")
    renamed = exported.replace("flaring.incident", "flare").replace("plausible", "possible")

    out = await apply_text(client, renamed, "--prune")

    assert "Applied 2 changes.\n" in out
    types = await fetch_nodes(client, "eventTypes", "type version")
    assert types[0] == {"type": "flare", "version": 2}
    [rule, _] = await fetch_nodes(client, "guardRules", "name eventType { type }")
    assert rule == {"name": "Volume is possible", "eventType": {"type": "flare"}}
    assert await export_text(client, "--ids") == renamed


async def test_rules_with_the_same_name_are_exported_with_ids_and_need_them(
    client: Client, tmp_path: Path
) -> None:
    create = """
mutation {
  createGuardRule(input: {name: "R", expression: "true", message: "m"}) { userErrors { code } }
}
"""
    for _ in range(2):
        assert await client.execute_field(create) == {"userErrors": []}
    exported = await export_text(client)
    rules = yaml.safe_load(exported)["guardRules"]
    rule = "guardRules:\n  - {name: R, expression: 'true', message: m, published: false}\n"
    file = write_file(tmp_path, rule)

    code, _, err = await run_config(client, "plan", file)

    ids = [each["id"] for each in await fetch_nodes(client, "guardRules", "id")]
    assert [each["id"] for each in rules] == ids
    assert (code, err) == (
        1,
        f"{file}:2:5: The server has 2 objects that are guard rule 'R': {', '.join(ids)}. Set the "
        "id of the one that is meant, or export the configuration again.\n",
    )
    assert (await run_config(client, *PLAN, "-", text=exported))[0] == 0


async def test_a_guard_rule_is_tried_on_stored_events(client: Client) -> None:
    for summary in ("a", "bb", "ccc"):
        await client.log_event(summary=summary)
    rule = """
guardRules:
  - name: Long
    expression: event.summary.size() > 2
    message: Too short.
  - name: With content
    expression: event.content.size() > 2
    message: Too short.
    enforcement: WARN
"""

    everything = await run_config(client, "plan", "-", text=rule)
    newest = await run_config(client, "plan", "-", "--last", "1", text=rule)

    assert without_first_line(everything[1]) == (
        """\
+ Guard rule 'Long': Published. Of the newest 3 stored events, it would reject 2 (0 not evaluable).
+ Guard rule 'With content': Published. Of the newest 3 stored events, it would warn about 3 """
        """(3 not evaluable).

2 to create, 0 to change, 0 to remove.
"""
    )
    assert "'Long': Published. Of the newest 1 stored event, it would reject 0.\n" in newest[1]


async def test_a_duplication_rule_is_tried_on_stored_events(client: Client) -> None:
    codes = field_input("codes", "MULTI_SELECT", options=["a", "b"])
    await define_event_type(client, codes, type="t")
    logged = [(["a", "b"], "10:00"), (["b", "a"], "10:04"), (["a"], "10:05"), (["a", "b"], "11:00")]
    for values, time in logged:
        occurred_at = f"2026-04-10T{time}:00Z"
        entity = {"type": "Well", "id": "W1"}
        await client.log_event(
            type="t", occurredAt=occurred_at, entity=entity, fields={"codes": values}
        )
    rule = """
duplicationRules:
  - {name: D, eventType: t, fingerprint: [entity.id, fields.codes], window: PT10M, action: FLAG}
"""

    created = await run_config(client, "plan", "-", text=rule)
    newest = await run_config(client, "plan", "-", "--last", "3", text=rule)
    await apply_text(client, rule)
    wider = await run_config(client, "plan", "-", text=rule.replace("PT10M", "P1D"))
    disabled = rule.replace("PT10M", "P1D").replace("FLAG", "FLAG, enabled: false")
    quiet = await run_config(client, "plan", "-", text=disabled)

    assert "At position 0. Of the newest 4 stored events, 1 would be duplicates.\n" in created[1]
    # The original of the second event is not compared.
    assert "At position 0. Of the newest 3 stored events, 0 would be duplicates.\n" in newest[1]
    assert "Of the newest 4 stored events, 2 would be duplicates.\n" in wider[1]
    assert "Of the newest" not in quiet[1]


async def test_a_plan_counts_the_events_that_a_policy_would_delete(client: Client) -> None:
    await client.log_event(summary="kept", severity="ERROR")
    text = "retentionPolicies:\n  - {name: All, filter: {}, keepFor: P1D}\n"

    _, out, _ = await run_config(client, "plan", "-", text=text)

    assert "+ Retention policy 'All': It would delete 0 stored events now.\n" in out


async def test_a_deprecated_event_type_gets_and_loses_its_sunset(client: Client) -> None:
    text = "eventTypes:\n  - type: t\n    name: T\n    state: DEPRECATED\n"
    sunset = "    sunsetAt: 2999-01-01T00:00:00+01:00\n"

    for state, expected in ((sunset, "2998-12-31T23:00:00.000000Z"), ("", None), (sunset, "2998")):
        await apply_text(client, text + state)

        [event_type] = await fetch_nodes(client, "eventTypes", "state sunsetAt version")
        assert event_type["state"] == "DEPRECATED"
        assert event_type["version"] == 1
        assert (event_type["sunsetAt"] or "").startswith(expected or "")
        assert (event_type["sunsetAt"] is None) is (expected is None)
        assert (await run_config(client, *PLAN, "-", text=text + state))[0] == 0


async def test_a_published_event_type_cannot_become_a_draft(client: Client, tmp_path: Path) -> None:
    text = "eventTypes:\n  - type: t\n    name: T\n"
    await apply_text(client, text)
    file = write_file(tmp_path, text + "    state: DRAFT\n")

    code, out, err = await run_config(client, "plan", file)

    message = "An event type that is PUBLISHED cannot become DRAFT."
    assert (code, out, err) == (1, "", f"{file}:4:5: {message}\n")


async def test_an_unpublished_draft_of_a_guard_rule_stays_until_the_file_changes_the_rule(
    client: Client,
) -> None:
    text = "guardRules:\n  - {name: R, expression: 'true', message: m}\n"
    await apply_text(client, text)
    [rule] = await fetch_nodes(client, "guardRules", "id")
    update = {"id": rule["id"], "expression": "false"}
    assert await client.execute_field(UPDATE_GUARD_RULE, input=update) == {"userErrors": []}

    unchanged = await run_config(client, *PLAN, "-", text=text)
    out = await apply_text(client, text.replace("message: m", "message: n"))

    assert unchanged[0] == 0
    assert "Unpublished changes of the draft on the server are lost." in out
    selection = "expression message publishedVersion { number expression message }"
    assert await fetch_nodes(client, "guardRules", selection) == [
        {
            "expression": "true",
            "message": "n",
            "publishedVersion": {"number": 2, "expression": "true", "message": "n"},
        }
    ]


async def test_an_organization_that_does_not_exist_is_created_with_its_configuration(
    client: Client,
) -> None:
    key = client.headers["data-partition-id"] + "-new"
    text = f"organization: {{key: {key}}}\n{RULE}"
    named = text.replace("}", ", name: New}", 1)
    elsewhere = client.as_key(client.key, data_partition_id=key)

    refused = await run_config(elsewhere, *APPLY, "-", text=text)
    await apply_text(elsewhere, named)

    assert (refused[0], refused[2]) == (
        1,
        f"-:1:1: The credential has no organization '{key}'. To create it, set the name of the "
        "organization.\n",
    )
    assert await fetch_nodes(elsewhere, "duplicationRules", "name") == [{"name": "A"}]
    assert await fetch_nodes(client, "duplicationRules", "name") == []
    assert (await run_config(elsewhere, *PLAN, "-", text=named))[0] == 0


async def test_the_first_error_of_the_server_ends_an_application(
    client: Client, tmp_path: Path
) -> None:
    # Only the server has the list of networks to which channels may send.
    channel = "channels:\n  - {name: C, kind: WEBHOOK, url: 'http://10.1.2.3'}\n"
    secrets_file = str(tmp_path / "secrets.jsonl")

    code, out, err = await run_config(
        client, *APPLY, "-", "--secrets-file", secrets_file, text=RULE + channel
    )

    assert code == 1
    assert out.endswith("Created duplication rule 'A'.\n")
    assert err.startswith("channel 'C' (line 5): 10.1.2.3 is not public.")
    assert err.endswith(
        "Applied 1 of 2 changes. Fix the error, and create a new plan for the rest.\n"
    )
    assert await fetch_nodes(client, "duplicationRules", "name") == [{"name": "A"}]


async def test_values_that_the_limits_of_the_server_exclude_are_errors_of_the_plan(
    database_url: str, serve: Serve, tmp_path: Path
) -> None:
    text = """
eventTypes:
  - {type: t, name: T}
retentionPolicies:
  - {name: Hour, filter: {}, keepFor: PT1H}
silences:
  - comment: Long
    filter: {types: [t]}
    startsAt: 2026-01-01T00:00:00Z
    endsAt: 2929-01-01T00:00:00Z
duplicationRules:
  - {name: NAME, fingerprint: [summary], window: P9999D, action: FLAG}
guardRules:
  - {name: R, eventType: stored, expression: event.fields.nope > 1, message: m, published: false}
""".replace("NAME", "B" * 300)
    wider = {"retention_seconds": 60, "silence_days": 400_000, "name_characters": 300}
    async with serve(database_url, limits=wider) as client:
        await apply_text(client, "eventTypes:\n  - {type: stored, name: S}\n")
        file = write_file(tmp_path, text)

        code, out, err = await run_config(client, "plan", file)

        assert (code, out) == (1, "")
        assert [line.removeprefix(f"{file}:")[:46] for line in err.splitlines()] == [
            "12:338: window must be from PT0S to P3660D.",
            "14:34: Line 1, column 13 of the expression: Un",
        ]
    async with serve(database_url) as client:
        code, out, err = await run_config(client, "plan", file)

        assert (code, out) == (1, "")
        assert [line.removeprefix(f"{file}:")[:46] for line in err.splitlines()] == [
            "5:30: keepFor must be from P1D to P36600D.",
            "10:5: A silence can last at most 90 days: ends",
            "12:6: At most 255 characters are allowed; name",
            "12:338: window must be from PT0S to P3660D.",
            "14:34: Line 1, column 13 of the expression: Un",
        ]


async def test_objects_beyond_the_maximum_number_are_an_error_of_the_plan(
    database_url: str, serve: Serve, tmp_path: Path
) -> None:
    def build_text(*names: str) -> str:
        policies = [f"  - {{name: {name}, keepFor: P1D, filter: {{}}}}\n" for name in names]
        sources = [f"  - {{name: {name}, kind: ALERTMANAGER}}\n" for name in names]
        address = "kind: WEBHOOK, url: 'http://127.0.0.1:9999'"
        channels = [f"  - {{name: {name}, {address}}}\n" for name in names]
        sections = {"retentionPolicies": policies, "sources": sources, "channels": channels}
        return "".join(f"{name}:\n{''.join(items)}" for name, items in sections.items())

    secrets = ("--secrets-file", str(tmp_path / "secrets.jsonl"))
    maxima = {"retention_policies": 2, "sources": 2, "channels": 2}
    async with serve(database_url, limits=maxima) as client:
        await apply_text(client, build_text("A", "B"), *secrets)

        more = await run_config(client, "plan", "-", text=build_text("B", "C"))
        await apply_text(client, build_text("B", "C"), "--prune", *secrets)

        assert more[:2] == (1, "")
        assert [line.partition(": ")[2] for line in more[2].splitlines()] == [
            f"At most 2 {noun} are allowed; with the changes, the organization has 3."
            for noun in ("retention policies", "sources", "channels")
        ]
        assert [line.split(":")[1] for line in more[2].splitlines()] == ["3", "6", "9"]
        for field in ("retentionPolicies", "sources", "channels"):
            assert {each["name"] for each in await fetch_nodes(client, field, "name")} == {"B", "C"}


async def test_a_filter_that_only_wider_limits_allow_is_planned_and_unchanged_when_applied(
    database_url: str, serve: Serve, tmp_path: Path
) -> None:
    # The server stores this time in UTC.
    time = "2026-01-01T02:00:00+02:00"
    types = ", ".join(f"t{index}" for index in range(150))
    filter = f"{{types: [{types}], occurredAt: {{from: '{time}'}}}}"
    silenced = f"{{severities: [INFO], types: [{types}]}}"
    text = f"""
retentionPolicies:
  - {{name: P, keepFor: P1D, filter: {filter}}}
silences:
  - {{comment: S, startsAt: '{time}', endsAt: '{time.replace("2026", "2099")}', filter: {silenced}}}
channels:
  - {{name: C, kind: WEBHOOK, url: 'http://127.0.0.1:9999', filter: {silenced}}}
"""
    secrets = ("--secrets-file", str(tmp_path / "secrets.jsonl"))
    limits = {"filter_values": 150, "silence_days": 400_000}
    async with serve(database_url, limits=limits) as client:
        await apply_text(client, text, *secrets)

        code, out, err = await run_config(client, *PLAN, "-", text=text)

    assert (code, err) == (0, ""), out


async def test_a_filter_that_the_server_does_not_accept_is_an_error_of_the_plan(
    client: Client, tmp_path: Path
) -> None:
    fields = "{types: [t], fields: [{field: nope, operator: EXISTS}]}"
    policy = f"retentionPolicies:\n  - {{name: P, keepFor: P1D, filter: {fields}}}\n"
    await apply_text(client, "eventTypes:\n  - {type: t, name: T}\n")
    file = write_file(tmp_path, policy)

    code, out, err = await run_config(client, "plan", file)

    assert (code, out) == (1, "")
    assert err.startswith(f"{file}:2:29: ")
    assert "'nope'" in err


async def test_an_organization_other_than_that_of_the_file_is_refused(client: Client) -> None:
    text = "organization: {key: other}\neventTypes: []\n"

    code, out, err = await run_config(client, "plan", "-", text=text)

    key = client.headers["data-partition-id"]
    message = f"The file configures the organization 'other', not '{key}'."
    assert (code, out, err) == (1, "", f"-:1:16: {message}\n")


@pytest.mark.parametrize("dialect", ["sqlite"])
async def test_a_server_that_does_not_respond_or_refuses_the_key_is_one_line(
    client: Client,
) -> None:
    page = Client(f"{client.url}/health", client.key)
    nobody = Client("http://127.0.0.1:1", client.key)

    unknown_key = await run_config(client, "export", key="tocsin_secret")
    wrong_page = await run_config(page, "export")
    unreachable = await run_config(nobody, "export")

    for code, out, err in (unknown_key, wrong_page, unreachable):
        assert (code, out, err.count("\n")) == (1, "", 1)
        assert "tocsin_secret" not in err
    assert "UNAUTHENTICATED" in unknown_key[2]
    assert "/health/graphql" in wrong_page[2]
    assert "Cannot reach http://127.0.0.1:1/graphql" in unreachable[2]
