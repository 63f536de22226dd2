"""Tools of client developers work with the schema: Relay, codegen, eslint and inspector."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests import node
from tests.client import TIMEOUT_SECONDS
from tests.scripts import run_command

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SCHEMA = (ROOT / "schema.graphql").read_text()
CONTRACT = (ROOT / "tests/contract/contract.graphql").read_text()
ONE_OF_LOST = "DIRECTIVE_USAGE_INPUT_OBJECT_REMOVED"


@pytest.fixture(scope="module", autouse=True)
def packages() -> None:
    node.install_packages(HERE)


def test_relay_compiles_pagination_and_refetchable_nodes(tmp_path: Path) -> None:
    project = copy_project("relay", tmp_path)
    (project / "made").mkdir()

    compiled = run_script(project, "relay-compiler/cli.js")
    typed = run_script(project, "typescript/bin/tsc")

    assert (compiled.returncode, typed.returncode) == (0, 0), compiled.stdout + typed.stdout
    refetched = {
        match[0]
        for file in (project / "made").iterdir()
        for match in re.finditer(
            r"\bnode\(id: \$id\)|\b(events|notifications)\(first: ", file.read_text()
        )
    }
    assert refetched == {"node(id: $id)", "events(first: ", "notifications(first: "}


def test_relay_s_compiler_detects_an_invalid_connection(tmp_path: Path) -> None:
    project = copy_project(
        "relay", tmp_path, replace_in_schema("  node: Event!\n", "  nodes: [Event!]!\n")
    )
    (project / "made").mkdir()

    compiled = run_script(project, "relay-compiler/cli.js")

    assert compiled.returncode != 0
    assert "EventEdge" in compiled.stdout + compiled.stderr


def test_tsc_compiles_generated_types_and_a_program_that_uses_them(tmp_path: Path) -> None:
    project = copy_project("codegen", tmp_path)

    process = run_script(HERE, "../generate.mjs", str(project / "schema.graphql"), str(project))
    typed = run_script(project, "typescript/bin/tsc")

    assert (process.returncode, process.stderr) == (0, "")
    assert (typed.returncode, typed.stdout) == (0, "")
    assert json.loads((project / "tsconfig.json").read_text())["compilerOptions"]["strict"] is True


def test_the_program_does_not_compile_without_one_of(tmp_path: Path) -> None:
    lost = replace_in_schema("input EventTypeBy @oneOf", "input EventTypeBy")
    project = copy_project("codegen", tmp_path, lost)

    run_script(HERE, "../generate.mjs", str(project / "schema.graphql"), str(project))
    typed = run_script(project, "typescript/bin/tsc")

    assert "Unused '@ts-expect-error' directive" in typed.stdout


def test_eslint_finds_no_problems(tmp_path: Path) -> None:
    (tmp_path / "schema.graphql").write_text(SCHEMA)

    assert lint_schema(tmp_path) == []


def test_eslint_detects_an_invalid_connection_and_missing_descriptions(tmp_path: Path) -> None:
    broken = replace_in_schema('  """Whether there are rows before this page."""\n', "")
    broken = broken.replace("EventEdge", "EventLink").replace("Viewer", "ViewerType")
    (tmp_path / "schema.graphql").write_text(broken)

    assert {"naming-convention", "relay-edge-types", "require-description"} <= set(
        lint_schema(tmp_path)
    )


def test_inspector_finds_no_breaking_change_from_the_contract_to_the_schema(tmp_path: Path) -> None:
    changes = inspect_schema(tmp_path, SCHEMA)["changes"]

    assert [change for change in changes if change["level"] == "BREAKING"] == []
    assert [change for change in changes if change["type"] == ONE_OF_LOST] == []


def test_inspector_supports_one_of(tmp_path: Path) -> None:
    both = 'query Both { eventType(by: { id: "1", type: "2" }) { id } }'

    lost = inspect_schema(
        tmp_path, replace_in_schema("input EventTypeBy @oneOf", "input EventTypeBy")
    )["changes"]
    [messages] = inspect_schema(tmp_path, SCHEMA, {"both": both})["messages"]

    removed = [change["message"] for change in lost if change["type"] == ONE_OF_LOST]
    assert removed == ["Directive 'oneOf' was removed from input object 'EventTypeBy'"]
    assert messages["errors"] == ['OneOf Input Object "EventTypeBy" must specify exactly one key.']


def test_inspector_accepts_every_document_of_the_readme_and_the_docs(tmp_path: Path) -> None:
    documents = {
        f"{file.relative_to(ROOT)}:{index}": body
        for file in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
        for index, body in enumerate(
            re.findall(r"```graphql\n(.*?)```", file.read_text(), re.DOTALL)
        )
    }

    messages = inspect_schema(tmp_path, SCHEMA, documents)["messages"]

    assert messages == []
    assert len(documents) > 20


def replace_in_schema(old: str, new: str) -> str:
    """Returns the schema with one text replaced."""
    assert old in SCHEMA
    return SCHEMA.replace(old, new)


def copy_project(name: str, folder: Path, schema: str = SCHEMA) -> Path:
    """Copies the project, so that generated files stay outside the repository."""
    project = shutil.copytree(HERE / name, folder / name)
    (project / "node_modules").symlink_to(HERE / "node_modules")
    (project / "schema.graphql").write_text(schema)
    return project


def run_script(folder: Path, script: str, *arguments: str, stdin: str = "") -> Any:
    """Runs a script of a package, or of this folder."""
    return run_command(
        folder,
        "node",
        HERE / "node_modules" / script,
        *arguments,
        stdin=stdin,
        seconds=2 * TIMEOUT_SECONDS,
    )


def lint_schema(folder: Path) -> list[str]:
    """Returns the rules that the schema in the folder violates."""
    config = ("--config", str(HERE / "eslint.config.js"))
    process = run_script(
        folder, "eslint/bin/eslint.js", *config, "--format", "json", "schema.graphql"
    )
    [file] = json.loads(process.stdout)
    return [str(message["ruleId"]).split("/")[-1] for message in file["messages"]]


def inspect_schema(folder: Path, schema: str, documents: dict[str, str] | None = None) -> Any:
    for name, text in (("contract.graphql", CONTRACT), ("schema.graphql", schema)):
        (folder / name).write_text(text)
    named_documents = [{"name": name, "body": body} for name, body in (documents or {}).items()]
    files = (str(folder / "contract.graphql"), str(folder / "schema.graphql"))
    process = run_script(HERE, "../inspect.mjs", *files, stdin=json.dumps(named_documents))
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout)
