"""The service's own routes: its health, and keys when authentication is on."""

from afterturn_sandbox.honcho.call import Call, Reply
from afterturn_sandbox.honcho.errors import ApiError, invalid
from afterturn_sandbox.honcho.queries import KeyQuery
from afterturn_sandbox.honcho.router import Route


def health(_call: Call) -> Reply:
    """GET /health."""
    return Reply({"status": "ok"})


def create_key(call: Call) -> Reply:
    """POST /v3/keys: a token for a workspace, or a peer or session of it; 405 without auth."""
    auth = call.state.auth
    if not auth.enabled:
        raise ApiError(405, "keys are made only where authentication is on")
    asked = call.parse_query(KeyQuery)
    if not (asked.workspace_id or asked.peer_id or asked.session_id):
        raise invalid("say what the key is for: a workspace, a peer or a session")
    if not asked.workspace_id:
        raise invalid("a key for a peer or a session names their workspace too")
    token = auth.make_token(
        w=asked.workspace_id, p=asked.peer_id, s=asked.session_id, expires=asked.expires_at
    )
    return Reply({"key": token})


ROUTES = [
    Route("GET", "/health", health, "public"),
    Route("POST", "/v3/keys", create_key, "admin"),
]
