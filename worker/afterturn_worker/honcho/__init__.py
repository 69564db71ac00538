"""Honcho behind a port: the only room that imports its SDK and holds its key."""
