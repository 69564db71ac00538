"""The peers of a session and what each of them observes there."""

from afterturn_sandbox.honcho import records
from afterturn_sandbox.honcho.call import Call, Reply, validate
from afterturn_sandbox.honcho.errors import missing_session, not_found, unauthorized
from afterturn_sandbox.honcho.filters import Condition
from afterturn_sandbox.honcho.models import MEMBERS, NAMES, MemberConfig
from afterturn_sandbox.honcho.router import Route
from afterturn_sandbox.honcho.routes.peers import page_of_peers
from afterturn_sandbox.honcho.storage import Store
from afterturn_sandbox.honcho.values import dumps, now_us

_GUIDANCE = "Scope membership is managed via the scopes routes."


def add(
    store: Store, workspace: int, session: tuple[int, str], wanted: dict[str, MemberConfig]
) -> None:
    """Make peers members of a session (key, name); missing peers are created.

    Raises:
        ApiError: 400 past the limit of observers, 422 for a bad or reserved name.
    """
    key, name = session
    records.reject_scopes(store, workspace, wanted, _GUIDANCE)
    peers = records.ensure_peers(store, workspace, wanted)
    new = sum(bool(config.observe_others) for config in wanted.values())
    if new:
        count = new + records.observers(store, key, peers.values())
        if count > records.MAX_OBSERVERS:
            raise records.too_many_observers(name, count)
    records.join(store, key, {peers[peer]: config for peer, config in wanted.items()})


def add_peers(call: Call) -> Reply:
    """POST …/sessions/{session_id}/peers: active members keep their configuration."""
    wanted = validate(MEMBERS, call.body)
    store = call.state.store
    name = call.params["session_id"]
    with store.transaction():
        home = records.ensure_workspace(store, call.workspace)
        key, _ = records.ensure_session(store, home, name)
        add(store, home, (key, name), wanted)
    return Reply(records.read_session(store, key))


def set_peers(call: Call) -> Reply:
    """PUT …/sessions/{session_id}/peers: all others leave, and the given configuration holds."""
    wanted = validate(MEMBERS, call.body)
    store = call.state.store
    name = call.params["session_id"]
    count = sum(bool(config.observe_others) for config in wanted.values())
    if count > records.MAX_OBSERVERS:
        raise records.too_many_observers(name, count)
    home = records.find_workspace(store, call.workspace)
    key = records.find_session(store, home, name)
    if not key:
        raise missing_session(name, call.workspace)
    with store.transaction():
        store.run(
            "UPDATE members SET left_at = ? WHERE session = ? AND left_at IS NULL "
            "AND peer IN (SELECT pk FROM peers WHERE kind <> 'scope')",
            (now_us(), key),
        )
        add(store, home, (key, name), wanted)
    return Reply(records.read_session(store, key))


def remove_peers(call: Call) -> Reply:
    """DELETE …/sessions/{session_id}/peers: they leave; their messages stay."""
    names = validate(NAMES, call.body)
    store = call.state.store
    key = records.require_session(store, call.workspace, call.params["session_id"])
    home = records.find_workspace(store, call.workspace)
    records.reject_scopes(store, home, names, _GUIDANCE)
    with store.transaction():
        store.run(
            "UPDATE members SET left_at = ? WHERE session = ? AND left_at IS NULL AND peer IN "
            "(SELECT pk FROM peers WHERE workspace = ? AND kind <> 'scope' "
            "AND name IN (SELECT value FROM json_each(?)))",
            (now_us(), key, home, dumps(names)),
        )
    return Reply(records.read_session(store, key))


def list_peers(call: Call) -> Reply:
    """GET …/sessions/{session_id}/peers: active members, scopes left out; empty if unknown."""
    store = call.state.store
    home = records.find_workspace(store, call.workspace)
    key = records.find_session(store, home, call.params["session_id"])
    condition = Condition("n.session = ? AND n.left_at IS NULL AND t.kind <> 'scope'", [key])
    return page_of_peers(call, condition, "t.pk", "JOIN members n ON n.peer = t.pk")


def get_config(call: Call) -> Reply:
    """GET …/peers/{peer_id}/config: nulls where nothing was set (FACTS: auto-joined peers)."""
    name, session = call.params["peer_id"], call.params["session_id"]
    if call.identity.peer not in {None, name}:
        raise unauthorized()
    store = call.state.store
    peer = records.require_peer(store, call.workspace, name)
    home = records.find_workspace(store, call.workspace)
    found = store.value(
        "SELECT configuration FROM members WHERE session = ? AND peer = ?",
        (records.find_session(store, home, session), peer),
    )
    if found is None:
        raise not_found(
            f"the peer {name} is in no session {session} of the workspace {call.workspace}"
        )
    return Reply(MemberConfig.model_validate_json(found).model_dump())


def set_config(call: Call) -> Reply:
    """PUT …/peers/{peer_id}/config: given keys replace; a peer that was no member becomes one."""
    body = call.parse(MemberConfig)
    name, session = call.params["peer_id"], call.params["session_id"]
    store = call.state.store
    key = records.require_session(store, call.workspace, session)
    peer = records.require_peer(store, call.workspace, name)
    if body.observe_others:
        count = 1 + records.observers(store, key, [peer])
        if count > records.MAX_OBSERVERS:
            raise records.too_many_observers(session, count)
    with store.transaction():
        old = store.value(
            "SELECT configuration FROM members WHERE session = ? AND peer = ?", (key, peer)
        )
        new = records.merged(old or "{}", body.model_dump(exclude_none=True))
        records.join(store, key, {peer: None} if old is None else {})
        store.run(
            "UPDATE members SET configuration = ? WHERE session = ? AND peer = ?",
            (new, key, peer),
        )
    return Reply(status=204)


_ALL = "/v3/workspaces/{workspace_id}/sessions/{session_id}/peers"
_CONFIG = f"{_ALL}/{{peer_id}}/config"
ROUTES = [
    Route("POST", _ALL, add_peers, "session"),
    Route("PUT", _ALL, set_peers, "session"),
    Route("DELETE", _ALL, remove_peers, "session"),
    Route("GET", _ALL, list_peers, "session-read"),
    Route("GET", _CONFIG, get_config, "session-read"),
    Route("PUT", _CONFIG, set_config, "session"),
]
