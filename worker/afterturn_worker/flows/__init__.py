"""Flows: what tasks do, as logic over ports; no Celery, no SQL, no HTTP in here."""
