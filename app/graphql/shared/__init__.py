"""Shared by all GraphQL modules: context, pagination, scalars and permissions."""
