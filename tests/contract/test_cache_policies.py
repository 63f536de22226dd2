"""The cache policies of @tocsin/client are those of the schema."""

from __future__ import annotations

from graphql import build_schema

from docs.site.generate_cache_policies import FILE, SCHEMA, render_policies


def test_the_cache_policies_are_generated_from_the_schema() -> None:
    schema = build_schema(SCHEMA.read_text())

    assert FILE.read_text() == render_policies(schema), "run `make schema`"
