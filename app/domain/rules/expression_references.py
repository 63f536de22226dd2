"""Finds what an expression reads from events, and what of it an event lacks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.domain.events.state import Entity, EventState
from app.domain.rules.expression_trees import (
    ExpressionTree,
    Node,
    child_nodes,
    is_access,
    is_null,
    is_optional_access,
    literal_string,
)
from app.domain.shared.messages import join_names, quote_value
from app.domain.shared.values import to_json_value

Path = tuple[str, ...]


@dataclass(frozen=True)
class References:
    """The paths that an expression reads, such as `("event", "fields", "cause")`.

    The absence of an `optional` path causes no error by itself: the path is a list, or the
    expression tests it or reads it as an optional value.
    """

    paths: tuple[Path, ...]
    optional: frozenset[Path]

    def find_absent(self, event: EventState, old: EventState | None) -> list[str]:
        """Returns the absent parts of the paths: those that are not optional, otherwise all."""
        states = {"event": event, "old": old}
        absent = list(filter(None, (_find_absent_part(path, states) for path in self.paths)))
        required = [path for path in absent if path not in self.optional]
        return [_format_path(path) for path in dict.fromkeys(required or absent)]

    def describe_values(self, event: EventState) -> list[str]:
        """Describes what the expression reads from a new event: `event.severity is 'ERROR'`."""
        states = {"event": event, "old": None}
        paths = dict.fromkeys([*self.paths, *sorted(self.optional)])
        containers = {path[:length] for path in paths for length in range(1, len(path))}
        values = (_read_value(path, states) for path in paths if path not in containers)
        return list(
            dict.fromkeys(f"{_format_path(path)} is {_format_value(each)}" for path, each in values)
        )


def find_references(tree: ExpressionTree) -> References:
    """Finds the paths in a checked tree."""
    paths: list[Path] = []
    optional: set[Path] = set()
    nodes = [tree.root]
    while nodes:
        node = nodes.pop()
        path = _read_path(node)
        if path is None:
            nodes += reversed(child_nodes(node))
            optional |= _find_null_comparison(node)
        elif node.select.test_only:
            nodes.append(node.select.operand)
            optional.add(path)
        else:
            paths.append(path)
            optional |= {path} if tree.is_list(node) or is_optional_access(node) else set()
    return References(tuple(dict.fromkeys(paths)), frozenset(optional))


def _find_null_comparison(node: Node) -> set[Path]:
    """Returns the path that the node compares with null."""
    if node.WhichOneof("kind") != "call" or node.call.function not in ("_==_", "_!=_"):
        return set()
    left, right = child_nodes(node)
    paths = {
        _read_path(left) if is_null(right) else None,
        _read_path(right) if is_null(left) else None,
    }
    return {path for path in paths if path is not None}


def _read_path(node: Node) -> Path | None:
    """Returns the path of a node that reads an event or a part of it. None for any other node."""
    match node.WhichOneof("kind"):
        case "ident":
            return (node.ident.name,) if node.ident.name in ("event", "old") else None
        case "select":
            operand, name = node.select.operand, node.select.field
        case "call" if is_access(node):
            operand, name = node.call.args[0], literal_string(node.call.args[1])
        case _:
            return None
    path = _read_path(operand)
    return None if path is None or name is None else (*path, name)


def _format_path(path: Path) -> str:
    """Returns the path as an expression: `event.fields['a b']`."""
    root, *names = path
    return root + "".join(f".{name}" if name.isidentifier() else f"[{name!r}]" for name in names)


def _find_absent_part(path: Path, states: Mapping[str, Any]) -> Path | None:
    """Returns the path up to the first part that is absent. None if all parts are present."""
    part, value = _read_value(path, states)
    return part if value is None else None


def _read_value(path: Path, states: Mapping[str, Any]) -> tuple[Path, Any]:
    """Returns the value at the path; None, with the path up to it, for the first absent part.

    A part of a value that has no names, such as a list, is that value.
    """
    value: Any = states
    for length, name in enumerate(path, 1):
        if isinstance(value, Mapping):
            value = value.get(name)
        elif isinstance(value, EventState | Entity) and hasattr(value, name):
            value = getattr(value, name)
        else:
            return path[: length - 1], value
        if value is None:
            return path[:length], None
    return path, value


def _format_value(value: Any) -> str:
    match value:
        case None:
            return "absent"
        case EventState():  # the expression only passes the event on, such as [event] == []
            return "an event"
        case Entity():
            return quote_value(f"{value.type} {value.id}")
        case list() | tuple():
            return f"[{join_names([quote_value(each) for each in value])}]"
    return quote_value(to_json_value(value))
