"""No expression, random or hostile, harms the process that compiles and evaluates it."""

from __future__ import annotations

from tests.fuzz.expressions import run


def test_a_thousand_expressions_are_rejected_or_evaluated_without_a_crash() -> None:
    ends = run(1_000, seed=1)

    assert sum(ends.values()) == 1_000
    assert min(ends["refused"], ends["answered"], ends["failed"]) >= 50
