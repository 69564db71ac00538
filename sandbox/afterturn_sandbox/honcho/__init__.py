"""A stand-in for Honcho's v3 API: the same routes, limits and errors, no language model."""
