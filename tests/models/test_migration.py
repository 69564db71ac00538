"""The migration: up, down, side by side, offline, from the wheel; and what it makes is what is declared."""

from __future__ import annotations

import subprocess
import sys
import threading
import zipfile
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine
from sqlalchemy.engine import make_url

from afterturn_models import migrate as migrations
from afterturn_models.db import Database, postgres_url
from afterturn_models.errors import ConfigurationError, SchemaError, StoreUnavailableError
from afterturn_models.migrate import current, downgrade, head, migrate
from afterturn_models.tables import metadata
from support.waiting import eventually

ROOT = Path(__file__).parents[2]
TABLES = {
    "agents", "compaction_states", "compactions", "cursors", "dialectic_calls", "directory_maps", "history_indexes", "identity_seeds", "members",
    "message_texts", "messages", "peers",
    "resync_jobs", "resync_parts", "sessions", "settings", "workers", "workspaces",
}  # fmt: skip
MIGRATE = "import sys; from afterturn_models.migrate import migrate; migrate(sys.argv[1])"

# Everything that pg_catalog knows of our tables, in the words of Postgres itself.
SHAPE = """
SELECT 'column', format('%s.%s', c.relname, a.attname),
       concat_ws(' ', format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'not null' END,
                 'identity=' || a.attidentity::text, pg_get_expr(d.adbin, d.adrelid))
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attnum > 0
      AND NOT a.attisdropped
UNION ALL
SELECT 'constraint', format('%s.%s', conrelid::regclass, conname), pg_get_constraintdef(oid)
FROM pg_constraint WHERE connamespace = 'public'::regnamespace
UNION ALL
SELECT 'index', format('%s.%s', tablename, indexname), indexdef FROM pg_indexes
WHERE schemaname = 'public'
"""


def rows(url, query):
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(query).fetchall()


def shape(url):
    """Give a database's schema, without Alembic's own table."""
    return {row for row in rows(url, SHAPE) if not row[1].startswith("alembic_version")}


def tables(url):
    found = rows(url, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    return {name for (name,) in found}


@pytest.fixture(scope="module")
def declared(postgres):
    """Give the schema of a database made from the metadata, without any migration."""
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("CREATE DATABASE declared")
    url = postgres.rpartition("/")[0] + "/declared"
    engine = create_engine(postgres_url(url))
    metadata.create_all(engine)
    engine.dispose()
    return shape(url)


def test_up_makes_exactly_what_is_declared(empty_database_url, declared):
    migrate(empty_database_url)
    assert tables(empty_database_url) == TABLES | {"alembic_version"}
    assert set(metadata.tables) == TABLES
    assert shape(empty_database_url) == declared


def test_alembic_finds_nothing_to_add(database_url):
    engine = create_engine(postgres_url(database_url))
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_down_leaves_nothing_and_up_again_makes_it_all(empty_database_url):
    migrate(empty_database_url)
    before = shape(empty_database_url)
    downgrade(empty_database_url, "base")
    assert tables(empty_database_url) == {"alembic_version"}
    assert rows(empty_database_url, "SELECT FROM alembic_version") == []
    left = (
        "SELECT FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('S', 'v')"
    )
    assert rows(empty_database_url, left) == []
    migrate(empty_database_url)
    assert shape(empty_database_url) == before


# A database of the first schema with a session, its messages, and a job in each table that changes.
FORMER_ROWS = """
INSERT INTO workspaces (name) VALUES ('w');
INSERT INTO sessions (workspace_id, key, honcho_session, user_peer, agent_peer, next_index)
    SELECT id, 'k', 'k', 'ann', 'bot', 3 FROM workspaces;
INSERT INTO cursors (session_id, last_saved_index, due_index) SELECT id, 1, 2 FROM sessions;
INSERT INTO messages (id, session_id, index, turn_id, turn, role, peer, honcho_session, content,
                      delivery, at)
    SELECT gen_random_uuid(), id, n, gen_random_uuid(), 1, 'user', 'ann', 'k', 'm' || n, 'send', now()
    FROM sessions, generate_series(1, 2) n;
"""
KEPT = """
SELECT m.index, m.content, m.delivery, c.last_saved_index, c.due_index
FROM messages m JOIN cursors c USING (session_id) ORDER BY m.index
"""


@pytest.fixture
def former(empty_database_url):
    """Give a database at the first schema, with rows in it, and its shape."""
    migrate(empty_database_url)
    downgrade(empty_database_url, "0001")
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        connection.execute(FORMER_ROWS)
    return empty_database_url, shape(empty_database_url), rows(empty_database_url, KEPT)


def test_the_second_revision_keeps_rows_and_makes_what_is_declared(former, declared):
    url, _, kept = former
    migrate(url)
    assert shape(url) == declared
    assert len(kept) == 2
    assert rows(url, KEPT) == kept
    assert rows(url, "SELECT DISTINCT mended, late FROM messages") == [(False, None)]
    assert rows(url, "SELECT late, narrowed_to FROM cursors") == [(False, None)]


def test_down_from_the_second_revision_keeps_rows_and_makes_the_first(former):
    url, shape_before, kept = former
    migrate(url)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "UPDATE messages SET late = 'sent', mended = true;"
            "UPDATE cursors SET late = true, intent_first = 0, intent_last = 0, intent_rows = '{}';"
            "INSERT INTO resync_jobs (kind, selection) VALUES ('verify', '{}');"
            "INSERT INTO resync_parts (job_id, session_id) SELECT j.id, s.id"
            " FROM resync_jobs j, sessions s"
        )
    downgrade(url, "0001")
    assert shape(url) == shape_before
    assert rows(url, KEPT) == kept
    # The former code would take a repair's intent for one that ends at the session's beginning.
    assert rows(url, "SELECT intent_first, intent_rows FROM cursors") == [(None, None)]
    migrate(url)
    assert rows(url, KEPT) == kept


def test_the_first_revision_is_what_it_was(empty_database_url):
    """Where nothing was ever upgraded: the way down is not to make a first schema of its own."""
    done = alembic("upgrade", "0001", env={"AFTERTURN_DATABASE_URL": empty_database_url})
    assert done.returncode == 0, done.stderr
    first = shape(empty_database_url)
    migrate(empty_database_url)
    downgrade(empty_database_url, "0001")
    assert shape(empty_database_url) == first


def test_every_constraint_and_index_has_a_name_of_ours(database_url):
    named = {key.split(".")[1]: kind for kind, key, _ in shape(database_url) if kind != "column"}
    not_null = "_not_null"  # Postgres 18 keeps these as constraints, with names of its own
    strange = {n for n in named if not n.startswith(("pk_", "fk_", "uq_", "ck_", "ix_"))}
    assert {n for n in strange if not n.endswith(not_null)} == set()
    assert all(
        constraint.name for table in metadata.tables.values() for constraint in table.constraints
    )


def test_every_foreign_key_is_found_by_an_index(database_url):
    """Deleting what it points to would read the whole table otherwise."""
    uncovered = rows(database_url, """
        SELECT c.conname FROM pg_constraint c WHERE c.contype = 'f' AND NOT EXISTS (
            SELECT FROM pg_index i WHERE i.indrelid = c.conrelid AND i.indkey[0] = c.conkey[1])
    """)  # fmt: skip
    assert uncovered == []


def test_the_head_is_what_a_migrated_database_has(empty_database_url):
    database = Database(empty_database_url)
    assert current(database) is None
    migrate(empty_database_url)
    assert current(database) == head() == "0006"
    migrate(empty_database_url)
    assert current(database) == head()
    database.close()


def test_migrating_keeps_what_is_there(database_url):
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("INSERT INTO workspaces (name) VALUES ('kept')")
    migrate(database_url)
    assert rows(database_url, "SELECT name FROM workspaces") == [("kept",)]


def test_two_processes_at_once_take_turns(empty_database_url):
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", MIGRATE, empty_database_url],
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    said = [process.communicate(timeout=60)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    assert tables(empty_database_url) > TABLES


def test_two_threads_at_once_take_turns(empty_database_url):
    failures = []

    def run():
        try:
            migrate(empty_database_url)
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is shown
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failures == []
    assert tables(empty_database_url) > TABLES


def test_a_migration_waits_for_the_one_before_it(empty_database_url):
    lock = "SELECT pg_advisory_lock(6111202600001)"
    waiting = "SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    thread = threading.Thread(target=migrate, args=[empty_database_url])
    with psycopg.connect(empty_database_url, autocommit=True) as other:
        other.execute(lock)
        thread.start()
        eventually(lambda: rows(empty_database_url, waiting))
        assert tables(empty_database_url) == set()
    thread.join(30)
    assert tables(empty_database_url) > TABLES


@pytest.fixture
def impatient(monkeypatch):
    """Shorten how long a migration waits for agents, as alembic.ini may."""
    made = migrations._config

    def config(url):
        found = made(url)
        found.set_main_option("lock_timeout", "200ms")
        return found

    monkeypatch.setattr(migrations, "_config", config)


@pytest.mark.usefixtures("impatient")
def test_a_lock_that_an_agent_holds_ends_it_soon_and_leaves_nothing_behind(database_url):
    before = shape(database_url)
    with psycopg.connect(database_url) as agent:
        agent.execute("SELECT FROM messages")
        with pytest.raises(StoreUnavailableError, match="lock timeout") as raised:
            downgrade(database_url, "base")
        agent.rollback()
        assert shape(database_url) == before
        # With the error still at hand nothing of the failed try keeps the next one waiting.
        assert raised.value.__cause__ is not None
        locks = "SELECT FROM pg_locks WHERE locktype = 'advisory'"
        eventually(lambda: rows(database_url, locks) == [], within=5)
    downgrade(database_url, "base")
    assert tables(database_url) == {"alembic_version"}


def test_a_newer_database_is_said_to_be_one(database_url):
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    for run in (migrate, lambda url: downgrade(url, "base")):
        with pytest.raises(SchemaError, match="9999"):
            run(database_url)
    assert tables(database_url) > TABLES


@pytest.mark.parametrize("url", ["postgresql://u:s3cr%40et@127.0.0.1:1/d"])
def test_a_server_that_is_not_there_is_said_without_the_password(url):
    for run in (migrate, lambda u: downgrade(u, "base")):
        with pytest.raises(StoreUnavailableError, match="Connection refused") as raised:
            run(url)
        assert "s3cr" not in str(raised.value)


def test_what_is_no_url_is_a_wrong_setting():
    with pytest.raises(ConfigurationError):
        migrate("sqlite:///x")


def test_a_password_may_have_any_character(empty_database_url, postgres):
    """Percent signs would be interpolated by a configuration, an @ would end the password."""
    password = "50%@ho/me:100%(here)s%%?#&=é ünï"
    url = make_url(empty_database_url)
    # The role of the tests may create no other; its own password is changed, and put back.
    own = url.password
    change = psycopg.sql.SQL("ALTER ROLE {} PASSWORD {}")

    def set_password(connection, new):
        connection.execute(
            change.format(psycopg.sql.Identifier(url.username), psycopg.sql.Literal(new))
        )

    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        set_password(connection, password)
        try:
            encoded = (
                f"postgresql://{url.username}:{quote(password, safe='')}@{url.host}:{url.port}"
            )
            migrate(f"{encoded}/{url.database}")
            database = Database(f"{encoded}/{url.database}")
            assert current(database) == head()
            database.close()
        finally:
            set_password(connection, own)


# From the command line, and from what is installed.


def alembic(*arguments, env=None, cwd=ROOT):
    return subprocess.run(
        [sys.executable, "-m", "alembic", *arguments],
        cwd=cwd, env={"PATH": "", **(env or {})}, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip


def test_offline_it_writes_sql_that_makes_the_same(empty_database_url, declared):
    done = alembic("upgrade", "head", "--sql")
    assert done.returncode == 0, done.stderr
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        connection.execute(done.stdout)
    assert shape(empty_database_url) == declared
    database = Database(empty_database_url)
    assert current(database) == head()
    database.close()


def test_offline_it_goes_down_too():
    done = alembic("downgrade", f"{head()}:base", "--sql")
    assert done.returncode == 0, done.stderr
    assert all(f"DROP TABLE {table};" in done.stdout for table in TABLES)


def test_the_alembic_command_finds_the_database_by_our_variable(empty_database_url):
    done = alembic("upgrade", "head", env={"AFTERTURN_DATABASE_URL": empty_database_url})
    assert done.returncode == 0, done.stderr
    done = alembic("check", env={"AFTERTURN_DATABASE_URL": empty_database_url})
    assert (done.returncode, "No new upgrade operations" in done.stdout) == (0, True), done.stderr


def test_the_alembic_command_without_a_database_says_what_to_set():
    done = alembic("upgrade", "head")
    assert done.returncode != 0
    assert "AFTERTURN_DATABASE_URL" in done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build the wheel with the build backend that is at hand, without an index."""
    folder = tmp_path_factory.mktemp("wheel")
    pytest.importorskip("hatchling", reason="the build backend is not installed")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)],
        cwd=ROOT, check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_brings_its_migrations_along(wheel, tmp_path, empty_database_url):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        archive.extractall(tmp_path / "site")
    folder = "afterturn_models/migrations"
    assert {f"{folder}/env.py", f"{folder}/script.py.mako"} <= names
    assert f"{folder}/versions/0001_first_schema.py" in names
    assert f"{folder}/versions/0003_recall.py" in names
    assert f"{folder}/versions/0004_identity.py" in names
    assert not any("__pycache__" in name or name.startswith("alembic/") for name in names)
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path / 'site')!r})\n"
        "from afterturn_models import migrate as m\n"
        f"assert m.__file__.startswith({str(tmp_path)!r}), m.__file__\n"
        f"assert str(m._scripts()).startswith({str(tmp_path)!r})\n"
        "m.migrate(sys.argv[1])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, empty_database_url],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert tables(empty_database_url) > TABLES
