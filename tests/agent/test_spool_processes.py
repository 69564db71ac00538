"""The durable spool among processes: nothing is lost or torn, whoever is killed and when."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import pytest

from afterturn.spool import Spool
from support.spools import drained, make_turn, segments


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "state" / "spool"


@pytest.fixture
def spool(folder):
    return Spool(folder)


PRELUDE = """
import os, resource, signal, sys
from pathlib import Path
from uuid import uuid4
from afterturn.spool import Spool, SpoolError, SpooledTurn
from afterturn_models.store.capture import WritePolicy
from afterturn_models.store.sessions import SessionSpec
from afterturn_models.values import NewMessage, Role
def make_turn(who, number, filler=""):
    rows = (NewMessage(uuid4(), Role.USER, "ann", f"{who} {number}"),)
    if filler:
        rows += (NewMessage(uuid4(), Role.ASSISTANT, "bot", filler),)
    return SpooledTurn(SessionSpec("w", who, "ann", "bot"), "bot", uuid4(), rows, WritePolicy())
spool = Spool(Path(sys.argv[1]), patience=60)
"""


@contextmanager
def process(script, folder, *arguments):
    """Run `script` beside a spool; it is killed at the end where it still runs."""
    command = [sys.executable, "-c", PRELUDE + script, str(folder), *map(str, arguments)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as running:
        try:
            yield running
        finally:
            running.kill()


def run(script, folder, *arguments, keep=None):
    """Give what `script` prints; or what `keep` gives, asked when it died and its child lives."""
    with process(script, folder, *arguments) as running:
        if keep is None:
            return running.communicate(timeout=60)[0]
        running.stdout.readline()
        assert running.wait(60) == -signal.SIGKILL
        return keep()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
def test_missing_permission_is_told_in_a_sentence(request):
    # Not in pytest's own folder, which is open to root alone: others must find this one.
    open_to_all = Path(tempfile.mkdtemp())
    request.addfinalizer(lambda: shutil.rmtree(open_to_all))
    open_to_all.chmod(0o711)
    folder = open_to_all / "spool"
    Spool(folder).append(make_turn("a", 0))
    told = run(
        """
os.setgroups([]); os.setgid(65534); os.setuid(65534)
print(spool.pending())
try: spool.append(make_turn("a", 1))
except SpoolError as error: print(error)
""",
        folder,
    )
    assert told == f"False\nThe spool {folder} cannot take a turn: permission is denied.\n"
    assert drained(Spool(folder)) == [("a", 0)]


def test_a_child_that_is_forked_holds_no_lock_of_its_parent(folder):
    """A parent is killed in its drain, its forked child lives on: another can drain at once."""
    spool = Spool(folder)
    spool.append(make_turn("a", 0))
    told = run(
        """
def deliver(turn):
    child = os.fork()
    if child == 0:
        sys.stdin.read()  # until the test has seen that the lock is free
        os._exit(0)
    print(child, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
spool.drain(deliver)
""",
        folder,
        keep=lambda: drained(spool),
    )
    assert told == [("a", 0)]


WRITE = """
sys.stdin.readline()
for number in range(int(sys.argv[3])):
    spool.append(make_turn(sys.argv[2], number))
"""
DRAIN = """
print("ready", flush=True)
def deliver(turn):
    print(turn.rows[0].content, flush=True)
written = False
while True:
    spool.drain(deliver)
    if written and not spool.pending():
        break
    written = written or Path(sys.argv[2]).exists()
"""


def test_four_processes_append_while_two_drain(folder, tmp_path):
    over = tmp_path / "over"
    logs = [tmp_path / "one", tmp_path / "two"]
    drainers = []
    for log in logs:
        with log.open("w") as out:
            command = [sys.executable, "-c", PRELUDE + DRAIN, str(folder), str(over)]
            drainers.append(subprocess.Popen(command, stdout=out))
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", PRELUDE + WRITE, str(folder), who, "200"],
            stdin=subprocess.PIPE, text=True,
        )
        for who in "abcd"
    ]  # fmt: skip
    try:
        for writer in writers:
            writer.communicate("go\n", timeout=120)
        assert [writer.returncode for writer in writers] == [0] * 4
        over.touch()
        assert [drainer.wait(60) for drainer in drainers] == [0, 0]
    finally:
        for each in writers + drainers:
            each.kill()
            each.wait()
    seen = [log.read_text().splitlines()[1:] for log in logs]
    counts = Counter(line for lines in seen for line in lines)
    assert counts == Counter({f"{who} {number}": 1 for who in "abcd" for number in range(200)})
    for lines in seen:
        for who in "abcd":
            mine = [int(line.split()[1]) for line in lines if line.startswith(who)]
            assert mine == sorted(mine)
    assert list(folder.glob("*.jsonl")) == list(folder.glob("*.damaged")) == []


KILLED_DRAIN = """
seen = 0
def deliver(turn):
    global seen
    print(turn.rows[0].content, flush=True)
    seen += 1
    if seen == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
spool.drain(deliver)
"""


def test_a_drain_killed_half_way_loses_nothing(spool, folder):
    for number in range(30):
        spool.append(make_turn("a", number))
    seen: list[str] = []
    for more, after in enumerate((1, 7, 5)):
        seen += run(KILLED_DRAIN, folder, after).splitlines()
        spool.append(make_turn("a", 30 + more))
    found = [int(line.split()[1]) for line in seen]
    found += [number for _, number in drained(spool)]
    assert list(dict.fromkeys(found)) == sorted(set(found))
    assert set(found) == set(range(33))
    # Only the turn being delivered at each kill comes again.
    assert sorted((Counter(found) - Counter(set(found))).values()) == [1, 1, 1]


KILLED_APPEND = """
for number in range(10**6):
    spool.append(make_turn(sys.argv[2], number, "x" * int(sys.argv[3])))
    print(number, flush=True)
"""


def test_appends_killed_at_any_moment_lose_nothing_that_was_acknowledged(spool, folder):
    acknowledged: dict[str, int] = {}
    for number in range(6):
        who = f"w{number}"
        with process(KILLED_APPEND, folder, who, 2_000_000) as running:
            for _ in range(1 + number % 2):
                running.stdout.readline()
            # Somewhere within the next append, each time somewhere else: any moment will do.
            time.sleep(number * 0.008)
            running.kill()
            rest = running.stdout.read().splitlines()
        acknowledged[who] = 1 + number % 2 + len(rest)
    found = drained(spool)
    for who, count in acknowledged.items():
        mine = [number for name, number in found if name == who]
        # The one being appended at the kill may be there or not; never half.
        assert mine in (list(range(count)), list(range(count + 1)))
    assert not spool.pending()


LIMITED = """
spool.append(make_turn("a", 0))
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
"""
FILL = """
for number in range(1, 200):
    try:
        spool.append(make_turn("a", number, "x" * 3000))
    except SpoolError as error:
        print(number, error)
        break
else:
    raise SystemExit("the disk was never full")
for left in range(number, 200):
    try: spool.append(make_turn("a", left))
    except SpoolError: break
print(left)
"""


def test_a_limit_on_files_cuts_nothing_in_half(spool, folder):
    number, told, left = after_full(run(LIMITED + FILL, folder))
    assert told.endswith("cannot take a turn: this process may not write a file that large.")
    assert number == 6
    assert segments(folder)[0].read_bytes().endswith(b"}\n")
    assert drained(spool) == [("a", number) for number in range(left)]
    assert spool.stats().damaged == 0


def after_full(text):
    first, left = text.splitlines()
    number, _, told = first.partition(" ")
    return int(number), told, int(left)


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs util-linux' unshare")
def test_a_full_disk_cuts_nothing_in_half(tmp_path):
    """On a real file system of 128 KiB, mounted where only this test's processes see it."""
    small = tmp_path / "small"
    small.mkdir()
    mount = f"mount -t tmpfs -o size=128k,mode=700 tmpfs {small}"
    private = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-ec"]
    if subprocess.run([*private, mount], capture_output=True, check=False).returncode:
        pytest.skip("mounting is not allowed here")
    script = tmp_path / "script.py"
    script.write_text(
        PRELUDE
        + FILL
        + """
print(spool.stats().damaged)
found = []
spool.drain(lambda turn: found.append(turn.rows[0].content))
print(found == [f"a {n}" for n in range(1, left)], spool.pending(), spool.stats().damaged)
spool.append(make_turn("a", 0))
"""
    )
    done = subprocess.run(
        [*private, f"{mount}; {shlex.quote(sys.executable)} {script} {small}/spool"],
        capture_output=True,
        text=True,
        check=True,
    )
    first, left, *rest = done.stdout.splitlines()
    assert after_full(f"{first}\n{left}")[1].endswith("cannot take a turn: the disk is full.")
    assert rest == ["0", "True False 0"]
