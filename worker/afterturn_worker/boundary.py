"""The boundary of a task: what it logs, and what its failures come to.

A failure is an outcome here, not a traceback: Postgres away or Honcho away is said in one line,
and the relay or the next turn comes back to it. Anything else is a defect and is raised.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import structlog

from afterturn_models.errors import (
    ConfigurationError,
    HonchoFailure,
    SchemaError,
    StoreUnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

log = structlog.get_logger("afterturn.task")


@contextmanager
def outcomes(task: str, task_id: str | None, session_id: str) -> Iterator[None]:
    """Bind task and session to every log line inside, and swallow what is not a defect."""
    with structlog.contextvars.bound_contextvars(task=task, task_id=task_id, session=session_id):
        try:
            yield
        except StoreUnavailableError as error:
            log.warning("postgres_unavailable", error=str(error))
        except (ConfigurationError, SchemaError) as error:
            log.error("not_configured", error=str(error))  # noqa: TRY400 - a sentence, not a defect
        except HonchoFailure as error:
            log.warning("honcho_failed", error=str(error))
