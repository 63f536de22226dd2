"""`tocsin export` and `tocsin import` with tables: csv, ndjson, json and parquet."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pyarrow.parquet
import pytest

from app.archives.rows import EVENT_COLUMNS, HISTORY_COLUMNS, IGNORED_COLUMNS
from app.domain.access.caller import Permission
from app.domain.events.severity import Outcome
from app.domain.events.state import Entity, EventDraft
from app.services.events import events
from app.store.engine.database import Database
from tests.archives.command_runner import cloud_event, count_events, run_command
from tests.client import Client
from tests.conftest import SQLITE
from tests.factories import NOON, admin_command, create_api_key

FORMATS = ["csv", "ndjson", "json", "parquet"]
CREATE = """
mutation ($input: CreateEventTypeInput!) {
  createEventType(input: $input) { eventType { id } userErrors { message } }
}
"""
FLARING = {
    "name": "Flaring",
    "type": "flaring",
    "category": "flares",
    "state": "PUBLISHED",
    "fields": [
        {"name": "volume", "kind": "NUMBER", "required": True, "maximum": 100},
        {"name": "lit", "kind": "BOOLEAN"},
        {"name": "causes", "kind": "MULTI_SELECT", "options": ["wind", "rain"]},
        {"name": "note", "kind": "TEXT"},
    ],
}


@pytest.fixture
def client(own_client: Client) -> Client:
    return own_client


def read_rows(path: Path, format: str) -> list[dict[str, Any]]:
    """Returns the rows of an export, by column."""
    if format == "csv":
        with path.open(newline="") as file:
            return list(csv.DictReader(file))
    if format == "parquet":
        rows: list[dict[str, Any]] = pyarrow.parquet.read_table(path).to_pylist()
        return rows
    if format == "json":
        read: list[dict[str, Any]] = json.loads(path.read_text())
        return read
    return [json.loads(line) for line in path.read_text().splitlines()]


LINES = [
    "x",
    "=1+1",
    "-5",
    "+x",
    "@x",
    "'=x",
    "'x",
    'a"b,c;d',
    "é😀\u2028",
    " x ",
    "007",
    "true",
]


def random_drafts(count: int) -> list[EventDraft]:
    random = Random(3)
    texts = [*LINES, "a\r\nb\nc\rd", "\ta", "\rb", "a\tb"]
    values = [*texts, 5, -5, 1.5, 10**20, True, None, ["a", 1], {"b": {"c": [None]}}]

    def maybe(values: Sequence[Any]) -> Any:
        return random.choice([None, *values])

    return [
        EventDraft(
            type=random.choice(["a", "b.c"]),
            summary=maybe(LINES),
            content=maybe(texts),
            source=maybe(["/a", "my source", "=x"]),
            source_id=maybe([f"id-{number}", f"={number}"]),
            subject=maybe(["-s"]),
            entity=maybe([Entity("Well", "-1")]),
            severity=maybe(["error", "critical", "-x"]),
            outcome=maybe(list(Outcome)),
            occurred_at=NOON.replace(microsecond=number),
            tags=tuple(random.sample(LINES, random.randint(0, 3))),
            fields={random.choice(LINES): random.choice(values) for _ in range(3)},
            notification=maybe([True]),
            acknowledged=maybe([True]),
            alert_key=maybe([f"key {number}"]),
            resolved_at=maybe([NOON.replace(minute=1)]),
        )
        for number in range(count)
    ]


def without_ignored(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows without what the server sets; of `acknowledgedAt`, only whether it is set."""
    return [
        {name: value for name, value in row.items() if name not in IGNORED_COLUMNS}
        | {"acknowledgedAt": bool(row["acknowledgedAt"])}
        for row in rows
    ]


@pytest.mark.parametrize("format", FORMATS)
async def test_events_that_another_organization_imports_are_exported_equal(
    database: Database, database_url: str, tmp_path: Path, format: str
) -> None:
    await create_api_key(database, Permission.EVENT_READ, organization="acme")
    drafts = random_drafts(80)
    reports = await events.log_events(database, await admin_command(database), drafts)
    assert not any(report.is_rejected for report in reports)
    first, second = tmp_path / "first", tmp_path / "second"
    to_acme = ("--organization", "acme", "--format", format)

    exported = await run_command(database_url, "export", "--format", format, "--output", first)
    imported = await run_command(database_url, "import", first, *to_acme)
    again = await run_command(database_url, "import", first, *to_acme)
    reexported = await run_command(database_url, "export", *to_acme, "--output", second)

    assert (exported.code, imported.code, again.code, reexported.code) == (0, 0, 0, 0)
    assert imported.out == "Imported 80, already present 0, counted as duplicates 0, rejected 0.\n"
    assert again.out == "Imported 0, already present 80, counted as duplicates 0, rejected 0.\n"
    rows = read_rows(first, format)
    assert list(rows[0]) == list(EVENT_COLUMNS)
    assert len(rows) == 80
    assert without_ignored(read_rows(second, format)) == without_ignored(rows)


async def test_a_row_has_content_acknowledgement_and_occurrences(
    database_url: str, client: Client, tmp_path: Path
) -> None:
    rule = {"name": "r", "fingerprint": ["summary"], "window": "P1D", "action": "COUNT"}
    await client.execute_field(
        "mutation ($input: CreateDuplicationRuleInput!) { createDuplicationRule(input: $input) "
        "{ userErrors { message } } }",
        input=rule,
    )
    event = await client.log_event(
        summary="s", content="=long\ntext", notification=True, occurredAt="2026-04-10T12:00:00Z"
    )
    await client.log_event(summary="s", occurredAt="2026-04-10T12:30:00Z")
    await client.execute_field(
        'mutation ($id: ID!) { acknowledgeEvent(id: $id, note: "seen") '
        "{ userErrors { message } } }",
        id=event["id"],
    )
    expected = {
        "id": event["id"],
        "occurredAt": "2026-04-10T12:00:00.000000Z",
        "content": "=long\ntext",
        "notification": True,
        "acknowledgedBy": "administrator",
        "acknowledgementNote": "seen",
        "occurrences": 2,
        "lastOccurredAt": "2026-04-10T12:30:00.000000Z",
        "entityType": None,
        "tags": [],
    }

    rows = {}
    for format in FORMATS:
        path = tmp_path / format
        await run_command(database_url, "export", "--format", format, "--output", path)
        [rows[format]] = read_rows(path, format)

    for format in ("ndjson", "json"):
        assert {name: rows[format][name] for name in expected} == expected
    as_texts = expected | {"content": "'=long\ntext", "notification": "true", "occurrences": "2"}
    as_texts |= {"entityType": "", "tags": "[]"}
    assert {name: rows["csv"][name] for name in expected} == as_texts
    typed = expected | {"tags": "[]", "occurredAt": NOON, "lastOccurredAt": NOON.replace(minute=30)}
    assert {name: rows["parquet"][name] for name in expected} == typed


async def test_a_csv_file_of_another_program_is_imported_by_kind(
    database: Database, database_url: str, client: Client, tmp_path: Path
) -> None:
    await client.execute_field(CREATE, input=FLARING)
    file = tmp_path / "flares.csv"
    file.write_text(
        "When;Volume;lit;causes;note;Well ID\n"
        "2026-04-10T12:00:00Z;12.5;TRUE;wind;'-5;w-1\n"
        "2026-04-10T13:00:00Z;a lot;false;wind;;w-1\n"
        "yesterday;1;true;rain;;w-2\n"
        "2026-04-10T14:00:00Z;-1;maybe;snow;;w-3\n"
    )
    maps = ("When=occurredAt", "Volume=volume", "Well ID=subject")
    options = [option for each in maps for option in ("--map", each)]
    command = ("import", str(file), "--format", "csv", "--type", "flaring", *options)

    checked = await run_command(database_url, *command, "--dry-run")
    stored_by_check = await count_events(database)
    imported = await run_command(database_url, *command)
    again = await run_command(database_url, *command)

    counts = "1, already present 0, counted as duplicates 0, rejected 3.\n"
    assert (checked.code, checked.out, stored_by_check) == (1, f"Would import {counts}", 0)
    assert (imported.code, imported.out) == (1, f"Imported {counts}")
    assert again.out == "Imported 0, already present 1, counted as duplicates 0, rejected 3.\n"
    assert checked.err == imported.err
    places = [line.partition(": ")[0] for line in imported.err]
    assert places == [
        "line 3, column 'Volume'",
        "line 4, column 'When'",
        "line 5, column 'lit'",
        "line 5, column 'causes'",
    ]
    answer = await client.execute_field(
        "{ events { nodes { type subject occurredAt source sourceId fields } } }"
    )
    [event] = answer["nodes"]
    assert event["sourceId"].startswith("line-2-")
    assert event | {"sourceId": None} == {
        "type": "flaring",
        "subject": "w-1",
        "occurredAt": "2026-04-10T12:00:00.000000Z",
        "source": "tocsin%20import",
        "sourceId": None,
        "fields": {"volume": 12.5, "lit": True, "causes": ["wind"], "note": "-5"},
    }


@pytest.mark.parametrize("format", ["ndjson", "json", "parquet"])
async def test_empty_texts_stay_empty(
    database: Database, database_url: str, client: Client, tmp_path: Path, format: str
) -> None:
    await create_api_key(database, Permission.EVENT_READ, organization="acme")
    await client.log_event(summary="", content="", fields={"note": ""})
    await client.log_event(summary="s", content=None)
    path, to_acme = tmp_path / "events", ("--organization", "acme")

    await run_command(database_url, "export", "--format", format, "--output", path)
    imported = await run_command(database_url, "import", path, "--format", format, *to_acme)
    exported = await run_command(database_url, "export", "--format", "ndjson", *to_acme)

    assert imported.out == "Imported 2, already present 0, counted as duplicates 0, rejected 0.\n"
    rows = [json.loads(line) for line in exported.out.splitlines()]
    assert [(row["summary"], row["content"], row["fields"]) for row in rows] == [
        ("", "", {"note": ""}),
        ("s", None, {}),
    ]


async def test_an_empty_text_is_absent_where_it_is_no_value(
    database_url: str, client: Client, tmp_path: Path
) -> None:
    await client.execute_field(CREATE, input=FLARING)
    file = tmp_path / "flares.ndjson"
    row = {"volume": 1, "lit": "", "causes": "", "note": "", "occurredAt": "", "subject": ""}
    file.write_text(json.dumps(row))

    imported = await run_command(
        database_url, "import", file, "--format", "ndjson", "--type", "flaring"
    )

    assert (imported.code, imported.err) == (0, [])
    answer = await client.execute_field("{ events { nodes { subject fields } } }")
    assert answer["nodes"] == [{"subject": None, "fields": {"volume": 1, "note": ""}}]


@pytest.mark.parametrize("delimiter", [";", ",", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
async def test_the_delimiter_line_of_excel_is_read(
    database_url: str, client: Client, tmp_path: Path, delimiter: str, encoding: str
) -> None:
    file = tmp_path / "events.csv"
    lines = [f"sep={delimiter}", f'summary{delimiter}"a, b; c"', f"s{delimiter}x", f"t{delimiter}"]
    file.write_bytes("\r\n".join(lines).encode(encoding))

    imported = await run_command(database_url, "import", file, "--format", "csv")

    assert (imported.code, imported.err) == (0, [])
    answer = await client.execute_field(
        "{ events(orderBy: {field: RECORDED_AT, direction: ASC}) "
        "{ nodes { summary fields sourceId } } }"
    )
    assert [
        (each["summary"], each["fields"], each["sourceId"][:7]) for each in answer["nodes"]
    ] == [("s", {"a, b; c": "x"}, "line-3-"), ("t", {}, "line-4-")]


@pytest.mark.parametrize("dialect", [SQLITE], indirect=True)
@pytest.mark.parametrize(
    ("content", "messages"),
    [
        (
            b"summary,host\rs,a\rt,b\r",
            [
                "line 1: The lines of the file end in a carriage return alone. Use line feeds, "
                "for example: tr '\\r' '\\n' < FILE | tocsin import --format csv -"
            ],
        ),
        (
            b"summary,host\ns,a\rt,b\nu,c\n",
            ["line 2: Invalid CSV: new-line character seen in unquoted field."],
        ),
        (
            "summary\ns\n".encode("utf-16") + b"\0",
            ["file: Cannot read the rest of the file: it is not valid UTF-16 (truncated data)."],
        ),
        (
            b"sep=;\na;a\n1;2\n",
            [
                "line 2: Columns 'a' and 'a' have the same target 'fields.a'. Rename one, map it "
                "with --map to another target, or ignore it with --map 'column='."
            ],
        ),
    ],
)
async def test_an_error_of_a_csv_file_has_its_place_and_says_how_to_fix_it(
    database_url: str, tmp_path: Path, content: bytes, messages: list[str]
) -> None:
    file = tmp_path / "events.csv"
    file.write_bytes(content)

    imported = await run_command(database_url, "import", file, "--format", "csv")

    assert (imported.code, imported.err) == (1, messages)


async def test_a_dry_run_recognizes_events_that_are_stored(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "events.ndjson"
    lines = [cloud_event("a"), cloud_event("b"), {"specversion": "1.0"}]
    file.write_text("\n".join(map(json.dumps, lines[:1])))
    await run_command(database_url, "import", file)
    file.write_text("\n".join(map(json.dumps, lines)))

    checked = await run_command(database_url, "import", file, "--dry-run")

    assert checked.code == 1
    assert checked.out == (
        "Would import 1, already present 1, counted as duplicates 0, rejected 1.\n"
    )
    assert await count_events(database) == 1


@pytest.mark.parametrize("format", FORMATS)
async def test_the_history_has_all_entries_in_order(
    database_url: str, client: Client, tmp_path: Path, format: str
) -> None:
    await client.execute_field(CREATE, input=FLARING)
    event = await client.log_event(summary="a")
    await client.execute_field(
        'mutation ($id: ID!) { updateEvent(input: {id: $id, summary: "=b"}) '
        "{ userErrors { message } } }",
        id=event["id"],
    )
    await client.execute_field(
        "mutation ($id: ID!) { deleteEvent(id: $id) { userErrors { message } } }", id=event["id"]
    )
    path = tmp_path / "history"

    result = await run_command(
        database_url, "export", "--history", "--format", format, "--output", path
    )

    assert result.code == 0
    rows = read_rows(path, format)
    assert result.err[0] == f"Exported {len(rows)} entries."
    assert list(rows[0]) == list(HISTORY_COLUMNS)
    of_event = [row for row in rows if row["subjectId"] == event["id"]]
    assert [row["kind"] for row in of_event] == ["LOGGED", "UPDATED", "DELETED"]
    assert {row["subjectType"] for row in of_event} == {"Event"}
    assert {row["subjectType"] for row in rows} >= {"Event", "EventType"}
    changes = of_event[1]["changes"]
    changes = json.loads(changes) if isinstance(changes, str) else changes
    assert changes["summary"] == ["a", "=b"]
    assert "secret" not in json.dumps(rows, default=str)


async def test_the_history_of_a_time_range_is_continued_in_its_file(
    database_url: str, client: Client, tmp_path: Path
) -> None:
    path = tmp_path / "history.csv"
    command = ("export", "--history", "--format", "csv", "--from", "2026-01-01T00:00:00Z")
    await client.log_event(summary="a")
    await run_command(database_url, *command, "--output", path)
    before = read_rows(path, "csv")
    await client.log_event(summary="b")

    await run_command(database_url, *command, "--output", path)
    none = await run_command(database_url, "export", "--history", "--to", "2026-01-01T00:00:00Z")

    rows = read_rows(path, "csv")
    assert rows[: len(before)] == before
    assert [row["kind"] for row in rows[len(before) :]] == ["LOGGED"]
    assert (none.code, none.out, none.err[0]) == (0, "", "Exported 0 entries.")


async def test_a_csv_file_is_continued_without_a_second_header(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    context, path = await admin_command(database), tmp_path / "events.csv"
    command = ("export", "--format", "csv", "--output", path)
    await events.log_events(database, context, [EventDraft(summary="a")])
    await run_command(database_url, *command)
    await events.log_events(database, context, [EventDraft(summary="b")])

    await run_command(database_url, *command)
    other = await run_command(database_url, "export", "--output", path)

    assert [row["summary"] for row in read_rows(path, "csv")] == ["a", "b"]
    assert other.code == 2
    assert other.err[0].startswith(f"The export to {path} was started with different options")


@pytest.mark.parametrize("format", ["json", "parquet"])
async def test_a_file_that_has_an_end_is_not_continued(
    database: Database, database_url: str, tmp_path: Path, format: str
) -> None:
    context, path = await admin_command(database), tmp_path / "events"
    await events.log_events(database, context, [EventDraft(summary="a")])

    first = await run_command(database_url, "export", "--format", format, "--output", path)
    content = path.read_bytes()
    await events.log_events(database, context, [EventDraft(summary="b")])
    second = await run_command(database_url, "export", "--format", format, "--output", path)
    later = await run_command(database_url, "export", "--format", "ndjson", "--after", first.cursor)

    assert second.code == 2
    assert second.err == [
        f"--output: {path} exists, and an export in this format cannot be continued. Choose a "
        "different file."
    ]
    assert path.read_bytes() == content
    assert [json.loads(line)["summary"] for line in later.out.splitlines()] == ["b"]


@pytest.mark.parametrize("format", FORMATS)
async def test_an_export_without_events_is_a_valid_file(
    database: Database, database_url: str, tmp_path: Path, format: str
) -> None:
    path = tmp_path / "events"

    exported = await run_command(database_url, "export", "--format", format, "--output", path)
    imported = await run_command(database_url, "import", path, "--format", format)

    assert (exported.code, imported.code) == (0, 0)
    assert read_rows(path, format) == []
    assert imported.out == "Imported 0, already present 0, counted as duplicates 0, rejected 0.\n"


@pytest.mark.parametrize("dialect", [SQLITE], indirect=True)
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("export", "--format", "xml"),
            "--format: Unknown format 'xml'. Use one of cloudevents, csv, ndjson, json, parquet.",
        ),
        (("export", "--raw"), "--raw is only allowed with --format csv."),
        (
            ("export", "--history", "--format", "cloudevents"),
            "--history needs one of the formats csv, ndjson, json and parquet.",
        ),
        (
            ("export", "--history", "--type", "a"),
            "--history can only be combined with --from and --to.",
        ),
        (
            ("import", __file__, "--type", "a"),
            "--type and --map need a --format of tables: csv, ndjson, json or parquet.",
        ),
        (
            ("import", __file__, "--format", "csv", "--map", "a"),
            "--map: Invalid value 'a'. Use COLUMN=FIELD.",
        ),
        (
            ("import", __file__, "--format", "csv", "--map", "a=b", "--map", "a=c"),
            "--map: Column 'a' is mapped more than once.",
        ),
        (
            ("import", "-", "--format", "parquet"),
            "Parquet cannot be read from standard input. Name a file.",
        ),
    ],
)
async def test_an_invalid_option_is_reported_in_one_line(
    database_url: str, arguments: tuple[str, ...], message: str
) -> None:
    result = await run_command(database_url, *arguments)

    assert (result.code, result.out, result.err) == (2, "", [message])


@pytest.mark.parametrize("dialect", [SQLITE], indirect=True)
async def test_a_file_that_is_no_parquet_file_is_an_error(
    database_url: str, tmp_path: Path
) -> None:
    path = tmp_path / "events.parquet"
    path.write_text("id,type\n1,a\n")

    result = await run_command(database_url, "import", path, "--format", "parquet")

    assert result.code == 1
    assert result.err[0].startswith("file: Cannot read the file: Parquet magic bytes not found")


def test_the_drafts_of_the_tests_differ() -> None:
    drafts = random_drafts(80)

    assert len({replace(draft, occurred_at=None).digest() for draft in drafts}) > 75
