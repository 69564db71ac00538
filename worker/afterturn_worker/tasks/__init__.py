"""Celery tasks: each parses its arguments, opens what its flow needs, and calls it."""
