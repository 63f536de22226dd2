"""Regular expressions that mean the same on the server and in a browser."""

from __future__ import annotations

import json
import shutil
import subprocess
from functools import cache

import pytest

from app.domain.event_types.fields import FieldKind
from app.domain.event_types.json_schema import validate_field_schema, validate_values
from app.domain.event_types.patterns import is_portable_pattern
from app.domain.shared.limits import Limits
from tests.domain.examples import make_field

NODE = shutil.which("node")
IN_A_BROWSER = """
const [patterns, texts] = JSON.parse(require("fs").readFileSync(0, "utf8"));
const judge = (pattern) => {
  try {
    const compiled = new RegExp(pattern, "u");
    return texts.map((text) => compiled.test(text));
  } catch {
    return null;
  }
};
console.log(JSON.stringify(patterns.map(judge)));
"""

COMMON = [
    "",
    "^[A-Z]{2}-[0-9]+$",
    "Größe №1, \U0001f600 #/%&'\"<>=!:;@_`~-",
    "a\nb",
    r"^\d\d$",
    r"^\D$",
    r"^\w+$",
    r"^\W$",
    r"a\sb",
    r"^\S+$",
    r"\t|\n|\r|\f|\v",
    r"^\.\*\+\?\(\)\[\]\{\}\|\^\$\/\\$",
    "^.$",
    "^a.b$",
    r"^a[.]b\..$",
    r"^[^\].]+.\\.$",
    "[abc]",
    "[^abc]",
    "^[a-zà-ÿ]+$",
    "^[-a]$",
    "^[a-]$",
    "[a^$.|?*+(){}]",
    r"^[\d\s.,-]+$",
    r"^[^\w\s]$",
    r"[\]\[\\]",
    "[a&b]",
    "[a~b]",
    "(a)(b)",
    "((a)|(?:b))c",
    "(?:ab)+",
    "(?:(?:a)?b)*c",
    "()",
    "a|b|",
    "(|a)b",
    "^a$|^b$",
    "(?:^|-)a(?:-|$)",
    "a*b+c?",
    "a*?b+?c??",
    "^a{2}$",
    "a{2,}",
    "^a{2,3}$",
    "a{2}?b{2,}?c{2,3}?",
    r"(a)?[b]*\d{2}.+",
]
TEXTS = [
    "",
    "\r",
    "\u2028",
    "a\rb",
    "a\u2029b",
    "axb",
    "a.b.\r",
    "ab\\x",
    "a",
    "b",
    "ab",
    "aab",
    "aaaa",
    "cab",
    "AB-12",
    "AB-12\n",
    "a\nb",
    "a\u00a0b",
    "-a-",
    "-",
    ".",
    "é",
    "Größe",
    "größe",
    "\U0001f600",
    "17",
    "\u0661\u0662",
    "1.5, 2",
    "\t",
    "\v",
    "\n",
    "\ufeff",
    "[",
    "\\",
    "^",
    "&",
    ".*+?()[]{}|^$/\\",
]


NOT_COMMON = [
    # flags, named groups, lookaround and other groups
    "(?i)a",
    "(?i:a)",
    "(?-u)a",
    "(?s).",
    "(?x)a b",
    "(?P<n>a)",
    "(?<n>a)",
    "(?=a)",
    "(?!a)",
    "(?<=a)b",
    "(?<!a)b",
    "(?>a)",
    "(?#a)",
    # escapes
    r"(a)\1",
    r"(?<n>a)\k<n>",
    r"a\z",
    r"\Aa",
    r"\pL",
    r"\x{41}",
    r"\x41",
    r"\u{41}",
    r"\0",
    r"\-",
    r"[\-a]",
    r"\a",
    r"\é",
    "a\\",
    # brackets and braces
    "a}",
    "a]",
    "{",
    "a{",
    "a{,2}",
    "a{b}",
    "a{\u0662}",
    "[",
    "[a",
    "[]",
    "[]a]",
    # operations on classes
    "[a&&b]",
    r"[\w&&\d]",
    "[[a]]",
    "[[:alpha:]]",
    "[a--b]",
    "[a~~b]",
    # quantifiers
    "*",
    "a**",
    "a++",
    "a*+",
    "a?+",
    "a???",
    "a{2}+",
    "a{2}{3}",
    "^*",
    "$+",
    "(*a)",
    "a|*",
    # boundaries of words
    r"\ba",
    r"\Ba",
    r"\b+",
    r"[\b]",
]


@pytest.mark.parametrize("pattern", COMMON)
def test_features_of_both_engines_are_accepted(pattern: str) -> None:
    field = make_field(kind=FieldKind.TEXT, pattern=pattern)

    assert is_portable_pattern(pattern)
    assert validate_field_schema(field, Limits()) == []


@pytest.mark.parametrize("pattern", NOT_COMMON)
def test_features_that_differ_between_engines_are_rejected(pattern: str) -> None:
    assert not is_portable_pattern(pattern)


@pytest.mark.skipif(NODE is None, reason="needs node, whose engine is a browser's")
def test_every_common_pattern_compiles_in_a_browser() -> None:
    refused = [pattern for pattern, results in _match_in_browser().items() if results is None]

    assert refused == []


@pytest.mark.skipif(NODE is None, reason="needs node, whose engine is a browser's")
@pytest.mark.parametrize("pattern", COMMON)
def test_a_browser_and_the_server_accept_the_same_texts(pattern: str) -> None:
    field = make_field(name="f", kind=FieldKind.TEXT, pattern=pattern)

    taken = [validate_values((field,), {"f": text}) == [] for text in TEXTS]

    assert taken == _match_in_browser()[pattern]


@pytest.mark.parametrize(
    ("piece", "times", "rest", "common"),
    [
        ("a", 1_000, "", True),
        ("a", 999, "[", False),
        ("a?", 499, "[", False),
        ("a{1,1}?", 142, "[", False),
        ("[a]", 333, "[", False),
        ("[", 1_000, "", False),
        ("[a", 500, "", False),
        (r"\[", 499, "[", False),
        (r"[\]", 333, "", False),
        ("a{", 1, "1" * 998, False),
        ("(", 500, "", True),
        ("(", 999, "[", False),
        ("(?:", 333, "", True),
        ("(?:", 333, "[", False),
    ],
)
def test_a_pattern_of_1000_characters_is_validated_in_one_pass(
    piece: str, times: int, rest: str, common: bool
) -> None:
    assert is_portable_pattern(piece * times + rest) == common


@cache
def _match_in_browser() -> dict[str, list[bool] | None]:
    """Returns the texts that match each common pattern, or None if it does not compile."""
    assert NODE is not None
    request = json.dumps([COMMON, TEXTS])
    ran = subprocess.run(
        [NODE, "-e", IN_A_BROWSER], input=request, capture_output=True, text=True, check=True
    )
    return dict(zip(COMMON, json.loads(ran.stdout), strict=True))
