"""Dialogues of the user's own: what is read, how it is cut into turns, and what is refused how."""

import json

import pytest

from afterturn_sandbox.dialogues import DialogueTurn, read, shipped
from afterturn_sandbox.errors import SandboxError


def line(*messages):
    said = [{"role": role, "content": content} for role, content in messages]
    return json.dumps({"messages": said}, ensure_ascii=False)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "dialogues.jsonl"


def test_the_shipped_dialogues_are_whole():
    found = shipped()
    assert len({one.name for one in found}) == len(found) == 8
    assert sum(turn.messages for one in found for turn in one.turns) == 112


def test_a_turn_begins_with_each_user_message_and_the_last_of_the_agent_is_its_reply(path):
    path.write_text(
        line(
            ("user", "one"), ("assistant", "calling"), ("tool", "42"), ("assistant", "done"),
            ("user", "two"), ("user", "three"), ("tool", "43"),
        )
        + "\n"
    )  # fmt: skip
    (found,) = read(path)
    assert found.turns == (
        DialogueTurn("one", (("assistant", "calling"), ("tool", "42")), "done"),
        DialogueTurn("two", (), None),
        DialogueTurn("three", (("tool", "43"),), None),
    )
    assert [turn.messages for turn in found.turns] == [4, 1, 2]


def test_marks_of_encodings_and_foreign_line_ends_do_no_harm(path):
    said = "line\u2028separator\u0085and\x1cothers"
    text = "\r\n".join([line(("user", said)), "", line(("user", "next"))])
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert [one.turns[0].said for one in read(path)] == [said, "next"]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "no dialogue"),
        (b"\n \n", "no dialogue"),
        (line(("user", "ok")).encode() + b"\n{nonsense", "line 2: this is not JSON"),
        (b"[" * 200_000, "line 1: this is not JSON"),
        (b"\xff\xfe\x00", "not UTF-8"),
        (b"[]", 'expected {"messages"'),
        (b'{"messages": []}', 'expected {"messages"'),
        (b'{"messages": ["hi"]}', "a message needs a role"),
        (b'{"messages": [{"role": "user", "content": null}]}', "a message needs a role"),
        (line(("system", "be kind")).encode(), "a message needs a role (user, assistant, tool)"),
        (line(("assistant", "hello"), ("user", "hi")).encode(), "first message is not the user's"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(path, content, why):
    path.write_bytes(content)
    with pytest.raises(SandboxError) as caught:
        read(path)
    assert str(caught.value).startswith(str(path))
    assert why in str(caught.value)


def test_a_file_that_is_not_there_is_named(path, tmp_path):
    for place in (path, tmp_path):
        with pytest.raises(SandboxError, match=str(place)):
            read(place)
