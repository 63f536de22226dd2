"""What an expression may cost at worst, before it runs.

CEL bounds the iterations of an evaluation and nothing else: a regular expression over a long text,
or a value doubled by each of thirty macros, would take seconds and gigabytes. A step is about what
a regular expression takes for one character.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce

from app.domain.event_types.fields import NUMERIC, FieldKind
from app.domain.rules.expression_scope import ATTRIBUTES, EVENT, FIELDS, Form
from app.domain.rules.expression_trees import Node, Tree, inner, literal_text
from app.domain.shared.limits import Limits

# The budget that CEL gives an evaluation: no macro goes further.
ITERATIONS = 10_000
_VISIT = 4
_PER_PART = 8
_PER_COPY = 4


@dataclass(frozen=True)
class Extent:
    """How large a value may be: the values in it, itself counted, and the characters of all."""

    parts: int = 1
    characters: int = 0

    def __add__(self, other: Extent) -> Extent:
        return Extent(self.parts + other.parts, self.characters + other.characters)

    def __or__(self, other: Extent) -> Extent:
        characters = max(self.characters, other.characters)
        return Extent(max(self.parts, other.parts), characters)

    def times(self, count: int) -> Extent:
        return Extent(self.parts * count, self.characters * count)

    @property
    def steps(self) -> int:
        return self.parts * _PER_PART + self.characters


_ONE = Extent()


def extents(form: Form, limits: Limits) -> dict[str, dict[str, Extent]]:
    """How large the attributes and fields of an event may be, by message."""
    name = Extent(1, limits.name)
    whole = Extent(limits.fields_bytes // 2, limits.fields_bytes)
    event = dict.fromkeys(ATTRIBUTES, name) | {
        "summary": Extent(1, limits.summary),
        "content": Extent(1, limits.content),
        "tags": Extent(1 + limits.tags, limits.tags * limits.name),
        "entity": Extent(3, 2 * limits.name),
        "fields": whole,
    }
    fields = {}
    for field in form or ():
        if field.kind in NUMERIC or field.kind in (FieldKind.BOOLEAN, FieldKind.DATETIME):
            fields[field.name] = _ONE
        elif field.kind is FieldKind.MULTI_SELECT:
            options = field.options or ()
            fields[field.name] = Extent(1 + len(options), sum(map(len, options)))
        else:
            fields[field.name] = Extent(1, limits.fields_bytes)
    return {EVENT: event, FIELDS: fields}


def cost(tree: Tree, form: Form, limits: Limits) -> int:
    """The steps that the expression takes at most."""
    known = extents(form, limits)
    event = reduce(Extent.__add__, known[EVENT].values())
    _, steps = _Reckoning(tree, known).of(tree.root, {"event": event, "old": event})
    return steps


def pattern_size(pattern: str) -> int:
    """The size of a regular expression with its counted repetitions written out."""
    sizes, last = [0], 0
    for token in _TOKEN.finditer(pattern):
        said = token.group()
        if said == "(":
            sizes.append(0)
            last = 0
        elif said == ")" and len(sizes) > 1:
            last = sizes.pop() + 1
            sizes[-1] += last
        elif counted := token.group("least"):
            times = max(int(counted), int(token.group("most") or 0))
            sizes[-1] += last * max(times - 1, 0)
            last *= max(times, 1)
        else:
            # A class, an escape or a character of several bytes is several instructions.
            last = 1 if len(said) == 1 and said.isascii() and said != "." else 8 + len(said)
            sizes[-1] += last
    return 1 + sum(sizes)


_TOKEN = re.compile(
    r"\\.|\[(?:\\.|[^\]\\])*\]|\{(?P<least>[0-9]{1,9})(?:,(?P<most>[0-9]{0,9}))?\}|.", re.DOTALL
)
_FREE_OF_SIZE = frozenset({"_&&_", "_||_", "!_", "_?_:_", "_[_]", "dyn", "@not_strictly_false"})
_STOPS_AT_THE_SHORTER = frozenset(
    {"_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_", "startsWith", "endsWith"}
)


@dataclass(frozen=True)
class _Reckoning:
    tree: Tree
    known: Mapping[str, Mapping[str, Extent]]

    def of(self, node: Node, scope: Mapping[str, Extent]) -> tuple[Extent, int]:
        """How large the node's value may be, and the steps to it."""
        match node.WhichOneof("kind"):
            case "const":
                text = node.const.text or node.const.bytes
                return Extent(1, len(text)), _VISIT
            case "ident":
                return scope.get(node.ident.name, _ONE), _VISIT
            case "comprehension":
                return self._comprehension(node.comprehension, scope)
        parts = [self.of(each, scope) for each in inner(node)]
        steps = _VISIT + sum(each for _, each in parts)
        given = [extent for extent, _ in parts]
        match node.WhichOneof("kind"):
            case "select":
                return self._selected(node, given[0]), steps
            case "call":
                made, own = self._called(node, given)
                return _ONE if self.tree.is_scalar(node) else made, steps + own
            case _:
                made = reduce(Extent.__add__, given, _ONE)
                return made, steps + _PER_PART * len(given)

    def _selected(self, node: Node, operand: Extent) -> Extent:
        if node.select.test_only or self.tree.is_scalar(node):
            return _ONE
        named = self.known.get(self.tree.message_of(node.select.operand), {})
        return named.get(node.select.field, operand)

    def _called(self, node: Node, given: list[Extent]) -> tuple[Extent, int]:
        function = node.call.function
        whole = reduce(Extent.__add__, given, _ONE)
        if function == "_?_:_":
            return given[1] | given[2], 0
        if function in _FREE_OF_SIZE:
            return given[0], 0
        if function in _STOPS_AT_THE_SHORTER:
            return _ONE, 2 * min(given[0].steps, given[1].steps)
        if function == "matches":
            return _ONE, given[0].characters * pattern_size(literal_text(inner(node)[1]) or "")
        if function == "contains":
            return _ONE, given[0].characters * (1 + given[1].characters // 1024)
        if function in ("string", "bytes"):
            longest = whole.characters * (4 if function == "bytes" else 1)  # UTF-8; or a number
            return Extent(1, 32 + longest), whole.characters
        if function in ("size", "int", "uint", "double", "timestamp", "duration", "type"):
            return _ONE, whole.characters
        return whole, whole.steps

    def _comprehension(self, of: Node, scope: Mapping[str, Extent]) -> tuple[Extent, int]:
        """Steps never grow less than evenly with an element's size: at worst, one element is as
        large as all, and the others are as small as can be.
        """
        over, steps = self.of(of.iter_range, scope)
        made, first = self.of(of.accu_init, scope)
        steps += first
        if not self.tree.is_scalar(of.accu_init):
            # map() and filter() copy what they have gathered at every element.
            steps += _PER_COPY * min(over.parts, ITERATIONS) ** 2
        for element, count in ((over, 1), (_ONE, min(over.parts, ITERATIONS))):
            inside = {**scope, of.iter_var: element, of.accu_var: _ONE}
            _, asked = self.of(of.condition, inside)
            grown, taken = self.of(of.step, inside)
            made += grown.times(count)
            steps += (asked + taken) * count
        result, last = self.of(of.result, {**scope, of.accu_var: made})
        return result, steps + last
