"""Events: their state, attributes, filters, correlations, and representation as CloudEvents."""
