"""Keys: the plain admin key of the sandbox, and Honcho's tokens for parts of a workspace."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest
from honcho.http.exceptions import AuthenticationError

from afterturn_sandbox.honcho.auth import Auth

SECRET = "a-signing-secret"


@pytest.fixture(scope="module")
def keyed(start_stand_in):
    return start_stand_in("--api-key", "plain", env={"AFTERTURN_SANDBOX_HONCHO_JWT_SECRET": SECRET})


def status(keyed, token: str | None, method: str, path: str, body=None) -> int:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return httpx.request(method, f"{keyed.url}{path}", headers=headers, json=body).status_code


@pytest.fixture(scope="module")
def filled(keyed, connect):
    honcho = connect(keyed.url, "w", "plain")
    alice, session = honcho.peer("alice"), honcho.session("s")
    honcho.peer("bob")
    honcho.session("other")
    session.add_messages([alice.message("I live in Porto.")])
    return keyed


def test_a_missing_or_foreign_key_is_refused(filled, connect):
    answer = httpx.post(f"{filled.url}/v3/workspaces", json={"id": "w"})
    assert answer.status_code == 401
    assert isinstance(answer.json()["detail"], str)
    foreign = Auth(secret="another").make_token(admin=True)
    for token in ("nonsense", "a.b.c", foreign):
        with pytest.raises(AuthenticationError):
            connect(filled.url, "w", token).peer("p")


def test_health_needs_no_key(filled):
    assert status(filled, None, "GET", "/health") == 200


def test_an_expired_token_is_refused(filled):
    old = Auth(secret=SECRET).make_token(admin=True, expires=datetime.now(UTC) - timedelta(hours=1))
    assert status(filled, old, "POST", "/v3/workspaces", {"id": "w"}) == 401


@pytest.mark.parametrize(
    ("scope", "allowed", "refused"),
    [
        (
            {"workspace_id": "w"},
            [
                ("POST", "/v3/workspaces/w/peers/list"),
                ("GET", "/v3/workspaces/w/sessions/s/context"),
            ],
            [
                ("POST", "/v3/workspaces/v/peers/list"),
                ("POST", "/v3/workspaces/v/peers", {"id": "mallory"}),
                ("POST", "/v3/workspaces/v/sessions", {"id": "mallory"}),
                ("POST", "/v3/workspaces", {"id": "v"}),
                ("POST", "/v3/workspaces/list"),
                ("POST", "/v3/keys"),
            ],
        ),
        (
            {"workspace_id": "w", "peer_id": "alice"},
            [
                ("GET", "/v3/workspaces/w/peers/alice/card"),
                ("GET", "/v3/workspaces/w/sessions/s/context"),
            ],
            [
                ("GET", "/v3/workspaces/w/peers/bob/card"),
                ("GET", "/v3/workspaces/w/sessions/other/context"),
                ("DELETE", "/v3/workspaces/w/sessions/s"),
                ("POST", "/v3/workspaces/w/peers/list"),
            ],
        ),
        (
            {"workspace_id": "w", "session_id": "s"},
            [("GET", "/v3/workspaces/w/sessions/s/context")],
            [
                ("GET", "/v3/workspaces/w/sessions/other/context"),
                ("GET", "/v3/workspaces/w/peers/alice/card"),
            ],
        ),
    ],
)
def test_a_made_key_opens_its_own_part(filled, scope, allowed, refused):
    made = httpx.post(
        f"{filled.url}/v3/keys", params=scope, headers={"Authorization": "Bearer plain"}
    )
    token = made.json()["key"]
    assert [status(filled, token, *one) for one in allowed] == [200] * len(allowed)
    assert [status(filled, token, *one) for one in refused] == [401] * len(refused)


def test_a_key_needs_a_workspace(filled):
    headers = {"Authorization": "Bearer plain"}
    for params in ({}, {"peer_id": "alice"}):
        made = httpx.post(f"{filled.url}/v3/keys", params=params, headers=headers)
        assert made.status_code == 422


def test_keys_are_disabled_without_authentication(stand_in):
    answer = httpx.post(f"{stand_in.url}/v3/keys", params={"workspace_id": "w"})
    assert answer.status_code == 405
    assert isinstance(answer.json()["detail"], str)
