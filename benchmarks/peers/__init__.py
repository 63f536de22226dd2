"""Tocsin beside its peers: the same rows, the same answers, the same machine, in one run."""
