"""What setup asks of workers about a key: on stdin, answered on stdout, and no key in any answer."""

from __future__ import annotations

import json
import stat
import subprocess
import sys

import pytest

from afterturn_worker.honcho.try_key import answer

KEY = "hch-s3cret"


def asked(url, **more):
    return {"url": url, "workspace": "w", "deadline": 5, **more}


def test_what_workers_would_use_is_tried(honcho, monkeypatch):
    found = answer(asked(honcho.url))
    assert found == {"state": "ok", "said": "Honcho answers without a key", "key": False}
    monkeypatch.setenv("HONCHO_API_KEY", KEY)
    found = answer(asked(honcho.url))
    assert found == {"state": "ok", "said": "Honcho takes the key", "key": True}


def test_a_key_that_is_refused(honcho):
    honcho.control.add_rule("status", status=401)
    found = answer(asked(honcho.url, key=KEY))
    assert (found["state"], found["key"]) == ("refused", True)
    assert KEY not in json.dumps(found)


@pytest.mark.parametrize(
    ("question", "state", "said"),
    [
        (asked("http://127.0.0.1:1", key=KEY), "away", "cannot be reached"),
        (asked("honcho", key=KEY), "wrong", "the URL of Honcho cannot be read"),
        (asked("http://127.0.0.1:1", key="two words"), "wrong", "characters that no key has"),
        (asked("x", file="/nowhere/at/all", block=[], keep=True), "wrong", "there is no key"),
    ],
)
def test_what_cannot_be_tried_is_a_sentence(question, state, said):
    found = answer(question)
    assert found["state"] == state
    assert said in found["said"]
    assert KEY not in found["said"]


def test_another_programs_key_is_kept_in_our_file(tmp_path, empty_environment):
    theirs = tmp_path / "openclaw.json"
    theirs.write_text("{a: {b: {apiKey: '" + KEY + "'}}, // c\n}")
    found = answer({"keep": True, "file": str(theirs), "block": ["a", "b"]})
    ours = empty_environment / "config.json"
    assert found == {"state": "ok", "said": f"it is kept in {ours}", "key": True}
    assert json.loads(ours.read_text()) == {"apiKey": KEY}
    assert stat.S_IMODE(ours.stat().st_mode) == 0o600


@pytest.mark.parametrize(("stdin", "status"), [("{", 2), ('{"keep": true}', 0)])
def test_as_a_process(stdin, status):
    done = subprocess.run(
        [sys.executable, "-m", "afterturn_worker.honcho.try_key"],
        input=stdin, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == status
    assert "Traceback" not in done.stderr
    assert status or json.loads(done.stdout)["state"] == "wrong"
