"""Configuration files without a server: their schema, and errors with line and column."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema_rs
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from app.cli import main
from app.configuration.yaml_file import format_yaml, parse_yaml
from tests.configuration.command import CONFIGURATION, write_file

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    TEXTS | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.booleans(),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(TEXTS, children, max_size=3),
    max_leaves=8,
)


# Each line repeats the list of the line before 1,000 times.
MANY_VALUES = "".join(
    f"{name}: &{name} [{', '.join([value] * 1000)}]\n" for name, value in (("a", "x"), ("b", "*a"))
)


def validate_text(folder: Path, text: str) -> tuple[int, str, list[str]]:
    """Returns the exit code, the output, and the errors without the name of the file."""
    file = write_file(folder, text)
    result = CliRunner().invoke(main, ["config", "validate", file])
    lines = result.stderr.splitlines()
    return result.exit_code, result.stdout, [line.removeprefix(f"{file}:") for line in lines]


def test_a_valid_file_has_its_sections_counted(tmp_path: Path) -> None:
    code, out, errors = validate_text(tmp_path, CONFIGURATION)

    assert (code, errors) == (0, [])
    assert out == (
        f"{tmp_path}/tocsin.yaml is valid: eventTypes 2, guardRules 2, duplicationRules 2, "
        "retentionPolicies 2.\n"
    )


@pytest.mark.parametrize(
    ("text", "errors"),
    [
        ("", ["1:1: The file is empty."]),
        ("eventTypes: [", ["1:14: Invalid YAML: while parsing a flow node, expected the node "]),
        ("a: 1\na: 2", ["2:1: Duplicate key 'a'."]),
        ("a: &x [*x]", ["1:4: An alias must not refer to a value that contains it."]),
        ("a: !!python/name:os.system x", ["1:4: Unsupported tag tag:yaml.org,2002:python/name"]),
        ("a: !!python/dict {b: 1}", ["1:4: Unsupported tag tag:yaml.org,2002:python/dict."]),
        ("a: !!set {b, c}", ["1:4: Unsupported tag tag:yaml.org,2002:set."]),
        ("a: !!int b", ["1:4: Invalid value 'b' for the tag tag:yaml.org,2002:int."]),
        ("a: !!bool maybe", ["1:4: Invalid value 'maybe' for the tag tag:yaml.org,2002:bool."]),
        (f"a: {'9' * 5000}", ["1:4: The number is too large."]),
        (f"a: 0x{'f' * 5000}", ["1:4: The number is too large."]),
        ('a: "\\ud800"', ["1:4: A string must not contain surrogates."]),
        ("- " * 1000, ["1:103: At most 50 levels of nested values are allowed."]),
        (MANY_VALUES, ["1:2402: At most 200,000 values are allowed."]),
        ("eventTyps: []", ["1:1: Unknown key 'eventTyps'. Did you mean eventTypes?"]),
        (
            "guardRules:",
            ["1:1: Invalid value null: expected a list. For an empty list, write []."],
        ),
        (
            "eventTypes:\n  - type: t\n    fields:\n      - {name: a, kind: TXT, unt: x}\n",
            [
                "2:5: The key name is missing.",
                "4:19: Invalid value 'TXT': expected TEXT or LONG_TEXT or ",
                "4:30: Unknown key 'unt'. Did you mean unit?",
            ],
        ),
        (
            "eventTypes:\n  - type: t\n    name: 5\n    conditionalRules:\n"
            "      - {name: r, effect: SHOW, targets: [], condition: {}}\n",
            [
                "3:5: Invalid value 5: expected a string.",
                "5:46: Exactly one of these keys is allowed: all, any, not, field.",
            ],
        ),
        (
            "eventTypes:\n  - {type: t, name: T}\n  - {type: t, name: U}\n",
            ["3:5: Another event type 't' is in line 2."],
        ),
        (
            "duplicationRules:\n"
            "  - {name: D, fingerprint: [summary], window: PT1S, action: FLAG}\n"
            "  - {name: D, fingerprint: [content], window: PT1S, action: FLAG}\n",
            [
                "3:5: Another duplication rule 'D' is in line 2. Change a name, or set the id of "
                "both."
            ],
        ),
        (
            "eventTypes:\n  - {type: t, name: T, sunsetAt: 2027-01-01}\n",
            [
                "2:24: Invalid time '2027-01-01': expected an RFC 3339 timestamp",
                "2:24: sunsetAt is allowed only with the state DEPRECATED.",
            ],
        ),
        (
            "guardRules:\n  - {id: x, name: G, expression: 'true', message: m}\n",
            ["2:6: Invalid ID 'x': expected a UUID."],
        ),
        (
            "retentionPolicies:\n  - {name: P, keepFor: P1D}\n"
            "  - {name: Q, keepFor: P1D, target: HISTORY, filter: {}}\n",
            [
                "2:5: A policy for events requires a filter. To select all events, use {}.",
                "3:46: A policy for the history must not have a filter. Omit the filter.",
            ],
        ),
        (
            "retentionPolicies:\n  - {name: P, keepFor: P1M, filter: {}}\n",
            ["2:15: keepFor must not be in years or months, because their length varies. Use "],
        ),
        (
            "duplicationRules:\n"
            "  - {name: D, fingerprint: [summary], window: soon, action: FLAG}\n",
            ['2:39: Invalid Duration "soon": expected an ISO 8601 duration in weeks, days, '],
        ),
    ],
)
def test_an_error_has_its_line_and_column(tmp_path: Path, text: str, errors: list[str]) -> None:
    code, out, found = validate_text(tmp_path, text)

    assert (code, out) == (1, "")
    assert len(found) == len(errors), found
    assert [line[: len(error)] for line, error in zip(found, errors, strict=True)] == errors


def test_values_are_validated_as_a_server_with_default_limits_does(tmp_path: Path) -> None:
    text = """
eventTypes:
  - type: t
    name: T
    fields:
      - {name: a, kind: TEXT, minimum: 1}
      - {name: b, kind: NUMBER}
guardRules:
  - {name: G, eventType: t, expression: event.fields.c > 1.0, message: m}
  - {name: H, eventType: elsewhere, expression: event.fields.c > 1.0, message: m}
duplicationRules:
  - {name: D, eventType: t, fingerprint: [fields.b, fields.c], window: P9999D, action: FLAG}
retentionPolicies:
  - {name: P, keepFor: PT1H, filter: {}}
"""

    code, _, errors = validate_text(tmp_path, text)

    assert code == 1
    assert errors == [
        "6:31: A field of kind TEXT cannot have minimum.",
        "9:29: Line 1, column 13 of the expression: Unknown field 'c': the event type has no such "
        "field.",
        "12:53: Unknown field 'c': the event type has no such field.",
        "12:64: window must be from PT0S to P3660D.",
        "14:15: keepFor must be from P1D to P36600D.",
    ]


def test_rules_that_only_the_server_can_check_are_counted(tmp_path: Path) -> None:
    text = "guardRules:\n  - {name: H, eventType: elsewhere, expression: oops(, message: m}\n"

    code, out, errors = validate_text(tmp_path, text)

    assert (code, errors) == (0, [])
    assert out.splitlines()[1] == (
        "The expressions of 1 guard rule were not checked, because the file does not contain the "
        "event type. `tocsin config plan` checks them."
    )


def test_the_printed_json_schema_accepts_the_file_and_describes_each_key() -> None:
    result = CliRunner().invoke(main, ["config", "schema"])

    schema = json.loads(result.stdout)
    assert result.exit_code == 0
    validator = jsonschema_rs.Draft202012Validator(schema)
    assert list(validator.iter_errors(yaml.safe_load(CONFIGURATION))) == []
    undescribed = [
        f"{name}.{key}"
        for name, definition in schema["$defs"].items()
        for key, value in definition["properties"].items()
        if not value["description"]
    ]
    assert undescribed == []
    event_type = schema["$defs"]["EventType"]
    assert event_type["required"] == ["type", "name"]
    assert event_type["properties"]["state"]["default"] == "PUBLISHED"
    assert {"eventTypeId", "position"} & schema["$defs"]["DuplicationRule"][
        "properties"
    ].keys() == (set())


@given(st.dictionaries(TEXTS, VALUES, max_size=3))
def test_written_yaml_is_read_as_the_same_value(value: object) -> None:
    assert parse_yaml(format_yaml(value)).value == value


@given(st.lists(TEXTS | st.booleans() | st.integers(), max_size=5))
def test_written_yaml_is_the_same_for_readers_of_yaml_1_1(value: object) -> None:
    assert yaml.safe_load(format_yaml(value)) == value


def test_texts_that_yaml_1_1_reads_as_other_values_are_texts() -> None:
    text = "[no, on, 2026-04-10, 12:30:00, 1_000, 0b1, 5, 0x1f, 1e3, .5, true, ~, '5']"

    document = parse_yaml(text)

    texts = ["no", "on", "2026-04-10", "12:30:00", "1_000", "0b1"]
    assert document.value == [*texts, 5, 31, 1000.0, 0.5, True, None, "5"]
