"""Reads YAML with the position of each value, and writes it so that every YAML version reads it.

Files are read by the core schema of YAML 1.2: `no`, `on` and `2026-04-10` are texts, not a boolean
or a date.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from app.domain.shared.messages import quote_value

ValuePath = tuple[str | int, ...]

MAX_DEPTH = 50  # nested values
MAX_VALUES = 200_000  # with the values that aliases repeat
_LINE_BREAKS = re.compile("[\x85\u2028\u2029]")
_SURROGATES = re.compile("[\ud800-\udfff]")
_MAX_DIGITS = 300  # a greater number is not finite as a float
_TEXT = "tag:yaml.org,2002:str"
_LIST = "tag:yaml.org,2002:seq"
_MAPPING = "tag:yaml.org,2002:map"
_NULL = "tag:yaml.org,2002:null"
_BOOLEAN = "tag:yaml.org,2002:bool"
_INT = "tag:yaml.org,2002:int"
_FLOAT = "tag:yaml.org,2002:float"
# With the first characters of the texts that the pattern matches; None means any.
_CORE_SCHEMA = (
    (_NULL, re.compile(r"~|null|Null|NULL|"), None),
    (_BOOLEAN, re.compile(r"true|True|TRUE|false|False|FALSE"), list("tTfF")),
    (_INT, re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+"), list("-+0123456789")),
    (
        _FLOAT,
        re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"),
        list("-+.0123456789"),
    ),
)


class InvalidYamlError(Exception):
    """The text is not valid YAML. `line` and `column` start at 1."""

    def __init__(self, message: str, line: int, column: int) -> None:
        super().__init__(message)
        self.message, self.line, self.column = message, line, column


@dataclass(frozen=True)
class YamlDocument:
    """The value of a document, and the line and column of each part of it, which start at 1."""

    value: Any
    positions: dict[ValuePath, tuple[int, int]] = field(default_factory=dict)

    def find_position(self, path: ValuePath) -> tuple[int, int]:
        """Returns the position of the value, or of the innermost existing value around it."""
        while path not in self.positions:
            path = path[:-1]
        return self.positions[path]


class _Loader(yaml.BaseLoader):  # type: ignore[misc]  # PyYAML has no types
    """A loader that resolves tags by the core schema, and limits the depth of values."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.depth > MAX_DEPTH:
            mark = self.peek_event().start_mark
            message = f"At most {MAX_DEPTH} levels of nested values are allowed."
            raise InvalidYamlError(message, mark.line + 1, mark.column + 1)
        self.depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1


class _Dumper(yaml.SafeDumper):  # type: ignore[misc]
    """A dumper that quotes texts which the core schema or YAML 1.1 would read as other values."""

    def ignore_aliases(self, _value: Any) -> bool:
        return True


_PATTERNS = {tag: pattern for tag, pattern, _ in _CORE_SCHEMA}
for _tag, _pattern, _first in _CORE_SCHEMA:
    # A pattern is matched at the start only.
    _whole = re.compile(rf"(?:{_pattern.pattern})$")
    _Loader.add_implicit_resolver(_tag, _whole, _first)
    _Dumper.add_implicit_resolver(_tag, _whole, _first)


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    # YAML 1.1 regards more characters as line breaks, which only escapes preserve.
    style = '"' if _LINE_BREAKS.search(text) else "|" if "\n" in text else None
    return dumper.represent_scalar(_TEXT, text, style=style)


def _represent_float(dumper: yaml.SafeDumper, number: float) -> yaml.ScalarNode:
    return dumper.represent_scalar(_FLOAT, repr(number))


_Dumper.add_representer(str, _represent_text)
_Dumper.add_representer(float, _represent_float)


def format_yaml(value: Any) -> str:
    """Formats a JSON value. Keys keep their order."""
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
    return text


def parse_yaml(text: str) -> YamlDocument:
    """Parses one document. Raises InvalidYamlError."""
    try:
        node = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        position = (1, 1) if mark is None else (mark.line + 1, mark.column + 1)
        message = ", ".join(filter(None, (error.context, error.problem)))
        raise InvalidYamlError(f"Invalid YAML: {message}.", *position) from None
    except yaml.reader.ReaderError as error:
        line_start = text.rfind("\n", 0, error.position) + 1
        line = text.count("\n", 0, error.position) + 1
        message = f"Invalid YAML: {error.reason}."
        raise InvalidYamlError(message, line, error.position - line_start + 1) from None
    document = YamlDocument(None if node is None else {}, {(): (1, 1)})
    if node is None:
        return document
    value = _read_node(node, (), (), document.positions)
    return YamlDocument(value, document.positions)


def _read_node(
    node: yaml.Node,
    path: ValuePath,
    parents: tuple[yaml.Node, ...],
    positions: dict[ValuePath, tuple[int, int]],
) -> Any:
    """Converts a node to a JSON value, and adds its positions. Raises InvalidYamlError."""
    if any(node is parent for parent in parents):
        raise _error_at(node, "An alias must not refer to a value that contains it.")
    if len(positions) > MAX_VALUES:
        raise _error_at(node, f"At most {MAX_VALUES:,} values are allowed.")
    parents = (*parents, node)
    match node:
        case yaml.MappingNode(tag=tag) if tag == _MAPPING:
            values: dict[str, Any] = {}
            for key_node, value_node in node.value:
                key = key_node.value
                if not isinstance(key, str):
                    raise _error_at(key_node, "A key must be a string.")
                if key in values:
                    raise _error_at(key_node, f"Duplicate key {quote_value(key)}.")
                child_path = (*path, key)
                positions[child_path] = _position_of(key_node)
                values[key] = _read_node(value_node, child_path, parents, positions)
            return values
        case yaml.SequenceNode(tag=tag) if tag == _LIST:
            items = []
            for index, item_node in enumerate(node.value):
                positions[(*path, index)] = _position_of(item_node)
                items.append(_read_node(item_node, (*path, index), parents, positions))
            return items
        case yaml.ScalarNode():
            return _read_scalar(node)
    raise _error_at(node, f"Unsupported tag {node.tag}.")


def _read_scalar(node: yaml.ScalarNode) -> Any:
    tag, text = node.tag, node.value
    if tag == _TEXT:
        if _SURROGATES.search(text):
            raise _error_at(node, "A string must not contain surrogates.")
        return text
    if tag not in _PATTERNS:
        raise _error_at(node, f"Unsupported tag {tag}.")
    if not _PATTERNS[tag].fullmatch(text):
        raise _error_at(node, f"Invalid value {quote_value(text)} for the tag {tag}.")
    if tag == _NULL:
        return None
    if tag == _BOOLEAN:
        return text.lower() == "true"
    if tag == _INT and len(text) <= _MAX_DIGITS:
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    number = float(text) if tag == _FLOAT else float("inf")
    if number in (float("inf"), float("-inf")):
        raise _error_at(node, "The number is too large.")
    return number


def _error_at(node: yaml.Node, message: str) -> InvalidYamlError:
    return InvalidYamlError(message, *_position_of(node))


def _position_of(node: yaml.Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1
