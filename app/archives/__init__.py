"""Events in files of CloudEvents: `tocsin import` and `tocsin export`."""
