"""The Celery app, where Celery's own commands look for it: `celery -A afterturn_worker.app …`."""

from __future__ import annotations

from afterturn_models.errors import ConfigurationError
from afterturn_worker.factory import make_app

try:
    app = make_app()
except ConfigurationError as error:
    raise SystemExit(f"afterturn: {error}") from None
