"""The HTTP APIs beside GraphQL: CloudEvents, event type schemas, probes and GraphiQL."""
