"""What happens after the turn: Celery tasks, their flows, and the one Honcho client."""
