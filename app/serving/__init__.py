"""How the server runs: one process that drains when it is asked to end, or several."""
