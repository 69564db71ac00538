"""The configured search command: run without a shell, bounded, and a sentence where it fails."""

from __future__ import annotations

import json
import shlex
import stat
import sys
import time
from pathlib import Path

import psutil
import pytest

from afterturn.tools.qmd import Qmd, QmdError
from support.waiting import eventually

HEAD = "import json, os, sys, time\n"


@pytest.fixture
def command(tmp_path: Path):
    """Give a function that makes a command of a Python program."""

    def make(program: str, *options: str) -> str:
        path = tmp_path / "a command.py"
        # Through a shell: a line of `#!` takes no path with a space in it.
        path.with_suffix(".real").write_text(f"{HEAD}{program}")
        python, real = shlex.quote(sys.executable), shlex.quote(str(path.with_suffix(".real")))
        path.write_text(f'#!/bin/sh\nexec {python} {real} "$@"\n')
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return shlex.join([str(path), *options])

    return make


ECHO = "print(json.dumps([{'file': 'qmd://notes/a.md', 'score': 0.91234, 'snippet': json.dumps(sys.argv[1:])}]))"


def argv(passages: list[dict]) -> list[str]:
    said: list[str] = json.loads(passages[0]["snippet"])
    return said


def test_a_search_is_one_call_with_the_query_as_one_word(command) -> None:
    query = "--help; rm -rf $HOME `id` 'x\" \n|"
    found = Qmd(command(ECHO), 10).search(query, 3)
    assert argv(found) == ["search", "--json", "-n", "3", "--", query]
    assert found[0]["path"] == "qmd://notes/a.md"
    assert found[0]["score"] == 0.912


@pytest.mark.parametrize("how", ["search", "vsearch", "query"])
def test_the_last_word_may_say_how_to_search(command, how) -> None:
    qmd = Qmd(command(ECHO, "--index", "two words", how), 10)
    assert argv(qmd.search("tea", 2))[:4] == ["--index", "two words", how, "--json"]


def test_a_document_is_got_by_its_lines(command) -> None:
    qmd = Qmd(command("print(sys.argv[1:])"), 10)
    assert qmd.get("qmd://a b.md", 7, 20).strip() == str(
        ["get", "--from", "7", "-l", "20", "--", "qmd://a b.md"]
    )
    assert "-l" not in qmd.get("-l", 1, None).split("--")[1]


@pytest.mark.parametrize("said", ["", "[]", "[7, null]"])
def test_nothing_found_is_nothing_found(command, said) -> None:
    assert Qmd(command(f"print({said!r})"), 10).search("tea", 3) == []


def test_odd_passages_are_shown_as_far_as_they_go(command) -> None:
    program = "print(json.dumps([{'docid': '#abc', 'title': 'Tea'}, {'score': 'high'}, {}]))"
    found = Qmd(command(program), 10).search("tea", 2)
    assert found == [
        {"path": "#abc", "score": 0, "snippet": "Tea"},
        {"path": "", "score": 0, "snippet": ""},
    ]


@pytest.mark.parametrize(
    ("program", "sentence"),
    [
        ("sys.exit('no index; run qmd update\\nmore')", "failed: no index; run qmd update$"),
        ("sys.exit(3)", "failed: exit status 3"),
        ("print('nonsense')", "no JSON"),
        ("print('{}')", "no list"),
        ("os.kill(os.getpid(), 9)", "failed: exit status -9"),
        ("print('x' * 2_000_000)", "more than 1048576 bytes"),
        ("print('x' * 2_000_000, file=sys.stderr)", "more than 1048576 bytes"),
        ("sys.stdout.buffer.write(b'\\xff\\xfe')", "no JSON"),
    ],
)
def test_a_command_that_fails_is_a_sentence(command, program, sentence) -> None:
    with pytest.raises(QmdError, match=sentence):
        Qmd(command(program), 10).search("tea", 3)


def test_a_command_that_is_not_there_is_a_sentence(tmp_path) -> None:
    with pytest.raises(QmdError, match="qmd-of-nobody cannot be run: No such file"):
        Qmd("qmd-of-nobody", 10).search("tea", 3)
    with pytest.raises(QmdError, match="cannot be run: Permission denied"):
        Qmd(shlex.quote(str(tmp_path)), 10).search("tea", 3)
    with pytest.raises(QmdError, match="qmdCommand cannot be read"):
        Qmd("qmd 'open", 10)
    with pytest.raises(QmdError, match="qmdCommand is empty"):
        Qmd("  ", 10)


def test_a_nul_in_a_query_is_a_sentence(command) -> None:
    with pytest.raises(QmdError, match="cannot be run"):
        Qmd(command(ECHO), 10).search("a\0b", 3)


@pytest.mark.parametrize("closes", [False, True])
def test_a_command_that_hangs_is_ended_with_all_that_it_started(command, tmp_path, closes) -> None:
    pids = tmp_path / "pids"
    program = (
        "import subprocess\n"
        f"child = subprocess.Popen([{sys.executable!r}, '-c', 'import time; time.sleep(60)'])\n"
        f"open({str(pids)!r}, 'w').write(f'{{os.getpid()}} {{child.pid}}')\n"
        + ("os.close(1); os.close(2)\n" if closes else "")
        + "time.sleep(60)"
    )
    started = time.monotonic()
    with pytest.raises(QmdError, match=r"within 1\.5 s"):
        Qmd(command(program), 1.5).search("tea", 3)
    assert time.monotonic() - started < 5
    for pid in map(int, pids.read_text().split()):
        eventually(lambda pid=pid: not _runs(pid), within=5)


def test_nothing_is_asked_of_the_terminal_and_no_descriptor_is_left(command) -> None:
    qmd = Qmd(command("print('[]' if sys.stdin.read() == '' else 'typed')"), 10)
    qmd.search("tea", 3)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        qmd.search("tea", 3)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
