"""The durable spool in one process: order, damage, bounds, and sentences that say what is wrong."""

import errno
import os
import stat
import threading
import time
from uuid import uuid4

import pytest

from afterturn import spool_files
from afterturn.disk import locked
from afterturn.spool import Spool, SpooledTurn, SpoolError, SpoolStats
from afterturn.spool_record import encode
from afterturn_models.store.capture import WritePolicy
from afterturn_models.store.sessions import SessionSpec
from afterturn_models.values import NewMessage, Role
from support.spools import drained, make_turn, said, segments


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "state" / "spool"


@pytest.fixture
def spool(folder):
    return Spool(folder)


def test_an_empty_spool_makes_nothing(spool, folder):
    assert not spool.pending()
    assert drained(spool) == []
    assert spool.stats() == SpoolStats(0, 0, None, 0)
    assert not folder.exists()


def test_turns_come_back_in_order_and_once(spool):
    wanted = [("a", number) for number in range(50)]
    for who, number in wanted:
        spool.append(make_turn(who, number))
    assert spool.pending()
    assert drained(spool) == wanted
    assert not spool.pending()
    assert drained(spool) == []


def test_order_holds_over_segments_and_a_clock_set_back(spool, folder, monkeypatch):
    monkeypatch.setattr(spool_files, "SEGMENT_LIMIT", 1)
    clock = iter(range(10**18, 0, -(10**15)))
    monkeypatch.setattr(spool_files.time, "time_ns", lambda: next(clock))
    for number in range(9):
        spool.append(make_turn("a", number))
    assert len(segments(folder)) == 9
    assert drained(spool) == [("a", number) for number in range(9)]


def test_files_are_private_and_drained_ones_are_gone(spool, folder):
    former = os.umask(0)
    try:
        spool.append(make_turn("a", 0))
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    finally:
        os.umask(former)
    drained(spool)
    assert {path.name for path in folder.iterdir()} == {"append.lock", "drain.lock"}


def test_the_mode_of_a_folder_that_exists_is_left(spool, folder):
    folder.mkdir(parents=True)
    folder.chmod(0o755)
    spool.append(make_turn("a", 0))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755


class DeliveryError(TimeoutError):
    """What a delivery to a dead Postgres raises: an OSError, as socket errors are."""


def test_a_failing_delivery_ends_the_drain_and_keeps_the_rest(spool):
    for number in range(6):
        spool.append(make_turn("a", number))
    found: list[tuple[str, int]] = []

    def deliver(turn):
        if len(found) == 3:
            raise DeliveryError
        found.append(said(turn))

    with pytest.raises(DeliveryError):
        spool.drain(deliver)
    assert spool.pending()
    assert spool.stats().turns == 3
    spool.append(make_turn("a", 6))
    assert found + drained(spool) == [("a", number) for number in range(7)]
    assert not spool.pending()


def test_what_is_appended_during_a_drain_is_drained(spool):
    spool.append(make_turn("a", 0))
    found: list[tuple[str, int]] = []

    def deliver(turn):
        found.append(said(turn))
        if len(found) < 20:
            spool.append(make_turn("a", len(found)))

    assert spool.drain(deliver) == 20
    assert found == [("a", number) for number in range(20)]
    assert not spool.pending()


def test_one_drains_at_a_time(spool):
    spool.append(make_turn("a", 0))
    inner: list[int] = []
    assert spool.drain(lambda _: inner.append(spool.drain(pytest.fail))) == 1
    assert inner == [0]


def test_threads_share_a_spool(spool):
    def write(who):
        for number in range(25):
            spool.append(make_turn(who, number))

    threads = [threading.Thread(target=write, args=(who,)) for who in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = drained(spool)
    assert len(found) == 100
    for who in "abcd":
        assert [number for name, number in found if name == who] == list(range(25))


def test_stats(spool, folder):
    before = time.time()
    for number in range(4):
        spool.append(make_turn("a", number))
    with pytest.raises(DeliveryError):
        spool.drain(fail_at(1))
    stats = spool.stats()
    assert stats.turns == 3
    assert stats.bytes == sum(path.stat().st_size for path in segments(folder))
    assert stats.oldest_age is not None
    assert 0 <= stats.oldest_age <= time.time() - before + 0.01
    assert stats.damaged == 0


def fail_at(wanted):
    def deliver(turn):
        if said(turn)[1] == wanted:
            raise DeliveryError

    return deliver


@pytest.mark.parametrize("bad", [object(), float("nan"), {1j: 1}, {"a": {2}}])
def test_metadata_that_is_not_json_is_refused(spool, bad):
    rows = (NewMessage(uuid4(), Role.USER, "ann", "secret", metadata={"k": bad}),)
    turn = SpooledTurn(SessionSpec("w", "k", "ann", "bot"), "bot", uuid4(), rows, WritePolicy())
    with pytest.raises(
        SpoolError, match=r"cannot take a turn: its metadata is not JSON\.$"
    ) as told:
        spool.append(turn)
    assert "secret" not in str(told.value)
    assert not spool.pending()


def test_a_torn_last_record_is_set_aside_and_swallows_nothing(tmp_path):
    whole = encode(make_turn("a", 1), time.time())
    for cut in [*range(1, 40), len(whole) // 2, len(whole) - 2]:
        folder = tmp_path / str(cut)
        spool = Spool(folder)
        spool.append(make_turn("a", 0))
        with segments(folder)[0].open("ab") as file:
            file.write(whole[:cut])
        assert (spool.stats().turns, spool.stats().damaged) == (1, 1)
        if cut % 2:
            spool.append(make_turn("a", 2))
        assert drained(spool) == [("a", 0), ("a", 2)][: 1 + cut % 2]
        assert not spool.pending()
        aside = list(folder.glob("*.damaged"))
        assert [path.read_bytes().rstrip(b"\n") for path in aside] == [whole[:cut]]
        assert stat.S_IMODE(aside[0].stat().st_mode) == 0o600
        assert spool.stats() == SpoolStats(0, 0, None, 1)


def test_damage_in_the_middle_costs_that_record_alone(spool, folder):
    for number in range(5):
        spool.append(make_turn("a", number))
    lines = segments(folder)[0].read_bytes().splitlines(keepends=True)
    lines[1] = lines[1].replace(b"a 1", b"a 9")
    lines[3] = b"\0" * 4096 + b"\n"
    segments(folder)[0].write_bytes(b"".join(lines))
    assert drained(spool) == [("a", 0), ("a", 2), ("a", 4)]
    assert spool.stats().damaged == 2


def test_damage_is_kept_even_where_a_copy_has_no_room(spool, folder, monkeypatch):
    spool.append(make_turn("a", 0))
    with segments(folder)[0].open("ab") as file:
        file.write(b"torn")

    def no_room(self, path, line):
        raise OSError(errno.ENOSPC, "no room")

    monkeypatch.setattr(spool_files.SpoolFolder, "_set_aside", no_room)
    assert drained(spool) == [("a", 0)]
    assert not spool.pending()
    (aside,) = folder.glob("*.damaged")
    assert aside.read_bytes().endswith(b"\ntorn")
    assert spool.stats().damaged == 1


def test_a_lost_or_broken_note_of_progress_delivers_again(spool, folder):
    for note in (b"", b"\0" * 64, b"garbage\n"):
        for number in range(3):
            spool.append(make_turn("a", number))
        with pytest.raises(DeliveryError):
            spool.drain(fail_at(2))
        (folder / "drain.lock").write_bytes(note)
        assert drained(spool) == [("a", 0), ("a", 1), ("a", 2)]


def test_a_later_format_is_kept_for_a_later_version(spool, folder, monkeypatch):
    spool.append(make_turn("a", 0))
    monkeypatch.setattr("afterturn.spool_record.VERSION", 2)
    spool.append(make_turn("a", 1))
    monkeypatch.undo()
    found: list[tuple[str, int]] = []
    for _ in range(2):
        with pytest.raises(SpoolError, match=r"later version of afterturn \(format 2\); upgrade"):
            spool.drain(lambda turn: found.append(said(turn)))
    assert found == [("a", 0)]
    assert spool.pending()


def test_the_bound(folder):
    size = len(encode(make_turn("a", 0), time.time()))
    spool = Spool(folder, max_bytes=size * 3 + 50)
    for number in range(3):
        spool.append(make_turn("a", number))
    with pytest.raises(SpoolError, match="more than its bound of"):
        spool.append(make_turn("a", 3))
    assert drained(spool) == [("a", 0), ("a", 1), ("a", 2)]
    spool.append(make_turn("a", 3))
    assert drained(spool) == [("a", 3)]


def test_a_writer_that_is_frozen_stops_nobody_for_ever(folder):
    spool = Spool(folder, patience=0.05)
    spool.append(make_turn("a", 0))
    with locked(folder / "append.lock", 0):
        for use in (lambda: spool.append(make_turn("a", 1)), lambda: drained(spool), spool.stats):
            with pytest.raises(SpoolError, match="another process holds its lock"):
                use()
        assert spool.pending()
    assert drained(spool) == [("a", 0)]


def test_a_file_or_a_link_in_the_way_is_told_in_a_sentence(tmp_path, folder):
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "spool"):
        spool = Spool(place)
        assert not spool.pending()
        with pytest.raises(SpoolError, match="a file stands in the place of a folder"):
            spool.append(make_turn("a", 0))
    folder.mkdir(parents=True)
    (folder / "append.lock").symlink_to(tmp_path / "file")
    with pytest.raises(SpoolError, match="a symbolic link stands in the place"):
        Spool(folder).append(make_turn("a", 0))


def test_a_forked_child_spools_and_drains_for_itself(spool):
    spool.append(make_turn("a", 0))
    child = os.fork()
    if child == 0:
        spool.append(make_turn("b", 0))
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert drained(spool) == [("a", 0), ("b", 0)]
