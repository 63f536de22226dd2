"""Texts that people read use standard terms: none of the phrases that the style guide replaces.

This is a floor: it finds known phrases, not sentences that are hard to understand.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]

# Phrase (a regular expression) and what to write instead.
REPLACED_PHRASES = {
    r"told|said|tells? of|says? of": "name the thing: 'value of', 'given in', 'documented in'",
    r"whoever|anybody|everybody|nobody": "name the role: the caller, all subscribers, no client",
    r"grave|gravity": "severity",
    r"what (became|becomes) of|how what": "result of, outcome of",
    r"who would|would be the one": "name the condition",
    r"(may|can|to|is|are) be had|to be had": "is available, can be read",
    r"its room|takes? room": "space, capacity",
    r"mends?|mended|mending": "fix",
    r"desks?|deeds?|doors?|halls?": "the standard term: context, mutation, API, page",
    r"at a stretch": "in a row, continuously",
    r"looked at|looks at": "checked, read, inspected",
    r"'[^']*' is no (id|type|number|cursor|instant|key|uuid)": "Invalid ID 'x': expected ...",
    r"takes? (an?|the) [a-z ]+ away|taken away": "delete, remove",
    r"hears? of|heard of|heard": "receive, notify",
    r"slow(ed|ing)(?! down)": "rate-limited, delayed",
    r"from then on|for ever": "afterwards, indefinitely",
    r"anew": "again",
    r"heeded": "used, respected",
    r"broken off|breaks? off": "interrupted, cancelled",
    r"caught(?! up)|forgotten": "matched, cleared",
    r"verdicts?": "result, validation result",
    r"paid for twice": "charged twice",
    r"the most characters": "maximum length in characters",
    r"lies? (in|on|beside|behind)": "is stored in, is",
    r"a text(?! (field|frame|message|value))": "a string, a text value",
    r"RFC 3339 instant": "RFC 3339 timestamp",
    r"from [0-9]+ to [0-9,]+ by default": "default 20, minimum 1, maximum 100 (configurable)",
    r"(those|that) are no(?! longer)": "that are not",
    r"changes of (an?|events|fields|types|rules)": "changes to",
    r"(is|are) of (another|a different|different|the same)": "belong to, point to, have",
    r"also those": "including those",
    r"do(es)? not fit": "is invalid for, does not match",
    r"replaces? (\S+ )?by": "replace ... with",
    r"knows|tells": "recognizes, serves, reports",
    r"belongs? to another|(choose|select|use) another": "a different",
    r"closes with": "closes the connection with code",
    r"none (may|are|is)(?=[.;])": "say what happens: 'the server rejects ...'",
    r"exclude each other": "are mutually exclusive",
    r"e-mail": "email",
    r"gets? (an? )?(HTTP )?(status )?[45][0-9]{2}": "fails with status 401, is rejected with 401",
    r"any ?more(?! than)": "no longer",
    r"defences?": "defense",
    r"another \S+ than": "a different ... than, ... other than",
    r"in another way": "in a different way",
    r"closes with( code)? [14][0-9]{3}": "closes the connection with code 4403",
    r"if not set, none": "name what happens without the setting",
    r"by default at most": "at most 100 by default",
    r"now if omitted": "defaults to the current time",
    r"null for none": "null means none",
}
PHRASES = re.compile(
    "|".join(rf"(?<!\w)(?:{phrase})(?!\w)" for phrase in REPLACED_PHRASES), re.IGNORECASE
)
# Names of others that contain such a word: file names, HTTP headers, quotations of other software.
EXCEPTIONS = re.compile(r"`[^`]*`|\"data-partition-id\"")


class Prose(NamedTuple):
    line: int
    text: str


def read_markup_prose(file: Path) -> Iterator[Prose]:
    """Lines of Markdown outside code blocks, lines of GraphQL and TypeScript."""
    in_code = False
    for number, line in enumerate(file.read_text().splitlines(), 1):
        if file.suffix == ".md" and line.lstrip().startswith("```"):
            in_code = not in_code
        elif not in_code:
            yield Prose(number, line)


def read_python_prose(file: Path) -> Iterator[Prose]:
    """Docstrings, comments and string literals that are sentences."""
    source = file.read_text()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield Prose(node.lineno, node.value)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield Prose(token.start[0], token.string)


def read_test_prose(file: Path) -> Iterator[Prose]:
    """Docstrings, comments, names of functions and classes, and messages of assertions.

    Other strings are input data.
    """
    source = file.read_text()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            if not isinstance(node, ast.Module):
                yield Prose(node.lineno, node.name.replace("_", " "))
            yield Prose(getattr(node, "lineno", 1), ast.get_docstring(node) or "")
        elif isinstance(node, ast.Assert) and node.msg is not None:
            yield Prose(node.lineno, ast.unparse(node.msg))
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield Prose(token.start[0], token.string)


def find_replaced_phrases(prose: Iterator[Prose]) -> list[str]:
    return [
        f"{line}: '{match[0]}' in '{' '.join(text.split())[:120]}'"
        for line, text in prose
        if (match := PHRASES.search(EXCEPTIONS.sub("", text)))
    ]


PYTHON_FILES = sorted(
    file
    for pattern in ("app/**/*.py", "benchmarks/*.py", "benchmarks/*/*.py")
    for file in ROOT.glob(pattern)
)
TEST_FILES = sorted(
    file
    for pattern in ("tests/*.py", "tests/*/*.py")
    for file in ROOT.glob(pattern)
    if file != Path(__file__) and "duplicat" not in file.name
)
MARKUP_FILES = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    ROOT / "schema.graphql",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted(
        file
        for folder in ("src", "shared", "console/src")
        for file in (ROOT / "web" / folder).rglob("*.ts*")
        if file.name != "generated.ts"
    ),
    ROOT / "benchmarks" / "README.md",
    *sorted(
        file
        for pattern in (
            "tests/*/*.mjs",
            "tests/*/*/*.ts",
            "benchmarks/*/*.mjs",
            "benchmarks/*/*/*.mjs",
        )
        for file in ROOT.glob(pattern)
        if "node_modules" not in file.parts
    ),
]


def relative_name(file: Path) -> str:
    return str(file.relative_to(ROOT))


@pytest.mark.parametrize("file", MARKUP_FILES, ids=relative_name)
def test_documents_schema_and_page_use_standard_terms(file: Path) -> None:
    assert find_replaced_phrases(read_markup_prose(file)) == []


def test_messages_docstrings_and_comments_use_standard_terms() -> None:
    phrases_by_file = {
        relative_name(file): phrases
        for file in PYTHON_FILES
        if (phrases := find_replaced_phrases(read_python_prose(file)))
    }

    assert phrases_by_file == {}


def test_tests_use_standard_terms() -> None:
    phrases_by_file = {
        relative_name(file): phrases
        for file in TEST_FILES
        if (phrases := find_replaced_phrases(read_test_prose(file)))
    }

    assert phrases_by_file == {}


@pytest.mark.parametrize(
    "text",
    [
        "How grave it is.",
        "mend the client",
        "'nope' is no id",
        "Bad credentials are slowed",
        "a text",
    ],
)
def test_a_phrase_that_was_replaced_is_found(text: str) -> None:
    assert find_replaced_phrases(iter([Prose(1, text)])) != []
