"""Session naming: the spec's order, with an explicit name in front of all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterturn_models.policy.ids import honcho_id, is_valid_id
from afterturn_models.policy.session_name import (
    STRATEGIES,
    Conversation,
    Naming,
    session_name,
)

MAP = {"/home/u/foo": "foo-project"}
ALL = {
    "name": "chosen",
    "directory": "/home/u/foo",
    "title": "My title",
    "platform_key": "telegram-1",
}


def key(naming=None, **more):
    return named(naming, **more).key


def named(naming=None, **more):
    return session_name(naming or Naming.of("per-directory", MAP), Conversation(**more))


def without(*names):
    return {name: value for name, value in ALL.items() if name not in names}


def test_each_place_in_the_order_wins_over_those_behind_it():
    assert key(**ALL) == "chosen"
    assert key(**without("name")) == "foo-project"
    assert key(**{**without("name"), "directory": "/home/u/bar"}) == honcho_id("My title")
    assert key(directory="/home/u/bar", platform_key="telegram-1") == "bar"
    assert key(platform_key="telegram-1") == "telegram-1"
    assert key() == "default"


def test_with_the_global_strategy_the_directory_and_platform_do_not_count():
    naming = Naming.of("global", MAP)
    assert key(naming, directory="/home/u/bar", platform_key="telegram-1") == "global"
    assert key(naming, directory="/home/u/foo") == "foo-project"
    assert key(naming, title="t") == "t"
    assert key(naming, name="n", title="t") == "n"


@pytest.mark.parametrize("blank", [None, "", "  \n"])
def test_a_blank_title_is_none(blank):
    assert key(title=blank, directory="/home/u/bar") == "bar"


def test_a_title_is_taken_without_the_white_space_around_it():
    assert key(title="  plans ") == "plans"


@pytest.mark.parametrize("root", ["/", "//"])
def test_a_directory_without_a_name_is_the_default(root):
    assert key(directory=root) == "default"


def test_the_prefix_stands_before_every_key_but_a_chosen_one():
    naming = Naming.of("per-directory", MAP, "ann")
    assert key(naming, **ALL) == "chosen"
    assert key(naming, **without("name")) == "ann-foo-project"
    assert key(naming, directory="/home/u/bar") == "ann-bar"
    assert key(naming) == "ann-default"
    assert key(naming, name="", directory="/home/u/bar") == "ann-bar"  # an empty name is none


@given(
    st.sampled_from(STRATEGIES),
    st.none() | st.text(),
    st.none() | st.text(),
    st.none() | st.text(),
    st.none() | st.text(),
    st.none() | st.text(min_size=1),
)
def test_every_key_is_an_id_and_the_same_again(strategy, name, directory, title, platform, prefix):
    naming = Naming.of(strategy, MAP, prefix)
    said = {"name": name, "directory": directory, "title": title, "platform_key": platform}
    assert is_valid_id(key(naming, **said))
    assert is_valid_id(named(naming, **said).apart)
    assert named(naming, **said) == named(naming, **said)


def test_by_repository_every_directory_in_it_has_its_session():
    naming = Naming.of("per-repo", MAP)
    inside = {"directory": "/src/tool/docs", "repository": "/src/tool"}
    assert key(naming, **inside) == "tool"
    assert named(naming, **inside) == named(naming, directory="/src/tool", repository="/src/tool")
    assert key(naming, directory="/home/u/bar") == "bar"  # in no repository: its own
    assert key(naming, platform_key="telegram-1") == "telegram-1"


def test_per_session_each_conversation_has_its_own():
    naming = Naming.of("per-session", MAP)
    assert key(naming, directory="/d", platform_key="chat-7", fresh="x1") == "chat-7"
    assert key(naming, directory="/d", fresh="x1") == "x1"
    assert key(naming, directory="/home/u/foo", fresh="x1") == "foo-project"
    assert key(naming, title="t", fresh="x1") == "t"


def test_by_hermes_rule_a_platforms_key_comes_before_map_title_and_directory():
    naming = Naming.of("per-directory", MAP, gateway_first=True)
    assert key(naming, **ALL) == "chosen"
    assert key(naming, **without("name")) == "telegram-1"
    assert key(naming, **without("name", "platform_key")) == "foo-project"


def test_what_reads_alike_is_told_apart_by_what_it_was_made_from():
    alike = [
        named(directory="/a/foo"),
        named(directory="/b/foo"),
        named(title="foo"),
        named(platform_key="foo"),
        named(Naming.of("per-repo", {}), directory="/c/foo", repository="/c/foo"),
    ]
    assert {name.key for name in alike} == {"foo"}
    assert len({name.apart for name in alike}) == len({name.source for name in alike}) == 5


def test_what_is_mapped_by_hand_is_a_name_that_was_chosen():
    assert named(directory="/home/u/foo") == named(name="foo-project")
    one, other = Naming.of("per-directory", {}, "a"), Naming.of("per-directory", {}, "a-b")
    left, right = named(one, directory="/b-c"), named(other, directory="/c")
    assert left.key == right.key == "a-b-c"
    assert left.source != right.source
