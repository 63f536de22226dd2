"""Which regular expressions mean the same to the server and to a browser.

What both engines know is allowed: jsonschema-rs (linear time, no lookaround) and ECMAScript with
the flag `u`, as Ajv compiles it. Everything else is refused when the field is saved.
"""

from __future__ import annotations

import re

_ESCAPES = r"\\[dDwWsStnrfv.*+?()\[\]{}|^$/\\]"  # \b goes by Unicode in one, by ASCII in the other
_CLASS = rf"\[\^?(?:{_ESCAPES}|(?!&&|--|~~)[^\[\]\\])+\]"
_ATOM = rf"(?:{_ESCAPES}|{_CLASS}|\)|[^\\\[\]{{}}()|^$*+?])"
_QUANTIFIER = r"(?:[*+?]|\{[0-9]+(?:,[0-9]*)?\})\??"
_UNCOUNTED = r"\((?:\?:)?|[|^$]"
_DOT = re.compile(rf"\\.|{_CLASS}|[.]", re.DOTALL)
NO_LINE_END = r"[^\n\r\u2028\u2029]"
_COMMON = re.compile(rf"(?:{_ATOM}(?:{_QUANTIFIER})?|{_UNCOUNTED})*")


def is_common(pattern: str) -> bool:
    """Whether the pattern is written in what both engines know. It may still not compile."""
    return _COMMON.fullmatch(pattern) is not None


def spelled_out(pattern: str) -> str:
    """The same pattern for both engines: a dot, which takes other line ends in each, as a class."""
    return _DOT.sub(lambda found: NO_LINE_END if found.group() == "." else found.group(), pattern)
