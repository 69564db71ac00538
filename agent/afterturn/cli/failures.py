"""Failures on the command line: one clear sentence and an exit status, never a traceback."""

from __future__ import annotations

import os
import sys
import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING

from afterturn_models.errors import AfterturnError, ConfigurationError, MissingExtraError
from afterturn_models.sources import home

if TYPE_CHECKING:
    from collections.abc import Iterator

FAILED, USAGE, INTERRUPTED = 1, 2, 130


@contextmanager
def explained() -> Iterator[None]:
    """Say what went wrong inside and exit; `AFTERTURN_DEBUG=1` shows the traceback as well."""
    try:
        yield
    except (ConfigurationError, MissingExtraError) as error:
        _end(str(error), USAGE)
    except AfterturnError as error:
        _end(str(error), FAILED)
    except KeyboardInterrupt:
        _end("interrupted", INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FAILED)
    except OSError as error:
        place = f" ({error.filename})" if error.filename else ""
        _end(f"{error.strerror or error}{place}", FAILED)
    except Exception as error:  # noqa: BLE001 - a defect: kept whole for a report, said in a sentence
        _end(f"this is a defect of afterturn: {type(error).__name__}{_keep_trace()}", FAILED)


def _end(sentence: str, status: int) -> None:
    if os.environ.get("AFTERTURN_DEBUG"):
        traceback.print_exc()
    print(f"afterturn: {sentence}", file=sys.stderr)  # noqa: T201 - the answer of a command
    sys.exit(status)


def _keep_trace() -> str:
    path = home() / "crash.log"
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            os.fchmod(descriptor, 0o600)  # one from before may have had another mode
            traceback.print_exc(file=file)
    except OSError:
        return "; run it again with AFTERTURN_DEBUG=1 to see where"
    return f"; the trace is in {path}"
