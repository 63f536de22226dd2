"""An expression as CEL parsed it: what is looked up in its tree, and the few places changed there.

A tree is a protobuf message `cel.expr.ParsedExpr` or `CheckedExpr`. Only what is asked for has a
name here; the rest is carried along.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from google.protobuf.any_pb2 import Any as Packed
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

Node = Any

# name, number and type of each field of cel.expr's checked.proto and syntax.proto that is asked for
_MESSAGES = {
    "Checked": "references 2 *ReferenceAt, types 3 *TypeAt, root 4 Node, source 5 Source",
    "Parsed": "root 2 Node, source 3 Source",
    "ReferenceAt": "key 1 int64, value 2 Reference",
    "Reference": "overloads 3 *string",
    "TypeAt": "key 1 int64, value 2 Type",
    "Type": "dyn 1 Empty, null 2 int32, primitive 3 int32, wrapper 4 int32, well_known 5 int32, "
    "list 6 Empty, map 7 Map, message 9 string",
    "Map": "key 1 Type, value 2 Type",
    "Empty": "",
    "Source": "positions 4 *PositionAt",
    "PositionAt": "key 1 int64, value 2 int32",
    "Node": "id 2 int64, const 3 Const, ident 4 Ident, select 5 Select, call 6 Call, list 7 List, "
    "struct 8 Struct, comprehension 9 Comprehension",
    "Const": "null 1 int32, boolean 2 bool, int64 3 int64, uint64 4 uint64, double 5 double, "
    "text 6 string, bytes 7 bytes",
    "Ident": "name 1 string",
    "Select": "operand 1 Node, field 2 string, test_only 3 bool",
    "Call": "target 1 Node, function 2 string, args 3 *Node",
    "List": "elements 1 *Node",
    "Struct": "message 1 string, entries 2 *Entry",
    "Entry": "key 3 Node, value 4 Node",
    "Comprehension": "iter_var 1 string, iter_range 2 Node, accu_var 3 string, accu_init 4 Node, "
    "condition 5 Node, step 6 Node, result 7 Node",
}


def _classes() -> tuple[Any, Any]:
    file = FileDescriptorProto(name="tree.proto", package="tree", syntax="proto2")
    for name, described in _MESSAGES.items():
        message = file.message_type.add(name=name)
        if name == "Node":
            message.oneof_decl.add(name="kind")
        for said in filter(None, described.split(", ")):
            field, number, kind = said.split()
            label = FieldDescriptorProto.LABEL_OPTIONAL
            if kind.startswith("*"):
                kind, label = kind[1:], FieldDescriptorProto.LABEL_REPEATED
            added = message.field.add(name=field, number=int(number), label=label)
            if name == "Node" and field != "id":
                added.oneof_index = 0
            if kind in _MESSAGES:
                added.type, added.type_name = FieldDescriptorProto.TYPE_MESSAGE, f".tree.{kind}"
            else:
                added.type = getattr(FieldDescriptorProto, f"TYPE_{kind.upper()}")
    pool = DescriptorPool()
    pool.Add(file)
    checked, parsed = map(pool.FindMessageTypeByName, ("tree.Checked", "tree.Parsed"))
    return GetMessageClass(checked), GetMessageClass(parsed)


_Checked, _Parsed = _classes()
_CHECKED_URL = "type.googleapis.com/cel.expr.CheckedExpr"


class Tree:
    """The nodes of an expression with their types (none before the check) and offsets in its text.

    Raises DecodeError for a tree deeper than protobuf reads.
    """

    def __init__(self, serialized: bytes) -> None:
        packed = Packed.FromString(serialized)
        kind = _Checked if packed.type_url == _CHECKED_URL else _Parsed
        self._message = kind.FromString(packed.value)
        self.root: Node = self._message.root
        types = self._message.types if kind is _Checked else ()
        self.types: dict[int, Any] = {at.key: at.value for at in types}
        self.offsets = {at.key: at.value for at in self._message.source.positions}

    def serialized(self) -> bytes:
        value = self._message.SerializeToString()
        return bytes(Packed(type_url=_CHECKED_URL, value=value).SerializeToString())

    def nodes(self) -> Iterator[Node]:
        waiting = [self.root]
        while waiting:
            node = waiting.pop()
            yield node
            waiting += inner(node)

    def message_of(self, node: Node) -> str:
        """The name of the message type that the node has, if it has one."""
        return str(self.types[node.id].message) if node.id in self.types else ""

    def is_dynamic(self, node: Node) -> bool:
        """Whether the node may be any JSON value, or is an object of such."""
        kind = self.types.get(node.id)
        if kind is None or kind.HasField("dyn"):
            return True
        return bool(kind.HasField("map") and kind.map.value.HasField("dyn"))

    def is_scalar(self, node: Node) -> bool:
        """Whether the node's value has one size: a number, a truth value, an instant, null."""
        kind = self.types.get(node.id)
        if kind is None:
            return False
        return kind.HasField("null") or bool(
            (kind.primitive or kind.wrapper) in _SIZED or kind.well_known in _INSTANTS
        )

    def is_truth(self, node: Node) -> bool:
        """Whether the node may be true or false. A value that is told when it runs may be."""
        kind = self.types[node.id]
        return bool((kind.primitive or kind.wrapper) == _BOOL or kind.HasField("dyn"))

    def ask_for_null(self, select: Node) -> None:
        """Makes of `has(x.y)` the same question as `x.y != null`."""
        asked = max(self.offsets) + 1 + len(self._message.references)
        copy = type(select)()
        copy.CopyFrom(select)
        copy.id, copy.select.test_only = asked, False
        call = type(select)(id=select.id)
        call.call.function = "_!=_"
        call.call.args.append(copy)
        null = call.call.args.add(id=asked + 1)
        null.const.null = 0
        reference = self._message.references.add(key=select.id)
        reference.value.overloads.append("not_equals")
        select.CopyFrom(call)


_BOOL = 1
_SIZED = frozenset({1, 2, 3, 4})  # bool, int64, uint64, double
_INSTANTS = frozenset({2, 3})  # timestamp, duration


def inner(node: Node) -> list[Node]:
    """The nodes right below a node."""
    match node.WhichOneof("kind"):
        case "select":
            return [node.select.operand]
        case "call":
            return [*([node.call.target] if node.call.HasField("target") else ()), *node.call.args]
        case "list":
            return list(node.list.elements)
        case "struct":
            return [each for entry in node.struct.entries for each in (entry.key, entry.value)]
        case "comprehension":
            of = node.comprehension
            return [of.iter_range, of.accu_init, of.condition, of.step, of.result]
    return []


def literal_text(node: Node) -> str | None:
    """The text that the node spells out, if it does."""
    if node.WhichOneof("kind") == "const" and node.const.HasField("text"):
        return str(node.const.text)
    return None


def whole_numbers(node: Node) -> list[Node]:
    """The integer literals of a node that is made of nothing else, as `-2`, `60 * 60`, `[1, 2]`."""
    match node.WhichOneof("kind"):
        case "const":
            return [node] if node.const.HasField("int64") else []
        case "list":
            parts = list(node.list.elements)
        case "call" if is_arithmetic(node):
            parts = list(node.call.args)
        case "call" if node.call.function == "_?_:_":
            parts = list(node.call.args)[1:]
        case _:
            return []
    found = [whole_numbers(part) for part in parts]
    return [literal for each in found for literal in each] if all(found) else []


def is_arithmetic(node: Node) -> bool:
    return node.WhichOneof("kind") == "call" and node.call.function in _ARITHMETIC


def takes_numbers(node: Node) -> bool:
    """Whether the node is an operator that takes numbers of one type only."""
    return is_arithmetic(node) or (
        node.WhichOneof("kind") == "call" and node.call.function in _COMPARING
    )


def macros_deep(node: Node) -> int:
    """How many macros lie within or behind one another."""
    own = int(node.WhichOneof("kind") == "comprehension")
    return own + max(map(macros_deep, inner(node)), default=0)


_ARITHMETIC = frozenset({"_+_", "_-_", "_*_", "_/_", "-_"})
_COMPARING = frozenset({"_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_", "@in", "_?_:_"})
