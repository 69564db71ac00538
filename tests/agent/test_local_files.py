"""A peer's local memory files: atomic, inside their folder, and closed by the mode `honcho`."""

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from afterturn.local_files import LocalFileError, LocalFiles, WriteRefused
from afterturn_models.values import Mode

NAMES = ("USER.md", "MEMORY.md", "SOUL.md", "memory/2026-11-20.md")


class Modes:
    """The two modes, as someone may change them at any time."""

    user = Mode.HYBRID
    agent = Mode.HYBRID

    def __call__(self) -> tuple[Mode, Mode]:
        return self.user, self.agent


@pytest.fixture
def modes():
    return Modes()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "memories"


@pytest.fixture
def files(folder, modes):
    return LocalFiles(folder, modes, max_bytes=1000)


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".afterturn.lock"
    }


@pytest.mark.parametrize("name", NAMES)
def test_what_is_written_is_read(files, name):
    assert files.read(name) is None
    files.write(name, "tea, 茶\r\n")
    assert files.read(name) == "tea, 茶\r\n"
    files.write(name, "")
    assert files.read(name) == ""


@pytest.mark.parametrize("name", NAMES)
def test_an_append_begins_on_a_line_of_its_own(files, name):
    for text in ("one", "two\n", "three"):
        files.append(name, text)
    assert files.read(name) == "one\ntwo\nthree"


def test_new_files_are_private_and_nothing_else_is_left(files, folder):
    for name in NAMES:
        files.write(name, "x")
    assert set(tree(folder)) == set(NAMES)
    assert {(folder / name).stat().st_mode & 0o777 for name in NAMES} == {0o600}
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "memory").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o444])
def test_permissions_are_kept(files, folder, mode):
    files.write("USER.md", "old")
    (folder / "USER.md").chmod(mode)
    files.append("USER.md", "new")
    assert (folder / "USER.md").stat().st_mode & 0o7777 == mode


@pytest.mark.parametrize(
    ("user", "agent", "refused"),
    [
        (Mode.HONCHO, Mode.HYBRID, {"USER.md"}),
        (Mode.HYBRID, Mode.HONCHO, set(NAMES) - {"USER.md"}),
        (Mode.HONCHO, Mode.HONCHO, set(NAMES)),
        (Mode.LOCAL, Mode.LOCAL, set()),
        (Mode.HYBRID, Mode.HYBRID, set()),
    ],
)
def test_the_mode_honcho_disables_the_peers_writes_at_once(
    files, folder, modes, user, agent, refused
):
    for name in NAMES:
        files.write(name, "before")
    before = tree(folder)
    modes.user, modes.agent = user, agent
    for name in NAMES:
        if name in refused:
            with pytest.raises(WriteRefused, match=f"^{name} is not written: .*Mode is honcho"):
                files.write(name, "after")
            with pytest.raises(WriteRefused):
                files.append(name, "after")
            assert files.read(name) == "before"
        else:
            files.write(name, "after")
    assert {name for name, data in tree(folder).items() if data == before[name]} == refused


def test_a_refused_write_makes_not_even_a_folder(files, folder, modes):
    modes.user = modes.agent = Mode.HONCHO
    for name in NAMES:
        with pytest.raises(WriteRefused):
            files.write(name, "x")
    assert not folder.exists()


@pytest.mark.parametrize(
    "name",
    [
        "",
        "user.md",
        "AGENTS.md",
        "/etc/passwd",
        "../USER.md",
        "./USER.md",
        "USER.md/",
        "USER.md\n",
        "memory/../USER.md",
        "memory/a/b.md",
        "memory/.hidden.md",
        "memory/.md",
        "memory/note.txt",
        "memory/note.md\n",
        "memory/no\0te.md",
        "memory//note.md",
        "memory\\note.md",
        "memory/" + "n" * 300 + ".md",
    ],
)
def test_other_names_are_refused(files, folder, name):
    for use in (files.read, lambda n: files.write(n, "x"), lambda n: files.append(n, "x")):
        with pytest.raises(LocalFileError, match="is no memory file"):
            use(name)
    assert not folder.exists()


@pytest.mark.parametrize("name", NAMES)
def test_a_link_in_the_place_of_a_file_is_refused(files, folder, tmp_path, name):
    outside = tmp_path / "outside"
    outside.write_text("secret")
    (folder / "memory").mkdir(parents=True)
    (folder / name).symlink_to(outside)
    for use in (files.read, lambda n: files.write(n, "x"), lambda n: files.append(n, "x")):
        with pytest.raises(LocalFileError, match="is a symbolic link"):
            use(name)
    assert outside.read_text() == "secret"
    assert (folder / name).is_symlink()


def test_a_link_in_the_place_of_the_notes_folder_is_refused(files, folder, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a.md").write_text("secret")
    folder.mkdir()
    (folder / "memory").symlink_to(outside)
    for use in (files.read, lambda n: files.write(n, "x"), lambda n: files.append(n, "x")):
        with pytest.raises(LocalFileError, match="link"):
            use("memory/a.md")
    assert tree(outside) == {"a.md": b"secret"}


def test_the_folder_itself_may_be_a_link(files, folder, tmp_path):
    (tmp_path / "real").mkdir()
    folder.symlink_to(tmp_path / "real")
    files.write("USER.md", "x")
    assert (tmp_path / "real" / "USER.md").read_text() == "x"


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_plain_file_is_refused_without_waiting(files, folder, make):
    folder.mkdir()
    make(folder / "USER.md")
    for use in (files.read, lambda n: files.write(n, "x"), lambda n: files.append(n, "x")):
        with pytest.raises(LocalFileError, match="is not a regular file"):
            use("USER.md")


def test_refusals_leak_no_descriptors(files, folder):
    folder.mkdir()
    (folder / "USER.md").mkdir()
    before = len(list(Path("/dev/fd").iterdir()))
    for _ in range(5):
        with pytest.raises(LocalFileError):
            files.append("USER.md", "x")
    assert len(list(Path("/dev/fd").iterdir())) == before


@pytest.mark.parametrize("data", [b"\xff\xfe", b"caf\xe9", b"\xed\xa0\x80", b"a\0b"])
def test_binary_is_refused(files, folder, data):
    folder.mkdir()
    (folder / "SOUL.md").write_bytes(data)
    for use in (files.read, lambda n: files.append(n, "x")):
        with pytest.raises(LocalFileError, match=r"^SOUL\.md is (not text in UTF-8|binary)"):
            use("SOUL.md")
    assert (folder / "SOUL.md").read_bytes() == data


@pytest.mark.parametrize("text", ["a\0b", "\ud800", "é" * 501])
def test_text_that_could_not_be_read_back_is_not_written(files, folder, text):
    files.write("SOUL.md", "before")
    for use in (files.write, files.append):
        with pytest.raises(LocalFileError, match=r"^SOUL\.md "):
            use("SOUL.md", text)
    assert tree(folder) == {"SOUL.md": b"before"}


def test_the_size_is_bounded(files, folder):
    files.write("MEMORY.md", "m" * 1000)
    assert files.read("MEMORY.md") == "m" * 1000
    with pytest.raises(LocalFileError, match="larger than 1000 bytes"):
        files.append("MEMORY.md", "m")
    (folder / "MEMORY.md").write_text("m" * 1001)
    with pytest.raises(LocalFileError, match="larger than 1000 bytes"):
        files.read("MEMORY.md")
    files.write("MEMORY.md", "short again")
    assert files.read("MEMORY.md") == "short again"


def test_a_full_disk_leaves_the_former_text(folder, modes):
    files = LocalFiles(folder, modes)
    files.write("USER.md", "before")
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, former[1]))
    try:
        with pytest.raises(LocalFileError, match=r"^USER\.md cannot be used: "):
            files.write("USER.md", "x" * 5000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)
        signal.signal(signal.SIGXFSZ, ignored)
    assert tree(folder) == {"USER.md": b"before"}


def test_what_a_killed_writer_left_is_cleared(files, folder):
    folder.mkdir()
    (folder / ".USER.md.afterturn-tmp").write_text("half")
    files.write("USER.md", "whole")
    assert tree(folder) == {"USER.md": b"whole"}


def test_a_writer_that_is_frozen_stops_nobody_for_ever(folder, modes):
    files = LocalFiles(folder, modes, patience=0.05)
    with (
        files._writing("USER.md"),
        pytest.raises(LocalFileError, match="another process holds its lock"),
    ):
        files.write("USER.md", "x")


APPENDER = """
import sys
from pathlib import Path
from afterturn.local_files import LocalFiles
from afterturn_models.values import Mode
files = LocalFiles(Path(sys.argv[1]), lambda: (Mode.HYBRID, Mode.HYBRID))
sys.stdin.read(1)
for number in range(60):
    files.append("MEMORY.md", f"{sys.argv[2]} {number}\\n")
"""


def test_appends_of_several_processes_lose_nothing(folder, modes):
    started = [
        subprocess.Popen([sys.executable, "-c", APPENDER, str(folder), name], stdin=subprocess.PIPE)
        for name in "abc"
    ]
    for process in started:
        process.stdin.write(b"g")
        process.stdin.flush()
    assert [process.wait(60) for process in started] == [0, 0, 0]
    for process in started:
        process.stdin.close()
    lines = LocalFiles(folder, modes).read("MEMORY.md").splitlines()
    for name in "abc":
        mine = [line for line in lines if line.startswith(name)]
        assert mine == [f"{name} {number}" for number in range(60)]
    assert len(lines) == 180
