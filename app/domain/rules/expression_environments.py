"""The environments of CEL in which expressions are checked and run.

The library takes 17 MB: `expressions.py` imports this module with the first expression, so that
servers without guard rules and mappings do without it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

from cel_expr_python import cel
from cel_expr_python.ext.ext_math import ExtMath
from cel_expr_python.ext.ext_optional import ExtOptional
from cel_expr_python.ext.ext_strings import ExtStrings

from app.domain.rules.expression_messages import (
    EVENT_MESSAGE,
    EventMessages,
    TypeFields,
    build_mapping_pool,
)


class Checker(NamedTuple):
    """An environment that checks expressions, and for messages the names of its variables.

    `find_path` returns the path of an attribute or field by its name, None if there is none.
    """

    environment: Any
    variables: str
    find_path: Callable[[str], str | None]


class Environments:
    """The message types for an event type's fields, and the two CEL environments that use them.

    Expressions are checked in one environment and run in the other. There `old` may be null, which
    a variable of a message type cannot be.
    """

    def __init__(self, type_fields: TypeFields) -> None:
        self.messages = EventMessages(type_fields)
        checked_variables = {
            "event": cel.Type(EVENT_MESSAGE),
            "old": cel.Type(EVENT_MESSAGE),
            "now": cel.Type.TIMESTAMP,
        }
        runtime_variables = dict.fromkeys(checked_variables, cel.Type.DYN)
        extensions = [ExtStrings(), ExtMath(), ExtOptional()]
        self.checker = Checker(
            cel.NewEnv(
                self.messages.checker_pool, variables=checked_variables, extensions=extensions
            ),
            "event, old and now",
            self.messages.find_path,
        )
        self.runner = cel.NewEnv(
            self.messages.runtime_pool, variables=runtime_variables, extensions=extensions
        )


get_environments = lru_cache(maxsize=256)(Environments)
MAPPING_CHECKER = Checker(
    cel.NewEnv(
        build_mapping_pool(),
        variables={
            "body": cel.Type.DYN,
            "headers": cel.Type.Map(cel.Type.STRING, cel.Type.STRING),
        },
        extensions=[ExtStrings(), ExtMath(), ExtOptional()],
    ),
    "body and headers",
    lambda _: None,
)
_PROBE_ENVIRONMENT = cel.NewEnv(variables={"argument": cel.Type.STRING})
PATTERN_PROBE = _PROBE_ENVIRONMENT.compile("''.matches(argument)")
TIME_ZONE_PROBE = _PROBE_ENVIRONMENT.compile("timestamp(0).getHours(argument) >= 0")
