"""Cache of documents: each is parsed, measured, validated and costed once.

Size limits are checked before validation, which may take much longer than measuring.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from cachetools import LRUCache
from graphql import (
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLSchema,
    NonNullTypeNode,
    OperationDefinitionNode,
    ValidationRule,
    ValuesOfCorrectTypeRule,
    is_input_object_type,
    is_non_null_type,
    parse,
    print_ast,
    specified_rules,
    validate,
)
from strawberry.types.graphql import OperationType

from app.domain.shared.limits import DocumentLimits, Limits
from app.domain.shared.problems import ErrorCode
from app.graphql.execution.document_costs import OperationCost, build_operation_cost
from app.graphql.execution.document_limits import create_limit_error, find_limit_violations
from app.graphql.execution.input_errors import MAX_REPORTED_ERRORS, InputLiteralsRule

_MAX_CACHED_DOCUMENTS = 1_000
_MAX_CACHED_CHARACTERS = 65_536  # of one document: longer ones are not cached
_MAX_CACHED_TOKENS = 200_000  # of all documents: a token takes up to 700 bytes of memory


class OneOfVariablesRule(ValidationRule):
    """Rejects nullable variables as fields of `@oneOf` inputs.

    graphql-core does so only if the input itself is nullable.
    """

    def leave_operation_definition(self, operation: OperationDefinitionNode, *_: Any) -> None:
        definitions = {
            definition.variable.name.value: definition
            for definition in operation.variable_definitions or ()
        }
        for usage in self.context.get_recursive_variable_usages(operation):
            name, parent = usage.node.name.value, usage.parent_type
            definition = definitions.get(name)
            if (
                definition is not None
                and not isinstance(definition.type, NonNullTypeNode)
                and is_non_null_type(parent)
                and is_input_object_type(parent.of_type)
                and parent.of_type.is_one_of
            ):
                message = (  # as graphql-core's
                    f"Variable '${name}' is of type '{print_ast(definition.type)}' but must be "
                    f"non-nullable to be used for OneOf Input Object '{parent.of_type}'."
                )
                self.report_error(GraphQLError(message, [definition, usage.node]))


_ONE_OF = re.compile("Within OneOf Input Object type ")
_NULLABLE_VARIABLE = re.compile(
    r"Variable '(?P<name>\$\w+)' is of type '(?P<type>[^']+)' but must be non-nullable to be used "
    r"for OneOf Input Object '(?P<parent>\w+)'\."
)
_RULES = (
    *(rule for rule in specified_rules if rule is not ValuesOfCorrectTypeRule),
    InputLiteralsRule,
    OneOfVariablesRule,
)
_TOO_MANY_TOKENS = re.compile(
    r"Syntax Error: Document contains more than \d+ (tokens|comments)\..*"
)
_TOO_DEEP = "Syntax Error: Document is nested too deeply. Parsing aborted."


@dataclass(frozen=True, eq=False)
class Document:
    """A parsed document. `node` is None if the text does not parse; do not run it if `errors`.

    `prepared_operations`: what the executor of plans keeps as long as the document, by name.
    """

    text: str
    node: DocumentNode | None
    errors: tuple[GraphQLError, ...] = ()
    tokens: int = 0
    costs: Mapping[str | None, OperationCost] = field(default_factory=dict)
    prepared_operations: dict[str | None, Any] = field(default_factory=dict)

    @cached_property
    def fragments(self) -> dict[str, FragmentDefinitionNode]:
        return {} if self.node is None else _fragments_by_name(self.node)

    def find_operation(self, name: str | None) -> OperationDefinitionNode | None:
        """Returns the operation of this name, or the only operation if the name is None."""
        matches = [
            definition
            for definition in (self.node.definitions if self.node else ())
            if isinstance(definition, OperationDefinitionNode)
            and (name is None or (definition.name is not None and definition.name.value == name))
        ]
        return matches[0] if len(matches) == 1 else None

    def find_operation_type(self, name: str | None) -> OperationType | None:
        """Returns the type of the operation of this name, or of the only one."""
        operation = self.find_operation(name)
        return None if operation is None else OperationType(operation.operation.value)

    def calculate_cost(self, name: str | None, variables: Mapping[str, Any] | None) -> int:
        """Returns the cost of an operation in points; 0 if there is no such operation."""
        cost = self.find_operation_cost(name)
        return 0 if cost is None else cost.calculate(variables or {})

    def find_operation_cost(self, name: str | None) -> OperationCost | None:
        operation = self.find_operation(name)
        return None if operation is None else self.costs.get(_operation_name(operation))


class DocumentCache:
    """LRU cache of up to 1,000 documents; fewer if they are large."""

    def __init__(
        self, schema: GraphQLSchema, limits: DocumentLimits, request_limits: Limits
    ) -> None:
        self.limits = limits
        self._schema = schema
        self._request_limits = request_limits
        self._documents: LRUCache[str, Document] = LRUCache(_MAX_CACHED_TOKENS, _cached_size)

    def __len__(self) -> int:
        """Number of cached documents."""
        return len(self._documents)

    def get_document(self, text: str) -> Document:
        """Returns the document of this text. Its errors are shared: do not raise them."""
        document = self._documents.get(text)
        if document is None:
            document = self._build_document(text)
            if len(text) <= _MAX_CACHED_CHARACTERS:
                self._documents[text] = document
        return document

    def _build_document(self, text: str) -> Document:
        if len(text) > (limit := self.limits.characters):
            message = f"The document has {len(text):,} characters; the maximum is {limit:,}."
            return Document(text, None, (create_limit_error(message),))
        limit = self.limits.tokens
        try:
            node = parse(text, max_lexical_tokens=limit, max_comments=limit)
        except GraphQLError as error:
            return Document(text, None, (self._create_parse_error(error),))
        tokens = _count_tokens(node)
        if errors := find_limit_violations(node, self.limits):
            return Document(text, node, tuple(errors[:MAX_REPORTED_ERRORS]), tokens)
        errors = validate(
            self._schema, node, _RULES, max_errors=MAX_REPORTED_ERRORS, hide_suggestions=True
        )
        if errors:
            errors = [
                _translate_validation_error(error)
                for error in _drop_repeated_one_of_errors(errors)[:MAX_REPORTED_ERRORS]
            ]
            return Document(text, node, tuple(errors), tokens)
        return Document(text, node, (), tokens, self._build_costs(node))

    def _create_parse_error(self, error: GraphQLError) -> GraphQLError:
        code, message = ErrorCode.GRAPHQL_PARSE_FAILED, error.message
        if match := _TOO_MANY_TOKENS.fullmatch(message):
            code = ErrorCode.LIMIT_EXCEEDED
            message = (
                f"The document has too many {match[1]}; the maximum is {self.limits.tokens:,}."
            )
        elif message == _TOO_DEEP:
            code = ErrorCode.LIMIT_EXCEEDED
            message = (
                f"The document is nested too deeply; the maximum is {self.limits.depth:,} fields."
            )
        return GraphQLError(
            message,
            source=error.source,
            positions=error.positions,
            extensions={"code": code.value},
        )

    def _build_costs(self, node: DocumentNode) -> dict[str | None, OperationCost]:
        fragments = _fragments_by_name(node)
        return {
            _operation_name(definition): build_operation_cost(
                self._schema, definition, fragments, self._request_limits
            )
            for definition in node.definitions
            if isinstance(definition, OperationDefinitionNode)
        }


def _cached_size(document: Document) -> int:
    """Returns the tokens of a document, but enough to keep the number of documents limited."""
    return max(document.tokens, _MAX_CACHED_TOKENS // _MAX_CACHED_DOCUMENTS)


def _drop_repeated_one_of_errors(errors: list[GraphQLError]) -> list[GraphQLError]:
    """Drops the error of a whole `@oneOf` input if there is an error of one of its fields."""
    return [
        error
        for error in errors
        if not _ONE_OF.match(error.message)
        or not any(_is_inside(other, error) for other in errors if other is not error)
    ]


def _is_inside(inner: GraphQLError, outer: GraphQLError) -> bool:
    """Whether the last node of an error is inside the last node of another one."""
    inner_node, outer_node = (
        error.nodes[-1].loc if error.nodes else None for error in (inner, outer)
    )
    return (
        inner_node is not None
        and outer_node is not None
        and outer_node.start < inner_node.start <= inner_node.end <= outer_node.end
    )


def _translate_validation_error(error: GraphQLError) -> GraphQLError:
    """Translates the error of graphql-core's limit of 250,000 comparisons of fields.

    A nullable variable in a `@oneOf` input gets the message of the other mistakes in these inputs.
    """
    if match := _NULLABLE_VARIABLE.fullmatch(error.message):
        error.message = (
            f"Variable '{match['name']}' has the nullable type '{match['type']}': Within OneOf "
            f"Input Object type '{match['parent']}', exactly one field must be specified, and the "
            "value for that field must be non-null."
        )
    if error.message != "Validation aborted.":
        return error
    return create_limit_error(
        "The document is too complex to validate: too many of its fields have the same name."
    )


def _fragments_by_name(node: DocumentNode) -> dict[str, FragmentDefinitionNode]:
    definitions = (
        definition
        for definition in node.definitions
        if isinstance(definition, FragmentDefinitionNode)
    )
    return {definition.name.value: definition for definition in definitions}


def _operation_name(operation: OperationDefinitionNode) -> str | None:
    return None if operation.name is None else operation.name.value


def _count_tokens(node: DocumentNode) -> int:
    token, count = None if node.loc is None else node.loc.start_token, 0
    while token is not None:
        token, count = token.next, count + 1
    return count
