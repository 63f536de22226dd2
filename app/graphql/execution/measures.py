"""Operations, counted and traced: by the root field that was asked for, which the schema bounds.

The name that a client gave its operation is not told: it may be anything, and tell of anybody.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from graphql import FieldNode, GraphQLSchema, OperationDefinitionNode
from opentelemetry import trace
from strawberry.extensions import SchemaExtension

from app import metrics
from app.domain.shared.problems import ErrorCode

_TRACER = trace.get_tracer("tocsin")  # does nothing where no exporter is set


class Measured(SchemaExtension):
    """One span for an operation: one for each resolver made 5 ms into 40."""

    def on_operation(self) -> Iterator[None]:
        begun = Begun()
        broken = True
        try:
            yield
            broken = False
        except GeneratorExit:  # a subscription that its client has ended
            broken = False
            raise
        finally:
            operation = self._operation()
            schema = self.execution_context.schema._schema
            name = "invalid" if operation is None else root_field(schema, operation)
            kind = "unknown" if operation is None else operation.operation.value
            begun.ends(name, kind, self._outcome(broken))

    def _operation(self) -> OperationDefinitionNode | None:
        request = self.execution_context
        for each in request.graphql_document.definitions if request.graphql_document else ():
            if isinstance(each, OperationDefinitionNode):
                name = None if each.name is None else each.name.value
                if name == request.operation_name:
                    return each
        return None

    def _outcome(self, broken: bool) -> str:
        errors = self.execution_context.pre_execution_errors or ()
        codes = [(error.extensions or {}).get("code") for error in errors]
        if codes:
            return codes[0] or ErrorCode.INTERNAL_SERVER_ERROR.value
        if not broken:
            return "OK"
        unparsed = self.execution_context.graphql_document is None
        unexpected = ErrorCode.INTERNAL_SERVER_ERROR
        return (ErrorCode.GRAPHQL_PARSE_FAILED if unparsed else unexpected).value


class Begun:
    """An operation that has begun."""

    def __init__(self) -> None:
        self._at = time.perf_counter()
        # Not made current: a subscription may be closed from another task than began it.
        self._span = _TRACER.start_span("operation")

    def ends(self, field: str, kind: str, outcome: str) -> None:
        metrics.operations(field, kind, outcome).inc()
        if self._span.is_recording():
            self._span.update_name(f"{kind} {field}")
            self._span.set_attributes({"graphql.operation.type": kind, "tocsin.outcome": outcome})
        self._span.end()
        if kind != "subscription":
            metrics.operation_seconds(field, kind).observe(time.perf_counter() - self._at)


def root_field(schema: GraphQLSchema, operation: OperationDefinitionNode) -> str:
    """What the operation is counted by."""
    root = schema.get_root_type(operation.operation)
    asked = operation.selection_set.selections
    if len(asked) != 1:
        return "several"
    [field] = asked
    if not isinstance(field, FieldNode):
        return "several"
    name = field.name.value
    if name.startswith("__"):
        return "introspection"
    return name if root is not None and name in root.fields else "invalid"
