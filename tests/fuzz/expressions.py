"""Random and hostile expressions, in batches, each in its own process.

`python -m tests.fuzz.expressions COUNT SEED`. CEL is C++ and can crash CPython, which only the exit
of a child process shows.
"""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice

from app.domain.event_types.fields import FieldKind
from app.domain.events.state import EventState
from app.domain.rules.expressions import Expression, compile_expression
from app.domain.shared.limits import Limits
from tests.domain.examples import NOW, evaluate_expression, make_event, make_field

BATCH = 250
# For a whole batch: infinite loops exceed the time, unbounded growth exceeds the memory.
PATIENCE_SECONDS = 300
MEMORY_BYTES = 2 << 30

LIMITS = Limits()
FORM = (
    make_field(name="volume"),
    make_field(name="cause", kind=FieldKind.SELECT, options=("Maintenance", "Failure")),
    make_field(name="wells", kind=FieldKind.MULTI_SELECT, options=("w-1", "w-2", "w-3")),
    make_field(name="started_at", kind=FieldKind.DATETIME),
    make_field(name="day", kind=FieldKind.DATE),
    make_field(name="planned", kind=FieldKind.BOOLEAN),
    make_field(name="remarks", kind=FieldKind.LONG_TEXT),
)
EMPTY = make_event(entity=None, content=None, subject=None, outcome=None, tags=(), fields={})
TYPED = make_event(
    content="a" * LIMITS.content_characters,
    tags=tuple(f"{'a' * 200}{i}" for i in range(LIMITS.tags_per_event)),
    fields={
        "volume": 150,
        "cause": "Failure",
        "wells": ["w-1", "w-2"],
        "started_at": "2026-04-10T08:00:00+02:00",
        "planned": True,
        "remarks": "a" * 60_000,
    },
)
FREE = make_event(fields={"l": list(range(5_000)), "s": "a" * 20_000, "n": None, "m": {"a": [1.5]}})

_ATOMS = [
    *("event", "old", "now", "null", "true", "false", "x", "y", "int", "type", "nothing"),
    *("0", "1", "-1", "9223372036854775807", "-9223372036854775808", "1u", "1.5", "1e308"),
    *("0.0/0.0", "''", "'a'", "'\\xff'", "'\\u00e9'", "b'\\xff'", "[]", "{}"),
    *("event.fields", "event.content", "event.tags", "event.type", "event.entity.id", "old.tags"),
    *(f"event.fields.{field.name}" for field in FORM),
    *(f"old.fields.{name}" for name in ("volume", "started_at", "l")),
    *(f"event.fields.{name}" for name in ("l", "s", "m", "n", "nothing")),
    *("has(event.fields.volume)", "has(event.fields.started_at)", "has(old.fields.l)"),
    *("event.occurred_at", "timestamp('9999-12-31T23:59:59Z')", "timestamp(0)"),
    *("duration('1h')", "duration('-999999999s')"),
]
_OPERATORS = ["+", "-", "*", "/", "%", "<", "<=", "==", "!=", ">", "in", "&&", "||"]
_CALLS = [
    "size",
    "string",
    "int",
    "double",
    "uint",
    "bytes",
    "timestamp",
    "duration",
    "dyn",
    "type",
]
_METHODS = [
    "size()",
    "getHours()",
    "getFullYear('UTC')",
    "getHours('/dev/stdin')",
    "startsWith('a')",
]
_PATTERNS = ["(a|b)*c", "(a?){900}a{900}b", "(", "\\\\d{2,}", "a{1000}{1000}", "\\\\pL{1000}"]
_EXTENSION_METHODS = [
    *("charAt(1)", "indexOf('a')", "indexOf('a', 2)", "lastIndexOf('a')", "lowerAscii()"),
    *("upperAscii()", "trim()", "reverse()", "substring(1)", "substring(1, 3)", "split('')"),
    *("split('a', 2)", "join()", "join('a')", "replace('', 'a')", "replace('a', 'b', -1)"),
    *("hasValue()", "value()", "orValue(1)", "orValue('a')", "first()", "last()"),
    *("optMap(x, x)", "optMap(x, x + x)", "optFlatMap(y, optional.of(y))", "or(optional.none())"),
]
_EXTENSION_CALLS = [
    *("math.abs", "math.ceil", "math.floor", "math.round", "math.sign", "math.sqrt", "math.isNaN"),
    *("math.greatest", "math.least", "math.bitNot", "strings.quote"),
    *("optional.of", "optional.ofNonZeroValue"),
]
_FORMATS = ["%s", "%d", "%x", "%.1000f", "%s%s%e", "%y", "%"]
_MACROS = ["all", "exists", "exists_one", "map", "filter"]


def expressions(seed: int) -> Iterator[str]:
    """Yields expressions indefinitely, the same for the same seed."""
    chance = random.Random(seed)
    while True:
        kind = chance.random()
        if kind < 0.75:
            yield _nested(chance, chance.randint(0, 6))
        elif kind < 0.85:
            yield _damaged(chance, _nested(chance, 4))
        else:
            yield _hostile(chance)


def _nested(chance: random.Random, depth: int) -> str:
    if depth == 0:
        atom = chance.choice(_ATOMS)
        return f"dyn({atom})" if chance.random() < 0.8 else atom  # passes the type check

    def one() -> str:
        return _nested(chance, depth - 1)

    return chance.choice(
        (
            lambda: f"({one()} {chance.choice(_OPERATORS)} {one()})",
            lambda: f"({one()} {chance.choice(_OPERATORS)} {one()})",
            lambda: f"({one()} ? {one()} : {one()})",
            lambda: f"{chance.choice(_CALLS)}({one()})",
            lambda: f"{one()}.{chance.choice(_METHODS)}",
            lambda: f"{one()}.matches('{chance.choice(_PATTERNS)}')",
            lambda: f"{one()}.{chance.choice(_EXTENSION_METHODS)}",
            lambda: f"{one()}.replace({one()}, {one()}).split({one()}).join({one()})",
            lambda: f"{chance.choice(_EXTENSION_CALLS)}({one()})",
            lambda: f"math.greatest({one()}, {one()})",
            lambda: f"'{chance.choice(_FORMATS)}'.format([{one()}, {one()}])",
            lambda: f"{one()}.?{chance.choice(('a', 'content', 'volume', 'started_at', 'l'))}",
            lambda: f"{one()}[?{one()}]",
            lambda: f"[?{one()}.?a, {one()}]",
            lambda: f"{{?'a': {one()}[?'a'], 'b': {one()}}}",
            lambda: f"{one()}.{chance.choice(_MACROS)}({chance.choice('xy')}, {one()})",
            lambda: f"[{one()}, {one()}]",
            lambda: f"{{'a': {one()}, {chance.choice(('1', 'true', 'x'))}: {one()}}}",
            lambda: f"{one()}[{one()}]",
            lambda: f"!({one()})",
        )
    )()


def _damaged(chance: random.Random, text: str) -> str:
    at = chance.randrange(len(text))
    inserted = chance.choice(
        ["\0", "\ud800", "\U0010ffff", "(", "'", "`", "\n", "//", ".", "@", ""]
    )
    return text[:at] + inserted + text[at + chance.randint(0, 3) :]


def _hostile(chance: random.Random) -> str:
    times = chance.choice((5, 31, 300, 2_000, 20_000))
    most = chance.choice((3, 5, 30))
    return chance.choice(
        (
            "(" * times + "true" + ")" * times,
            "!" * times + "true",
            "-" * times + "1 < 0",
            "[" * times + "]" * times + " == []",
            "1+" * times + "1 > 0",
            "true && " * times + "true",
            "true ? true : " * times + "false",
            "event" + ".fields" * times,
            "[" + "1," * times + "1].map(x, x).all(x, x > 0)",
            "[" + "event.content," * times + "''].exists(x, x == 'b')",
            "['x']" + ".map(x, x + x)" * most + ".size() > 1",
            "[dyn(1)]" + ".map(x, [x, x, x, x])" * most + ".all(x, x == x)",
            "[1]" + ".map(x, {x: x})" * most + ".size() > 1",
            "[1]" + ".map(x, {'a': x, 'b': x})" * most + ".size() > 1",
            "event.tags.all(x, " * most + "true" + ")" * most,
            "event.fields.l.all(x, " * most + "true" + ")" * most,
            "event.fields.l.map(x, [x, x]).size() > 1",
            "event.content.matches('" + "a?" * times + "b')",
            "event.content.matches(event.content)",
            "event.content.contains(event.fields.remarks + 'b')",
            "+".join(["event.content"] * most) + " == 'a'",
            "9" * times + " > 0",
            "1e" + "9" * times + " > 0",
            "'" + "a" * times + "' == 'a'",
            "timestamp(0).getHours('" + "../" * most + "dev/zero') == 0",
            "event.content.replace('a', event.content).size() > 1",
            "event.content" + ".replace('', 'ab')" * most + ".size() > 1",
            "event.content.split('').join(event.content).size() > 1",
            "event.content" + ".split('').join('ab')" * most + " == ''",
            "[1]" + ".map(x, event.content.split(''))" * most + " == []",
            "'" + "%s" * times + "'.format([" + "event.content," * times + "'']) == ''",
            "'%." + "9" * times + "f'.format([1.5]) == ''",
            "'" + "%.1000f" * most + "'.format([" + "1e308," * most + "1.0]) == ''",
            "optional.of(event.content)" + ".optMap(x, x + x)" * most + ".orValue('') == ''",
            "strings.quote(" * most + "event.content" + ")" * most + " == ''",
            "event.content.indexOf(event.content.substring(" + "1" * most + ")) > 0",
            "event" + ".?fields" * times + ".hasValue()",
            "event.fields.?started_at.hasValue() || event.fields.?l.hasValue()",
        )
    )


def evaluate(text: str, form: str) -> str:
    """Evaluates an expression. Returns "refused", "answered" or "failed"."""
    expression = compile_expression(text, FORM if form == "typed" else None, LIMITS)
    if not isinstance(expression, Expression):
        assert expression, text
        assert all(each.line >= 1 and each.column >= 1 and each.message for each in expression), (
            text
        )
        return "refused"
    assert expression.steps <= LIMITS.expression_steps, text
    ends: set[str] = set()
    for event, old in _event_pairs(form):
        result = evaluate_expression(expression, event, old, NOW)
        assert isinstance(result, bool | str), text
        ends.add("answered" if isinstance(result, bool) else "failed")
    return min(ends)


def _event_pairs(form: str) -> list[tuple[EventState, EventState | None]]:
    full = TYPED if form == "typed" else FREE
    return [(EMPTY, None), (full, None), (full, EMPTY), (EMPTY, full)]


def run(count: int, seed: int) -> dict[str, int]:
    """Returns the number of expressions by result. Raises if a child crashed, hung or found an
    error.
    """
    ends: dict[str, int] = {}
    for begin in range(0, count, BATCH):
        size = min(BATCH, count - begin)
        child = subprocess.run(
            [sys.executable, "-m", __spec__.name, "--batch", str(size), str(seed + begin)],
            capture_output=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        if child.returncode != 0:
            stderr = child.stderr.decode(errors="replace")[-4_000:]
            raise AssertionError(f"batch {seed + begin} ended with {child.returncode}: {stderr}")
        for end, times in json.loads(child.stdout).items():
            ends[end] = ends.get(end, 0) + times
    return ends


def _batch(size: int, seed: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    ends: dict[str, int] = {}
    for number, text in enumerate(islice(expressions(seed), size)):
        print(
            number, ascii(text[:300]), file=sys.stderr, flush=True
        )  # the last line is the cause of a crash
        end = evaluate(text, "typed" if number % 2 else "free")
        ends[end] = ends.get(end, 0) + 1
    print(json.dumps(ends))


if __name__ == "__main__":
    if sys.argv[1] == "--batch":
        _batch(int(sys.argv[2]), int(sys.argv[3]))
    else:
        print(run(int(sys.argv[1]), int(sys.argv[2])))
