"""The language model's key: read by workers only, from their environment alone."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from afterturn_models.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

_VARIABLES = ("AFTERTURN_LLM_API_KEY", "OPENAI_API_KEY")


def llm_key(env: Mapping[str, str] = os.environ) -> str | None:
    """Find the key; None where there is none, as with most servers on one's own machine.

    Raises ConfigurationError for one that cannot stand in a header: what refuses it later would
    quote it.
    """
    for variable in _VARIABLES:
        if key := env.get(variable, "").strip():
            if not key.isascii() or not key.isprintable() or " " in key:
                raise ConfigurationError(
                    f"{variable} has characters that no key has; copy it again"
                )
            return key
    return None
