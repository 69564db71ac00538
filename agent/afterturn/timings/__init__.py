"""Timings of turns: marks at stage borders on the path, and all that is made of them beside it."""
