"""Operations, counted and traced: by the root field that was asked for, which the schema bounds.

The name that a client gave its operation is not told: it may be anything, and tell of anybody.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

from graphql import FieldNode, GraphQLSchema, OperationDefinitionNode
from opentelemetry import trace
from strawberry.extensions import SchemaExtension

from app import metrics
from app.domain.problems import ErrorCode

_TRACER = trace.get_tracer("tocsin")  # does nothing where no exporter is set


class Measured(SchemaExtension):
    """One span for an operation: one for each resolver made 5 ms into 40."""

    def on_operation(self) -> Iterator[None]:
        begun = time.perf_counter()
        # Not made current: a subscription may be closed from another task than began it.
        span = _TRACER.start_span("operation")
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
            name = "invalid" if operation is None else _name(schema, operation)
            kind = "unknown" if operation is None else operation.operation.value
            _count(span, name, kind, self._outcome(broken), begun)

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


@contextlib.contextmanager
def measured(schema: GraphQLSchema, operation: OperationDefinitionNode) -> Iterator[None]:
    """Counts and traces an operation that is not executed, unless it is broken off."""
    begun = time.perf_counter()
    span = _TRACER.start_span("operation")
    yield
    name = _name(schema, operation)
    _count(span, name, operation.operation.value, "OK", begun)


def _count(span: trace.Span, name: str, kind: str, outcome: str, begun: float) -> None:
    metrics.operations(name, kind, outcome).inc()
    span.update_name(f"{kind} {name}")
    span.set_attributes({"graphql.operation.type": kind, "tocsin.outcome": outcome})
    span.end()
    if kind != "subscription":
        metrics.operation_seconds(name, kind).observe(time.perf_counter() - begun)


def _name(schema: GraphQLSchema, operation: OperationDefinitionNode) -> str:
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
