"""Event types: their fields, versions, conditional rules, and JSON Schema."""
