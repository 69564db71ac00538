"""Queries: each takes a connection, runs its statements on it, and never commits."""
