"""`afterturn resync` as a person runs it: real workers, a real Honcho stand-in, real damage."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys

import pytest
from sqlalchemy import text

from afterturn import Memory
from afterturn_worker.honcho.client import HonchoClient
from support.waiting import eventually


def run(*words, check=None):
    found = subprocess.run(
        [sys.executable, "-m", "afterturn", *words],
        check=False,
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert "Traceback" not in found.stderr, found.stderr
    if check is not None:
        assert found.returncode == check, found.stdout + found.stderr
    return found


def resync(*words, check=None):
    return json.loads(run("resync", *words, "--json", check=check).stdout)


@pytest.fixture
def talk(stack_env):
    """Capture `turns` turns in a session called `name`."""

    def hold(name, turns, start=1):
        with Memory.open() as memory:
            session = memory.session(name=name)
            for number in range(start, start + turns):
                session.begin_turn(f"question {number}").end(f"answer {number}")

    return hold


@pytest.fixture
def settle(database):
    """Call everything captured settled, although nothing was sent: a cursor that ran ahead."""

    def run_ahead():
        with database.statement() as connection:
            connection.execute(
                text(
                    "UPDATE cursors c SET last_saved_index = s.next_index - 1"
                    " FROM sessions s WHERE s.id = c.session_id"
                )
            )

    return run_ahead


@pytest.fixture
def client(honcho):
    opened = HonchoClient(honcho.url, None)
    yield opened
    opened.close()


def rows_of(database, name):
    from afterturn_models.store.messages import outgoing

    with database.statement() as connection:
        session = connection.execute(
            text("SELECT id FROM sessions WHERE key = :name"), {"name": name}
        ).scalar_one()
        return outgoing(connection, session, after=0, upto=10**6, limit=10**6)


def contents(honcho, workspace, session):
    return [message["content"] for message in honcho.control.messages(workspace, session)]


def test_a_whole_history_is_found_whole(talk, start_worker, honcho, workspace):
    talk("whole", 120)
    start_worker().ready()
    eventually(lambda: len(contents(honcho, workspace, "whole")) == 240)
    eventually(lambda: json.loads(run("status", "--json").stdout)["backlog"]["unsent"] == 0)
    report = resync("--session", "whole", check=0)
    assert (report["checked"], report["missing"], report["doubled"], report["misplaced"]) == (
        240, 0, 0, 0,
    )  # fmt: skip


def test_what_is_missing_doubled_or_misplaced_is_found(
    talk, settle, database, client, start_worker, workspace
):
    talk("broken", 100)
    settle()
    rows = list(rows_of(database, "broken"))
    # Rows 11-12 are missing, 51 and 52 stand there twice, 150 stands behind 151; across windows
    # as well: row 1 comes after row 200.
    sent = [row for row in rows if row.index not in {1, 11, 12}]
    at = next(place for place, row in enumerate(sent) if row.index == 150)
    sent[at], sent[at + 1] = sent[at + 1], sent[at]
    sent = [*sent, *(row for row in rows if row.index in {51, 52}), rows[0]]
    for start in range(0, len(sent), 100):
        client.send(workspace, "broken", sent[start : start + 100], deadline=10)
    start_worker().ready()
    report = resync("--session", "broken", check=1)
    assert (report["missing"], report["doubled"]) == (2, 2)
    assert report["misplaced"] >= 2
    named = report["details"][0]["findings"]
    assert named["missing_rows"] == [str(rows[10].id), str(rows[11].id)]
    assert set(named["doubled_rows"]) == {str(rows[50].id), str(rows[51].id)}


def test_repair_sends_what_is_missing_once_with_its_time_and_leaves_local_rows_alone(
    talk, settle, database, honcho, client, start_worker, workspace
):
    talk("gappy", 130)
    settle()
    rows = list(rows_of(database, "gappy"))
    with database.statement() as connection:
        connection.execute(
            text("UPDATE messages SET delivery = 'local', reason = 'mode' WHERE index = 7")
        )
    client.send(workspace, "gappy", rows[:5], deadline=10)
    start_worker().ready()
    assert resync("--session", "gappy", "--repair", check=0)["missing"] == 254
    stored = honcho.control.messages(workspace, "gappy")
    assert sorted(message["metadata"]["afterturn"] for message in stored) == sorted(
        str(row.id) for row in rows if row.index != 7
    )
    by_id = {message["metadata"]["afterturn"]: message for message in stored}
    said = int(rows[200].at.timestamp() * 1e6)
    assert abs(by_id[str(rows[200].id)]["created_at_us"] - said) <= 1
    again = resync("--session", "gappy", check=0)
    assert (again["missing"], again["doubled"], again["misplaced"]) == (0, 0, 0)


def test_a_copy_goes_on_where_the_last_one_ended_and_doubles_nothing(
    talk, honcho, start_worker, workspace
):
    elsewhere = f"{workspace}-copy"
    targets = json.dumps({"backup": {"honchoUrl": honcho.url, "workspace": elsewhere}})
    talk("copied", 60)
    start_worker(env={"AFTERTURN_TARGETS": targets}).ready()
    resync("--all", "--to", "backup", check=0)
    resync("--all", "--to", "backup", check=0)
    talk("copied", 5, start=61)
    resync("--all", "--to", "backup", check=0)
    expected = [f"{kind} {n}" for n in range(1, 66) for kind in ("question", "answer")]
    assert contents(honcho, elsewhere, "copied") == expected


def test_a_copy_over_lost_answers_and_a_killed_worker_doubles_nothing(
    talk, honcho, start_worker, workspace
):
    elsewhere = f"{workspace}-copy"
    env = {
        "AFTERTURN_TARGETS": json.dumps(
            {"backup": {"honchoUrl": honcho.url, "workspace": elsewhere}}
        )
    }
    talk("copied", 300)
    first = start_worker("first", env=env).ready()
    eventually(lambda: len(contents(honcho, workspace, "copied")) == 600)
    path = f".*/{elsewhere}/.*/messages"
    honcho.control.add_rule("lose_response", method="POST", path=path, count=2)
    honcho.control.add_rule("hang", method="POST", path=path, skip=3, count=1, commit=True)
    job = run("resync", "--all", "--to", "backup", "--detach", check=0).stdout.strip()
    eventually(lambda: len(contents(honcho, elsewhere, "copied")) >= 400, within=40)
    first.kill()
    start_worker("second", env=env).ready()
    resync("--job", job, check=0)
    expected = [f"{kind} {n}" for n in range(1, 301) for kind in ("question", "answer")]
    assert contents(honcho, elsewhere, "copied") == expected


def test_a_target_that_workers_do_not_know_is_said_and_a_cancelled_job_ends(talk, start_worker):
    talk("one", 1)
    start_worker().ready()
    job = run("resync", "--all", "--to", "nowhere", "--detach", check=0).stdout.strip()
    eventually(lambda: "no target is called 'nowhere'" in run("resync", "--list").stdout)
    assert "under way" in run("resync", "--all", "--to", "nowhere", check=1).stderr
    run("resync", "--cancel", job, check=0)
    assert resync("--job", job, check=0)["state"] == "cancelled"


def test_ctrl_c_leaves_a_job_running_that_can_be_watched_again(talk, start_worker):
    talk("long", 3)
    command = subprocess.Popen(
        [sys.executable, "-m", "afterturn", "resync", "--all", "--repair"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    eventually(lambda: "running" in run("resync", "--list").stdout)
    # The command says so first where no worker runs: by then it watches.
    eventually(lambda: "begins when one does" in command.stderr.readline())
    command.send_signal(signal.SIGINT)
    said = command.communicate(timeout=30)[1]
    assert command.returncode == 130
    job = re.search(r"resync\s+--job\s+([0-9a-f-]{36})", said).group(1)
    assert "Traceback" not in said
    start_worker().ready()
    assert resync("--job", job, check=0)["state"] == "done"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "say which sessions"),
        (("--all", "--session", "x"), "say which sessions"),
        (("--session", "x"), "there is no such session"),
        (("--all", "--verify", "--repair"), "choose one of"),
        (("--job", "x"), "is no job"),
        (("--cancel", "0b0c7d7e-0000-4000-8000-000000000000"), "does not run"),
    ],
)
def test_wrong_usage_is_one_sentence(stack_env, words, sentence):
    found = run("resync", *words, check=2)
    assert sentence in found.stderr
    assert len(found.stderr.strip().splitlines()) == 1
