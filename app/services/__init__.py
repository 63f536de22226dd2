"""Use cases: one function per operation of the API."""
