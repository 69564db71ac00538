"""What the stand-in says without a language model: extracts that call themselves so."""

import json

import pytest
from honcho import Honcho
from honcho.api_types import SessionConfiguration, SessionPeerConfig

LABEL = "Extract (no language model)"


@pytest.fixture
def alice(stand_in, honcho: Honcho):
    return honcho.peer("alice")


def test_a_representation_holds_first_person_statements(alice, honcho: Honcho):
    honcho.session("s").add_messages(
        [alice.message("I live in Porto. The weather is fine. Do I like tea?")]
    )
    text = alice.representation()
    assert LABEL in text
    assert "I live in Porto." in text
    assert "weather" not in text
    assert "tea" not in text


def test_a_search_query_comes_first(alice, honcho: Honcho):
    honcho.session("s").add_messages(
        [
            alice.message("My sister is Ana."),
            alice.message("I prefer tea."),
            alice.message("I work."),
        ]
    )
    assert "sister" in alice.representation(search_query="sister", max_conclusions=1)


def test_an_observer_knows_only_the_sessions_it_observes(alice, honcho: Honcho):
    helper = honcho.peer("helper")
    watched, other = honcho.session("watched"), honcho.session("other")
    watched.add_peers([(helper, SessionPeerConfig(observe_others=True))])
    watched.add_messages([alice.message("I live in Porto.")])
    other.add_messages([alice.message("I work at night.")])
    text = helper.representation(target=alice)
    assert "Porto" in text
    assert "night" not in text
    assert "night" in alice.representation()


def test_who_is_not_observed_is_not_represented(alice, honcho: Honcho):
    session = honcho.session("s")
    session.add_peers([(alice, SessionPeerConfig(observe_me=False))])
    session.add_messages([alice.message("I live in Porto.")])
    assert alice.representation() == ""


def test_reasoning_switched_off_is_respected(alice, honcho: Honcho):
    off = SessionConfiguration.model_validate({"reasoning": {"enabled": False}})
    honcho.session("s", configuration=off).add_messages([alice.message("I live in Porto.")])
    assert alice.representation() == ""


def test_chat_quotes_what_is_stored(alice, honcho: Honcho):
    session = honcho.session("s")
    session.add_messages([alice.message("I live in Porto. I prefer tea to coffee.")])
    answer = alice.chat("Where does the user live?")
    assert answer.startswith(LABEL)
    assert "Porto" in answer
    assert "I don't know" in alice.chat("Which car?")
    assert "".join(alice.chat_stream("Where does the user live?")) == answer
    assert honcho.peer("stranger").chat("Where?") is None


def test_chat_fills_a_response_format(alice, honcho: Honcho):
    honcho.session("s").add_messages([alice.message("I live in Porto.")])
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    assert "Porto" in json.loads(alice.chat("live?", response_format=schema))["city"]


def test_twenty_five_messages_are_a_summary_and_six(alice, honcho: Honcho):
    session = honcho.session("s")
    session.add_messages([alice.message(f"I count {n}.") for n in range(25)])
    context = session.context()
    assert context.summary.content.startswith(LABEL)
    assert [one.content for one in context.messages] == [f"I count {n}." for n in range(19, 25)]
    assert session.summaries().long_summary is None
    session.add_messages([alice.message(f"I count {n}.") for n in range(25, 70)])
    found = session.summaries()
    assert found.long_summary.summary_type == "honcho_chat_summary_long"
    assert found.long_summary.message_id == session.messages(size=60).items[59].id


def test_a_summary_has_at_most_two_fifths_of_the_budget(alice, honcho: Honcho):
    session = honcho.session("s")
    session.add_messages([alice.message(f"I count {n} sheep in the dark.") for n in range(20)])
    whole = session.context().summary
    tokens = session.summaries().short_summary.token_count
    assert whole is not None
    assert session.context(tokens=int(tokens / 0.4) + 2).summary is not None
    assert session.context(tokens=tokens).summary is None


def test_a_delayed_deriver_is_pending_then_done(alice, honcho: Honcho, stand_in):
    stand_in.control.set_pace(deriver_delay_seconds=3600)
    honcho.session("s").add_messages([alice.message("I live in Porto.")])
    assert alice.representation() == ""
    assert honcho.queue_status().pending_work_units == 1
    stand_in.control.set_pace(deriver_delay_seconds=0)
    assert "Porto" in alice.representation()
    assert honcho.queue_status().completed_work_units == 1


@pytest.mark.parametrize("token", ["<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>"])
def test_tokens_of_other_vocabularies_are_refused_too(alice, raw, token: str):
    body = {"messages": [{"content": f"a {token}", "peer_id": "alice"}]}
    assert raw.post("/sessions/s/messages", json=body).status_code == 422
