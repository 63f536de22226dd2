"""References to secrets: `env:NAME` and `file:PATH`. The command resolves them, not the server."""

from __future__ import annotations

import os
import re
from pathlib import Path

from app.domain.shared.messages import quote_value

MAX_SECRET_CHARACTERS = 65_536
_ENVIRONMENT, _FILE = "env:", "file:"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class UnresolvedReferenceError(Exception):
    """The message says why a reference has no value, without a part of the value."""


def is_reference(text: str) -> bool:
    return text.startswith((_ENVIRONMENT, _FILE))


def find_reference_problem(text: str) -> str | None:
    """Returns what is wrong with a reference, whatever its value is. None for other texts."""
    if text.startswith(_ENVIRONMENT) and not _NAME.fullmatch(text.removeprefix(_ENVIRONMENT)):
        return f"Invalid reference {quote_value(text)}: expected env: and the name of a variable."
    if text == _FILE or (text.startswith(_FILE) and "\0" in text):
        return f"Invalid reference {quote_value(text)}: expected file: and the path of a file."
    return None


def resolve_reference(text: str) -> str:
    """Returns the value of a reference, without line breaks at its end. Other texts stay the same.

    Relative paths start at the working directory. Raises UnresolvedReferenceError.
    """
    if (problem := find_reference_problem(text)) is not None:
        raise UnresolvedReferenceError(problem)
    if text.startswith(_ENVIRONMENT):
        name = text.removeprefix(_ENVIRONMENT)
        value = os.environ.get(name, "")
        missing = f"The environment variable {name} is not set or is empty."
    elif text.startswith(_FILE):
        path = Path(text.removeprefix(_FILE))
        value = _read_file(path)
        missing = f"The file {path} is empty."
    else:
        return text
    if len(value) > MAX_SECRET_CHARACTERS:
        message = f"The value of {text} has more than {MAX_SECRET_CHARACTERS:,} characters."
        raise UnresolvedReferenceError(message)
    if not (value := value.rstrip("\r\n")):
        raise UnresolvedReferenceError(missing)
    return value


def _read_file(path: Path) -> str:
    try:
        with path.open(encoding="utf-8-sig") as stream:
            return stream.read(MAX_SECRET_CHARACTERS + 1)
    except UnicodeDecodeError:
        raise UnresolvedReferenceError(f"The file {path} is not in UTF-8.") from None
    except OSError as error:
        raise UnresolvedReferenceError(f"Cannot read {path}: {error.strerror}.") from None
