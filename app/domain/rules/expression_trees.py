"""The syntax tree of an expression as parsed by CEL, with the operations that expressions need.

A tree is a protobuf message `cel.expr.ParsedExpr` or `CheckedExpr`. Only the fields in use are
declared; the others are preserved as unknown fields.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from google.protobuf.any_pb2 import Any as Packed
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

Node = Any

# Name, number and type of the fields of cel.expr's checked.proto and syntax.proto in use.
_MESSAGE_TYPES = {
    "Checked": "references 2 *ReferenceEntry, types 3 *TypeEntry, root 4 Node, source 5 Source",
    "Parsed": "root 2 Node, source 3 Source",
    "ReferenceEntry": "key 1 int64, value 2 Reference",
    "Reference": "overloads 3 *string",
    "TypeEntry": "key 1 int64, value 2 Type",
    "Type": "dyn 1 Empty, null 2 int32, primitive 3 int32, wrapper 4 int32, well_known 5 int32, "
    "list 6 Empty, map 7 Map, message 9 string",
    "Map": "key 1 Type, value 2 Type",
    "Empty": "",
    "Source": "positions 4 *PositionEntry",
    "PositionEntry": "key 1 int64, value 2 int32",
    "Node": "id 2 int64, const 3 Const, ident 4 Ident, select 5 Select, call 6 Call, list 7 List, "
    "struct 8 Struct, comprehension 9 Comprehension",
    "Const": "null 1 int32, boolean 2 bool, int64 3 int64, uint64 4 uint64, double 5 double, "
    "text 6 string, bytes 7 bytes",
    "Ident": "name 1 string",
    "Select": "operand 1 Node, field 2 string, test_only 3 bool",
    "Call": "target 1 Node, function 2 string, args 3 *Node",
    "List": "elements 1 *Node, optional_indices 2 *int32",
    "Struct": "message 1 string, entries 2 *Entry",
    "Entry": "key 3 Node, value 4 Node",
    "Comprehension": "iter_var 1 string, iter_range 2 Node, accu_var 3 string, accu_init 4 Node, "
    "condition 5 Node, step 6 Node, result 7 Node",
}


def _build_message_classes() -> tuple[Any, Any, Any]:
    file = FileDescriptorProto(name="tree.proto", package="tree", syntax="proto2")
    for name, declarations in _MESSAGE_TYPES.items():
        message = file.message_type.add(name=name)
        if name == "Node":
            message.oneof_decl.add(name="kind")
        for declaration in filter(None, declarations.split(", ")):
            field, number, kind = declaration.split()
            label = FieldDescriptorProto.LABEL_OPTIONAL
            if kind.startswith("*"):
                kind, label = kind[1:], FieldDescriptorProto.LABEL_REPEATED
            added = message.field.add(name=field, number=int(number), label=label)
            if name == "Node" and field != "id":
                added.oneof_index = 0
            if kind in _MESSAGE_TYPES:
                added.type, added.type_name = FieldDescriptorProto.TYPE_MESSAGE, f".tree.{kind}"
            else:
                added.type = getattr(FieldDescriptorProto, f"TYPE_{kind.upper()}")
    pool = DescriptorPool()
    pool.Add(file)
    checked, parsed, node = map(
        pool.FindMessageTypeByName, ("tree.Checked", "tree.Parsed", "tree.Node")
    )
    return GetMessageClass(checked), GetMessageClass(parsed), GetMessageClass(node)


_Checked, _Parsed, _Node = _build_message_classes()
_CHECKED_URL = "type.googleapis.com/cel.expr.CheckedExpr"


class ExpressionTree:
    """The nodes of an expression, with their offsets in its text and, after the check, their types.

    Raises DecodeError for a tree that is deeper than protobuf supports.
    """

    def __init__(self, serialized: bytes) -> None:
        packed = Packed.FromString(serialized)
        kind = _Checked if packed.type_url == _CHECKED_URL else _Parsed
        self._message = kind.FromString(packed.value)
        self.root: Node = self._message.root
        is_checked = kind is _Checked
        types = self._message.types if is_checked else ()
        references = self._message.references if is_checked else ()
        self._type_entries = {entry.key: entry for entry in types}
        self._reference_entries = {entry.key: entry for entry in references}
        self.types: dict[int, Any] = {key: each.value for key, each in self._type_entries.items()}
        self._last_id = 0
        self.offsets = {entry.key: entry.value for entry in self._message.source.positions}

    def serialize(self) -> bytes:
        return _pack_checked(self._message)

    def serialize_node(self, node: Node) -> bytes:
        """Serializes a node of a checked tree, or a changed copy of it, as an expression."""
        part = _Checked(root=node)
        for each in iterate_nodes(node):
            if each.id in self._reference_entries:
                part.references.append(self._reference_entries[each.id])
            if each.id in self._type_entries:
                part.types.append(self._type_entries[each.id])
        return _pack_checked(part)

    def iterate_nodes(self) -> Iterator[Node]:
        return iterate_nodes(self.root)

    def message_type(self, node: Node) -> str:
        """Returns the name of the node's message type; empty if it has none."""
        return str(self.types[node.id].message) if node.id in self.types else ""

    def is_dynamic(self, node: Node) -> bool:
        """Whether the node may be any JSON value, or is an object of such values."""
        kind = self.types.get(node.id)
        if kind is None or kind.HasField("dyn"):
            return True
        return bool(kind.HasField("map") and kind.map.value.HasField("dyn"))

    def is_scalar(self, node: Node) -> bool:
        """Whether the node's value has a fixed size: a number, a boolean, an instant, null."""
        kind = self.types.get(node.id)
        if kind is None:
            return False
        return kind.HasField("null") or bool(
            (kind.primitive or kind.wrapper) in _SCALAR_PRIMITIVES
            or kind.well_known in _SCALAR_WELL_KNOWN
        )

    def is_list(self, node: Node) -> bool:
        """Whether the node is known to be a list."""
        return node.id in self.types and self.types[node.id].HasField("list")

    def may_be_boolean(self, node: Node) -> bool:
        """Whether the node may be a boolean. A dynamic value may be one."""
        kind = self.types[node.id]
        return bool((kind.primitive or kind.wrapper) == _BOOL_PRIMITIVE or kind.HasField("dyn"))

    def replace_has_with_null_check(self, select: Node) -> None:
        """Replaces `has(x.y)` with `x.y != null`."""
        value = self._build_select(select.select.operand, select.select.field)
        select.CopyFrom(self._build_null_check(value))

    def replace_optional_with_null_check(self, access: Node) -> None:
        """Replaces `x.?y` with `x.y != null ? optional.of(x.y) : optional.none()`."""
        operand, name = access.call.args
        value = self._build_select(operand, str(name.const.text))
        present = self._build_call("optional.of", "optional_of", value)
        absent = self._build_call("optional.none", "optional_none")
        is_present = self._build_null_check(value)
        access.CopyFrom(self._build_call("_?_:_", "conditional", is_present, present, absent))

    def _build_null_check(self, value: Node) -> Node:
        null = _Node(id=self._create_id())
        null.const.null = 0
        return self._build_call("_!=_", "not_equals", value, null)

    def _build_select(self, operand: Node, field: str) -> Node:
        node = _Node(id=self._create_id())
        node.select.operand.CopyFrom(operand)
        node.select.field = field
        return node

    def _build_call(self, function: str, overload: str, *operands: Node) -> Node:
        node = _Node(id=self._create_id())
        node.call.function = function
        node.call.args.extend(operands)
        self._message.references.add(key=node.id).value.overloads.append(overload)
        return node

    def _create_id(self) -> int:
        self._last_id = 1 + (self._last_id or max(node.id for node in self.iterate_nodes()))
        return self._last_id


_BOOL_PRIMITIVE = 1
_SCALAR_PRIMITIVES = frozenset({1, 2, 3, 4})  # bool, int64, uint64, double
_SCALAR_WELL_KNOWN = frozenset({2, 3})  # timestamp, duration


def _pack_checked(message: Any) -> bytes:
    value = message.SerializeToString()
    return bytes(Packed(type_url=_CHECKED_URL, value=value).SerializeToString())


def iterate_nodes(root: Node) -> Iterator[Node]:
    """Yields a node and everything below it."""
    stack = [root]
    while stack:
        node = stack.pop()
        yield node
        stack += child_nodes(node)


def child_nodes(node: Node) -> list[Node]:
    """Returns the direct children of a node."""
    match node.WhichOneof("kind"):
        case "select":
            return [node.select.operand]
        case "call":
            return [*([node.call.target] if node.call.HasField("target") else ()), *node.call.args]
        case "list":
            return list(node.list.elements)
        case "struct":
            return [child for entry in node.struct.entries for child in (entry.key, entry.value)]
        case "comprehension":
            loop = node.comprehension
            return [loop.iter_range, loop.accu_init, loop.condition, loop.step, loop.result]
    return []


def literal_string(node: Node) -> str | None:
    """Returns the value of a string literal. None for any other node."""
    if node.WhichOneof("kind") == "const" and node.const.HasField("text"):
        return str(node.const.text)
    return None


def is_null(node: Node) -> bool:
    """Whether the node is the literal `null`."""
    return node.WhichOneof("kind") == "const" and bool(node.const.HasField("null"))


def integer_literals(node: Node) -> list[Node]:
    """Returns the integer literals of a node that consists only of such: `60 * 60`, `[1, 2]`."""
    match node.WhichOneof("kind"):
        case "const":
            return [node] if node.const.HasField("int64") else []
        case "list":
            operands = list(node.list.elements)
        case "call" if is_arithmetic(node):
            operands = list(node.call.args)
        case "call" if node.call.function == "_?_:_":
            operands = list(node.call.args)[1:]
        case _:
            return []
    literals = [integer_literals(operand) for operand in operands]
    return [literal for group in literals for literal in group] if all(literals) else []


def is_arithmetic(node: Node) -> bool:
    """Whether the node is an arithmetic operation."""
    return node.WhichOneof("kind") == "call" and node.call.function in _ARITHMETIC_OPERATORS


def is_numeric_operator(node: Node) -> bool:
    """Whether the node is an operator that accepts only numbers of one type."""
    return (
        is_arithmetic(node)
        or is_extremum(node)
        or (node.WhichOneof("kind") == "call" and node.call.function in _COMPARISON_OPERATORS)
    )


def is_extremum(node: Node) -> bool:
    """Whether the node is `math.greatest()` or `math.least()`."""
    return node.WhichOneof("kind") == "call" and node.call.function in ("math.@max", "math.@min")


def is_access(node: Node) -> bool:
    """Whether the node is an index or an optional access: `x["y"]`, `x.?y` or `x[?"y"]`."""
    return node.WhichOneof("kind") == "call" and (
        node.call.function == "_[_]" or node.call.function in _OPTIONAL_ACCESSES
    )


def is_optional_access(node: Node) -> bool:
    """Whether the node is `x.?y` or `x[?"y"]`."""
    return node.WhichOneof("kind") == "call" and node.call.function in _OPTIONAL_ACCESSES


def macro_depth(node: Node) -> int:
    """Returns how many macros are nested in or chained to one another."""
    depth = int(node.WhichOneof("kind") == "comprehension")
    return depth + max(map(macro_depth, child_nodes(node)), default=0)


_ARITHMETIC_OPERATORS = frozenset({"_+_", "_-_", "_*_", "_/_", "-_"})
_COMPARISON_OPERATORS = frozenset(
    {"_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_", "@in", "_?_:_", "orValue"}
)
_OPTIONAL_ACCESSES = frozenset({"_?._", "_[?_]"})
