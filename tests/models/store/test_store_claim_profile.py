"""A claim says whose session it is, and what is said of its settings: no statement more for that."""

from __future__ import annotations

import json

from afterturn_models.profile import SessionProfile
from afterturn_models.store import cursors
from afterturn_models.values import Scope


def claimed(desk, session):
    return desk.run(cursors.claim, session.id, owner="worker", lease=20.0)


def test_a_claim_carries_the_profile_and_postgres_word(desk):
    profile = SessionProfile(given={"recallAsk": "scope"}, owner="ann", observer="boss")
    session = desk.open(profile=json.dumps(profile.as_json()))
    desk.capture(session)
    for scope in ("workspace", "agent", "session"):
        desk.set(session, scope, "observationMode", scope)
    claim = claimed(desk, session)
    assert SessionProfile.of(claim.details) == profile
    assert claim.user_peer == "ann"
    assert claim.said == {scope: {"observationMode": scope.value} for scope in Scope}


def test_where_nothing_is_said_nothing_is(desk):
    session = desk.open()
    desk.capture(session)
    claim = claimed(desk, session)
    assert (claim.details, claim.said) == ({}, {scope: {} for scope in Scope})


def test_what_is_said_of_others_is_not(desk):
    session, other = desk.open(), desk.open()
    desk.capture(session)
    desk.set(other, "session", "observationMode", "unified")
    assert claimed(desk, session).said[Scope.SESSION] == {}


def test_in_a_subagents_session_no_words_but_the_agents_are_said(desk):
    """What its parent says there is kept with the agent's mode, and with the user's too."""
    parent = desk.open("parent")
    child = desk.open("child", parent_key="parent")
    told = desk.open(profile=json.dumps(SessionProfile(observer="boss").as_json()))
    for mode in ("userMemoryMode", "agentMemoryMode"):
        for session in (parent, child, told):
            desk.capture(session, given={mode: "local"})
    kept = {
        session.id: [row.delivery for row in desk.rows(session)]
        for session in (parent, child, told)
    }
    assert kept[parent.id] == ["local", "send", "send", "local"]
    assert kept[child.id] == kept[told.id] == ["local", "send", "local", "local"]
