"""What `afterturn setup` and `afterturn doctor` do: they find, test, ask, plan, write and look."""
