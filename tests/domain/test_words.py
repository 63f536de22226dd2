"""The words by which a search finds an event."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.events.filters import EventFilter, filter_matches
from app.domain.events.words import (
    contains_terms,
    extract_event_words,
    extract_first_version_words,
    extract_search_terms,
    extract_words,
)
from tests.domain.examples import make_event
from tests.domain.strategies import STORABLE_TEXT

HASH = "#"  # between the beginning of a long word and its hash
UNSPACED = "日本語テストひらがな𠀀𠀁ผิดพลาดຜິດພາດកំហុសအမှား々ー"


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
        ("café cafe\u0301 CAFÉ", {"café"}),  # an accent combined with a letter is part of it
        ("x\u0301 y\u0323\u0302\u20dd", {"x", "ỵ"}),
        ("Straße STRASSE", {"strasse"}),
        ("ﬁne ｆｉｎｅ", {"fine"}),
        ("İstanbul", {"istanbul"}),
        ("ΣΊΣΥΦΟΣ σίσυφος", {"σίσυφοσ"}),
        ("½ x² ①", {"1", "2", "x2"}),
        ("𝐀 Ⅷ ㎏ 🄐", {"a", "viii", "kg"}),
        ("㌖", {"キロ", "ロメ", "メー", "ート", "トル", "ル"}),
        ("日本語 テスト", {"日本", "本語", "語", "テス", "スト", "ト"}),
        ("3号機のpump", {"3", "号機", "機の", "の", "pump"}),
        ("東", {"東"}),
        ("𠀀𠀁", {"𠀀𠀁", "𠀁"}),
        ("ผิดพลาด", {"ผด", "ดพ", "พล", "ลา", "าด", "ด"}),  # a vowel above is a mark
        ("ຜິດ ကား ខ្មែរ", {"ຜດ", "ດ", "က", "ខម", "មរ", "រ"}),
        ("हिन्दी", {"हनद"}),  # its vowels and virama are marks
        ("한국어", {"한국어"}),
        ("😀 a😀b", {"a", "b", "😀"}),
        ("🔥🔥🚒", {"🔥", "🚒"}),
        ("👩\u200d🚒 ❤\ufe0f 👍🏽 🇩🇪 1\ufe0f\u20e3", {"👩", "🚒", "❤", "👍", "🇩", "🇪", "1"}),
        ("50 °C ☎™", {"50", "°", "c", "☎", "tm"}),
        ("\u0301", set()),
        ("٣", {"٣"}),
        ("x" * 28, {"x" * 28}),
        ("é" * 14, {"é" * 14}),
    ],
)
def test_words_are_letters_and_digits_without_case_and_marks(text: str, expected: set[str]) -> None:
    assert extract_words(text) == expected


def test_a_long_word_is_stored_as_its_beginning_and_a_hash() -> None:
    long = {word for n in range(100) for word in extract_words("x" * 40 + str(n))}

    assert len(long) == 100
    assert {word.partition(HASH)[0] for word in long} == {"x" * 28}
    assert extract_words("X" * 40) == extract_words("x" * 40)
    assert extract_words("x" * 40).isdisjoint(extract_words("x" * 41))
    [word] = extract_words("x" + "é" * 30)
    assert word.partition(HASH)[0] == "x" + "é" * 13  # no partial character


@given(st.text(st.characters(codec="utf-8"), max_size=60))
def test_a_word_is_short_and_consists_of_letters_and_digits(text: str) -> None:
    for word in extract_words(text):
        head, _, digest = word.partition(HASH)
        assert 0 < len(head.encode()) <= 28
        assert len(digest) in (0, 8)
        assert (head + digest).isalnum() or unicodedata.category(word) == "So"


@given(st.text(st.characters(codec="utf-8"), max_size=20))
def test_a_word_matches_itself(text: str) -> None:
    for word in extract_words(text):
        if HASH not in word:
            assert contains_terms([word], extract_search_terms(word))


@given(st.text(st.characters(codec="utf-8"), max_size=40), st.text("aé日🔥", max_size=3))
def test_a_string_matches_itself_and_each_of_its_words_as_a_prefix(text: str, other: str) -> None:
    words = sorted(extract_words(f"{other} {text}"))

    assert contains_terms(words, extract_search_terms(text))
    for word in extract_words(text):
        assert contains_terms(words, extract_search_terms(f"{word.partition(HASH)[0]}*"))


@given(st.text(UNSPACED, min_size=1, max_size=20), st.data())
def test_any_part_of_text_without_spaces_is_found(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))

    assert contains_terms(sorted(extract_words(text)), extract_search_terms(text[start:end]))


@given(
    st.text("aaab", min_size=1, max_size=40),
    st.lists(st.text("aaab", min_size=1, max_size=40), max_size=5),
)
def test_a_prefix_matches_words_that_begin_with_it(prefix: str, words: list[str]) -> None:
    stored = sorted(extract_words(" ".join(words)))
    candidates = words if len(prefix) <= 28 else [word for word in words if len(word) > 28]

    assert contains_terms(stored, extract_search_terms(prefix + "*")) == any(
        word.startswith(prefix[:28]) for word in candidates
    )


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ("config*", {"config*"}),
        ("CONFIG* pump", {"config*", "pump"}),
        ("config *", {"config"}),
        ("c*n", {"c*", "n"}),
        ("＊ ｃ＊", {"c*"}),
        ("日本語*", {"日本", "本語"}),
        ("日", {"日*"}),
        ("日本 日", {"日本", "日*"}),
        ("v日2*", {"v", "日*", "2*"}),
        ("🔥*", {"🔥"}),
        ("x" * 28 + "*", {"x" * 28 + "*"}),
        ("x" * 29 + "*", {"x" * 28 + "#*"}),
        ("é" * 13 + "x日*", {"é" * 13 + "x", "日*"}),
        (" * ** _*", set()),
    ],
)
def test_the_terms_of_a_search_are_words_and_prefixes(search: str, expected: set[str]) -> None:
    assert extract_search_terms(search) == expected


def test_words_of_version_1_are_unchanged() -> None:
    text = f"日本語 🔥 Pump 3 {'x' * 28} {'x' * 29}"

    assert extract_first_version_words(text) == {
        *("日本語", "pump", "3", "x" * 28),
        "#1702245ac78581c3218750b9aa8",
    }


@pytest.mark.parametrize("text", ["ᄀ\u0323ᅡ", "a\u0345ι", "ﾞ", "ͅ", "가\u3099ᆨ", "ß\u0307s"])
def test_a_word_with_a_mark_between_letters_matches_itself(text: str) -> None:
    for word in extract_words(text):
        assert contains_terms([word], extract_search_terms(word))


@given(STORABLE_TEXT)
def test_case_width_and_composition_do_not_matter(text: str) -> None:
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        spelt: str = unicodedata.normalize(form, text)
        assert extract_words(spelt) == extract_words(text)
    assert extract_words(text.casefold()) == extract_words(text)


@given(st.text("abc é\u0301ß_1", max_size=20), st.text("abc é\u0301ß_1", max_size=20))
def test_the_words_of_two_texts_are_those_of_both(one: str, other: str) -> None:
    assert extract_words(f"{one} {other}") == extract_words(one) | extract_words(other)


@given(STORABLE_TEXT, STORABLE_TEXT)
def test_an_event_is_found_by_each_word_and_by_all_of_them(summary: str, content: str) -> None:
    event = make_event(summary=summary, content=content)

    assert extract_event_words(summary, content) == extract_words(summary) | extract_words(content)
    assert filter_matches(EventFilter(search=f"{content} {summary}"), event)


def test_a_word_does_not_continue_from_summary_to_content() -> None:
    event = make_event(summary="fore", content="man")

    assert not filter_matches(EventFilter(search="foreman"), event)
    assert extract_event_words("alone", None) == {"alone"}
