"""Answers of Redis are read whole however they are cut, and nothing else passes for one."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse, RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from afterturn.commands import command
from afterturn.popper import Popper
from afterturn.wire import bulks

TEXTS = st.lists(st.one_of(st.none(), st.binary(max_size=60)), min_size=1, max_size=7)


def written(texts):
    """Write texts as Redis does."""
    return b"".join(
        b"$-1\r\n" if text is None else b"$%d\r\n%s\r\n" % (len(text), text) for text in texts
    )


def socket(data, cuts=()):
    """Give what a socket's `recv` would be, that hands data out in pieces, and then is closed."""
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    pieces = [data[a:b] for a, b in pairwise(places) if a < b]
    return lambda _size: pieces.pop(0) if pieces else b""


@given(TEXTS, st.lists(st.integers(min_value=0), max_size=12))
def test_texts_are_read_whole_however_they_are_cut(texts, cuts):
    assert bulks(socket(written(texts), cuts), len(texts), seconds=60) == texts


@given(TEXTS, st.integers(min_value=1), st.lists(st.integers(min_value=0), max_size=4))
def test_a_connection_that_ends_too_early_is_lost(texts, missing, cuts):
    data = written(texts)
    with pytest.raises(RedisConnectionError):
        bulks(socket(data[: -(missing % len(data)) or -1], cuts), len(texts), seconds=60)


@given(st.binary(max_size=80), st.integers(min_value=1, max_value=4), st.lists(st.integers(0)))
def test_whatever_else_comes_is_an_error_of_redis(data, count, cuts):
    try:
        found = bulks(socket(data, cuts), count, seconds=60)
    except RedisError:
        return
    assert data == written(found)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"-LOADING Redis is loading the dataset in memory\r\n", ResponseError),
        (b"-NOAUTH Authentication required.\r\n", ResponseError),
        (b"$2\r\nab\r\n-WRONGTYPE no text\r\n", ResponseError),
        (b"+OK\r\n$-1\r\n", InvalidResponse),
        (b"$-2\r\n", InvalidResponse),
        (b"$ 1\r\na\r\n", InvalidResponse),
        (b"$1\r\nab\r\n", InvalidResponse),
        (b"$1\r\na\r\n$-1\r\n$-1\r\n", InvalidResponse),
    ],
)
def test_what_is_no_text_is_refused(data, error):
    with pytest.raises(error):
        bulks(socket(data), 2, seconds=60)


def test_a_socket_that_says_nothing_is_too_late():
    def silent(_size):
        raise TimeoutError("timed out")

    with pytest.raises(RedisTimeoutError):
        bulks(silent, 1, seconds=60)


def test_a_text_that_trickles_in_is_too_late_in_all():
    with pytest.raises(RedisTimeoutError):
        bulks(socket(written([b"x" * 100]), range(1, 100)), 1, seconds=-1)


def test_a_command_is_as_redis_reads_it():
    assert command("GET", "ключ") == b"*2\r\n$3\r\nGET\r\n$8\r\n" + "ключ".encode() + b"\r\n"


@pytest.mark.parametrize("protocol", ["", "?protocol=3"])
def test_a_real_server_answers_with_great_texts_and_errors(look, redis_url, protocol):
    """By the quick way, and by redis-py's parser where the URL asks for RESP3."""
    great = b"x" * 1_000_000
    look.redis.set("great", great)
    look.redis.rpush("list", "x")
    popper = Popper(redis_url + protocol)
    asked = command("GET", "great") + command("GET", "nothing") + command("GET", "great")
    for _ in range(2):
        assert popper.answers(popper.ask(asked, 3)) == [great, None, great]
    assert len(popper._idle) == 1
    assert popper.answers(popper.ask(command("GET", "list"), 1)) is None
    assert popper.away
    assert not popper._idle  # what was not read would be taken for the next answer
    popper.close()


def test_a_connection_that_redis_closed_is_made_anew(look, redis_url):
    look.redis.set("key", "value")
    popper = Popper(redis_url)
    asked = command("GET", "key")
    assert popper.answers(popper.ask(asked, 1)) == [b"value"]
    look.redis.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    assert popper.answers(popper.ask(asked, 1)) == [b"value"]
    popper.close()
