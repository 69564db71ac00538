"""What the SDK raises, translated: nothing was stored, or the outcome is unknown.

Nothing was stored, certainly: DNS, connect or TLS failed, the connection was refused, or the
answer was a redirect or a 4xx other than 408. Unknown: everything else. Texts are ours: a 422 of
Honcho's echoes what was sent, and an error's text ends in logs and in Postgres. For the same
reason the SDK's own errors are not chained: they quote messages, and one of httpx quotes the key.
"""

from __future__ import annotations

import math
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx
from honcho.http.exceptions import HonchoError, RateLimitError
from pydantic import ValidationError

from afterturn_models.errors import (
    AccessRefused,
    HonchoFailure,
    Missing,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    Unreachable,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

_NEVER_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
)


@contextmanager
def our_errors(url: str) -> Iterator[None]:
    """Raise what the SDK raises inside as a kind of `HonchoFailure`.

    Something that answers 200 and is no Honcho (a portal, another service) makes the SDK raise
    whatever comes of reading a shape that it does not know.
    """
    try:
        yield
    except HonchoError as error:
        raise _translated(error, url) from None
    except (ValidationError, TypeError, LookupError, AttributeError) as error:
        kind = type(error).__name__
        raise OutcomeUnknown(f"{url} answers what no Honcho answers ({kind})") from None


def _translated(error: HonchoError, url: str) -> HonchoFailure:
    status = error.status
    if status == 0:
        return _without_answer(error, url)
    if status == 408 or status >= 500:
        return OutcomeUnknown(f"Honcho answers {status}", status=status)
    return _refused(error, status, url)


def _refused(error: HonchoError, status: int, url: str) -> HonchoFailure:
    """Translate an answer that says that nothing was stored."""
    if isinstance(error, RateLimitError):
        return RateLimited("Honcho answers 429: too many requests", retry_after=_wait(error))
    if status in {401, 403}:
        return AccessRefused(
            f"Honcho answers {status}: the key is missing, wrong, or not for this workspace;"
            " set HONCHO_API_KEY for the workers",
            status=status,
        )
    if status < 400:
        return Unreachable(
            f"{url} answers with a redirect ({status}): is it a Honcho?", status=status
        )
    objection = f"Honcho answers {status}: {_detail(error.body)}"
    if status == 404:
        return Missing(objection, status=404)
    return Rejected(
        objection,
        status=status,
        index=_index(error.body),
        about_content=status == 413 or (status == 422 and _about_a_message(error.body)),
    )


def _without_answer(error: HonchoError, url: str) -> HonchoFailure:
    cause = error.__cause__
    if isinstance(cause, _NEVER_SENT):
        return Unreachable(f"Honcho cannot be reached at {url}: {_reason(cause)}")
    return OutcomeUnknown(f"Honcho did not answer in full: {_reason(cause or error)}")


def _wait(error: RateLimitError) -> float | None:
    after = error.retry_after
    return after if after is not None and math.isfinite(after) else None


def _reason(error: BaseException) -> str:
    if isinstance(error, httpx.LocalProtocolError):
        return type(error).__name__  # its text quotes headers
    return str(error).partition("\n")[0][:200] or type(error).__name__


def _about_a_message(body: Any) -> bool:
    """Tell whether a 422 may be what a message says, or who says it.

    Honcho names the field where it can. A field that we make ourselves, or one outside the
    messages, is our own mistake or another version of Honcho's: no message is to pay for that.
    """
    try:
        place = list(body["detail"][0]["loc"])
    except (TypeError, KeyError, IndexError):
        return True  # said in words, as of a peer's name
    message, field = place[:3], place[3:4]
    return (
        len(message) == 3
        and message[:2] == ["body", "messages"]
        and field in ([], ["content"], ["peer_id"])
    )


def _index(body: Any) -> int | None:
    """Find which message Honcho objects to: `loc` is ["body", "messages", index, …]."""
    try:
        place = body["detail"][0]["loc"]
        return int(place[2]) if place[:2] == ["body", "messages"] else None
    except (TypeError, KeyError, IndexError, ValueError):
        return None


def _detail(body: Any) -> str:
    """Say what Honcho objects to, without what was objected to."""
    detail = body.get("detail") if isinstance(body, dict) else None
    if isinstance(detail, str):
        return detail[:200]
    if isinstance(detail, list) and detail and isinstance(detail[0], dict):
        place = ".".join(str(part) for part in detail[0].get("loc", ()))
        return f"{detail[0].get('type', 'invalid')} at {place}"
    return "no reason given"
