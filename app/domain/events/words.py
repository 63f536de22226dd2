"""Search words: what the search compares.

The search index stores the words of an event, and live filters extract them again, so that both
select the same events. Increment `WORDS_VERSION` when `extract_words` changes: stored words keep
the version that extracted them, and are searched by it until `search_renewal` has renewed them.
"""

from __future__ import annotations

import base64
import hashlib
import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterator, Sequence

WORDS_VERSION = 2

# Long words are rare. PostgreSQL stores less than 1 MiB of words per row, and NFKC makes up to 8
# bytes of letters from a character: with at most 37 bytes per word, 101,000 characters fit.
_MAX_WORD_BYTES = 28
_HASH_BYTES = 5
_RUN = re.compile(r"([^\W_]+)(\*?)")
# Letters and digits of the scripts that are written without spaces between words, in NFKC.
_UNSPACED = re.compile(
    "(["
    "\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3038-\u303c\u3400-\u4dbf\u4e00-\u9fff"  # Han
    "\uf900-\ufaff\U00016ff0-\U00016ff1\U00020000-\U0003ffff"
    "\u3041-\u309f\u30a1-\u30ff\u31f0-\u31ff\U0001aff0-\U0001b16f"  # Hiragana, Katakana
    "\u0e01-\u0e5b\u0e80-\u0eff"  # Thai, Lao
    "\u1780-\u17ff"  # Khmer
    "\u1000-\u109f\ua9e0-\ua9fe\uaa60-\uaa7f\U000116d0-\U000116ff"  # Burmese
    "]+)"
)


def extract_words(text: str) -> frozenset[str]:
    """Extracts the words of text, as the search index stores them.

    Words are runs of letters and digits, and symbols such as emoji, without case, compatibility
    variants (NFKC) and separate diacritics. In scripts written without spaces, they are the pairs
    of adjacent characters and the last character of each run. A long word is stored as its first
    28 bytes and a hash.
    """
    return frozenset(map(_shorten_word, extract_full_words(text)))


def extract_event_words(summary: str, content: str | None) -> frozenset[str]:
    """Extracts the words of an event that a search compares."""
    return extract_words(f"{summary} {content or ''}")


def extract_full_words(text: str) -> frozenset[str]:
    """Extracts words of any length."""
    return frozenset(_iterate_words(text))


def extract_search_terms(search: str) -> frozenset[str]:
    """Extracts the terms that a search text looks for. One that ends in '*' is a prefix of words.

    A longer prefix than stored words have is compared by its first 28 bytes.
    """
    return frozenset(
        _prefix_term(word) if is_prefix else _shorten_word(word)
        for word, is_prefix in _iterate_terms(search)
    )


def extract_prefixes(search: str) -> frozenset[str]:
    """Extracts the terms of a search text for a search in which each is a prefix of full words."""
    return frozenset(word for word, _ in _iterate_terms(search))


def extract_first_version_words(text: str) -> frozenset[str]:
    """Extracts the words of text as version 1 did: runs of letters and digits in any script."""
    return frozenset(
        run if len(run.encode()) <= _MAX_WORD_BYTES else f"#{_hash_digits(run)}"
        for run, _ in _RUN.findall(_fold_text(text))
    )


def contains_terms(sorted_words: Sequence[str], terms: frozenset[str]) -> bool:
    """Whether words, in ascending order, contain all of the terms."""
    return all(_contains_term(sorted_words, term) for term in terms)


def is_prefix_term(term: str) -> bool:
    return term.endswith("*")


def _contains_term(sorted_words: Sequence[str], term: str) -> bool:
    word = term.removesuffix("*")
    index = bisect_left(sorted_words, word)
    if index == len(sorted_words):
        return False
    found = sorted_words[index]
    return found.startswith(word) if is_prefix_term(term) else found == word


def _iterate_words(text: str) -> Iterator[str]:
    folded = _fold_text(text)
    runs = [run for run, _ in _RUN.findall(folded)]
    if folded.isascii():
        yield from runs
        return
    for run in runs:
        for part, is_unspaced in _split_run(run):
            if is_unspaced:
                yield from _pairs(part)
                yield part[-1]
            else:
                yield part
    yield from _symbols(folded)


def _iterate_terms(search: str) -> Iterator[tuple[str, bool]]:
    """Yields the words that must occur, and whether each is a prefix."""
    folded = _fold_text(search)
    for run, star in _RUN.findall(folded):
        parts = _split_run(run)
        for number, (part, is_unspaced) in enumerate(parts, start=1):
            if not is_unspaced:
                yield part, bool(star) and number == len(parts)
            elif len(part) == 1:  # begins a pair, or ends its run
                yield part, True
            else:
                yield from ((pair, False) for pair in _pairs(part))
    yield from ((symbol, False) for symbol in _symbols(folded))


def _split_run(run: str) -> list[tuple[str, bool]]:
    """Splits a run into parts, each with whether its script is written without spaces."""
    if run.isascii():
        return [(run, False)]
    # A pattern with a group returns what it matched at odd indexes.
    return [(part, index % 2 == 1) for index, part in enumerate(_UNSPACED.split(run)) if part]


def _pairs(part: str) -> Iterator[str]:
    return (part[index : index + 2] for index in range(len(part) - 1))


def _symbols(folded: str) -> Iterator[str]:
    if not folded.isascii():
        yield from (each for each in set(folded) if unicodedata.category(each) == "So")


def _fold_text(text: str) -> str:
    if text.isascii():  # faster, with the same result
        return text.lower()
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    unmarked = "".join(
        character for character in folded if not unicodedata.category(character).startswith("M")
    )
    # Composes characters that a removed mark separated.
    return unicodedata.normalize("NFKC", unmarked)


def _shorten_word(word: str) -> str:
    """Replaces the end of a long word with a hash; '#' occurs in no other word."""
    if len(word) <= _MAX_WORD_BYTES // 4:  # a character has at most 4 bytes
        return word
    encoded = word.encode()
    if len(encoded) <= _MAX_WORD_BYTES:
        return word
    digest = hashlib.sha256(encoded).digest()[:_HASH_BYTES]
    return f"{_head(encoded)}#{base64.b32encode(digest).decode().lower()}"


def _prefix_term(word: str) -> str:
    encoded = word.encode()
    return f"{word}*" if len(encoded) <= _MAX_WORD_BYTES else f"{_head(encoded)}#*"


def _head(encoded: bytes) -> str:
    return encoded[:_MAX_WORD_BYTES].decode(errors="ignore")


def _hash_digits(run: str) -> str:
    return hashlib.sha256(run.encode()).hexdigest()[: _MAX_WORD_BYTES - 1]
