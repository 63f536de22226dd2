"""Any text is accepted as a severity."""

from __future__ import annotations

import pytest
from hypothesis import assume, given

from app.domain.events.severity import Severity, parse_severity
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
}


@pytest.mark.parametrize(("word", "severity"), WORDS.items())
def test_a_known_word_has_its_severity(word: str, severity: Severity) -> None:
    assert parse_severity(word) is severity


@pytest.mark.parametrize("word", ["ERROR", "Error", " error", "error ", "\tFailure\n", "\u00a0reD"])
def test_case_and_blanks_around_a_word_do_not_matter(word: str) -> None:
    assert parse_severity(word) is Severity.ERROR


@pytest.mark.parametrize("text", [None, "", "  ", "fatal", "error!", "errors", "blue", "e r r o r"])
def test_an_unknown_word_means_info(text: str | None) -> None:
    assert parse_severity(text) is Severity.INFO


@given(ANY_TEXT)
def test_every_other_text_means_info(text: str) -> None:
    assume(text.strip().casefold() not in WORDS)

    severity = parse_severity(text)

    assert severity is Severity.INFO
