"""The other doors: probes and the GraphiQL page."""
