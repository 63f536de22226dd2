"""Portable regular expressions, which have the same meaning on the server and in browsers.

Only syntax that both engines support is allowed: jsonschema-rs (linear time, no lookaround) and
ECMAScript with the flag `u`, as Ajv compiles it. Other patterns are rejected when a field is saved.
"""

from __future__ import annotations

import re

_ESCAPES = (
    r"\\[dDwWsStnrfv.*+?()\[\]{}|^$/\\]"  # \b is Unicode-aware in one engine, ASCII in the other
)
_CLASS = rf"\[\^?(?:{_ESCAPES}|(?!&&|--|~~)[^\[\]\\])+\]"
_ATOM = rf"(?:{_ESCAPES}|{_CLASS}|\)|[^\\\[\]{{}}()|^$*+?])"
_QUANTIFIER = r"(?:[*+?]|\{[0-9]+(?:,[0-9]*)?\})\??"
_UNQUANTIFIED = r"\((?:\?:)?|[|^$]"
_DOT = re.compile(rf"\\.|{_CLASS}|[.]", re.DOTALL)
NON_LINE_TERMINATOR = r"[^\n\r\u2028\u2029]"
_PORTABLE_PATTERN = re.compile(rf"(?:{_ATOM}(?:{_QUANTIFIER})?|{_UNQUANTIFIED})*")


def is_portable_pattern(pattern: str) -> bool:
    """Whether the pattern uses only syntax that both engines support. It may still not compile."""
    return _PORTABLE_PATTERN.fullmatch(pattern) is not None


def expand_dots(pattern: str) -> str:
    """Replaces dots with a class, because they match different line terminators in each engine."""
    return _DOT.sub(
        lambda match: NON_LINE_TERMINATOR if match.group() == "." else match.group(), pattern
    )
