"""Random queries of the whole schema, including invalid arguments: plans and execution agree."""

from __future__ import annotations

import json

from graphql.language import ast
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis_graphql import queries

from app.graphql.shared.field_sources import get_field_source
from tests.plans.plan_and_execution import SCHEMA, PlanAndExecution
from tests.plans.random_documents import CORE

DOCUMENTS = 300
# Minimum: most queries have an invalid ID, or request fields without a plan. Which ones are drawn
# depends on the constants in the code of all imported modules, which Hypothesis uses as values.
PLANNED = 3


async def test_any_query_has_the_same_response_from_plan_and_execution(
    both: PlanAndExecution,
) -> None:
    planned = 0

    for query in _draw_documents():
        answer = await both.execute_plan(query)
        if answer is not None:
            planned += 1
            assert json.dumps(answer) == json.dumps(await both.execute_schema(query)), query

    assert planned >= PLANNED


def _draw_documents() -> list[str]:
    instants = st.sampled_from(["2026-04-01T00:00:00Z", "2026-04-05T12:00:00.5+02:00", "never"])
    lengths = st.sampled_from(["PT1H", "P1D", "P1M", "-PT1S", "long"])
    numbers = st.integers(-3, 120).map(lambda n: ast.IntValueNode(value=str(n)))
    scalars = {
        "DateTime": instants.map(lambda text: ast.StringValueNode(value=text)),
        "Duration": lengths.map(lambda text: ast.StringValueNode(value=text)),
        "JSON": numbers,
    }
    query_type = CORE.query_type
    assert query_type is not None
    roots = [name for name in query_type.fields if get_field_source(query_type, name) is not None]
    results: list[str] = []

    @seed(9)
    @settings(
        max_examples=DOCUMENTS,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(queries(SCHEMA.as_str(), fields=roots, custom_scalars=scalars, allow_x00=False))
    def draw(query: str) -> None:
        results.append(query)

    draw()
    return results
