"""Random operations that schemathesis generates from the schema, sent to a separate server.

`python -m tests.fuzz.operations EXAMPLES SEED` sends EXAMPLES of each field of Query and Mutation.
None may result in an internal error.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import requests
import schemathesis
from graphql import NameNode, ObjectFieldNode, ObjectValueNode
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis.graphql import nodes

from tests.client import ADMINISTRATOR
from tests.fuzz.attacking import PATIENCE_SECONDS, run_target

ROOT = Path(__file__).parents[2]
INTERNAL_ERROR = "INTERNAL_SERVER_ERROR"
_INSTANTS = ("2026-04-10T10:30:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59Z", "now")
_LENGTHS = ("PT15M", "P7D", "P99999D", "PT0S", "P1Y", "")
_LEAVES: Any = st.one_of(
    st.text(max_size=20).map(nodes.String),
    st.integers().map(nodes.Int),
    st.floats(allow_nan=False, allow_infinity=False).map(nodes.Float),
    st.booleans().map(nodes.Boolean),
    st.just(nodes.Null),
)


def _members(values: Any) -> Any:
    names = st.from_regex(r"[a-z][a-z0-9_]{0,9}", fullmatch=True)
    return st.dictionaries(names, values, max_size=4).map(_object)


def _object(members: dict[str, Any]) -> ObjectValueNode:
    fields = [
        ObjectFieldNode(name=NameNode(value=name), value=value) for name, value in members.items()
    ]
    return ObjectValueNode(fields=tuple(fields))


def _register_scalars() -> None:
    values = st.recursive(_LEAVES, _members, max_leaves=8)
    schemathesis.graphql.scalar("DateTime", st.sampled_from(_INSTANTS).map(nodes.String))
    schemathesis.graphql.scalar("Duration", st.sampled_from(_LENGTHS).map(nodes.String))
    schemathesis.graphql.scalar("JSON", _members(values) | values)


def send_drawn(url: str, examples: int, seed_of_all: int) -> Counter[str]:
    """Returns the number of operations by result. Raises AssertionError with one that failed
    internally.
    """
    _register_scalars()
    schema = schemathesis.graphql.from_path(str(ROOT / "schema.graphql"))
    schema.config.update(base_url=f"{url}/graphql")
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {ADMINISTRATOR}"
    ends: Counter[str] = Counter()
    for each in schema.get_all_operations():
        operation: Any = each.ok()  # type: ignore[union-attr]

        @seed(seed_of_all)
        @settings(
            max_examples=examples,
            derandomize=False,
            database=None,
            deadline=None,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def is_answered(case: Any) -> None:
            ends[_send_case(case, session)] += 1

        is_answered()
    return ends


def _send_case(case: Any, session: requests.Session) -> str:
    answer = case.call(session=session, timeout=PATIENCE_SECONDS)
    assert answer.status_code < 500, (answer.status_code, case.body)
    errors = answer.json().get("errors", [])
    codes = {each["extensions"]["code"] for each in errors}
    assert INTERNAL_ERROR not in codes, (answer.text, case.body)
    return ", ".join(sorted(codes)) or "answered"


async def _main(examples: int, seed_of_all: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with run_target(f"sqlite:///{folder}/tocsin.db", Path(folder)) as target:
            print(dict(await asyncio.to_thread(send_drawn, target.url, examples, seed_of_all)))
            for line in target.logged_errors():
                sys.exit(line)


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]), int(sys.argv[2])))
