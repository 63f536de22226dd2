"""Events: their state, attributes, filters, correlations, and their form as CloudEvents."""
