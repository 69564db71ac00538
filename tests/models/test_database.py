"""Postgres as a process sees it: refused, wrong, full, restarted, forked; always in our words."""

from __future__ import annotations

import os
import threading
from urllib.parse import quote

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import IntegrityError, ProgrammingError

from afterturn_models.db import Database, postgres_url
from afterturn_models.errors import ConfigurationError, SchemaError, StoreUnavailableError
from support.waiting import eventually

SECRET = "s3cr:et@of/the#url%"


def chain(error):
    """Give an error and all that are printed with it."""
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def insert_and_fail(opened):
    """Insert a row, and have the owner of the connection fail behind it."""
    with opened() as connection:
        connection.execute(text("INSERT INTO workspaces (name) VALUES ('w')"))
        raise RuntimeError


def ask(database, statement="SELECT 1"):
    with database.statement() as connection:
        return connection.execute(text(statement)).scalar()


@pytest.mark.parametrize(
    "scheme", ["postgresql", "postgres", "postgresql+psycopg", "postgresql+asyncpg"]
)
def test_every_spelling_of_a_url_is_for_psycopg(scheme):
    url = postgres_url(f"{scheme}://u:{quote(SECRET, safe='')}@h:5433/d?sslmode=require")
    assert url.drivername == "postgresql+psycopg"
    assert (url.password, url.host, url.port, url.database) == (SECRET, "h", 5433, "d")
    assert url.query == {"sslmode": "require"}


@pytest.mark.parametrize(
    "url",
    [
        "",
        "nonsense",
        f"postgresql://u:{SECRET}@h/d",
        "postgresql://u:p@h:port/d",
        "mysql://u:s3cr@h/d",
    ],
)
def test_what_is_no_url_of_postgres_is_said_without_quoting_it(url):
    with pytest.raises(ConfigurationError, match="postgresql://") as raised:
        Database(url)
    said = "".join(str(error) for error in chain(raised.value))
    assert "s3cr" not in said
    assert "et@of" not in said


def test_a_server_that_is_not_there():
    database = Database(f"postgresql://u:{quote(SECRET, safe='')}@127.0.0.1:1/d")
    for opened in (database.statement, database.transaction):
        with pytest.raises(StoreUnavailableError, match="Connection refused") as raised, opened():
            pass
        assert not any(SECRET in str(error) for error in chain(raised.value))


def test_a_wrong_password_is_not_repeated(database_url):
    wrong = make_url(database_url).set(password=SECRET).render_as_string(hide_password=False)
    with pytest.raises(StoreUnavailableError, match="password authentication failed") as raised:
        ask(Database(wrong))
    assert "\n" not in str(raised.value)
    assert not any(SECRET in str(error) for error in chain(raised.value))


def test_a_database_that_is_not_there(database_url):
    with pytest.raises(StoreUnavailableError, match="does not exist"):
        ask(Database(database_url + "x"))


def test_a_missing_schema_says_what_to_run(empty_database_url):
    database = Database(empty_database_url)
    with pytest.raises(SchemaError, match="afterturn migrate"):
        ask(database, "SELECT count(*) FROM messages")
    database.close()


def test_a_missing_column_is_a_schema_of_another_version(database):
    with pytest.raises(SchemaError):
        ask(database, "SELECT brand_new FROM messages")


def test_other_errors_of_the_statement_stay_what_they_are(database):
    with pytest.raises(ProgrammingError):
        ask(database, "SELEC 1")
    with pytest.raises(IntegrityError):
        ask(database, "INSERT INTO workspaces (name) VALUES (NULL)")


def test_no_text_of_a_message_gets_into_an_error(database):
    with pytest.raises(IntegrityError) as raised, database.statement() as connection:
        connection.execute(
            text("INSERT INTO peers (workspace_id, name, kind) VALUES (1, :n, 'user')"),
            {"n": SECRET},
        )
    assert "parameters hidden" in str(raised.value)


def test_a_pool_that_is_used_up_is_said(database_url):
    database = Database(database_url, pool_size=1)
    database._engine.pool._timeout = 0.05
    said = pytest.raises(StoreUnavailableError, match="every pooled connection is in use")
    with database.statement(), database.transaction(), said:
        ask(database)
    assert ask(database) == 1
    database.close()


def test_a_direct_statement_is_on_a_connection_of_the_pool_and_commits_by_itself(database):
    with database.direct() as driver:
        driver.execute(b"INSERT INTO workspaces (name) VALUES ('w')", prepare=True)
        pid = driver.info.backend_pid
        assert driver.execute("SHOW statement_timeout").fetchone() == ("30s",)
    with database.transaction() as connection:  # the same one, which sets it to transactions
        assert connection.execute(text("SELECT pg_backend_pid()")).scalar() == pid
    assert ask(database, "SELECT count(*) FROM workspaces") == 1


def test_a_connection_that_was_left_within_a_transaction_does_not_come_back(database):
    before = ask(database, "SELECT pg_backend_pid()")
    with pytest.raises(KeyboardInterrupt), database.direct() as driver:
        interrupted_within(driver)
    assert ask(database, "SELECT pg_backend_pid()") != before
    assert ask(database, "SELECT count(*) FROM workspaces") == 0


def interrupted_within(driver):
    driver.execute("BEGIN; INSERT INTO workspaces (name) VALUES ('w')")
    raise KeyboardInterrupt


def test_a_direct_statement_fails_in_the_same_words(database, database_url, empty_database_url):
    def direct(on, statement):
        with on.direct() as driver:
            driver.execute(statement)

    with pytest.raises(StoreUnavailableError, match="Connection refused"):
        direct(Database("postgresql://u:p@127.0.0.1:1/d"), b"SELECT 1")
    empty = Database(empty_database_url)
    with pytest.raises(SchemaError, match="afterturn migrate"):
        direct(empty, b"SELECT count(*) FROM messages")
    empty.close()
    with pytest.raises(psycopg.errors.NotNullViolation):
        direct(database, b"INSERT INTO workspaces (name) VALUES (NULL)")
    assert ask(database) == 1
    with psycopg.connect(database_url) as other:
        other.execute("LOCK TABLE workspaces")
        with pytest.raises(StoreUnavailableError, match="lock timeout"):
            direct(database, b"SET lock_timeout = '50ms'; TABLE workspaces")


def test_a_transaction_is_whole_or_not_at_all(database):
    with pytest.raises(RuntimeError):
        insert_and_fail(database.transaction)
    assert ask(database, "SELECT count(*) FROM workspaces") == 0
    with database.transaction() as connection:
        connection.execute(text("INSERT INTO workspaces (name) VALUES ('w')"))
        assert ask(database, "SELECT count(*) FROM workspaces") == 0
    assert ask(database, "SELECT count(*) FROM workspaces") == 1


def test_a_statement_commits_by_itself(database):
    with pytest.raises(RuntimeError):
        insert_and_fail(database.statement)
    assert ask(database, "SELECT count(*) FROM workspaces") == 1


def test_every_connection_has_our_timeouts_and_name(database):
    settings = {name: ask(database, f"SHOW {name}") for name in (
        "lock_timeout", "statement_timeout", "timezone", "jit", "application_name",
    )}  # fmt: skip
    assert list(settings.values()) == ["5s", "30s", "UTC", "off", "afterturn"]


def ask_directly(database):
    with database.direct() as driver:
        return driver.execute(b"SELECT 1").fetchone()[0]


@pytest.mark.parametrize("way", [ask, ask_directly])
def test_after_the_server_closed_its_connections_one_statement_fails_and_the_next_does_not(
    database_url, way
):
    database = Database(database_url)
    barrier = threading.Barrier(3)

    def use():
        with database.statement() as connection:
            connection.execute(text("SELECT 1"))
            barrier.wait(10)

    threads = [threading.Thread(target=use) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    with psycopg.connect(database_url, autocommit=True) as other:
        ended = other.execute(
            "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND backend_type = 'client backend'"
        ).fetchone()
    assert ended == (3,)
    with pytest.raises(StoreUnavailableError):
        way(database)
    assert way(database) == 1  # one failure tells the pool of all of them
    database.close()


def test_a_lock_that_somebody_holds_is_waited_for_briefly(database, database_url):
    with psycopg.connect(database_url) as other:
        other.execute("LOCK TABLE workspaces")
        with database.statement() as mine:
            mine.execute(text("SET lock_timeout = '50ms'"))
        with pytest.raises(StoreUnavailableError, match="lock timeout"):
            ask(database, "SELECT count(*) FROM workspaces")


# Newer Pythons warn of any thread; this child runs nothing but what is asserted.
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_uses_connections_of_its_own(database):
    parents = ask(database, "SELECT pg_backend_pid()")
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            database.forked()
            os.write(writing, str(ask(database, "SELECT pg_backend_pid()")).encode())
            database.close()
            status = 0
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        childs = pipe.read()
    assert os.waitpid(child, 0)[1] == 0
    assert int(childs) != parents
    assert ask(database, "SELECT pg_backend_pid()") == parents


def test_closing_leaves_no_connection(database_url):
    database = Database(database_url, name="to be closed")
    ask(database)
    database.close()
    with psycopg.connect(database_url, autocommit=True) as other:
        query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'to be closed'"
        eventually(lambda: other.execute(query).fetchone() == (0,))
