"""Pure decisions: no I/O, nothing but the standard library and `values`."""
