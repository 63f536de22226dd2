"""The code of docs/forms.md shows and validates forms with the defaults of each library."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests import node
from tests.client import Client
from tests.event_type_client import define_event_type, field_input, predicate_input, rule_input

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PAGE = (ROOT / "docs/forms.md").read_text()
FORM = re.search(r"^```graphql\n(.*?)^```$", PAGE, re.M | re.S)
SECONDS = 120
OPTION_VALUE = re.compile(r'<option[^>]*? value="([^"]*)"')
INPUT = re.compile(r"<(input|textarea|select)[^>]*>")
FIELDS = [
    field_input(
        "volume_mcf",
        "NUMBER",
        label="Volume",
        unit="mcf",
        required=True,
        minimum=0,
        helpText="Gas flared.",
    ),
    field_input("contact", "EMAIL", label="Contact"),
    field_input("dashboard", "URL", label="Dashboard"),
    field_input("details", "LONG_TEXT", label="Details"),
    field_input("day", "DATE", label="Day"),
    field_input("ended_at", "DATETIME", label="End"),
    field_input("cause", "SELECT", label="Cause", options=["weather", "failure"]),
    field_input("hours", "INTEGER", label="Duration", unit="h", required=True),
    field_input("reason", label="Reason"),
    field_input("depth", "NUMBER", label="Depth"),
    field_input("wells", "INTEGER", label="Wells"),
    field_input(
        "phase",
        "SELECT",
        label="Phase",
        choices=[{"value": "on", "label": "Started"}, {"value": "off"}],
    ),
    field_input(
        "shift", "SELECT", label="Shift", required=True, choices=[{"value": "d", "label": "Day"}]
    ),
]
RULES = [
    rule_input("SHOW", "hours", predicate_input("volume_mcf", "GTE", 100)),
    rule_input("REQUIRE", "reason", predicate_input("volume_mcf", "GTE", 100)),
]
INPUT_TYPES = {
    "volume_mcf": "number",
    "contact": "email",
    "dashboard": "url",
    "details": "textarea",
    "day": "date",
    "ended_at": "datetime-local",
    "cause": "select",
    "hours": "number",
    "reason": "text",
    "depth": "number",
    "wells": "number",
    "phase": "select",
    "shift": "select",
}


async def show_form(client: Client, fields: dict[str, Any]) -> Any:
    """Shows forms in Node, with the schemas that the query of the page returns."""
    assert FORM is not None
    await define_event_type(client, *FIELDS, type="flaring.incident", conditionalRules=RULES)
    draft07 = await client.execute_field(FORM[1])
    draft2020 = await client.execute_field(FORM[1].replace("draft: DRAFT_07", "draft: null"))
    node.install_packages(HERE)
    process = subprocess.run(
        ["node", "show_forms.mjs"],
        cwd=HERE,
        env=node.node_environment() | {"NODE_ENV": "production"},
        input=json.dumps(
            {
                "draft07": draft07["jsonSchema"],
                "draft2020": draft2020["jsonSchema"],
                "uiSchema": draft07["uiSchema"],
                "fields": fields,
            }
        ),
        stdout=subprocess.PIPE,
        encoding="utf-8",
        check=True,
        timeout=SECONDS,
    )
    return json.loads(process.stdout)


async def test_both_forms_show_each_field_with_its_input_label_and_unit(client: Client) -> None:
    shown = await show_form(client, {"volume_mcf": 150})

    for html, id_format in (
        (shown["rjsfHtml"], 'id="root_{}"'),
        (shown["jsonFormsHtml"], 'id="#/properties/{}-input"'),
    ):
        inputs = {
            name: match[0]
            for name in INPUT_TYPES
            for match in INPUT.finditer(html)
            if id_format.format(name) in match[0]
        }
        assert {name: _input_type(tag) for name, tag in inputs.items()} == INPUT_TYPES
        labels = re.findall(r"<label[^>]*>([^<*]*)", html)
        assert labels == [
            *("Volume (mcf)", "Contact", "Dashboard", "Details", "Day", "End", "Cause"),
            *("Duration (h)", "Reason", "Depth", "Wells", "Phase", "Shift"),
        ]
        # Each select field has one empty entry, and its options.
        values = OPTION_VALUE.findall(html)
        assert (values.count(""), len(values)) == (3, 3 + 2 + 2 + 1)
        assert "Started" in html
        assert "(none)" not in html
    assert shown["rjsfHtml"].count("Gas flared.") == 1
    # react-jsonschema-form with the schema as it is has one more entry for labelled options.
    assert shown["plainHtml"].count("<option") == 8 + 2


async def test_a_form_shows_a_field_only_while_it_is_visible(client: Client) -> None:
    shown = await show_form(client, {"volume_mcf": 50, "shift": "d"})

    assert 'id="root_reason"' in shown["rjsfHtml"]
    assert 'id="root_hours"' not in shown["rjsfHtml"]
    hidden = re.findall(r'hidden="" id="#/properties/(\w+)"', shown["jsonFormsHtml"])
    assert hidden == ["hours"]
    assert {name: errors for name, errors in shown.items() if "Html" not in name and errors} == {}


async def test_errors_name_the_label_of_the_field(client: Client) -> None:
    shown = await show_form(
        client,
        {
            "volume_mcf": 150,
            "contact": "somebody",
            "dashboard": "https://a/?b[c]=1",
            "shift": "d",
        },
    )

    assert shown["rjsf"] == [
        "must have required property 'Duration (h)'",
        "must have required property 'Reason'",
        "'Contact' must match format \"email\"",
        "'Dashboard' must match format \"uri\"",
    ]
    for name in ("ajvDraft07", "ajvDraft2020"):  # by default, Ajv stops at the first error
        assert shown[name] == ["Duration: must have required property 'hours'"]
    assert {'must match format "email"', 'must match format "uri"'} < set(shown["jsonForms"])
    html = shown["jsonFormsHtml"]
    assert html.count("is a required property") == 2


@pytest.mark.parametrize("file", [file.name for file in sorted((HERE / "forms").glob("*.mjs"))])
def test_the_page_shows_the_code_that_is_tested(file: str) -> None:
    code_blocks = dict(
        re.findall(r"^`tests/parity/forms/(\S+)`:\n\n```\w+\n(.*?)^```$", PAGE, re.M | re.S)
    )

    assert code_blocks[file] == (HERE / "forms" / file).read_text()


def _input_type(tag: str) -> str:
    type_ = re.search(r' type="([\w-]+)"', tag)
    name = re.match(r"<(\w+)", tag)
    assert name is not None
    return type_[1] if type_ else name[1]
