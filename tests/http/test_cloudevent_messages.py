"""HTTP messages are read as JSON-format events (CloudEvents HTTP binding 1.0.2)."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from app.http.cloudevent_messages import (
    BATCH_MEDIA_TYPE,
    EVENT_MEDIA_TYPE,
    CloudEventMessage,
    read_message,
)
from app.http.json_bodies import ErrorDetail, InvalidMessage

FIRST = {"specversion": "1.0", "id": "1", "source": "/wells", "type": "gauge"}


def read_structured(
    body: object, content_type: str = EVENT_MEDIA_TYPE, **headers: str
) -> CloudEventMessage | InvalidMessage:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_message(encode_headers({"content-type": content_type} | headers), raw)


def read_binary(
    body: bytes = b"", content_type: str | None = None, **headers: str
) -> CloudEventMessage | InvalidMessage:
    """Reads an event in binary mode, with these attributes."""
    attributes = {f"ce-{name}": value for name, value in (FIRST | headers).items()}
    if content_type is not None:
        attributes["content-type"] = content_type
    return read_message(encode_headers(attributes), body)


def encode_headers(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in headers.items()]


def only_event(read: CloudEventMessage | InvalidMessage) -> Any:
    assert isinstance(read, CloudEventMessage), read
    [event] = read.events
    return event


def only_error(read: CloudEventMessage | InvalidMessage) -> tuple[int, str, tuple[str, ...]]:
    """Returns status, code and path of the only error."""
    assert isinstance(read, InvalidMessage), read
    [flaw] = read.errors
    return read.status, flaw.code, flaw.path


CONTENT_TYPES = [
    "application/cloudevents+json",
    "application/cloudevents+json; charset=UTF-8",
    'application/cloudevents+json;charset="utf-8"',
    "Application/CloudEvents+JSON ; Charset=us-ascii",
]


@pytest.mark.parametrize("content_type", CONTENT_TYPES)
def test_a_structured_event_is_the_body(content_type: str) -> None:
    assert read_structured(FIRST, content_type) == CloudEventMessage((FIRST,))


def test_a_structured_event_may_use_a_declared_charset() -> None:
    event = FIRST | {"subject": "Größe"}
    body = json.dumps(event, ensure_ascii=False).encode("iso-8859-1")

    assert read_structured(body, f"{EVENT_MEDIA_TYPE}; charset=ISO-8859-1") == CloudEventMessage(
        (event,)
    )


def test_structured_mode_ignores_ce_headers() -> None:
    headers = {"ce-specversion": "1.0", "ce-id": "another", "ce-subject": "%C0%A0"}

    assert read_structured(FIRST, **headers) == CloudEventMessage((FIRST,))


def test_a_batch_is_an_array_of_events() -> None:
    second = FIRST | {"id": "2"}

    read = read_structured([FIRST, second], f"{BATCH_MEDIA_TYPE}; charset=utf-8")

    assert read == CloudEventMessage((FIRST, second), batched=True)


def test_a_batch_may_be_empty() -> None:
    assert read_structured([], BATCH_MEDIA_TYPE) == CloudEventMessage((), batched=True)


def test_a_batch_keeps_items_that_are_not_events_for_later_validation() -> None:
    odd: list[object] = [None, 1, "x", [], {}, {"specversion": ["1.0"]}, FIRST]

    assert read_structured(odd, BATCH_MEDIA_TYPE) == CloudEventMessage(tuple(odd), batched=True)


def test_a_batch_of_two_specversions_is_rejected() -> None:
    mixed = [FIRST, FIRST | {"specversion": "0.3"}]

    assert only_error(read_structured(mixed, BATCH_MEDIA_TYPE)) == (400, "BAD_USER_INPUT", ())


def test_an_event_is_not_accepted_as_a_batch_nor_a_batch_as_an_event() -> None:
    assert only_error(read_structured(FIRST, BATCH_MEDIA_TYPE)) == (400, "BAD_USER_INPUT", ())
    assert only_error(array := read_structured([FIRST])) == (400, "BAD_USER_INPUT", ())
    assert isinstance(array, InvalidMessage)
    assert BATCH_MEDIA_TYPE in array.errors[0].message
    assert read_structured(17) == CloudEventMessage((17,))  # an event must be an object


UNSUPPORTED = [
    "application/cloudevents",
    "application/cloudevents+xml",
    "application/cloudevents+avro",
    "application/cloudevents+protobuf",
    "application/cloudevents+jsonx",
    "application/cloudevents-batch",
    "application/cloudevents-batch+xml",
    "application/cloudevents+json; charset=utf-7",
    "application/cloudevents+json; charset=base64",
    "application/json",
    "text/plain",
    "",
]


@pytest.mark.parametrize("content_type", UNSUPPORTED)
def test_another_content_type_is_not_supported(content_type: str) -> None:
    assert only_error(read_structured(FIRST, content_type)) == (415, "BAD_USER_INPUT", ())


def test_an_unknown_event_format_is_not_read_as_binary_mode() -> None:
    read = read_structured(b"<event/>", "application/cloudevents+xml", **{"ce-specversion": "1.0"})

    assert only_error(read) == (415, "BAD_USER_INPUT", ())


NO_JSON: list[tuple[bytes, str]] = [
    (b"", "Invalid JSON: Expecting value"),
    (b"{", "Invalid JSON"),
    (b'{"id": "1",}', "Invalid JSON"),
    (b"\xff\xfe", "is not valid UTF-8"),
    (b'{"id": "\xc0\xa0"}', "is not valid UTF-8"),
    (b'{"id": "\xed\xa0\x80"}', "is not valid UTF-8"),
    (b'{"data": NaN}', "NaN is not valid JSON"),
    (b'{"data": -Infinity}', "-Infinity is not valid JSON"),
    (b'{"id": "1", "id": "2"}', "the member 'id' occurs more than once"),
    (b'{"data": [{"a": 1, "\\u0061": 2}]}', "the member 'a' occurs more than once"),
    (b'{"id": "a\nb"}', "Invalid JSON"),
    (b"[" * 100_000, "nested too deeply"),
    (b'{"a":' * 100_000, "nested too deeply"),
    (b"{} {}", "Extra data"),
]


@pytest.mark.parametrize(("body", "message"), NO_JSON, ids=[m for _, m in NO_JSON])
@pytest.mark.parametrize("content_type", [EVENT_MEDIA_TYPE, BATCH_MEDIA_TYPE])
def test_invalid_json_is_rejected(body: bytes, message: str, content_type: str) -> None:
    read = read_structured(body, content_type)

    assert only_error(read) == (400, "BAD_USER_INPUT", ())
    assert isinstance(read, InvalidMessage)
    assert message in read.errors[0].message


def test_a_byte_order_mark_is_ignored() -> None:
    assert read_structured(b"\xef\xbb\xbf" + json.dumps(FIRST).encode()) == CloudEventMessage(
        (FIRST,)
    )


def test_a_number_beyond_a_double_is_read_as_infinity_for_later_validation() -> None:
    read = read_structured(
        b'[{"data": 1' + b"0" * 5_000 + b'}, {"data": 1e400}, {"data": 12}]', BATCH_MEDIA_TYPE
    )

    assert read == CloudEventMessage(
        ({"data": math.inf}, {"data": math.inf}, {"data": 12}), batched=True
    )


def test_a_binary_event_has_its_attributes_in_headers() -> None:
    event = only_event(read_binary(time="2026-04-10T12:00:00Z", subject="w-1", comexample="5"))

    assert event == FIRST | {"time": "2026-04-10T12:00:00Z", "subject": "w-1", "comexample": "5"}


@pytest.mark.parametrize("name", ["id", "source", "type", "subject"])
def test_one_ce_header_selects_binary_mode(name: str) -> None:
    read = read_message(
        encode_headers({f"ce-{name}": "x", "content-type": "application/json"}), b"1"
    )

    assert only_event(read) == {name: "x", "datacontenttype": "application/json", "data": 1}


def test_notification_is_read_as_a_boolean_and_other_headers_as_strings() -> None:
    event = only_event(read_binary(notification="true", comexample="true"))

    assert event == FIRST | {"notification": True, "comexample": "true"}
    assert only_event(read_binary(notification="false"))["notification"] is False
    assert only_event(read_binary(notification="True"))["notification"] == "True"


def test_header_names_are_read_in_any_case() -> None:
    headers = [(b"CE-SpecVersion", b"1.0"), (b"Ce-Id", b"1"), (b"CONTENT-TYPE", b"text/plain")]

    read = read_message(headers, b"words")

    assert only_event(read) == {
        "specversion": "1.0",
        "id": "1",
        "datacontenttype": "text/plain",
        "data": "words",
    }


def test_headers_without_the_prefix_are_not_attributes() -> None:
    headers = encode_headers({f"ce-{name}": value for name, value in FIRST.items()})

    read = read_message([*headers, (b"x-id", b"2"), (b"id", b"3"), (b"cecilia", b"4")], b"")

    assert only_event(read) == FIRST


def test_content_type_is_the_datacontenttype() -> None:
    event = only_event(read_binary(b"{}", "application/json; charset=UTF-8"))

    assert event == FIRST | {"datacontenttype": "application/json; charset=UTF-8", "data": {}}


def test_ce_datacontenttype_is_rejected() -> None:
    read = read_binary(b"{}", "application/json", datacontenttype="application/json")

    assert only_error(read) == (400, "INVALID_INPUT", ("datacontenttype",))


@pytest.mark.parametrize("name", ["data", "data_base64"])
def test_data_in_a_header_is_rejected(name: str) -> None:
    headers = encode_headers({f"ce-{each}": value for each, value in (FIRST | {name: "x"}).items()})

    assert only_error(read_message(headers, b"")) == (400, "INVALID_INPUT", (name,))


@pytest.mark.parametrize("name", ["ce-id", "CE-ID"])
def test_a_repeated_header_is_rejected(name: str) -> None:
    headers = encode_headers({f"ce-{name}": value for name, value in FIRST.items()})

    read = read_message([*headers, (name.encode(), b"1")], b"")

    assert only_error(read) == (400, "INVALID_INPUT", ("id",))


def test_a_repeated_content_type_is_rejected() -> None:
    headers = [
        (b"content-type", EVENT_MEDIA_TYPE.encode()),
        (b"content-type", BATCH_MEDIA_TYPE.encode()),
    ]

    assert only_error(read_message(headers, b"[]")) == (400, "BAD_USER_INPUT", ())


def test_all_errors_of_the_headers_are_returned() -> None:
    read = read_binary(subject="%C0%A0", comexample="%FF")

    assert isinstance(read, InvalidMessage)
    assert [flaw.path for flaw in read.errors] == [("subject",), ("comexample",)]
    assert all(isinstance(flaw, ErrorDetail) for flaw in read.errors)


def test_values_are_percent_decoded() -> None:
    euro = "Euro%20%E2%82%AC%20%F0%9F%98%80"

    assert only_event(read_binary(subject=euro))["subject"] == "Euro € 😀"


def test_percent_decoding_happens_once() -> None:
    assert only_event(read_binary(subject="%2541%2525"))["subject"] == "%41%25"


def test_lower_case_hexadecimal_digits_are_read() -> None:
    assert only_event(read_binary(subject="%e2%82%ac%c3%bC"))["subject"] == "€ü"


def test_unnecessary_percent_encoding_is_decoded() -> None:
    assert only_event(read_binary(subject="%41%7e%2Fb"))["subject"] == "A~/b"


INVALID_UTF_8 = ["%C0%A0", "%FF", "%E2%82", "a%80b", "%ED%A0%BD%ED%B8%80", "%F5%80%80%80"]


@pytest.mark.parametrize("value", INVALID_UTF_8)
def test_percent_encoded_invalid_utf_8_is_rejected(value: str) -> None:
    assert only_error(read_binary(subject=value)) == (400, "INVALID_INPUT", ("subject",))


@pytest.mark.parametrize("value", ["%", "100%", "%4", "%zz", "50% of it", "%%34"])
def test_a_percent_sign_without_two_hex_digits_is_kept(value: str) -> None:
    assert only_event(read_binary(subject=value))["subject"] == value.replace("%34", "4")


@pytest.mark.parametrize("value", ["Größe", "€", "\N{NO-BREAK SPACE}"])
def test_a_header_that_is_not_ascii_is_rejected(value: str) -> None:
    assert only_error(read_binary(subject=value)) == (400, "INVALID_INPUT", ("subject",))


QUOTED = [
    ('"two words"', "two words"),
    (r'"she said \"so\""', 'she said "so"'),
    (r'"back\\slash \a"', r"back\slash a"),
    ('"Euro%20%E2%82%AC"', "Euro €"),
    (r'"%\2\0x"', " x"),
    ('""', ""),
    ('a "b" c', 'a "b" c'),
    (r"a\b", r"a\b"),
]


@pytest.mark.parametrize(("value", "attribute"), QUOTED)
def test_a_quoted_value_is_unquoted_before_it_is_decoded(value: str, attribute: str) -> None:
    assert only_event(read_binary(subject=value))["subject"] == attribute


@pytest.mark.parametrize("value", ['"', '"a', '"a"b"', '"a\\"', '"a" b'])
def test_an_unterminated_quoted_value_is_rejected(value: str) -> None:
    assert only_error(read_binary(subject=value)) == (400, "INVALID_INPUT", ("subject",))


JSON_TYPES = ["application/json", "text/json; charset=utf-8", "application/vnd.x+json", "A/B+JSON"]


@pytest.mark.parametrize("content_type", JSON_TYPES)
@pytest.mark.parametrize("value", [{"a": 1}, [1], "I'm just a string", "{}", 1.5, True, None])
def test_a_json_body_becomes_the_data(content_type: str, value: object) -> None:
    event = only_event(read_binary(json.dumps(value).encode(), content_type))

    assert event == FIRST | {"datacontenttype": content_type, "data": value}


@pytest.mark.parametrize("body", [b"just words", b"{", b"NaN", b"\xff", b"[" * 100_000])
def test_an_invalid_json_body_is_rejected(body: bytes) -> None:
    assert only_error(read_binary(body, "application/json")) == (400, "BAD_USER_INPUT", ("data",))


TEXTS = [
    ("text/plain", "Größe €".encode(), "Größe €"),
    ("text/csv; charset=iso-8859-1", b"Gr\xf6\xdfe", "Größe"),
    ("TEXT/XML;charset=UTF-16", "<ö/>".encode("utf-16"), "<ö/>"),
    ("text/plain", b"line\r\nline\r\n", "line\r\nline\r\n"),
]


@pytest.mark.parametrize(("content_type", "body", "text"), TEXTS)
def test_a_plain_text_body_becomes_a_string(content_type: str, body: bytes, text: str) -> None:
    event = only_event(read_binary(body, content_type))

    assert event == FIRST | {"datacontenttype": content_type, "data": text}


BYTES = [
    ("application/octet-stream", b"\0\1", "AAE="),
    ("application/xml", b"<a/>", "PGEvPg=="),
    ("text/plain", b"\xff", "/w=="),
    ("text/plain", b"a\0b", "YQBi"),
    ("text/plain; charset=rot13", b"\0\1", "AAE="),
    ("image/png; name=json", b"{}", "e30="),
]


@pytest.mark.parametrize(("content_type", "body", "encoded"), BYTES)
def test_any_other_body_is_kept_byte_for_byte(content_type: str, body: bytes, encoded: str) -> None:
    event = only_event(read_binary(body, content_type))

    assert event == FIRST | {"datacontenttype": content_type, "data_base64": encoded}


def test_without_a_content_type_json_is_parsed_and_other_bodies_are_bytes() -> None:
    assert only_event(read_binary(b'{"a": 1}')) == FIRST | {"data": {"a": 1}}
    assert only_event(read_binary(b"\0\1")) == FIRST | {"data_base64": "AAE="}


def test_an_empty_body_means_no_data() -> None:
    assert only_event(read_binary(b"")) == FIRST
    assert only_event(read_binary(b"", "application/json")) == FIRST | {
        "datacontenttype": "application/json"
    }


def test_version_0_3_encodes_bytes_with_datacontentencoding() -> None:
    old = {"specversion": "0.3"}

    as_bytes = only_event(read_binary(b"\0\1", "image/png", **old))
    encoded = only_event(read_binary(b"AAE=", "image/png", datacontentencoding="Base64", **old))
    linked = only_event(read_binary(b"{}", "application/json", schemaurl="/schema", **old))

    data = {"datacontenttype": "image/png", "data": "AAE="}
    assert as_bytes == FIRST | old | data | {"datacontentencoding": "base64"}
    assert encoded == FIRST | old | data | {"datacontentencoding": "Base64"}
    assert linked == FIRST | old | {
        "datacontenttype": "application/json",
        "schemaurl": "/schema",
        "data": {},
    }
