"""Compares the responses of servers: with normalized names and instants."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any


class DifferentAnswersError(Exception):
    """Two servers respond differently, so nothing is measured."""


def read_answer(status: int, body: str) -> Any:
    """Returns the data of a response. Raises DifferentAnswersError if it is not one."""
    answer = json.loads(body) if status == 200 else None
    if answer is None or "errors" in answer:
        raise DifferentAnswersError(f"{status}: {body[:1000]}")
    return _normalize(answer["data"])


def compare_answers(operation: str, answers: dict[str, list[Any]]) -> None:
    """Compares the responses to each body by server, or what the servers have stored.
    DifferentAnswersError names the first difference.
    """
    (first, expected), *others = answers.items()
    for name, answer in others:
        for one, other in zip(expected, answer, strict=True):
            if one != other:
                raise DifferentAnswersError(
                    f"{operation}: {first} and {name} differ:\n{str(one)[:600]}\n{str(other)[:600]}"
                )


def _normalize(value: Any) -> Any:
    if isinstance(value, list):
        return [_normalize(each) for each in value]
    if isinstance(value, dict):
        return {
            name: _normalize_instant(each) if name == "occurredAt" else _normalize(each)
            for name, each in value.items()
        }
    return value


def _normalize_instant(text: str) -> str:
    return datetime.fromisoformat(text).astimezone(UTC).isoformat()
