"""Every use case with a transaction is tried again if PostgreSQL rolls it back in a deadlock."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

SERVICES = Path(__file__).parents[2] / "app" / "services"


def test_the_transactions_of_commands_are_tried_again_after_a_deadlock() -> None:
    writers = dict(_find_writers())

    assert len(writers) > 15
    assert [name for name, is_retried in writers.items() if not is_retried] == []


def _find_writers() -> Iterator[tuple[str, bool]]:
    """Yields the functions that get a command and write, and whether they are tried again."""
    for file in SERVICES.rglob("*.py"):
        for function in ast.walk(ast.parse(file.read_text())):
            if isinstance(function, ast.AsyncFunctionDef) and _writes_for_command(function):
                decorators = [ast.unparse(each) for each in function.decorator_list]
                yield f"{file.stem}.{function.name}", "retry_on_deadlock" in decorators


def _writes_for_command(function: ast.AsyncFunctionDef) -> bool:
    """Whether the function itself, not one inside it, writes for a command."""
    nested = {
        node
        for inner in ast.walk(function)
        if isinstance(inner, ast.AsyncFunctionDef) and inner is not function
        for node in ast.walk(inner)
    }
    parameters = {each.arg for each in (*function.args.args, *function.args.kwonlyargs)}
    return any(
        ast.unparse(node.func) == "database.write"
        and ("command" in parameters or "command." in ast.unparse(node))
        for node in ast.walk(function)
        if isinstance(node, ast.Call) and node not in nested
    )
