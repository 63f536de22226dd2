"""The GraphQL door: schema, permissions, protocols."""
