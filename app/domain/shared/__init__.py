"""Values, limits, problems and JSON texts that the whole domain uses."""
