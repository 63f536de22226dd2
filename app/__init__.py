"""Tocsin: a GraphQL server for operational events."""
