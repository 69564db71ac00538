"""The spool's record: any turn comes back as it was, and no damaged line as a turn."""

import json
from datetime import UTC, timedelta, timezone
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from afterturn.spool import SpooledTurn
from afterturn.spool_record import decode, encode
from afterturn_models.store.capture import WritePolicy
from afterturn_models.store.sessions import SessionSpec
from afterturn_models.values import NewMessage, Role

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=60)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
ZONES = st.sampled_from([
    UTC,
    timezone(timedelta(hours=5, minutes=45)),
    timezone(-timedelta(hours=3, seconds=7)),
    ZoneInfo("Europe/Berlin"),
])  # fmt: skip
ROWS = st.builds(
    NewMessage,
    id=st.uuids(),
    role=st.sampled_from(Role),
    peer=ANY_TEXT,
    content=ANY_TEXT,
    at=st.none() | st.datetimes(timezones=ZONES, allow_imaginary=False),
    part=st.integers(0, 9),
    parts=st.integers(1, 9),
    tokens=st.none() | st.integers(0, 10**9),
    local=st.none() | ANY_TEXT,
    metadata=st.dictionaries(ANY_TEXT, JSON, max_size=3),
)
OPTIONAL = st.none() | ANY_TEXT
PAIRS = st.lists(st.tuples(ANY_TEXT, ANY_TEXT), max_size=3).map(tuple)
TURNS = st.builds(
    SpooledTurn,
    spec=st.builds(
        SessionSpec,
        *[ANY_TEXT] * 4,
        title=OPTIONAL,
        directory=OPTIONAL,
        platform_key=OPTIONAL,
    ),
    agent_peer=ANY_TEXT,
    turn_id=st.uuids(),
    rows=st.lists(ROWS, min_size=1, max_size=4).map(tuple),
    policy=st.builds(WritePolicy, given=PAIRS, fallback=PAIRS),
)


def joined(value):
    """Join the pairs of surrogates that stand for one character, as JSON's escapes do."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
    if isinstance(value, list | tuple):
        return type(value)(map(joined, value))
    if isinstance(value, dict):
        return {joined(key): joined(each) for key, each in value.items()}
    if hasattr(value, "__dataclass_fields__"):
        return type(value)(*(joined(getattr(value, name)) for name in value.__slots__))
    return value


@settings(deadline=None, max_examples=150)
@given(TURNS, st.floats(0, 4e9))
def test_a_turn_comes_back_as_it_was(turn, at):
    line = encode(turn, at)
    assert line.isascii()
    assert line.endswith(b"\n")
    assert b"\n" not in line[:-1]
    assert json.loads(line)["v"] == 1
    record = decode(line)
    assert record is not None
    assert record.at == at
    assert record.turn == joined(turn)
    for mine, theirs in zip(turn.rows, record.turn.rows, strict=True):
        assert mine.at is None or mine.at.utcoffset() == theirs.at.utcoffset()


@settings(deadline=None, max_examples=100)
@given(TURNS, st.data())
def test_a_damaged_line_is_no_turn(turn, data):
    line = encode(turn, 1.0)[:-1]
    place = data.draw(st.integers(0, len(line) - 1))
    flipped = bytearray(line)
    flipped[place] ^= 1 << data.draw(st.integers(0, 7))
    for damaged in (line[:place], line[place + 1 :], bytes(flipped), line + line, b"\0" * place):
        assert decode(damaged) is None
