"""What can be done: one function for each sentence of the API."""
