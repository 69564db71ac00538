"""A session's messages: added in batches or from a file, listed, read, their metadata replaced."""

import json
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from afterturn_sandbox.honcho import messages, records
from afterturn_sandbox.honcho.call import Call, Reply, missing_fields, validate
from afterturn_sandbox.honcho.errors import ApiError, invalid, unexpected
from afterturn_sandbox.honcho.models import BATCH, Listing, MessageCreate, MessageUpdate
from afterturn_sandbox.honcho.router import Route
from afterturn_sandbox.honcho.values import dumps, place_of

_MAX_FILE = 5 * 1024 * 1024
_CHUNK = 25_000


def create(call: Call) -> Reply:
    """POST …/messages: 1 to 100, stored whole or not at all; the same batch twice is twice there."""
    call.state.counters.message_posts += 1
    return Reply(_store(call, validate(BATCH, call.body).messages), 201)


def _store(call: Call, batch: list[MessageCreate]) -> list[dict[str, Any]]:
    state = call.state
    stored = messages.store_batch(state.store, call.workspace, call.params["session_id"], batch)
    state.counters.messages_stored += len(batch)
    home = records.find_workspace(state.store, call.workspace)
    state.announce(
        home,
        {
            "type": "queue.empty",
            "workspace_id": call.workspace,
            "queue_type": "representation",
            "session_id": call.params["session_id"],
            "observer": None,
            "observed": None,
        },
    )
    return stored.answer


def upload(call: Call) -> Reply:
    """POST …/messages/upload: a text or JSON file, split into messages of 25,000 characters."""
    missing = [name for name in ("file", "peer_id") if name not in call.form]
    if missing:
        raise missing_fields(missing)
    upload_field = call.form["file"]
    raw: bytes = upload_field.file.read()
    if len(raw) > _MAX_FILE:
        raise ApiError(
            413, f"the file has {len(raw)} bytes; {_MAX_FILE} are the most that is taken"
        )
    text = _text_of(raw, upload_field.content_type)
    chunks = [text[at : at + _CHUNK] for at in range(0, len(text), _CHUNK)] or [""]
    common = {
        "peer_id": call.form["peer_id"],
        "metadata": _json_field(call, "metadata"),
        "configuration": _json_field(call, "configuration"),
        "created_at": _time_field(call),
    }
    try:
        batch = [MessageCreate(content=chunk, **common) for chunk in chunks]
    except ValidationError as error:
        raise unexpected() from error  # Honcho validates these outside its request schema too
    return Reply(_store(call, batch), 201)


def _text_of(raw: bytes, kind: str) -> str:
    if kind.startswith("text/"):
        try:
            return raw.decode()
        except UnicodeDecodeError:
            return raw.decode("latin-1")
    if kind == "application/json":
        try:
            return json.dumps(json.loads(raw), ensure_ascii=False) if raw.strip() else ""
        except ValueError as error:
            raise invalid("the file is not JSON") from error
    # Honcho also reads PDF; the stand-in has no reader for it and says so.
    raise ApiError(
        415, f"a file of the type {kind} is not read here; text/* and application/json are"
    )


def _json_field(call: Call, name: str) -> Any:
    try:
        return json.loads(call.form.get(name) or "null")
    except ValueError:
        return None


def _time_field(call: Call) -> datetime | None:
    try:
        return datetime.fromisoformat(call.form.get("created_at") or "")
    except ValueError:
        return None


def _session(call: Call) -> int:
    store = call.state.store
    home = records.find_workspace(store, call.workspace)
    return records.find_session(store, home, call.params["session_id"])


def list_all(call: Call) -> Reply:
    """POST …/messages/list: oldest first; empty for an unknown session."""
    filters = call.parse_optional(Listing).filters
    page = call.page()
    found, total = messages.page_of(call.state.store, _session(call), filters, page)
    return page.answer(found, total)


def get(call: Call) -> Reply:
    """GET …/messages/{message_id}."""
    return Reply(messages.get(call.state.store, _session(call), call.params["message_id"]))


def update(call: Call) -> Reply:
    """PUT …/messages/{message_id}: metadata is replaced, the text never changes."""
    body = call.parse(MessageUpdate)
    store, session = call.state.store, _session(call)
    name = call.params["message_id"]
    found = messages.get(store, session, name)
    if body.metadata is not None:
        with store.transaction():
            store.run(
                "UPDATE messages SET metadata = ? WHERE session = ? AND seq = ?",
                (dumps(body.metadata), session, place_of(name)),
            )
        found["metadata"] = body.metadata
    return Reply(found)


_ALL = "/v3/workspaces/{workspace_id}/sessions/{session_id}/messages"
ROUTES = [
    Route("POST", _ALL, create, "session"),
    Route("POST", f"{_ALL}/upload", upload, "session", form=True),
    Route("POST", f"{_ALL}/list", list_all, "session-read"),
    Route("GET", f"{_ALL}/{{message_id}}", get, "session-read"),
    Route("PUT", f"{_ALL}/{{message_id}}", update, "session"),
]
