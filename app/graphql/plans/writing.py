"""The answers of plans, as JSON: what is read becomes text, and no field is executed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graphql import GraphQLField, get_named_type, is_list_type
from graphql.execution.values import VariableValues
from graphql.type import get_nullable_type

from app.graphql.plans.cached_event_types import text_of
from app.graphql.plans.steps import ListPlan, MadePlan, NotPlannedError, OnePlan, Piece, Plan, Rows
from app.graphql.shared.context import Context
from app.graphql.shared.declared import NUMBERS, Part, definition_of
from app.services.shared.listings import Listing
from app.store.reading.projection import Row


@dataclass(frozen=True)
class Asking:
    """A request: who asks, and the variables, coerced and as they were said."""

    context: Context
    variables: VariableValues
    said: dict[str, Any] | None


def answer_of(data: str, cost: int, most: int) -> bytes:
    """The whole answer, with what it cost of so much at most."""
    told = f'{{"cost":{{"requested":{cost},"limit":{most}}}}}'
    return f'{{"data":{data},"extensions":{told}}}'.encode()


async def write(plan: Plan, asking: Asking) -> str:
    """The data of the operation. Whatever goes wrong is raised."""
    members = [f'"{key}":{await _root(root, asking, None)}' for key, root in plan.roots]
    return "{" + ",".join(members) + "}"


async def _root(root: Any, asking: Asking, parent: Any) -> str:
    match root:
        case str():
            return root
        case ListPlan():
            return await _list(root, asking, parent)
        case OnePlan():
            return await _one(root, asking, parent)
        case MadePlan():
            return await _made(root, asking, parent)
    raise NotPlannedError(str(root))


async def _list(plan: ListPlan, asking: Asking, parent: Any) -> str:
    context = asking.context
    wanted = plan.arguments.wanted(plan.what.wanted, parent, context, asking.variables)
    found = await plan.what.read(
        context.database, context.caller, wanted, plan.rows.selection, plan.counts
    )
    if found is None:
        raise NotPlannedError("a page without a row")
    known = await _known(plan.rows, asking, found.page.rows)
    cursors = [_cursor(plan, found, row) for row in _named(plan, found)]
    return _pieces(plan.pieces, plan.rows, found, known, cursors)


def _named(plan: ListPlan, found: Listing) -> Sequence[Row]:
    """The rows whose cursors are told."""
    rows = found.page.rows
    if not plan.rows.keys or not rows:
        return ()
    return rows if plan.every_cursor else (rows[0], rows[-1])


def _cursor(plan: ListPlan, found: Listing, row: Row) -> str:
    return found.cursor(tuple(plan.rows.keys[name](row) for name in found.keys))


def _pieces(
    pieces: Sequence[Piece],
    rows: Rows,
    found: Listing,
    known: Sequence[Mapping[Any, str]],
    cursors: Sequence[str],
) -> str:
    page = found.page
    members = []
    for piece in pieces:
        match piece.part:
            case Part.NODES | Part.EDGES:
                text = f"[{','.join(rows.writers[piece.writer](page.rows, cursors, known))}]"
            case Part.PAGE_INFO:
                text = _pieces(piece.within, rows, found, known, cursors)
            case Part.TOTAL | Part.UNACKNOWLEDGED:
                text = str(found.totals[NUMBERS[piece.part]])
            case Part.HAS_NEXT:
                text = _truth(page.has_next)
            case Part.HAS_PREVIOUS:
                text = _truth(page.has_previous)
            case Part.START:
                text = f'"{cursors[0]}"' if cursors else "null"
            case Part.END:
                text = f'"{cursors[-1]}"' if cursors else "null"
            case _:
                text = str(piece.part)  # a type's name
        members.append(f'"{piece.key}":{text}')
    return "{" + ",".join(members) + "}"


async def _one(plan: OnePlan, asking: Asking, parent: Any) -> str:
    context = asking.context
    wanted = plan.arguments.wanted(plan.what.wanted, parent, context, asking.variables)
    row = await plan.what.read(context.database, context.caller, wanted, plan.rows.selection)
    if row is None:
        return "null"
    known = await _known(plan.rows, asking, [row])
    return plan.rows.writers[0]([row], (), known)[0]


async def _made(plan: MadePlan, asking: Asking, parent: Any) -> str:
    arguments = plan.arguments.read(asking.variables)
    made = await plan.what.make(parent, asking.context, **arguments)
    if plan.leaf is not None:
        return _leaf(made, plan.leaf)
    if isinstance(made, list):
        return f"[{','.join([await _object(plan, asking, each) for each in made])}]"
    return await _object(plan, asking, made)


async def _object(plan: MadePlan, asking: Asking, made: Any) -> str:
    if made is None:
        return "null"
    members = []
    for key, what in plan.fields:
        if isinstance(what, GraphQLField):
            text = _leaf(getattr(made, definition_of(what).python_name), what.type)
        else:
            text = await _root(what, asking, made)
        members.append(f'"{key}":{text}')
    return "{" + ",".join(members) + "}"


def _leaf(value: Any, type_: Any) -> str:
    if value is None:
        return "null"
    nullable = get_nullable_type(type_)
    if is_list_type(nullable):
        return f"[{','.join(_leaf(each, nullable.of_type) for each in value)}]"
    return text_of(get_named_type(type_).serialize(value))


async def _known(rows: Rows, asking: Asking, found: Sequence[Row]) -> Sequence[Mapping[Any, str]]:
    if not found:
        return ()
    at = found[0][-1]
    return [
        await part.texts(asking.context, asking.said, at, [row[place] for row in found])
        for part, place in rows.shared
    ]


def _truth(value: bool) -> str:
    return "true" if value else "false"
