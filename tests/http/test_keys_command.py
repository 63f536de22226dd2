"""The commands `tocsin keys`, which use the database directly."""

from __future__ import annotations

from pathlib import Path

from app.domain.access.caller import Permission
from app.services.auth.access import Access, authenticate_credential
from app.store.engine.database import Database
from tests.client import ADMINISTRATOR
from tests.factories import create_api_key
from tests.http.test_command import (
    create_older_database,
    missing_tables_message,
    run_command,
)

EVERYTHING = [part for each in Permission for part in ("--permission", each.value)]
CREATE = ("create", "--permission", "EVENT_READ", "--name")


async def run_keys_commands(
    folder: Path, *commands: tuple[str, ...], **settings: str
) -> list[tuple[int, str, str]]:
    """Runs `tocsin keys` commands. Returns exit code, output and errors of each."""
    return await run_commands(folder, *(("keys", *command) for command in commands), **settings)


async def run_commands(
    folder: Path, *commands: tuple[str, ...], **settings: str
) -> list[tuple[int, str, str]]:
    """Runs commands. Returns exit code, output and errors of each."""
    return [await run_command(folder, *command, **settings) for command in commands]


async def test_a_lost_administrator_key_can_be_replaced_and_revoked(
    database_url: str, database: Database, tmp_path: Path
) -> None:
    lost = (
        await authenticate_credential(Access(database), f"Bearer {ADMINISTRATOR}")
    ).credential_id

    before, created, revoked, again, after = await run_keys_commands(
        tmp_path,
        ("list",),
        ("create", "--name", "new administrator", "--every-organization", *EVERYTHING),
        ("revoke", str(lost)),
        ("revoke", str(lost)),
        ("list",),
        database_url=database_url,
    )

    output = ",".join(sorted(each.value for each in Permission))
    assert before == (
        0,
        f"{lost}\t*\tvalid\tnever\t{output}\tadministrator\n",
        "id\torganization\tstate\tlast used\tpermissions\tname\n",
    )
    code, secret, words = created
    assert (code, len(secret.splitlines())) == (0, 1)
    assert secret.startswith("tocsin_")
    assert secret.strip() not in words
    administrator = await authenticate_credential(Access(database), f"Bearer {secret.strip()}")
    assert administrator.name == "new administrator"
    assert administrator.every_organization
    assert administrator.permissions == frozenset(Permission)
    assert revoked[:2] == (0, "")
    assert f"API key {lost} (administrator): revoked since " in revoked[2]
    assert again == revoked
    rows = [line.split("\t") for line in after[1].splitlines()]
    assert [(row[2].split()[0], row[5]) for row in rows] == [
        ("valid", "new administrator"),
        ("revoked", "administrator"),
    ]


async def test_a_key_belongs_to_the_given_organization_and_expires_at_the_given_time(
    database_url: str, database: Database, tmp_path: Path
) -> None:
    await create_api_key(database, organization="acme")

    ends = ("--organization", "acme", "--expires-at", "2999-01-01T01:00:00+01:00")
    [(code, secret, _)] = await run_keys_commands(
        tmp_path, (*CREATE, "desk", *ends), database_url=database_url
    )

    caller = await authenticate_credential(Access(database), f"Bearer {secret.strip()}", "acme")
    assert code == 0
    assert caller.permissions == {Permission.EVENT_READ}
    assert not caller.every_organization
    assert str(caller.expires_at) == "2999-01-01 00:00:00+00:00"


async def test_each_mistake_is_reported_in_one_line_and_no_key_is_created(
    database_url: str, database: Database, tmp_path: Path
) -> None:
    attempts: dict[tuple[str, ...], tuple[int, str]] = {
        (*CREATE, ""): (1, "--name: name must not be empty."),
        (*CREATE, "a", "--expires-at", "2020-01-01T00:00:00Z"): (
            1,
            "--expires-at: The expiration time 2020-01-01T00:00:00.000000Z must be in the future.",
        ),
        (*CREATE, "a", "--expires-at", "tomorrow"): (
            2,
            "--expires-at: Invalid time 'tomorrow'. Use a time with a UTC offset or Z, for "
            "example 2027-01-01T00:00:00Z.",
        ),
        ("create", "--name", "a", "--permission", "EVENT_REED"): (
            2,
            "--permission: Invalid permission 'EVENT_REED'. Use one of EVENT_READ, EVENT_CREATE, "
            "EVENT_UPDATE, EVENT_DELETE, EVENT_TYPE_MANAGE, RULE_MANAGE, CHANNEL_MANAGE, "
            "ORGANIZATION_MANAGE.",
        ),
        (*CREATE, "a", "--organization", "nowhere"): (
            1,
            "--organization: There is no organization 'nowhere'.",
        ),
        (*CREATE, "a"): (
            1,
            "The organization has the maximum of 1 valid API key. Revoke a key first.",
        ),
        ("revoke", "x"): (2, "Invalid ID 'x': expected a UUID, as printed by `tocsin keys list`."),
        ("revoke", "018f0000-0000-7000-8000-000000000000"): (
            1,
            "There is no API key 018f0000-0000-7000-8000-000000000000.",
        ),
    }

    *answers, (_, listed, _) = await run_keys_commands(
        tmp_path,
        *attempts,
        ("list",),
        database_url=database_url,
        limits__api_keys_per_organization="1",
    )

    assert answers == [(code, "", f"{stderr}\n") for code, stderr in attempts.values()]
    assert [line.split("\t")[5] for line in listed.splitlines()] == ["administrator"]


async def test_a_missing_database_is_an_error_and_not_created(tmp_path: Path) -> None:
    code, out, err = await run_command(tmp_path, "keys", "list")

    assert (code, out) == (1, "")
    assert err == (
        f"There is no database at {tmp_path}/tocsin.db. Run `tocsin migrate` to create it.\n"
    )
    assert list(tmp_path.iterdir()) == []


async def test_a_database_of_another_version_is_an_error_and_not_migrated(
    database_url: str, tmp_path: Path
) -> None:
    older = await create_older_database(database_url, tmp_path)

    [answer] = await run_keys_commands(tmp_path, ("list",), database_url=older)

    assert answer == (1, "", f"{missing_tables_message(older)}\n")
