"""Text for Honcho's recall routes: what they do not take is mended or refused before it is sent.

The SDK refuses an empty text and half a surrogate pair before any request, the server a tokenizer's
special token and what is too long; a refused query would look like an outage to who asked.
"""

from __future__ import annotations

from afterturn_models.errors import Rejected
from afterturn_models.policy.special_tokens import neutralise

MAX_CHAT = 10_000  # characters of a dialectic query that Honcho takes
# A search's query is embedded, of at most 8,192 tokens, and a character can be two of them.
MAX_SEARCH = 4_000
# A context's query travels in the URL, where a character can be twelve bytes of the 8 KB that
# servers take.
MAX_URL_QUERY = 500
MAX_CONCLUSION = 65_535  # characters


def mended(text: str) -> str:
    """Give `text` as Honcho takes it: no NUL, no half character, no special token, trimmed."""
    whole = text.encode("utf-8", "replace").decode().replace("\x00", "")
    return neutralise(whole)[0].strip()


def question(text: str, most: int) -> str:
    """Give a query of at most `most` characters; raises Rejected where nothing is asked."""
    asked = mended(text)[:most].strip()
    if not asked:
        raise Rejected("the query is empty; say what to look for")
    return asked


def statement(text: str) -> str:
    """Give a conclusion's text; raises Rejected where it is empty or too long: none is cut."""
    said = mended(text)
    if not said:
        raise Rejected("the conclusion is empty; say what is to be remembered")
    if len(said) > MAX_CONCLUSION:
        raise Rejected(
            f"the conclusion has {len(said)} characters, and Honcho takes {MAX_CONCLUSION};"
            " say it more briefly"
        )
    return said
