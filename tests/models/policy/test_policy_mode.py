"""Memory modes: the nearest scope that says anything wins, per-peer before the shorthand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterturn_models.policy.mode import AGENT_KEYS, USER_KEYS, resolve_mode
from afterturn_models.values import Mode

scope = st.dictionaries(
    st.sampled_from(["userMemoryMode", "agentMemoryMode", "memoryMode"]),
    st.sampled_from(list(Mode)),
)


@pytest.mark.parametrize(
    ("scopes", "user", "agent"),
    [
        ([], "hybrid", "hybrid"),
        ([{}], "hybrid", "hybrid"),
        ([{"memoryMode": "local"}], "local", "local"),
        ([{"memoryMode": "local", "userMemoryMode": "honcho"}], "honcho", "local"),
        ([{"memoryMode": "local"}, {"userMemoryMode": "honcho"}], "local", "local"),
        ([{"agentMemoryMode": "local"}, {"memoryMode": "honcho"}], "honcho", "local"),
        ([{}, {}, {"userMemoryMode": "local"}], "local", "hybrid"),
    ],
)
def test_resolution_order(scopes, user, agent):
    assert resolve_mode(scopes, USER_KEYS) == user
    assert resolve_mode(scopes, AGENT_KEYS) == agent


def test_the_default_is_what_is_said_where_nobody_speaks():
    assert resolve_mode([{}], USER_KEYS, Mode.LOCAL) is Mode.LOCAL


def test_an_unknown_mode_is_no_mode():
    with pytest.raises(ValueError, match="sometimes"):
        resolve_mode([{"memoryMode": "sometimes"}], USER_KEYS)


@given(st.lists(scope), scope)
def test_a_scope_further_away_never_overrules(near, far):
    decided = any(set(s) & set(USER_KEYS) for s in near)
    if decided:
        assert resolve_mode([*near, far], USER_KEYS) == resolve_mode(near, USER_KEYS)
    else:
        assert resolve_mode([*near, far], USER_KEYS) == resolve_mode([far], USER_KEYS)


@given(scope)
def test_the_other_peers_field_says_nothing(one):
    without = {key: value for key, value in one.items() if key != "agentMemoryMode"}
    assert resolve_mode([one], USER_KEYS) == resolve_mode([without], USER_KEYS)
