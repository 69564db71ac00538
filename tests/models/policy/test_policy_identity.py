"""Identity seeding: wrappers, parts, ids, names, and the settings that keep a seed here."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterturn_models.policy import identity as policy
from afterturn_models.policy.identity import Kind
from afterturn_models.policy.ids import is_valid_id
from afterturn_models.policy.session_name import Conversation, Naming, session_name
from afterturn_models.policy.split import MAX_CHARACTERS

SPEC = "<ai_identity_seed>\n<source>SOUL.md</source>\n\nI am Clerk.\n\nKind.\n</ai_identity_seed>"


def test_the_agents_wrapper_is_the_specs_to_the_letter():
    raw = "\ufeff\r\n\n  I am Clerk.\r\n\r\nKind. \n\n"
    text = policy.seed_text(raw)
    assert policy.seed_messages(Kind.AGENT, "SOUL.md", text) == [SPEC]


def test_the_owners_file_says_what_it_is_and_is_no_identity_of_the_agents():
    (message,) = policy.seed_messages(Kind.USER, "USER.md", "Ann likes tea.")
    assert message == (
        "<user_profile_seed>\n<source>USER.md</source>\n\nAnn likes tea.\n</user_profile_seed>"
    )


def test_a_big_file_is_in_parts_that_honcho_takes_each_wrapped_whole():
    paragraphs = [f"Paragraph {n}. " + "word " * 60 for n in range(300)]
    text = policy.seed_text("\n\n".join(paragraphs))
    assert len(text) > 3 * MAX_CHARACTERS
    parts = policy.seed_messages(Kind.AGENT, "SOUL.md", text)
    assert len(parts) > 3
    head, tail = SPEC.split("I am Clerk.\n\nKind.")
    assert all(len(part) <= policy.PART_CHARACTERS < MAX_CHARACTERS for part in parts)
    assert all(part.startswith(head) and part.endswith(tail) for part in parts)
    inner = [part[len(head) : -len(tail)] for part in parts]
    assert " ".join(inner).split() == text.split()


@given(st.text(max_size=400), st.integers(min_value=80, max_value=160))
def test_every_part_says_something_within_the_limit(raw, limit):
    text = policy.seed_text(raw)
    parts = policy.seed_messages(Kind.AGENT, "SOUL.md", text, limit=limit)
    assert all(len(part) <= limit for part in parts)
    assert all(not part.startswith("\n") for part in parts)
    assert policy.seed_text(policy.seed_text(raw)) == text


@pytest.mark.parametrize("same", ["be kind", "\ufeffbe kind", "be kind\r\n", "\n\n be kind \t\n"])
def test_what_differs_in_its_edges_only_is_the_same_seed(same):
    assert policy.digest(policy.seed_text(same)) == policy.digest("be kind")


def test_other_words_are_another_seed():
    assert policy.digest(policy.seed_text("be  kind")) != policy.digest("be kind")


def test_ids_are_made_from_what_the_ledger_is_unique_by():
    turn = policy.seed_turn("w", "bot", "SOUL.md", "00")
    assert turn == policy.seed_turn("w", "bot", "SOUL.md", "00")
    others = {
        policy.seed_turn(*one)
        for one in (
            ("v", "bot", "SOUL.md", "00"),
            ("w", "ann", "SOUL.md", "00"),
            ("w", "bot", "USER.md", "00"),
            ("w", "bot", "SOUL.md", "01"),
            ("w", "botSOUL.md", "", "00"),
        )
    }
    assert len(others | {turn}) == 6
    assert isinstance(policy.seed_row(turn, 0), uuid.UUID)
    assert policy.seed_row(turn, 0) != policy.seed_row(turn, 1)


@pytest.mark.parametrize("peer", ["bot", "ann-maria", "x" * 100, "identity-bot"])
def test_a_peers_session_is_its_own_and_no_conversations(peer):
    key = policy.identity_session(peer)
    assert is_valid_id(key)
    assert key.startswith("identity-")
    naming = Naming()
    said = [f"identity-{peer}", f"identity_{peer}", peer]
    assert key not in {
        session_name(naming, Conversation(directory=f"/home/{one}")).key for one in said
    }
    assert key not in {session_name(naming, Conversation(platform_key=one)).key for one in said}
    assert key != policy.identity_session(peer + "-")


def test_a_files_name_becomes_one_line():
    assert policy.source_name("about\nann\udcff.md") == "about ann\ufffd.md"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("SOUL.md", Kind.AGENT),
        ("IDENTITY.md", Kind.AGENT),
        ("AGENTS.md", Kind.AGENT),
        ("BOOTSTRAP.md", Kind.AGENT),
        ("USER.md", Kind.USER),
        ("MEMORY.md", None),
        ("soul.md", None),
    ],
)
def test_only_user_md_is_the_owners(name, kind):
    assert policy.kind_of(name) is kind


@pytest.mark.parametrize(
    ("peer", "name"),
    [
        ("agent", None),
        ("clerk", "clerk"),
        ("Hermes-Agent", "Hermes-Agent"),
        ("Zoe-0123456789abcdef", "Zoe"),
    ],
)
def test_a_default_peer_has_no_name_and_a_hash_is_no_part_of_one(peer, name):
    assert policy.spoken_name(peer) == name


@pytest.mark.parametrize(
    "said", ["Name: Clerk", "name: CLERK", "It calls itself “Clerk”.", "Clerk is the agent"]
)
def test_a_card_that_says_the_name_stays_as_it_is(said):
    assert policy.named_card(["Likes order", said], "Clerk") is None


@pytest.mark.parametrize("said", [[], ["Works with clerks"], ["Name: Clerkson"]])
def test_the_name_is_merged_into_a_card(said):
    assert policy.named_card(said, "Clerk") == ("Name: Clerk", *said)


def test_a_name_of_two_words_is_looked_for_whole():
    assert policy.named_card(["Name: Hermes"], "Hermes-Agent") == (
        "Name: Hermes-Agent",
        "Name: Hermes",
    )
    assert policy.named_card(["It is hermes agent."], "Hermes-Agent") is None


@pytest.mark.parametrize(
    ("scopes", "agent", "user"),
    [
        ([], None, None),
        ([{"agentMemoryMode": "local"}], "agentMemoryMode is local", None),
        ([{"userMemoryMode": "local"}], None, "userMemoryMode is local"),
        ([{"memoryMode": "honcho"}, {"memoryMode": "local"}], None, None),
        ([{}, {"saveMessages": "false"}], "saveMessages is false", "saveMessages is false"),
        ([{"saveMessages": True}, {"saveMessages": False}], None, None),
        ([{"saveMessages": False}], "saveMessages is false", "saveMessages is false"),
    ],
)
def test_the_modes_of_a_capture_hold_for_a_seed(scopes, agent, user):
    assert policy.kept_here(Kind.AGENT, scopes) == agent
    assert policy.kept_here(Kind.NAME, scopes) == agent
    assert policy.kept_here(Kind.USER, scopes) == user
