"""Values, limits, messages, problems and JSON decoding for the whole domain."""
