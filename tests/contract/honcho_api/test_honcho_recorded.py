"""Every recorded exchange with the real server, replayed: same status, same shape, same errors."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

RECORDED = [
    json.loads(line) for line in Path(__file__).with_name("recorded.jsonl").read_text().splitlines()
]
# Bodies that the recording cut for their length.
CUT = {
    "raw: 25,001 characters": {"messages": [{"content": "y" * 25_001, "peer_id": "alice"}]},
    "raw: chat query too long": {"query": "q" * 10_001},
}
# Lists whose length is a matter of ranking: the real server adds what embeddings find near.
RANKED = {"peer.search", "session.search", "honcho.search"}


def shape(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shape(item) for item in value]
    return type(value).__name__


def error(body: dict[str, Any]) -> Any:
    """What of an error's body must be equal: the words, and in a list all but the echoed input."""
    detail = body["detail"]
    if isinstance(detail, str):
        return detail
    return [{key: one.get(key) for key in ("type", "loc", "msg", "ctx")} for one in detail]


def comparable(call: str, body: Any) -> Any:
    found = shape(body)
    if call in RANKED:
        return found[0]
    if call == "queue_status":  # keyed by session
        return {**found, "sessions": list(found["sessions"].values())}
    return found


def learn_ids(theirs: Any, ours: Any, known: dict[str, str]) -> None:
    if isinstance(theirs, dict) and isinstance(ours, dict):
        if isinstance(theirs.get("id"), str):
            known[theirs["id"]] = str(ours.get("id"))
        for key in theirs.keys() & ours.keys():
            learn_ids(theirs[key], ours[key], known)
    elif isinstance(theirs, list) and isinstance(ours, list):
        for one, other in zip(theirs, ours, strict=False):
            learn_ids(one, other, known)


def test_every_recorded_exchange_is_answered_alike(start_stand_in: Callable[..., Any]):
    known: dict[str, str] = {}
    with httpx.Client(base_url=start_stand_in().url) as client:
        for one in RECORDED:
            path = "/".join(known.get(part, part) for part in one["path"].split("/"))
            body = CUT.get(one["call"], one["body"])
            answer = client.request(
                one["method"],
                path,
                params=one["query"],
                json=body,
                headers={"Content-Type": "application/json"},
            )
            assert answer.status_code == one["status"], (one["call"], answer.text)
            assert answer.headers["content-type"] == one["headers"]["content-type"]
            theirs = one["response"]
            ours = answer.json() if answer.content else ""
            if one["status"] >= 400 and "(cut)" not in theirs:
                assert error(ours) == error(theirs), one["call"]
            elif one["call"] in CUT:
                detail = ours["detail"][0]
                assert detail["type"] == "string_too_long"
                assert detail["ctx"] == {
                    "max_length": 25_000 if "25,001" in one["call"] else 10_000
                }
            else:
                assert comparable(one["call"], ours) == comparable(one["call"], theirs), one["call"]
            if one["call"] not in RANKED:
                learn_ids(theirs, ours, known)
