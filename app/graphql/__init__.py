"""The GraphQL API: schema, permissions, execution and transports."""
