"""Events in files of CloudEvents and of tables: `tocsin import` and `tocsin export`."""
