"""Batches of messages as Honcho's API has them, made without a model of the SDK's for each.

The SDK's `add_messages` builds, dumps and validates objects of pydantic for every message and for
every answer, which took more of a worker's time than all else that a sync does. What goes over
the wire here is the same, by the SDK's own HTTP clients.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from afterturn_models.errors import InvalidIdError, OutcomeUnknown, Rejected
from afterturn_models.policy.ids import is_valid_id
from afterturn_worker.honcho.connection import NO_ID, check_ids

if TYPE_CHECKING:
    from collections.abc import Sequence

    from afterturn_models.values import Outgoing

ROW_ID = "afterturn"  # the metadata key under which a message carries its row's id
WORKSPACES = "/v3/workspaces"  # posted to with an id, it makes sure of the workspace


def messages_path(workspace: str, session: str) -> str:
    """Give the path that a session's messages are posted to; raises InvalidIdError."""
    check_ids(workspace, session)
    return f"{WORKSPACES}/{workspace}/sessions/{session}/messages"


def batch_body(messages: Sequence[Outgoing]) -> dict[str, Any]:
    """Give the body of a POST with these messages.

    Raises Rejected or InvalidIdError for one that Honcho's SDK does not take: no other is to wait
    for it, and its index is named.
    """
    known: set[str] = set()
    bodies = []
    for index, message in enumerate(messages):
        if message.peer not in known:
            if not is_valid_id(message.peer):
                found = NO_ID.format(message.peer[:40])
                raise InvalidIdError(found, index=index, about_content=True)
            known.add(message.peer)
        content = message.content or ""
        if content.isspace():
            raise Rejected(
                "Honcho takes no message of white space only", index=index, about_content=True
            )
        bodies.append(
            {
                "content": content,
                "peer_id": message.peer,
                "metadata": _metadata(message),
                "created_at": message.at.isoformat(),
            }
        )
    return {"messages": bodies}


def check_stored(answer: object, messages: Sequence[Outgoing], url: str) -> None:
    """Raise OutcomeUnknown where an answer does not list as many messages as were sent.

    Something that answers 200 and is no Honcho is a portal, or another service.
    """
    if not isinstance(answer, list) or len(answer) != len(messages):
        raise OutcomeUnknown(f"{url} answers what no Honcho answers")


def _metadata(message: Outgoing) -> dict[str, object]:
    """Give the metadata that a message is sent with; each value is a string, to be filtered by."""
    metadata: dict[str, object] = {ROW_ID: str(message.id)}
    if message.parts > 1:
        metadata["part"] = str(message.part)
        metadata["parts"] = str(message.parts)
    if message.mended:
        metadata["mended"] = "special-tokens"
    return metadata
