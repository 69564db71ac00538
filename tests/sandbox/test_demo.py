"""`afterturn demo` as a real process, on a machine that is set up for something else entirely."""

import json
import signal

import pytest

from afterturn_sandbox.honcho.control import Control
from support.stacks import Installation, finish, send
from support.waiting import eventually


@pytest.fixture
def place(tmp_path):
    """Give a machine whose settings would all lead astray, and a folder for temporary files."""
    nowhere = "127.0.0.1:9"
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    found = Installation(
        tmp_path,
        TMPDIR=str(temporary),
        AFTERTURN_DATABASE_URL=f"postgresql://{nowhere}/theirs",
        AFTERTURN_REDIS_URL=f"redis://{nowhere}/0",
        AFTERTURN_MEMORY_MODE="local",
        AFTERTURN_PEER_NAME="somebody",
        HONCHO_URL=f"http://{nowhere}",
        HONCHO_API_KEY="not-for-the-demo",
        HONCHO_WORKSPACE_ID="theirs",
        CELERY_BROKER_URL=f"redis://{nowhere}/0",
        CELERY_RESULT_BACKEND=f"redis://{nowhere}/0",
        FLOWER_UNAUTHENTICATED_API="true",
        PGSSLMODE="require",
        http_proxy=f"http://{nowhere}",
        HTTP_PROXY=f"http://{nowhere}",
    )
    shared = tmp_path / ".honcho"
    shared.mkdir()
    (shared / "config.json").write_text(
        json.dumps({"apiKey": "not-for-the-demo", "baseUrl": f"http://{nowhere}", "workspace": "x"})
    )
    yield found
    found.end_all()


def remains(place):
    return sorted(path.name for path in (place.folder / "tmp").glob("afterturn-demo-*"))


def test_every_message_is_there_once_and_nothing_stays_behind(place):
    done = place.run("demo", "--json", "--pace", "0.2", "--latency-ms", "20")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    names = ("captured", "stored", "duplicated", "lost", "out_of_order", "spooled")
    assert [figures[name] for name in names] == [112, 112, 0, 0, 0, 0]
    assert figures["inline_turns"] == 12
    assert 0 <= figures["prefetch_hits"] <= figures["warm_turns"] == figures["turns"] - 8
    assert "Traceback" not in done.stderr
    place.ends()
    assert remains(place) == []
    assert not place.home.exists()


def test_an_interrupted_demo_leaves_nothing(place):
    with place.foreground("demo", "--pace", "5") as process:
        (announced,) = eventually(lambda: [*place.folder.glob("tmp/*/stack.json")], within=60)
        honcho = Control(json.loads(announced.read_text())["honchoUrl"])
        eventually(lambda: honcho.counters()["messages_stored"], within=30)
        send(process, signal.SIGINT)
        status, said = finish(process)
        assert status == 130, said
        assert "Traceback" not in said
        place.ends()
        assert remains(place) == []


def test_bad_dialogues_end_it_before_anything_is_started(place):
    path = place.folder / "mine.jsonl"
    path.write_text('{"messages": [{"role": "robot", "content": "beep"}]}\n')
    done = place.run("demo", "--dialogues", str(path))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"afterturn: {path}, line 1: ")
    assert len(done.stderr.splitlines()) == 1
    assert remains(place) == []
