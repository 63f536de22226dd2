"""Tocsin compared with its peers: the same rows, responses and machine, in one run."""
