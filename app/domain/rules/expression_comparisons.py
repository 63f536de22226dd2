"""Finds comparisons of an attribute or a field with a string that is none of its values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum

from app.domain.event_types.fields import CHOICE_KINDS, FieldDefinition, FieldKind
from app.domain.events.state import Use, attributes_with
from app.domain.rules.expression_messages import EVENT_MESSAGE, FIELDS_MESSAGE, TypeFields
from app.domain.rules.expression_trees import ExpressionTree, Node, child_nodes, literal_string
from app.domain.shared.messages import quote_value, unknown_option_message

_COMPARISONS = frozenset({"_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_", "@in"})
_ATTRIBUTE_VALUES: dict[str, tuple[str, ...]] = {
    attribute.name: tuple(member.value for member in attribute.type)
    for attribute in attributes_with(Use.EXPRESSION)
    if issubclass(attribute.type, Enum)
}


@dataclass(frozen=True)
class UnknownValue:
    """A string that an attribute or a field is compared with, and never has.

    `option`: the name of the field, and the string. None for an attribute.
    """

    node: Node
    message: str
    option: tuple[str, str] | None


@dataclass(frozen=True)
class _Choice:
    """A part of an expression whose value is one of `values`, or a list of them."""

    name: str
    values: tuple[str, ...]
    is_field: bool
    is_list: bool = False

    def describe_unknown(self, value: str) -> str:
        if self.is_field:
            return unknown_option_message(value, self.name, self.values)
        *others, last = self.values
        expected = f"{', '.join(others)} or {last}"
        return f"Unknown {self.name} {quote_value(value)}: expected {expected}."


@dataclass(frozen=True)
class ComparisonFinder:
    """Searches the checked tree of an expression for the fields of an event type."""

    tree: ExpressionTree
    fields: Mapping[str, FieldDefinition]

    @classmethod
    def create(cls, tree: ExpressionTree, type_fields: TypeFields) -> ComparisonFinder:
        fields = {each.name: each for each in type_fields or () if each.kind in CHOICE_KINDS}
        return cls(tree, fields)

    def find_unknown_values(self) -> Iterator[UnknownValue]:
        """Yields the strings that attributes and fields are compared with, and never have."""
        return self._search(self.tree.root, {})

    def _search(self, node: Node, elements: Mapping[str, _Choice]) -> Iterator[UnknownValue]:
        """`elements` are the variables of macros over a list of choices."""
        inner = elements
        if node.WhichOneof("kind") == "comprehension":
            loop = node.comprehension
            inner = {**elements}
            inner.pop(loop.iter_var, None)
            if (choice := self._find_choice(loop.iter_range, elements)) and choice.is_list:
                inner[loop.iter_var] = replace(choice, is_list=False)
            # The variable of optMap() is the accumulator of a loop without iterations.
            if choice := self._find_choice(loop.accu_init, elements):
                inner[loop.accu_var] = choice
        elif node.WhichOneof("kind") == "call" and node.call.function in _COMPARISONS:
            for choice, other in self._compared_parts(node, elements):
                value = literal_string(other)
                if value is not None and value not in choice.values:
                    option = (choice.name, value) if choice.is_field else None
                    yield UnknownValue(node, choice.describe_unknown(value), option)
        for child in child_nodes(node):
            yield from self._search(child, inner)

    def _compared_parts(
        self, node: Node, elements: Mapping[str, _Choice]
    ) -> Iterator[tuple[_Choice, Node]]:
        """Yields each choice, and each part that is compared with it or with its elements."""
        left, right = child_nodes(node)
        if node.call.function == "@in":
            in_list = self._find_choice(right, elements)
            if in_list is not None:
                yield in_list, left
            pairs = [(left, each) for each in _list_elements(right)]
        elif left.WhichOneof("kind") == "list" or right.WhichOneof("kind") == "list":
            pairs = [(left, each) for each in right.list.elements]
            pairs += [(right, each) for each in left.list.elements]
        else:
            pairs = [(left, right)]
        for one, other in pairs:
            for choice_node, value_node in ((one, other), (other, one)):
                choice = self._find_choice(choice_node, elements)
                if choice is not None:
                    yield choice, value_node

    def _find_choice(self, node: Node, elements: Mapping[str, _Choice]) -> _Choice | None:
        match node.WhichOneof("kind"):
            case "ident":
                return elements.get(node.ident.name)
            case "select" if not node.select.test_only:
                return self._find_field(node.select.operand, node.select.field)
            case "call":
                return self._find_choice_of_call(node, elements)
        return None

    def _find_field(self, operand: Node, name: str) -> _Choice | None:
        message = self.tree.message_type(operand)
        if message == EVENT_MESSAGE and name in _ATTRIBUTE_VALUES:
            return _Choice(name, _ATTRIBUTE_VALUES[name], is_field=False)
        if message == FIELDS_MESSAGE and name in self.fields:
            field = self.fields[name]
            is_list = field.kind is FieldKind.MULTI_SELECT
            return _Choice(name, field.options or (), is_field=True, is_list=is_list)
        return None

    def _find_choice_of_call(self, node: Node, elements: Mapping[str, _Choice]) -> _Choice | None:
        operand, *arguments = [*child_nodes(node), None]
        if operand is None:
            return None
        if node.call.function == "_?._":
            return self._find_field(operand, literal_string(arguments[0]) or "")
        choice = self._find_choice(operand, elements)
        if choice is None:
            return None
        match node.call.function:
            case "_[_]" | "_[?_]" if choice.is_list:
                return replace(choice, is_list=False)
            case "value":
                return choice
            case "orValue" if (default := literal_string(arguments[0])) is not None:
                return replace(choice, values=(*choice.values, default))
        return None


def _list_elements(node: Node) -> list[Node]:
    """Returns the elements of a list literal, or the keys of a map literal."""
    return [*node.list.elements, *(entry.key for entry in node.struct.entries)]
