"""Sources, and the payloads that other systems send to them."""
