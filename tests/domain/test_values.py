"""Validation of texts, names and IDs."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.shared.limits import Limits
from app.domain.shared.problems import invalid_input
from app.domain.shared.values import (
    format_instant,
    parse_id,
    parse_instant,
    validate_name,
    validate_text,
    validate_type_name,
)
from tests.domain.examples import is_utf_8
from tests.domain.strategies import ANY_TEXT

TEXT = "0196201a-0000-7000-8000-00000000000e"
FAMILY = "\U0001f469\u200d\U0001f467"  # three characters, displayed as one


@given(st.uuids())
def test_an_id_is_parsed_in_lower_and_upper_case(id: UUID) -> None:
    read = (parse_id(str(id)), parse_id(str(id).upper()))

    assert read == (id, id)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "17",
        TEXT.replace("-", ""),
        f"urn:uuid:{TEXT}",
        f"{{{TEXT}}}",
        f" {TEXT}",
        f"{TEXT}\n",
        TEXT.replace("e", "g"),
        TEXT.replace("0", "\u0660"),  # an Arabic zero
        TEXT.replace("-", "\u2010"),  # another hyphen
        TEXT + TEXT,
    ],
)
def test_any_other_text_is_not_an_id(text: str) -> None:
    assert parse_id(text) is None


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59.999999Z"),
        ("2016-12-31t23:59:60.123456789012z", "2016-12-31T23:59:59.999999Z"),
        ("2015-07-01T01:59:60+02:00", "2015-06-30T23:59:59.999999Z"),
        ("2016-02-29T15:29:60-08:30", "2016-02-29T23:59:59.999999Z"),
        ("9999-12-31T23:59:60Z", "9999-12-31T23:59:59.999999Z"),
        ("2026-04-10T10:30:00.1234567890Z", "2026-04-10T10:30:00.123456Z"),
        (f"2026-04-10T10:30:59.{'9' * 300}+00:00", "2026-04-10T10:30:59.999999Z"),
    ],
)
def test_leap_seconds_and_any_fraction_are_parsed(text: str, instant: str) -> None:
    read = parse_instant(text)

    assert read is not None
    assert format_instant(read) == instant


@pytest.mark.parametrize(
    "text",
    [
        "2016-12-31T23:59:61Z",
        "2016-12-30T23:59:60Z",
        "2016-12-31T22:59:60Z",
        "2016-12-31T23:58:60Z",
        "2016-12-31T23:59:60+01:00",
        "0001-01-01T00:59:60+01:00",
        "2016-12-31T23:59:60",
        "2026-04-10T10:30:00.Z",
        "2026-04-10T10:30:00,5Z",
    ],
)
def test_second_60_is_allowed_only_at_the_end_of_a_month(text: str) -> None:
    assert parse_instant(text) is None


@pytest.mark.parametrize(
    "text", [None, "", "0123456789", "é" * 10, "\U0001f600" * 10, "\t\r\n\x01"]
)
def test_a_string_within_its_limit_is_accepted(text: str | None) -> None:
    assert validate_text(text, 10, "content") == []


@pytest.mark.parametrize(
    ("text", "limit", "message"),
    [
        ("x" * 11, 10, "At most 10 characters are allowed; input.content has 11."),
        (FAMILY, 2, "At most 2 characters are allowed; input.content has 3."),
        ("\U0001f600" * 3, 2, "At most 2 characters are allowed; input.content has 3."),
        (
            "x" * 100_001,
            100_000,
            "At most 100,000 characters are allowed; input.content has 100,001.",
        ),
    ],
)
def test_the_message_for_a_long_text_has_its_length_and_the_limit(
    text: str, limit: int, message: str
) -> None:
    problems = validate_text(text, limit, "input", "content")

    assert problems == [invalid_input(message, "input", "content")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\0", "Character 1 is U+0000, which is not allowed. Remove the character."),
        ("a\ud800", "Character 2 is U+D800, which is not allowed. Remove the character."),
        ("\U0001f600\udfff", "Character 2 is U+DFFF, which is not allowed. Remove the character."),
        ("\ud83d\ude00", "Character 1 is U+D83D, which is not allowed. Remove the character."),
    ],
)
def test_the_message_for_a_character_that_cannot_be_stored_has_its_position(
    text: str, message: str
) -> None:
    problems = validate_text(text, 10, "content")

    assert problems == [invalid_input(message, "content")]


@given(ANY_TEXT)
def test_a_string_is_valid_exactly_if_utf_8_and_postgresql_can_store_it(text: str) -> None:
    is_valid = not validate_text(text, 10)

    assert is_valid == (len(text) <= 10 and "\0" not in text and is_utf_8(text))


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", "tags[3] must not be empty."),
        ("12345678901", "At most 10 characters are allowed; tags[3] has 11."),
        ("1234567890\0", "At most 10 characters are allowed; tags[3] has 11."),
        ("a\nb", "Character 2 is U+000A, which is not allowed. Remove the character."),
        ("123456789\t", "Character 10 is U+0009, which is not allowed. Remove the character."),
        ("\x1f", "Character 1 is U+001F, which is not allowed. Remove the character."),
        ("a\x7f", "Character 2 is U+007F, which is not allowed. Remove the character."),
        ("\x85", "Character 1 is U+0085, which is not allowed. Remove the character."),
        ("\x9f", "Character 1 is U+009F, which is not allowed. Remove the character."),
        ("\ud800", "Character 1 is U+D800, which is not allowed. Remove the character."),
    ],
)
def test_an_empty_or_long_name_or_a_control_character_is_rejected(name: str, problem: str) -> None:
    assert validate_name(name, 10, "tags", "3") == [invalid_input(problem, "tags", "3")]


@pytest.mark.parametrize(
    "name", [None, " ", "1234567890", "a b", "\xa0", "Größe", "\U0001f600" * 10]
)
def test_any_other_name_is_accepted(name: str | None) -> None:
    assert validate_name(name, 10, "tags") == []


@given(ANY_TEXT)
def test_every_accepted_name_is_a_valid_cloudevents_attribute(name: str) -> None:
    is_valid = not validate_name(name, 10)

    forbidden = any(
        character < " "
        or "\x7f" <= character <= "\x9f"
        or "\ufdd0" <= character <= "\ufdef"
        or ord(character) & 0xFFFE == 0xFFFE
        for character in name
    )
    assert is_valid == (1 <= len(name) <= 10 and not forbidden and is_utf_8(name))


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("*", "type must not end in '*', which marks a prefix in filters."),
        ("pump.*", "type must not end in '*', which marks a prefix in filters."),
        ("pump**", "type must not end in '*', which marks a prefix in filters."),
        ("x" * 255 + "*", "type must not end in '*', which marks a prefix in filters."),
        ("", "type must not be empty."),
        ("a\nb", "Character 2 is U+000A, which is not allowed. Remove the character."),
        ("*\n", "Character 2 is U+000A, which is not allowed. Remove the character."),
        ("x" * 256, "At most 255 characters are allowed; type has 256."),
    ],
)
def test_a_type_must_be_a_name_and_not_a_prefix(name: str, problem: str) -> None:
    assert validate_type_name(name, Limits(), "type") == [invalid_input(problem, "type")]


@pytest.mark.parametrize("name", [None, "pump.tripped", "*.tripped", "a*b", "pump.* ", "x" * 255])
def test_any_other_type_is_accepted(name: str | None) -> None:
    assert validate_type_name(name, Limits(), "type") == []
