"""Browsers and the server accept the same URLs and email addresses.

Both versions of ajv-formats that the libraries use, and the validator of the server, have different
definitions of these formats.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from app.domain.event_types.fields import FieldDefinition, FieldKind
from app.domain.event_types.json_schema import JsonSchemaDraft, compile_schema, validate_values
from tests.parity.conftest import Browser

TEXTS = 5_000
VALIDATORS = ("ajvDraft2020", "ajvDraft07", "rjsf", "jsonForms")
SEED = 7
SCHEMES = ["https", "s3", "A+b.c-d", "file", "1a", "", " https"]
SEPARATORS = ["://", "://", "://", "://", ":", "/", ":/"]
URL_PARTS = [
    *"aZ9-._~!$&'()*+,;=:@/?#[]{}|\\^`\"<> é\n\u2028\U0001f600",
    *("%41", "%4", "%zz", "://", "[::1]", "[1:2]", "[::ffff:1.2.3.4]", "[v1.x]", "127.0.0.1"),
    *("example.org", ":80", ":x", "user:pw@", ".."),
]
EMAIL_PARTS = [*"abZ9!#$%&'*+/=?^_`{|}~-.\"() ,:;<>[]\\é", "a@", "a@", "@", "x.", "a" * 70]
DOMAINS = ["", ".org", "b.org", "b-c.org", "-b.org", "b-.org", "b..org", "é.org", "b.o-", "1.2"]
Draw = Callable[[Random], str]


def draw_url(random: Random) -> str:
    rest = "".join(random.choices(URL_PARTS, k=random.randint(0, 5)))
    return random.choice(SCHEMES) + random.choice(SEPARATORS) + rest


def draw_email(random: Random) -> str:
    name = "".join(random.choices(EMAIL_PARTS, k=random.randint(1, 4)))
    return name + random.choice(["@", "@", ""]) + random.choice(DOMAINS)


@pytest.mark.parametrize(
    ("kind", "draw"), [(FieldKind.URL, draw_url), (FieldKind.EMAIL, draw_email)]
)
def test_browsers_and_the_server_accept_the_same_texts(
    browser: Browser, capsys: pytest.CaptureFixture[str], kind: FieldKind, draw: Draw
) -> None:
    random = Random(SEED)
    texts = sorted({draw(random) for _ in range(TEXTS)})
    fields = (FieldDefinition("f", kind),)
    drafts = {
        "draft2020": compile_schema(fields),
        "draft07": compile_schema(fields, draft=JsonSchemaDraft.DRAFT_07),
    }

    answers = browser(drafts | {"values": [{"f": text} for text in texts]})

    accepted, differences = 0, []
    for text, answer in zip(texts, answers, strict=True):
        wrong = ["f"] if validate_values(fields, {"f": text}) else []
        accepted += not wrong
        if any(answer[name] != wrong for name in VALIDATORS):
            differences.append((text, wrong, answer))
    with capsys.disabled():
        print(f"\n{kind.value}: {len(texts):,} texts, {accepted:,} accepted")
    assert differences == []
    assert len(texts) >= 3_000
    assert accepted >= 200
