import json
import os
import re
import signal
import subprocess
import sys
import threading
import time

import pytest

from afterturn_sandbox.errors import SandboxError
from afterturn_sandbox.identity import ProcessId
from afterturn_sandbox.processes import EventKind, Supervised, Supervisor, stop_supervised

# Says when it is up by a file, and when it ends in good order by another.
CHILD = """
import os, pathlib, signal, sys, time
place = pathlib.Path(sys.argv[1])
def leave(*_):
    with (place.parent / "order").open("a") as order: order.write(place.name + "\\n")
    sys.exit(0)
signal.signal(signal.SIGTERM, leave)
print("ERROR in", place.name, flush=True)
place.write_text(str(os.getpid()))
while True: time.sleep(60)
"""
STUBBORN = """
import os, pathlib, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
helper = subprocess.Popen(["sleep", "600"])
pathlib.Path(sys.argv[1]).write_text(f"{helper.pid}")
while True: time.sleep(60)
"""
PARENT = """
import pathlib, signal, sys
from afterturn_sandbox.processes import Supervised, Supervisor
folder = pathlib.Path(sys.argv[1])
up = folder / "a"
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
with Supervisor(folder / "state.json") as supervisor:
    supervisor.start(Supervised("a", [sys.executable, "-c", sys.argv[2], str(up)],
                                folder / "a.log", up.exists))
    print("started", flush=True)
    signal.pause()
"""


def child(folder, name, program=CHILD, **more):
    up = folder / name
    argv = [sys.executable, "-c", program, str(up)]
    return Supervised(name, argv, folder / f"{name}.log", up.exists, **more)


def eventually(condition, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.02)
    return found


@pytest.fixture
def events():
    return []


@pytest.fixture
def supervisor(tmp_path, events):
    with Supervisor(tmp_path / "state.json", events.append) as supervisor:
        yield supervisor


def kinds(events, name):
    return [event.kind for event in events if event.name == name]


def test_a_child_that_dies_is_started_again_and_that_is_reported(supervisor, events, tmp_path):
    supervisor.start(child(tmp_path, "a"))
    first = supervisor.pids()["a"]
    (tmp_path / "a").unlink()
    os.kill(first, signal.SIGKILL)
    eventually(lambda: kinds(events, "a")[-1] is EventKind.READY and len(kinds(events, "a")) > 2)
    assert kinds(events, "a") == [
        EventKind.STARTING, EventKind.READY, EventKind.DIED, EventKind.RESTARTING, EventKind.READY,
    ]  # fmt: skip
    assert supervisor.pids()["a"] != first
    assert "exit status -9" in next(e.detail for e in events if e.kind is EventKind.DIED)


def test_the_wait_before_a_restart_doubles(supervisor, events, tmp_path):
    spec = child(tmp_path, "a")
    supervisor.start(spec)
    deaths = []
    for count in (1, 2):
        eventually(lambda: kinds(events, "a")[-1] is EventKind.READY)
        os.kill(supervisor.pids()["a"], signal.SIGKILL)
        eventually(lambda wanted=count: kinds(events, "a").count(EventKind.DIED) == wanted)
        deaths = [event.detail for event in events if event.kind is EventKind.DIED]
    assert [re.search(r"in ([\d.]+) s", death)[1] for death in deaths] == ["0.5", "1"]


def test_what_a_dead_child_left_in_its_group_ends_before_the_restart(supervisor, events, tmp_path):
    supervisor.start(child(tmp_path, "a", STUBBORN))
    helper = ProcessId.of(int(eventually((tmp_path / "a").read_text)))
    os.kill(supervisor.pids()["a"], signal.SIGKILL)
    eventually(lambda: EventKind.RESTARTING in kinds(events, "a"))
    assert not helper.alive()


def test_children_stop_in_reverse_order_each_in_good_order(tmp_path):
    with Supervisor(tmp_path / "state.json") as supervisor:
        for name in "abc":
            supervisor.start(child(tmp_path, name))
        running = [ProcessId.of(pid) for pid in supervisor.pids().values()]
    assert (tmp_path / "order").read_text().split() == ["c", "b", "a"]
    assert not any(process.alive() for process in running)
    supervisor.stop()


def test_a_child_that_ignores_sigterm_is_killed_with_its_helpers(tmp_path):
    with Supervisor(tmp_path / "state.json") as supervisor:
        supervisor.start(child(tmp_path, "a", STUBBORN, grace=0.2))
        leader = ProcessId.of(supervisor.pids()["a"])
        helper = ProcessId.of(int(eventually((tmp_path / "a").read_text)))
    assert not leader.alive()
    assert not helper.alive()


def test_a_child_that_exits_at_its_start_raises_with_its_last_words(supervisor, tmp_path):
    with pytest.raises(SandboxError, match=r"(?s)status 3;.*what went wrong"):
        supervisor.start(child(tmp_path, "a", "print('what went wrong'); raise SystemExit(3)"))
    assert supervisor.pids() == {}


def test_a_child_that_never_answers_is_ended(supervisor, tmp_path):
    spec = child(tmp_path, "a", "import time; time.sleep(600)", ready_within=0.3)
    with pytest.raises(SandboxError, match="gave no answer"):
        supervisor.start(spec)
    assert supervisor.pids() == {}


def test_a_program_that_is_not_there_is_a_sandbox_error(supervisor, tmp_path):
    spec = Supervised("a", ["/no/such/program"], tmp_path / "a.log", lambda: True)
    with pytest.raises(SandboxError, match="a cannot start"):
        supervisor.start(spec)


def test_lines_that_tell_of_problems_are_reported(supervisor, events, tmp_path):
    supervisor.start(child(tmp_path, "a", problems=re.compile("ERROR")))
    problem = eventually(lambda: [e for e in events if e.kind is EventKind.PROBLEM])[0]
    assert problem.detail == "ERROR in a"


def test_a_display_that_fails_does_not_end_the_watch(tmp_path):
    def fail(event):
        raise RuntimeError(event.name)

    with Supervisor(tmp_path / "state.json", fail) as supervisor:
        supervisor.start(child(tmp_path, "a"))
        first = supervisor.pids()["a"]
        os.kill(first, signal.SIGKILL)
        eventually(lambda: supervisor.pids().get("a") not in {None, first})


def test_a_stop_from_another_thread_ends_a_start_that_waits(tmp_path):
    supervisor = Supervisor(tmp_path / "state.json")
    threading.Timer(0.3, supervisor.stop).start()
    with pytest.raises(SandboxError, match="stopping"):
        supervisor.start(child(tmp_path, "a", "import time; time.sleep(600)"))
    supervisor.stop()


def test_a_log_beyond_its_limit_is_put_aside_at_the_start(supervisor, tmp_path):
    (tmp_path / "a.log").write_bytes(b"x" * 5_000_001)
    supervisor.start(child(tmp_path, "a"))
    assert (tmp_path / "a.log").stat().st_size < 1_000
    assert (tmp_path / "a.log.1").stat().st_size == 5_000_001


def parent_of(folder, program=CHILD):
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, folder, program], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout.readline() == "started\n"
    return parent


def recorded(folder):
    entries = json.loads((folder / "state.json").read_text())["processes"]
    return [ProcessId(entry["pid"], entry["began"]) for entry in entries]


def test_the_next_start_ends_what_kill_9_of_a_supervisor_left(tmp_path):
    with parent_of(tmp_path) as parent:
        parent.kill()
    (orphan,) = recorded(tmp_path)
    assert orphan.alive()
    with Supervisor(tmp_path / "state.json"):
        assert not orphan.alive()
    assert (tmp_path / "order").read_text() == "a\n"


def test_a_process_that_another_started_is_left_alone(tmp_path):
    with subprocess.Popen(["sleep", "600"]) as stranger:
        # The number of a former child, given to a stranger since.
        entry = {"name": "a", "pid": stranger.pid, "began": "an earlier boot:1"}
        state = {"token": "0" * 32, "processes": [entry]}
        (tmp_path / "state.json").write_text(json.dumps(state))
        with Supervisor(tmp_path / "state.json"):
            assert stranger.poll() is None
        stranger.kill()


def test_an_orphan_that_was_never_written_down_is_known_by_its_mark(tmp_path):
    with parent_of(tmp_path) as parent:
        parent.kill()
    (orphan,) = recorded(tmp_path)
    state = json.loads((tmp_path / "state.json").read_text())
    (tmp_path / "state.json").write_text(json.dumps({**state, "processes": []}))
    with Supervisor(tmp_path / "state.json"):
        assert not orphan.alive()


def test_a_second_supervisor_is_told_who_holds_the_state(supervisor, tmp_path):
    with pytest.raises(SandboxError, match=f"held by process {os.getpid()} "):
        Supervisor(tmp_path / "state.json").open()


def test_stop_supervised_stops_a_living_supervisor_and_what_a_killed_one_left(tmp_path):
    assert not stop_supervised(tmp_path / "state.json")
    with parent_of(tmp_path) as parent:
        assert stop_supervised(tmp_path / "state.json")
        assert parent.wait(10) == 0
    assert (tmp_path / "order").read_text() == "a\n"
    (tmp_path / "a").unlink()
    with parent_of(tmp_path) as parent:
        parent.kill()
    (orphan,) = recorded(tmp_path)
    assert stop_supervised(tmp_path / "state.json")
    assert not orphan.alive()
