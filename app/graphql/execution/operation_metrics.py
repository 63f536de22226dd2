"""Metrics and traces of operations, labelled by root field.

The operation name is not recorded: clients choose it, so it is unbounded and may be personal data.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from typing import Protocol, cast

from graphql import FieldNode, GraphQLError, GraphQLSchema, OperationDefinitionNode
from opentelemetry import trace
from strawberry.extensions import SchemaExtension
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError

from app import metrics
from app.domain.shared.problems import ErrorCode

# Result of an operation whose client completed it early or left, or whose credential was revoked.
CANCELLED = "CANCELLED"
_TRACER = trace.get_tracer("tocsin")  # does nothing unless an exporter is set


class ObservedSchema(Protocol):
    """The part of the schema that metrics use."""

    @property
    def graphql_schema(self) -> GraphQLSchema: ...


class OperationMetrics(SchemaExtension):
    """Records one span per operation. A span per resolver would turn 5 ms into 40 ms."""

    def on_operation(self) -> Iterator[None]:
        recorder = OperationRecorder()
        failure: str | None = ErrorCode.INTERNAL_SERVER_ERROR.value
        try:
            yield
            failure = None
        except GeneratorExit:  # the subscription has started, and its source was returned
            failure = None
            raise
        except asyncio.CancelledError:
            failure = CANCELLED
            raise
        # A mutation by GET, a subscription without a stream, or an unknown operationName.
        except (InvalidOperationTypeError, CannotGetOperationTypeError):
            failure = ErrorCode.BAD_USER_INPUT.value
            raise
        finally:
            operation = self._find_operation()
            schema = cast("ObservedSchema", self.execution_context.schema).graphql_schema
            root_field = "invalid" if operation is None else root_field_label(schema, operation)
            operation_type = "unknown" if operation is None else operation.operation.value
            recorder.record_end(root_field, operation_type, self._result_code(failure))

    def _find_operation(self) -> OperationDefinitionNode | None:
        request = self.execution_context
        for definition in request.graphql_document.definitions if request.graphql_document else ():
            if isinstance(definition, OperationDefinitionNode):
                name = None if definition.name is None else definition.name.value
                if name == request.operation_name:
                    return definition
        return None

    def _result_code(self, failure: str | None) -> str:
        if errors := self.execution_context.pre_execution_errors:
            return find_error_code(errors)
        if failure is None:
            return "OK"
        parse_failed = self.execution_context.graphql_document is None
        return ErrorCode.GRAPHQL_PARSE_FAILED.value if parse_failed else failure


class OperationRecorder:
    """Records the duration, result and span of one operation."""

    def __init__(self) -> None:
        self._started_at = time.perf_counter()
        # Not made current: the task that closes a subscription may not be the one that began it.
        self._span = _TRACER.start_span("operation")

    def record_end(self, root_field: str, operation_type: str, result: str) -> None:
        metrics.operation_counter(root_field, operation_type, result).inc()
        if self._span.is_recording():
            self._span.update_name(f"{operation_type} {root_field}")
            self._span.set_attributes(
                {"graphql.operation.type": operation_type, "tocsin.result": result}
            )
        self._span.end()
        if operation_type != "subscription":
            metrics.operation_histogram(root_field, operation_type).observe(
                time.perf_counter() - self._started_at
            )


def find_error_code(errors: Sequence[GraphQLError] | None) -> str:
    """Returns the code of the first error. OK without errors."""
    if not errors:
        return "OK"
    code: str = (errors[0].extensions or {}).get("code") or ErrorCode.INTERNAL_SERVER_ERROR.value
    return code


def root_field_label(schema: GraphQLSchema, operation: OperationDefinitionNode) -> str:
    """Returns the label of the operation in metrics: its only root field, or a category."""
    root = schema.get_root_type(operation.operation)
    selections = operation.selection_set.selections
    if len(selections) != 1:
        return "several"
    [field] = selections
    if not isinstance(field, FieldNode):
        return "several"
    name = field.name.value
    if name.startswith("__"):
        return "introspection"
    return name if root is not None and name in root.fields else "invalid"
