"""How GraphQL travels: HTTP, and WebSockets by graphql-transport-ws."""
