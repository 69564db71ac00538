"""Who is who: Hermes' order, and no two users alike unless somebody said so."""

from __future__ import annotations

import json
import string

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from afterturn_models.policy.ids import honcho_id, is_valid_id
from afterturn_models.policy.who import People, Runtime, Speakers, runtime_peer, user_peer

MADE_OF_AB = honcho_id(json.dumps(["telegram", "a b"]))


def peer(people=None, *, agent="agent", key="chat", **known):
    return user_peer(people or People("ada"), Runtime.of(**known), agent=agent, key=key)


ALIASED = {"1234": "ann", "ann@work": "ann", "slack:77": "sue"}


@pytest.mark.parametrize(
    ("people", "known", "expected"),
    [
        # the pin, before everything
        ({"pin": True, "aliases": ALIASED}, {"user_id": "1234", "platform": "telegram"}, "ada"),
        # an alias of the runtime id, then of the alternate id
        ({"aliases": ALIASED}, {"user_id": "1234", "platform": "telegram"}, "ann"),
        ({"aliases": ALIASED}, {"user_id": "9", "alternate_id": "ann@work"}, "ann"),
        ({"aliases": {"9": "nina", **ALIASED}}, {"user_id": "9", "alternate_id": "1234"}, "nina"),
        ({"aliases": {"9": ""}}, {"user_id": "9"}, "9"),  # an alias that says nothing
        # an alias for one platform only
        ({"aliases": ALIASED}, {"user_id": "77", "platform": "slack"}, "sue"),
        ({"aliases": ALIASED}, {"user_id": "77", "platform": "discord"}, "discord-77"),
        # a configured prefix, and none
        ({"prefix": "tg_"}, {"user_id": "1234", "platform": "telegram"}, "tg_1234"),
        ({"prefix": ""}, {"user_id": "1234", "platform": "telegram"}, "1234"),
        ({}, {"user_id": "1234", "platform": "telegram"}, "telegram-1234"),
        ({}, {"user_id": 1234, "platform": "telegram"}, "telegram-1234"),
        ({}, {"user_id": "1234"}, "1234"),
        # the alternate id stands in for the runtime id
        ({}, {"alternate_id": " 55 ", "platform": "telegram"}, "telegram-55"),
        # the owner, where the platform names nobody
        ({}, {}, "ada"),
        ({}, {"platform": "telegram", "user_id": "  "}, "ada"),
        # the session's key, where nobody said who the owner is
        ({"named": False}, {"platform": "telegram"}, "user-chat"),
        ({"named": False}, {}, "ada"),
    ],
)
def test_the_order_is_hermes(people, known, expected):
    assert peer(People("ada", **people), **known) == expected


@pytest.mark.parametrize("number", ["123456789012345678", "1234567890123456", "U024BE7LH"])
def test_ids_of_the_great_platforms_stay_readable(number):
    assert peer(user_id=number, platform="discord") == f"discord-{number}"


@pytest.mark.parametrize(
    ("people", "known"),
    [
        ({"prefix": ""}, {"user_id": "ada"}),  # the owner's name
        ({"prefix": ""}, {"user_id": "agent"}),  # the agent's
        ({"prefix": ""}, {"user_id": "agent-researcher"}),  # another agent's
        ({"prefix": ""}, {"user_id": "user-chat"}),  # a user of whom only the chat is known
        ({}, {"user_id": "chat", "platform": "user"}),
        ({"prefix": "", "aliases": {"1": "ann"}}, {"user_id": "ann"}),  # an alias' target
        ({"aliases": {"1": "telegram-2"}}, {"user_id": "2", "platform": "telegram"}),
        ({"prefix": "a"}, {"user_id": "da"}),
        ({}, {"user_id": MADE_OF_AB.removeprefix("telegram-"), "platform": "telegram"}),
        ({}, {"user_id": "telegram-1234"}),  # reads like another platform's user
    ],
)
def test_a_runtime_id_never_becomes_somebody_elses_name(people, known):
    told = People("ada", **people)
    made = peer(told, **known)
    others = {"ada", "agent", "agent-researcher", "user-chat", "ann", "telegram-1234", MADE_OF_AB}
    assert made not in others | set(told.aliases.values())
    assert is_valid_id(made)
    assert made.rpartition("-")[2].isalnum()
    assert made == peer(told, **known)


@pytest.mark.parametrize("nick", ["telegram:1234", "irc:telegram:1234"])
def test_who_chooses_an_id_does_not_pass_for_a_user_of_another_platform(nick):
    people = People("ada", aliases={"telegram:1234": "ann"})
    assert peer(people, user_id="1234", platform="telegram") == "ann"
    assert peer(people, user_id=nick, platform="irc") != "ann"
    assert peer(People("ada", aliases={"@ann:hs.org": "ann"}), user_id="@ann:hs.org") == "ann"
    matrix = {"user_id": "@ann:hs.org", "platform": "matrix"}
    assert peer(People("ada", aliases={"@ann:hs.org": "ann"}), **matrix) == "ann"


names = st.text(string.ascii_letters + string.digits + "_-: .@+#é漢\ud800\x00", min_size=1)
platforms = st.sampled_from(["telegram", "slack", "a", "a-b", "user", "agent", "x y"]) | names
ids = (
    st.sampled_from(["1", "b-c", "c", "ada", "agent", "user", "telegram-1", "a-b-c"])
    | names
    | st.text("0123456789abcdef", min_size=16, max_size=16)
)
users = st.tuples(st.none() | platforms, ids).map(
    lambda known: Runtime.of(known[1], platform=known[0])
)


@settings(max_examples=1500)
@given(users, users)
@example(Runtime("b-c", None, "a"), Runtime("c", None, "a-b"))
@example(Runtime("telegram-1", None, None), Runtime("1", None, "telegram"))
@example(
    Runtime("a b", None, "telegram"),
    Runtime(MADE_OF_AB.removeprefix("telegram-"), None, "telegram"),
)
def test_two_users_are_two_peers(one, other):
    assume(one != other)
    assume(one.ids)
    assume(other.ids)
    people = People("ada", aliases={"1": "1", "z": "telegram-c"}, taken=frozenset({"agent"}))
    strangers = [user for user in (one, other) if user.user_id not in people.aliases]
    made = [user_peer(people, user, agent="bot", key="chat") for user in strangers]
    assert len(set(made)) == len(made)
    assert not set(made) & people.spoken_for("bot")
    assert all(is_valid_id(peer) for peer in made)


@settings(max_examples=500)
@given(st.text("ab-_ :é", max_size=4), users, users)
def test_with_a_prefix_two_ids_are_two_peers(prefix, one, other):
    assume(one.ids)
    assume(other.ids)
    assume(one.ids != other.ids)
    people = People("ada", prefix=prefix)
    made = {runtime_peer(people, user, agent="bot") for user in (one, other)}
    assert len(made) == 2
    assert not made & people.spoken_for("bot")


@given(users)
def test_a_pin_is_one_person_whatever_the_id(user):
    assert user_peer(People("ada", pin=True), user, agent="bot", key="c") == "ada"


@given(names)
def test_the_peer_of_a_chat_is_nobody_elses(key):
    people = People("user", named=False)
    made = user_peer(people, Runtime(platform="telegram"), agent="agent", key=key)
    assert made not in people.spoken_for("agent")
    assert made != user_peer(people, Runtime(key, None, "user"), agent="agent", key="other")


def speakers(**more):
    runtime = Runtime.of("1", "ann@work", "telegram")
    people = People("ada", aliases={"ann@work": "ann", "2": "bob"}, **more)
    user = user_peer(people, runtime, agent="agent", key="chat")
    return Speakers(people, user, "agent", "chat", runtime)


def test_an_author_of_a_platform_is_a_runtime_id():
    chat = speakers()
    assert chat.user == "ann"
    assert chat.peer(None) == "ann"
    assert chat.peer("2") == "bob"
    assert chat.peer(3) == "telegram-3"
    assert chat.peer("ada") == "telegram-ada"


def test_the_opener_is_one_person_by_whatever_id():
    """As users report of others: duplicate user peers."""
    chat = speakers()
    assert chat.peer("1") == chat.peer(1) == chat.peer(" 1 ") == chat.user == "ann"


def test_an_author_whom_the_platform_cannot_name_is_not_the_opener():
    """As users report of others: every turn of a shared chat is written to its opener."""
    assert speakers().peer("") == speakers().peer(" ") == "user-chat"
    assert speakers(pin=True).peer("") == "ada"


def test_without_a_platform_an_author_is_a_peer_as_the_host_names_it():
    chat = Speakers(People("ada"), "ada", "agent", "chat")
    assert chat.peer("ann") == "ann"
    assert chat.peer("") == chat.peer(None) == "ada"
    assert chat.peer("Zoë <z@x>") == honcho_id("Zoë <z@x>")
