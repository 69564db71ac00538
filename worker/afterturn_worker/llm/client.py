"""A language model behind an OpenAI-compatible endpoint: one request, one text, one deadline.

The only place that imports the openai SDK, when a first request is made: the extra `llm` may be
missing. Its own retries are off: what failed is left alone for a while by whoever asked.
"""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from afterturn_models.errors import ConfigurationError, LlmFailure, MissingExtraError
from afterturn_worker.honcho.deadline import is_loopback, within

if TYPE_CHECKING:
    from collections.abc import Sequence

OPENAI = "https://api.openai.com/v1"
_KEEPALIVE = 4.0  # seconds; common servers close an idle connection after 5
_NO_KEY = "none"  # what is sent where there is no key: the SDK insists on one
_SPARE = 4  # times what is asked for: models that think aloud first are charged for that too


class LlmClient:
    """One endpoint and one model there, for as many threads as a worker has."""

    def __init__(self, url: str, model: str, key: str | None, *, connections: int = 8) -> None:
        """Connect lazily; raises ConfigurationError where `url` is no address of a server."""
        parsed = urlsplit(url)
        if parsed.scheme not in {"http", "https"} or not parsed.hostname:
            raise ConfigurationError(
                "llmBaseUrl cannot be read; it has the form http://localhost:11434/v1"
            )
        self.model = model
        self.here = is_loopback(parsed.hostname)
        self._url = url
        self._host = parsed.netloc.rpartition("@")[2]
        self._key = key
        self._connections = connections
        self._lock = threading.Lock()
        self._sdk: Any = None

    def complete(self, messages: Sequence[dict[str, str]], *, tokens: int, deadline: float) -> str:
        """Give the model's answer to `messages`, of `tokens` or so.

        One request, which is over in `deadline` seconds whatever the server does. Raises
        LlmFailure, whose message quotes neither what was sent nor the key.
        """
        client, openai = self._client(), _openai()
        # OpenAI's own takes the newer name only, most other servers the older one only.
        limit = "max_completion_tokens" if self._host == urlsplit(OPENAI).netloc else "max_tokens"
        options = {limit: tokens * _SPARE}
        create = client.chat.completions.create  # which imports much, the first time
        try:
            with within(deadline):
                answer = create(
                    model=self.model, messages=list(messages), timeout=deadline, **options
                )
        except openai.APIStatusError as error:
            raise self._refused(error) from None  # the SDK's own text may quote the key
        except openai.APITimeoutError:
            raise LlmFailure(f"{self._host} did not answer within {deadline:.3g} s") from None
        except openai.APIConnectionError:
            raise LlmFailure(f"{self._host} cannot be reached") from None
        except (openai.OpenAIError, ValueError, TypeError) as error:
            raise self._strange(error) from None
        return self._text(answer)

    def close(self) -> None:
        """Close every connection."""
        if self._sdk is not None:
            self._sdk.close()

    def _client(self) -> Any:
        with self._lock:
            if self._sdk is None:
                openai = _openai()
                import httpx2

                from afterturn_worker.llm.transport import BoundedTransport

                transport = BoundedTransport(
                    self._url, connections=self._connections, keepalive=_KEEPALIVE
                )
                self._sdk = openai.OpenAI(
                    api_key=self._key or _NO_KEY,
                    base_url=self._url,
                    max_retries=0,
                    # A redirect is not followed: it may lead off this machine.
                    http_client=httpx2.Client(transport=transport, trust_env=False),
                )
            return self._sdk

    def _text(self, answer: Any) -> str:
        try:
            content = answer.choices[0].message.content
        except (AttributeError, LookupError, TypeError) as error:
            raise self._strange(error) from None
        return content if isinstance(content, str) else ""

    def _strange(self, error: Exception) -> LlmFailure:
        kind = type(error).__name__
        return LlmFailure(f"{self._host} answers what no language model answers ({kind})")

    def _refused(self, error: Any) -> LlmFailure:
        status = int(error.status_code)
        if status in {401, 403}:
            return LlmFailure(
                f"{self._host} answers {status}: set AFTERTURN_LLM_API_KEY for the workers"
            )
        if status == 404:
            return LlmFailure(f"{self._host} knows no model {self.model!r} (404)")
        return LlmFailure(f"{self._host} answers {status}", retry_after=_retry_after(error))


def _retry_after(error: Any) -> float | None:
    try:
        seconds = float(error.response.headers.get("retry-after", ""))
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def _openai() -> Any:
    """Give the SDK; raises LlmFailure, with what to do, where it is not installed."""
    try:
        import openai
    except ImportError:
        raise LlmFailure(str(MissingExtraError("the openai SDK", "llm"))) from None
    return openai
