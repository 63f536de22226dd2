"""Any text is accepted as a severity."""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, given

from app.domain.events.severity import Severity, lookup_severity, parse_severity_map
from tests.domain.strategies import ANY_TEXT

WORDS = {
    "error": Severity.ERROR,
    "failure": Severity.ERROR,
    "red": Severity.ERROR,
    "warn": Severity.WARN,
    "warning": Severity.WARN,
    "yellow": Severity.WARN,
    "success": Severity.SUCCESS,
    "successful": Severity.SUCCESS,
    "green": Severity.SUCCESS,
    "info": Severity.INFO,
    "blue": Severity.INFO,
}


@pytest.mark.parametrize(("word", "severity"), WORDS.items())
def test_a_known_word_is_mapped_to_its_severity(word: str, severity: Severity) -> None:
    assert lookup_severity(word) is severity


@pytest.mark.parametrize("word", ["ERROR", "Error", " error", "error ", "\tFailure\n", "\u00a0reD"])
def test_case_and_blanks_around_a_word_do_not_matter(word: str) -> None:
    assert lookup_severity(word) is Severity.ERROR


@pytest.mark.parametrize("text", [None, "", "  ", "fatal", "error!", "errors", "e r r o r"])
def test_other_words_are_unknown(text: str | None) -> None:
    assert lookup_severity(text) is None


@given(ANY_TEXT)
def test_every_other_text_is_unknown(text: str) -> None:
    assume(text.strip().casefold() not in WORDS)

    assert lookup_severity(text) is None


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", {}),
        ("critical=error", {"critical": Severity.ERROR}),
        (" P1 = Error ,p4=green,", {"p1": Severity.ERROR, "p4": Severity.SUCCESS}),
        ("a=b=warn,error=red", {"a=b": Severity.WARN, "error": Severity.ERROR}),
    ],
)
def test_a_severity_map_is_parsed(text: str, names: dict[str, Severity]) -> None:
    assert parse_severity_map(text) == names


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("critical", "Invalid entry 'critical': expected WORD=SEVERITY"),
        ("critical=fatal", "Invalid entry 'critical=fatal'"),
        ("=error", "Invalid entry '=error'"),
        (
            "p1=error,P1=warn",
            "'p1' is already mapped to ERROR, and cannot be mapped to a different severity.",
        ),
        (
            "Warning=error",
            "'warning' is already mapped to WARN, and cannot be mapped to a different severity.",
        ),
    ],
)
def test_an_invalid_severity_map_is_rejected(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        parse_severity_map(text)


def test_a_mapped_word_is_known_in_any_case() -> None:
    names = parse_severity_map("Critical=error")

    assert lookup_severity(" CRITICAL ", names) is Severity.ERROR
