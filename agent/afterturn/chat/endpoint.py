"""Which model is talked to, where, and with which key: options first, then settings and environment."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from afterturn_models.secret_values import masked

if TYPE_CHECKING:
    from collections.abc import Mapping

    from afterturn_models.settings import Settings

OPENAI = "https://api.openai.com/v1"
KEYS = ("AFTERTURN_LLM_API_KEY", "OPENAI_API_KEY")  # the first that is set counts
PATIENCE = 90.0  # seconds for the first word: a model on this machine may have to be loaded
HOW = (
    "A model of your own: afterturn chat --base-url http://localhost:11434/v1 --model NAME (Ollama;"
    " llama.cpp, vLLM and others have such URLs too). One that wants a key: set"
    f" {KEYS[0]} in the environment, and --model."
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint that speaks OpenAI's chat API.

    `model` is None where none is named. `patience` are the seconds for a reply's first word, and
    for any silence behind it. The key is in no representation, log or database.
    """

    base_url: str
    model: str | None = None
    key: str | None = field(default=None, repr=False)
    patience: float = PATIENCE

    @property
    def shown(self) -> str:
        """The URL as a person may see it."""
        return str(masked(self.base_url))


def endpoint(
    settings: Settings,
    *,
    model: str | None = None,
    base_url: str | None = None,
    patience: float = PATIENCE,
    env: Mapping[str, str] = os.environ,
) -> Endpoint | None:
    """Give the endpoint that options, settings and environment describe; None where nothing does.

    A URL alone is enough, for endpoints that want no key, and so is a key alone, which is OpenAI's
    where no URL is said.
    """
    key = next((value for name in KEYS if (value := env.get(name, "").strip())), None)
    url = (base_url or settings.llm_base_url or "").strip()
    if not url and key is None:
        return None
    return Endpoint(url or OPENAI, model or settings.llm_model, key, patience)
