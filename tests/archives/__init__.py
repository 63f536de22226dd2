"""Events in files: the archives that `tocsin import` and `tocsin export` read and write."""
