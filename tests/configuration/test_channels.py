"""Channels, sources and silences in configuration files, and their secrets."""

from __future__ import annotations

import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.domain.shared.values import format_instant
from tests.client import Client
from tests.configuration.command import (
    APPLY,
    PLAN,
    apply_text,
    create_key,
    export_text,
    fetch_nodes,
    run_config,
    without_first_line,
    write_file,
)
from tests.graphql.test_channels import CREATE as CREATE_CHANNEL
from tests.graphql.test_channels import HOOK
from tests.webhook_receiver import receive_webhooks

NO_CHANGES = "No changes.\n"
EXPORTED = (
    "The server does not return the addresses and headers of channels. To create the channels "
    "elsewhere, add them to the file: as references, such as env:NAME.\n"
)
SECRET_URL = "https://hooks.example.com/T0KEN-of-the-url"
CONFIGURATION = """
sources:
  - name: Alertmanager
    kind: ALERTMANAGER
  - name: Tickets
    kind: JSON
    mapping: {summary: body.title, severity: "body.?level"}
    enabled: false
channels:
  - name: Incidents
    kind: WEBHOOK
    url: env:TEST_HOOK_URL
    headers: {authorization: "file:%s", x-team: pumps}
    filter: {severities: [ERROR]}
    enabled: false
  - name: Everything
    kind: WEBHOOK
    url: https://hooks.example.com/all
    triggers: [EVENT_CHANGED]
    enabled: false
"""
ACTIONS = "query ($id: ID!) { auditEntries(filter: { subjectId: $id }) { nodes { action } } }"
HAS_ADDRESS = """
query ($id: ID!, $url: String!, $headers: JSON) {
  channel(id: $id) { hasAddress(url: $url, headers: $headers) }
}
"""


def in_days(days: float) -> str:
    return format_instant(datetime.now(UTC) + timedelta(days=days))


@pytest.fixture
def text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The configuration, whose references have values."""
    monkeypatch.setenv("TEST_HOOK_URL", SECRET_URL)
    header = tmp_path / "authorization"
    header.write_text("Bearer T0KEN-of-the-header\n")
    return CONFIGURATION % header


@pytest.fixture
def secrets_file(tmp_path: Path) -> str:
    return str(tmp_path / "secrets.jsonl")


async def has_address(client: Client, id: str, url: str, headers: Any = None) -> bool:
    channel = await client.execute_field(HAS_ADDRESS, id=id, url=url, headers=headers)
    return bool(channel["hasAddress"])


async def test_applied_channels_and_sources_are_stored_and_their_secrets_are_in_the_file_only(
    client: Client, text: str, secrets_file: str
) -> None:
    refused = await run_config(client, *APPLY, "-", text=text)
    out = await apply_text(client, text, "--secrets-file", secrets_file)
    exported = await run_config(client, "export")

    message = (
        "The server creates tokens of sources and signing secrets of channels, and returns them "
        "only once: set --secrets-file to the file to which they are written. Nothing was "
        "applied.\n"
    )
    assert (refused[0], refused[2]) == (1, message)
    assert out.endswith("Applied 4 changes.\n")
    channels = await fetch_nodes(client, "channels", "id name url filter triggers enabled")
    sources = await fetch_nodes(client, "sources", "id name kind enabled")
    actions = await client.execute_field(ACTIONS, id=sources[1]["id"])
    triggers = ["NOTIFICATION_ADDED", "EVENT_RESOLVED"]
    assert channels == [
        {
            "id": channels[0]["id"],
            "name": "Incidents",
            "url": "https://hooks.example.com",
            "filter": {"severities": ["ERROR"]},
            "triggers": triggers,
            "enabled": False,
        },
        {
            "id": channels[1]["id"],
            "name": "Everything",
            "url": "https://hooks.example.com",
            "filter": None,
            "triggers": ["EVENT_CHANGED"],
            "enabled": False,
        },
    ]
    headers = {"authorization": "Bearer T0KEN-of-the-header", "x-team": "pumps"}
    assert await has_address(client, channels[0]["id"], SECRET_URL, headers)
    assert [(each["kind"], each["enabled"]) for each in sources] == [
        ("ALERTMANAGER", True),
        ("JSON", False),
    ]
    # It was never enabled.
    assert actions == {"nodes": [{"action": "CREATED"}]}
    records = [json.loads(line) for line in Path(secrets_file).read_text().splitlines()]
    assert [(each["section"], each["name"], each["id"]) for each in records] == [
        ("sources", "Alertmanager", sources[0]["id"]),
        ("sources", "Tickets", sources[1]["id"]),
        ("channels", "Incidents", channels[0]["id"]),
        ("channels", "Everything", channels[1]["id"]),
    ]
    assert stat.S_IMODE(Path(secrets_file).stat().st_mode) == 0o600
    assert (exported[0], exported[2]) == (0, EXPORTED)
    printed = refused[1] + out + exported[1]
    secrets = [value for each in records for name, value in each.items() if name in SECRETS]
    assert len(secrets) == 6
    assert [each for each in [*secrets, "T0KEN"] if each in printed] == []
    for each in (text, exported[1]):
        code, planned, err = await run_config(client, *PLAN, "--prune", "-", text=each)
        assert (code, without_first_line(planned), err) == (0, NO_CHANGES, "")


SECRETS = ("token", "url", "secret")


async def test_a_plan_shows_changes_of_addresses_by_their_references(
    client: Client, text: str, secrets_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await apply_text(client, text, "--secrets-file", secrets_file)
    changed = text.replace("[ERROR]", "[ERROR, WARN]").replace("body.title", "body.name")
    changed = changed.replace("/all", "/other").replace("[EVENT_CHANGED]", "[EVENT_RESOLVED]")
    monkeypatch.setenv("TEST_HOOK_URL", SECRET_URL + "-2")

    planned = await run_config(client, *PLAN, "-", text=changed)
    await apply_text(client, changed)
    again = await run_config(client, *PLAN, "-", text=changed)

    header = text.partition("file:")[2].partition('"')[0]
    assert (planned[0], without_first_line(planned[1])) == (
        2,
        f"""\
~ Source 'Tickets': Changed mapping.
    @@ -2,5 +2,5 @@
     name: Tickets
     mapping:
    -  summary: body.title
    +  summary: body.name
       severity: body.?level
     enabled: false
~ Channel 'Incidents': Changed filter, address or headers.
    @@ -1,6 +1,11 @@
     kind: WEBHOOK
     name: Incidents
    +url: env:TEST_HOOK_URL
    +headers:
    +  authorization: file:{header}
    +  x-team: '***'
     filter:
       severities:
       - ERROR
    +  - WARN
     enabled: false
~ Channel 'Everything': Changed triggers, address or headers.
    @@ -1,5 +1,6 @@
     kind: WEBHOOK
     name: Everything
    +url: https://hooks.example.com/***
     triggers:
    -- EVENT_CHANGED
    +- EVENT_RESOLVED
     enabled: false

0 to create, 3 to change, 0 to remove.
""",
    )
    assert (again[0], without_first_line(again[1])) == (0, NO_CHANGES)
    [channel, _] = await fetch_nodes(client, "channels", "id")
    headers = {"authorization": "Bearer T0KEN-of-the-header", "x-team": "pumps"}
    assert await has_address(client, channel["id"], SECRET_URL + "-2", headers)


async def test_prune_deletes_channels_and_sources_and_ends_silences(client: Client) -> None:
    silence = (
        f"{{filter: {{source: /a}}, startsAt: {in_days(-1)}, endsAt: {in_days(1)}, comment: c}}"
    )
    text = f"silences: [{silence}]\nsources: []\nchannels: []\n"
    assert (await client.execute_field(CREATE_CHANNEL, input=HOOK))["userErrors"] == []
    create = 'mutation { createSource(input: {name: "S", kind: GRAFANA}) { userErrors { code } } }'
    assert await client.execute_field(create) == {"userErrors": []}

    await apply_text(client, text)
    kept = [len(await fetch_nodes(client, name, "id")) for name in ("channels", "sources")]
    pruned = await apply_text(client, "silences: []\nsources: []\nchannels: []\n", "--prune")

    assert kept == [1, 1]
    assert "Applied 3 changes.\n" in pruned
    assert await fetch_nodes(client, "channels", "id") == []
    assert await fetch_nodes(client, "sources", "id") == []
    [ended] = await fetch_nodes(client, "silences", "comment active")
    assert ended == {"comment": "c", "active": False}


async def test_a_silence_is_created_changed_and_ended_by_its_start_and_filter(
    client: Client,
) -> None:
    start, end, later = in_days(-1), in_days(1), in_days(2)
    text = f"""
silences:
  - filter: {{source: /pumps/7}}
    startsAt: {start}
    endsAt: {end}
    comment: The bearing is being replaced.
  - filter: {{source: /pumps/8}}
    startsAt: {start}
    endsAt: {in_days(-0.5)}
    comment: It was over before it was applied.
"""
    selection = "filter startsAt endsAt comment active"
    other_notation = start.replace("Z", "+00:00")

    created = await apply_text(client, text)
    exported = yaml.safe_load(await export_text(client))["silences"]
    unchanged = await run_config(client, *PLAN, "-", text=text.replace(start, other_notation))
    changed = await apply_text(client, text.replace(end, later).replace("bearing", "seal"))
    [silence] = await fetch_nodes(client, "silences", selection)
    ended = await apply_text(client, text.replace(end, in_days(-0.1)))
    after = await export_text(client)

    assert "Applied 1 change.\n" in created
    assert exported == [
        {
            "startsAt": start,
            "filter": {"source": "/pumps/7"},
            "endsAt": end,
            "comment": "The bearing is being replaced.",
        }
    ]
    assert (unchanged[0], without_first_line(unchanged[1])) == (0, NO_CHANGES)
    assert f"Changed silence 'The bearing is being replaced.' from {start}.\n" in changed
    assert (silence["endsAt"], silence["comment"]) == (later, "The seal is being replaced.")
    assert "Removed silence 'The seal is being replaced.'" in ended
    assert [each["active"] for each in await fetch_nodes(client, "silences", "active")] == [False]
    # Otherwise, applying this file with --prune would end the silences of colleagues.
    assert "silences" not in yaml.safe_load(after)


async def test_a_saved_plan_is_refused_after_the_address_of_a_channel_changed(
    client: Client, text: str, secrets_file: str, tmp_path: Path
) -> None:
    await apply_text(client, text, "--secrets-file", secrets_file)
    plan = str(tmp_path / "plan.json")
    file = write_file(tmp_path, text.replace("[ERROR]", "[WARN]"))
    await run_config(client, "plan", file, "--out", plan)
    [channel, _] = await fetch_nodes(client, "channels", "id")
    update = "mutation ($input: UpdateChannelInput!) { updateChannel(input: $input) { secret } }"
    url = SECRET_URL.replace("url", "other")
    await client.execute_field(update, input={"id": channel["id"], "url": url})

    refused = await run_config(client, "apply", plan)

    assert (refused[0], refused[1]) == (1, "")
    assert refused[2].startswith("The configuration of the server changed after the plan was")
    assert "T0KEN" not in Path(plan).read_text()
    [channel, _] = await fetch_nodes(client, "channels", "filter")
    assert channel == {"filter": {"severities": ["ERROR"]}}


LITERAL = """
channels:
  - name: Chat
    kind: WEBHOOK
    url: https://hooks.example.com/T0KEN-1
    headers: {authorization: T0KEN-2, x-team: "env:TEST_TEAM"}
    enabled: false
  - {name: Text, kind: APPRISE, url: "json://hooks.example.com/T0KEN-3", enabled: false}
"""


async def test_a_plan_with_addresses_is_applied_with_its_file_and_shows_and_saves_none_of_them(
    client: Client, secrets_file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_TEAM", "pumps")
    plan = str(tmp_path / "plan.json")
    file = write_file(tmp_path, LITERAL)
    save = ("plan", file, "--out", plan)

    created = await run_config(client, *save)
    first = await run_config(client, "apply", plan, "--secrets-file", secrets_file)
    unchanged = await run_config(client, *save)
    write_file(tmp_path, LITERAL.replace("T0KEN", "NEW-T0KEN"))
    changed = await run_config(client, *save)
    saved = Path(plan).read_text()
    write_file(tmp_path, LITERAL)
    refused = await run_config(client, "apply", plan)
    write_file(tmp_path, LITERAL.replace("T0KEN", "NEW-T0KEN"))
    second = await run_config(client, "apply", plan)
    from_input = await run_config(client, "plan", "-", "--out", plan, text=LITERAL)

    assert (first[0], second[0], from_input[0]) == (0, 0, 1)
    assert without_first_line(unchanged[1]) == NO_CHANGES
    assert (
        without_first_line(changed[1])
        == """\
~ Channel 'Chat': Changed address or headers.
    @@ -1,3 +1,7 @@
     kind: WEBHOOK
     name: Chat
    +url: https://hooks.example.com/***
    +headers:
    +  authorization: '***'
    +  x-team: env:TEST_TEAM
     enabled: false
~ Channel 'Text': Changed address or headers.
    @@ -1,3 +1,4 @@
     kind: APPRISE
     name: Text
    +url: json://hooks.example.com/***
     enabled: false

0 to create, 2 to change, 0 to remove.
"""
    )
    assert refused == (
        1,
        "",
        f"{plan}:1:1: {file} changed after the plan was created. The plan does not contain it, "
        "because it has addresses of channels. Create a new plan.\n",
    )
    outputs = [created, first, unchanged, changed, refused, second, from_input]
    assert "T0KEN" not in saved + str(outputs)
    chat, text = await fetch_nodes(client, "channels", "id")
    headers = {"authorization": "NEW-T0KEN-2", "x-team": "pumps"}
    assert await has_address(client, chat["id"], "https://hooks.example.com/NEW-T0KEN-1", headers)
    assert await has_address(client, text["id"], "json://hooks.example.com/NEW-T0KEN-3")


async def test_an_address_that_is_no_text_is_an_error_that_does_not_print_it(
    client: Client, tmp_path: Path
) -> None:
    values = ("url: 70539", "url: env:A\n    headers: 70539", "url: env:A\n    headers: {a: 70539}")

    errors = []
    for value in values:
        file = write_file(tmp_path, f"channels:\n  - name: C\n    kind: WEBHOOK\n    {value}\n")
        errors.append((await run_config(client, "plan", file))[1:])

    assert errors == [
        ("", f"{file}:4:5: Invalid value ***: expected a string.\n"),
        ("", f"{file}:5:5: Invalid value ***: expected a mapping.\n"),
        ("", f"{file}:5:15: Invalid value ***: expected a string.\n"),
    ]


async def test_secrets_are_not_written_to_a_file_that_others_can_read(
    client: Client, text: str, tmp_path: Path, secrets_file: str
) -> None:
    Path(secrets_file).write_text("")
    Path(secrets_file).chmod(0o640)
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "elsewhere")

    readable = await run_config(client, *APPLY, "-", "--secrets-file", secrets_file, text=text)
    linked = await run_config(client, *APPLY, "-", "--secrets-file", str(link), text=text)

    assert (readable[0], readable[2]) == (
        1,
        f"Others can read {secrets_file}. Run chmod 600 {secrets_file}, or set a new file. "
        "Nothing was applied.\n",
    )
    assert (linked[0], linked[2]) == (
        1,
        f"Cannot write {link}: Too many levels of symbolic links.\n",
    )
    assert not (tmp_path / "elsewhere").exists()
    assert await fetch_nodes(client, "sources", "id") == []


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("env:TEST_MISSING", "The environment variable TEST_MISSING is not set or is empty."),
        ("env:TEST_EMPTY", "The environment variable TEST_EMPTY is not set or is empty."),
        ("file:/nonexistent/url", "Cannot read /nonexistent/url: No such file or directory."),
        ("env:TEST_SCHEME", "Invalid scheme ***. Use http or https."),
        ("env:TEST_HOST", "Invalid host ***. Use a name or an IP address."),
    ],
)
async def test_a_reference_without_a_valid_value_is_an_error_that_does_not_print_it(
    client: Client, tmp_path: Path, url: str, error: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_EMPTY", "")
    monkeypatch.setenv("TEST_SCHEME", "T0KEN:secret")
    monkeypatch.setenv("TEST_HOST", "https://T0KEN'secret/")
    channel = f"channels:\n  - name: C\n    kind: WEBHOOK\n    url: {url}\n"
    file = write_file(tmp_path, channel)

    code, out, err = await run_config(client, "plan", file)

    assert (code, out, err) == (1, "", f"{file}:5:5: {error}\n".replace(":5:5", ":4:5"))


async def test_a_new_channel_requires_an_address(client: Client, tmp_path: Path) -> None:
    file = write_file(tmp_path, "channels:\n  - {name: C, kind: WEBHOOK}\n")

    code, out, err = await run_config(client, "plan", file)

    assert (code, out, err) == (1, "", f"{file}:2:5: A new channel requires url.\n")


async def test_an_error_of_the_server_does_not_print_the_value_of_a_reference(
    client: Client, secrets_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The server has the list of allowed networks, and quotes the host of the address.
    monkeypatch.setenv("TEST_HOOK_URL", "http://10.1.2.3")
    text = "channels:\n  - {name: C, kind: WEBHOOK, url: 'env:TEST_HOOK_URL'}\n"

    code, out, err = await run_config(
        client, *APPLY, "-", "--secrets-file", secrets_file, text=text
    )

    assert code == 1
    assert err.startswith("channel 'C' (line 2): ")
    assert "http://10.1.2.3" not in out + err
    assert await fetch_nodes(client, "channels", "id") == []


@pytest.mark.parametrize(
    ("permissions", "missing"),
    [
        (["CHANNEL_MANAGE", "EVENT_READ"], "EVENT_CREATE"),
        (["CHANNEL_MANAGE", "EVENT_CREATE"], "EVENT_READ"),
    ],
)
async def test_nothing_is_applied_without_the_permissions_of_channels_and_sources(
    client: Client, text: str, secrets_file: str, permissions: list[str], missing: str
) -> None:
    key = await create_key(client, *permissions)

    code, _, err = await run_config(
        client, *APPLY, "-", "--secrets-file", secrets_file, key=key, text=text
    )

    assert (code, err) == (1, f"The credential lacks {missing}. Nothing was applied.\n")
    assert await fetch_nodes(client, "sources", "id") == []
    assert not Path(secrets_file).exists()


async def test_an_applied_channel_delivers_with_the_secret_of_the_file(
    client: Client, secrets_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with receive_webhooks() as receiver:
        monkeypatch.setenv("TEST_HOOK_URL", receiver.url)
        text = "channels:\n  - {name: C, kind: WEBHOOK, url: 'env:TEST_HOOK_URL'}\n"
        await apply_text(client, text, "--secrets-file", secrets_file)
        [record] = [json.loads(line) for line in Path(secrets_file).read_text().splitlines()]

        test = "mutation ($id: ID!) { testChannel(id: $id) { delivery { state } } }"
        tested = await client.execute_field(test, id=record["id"])

    assert tested == {"delivery": {"state": "DELIVERED"}}
    assert record["secret"].startswith("whsec_")
