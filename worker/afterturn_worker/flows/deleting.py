"""Deleting a session at Honcho and here: at Honcho first, so that what fails can be said again.

The session's lease is held over the requests: nothing is sent meanwhile, and what is being sent is
never deleted. A session of Honcho that messages of another session went to as well stays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from afterturn_models.asks import Failure
from afterturn_models.errors import HonchoFailure
from afterturn_models.store.deleting import Deletion
from afterturn_worker.flows.ask_failures import Unanswered

if TYPE_CHECKING:
    from afterturn_worker.flows.asked import Ask

_MARGIN = 5.0  # seconds of the lease beyond the ask's own time
_WHY = {
    Deletion.GONE: "This session is not known any more.",
    Deletion.SENDING: "Messages of it are being sent just now; try again in a moment.",
    Deletion.UNKNOWN: (
        "It is not known yet whether its last messages were stored, and they could come to Honcho"
        " after it was deleted there; try again when `afterturn sessions` shows a lag of 0."
    ),
}
_LOST = (
    "It took too long: another worker has the session by now. Nothing was deleted here; try again."
)


def delete_session(ask: Ask) -> dict[str, Any]:
    """Delete the session; raises Unanswered, or a kind of HonchoFailure, and then it is here still."""
    epoch = ask.store.hold(ask.session_id, lease=ask.left + _MARGIN)
    if isinstance(epoch, Deletion):
        raise Unanswered(Failure.REFUSED, _WHY[epoch])
    try:
        places = ask.store.places(ask.session_id)
        known = {
            place.honcho_session: ask.honcho.delete_session(
                ask.facts.workspace, place.honcho_session, deadline=ask.left
            )
            for place in places
            if not place.shared
        }
        messages = ask.store.delete_held(ask.session_id, epoch, gone=list(known))
    except (HonchoFailure, Unanswered):
        ask.store.let_go(ask.session_id, epoch)
        raise
    if messages is None:
        raise Unanswered(Failure.REFUSED, _LOST)
    return {
        "deleted": [name for name, there in known.items() if there],
        "absent": [name for name, there in known.items() if not there],
        "shared": [place.honcho_session for place in places if place.shared],
        "messages": messages,
    }
