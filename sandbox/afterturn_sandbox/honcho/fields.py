"""The kinds of value in Honcho's bodies, with its limits; refusals are in words of ours but for the recorded."""

import ipaddress
import re
from typing import Annotated, Any, Literal
from urllib.parse import urlparse

from pydantic import AfterValidator, BeforeValidator, Field

from afterturn_sandbox.honcho.values import without_nul

NAME_PATTERN = r"^[a-zA-Z0-9_-]+$"
SCOPE_PREFIX = "scope."
_MAX_NAME = 512
MAX_CONTENT = 25_000
_MAX_KEYS = 100
_MAX_DEPTH = 5
_SPECIAL = re.compile(r"<\|(?:endoftext|endofprompt|fim_prefix|fim_middle|fim_suffix)\|>")


def _check_depth(data: dict[str, Any], depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise ValueError(f"Metadata nesting exceeds maximum depth of {_MAX_DEPTH}")
    for value in data.values():
        if isinstance(value, dict):
            _check_depth(value, depth + 1)


def _check_metadata(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if len(value) > _MAX_KEYS:
        raise ValueError(f"metadata may have {_MAX_KEYS} keys at its top level, not more")
    _check_depth(value, 1)
    return without_nul(value)


def refuse_special_tokens(text: str) -> None:
    """Refuse a tokenizer's special token in `text`, in the words recorded from Honcho.

    Raises:
        ValueError: `text` holds one; the batch it stands in is refused whole.
    """
    found = _SPECIAL.search(text) if "<|" in text else None
    if found is None:
        return
    token = repr(found.group())
    raise ValueError(
        f"Encountered text corresponding to disallowed special token {token}.\n"
        "If you want this text to be encoded as a special token, "
        f"pass it to `allowed_special`, e.g. `allowed_special={{{token}, ...}}`.\n"
        "If you want this text to be encoded as normal text, disable the check for this token "
        f"by passing `disallowed_special=(enc.special_tokens_set - {{{token}}})`.\n"
        "To disable this check for all special tokens, pass `disallowed_special=()`.\n"
    )


def check_scope_name(name: str) -> str:
    """Return `name` if a scope may be called so.

    Raises:
        ValueError: it may not.
    """
    if name.startswith(SCOPE_PREFIX):
        raise ValueError(f"a scope is named without {SCOPE_PREFIX!r}, which is added to its name")
    room = _MAX_NAME - len(SCOPE_PREFIX)
    if not re.fullmatch(NAME_PATTERN, name) or len(name) > room:
        raise ValueError(f"a scope's name is 1 to {room} characters of the form {NAME_PATTERN}")
    return name


def check_url(url: str) -> str:
    """Return `url` if a webhook may go there: http or https, and no private address.

    Raises:
        ValueError: it may not.
    """
    parsed = urlparse(url)
    if parsed.scheme not in {"http", "https"} or not parsed.netloc:
        raise ValueError("a webhook's address begins with http:// or https:// and names a host")
    try:
        address = ipaddress.ip_address(parsed.hostname or "")
    except ValueError:
        return url  # a host's name is left alone
    if not address.is_global or address.is_multicast or address.is_reserved:
        raise ValueError("a webhook goes to no private or reserved address")
    return url


Name = Annotated[str, Field(min_length=1, max_length=_MAX_NAME, pattern=NAME_PATTERN)]
Text = Annotated[str, AfterValidator(without_nul)]
Metadata = Annotated[dict[str, Any], BeforeValidator(_check_metadata)]
ScopeName = Annotated[str, AfterValidator(check_scope_name)]
ScopeOption = ScopeName | Annotated[list[ScopeName], Field(min_length=1, max_length=100)]
Filters = dict[str, Any] | None
ReasoningLevel = Literal["minimal", "low", "medium", "high", "max"]
