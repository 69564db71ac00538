"""The one tree of errors; messages are sentences for the person who can act on them.

AfterturnError
├── ConfigurationError      a setting is missing or wrong; names file, key and what is allowed
├── MissingExtraError       an optional part is not installed; names the extra
├── StoreUnavailableError   Postgres cannot be reached or refused the work
├── SchemaError             the database is not at this version's schema
├── CopyUnderWayError       a copy to the same target has not ended yet
├── CaptureError            neither Postgres nor the spool took a turn; nothing was written
├── LlmFailure              what a request to a language model came to
└── HonchoFailure           what a request to Honcho came to
    ├── OutcomeUnknown      it may or may not have been stored: look before sending again
    └── NotStored           certainly nothing was stored
        ├── Unreachable     DNS, connect or TLS failed, or the connection was refused
        ├── RateLimited     429; `retry_after` in seconds where Honcho said so
        ├── AccessRefused   401, 403: a person is needed
        ├── Rejected        400, 413, 422, or refused unsent: never taken as it is
        │   └── InvalidIdError  an id that must not get into a request's path
        └── Missing         404
"""

from __future__ import annotations


class AfterturnError(Exception):
    """Base of every error that afterturn raises."""


class ConfigurationError(AfterturnError):
    """A setting is missing or wrong."""


class MissingExtraError(AfterturnError):
    """An optional part of afterturn is not installed."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(
            f"{what} is not installed; install it with: pip install 'afterturn[{extra}]'"
        )
        self.extra = extra


class StoreUnavailableError(AfterturnError):
    """Postgres cannot be reached, or refused the work."""


class SchemaError(AfterturnError):
    """The database has no schema, or another version's."""


class CopyUnderWayError(AfterturnError):
    """A copy to the same target has not ended yet."""


class CaptureError(AfterturnError):
    """Neither Postgres nor the spool took a turn; nothing of it was written."""


class LlmFailure(AfterturnError):  # noqa: N818 - named as `HonchoFailure` is
    """A request to a language model did not give what was asked for.

    `retry_after` is how many seconds it asked us to leave it alone, where it did.
    """

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class HonchoFailure(AfterturnError):  # noqa: N818 - its kinds are named for what happened
    """A request to Honcho did not succeed."""

    def __init__(self, message: str, *, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class OutcomeUnknown(HonchoFailure):
    """A timeout, a reset after sending, a 5xx or a 408: it may have been stored."""


class NotStored(HonchoFailure):
    """Certainly nothing was stored."""


class Unreachable(NotStored):
    """DNS, connect or TLS failed, or the connection was refused."""


class RateLimited(NotStored):
    """Honcho answered 429."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message, status=429)
        self.retry_after = retry_after


class AccessRefused(NotStored):
    """Honcho answered 401 or 403: the key is missing, wrong or too narrow."""


class Rejected(NotStored):
    """Honcho refused the request as it is.

    `about_content` says that some message is at fault, and not the request around it; `index`
    is that message's place (from 0), where it is known.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 0,
        index: int | None = None,
        about_content: bool = False,
    ) -> None:
        super().__init__(message, status=status)
        self.index = index
        self.about_content = about_content


class InvalidIdError(Rejected):
    """An id does not match `[A-Za-z0-9_-]{1,100}`; nothing was sent."""


class Missing(NotStored):
    """Honcho knows no such workspace, session or peer."""
