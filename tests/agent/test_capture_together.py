"""Capture by several threads and processes at once: no gap, no loss, and each sees the others."""

from __future__ import annotations

import threading


def test_two_threads_on_one_session_leave_no_gap(memory, look):
    session = memory.session(name="talk")

    def speak(who):
        for number in range(15):
            session.begin_turn(f"{who} {number}", author=who).end(f"re {who} {number}")

    threads = [threading.Thread(target=speak, args=(who,)) for who in ("ann", "bob", "cid")]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    rows = look.rows("talk")
    assert [row["index"] for row in rows] == list(range(1, 91))
    for who in ("ann", "bob", "cid"):
        for prefix in (f"{who} ", f"re {who} "):
            said = [r["content"] for r in rows if r["content"].startswith(prefix)]
            assert said == [f"{prefix}{number}" for number in range(15)]


def test_two_processes_on_one_session_leave_no_gap_and_see_each_other(agent_env, run, look):
    script = """
import sys
from afterturn import Memory
with Memory.open() as memory:
    session = memory.session(name="talk")
    for number in range(20):
        session.begin_turn(f"{sys.argv[1]} {number}").end("yes")
        session.history(5)
    print(len({m.content for m in session.history(500) if m.role == "user"}))
    sys.stdin.read()
"""
    results = []
    threads = [
        threading.Thread(target=lambda w=who: results.append(run("-c", script, w, input="")))
        for who in ("ann", "bob")
    ]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert all(r.returncode == 0 for r in results), results
    assert max(int(r.stdout) for r in results) == 40
    assert [row["index"] for row in look.rows("talk")] == list(range(1, 81))
    assert [row["turn"] for row in look.rows("talk")[::2]] == list(range(1, 41))
