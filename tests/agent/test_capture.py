"""Capture while Postgres is away, comes back, refuses: once, in order, and within bounds."""

from __future__ import annotations

import json
import socket
import time

import psycopg
import pytest

from afterturn import Memory, SchemaError, StoreUnavailableError
from afterturn.spool import Spool
from afterturn_models.migrate import migrate
from afterturn_models.sources import home
from support.tcp_proxy import TcpProxy
from support.waiting import eventually


@pytest.fixture(autouse=True)
def probes_are_quick(monkeypatch):
    monkeypatch.setattr("afterturn.breaker._EVERY", 0.2)


@pytest.fixture
def proxy(shared_database):
    with TcpProxy(shared_database) as found:
        yield found


@pytest.fixture
def away(agent_env, proxy):
    """Give a memory whose Postgres is reached through the proxy."""
    with Memory.open(database_url=proxy.url) as memory:
        yield memory


def back(memory):
    eventually(lambda: not memory._services.capturer._breaker.open)


def talk(session, *texts):
    return [session.begin_turn(text).end(f"re {text}").spooled for text in texts]


def expected(*texts):
    return [said for text in texts for said in (text, f"re {text}")]


def test_postgres_down_at_open_and_back_later(away, proxy, look):
    proxy.refuse()
    session = away.session(name="talk")
    assert talk(session, "a", "b") == [True, True]
    with pytest.raises(StoreUnavailableError):
        session.history()
    assert session.flush(0.1) is False
    proxy.accept()
    back(away)
    assert talk(session, "c") == [False]
    assert look.said("talk") == expected("a", "b", "c")
    assert [row["index"] for row in look.rows("talk")] == [1, 2, 3, 4, 5, 6]
    assert [message.content for message in session.history()] == expected("a", "b", "c")


def test_postgres_down_in_the_middle_costs_only_the_first_turn(away, proxy, look):
    session = away.session(name="talk")
    assert talk(session, "a") == [False]
    proxy.refuse()
    took = []
    for text in "bcd":
        started = time.monotonic()
        assert talk(session, text) == [True]
        took.append(time.monotonic() - started)
    assert max(took) < 1
    proxy.accept()
    back(away)
    assert talk(session, "e") == [False]
    assert look.said("talk") == expected(*"abcde")


def test_a_postgres_that_says_nothing_is_bounded_and_its_lost_answer_captures_once(
    agent_env, look, shared_database, monkeypatch
):
    """The capture is committed, its answer never comes: the same turn is spooled, and drained.

    Only the first turn pays: no word to its statement, then no new connection.
    """
    monkeypatch.setattr("afterturn.services._PATIENCE", 0.5)

    class Deaf(TcpProxy):
        def _pump(self, source, sink, who, last):
            while True:
                try:
                    data = source.recv(65536)
                    if not data:
                        return sink.shutdown(socket.SHUT_WR)
                    if not (self.silent and who == "server"):
                        sink.sendall(data)
                except OSError:
                    return None

    with Deaf(shared_database) as proxy, Memory.open(database_url=proxy.url) as memory:
        session = memory.session(name="talk")
        talk(session, "a")
        turn = session.begin_turn("b")
        proxy.silent = True
        started = time.monotonic()
        assert turn.end("re b").spooled
        assert time.monotonic() - started < 6
        assert look.said("talk") == expected("a", "b")
        started = time.monotonic()
        assert talk(session, "c", "d") == [True, True]
        assert time.monotonic() - started < 1
        proxy.silent = False
        back(memory)
        assert talk(session, "e") == [False]
        assert look.said("talk") == expected(*"abcde")


def test_a_connection_that_was_closed_while_idle_is_no_outage(away, proxy, look):
    session = away.session(name="talk")
    talk(session, "a")
    proxy.cut()
    assert talk(session, "b") == [False]
    assert look.said("talk") == expected("a", "b")


def test_the_next_process_drains_in_order_and_once(agent_env, run, look, workspace):
    script = """
from afterturn import Memory
with Memory.open({options}) as memory:
    for key in ("one", "two"):
        session = memory.session(name=key)
        for text in {texts!r}:
            print(session.begin_turn(text).end("re " + text).spooled)
"""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nowhere = f"postgresql://u:p@127.0.0.1:{closed.getsockname()[1]}/x"
        first = run("-c", script.format(options=f"database_url={nowhere!r}", texts="ab"))
    assert (first.returncode, first.stdout.split()) == (0, ["True"] * 4), first.stderr
    second = run("-c", script.format(options="", texts="c"))
    assert (second.returncode, second.stdout.split()) == (0, ["False"] * 2), second.stderr
    assert look.said("one") == look.said("two") == expected("a", "b", "c")
    assert Spool(_spool()).stats().turns == 0


def _spool():
    return home() / "spool"


def test_a_spool_drained_twice_is_captured_once(away, proxy, look):
    proxy.refuse()
    session = away.session(name="talk")
    talk(session, "a", "b")
    kept = {path: path.read_bytes() for path in _spool().glob("*.jsonl")}
    proxy.accept()
    back(away)
    talk(session, "c")
    for path, content in kept.items():
        path.write_bytes(content)  # as a power cut after the delivery may leave it
    talk(session, "d")
    assert look.said("talk") == expected(*"abcd")
    assert not Spool(_spool()).pending()


def test_many_sessions_keep_their_order_through_an_outage(away, proxy, look):
    sessions = [away.session(name=f"s{number}") for number in range(5)]
    for text in "ab":
        [talk(session, text) for session in sessions]
    proxy.refuse()
    for text in "cd":
        [talk(session, text) for session in sessions]
    proxy.accept()
    back(away)
    [talk(session, "e") for session in sessions]
    for session in sessions:
        assert look.said(session.key) == expected(*"abcde")


def test_a_standby_that_takes_no_writes_is_an_outage_and_nothing_is_set_aside(
    database_url, redis_url, empty_environment
):
    def read_only(value):
        off = "-c default_transaction_read_only=off"
        with psycopg.connect(database_url, autocommit=True, options=off) as there:
            name = there.info.dbname
            there.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = {value}")
            there.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = %s AND pid <> pg_backend_pid()",
                [name],
            )

    with Memory.open(database_url=database_url, redis_url=redis_url) as memory:
        session = memory.session(name="talk")
        talk(session, "a")
        read_only("on")
        assert talk(session, "b") == [True]
        back(memory)  # it answers, and still takes nothing
        assert talk(session, "c") == [True]
        read_only("off")
        back(memory)
        assert talk(session, "d") == [False]
        assert [m.content for m in session.history()] == expected(*"abcd")
    assert not (empty_environment / "spool-refused").exists()


def test_a_turn_that_postgres_refuses_is_set_aside_and_stops_nothing(
    database_url, redis_url, empty_environment
):
    with psycopg.connect(database_url, autocommit=True) as there:
        there.execute("ALTER TABLE messages ADD CHECK (content <> 'poison')")
    with Memory.open(database_url=database_url, redis_url=redis_url) as memory:
        session = memory.session(name="talk")
        assert session.begin_turn("poison").end("x").spooled
        assert talk(session, "fine") == [False]
        assert [m.content for m in session.history()] == expected("fine")
        aside = Spool(empty_environment / "spool-refused")
        assert aside.stats().turns == 1


def test_an_unmigrated_database_is_said_so_at_open(empty_database_url, redis_url):
    with (
        Memory.open(database_url=empty_database_url, redis_url=redis_url) as memory,
        pytest.raises(SchemaError, match="run: afterturn migrate"),
    ):
        memory.session(name="talk")


def test_a_database_that_is_migrated_later_loses_no_turn(empty_database_url, redis_url):
    with (
        TcpProxy(empty_database_url) as proxy,
        Memory.open(database_url=proxy.url, redis_url=redis_url) as memory,
    ):
        proxy.refuse()
        session = memory.session(name="talk")
        proxy.accept()
        talk(session, "a")
        back(memory)
        assert talk(session, "b") == [True]  # it answers, without our tables
        migrate(empty_database_url)
        back(memory)
        assert talk(session, "c") == [False]
        assert [m.content for m in session.history()] == expected("a", "b", "c")


def test_a_deleted_session_begins_anew(memory, look):
    session = memory.session(name="talk")
    for text in "ab":
        talk(session, text)
    old = look.id("talk")
    look.query("DELETE FROM sessions WHERE id = %(id)s", id=old)
    talk(session, "c")
    assert look.id("talk") != old
    assert look.said("talk") == expected("c")
    assert [m.content for m in session.history()] == expected("c")
    look.put("talk", 1, context="of the new one")
    assert "of the new one" in session.begin_turn("d").context


def test_captured_text_is_in_no_log(away, proxy, caplog):
    session = away.session(name="talk")
    talk(session, "a secret of mine")
    proxy.refuse()
    talk(session, "another secret")
    assert caplog.records
    assert "secret" not in caplog.text


def test_a_spool_file_is_private_and_json(away, proxy):
    proxy.refuse()
    talk(away.session(name="talk"), "a")
    (path,) = _spool().glob("*.jsonl")
    assert path.stat().st_mode & 0o777 == 0o600
    assert json.loads(path.read_text())["turn"]["rows"][0]["content"] == "a"
