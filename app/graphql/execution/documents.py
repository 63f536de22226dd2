"""Documents, read once: parsed, measured, validated and priced, whatever carries them.

What is too large is told before it is validated, which may take much longer than to measure it.
"""

from __future__ import annotations

import re
from collections import Counter, OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from graphql import (
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    TokenKind,
    parse,
    specified_rules,
    validate,
)
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule

from app.domain.shared.limits import DocumentLimits, Limits
from app.domain.shared.problems import ErrorCode
from app.graphql.execution.document_costs import OperationCost, cost_of
from app.graphql.execution.document_limits import too_large, violations

ERRORS_TOLD = 5
_KEPT_DOCUMENTS = 1_000
_KEPT_CHARACTERS = 65_536  # of one document: a longer one is read anew each time
_KEPT_TOKENS = 200_000  # of all: a token takes up to 700 bytes of memory

# Strawberry's are about its `Maybe` and its one-of inputs.
_RULES = (*specified_rules, MaybeNullValidationRule, OneOfInputValidationRule)
_TOO_MANY_TOKENS = re.compile(
    r"Syntax Error: Document contains more than \d+ (tokens|comments)\..*"
)
_TOO_DEEP = "Syntax Error: Document is nested too deeply. Parsing aborted."


@dataclass(frozen=True, eq=False)
class Document:
    """`node` is None where the text does not parse. With `errors` it is not to be run."""

    text: str
    node: DocumentNode | None
    errors: tuple[GraphQLError, ...] = ()
    tokens: int = 0
    has_directives: bool = False
    costs: Mapping[str | None, OperationCost] = field(default_factory=dict)

    @cached_property
    def fragments(self) -> dict[str, FragmentDefinitionNode]:
        return {} if self.node is None else _fragments(self.node)

    def operation(self, name: str | None) -> OperationDefinitionNode | None:
        """The operation of this name; without one, the only one."""
        named = [
            each
            for each in (self.node.definitions if self.node else ())
            if isinstance(each, OperationDefinitionNode)
            and (name is None or (each.name is not None and each.name.value == name))
        ]
        return named[0] if len(named) == 1 else None

    def is_mutation(self, name: str | None) -> bool:
        """Whether the operation of this name, or the only one, is a mutation."""
        operation = self.operation(name)
        return operation is not None and operation.operation is OperationType.MUTATION

    def cost(self, name: str | None, variables: Mapping[str, Any] | None) -> int:
        """In nodes asked for by the operation of this name; 0 where there is none."""
        cost = self.priced(name)
        return 0 if cost is None else cost.of(variables or {})

    def priced(self, name: str | None) -> OperationCost | None:
        operation = self.operation(name)
        return None if operation is None else self.costs.get(_name_of(operation))


class Documents:
    """Those that were read last are kept: 1,000 of them, fewer where they are large."""

    def __init__(self, schema: GraphQLSchema, limits: DocumentLimits, given: Limits) -> None:
        self.limits = limits
        self._schema = schema
        self._given = given
        self._kept: OrderedDict[str, Document] = OrderedDict()
        self._tokens = 0

    def __len__(self) -> int:
        """How many are kept."""
        return len(self._kept)

    def read(self, text: str) -> Document:
        """The document of this text. Its errors are the same ones each time: do not raise them."""
        document = self._kept.get(text)
        if document is not None:
            self._kept.move_to_end(text)
            return document
        document = self._read(text)
        if len(text) <= _KEPT_CHARACTERS:
            self._kept[text] = document
            self._tokens += document.tokens
            while len(self._kept) > _KEPT_DOCUMENTS or self._tokens > _KEPT_TOKENS:
                self._tokens -= self._kept.popitem(last=False)[1].tokens
        return document

    def _read(self, text: str) -> Document:
        if len(text) > (most := self.limits.characters):
            told = f"The document has {len(text):,} characters: at most {most:,}."
            return Document(text, None, (too_large(told),))
        most = self.limits.tokens
        try:
            node = parse(text, max_lexical_tokens=most, max_comments=most)
        except GraphQLError as error:
            return Document(text, None, (self._unparsed(error),))
        kinds = _token_kinds(node)
        tokens, directives = sum(kinds.values()), kinds[TokenKind.AT] > 0
        if errors := violations(node, self.limits):
            return Document(text, node, tuple(errors[:ERRORS_TOLD]), tokens, directives)
        errors = validate(self._schema, node, _RULES, max_errors=ERRORS_TOLD, hide_suggestions=True)
        if errors:
            errors = [_too_complex(each) for each in errors[:ERRORS_TOLD]]
            return Document(text, node, tuple(errors), tokens, directives)
        return Document(text, node, (), tokens, directives, self._costs(node))

    def _unparsed(self, error: GraphQLError) -> GraphQLError:
        code, told = ErrorCode.GRAPHQL_PARSE_FAILED, error.message
        if _TOO_MANY_TOKENS.fullmatch(told):
            code = ErrorCode.LIMIT_EXCEEDED
            told = f"The document has too many tokens: at most {self.limits.tokens:,}."
        elif told == _TOO_DEEP:
            code = ErrorCode.LIMIT_EXCEEDED
            told = f"The document is nested too deeply: at most {self.limits.depth:,} fields."
        return GraphQLError(
            told,
            source=error.source,
            positions=error.positions,
            extensions={"code": code.value},
        )

    def _costs(self, node: DocumentNode) -> dict[str | None, OperationCost]:
        fragments = _fragments(node)
        return {
            _name_of(each): cost_of(self._schema, each, fragments, self._given)
            for each in node.definitions
            if isinstance(each, OperationDefinitionNode)
        }


def _too_complex(error: GraphQLError) -> GraphQLError:
    """graphql-core compares fields of one name up to 250,000 times, and gives up."""
    if error.message != "Validation aborted.":
        return error
    return too_large("The document is too complex: too many of its fields have the same name.")


def _fragments(node: DocumentNode) -> dict[str, FragmentDefinitionNode]:
    definitions = (each for each in node.definitions if isinstance(each, FragmentDefinitionNode))
    return {each.name.value: each for each in definitions}


def _name_of(operation: OperationDefinitionNode) -> str | None:
    return None if operation.name is None else operation.name.value


def _token_kinds(node: DocumentNode) -> Counter[TokenKind]:
    """How many tokens of each kind the document has. Each directive begins with an AT."""
    token = None if node.loc is None else node.loc.start_token
    kinds: Counter[TokenKind] = Counter()
    while token is not None:
        kinds[token.kind] += 1
        token = token.next
    return kinds
