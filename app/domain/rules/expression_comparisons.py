"""Finds comparisons of an attribute or a field with a string that is none of its values."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from app.domain.event_types.fields import CHOICE_KINDS, FieldDefinition
from app.domain.events.state import Use, attributes_with
from app.domain.rules.expression_messages import EVENT_MESSAGE, FIELDS_MESSAGE, TypeFields
from app.domain.rules.expression_trees import (
    ExpressionTree,
    Node,
    child_nodes,
    iterate_nodes,
    literal_string,
)
from app.domain.shared.messages import quote_value, unknown_option_message

_COMPARISONS = frozenset({"_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_", "@in"})
# Functions whose result is their first operand, or an element of it.
_TRANSPARENT_FUNCTIONS = frozenset(
    {"dyn", "optional.of", "optional.ofNonZeroValue", "value", "first", "last", "_[_]", "_[?_]"}
)
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
    """An attribute or a field whose value is one of `values`, or a list of them."""

    name: str
    values: tuple[str, ...]
    is_field: bool

    def describe_unknown(self, value: str) -> str:
        if self.is_field:
            return unknown_option_message(value, self.name, self.values)
        *others, last = self.values
        expected = f"{', '.join(others)} or {last}"
        return f"Unknown {self.name} {quote_value(value)}: expected {expected}."


@dataclass(frozen=True)
class _Strings:
    """The strings that a part of an expression may have as its value, or as an element of it.

    `constants` are written in the expression, `choices` are read from the event. `is_open`: there
    may be others.
    """

    constants: tuple[str, ...] = ()
    choices: tuple[_Choice, ...] = ()
    is_open: bool = False

    @property
    def is_constant(self) -> bool:
        return not (self.choices or self.is_open)

    def may_be(self, text: str) -> bool:
        return (
            self.is_open
            or text in self.constants
            or any(text in choice.values for choice in self.choices)
        )


_OPEN = _Strings(is_open=True)
# Each element of a list has strings of its own; any other value is its only element.
_Elements = Sequence[_Strings]
_Variables = Mapping[str, _Elements]


def _unite(elements: _Elements) -> _Strings:
    return _Strings(
        tuple(dict.fromkeys(text for each in elements for text in each.constants)),
        tuple(dict.fromkeys(choice for each in elements for choice in each.choices)),
        any(each.is_open for each in elements),
    )


@dataclass(frozen=True)
class ComparisonFinder:
    """Searches the checked tree of an expression for the fields of an event type.

    `evaluate_string` returns the value of a part that is a constant string, otherwise None.
    """

    tree: ExpressionTree
    evaluate_string: Callable[[Node], str | None]
    fields: Mapping[str, FieldDefinition] = field(default_factory=dict)

    @classmethod
    def create(
        cls,
        tree: ExpressionTree,
        type_fields: TypeFields,
        evaluate_string: Callable[[Node], str | None],
    ) -> ComparisonFinder:
        fields = {each.name: each for each in type_fields or () if each.kind in CHOICE_KINDS}
        return cls(tree, evaluate_string, fields)

    def find_unknown_values(self) -> Iterator[UnknownValue]:
        """Yields the strings that attributes and fields are compared with, and never have.

        A string that replaces a value of the event is not compared with others: the default of
        `orValue()`, and a branch of `?:` whose other branch reads the event.
        """
        return self._search(self.tree.root, {})

    def _search(self, node: Node, variables: _Variables) -> Iterator[UnknownValue]:
        outer_parts, inner_parts = child_nodes(node), []
        if node.WhichOneof("kind") == "comprehension":
            outer_parts, inner_parts = outer_parts[:2], outer_parts[2:]
        elif node.WhichOneof("kind") == "call" and node.call.function in _COMPARISONS:
            yield from self._find_in_comparison(node, variables)
        for part in outer_parts:
            yield from self._search(part, variables)
        inner = self._bind_variables(node, variables) if inner_parts else variables
        for part in inner_parts:
            yield from self._search(part, inner)

    def _find_in_comparison(self, node: Node, variables: _Variables) -> Iterator[UnknownValue]:
        left, right = child_nodes(node)
        for one, other in self._pair_elements(left, right, variables):
            for choice, text in dict.fromkeys((*_unknown(one, other), *_unknown(other, one))):
                option = (choice.name, text) if choice.is_field else None
                yield UnknownValue(node, choice.describe_unknown(text), option)

    def _pair_elements(
        self, left: Node, right: Node, variables: _Variables
    ) -> Iterator[tuple[_Elements, _Elements]]:
        """Yields the elements that are compared with each other: those of equal lists in pairs."""
        lists = [
            node.list.elements
            for node in (left, right)
            if node.WhichOneof("kind") == "list" and not node.list.optional_indices
        ]
        if len(lists) == 2 and len(lists[0]) == len(lists[1]):
            for pair in zip(lists[0], lists[1], strict=True):
                yield from self._pair_elements(pair[0], pair[1], variables)
        else:
            yield self._find_elements(left, variables), self._find_elements(right, variables)

    def _bind_variables(self, node: Node, variables: _Variables) -> _Variables:
        loop = node.comprehension
        elements = self._find_elements(loop.iter_range, variables)
        uses = sum(
            each.ident.name == loop.iter_var
            for part in (loop.condition, loop.step)
            for each in iterate_nodes(part)
            if each.WhichOneof("kind") == "ident"
        )
        if uses > 1:  # a string that is unknown here may be meant for another use
            elements = [_OPEN if each.is_constant else each for each in elements]
        # The variable of optMap() is the accumulator of a loop without iterations.
        is_binding = (
            loop.iter_range.WhichOneof("kind") == "list" and not loop.iter_range.list.elements
        )
        initial = self._find_elements(loop.accu_init, variables) if is_binding else (_OPEN,)
        return {**variables, loop.iter_var: elements, loop.accu_var: initial}

    def _find_elements(self, node: Node, variables: _Variables) -> _Elements:
        match node.WhichOneof("kind"):
            case "ident":
                return variables.get(node.ident.name, (_OPEN,))
            case "list":
                parts = node.list.elements
            case "struct":
                parts = [entry.key for entry in node.struct.entries]
            case "call" if node.call.function == "_+_" and self.tree.is_list(node):
                parts = node.call.args
            case "call" if node.call.function == "_?_:_" and self.tree.is_list(node):
                parts = node.call.args[1:]
            case "call" if node.call.function == "dyn":
                parts = node.call.args
            case _:
                return (self._find_strings(node, variables),)
        return [
            each
            for part in parts
            for each in (
                self._find_elements(part, variables)
                if part.WhichOneof("kind") != "struct"
                else (_OPEN,)
            )
        ]

    def _find_strings(self, node: Node, variables: _Variables) -> _Strings:
        match node.WhichOneof("kind"):
            case "const":
                text = literal_string(node)
                return _Strings(() if text is None else (text,))
            case "select" if not node.select.test_only:
                return self._find_choice(node.select.operand, node.select.field)
            case "call":
                return self._find_strings_of_call(node, variables)
            case "comprehension":
                inner = self._bind_variables(node, variables)
                return _unite(self._find_elements(node.comprehension.result, inner))
            case "ident" | "list":
                return _unite(self._find_elements(node, variables))
        return _OPEN

    def _find_choice(self, operand: Node, name: str) -> _Strings:
        message = self._find_message_type(operand)
        if message == EVENT_MESSAGE and name in _ATTRIBUTE_VALUES:
            return _Strings(choices=(_Choice(name, _ATTRIBUTE_VALUES[name], is_field=False),))
        if message == FIELDS_MESSAGE and name in self.fields:
            options = self.fields[name].options or ()
            return _Strings(choices=(_Choice(name, options, is_field=True),))
        return _OPEN

    def _find_message_type(self, node: Node) -> str:
        """Returns the message type of a node, although it is dynamic or optional."""
        kind, operands = node.WhichOneof("kind"), child_nodes(node)
        name = node.select.field if kind == "select" else None
        if kind == "call" and node.call.function == "_?._":
            name = literal_string(operands[1])
        elif kind == "call" and node.call.function in _TRANSPARENT_FUNCTIONS:
            return self._find_message_type(operands[0])
        if name == "fields" and self._find_message_type(operands[0]) == EVENT_MESSAGE:
            return FIELDS_MESSAGE
        return self.tree.message_type(node)

    def _find_strings_of_call(self, node: Node, variables: _Variables) -> _Strings:
        if (text := self.evaluate_string(node)) is not None:
            return _Strings((text,))
        operands = child_nodes(node)
        match node.call.function:
            case "_?._":
                return self._find_choice(operands[0], literal_string(operands[1]) or "")
            case "_[_]" | "_[?_]" if operands[0].WhichOneof("kind") == "struct":
                parts = [entry.value for entry in operands[0].struct.entries]
            case "_?_:_":
                parts = operands[1:]
            case "orValue" | "or":
                parts = operands
            case "optional.none":
                parts = []
            case function if function in _TRANSPARENT_FUNCTIONS:
                parts = operands[:1]
            case _:
                return _OPEN
        return _unite([self._find_strings(part, variables) for part in parts])


def _unknown(elements: _Elements, others: _Elements) -> Iterator[tuple[_Choice, str]]:
    """Yields the constants among the elements that none of the others may be, per choice."""
    strings = _unite(others)
    for element in elements:
        if element.is_constant:
            for text in element.constants:
                if not strings.may_be(text):
                    for choice in strings.choices:
                        yield choice, text
