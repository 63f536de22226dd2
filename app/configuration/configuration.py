"""Configuration files as values: parsed, and validated as far as that needs no server."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from difflib import get_close_matches
from functools import cache
from typing import Any

from graphql import GraphQLError
from jsonschema_rs import Draft202012Validator, ValidationError, ValidationErrorKind

from app.configuration.file_schema import (
    CHANNELS,
    DUPLICATION_RULES,
    EVENT_TYPES,
    GUARD_RULES,
    RETENTION_POLICIES,
    SECTIONS,
    SILENCES,
    SOURCES,
    Section,
    build_file_schema,
    graphql_types,
    simplify,
)
from app.configuration.secret_references import find_reference_problem, is_reference
from app.configuration.yaml_file import InvalidYamlError, ValuePath, YamlDocument, parse_yaml
from app.domain.access.retention import RetentionPolicy, RetentionTarget, validate_retention_policy
from app.domain.channels.channels import Channel, validate_channel
from app.domain.event_types.definitions import EventTypeDefinition, validate_definition
from app.domain.event_types.fields import AdditionalFields, FieldDefinition
from app.domain.events import silences
from app.domain.events.filter_json import filter_to_json
from app.domain.rules.duplicates import validate_duplication_rule
from app.domain.rules.expression_problems import ExpressionProblem
from app.domain.rules.expressions import validate_expression
from app.domain.shared.limits import ChannelLimits, Limits
from app.domain.shared.masking import MASK
from app.domain.shared.messages import quote_value
from app.domain.shared.problems import Problem, RequestError, invalid_input
from app.domain.shared.values import (
    EXPECTED_INSTANT,
    canonical_json,
    format_instant,
    parse_id,
    parse_instant,
    validate_name,
)
from app.domain.sources.sources import validate_source
from app.graphql.plans.input_readers import InputReaders, UnsupportedInputError
from app.graphql.shared.nodes import InvalidArgumentsError
from app.graphql.shared.scalars import parse_input_length
from app.graphql.types.event_inputs import parse_event_filter

Key = tuple[str | None, ...]


@dataclass(frozen=True)
class FileError:
    """An error in a file. Line and column start at 1."""

    message: str
    line: int
    column: int


class InvalidFileError(Exception):
    """The file cannot be used."""

    def __init__(self, errors: Sequence[FileError]) -> None:
        super().__init__(errors)
        self.errors = errors


@dataclass(frozen=True)
class Item:
    """An object as files have it: its attributes without the ID, and without default values."""

    section: Section
    value: Mapping[str, Any]

    @property
    def key(self) -> Key:
        """What identifies an object that has no ID."""
        if self.section is SILENCES:
            return _silence_key(self.value)
        defaults = build_file_schema()["$defs"][self.section.definition_name]["properties"]
        return tuple(
            self.value.get(name, defaults[name].get("default")) for name in self.section.key
        )

    @property
    def title(self) -> str:
        """The kind and the name of the object, for messages."""
        if self.section is SILENCES:
            comment = self.value["comment"]
            return f"silence {quote_value(comment)} from {self.value['startsAt']}"
        title = f"{self.section.noun} {quote_value(self.value[self.section.key[-1]])}"
        if event_type := self.value.get("eventType"):
            title += f" of event type {quote_value(event_type)}"
        return title


@dataclass(frozen=True)
class ConfiguredItem(Item):
    """An object of the file."""

    id: str | None = None
    path: ValuePath = ()


@dataclass(frozen=True)
class Configuration:
    """A configuration file. `items` has the sections that the file contains."""

    text: str
    document: YamlDocument
    items: Mapping[str, tuple[ConfiguredItem, ...]]
    organization_key: str | None = None
    organization_name: str | None = None

    def error_at(self, message: str, *path: str | int) -> FileError:
        return FileError(message, *self.document.find_position(path))

    def find_event_type(self, type_name: str | None) -> ConfiguredItem | None:
        items = self.items.get(EVENT_TYPES.name, ())
        return next((item for item in items if item.value["type"] == type_name), None)


def parse_configuration(text: str) -> Configuration:
    """Parses a file. Raises InvalidFileError with all errors."""
    try:
        document = parse_yaml(text)
    except InvalidYamlError as error:
        raise InvalidFileError([FileError(error.message, error.line, error.column)]) from None
    if errors := list(_find_schema_errors(document)):
        raise InvalidFileError(errors)
    organization = document.value.get("organization", {})
    items = {
        section.name: tuple(
            ConfiguredItem(
                section,
                simplify(
                    {name: value for name, value in item.items() if name != "id"},
                    section.definition_name,
                ),
                item.get("id"),
                (section.name, index),
            )
            for index, item in enumerate(document.value[section.name])
        )
        for section in SECTIONS
        if section.name in document.value
    }
    configuration = Configuration(
        text, document, items, organization.get("key"), organization.get("name")
    )
    if errors := [
        *_find_repeated_items(configuration),
        *(
            configuration.error_at(problem.message, *item.path, *to_file_path(problem.path))
            for section_items in items.values()
            for item in section_items
            for problem in _find_unreadable_values(item)
        ),
    ]:
        raise InvalidFileError(errors)
    return configuration


@cache
def _validator() -> Draft202012Validator:
    return Draft202012Validator(build_file_schema())


def _find_schema_errors(document: YamlDocument) -> Iterator[FileError]:
    if document.value is None:
        yield FileError("The file is empty.", 1, 1)
        return
    for error in _validator().iter_errors(document.value):
        for path, message in _describe_schema_error(error):
            yield FileError(message, *document.find_position(path))


def _describe_schema_error(error: ValidationError) -> Iterator[tuple[ValuePath, str]]:
    """Yields the path and the message of each error in words of the file."""
    path = tuple(error.instance_path)
    quoted = _quote(error.instance)
    is_channel = path[:1] == (CHANNELS.name,)
    if is_channel and (path[2:3] in (("url",), ("headers",)) or "://" in quoted):
        quoted = MASK  # also an address in a wrong place
    kinds = ValidationErrorKind
    match error.kind:
        case kinds.AdditionalProperties(unexpected=names):
            known = _known_keys(error)
            for name in names:
                matches = get_close_matches(name, known, n=1)
                hint = f" Did you mean {matches[0]}?" if matches else ""
                yield (*path, name), f"Unknown key {quote_value(name)}.{hint}"
        case kinds.Required(property=name):
            yield path, f"The key {name} is missing."
        case kinds.Type():
            expected = {"array": "a list", "object": "a mapping"}
            types = " or ".join(
                expected.get(name, f"a {name}".replace("a integer", "an integer"))
                for name in error.kind.types
            )
            empty = " For an empty list, write []." if error.kind.types == ["array"] else ""
            yield path, f"Invalid value {quoted}: expected {types}.{empty}"
        case kinds.Enum(options=options):
            expected_values = " or ".join(map(str, options))
            yield path, f"Invalid value {quoted}: expected {expected_values}."
        case kinds.MinProperties() | kinds.MaxProperties():
            keys = ", ".join(_known_keys(error))
            yield path, f"Exactly one of these keys is allowed: {keys}."
        case _:
            yield path, f"{error.message}."


def _quote(value: Any) -> str:
    return "null" if value is None else quote_value(value)


def _known_keys(error: ValidationError) -> list[str]:
    """The keys of the object in which the error is, from the path of the failed keyword."""
    schema: Any = build_file_schema()
    for step in list(error.schema_path)[:-1]:
        if step == "$ref":
            schema = build_file_schema()["$defs"][schema["$ref"].rpartition("/")[2]]
        else:
            schema = schema[step]
    return list(schema["properties"])


def _find_repeated_items(configuration: Configuration) -> Iterator[FileError]:
    for section in SECTIONS:
        first_items: dict[Key | str, ConfiguredItem] = {}
        for item in configuration.items.get(section.name, ()):
            by_key = first_items.setdefault(item.key, item)
            # Event types cannot have the same type, whatever their IDs are.
            is_distinct = section is not EVENT_TYPES and item.id and by_key.id
            if by_key is not item and not is_distinct:
                message = f"Another {item.title} is in line {{line}}."
                if section is SILENCES:
                    message += " Remove one of them."
                elif section is not EVENT_TYPES:
                    message += " Change a name, or set the id of both."
                yield _error_about(configuration, message, item, by_key)
            elif item.id and (by_id := first_items.setdefault(item.id, item)) is not item:
                message = f"Another {section.noun} with this id is in line {{line}}."
                yield _error_about(configuration, message, item, by_id)


def _error_about(
    configuration: Configuration, message: str, item: ConfiguredItem, other: ConfiguredItem
) -> FileError:
    line, _ = configuration.document.find_position(other.path)
    return configuration.error_at(message.format(line=line), *item.path)


def _find_unreadable_values(item: ConfiguredItem) -> Iterator[Problem]:
    """Yields the problems of values that the API could not even read."""
    if item.id is not None and parse_id(item.id) is None:
        yield invalid_input(f"Invalid ID {quote_value(item.id)}: expected a UUID.", "id")
    times = {name: item.value.get(name) for name in ("sunsetAt", "startsAt", "endsAt")}
    invalid_times = {
        name: time
        for name, time in times.items()
        if time is not None and parse_instant(time) is None
    }
    for name, time in invalid_times.items():
        message = f"Invalid time {quote_value(time)}: expected {EXPECTED_INSTANT}."
        yield invalid_input(message, name)
    if times["sunsetAt"] is not None and item.value.get("state") != "DEPRECATED":
        yield invalid_input("sunsetAt is allowed only with the state DEPRECATED.", "sunsetAt")
    if invalid_times and item.section is SILENCES:
        return
    for name in {"window", "keepFor"} & item.value.keys():
        try:
            graphql_types()["Duration"].parse_value(item.value[name])
        except GraphQLError as error:
            yield invalid_input(str(error), name)
            return
    try:
        read_input(item)
    except InvalidArgumentsError as error:
        yield from error.problems
    except (GraphQLError, UnsupportedInputError, RequestError) as error:
        yield invalid_input(str(error) or "The value cannot be read.")


_READERS = InputReaders()


def to_input(item: ConfiguredItem) -> dict[str, Any]:
    """Returns the attributes of the item that its mutation has, with their names."""
    members = graphql_types()[item.section.input_type].fields
    return {name: value for name, value in item.value.items() if name in members}


def read_input(item: ConfiguredItem) -> Any:
    """Reads the input object of the item, and for event types its definition.

    Raises GraphQLError, UnsupportedInputError, InvalidArgumentsError or RequestError.
    """
    reader = _READERS.create_reader(graphql_types()[item.section.input_type])
    attributes = to_input(item)
    if item.section is CHANNELS:
        attributes = {"url": ""} | attributes  # absent if it is not changed
    value = reader(attributes)
    if item.section is EVENT_TYPES:
        return value.to_domain()
    if item.section is DUPLICATION_RULES:
        parse_input_length(value.window, "window")
    if item.section is RETENTION_POLICIES:
        parse_input_length(value.keep_for, "keepFor")
    return value


def normalize_filter(filter: Mapping[str, Any], limits: Limits) -> dict[str, Any]:
    """Returns a filter as the server stores it, or as it is if it exceeds the limits."""
    try:
        value = _READERS.create_reader(graphql_types()["EventFilter"])(dict(filter))
        return filter_to_json(parse_event_filter(value, limits))
    except (GraphQLError, UnsupportedInputError, RequestError):
        return dict(filter)


# The server has validated the filters of stored silences, with limits that are possibly wider.
_WIDE_LIMITS = replace(
    Limits(),
    filter_depth=sys.maxsize,
    filter_leaves=sys.maxsize,
    filter_values=sys.maxsize,
    name_characters=sys.maxsize,
)


def _silence_key(value: Mapping[str, Any]) -> Key:
    """Returns the start and the filter of a silence in one notation."""
    start = parse_instant(value["startsAt"])
    text = value["startsAt"] if start is None else format_instant(start)
    return text, canonical_json(normalize_filter(value["filter"], _WIDE_LIMITS)).decode()


def to_file_path(path: Sequence[str]) -> ValuePath:
    return tuple(int(step) if step.isdecimal() else step for step in path)


def validate_items(configuration: Configuration) -> list[FileError]:
    """Returns the errors that a server with the default limits would return."""
    return [
        configuration.error_at(problem.message, *item.path, *to_file_path(problem.path))
        for items in configuration.items.values()
        for item in items
        for problem in find_problems(configuration, item, Limits(), ChannelLimits())
    ]


def count_unchecked_rules(configuration: Configuration) -> int:
    """Returns the number of guard rules of event types that the file does not contain."""
    rules = configuration.items.get(GUARD_RULES.name, ())
    return sum(not has_known_scope(configuration, rule) for rule in rules)


def has_known_scope(configuration: Configuration, rule: ConfiguredItem) -> bool:
    """Whether a rule is for all event types, or for one that the file contains."""
    event_type = rule.value.get("eventType")
    return event_type is None or configuration.find_event_type(event_type) is not None


def find_address_problems(
    item: ConfiguredItem,
    url: str,
    headers: Mapping[str, str],
    limits: Limits,
    channel_limits: ChannelLimits,
) -> list[Problem]:
    """Returns the problems of an address with its headers, whose references have been resolved."""
    value = read_input(item)
    channel = Channel(value.kind, value.name, url, tuple(value.triggers), headers)
    problems = validate_channel(channel, limits, channel_limits)
    return [each for each in problems if {"url", "headers"} & set(each.path)]


def find_problems(
    configuration: Configuration,
    item: ConfiguredItem,
    limits: Limits,
    channel_limits: ChannelLimits,
) -> Iterator[Problem]:
    """Yields the problems that a server with these limits would find.

    Of a rule of an event type that the file does not contain, the expression is not validated, and
    the fingerprint without the fields of the event type.
    """
    value = read_input(item)
    event_type = configuration.find_event_type(item.value.get("eventType"))
    scope: EventTypeDefinition | None = None if event_type is None else read_input(event_type)
    if item.section is EVENT_TYPES:
        yield from validate_definition(value, limits)
    elif item.section is GUARD_RULES:
        yield from validate_name(value.name, limits.name_characters, "name")
        yield from validate_name(value.message, limits.summary_characters, "message")
        if has_known_scope(configuration, item):
            yield from _validate_expression(value.expression, scope, limits)
    elif item.section is DUPLICATION_RULES:
        keeps_all = scope is not None and scope.additional_fields is AdditionalFields.KEEP
        names = None if scope is None or keeps_all else [field.name for field in scope.fields]
        window = parse_input_length(value.window, "window")
        yield from validate_duplication_rule(value.name, value.fingerprint, window, names, limits)
    elif item.section is RETENTION_POLICIES:
        yield from _validate_policy(value, limits)
    elif item.section is SILENCES:
        yield from _validate_silence(value, limits)
    elif item.section is SOURCES:
        mapping = None if value.mapping is None else value.mapping.to_domain()
        for problem in validate_source(value.name, value.kind, mapping, limits):
            yield _locate_problem(problem) if isinstance(problem, ExpressionProblem) else problem
    else:
        yield from _validate_channel(item, value, limits, channel_limits)


def _validate_expression(
    expression: str, scope: EventTypeDefinition | None, limits: Limits
) -> Iterator[Problem]:
    fields: tuple[FieldDefinition, ...] | None = None if scope is None else scope.fields
    for problem in validate_expression(expression, fields, limits):
        yield invalid_input(_locate_problem(problem).message, "expression")


def _locate_problem(problem: ExpressionProblem) -> Problem:
    """Returns the problem with its place in the expression, which has no place in the file."""
    place = format_place(problem.line, problem.column)
    return invalid_input(place + problem.message, *problem.path)


def format_place(line: int, column: int) -> str:
    return f"Line {line}, column {column} of the expression: "


def _validate_policy(value: Any, limits: Limits) -> Iterator[Problem]:
    target = value.target or RetentionTarget.EVENTS
    length = parse_input_length(value.keep_for, "keepFor")
    try:
        filter = None
        if value.filter is not None:
            filter = filter_to_json(parse_event_filter(value.filter, limits))
    except RequestError as error:
        yield invalid_input(error.message, *error.path)
        return
    yield from validate_retention_policy(
        RetentionPolicy(value.name, target, filter, length), limits
    )


def _validate_silence(value: Any, limits: Limits) -> Iterator[Problem]:
    try:
        filter = parse_event_filter(value.filter, limits)
    except RequestError as error:
        yield invalid_input(error.message, *error.path)
        return
    yield from silences.validate_filter(filter)
    # One that is over is valid: it is not created.
    start = datetime.min.replace(tzinfo=UTC)
    yield from silences.validate_period(value.starts_at, value.ends_at, start, limits)
    yield from silences.validate_comment(value.comment, limits)


def list_address_texts(item: ConfiguredItem) -> dict[tuple[str, ...], str]:
    """Returns the texts of a channel that can be references, by their path."""
    texts: dict[tuple[str, ...], str] = {}
    if "url" in item.value:
        texts["url",] = item.value["url"]
    for name, text in item.value.get("headers", {}).items():
        texts["headers", name] = text
    return texts


def has_literal_addresses(configuration: Configuration) -> bool:
    """Whether the file itself has addresses or headers of channels, and not references to them."""
    return any(
        not is_reference(text)
        for item in configuration.items.get(CHANNELS.name, ())
        for text in list_address_texts(item).values()
    )


def _validate_channel(
    item: ConfiguredItem, value: Any, limits: Limits, channel_limits: ChannelLimits
) -> Iterator[Problem]:
    """Validates a channel, except the values of references."""
    url, headers = item.value.get("url"), item.value.get("headers", {})
    if url is None and headers:
        message = (
            "headers requires url: without url, the address and the headers of the channel are not "
            "changed."
        )
        yield invalid_input(message, "headers")
    for path, text in list_address_texts(item).items():
        if (problem := find_reference_problem(text)) is not None:
            yield invalid_input(problem, *path)
    literal_url = None if url is None or is_reference(url) else url
    # Any valid value stands for that of a reference.
    values = {name: "x" if is_reference(each) else each for name, each in headers.items()}
    channel = Channel(value.kind, value.name, literal_url, tuple(value.triggers), values)
    yield from validate_channel(channel, limits, channel_limits)
    try:
        parse_event_filter(value.filter, limits)
    except RequestError as error:
        yield invalid_input(error.message, *error.path)
