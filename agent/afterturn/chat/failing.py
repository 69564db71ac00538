"""Failing: errors of an endpoint as what to do next, and as sentences for whoever waits.

The SDK's errors are told apart here alone. None of these sentences holds a key.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from openai import (
    APIConnectionError,
    APIError,
    APIStatusError,
    APITimeoutError,
)

from afterturn.chat.endpoint import KEYS
from afterturn.chat.errors import ContextTooLongError, ModelError

if TYPE_CHECKING:
    from afterturn.chat.endpoint import Endpoint

_LONGEST_WAIT = 5.0  # seconds that a person is let wait because an endpoint asks for it
_LONGEST = 300  # characters of what an endpoint says
_PASSING = frozenset({408, 409, 429, 500, 502, 503, 504, 529})
_TOO_LONG = re.compile(
    r"context.?(?:length|window|size)|maximum context|too many (?:input )?tokens|prompt is too long"
    r"|exceeds? the (?:available|maximum|model)",
    re.IGNORECASE,
)
_NOT_TAKEN = re.compile(
    r"support|unknown|unrecogni[sz]ed|unexpected|extra|not permitted|invalid", re.IGNORECASE
)
_SPENT = frozenset({"insufficient_quota", "billing_hard_limit_reached"})


def wait_for(error: Exception, usual: float) -> float | None:
    """Give the seconds after which a request may go well; None where it will not, or not soon."""
    if isinstance(error, APIStatusError):
        if error.status_code not in _PASSING or error.code in _SPENT:
            return None
        asked = _asked_to_wait(error)
        if asked is None:
            return usual
        return max(asked, usual) if asked <= _LONGEST_WAIT else None
    broken = isinstance(error, APIConnectionError) and not isinstance(error, APITimeoutError)
    return usual if broken and _cause(error) != "ConnectError" else None


def hurdle(error: Exception) -> str:
    """Say in a few words what kept a request that is tried again."""
    if isinstance(error, APIStatusError):
        return f"the endpoint answered {error.status_code}"
    return "the connection broke off"


def not_taken(error: Exception, parameters: tuple[str, ...]) -> str | None:
    """Give which of a request's parameters an endpoint says that it does not take."""
    if not isinstance(error, APIStatusError) or error.status_code not in {400, 404, 422}:
        return None
    said = _said(error)
    if not _NOT_TAKEN.search(said) or _too_long(error):
        return None
    return next((one for one in parameters if error.param == one or one in said), None)


def explained(error: Exception, endpoint: Endpoint, name: str, *, begun: bool) -> ModelError:
    """Make an error of the SDK's into a sentence; `begun` says that part of an answer had come."""
    sentence = _sentence(error, endpoint, name, begun=begun)
    if endpoint.key:
        sentence = sentence.replace(endpoint.key, "***")
    return ContextTooLongError(sentence) if _too_long(error) else ModelError(sentence)


def _sentence(error: Exception, endpoint: Endpoint, name: str, *, begun: bool) -> str:
    match error:
        case APITimeoutError() if _cause(error) != "ConnectTimeout":
            return silent(endpoint, begun=begun)
        case APIConnectionError():
            return _unconnected(error, endpoint.shown, begun=begun)
        case APIStatusError():
            return _answered(error, endpoint, name)
        case APIError():
            return f"{endpoint.shown} failed in the middle of its answer: {_said(error)}"
        case _:
            return not_that_api(endpoint)


def silent(endpoint: Endpoint, *, begun: bool) -> str:
    """Say that nothing came for as long as was to be waited."""
    more = "nothing more" if begun else "not a word"
    return f"{endpoint.shown} said {more} for {endpoint.patience:g} s; see --patience"


def not_that_api(endpoint: Endpoint) -> str:
    """Say that something answers there which is no chat API."""
    return (
        f"what answers at {endpoint.shown} does not speak OpenAI's chat API; such a URL mostly"
        " ends in /v1"
    )


def _unconnected(error: Exception, where: str, *, begun: bool) -> str:
    if begun:
        return f"the connection to {where} broke off in the middle of the answer"
    if _cause(error) == "ConnectTimeout":
        return f"{where} does not answer; is it running, and the URL right?"
    if _cause(error) == "ConnectError":
        return f"cannot connect to {where} ({error.__cause__}); is it running, and the URL right?"
    return f"the connection to {where} broke off before an answer; try again"


def _answered(error: APIStatusError, endpoint: Endpoint, name: str) -> str:
    """Say what an answer with an error's status comes to."""
    where = endpoint.shown
    asked = _asked_to_wait(error)
    wait = f"; it asks to wait {asked:.0f} s" if asked is not None and asked >= 1 else ""
    match error.status_code:
        case 401 | 403 if endpoint.key is None:
            return f"{where} wants a key: set {KEYS[0]} in the environment"
        case 401 | 403:
            keys = " or ".join(KEYS)
            return f"{where} refuses the key ({error.status_code}); see {keys} in the environment"
        case 404:
            return f"{where} has no model {name!r} ({_said(error)}); choose another with --model"
        case 429:
            return f"{where} takes no more requests now{wait}: {_said(error)}"
        case status:
            return f"{where} answered {status}{wait}: {_said(error)}"


def _too_long(error: Exception) -> bool:
    if not isinstance(error, APIError):
        return False
    known = error.code == "context_length_exceeded" or error.type == "exceed_context_size_error"
    status = getattr(error, "status_code", 400)
    return status in {400, 413, 422, 500} and (known or bool(_TOO_LONG.search(_said(error))))


def _said(error: APIError) -> str:
    """Give what an endpoint said, on one line and no longer than a person reads."""
    body: Any = error.body
    said = body.get("message") if isinstance(body, dict) else None
    line = " ".join(str(said or error.message).split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"


def _asked_to_wait(error: APIStatusError) -> float | None:
    """Read the seconds of Retry-After; a date there is hours away as a rule, and not read."""
    try:
        return max(0.0, float(error.response.headers["retry-after"]))
    except (KeyError, ValueError):
        return None


def _cause(error: Exception) -> str:
    return type(error.__cause__).__name__
