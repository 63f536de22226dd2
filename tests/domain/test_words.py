"""The words by which a search finds an event."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.events.filters import (
    EventFilter,
    extract_event_words,
    extract_words,
    filter_matches,
)
from tests.domain.examples import make_event
from tests.domain.strategies import KEEPABLE_TEXT

LONG = "#"  # what stands for a long word begins so


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", set()),
        (" !?_-*\"'\\()&|:@#\t\n", set()),
        ("Pump 3 tripped", {"pump", "3", "tripped"}),
        ("pump,pump PUMP", {"pump"}),
        ("a_b a-b a.b", {"a", "b"}),
        ("ABC12x", {"abc12x"}),
        ("don't", {"don", "t"}),
        ("café cafe\u0301 CAFÉ", {"café"}),  # an accent that has a letter with it is part of it
        ("x\u0301 y\u0323\u0302\u20dd", {"x", "ỵ"}),
        ("Straße STRASSE", {"strasse"}),
        ("ﬁne ｆｉｎｅ", {"fine"}),
        ("İstanbul", {"istanbul"}),
        ("ΣΊΣΥΦΟΣ σίσυφος", {"σίσυφοσ"}),
        ("½ x² ①", {"1", "2", "x2"}),
        ("𝐀 Ⅷ ㎏ 🄐", {"a", "viii", "kg"}),
        ("㌖", {"キロメートル"}),
        ("日本語 テスト", {"日本語", "テスト"}),
        ("हिन्दी", {"हनद"}),  # its vowels and virama are marks
        ("한국어", {"한국어"}),
        ("😀 a😀b", {"a", "b"}),
        ("\u0301", set()),
        ("٣", {"٣"}),
        ("x" * 28, {"x" * 28}),
        ("é" * 14, {"é" * 14}),
    ],
)
def test_words_are_runs_of_letters_and_digits_without_case_and_marks(
    text: str, expected: set[str]
) -> None:
    assert extract_words(text) == expected


def test_a_long_word_is_known_by_what_stands_for_it_alone() -> None:
    long = {word for n in range(100) for word in extract_words("x" * 40 + str(n))}

    assert len(long) == 100
    assert all(word.startswith(LONG) and len(word) <= 32 for word in long)
    assert extract_words("X" * 40) == extract_words("x" * 40)
    assert extract_words("x" * 40).isdisjoint(extract_words("x" * 41))


@given(st.text(st.characters(codec="utf-8"), max_size=60))
def test_a_word_is_short_and_has_nothing_that_a_database_could_take_apart(text: str) -> None:
    for word in extract_words(text):
        assert 0 < len(word.encode()) <= 32
        assert word.removeprefix(LONG).isalnum()


@given(st.text(st.characters(codec="utf-8"), max_size=20))
def test_a_word_is_found_by_itself(text: str) -> None:
    for word in extract_words(text):
        if not word.startswith(LONG):
            assert extract_words(word) == {word}


@pytest.mark.parametrize("text", ["ᄀ\u0323ᅡ", "a\u0345ι", "ﾞ", "ͅ", "가\u3099ᆨ", "ß\u0307s"])
def test_a_word_whose_letters_a_mark_kept_apart_is_found_by_itself(text: str) -> None:
    for word in extract_words(text):
        assert extract_words(word) == {word}


@given(KEEPABLE_TEXT)
def test_case_width_and_composition_do_not_matter(text: str) -> None:
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        spelt: str = unicodedata.normalize(form, text)
        assert extract_words(spelt) == extract_words(text)
    assert extract_words(text.casefold()) == extract_words(text)


@given(st.text("abc é\u0301ß_1", max_size=20), st.text("abc é\u0301ß_1", max_size=20))
def test_the_words_of_two_texts_are_those_of_both(one: str, other: str) -> None:
    assert extract_words(f"{one} {other}") == extract_words(one) | extract_words(other)


@given(KEEPABLE_TEXT, KEEPABLE_TEXT)
def test_an_event_is_found_by_each_word_and_by_all_of_them(summary: str, content: str) -> None:
    event = make_event(summary=summary, content=content)

    assert extract_event_words(event) == extract_words(summary) | extract_words(content)
    assert filter_matches(EventFilter(search=f"{content} {summary}"), event)


def test_a_word_does_not_continue_from_summary_to_content() -> None:
    event = make_event(summary="fore", content="man")

    assert not filter_matches(EventFilter(search="foreman"), event)
    assert extract_event_words(make_event(summary="alone", content=None)) == {"alone"}
