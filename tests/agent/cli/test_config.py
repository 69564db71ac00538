"""`afterturn config`: what holds and where it was said, and no secret is shown."""

from __future__ import annotations

import json

import pytest
from jsonschema import Draft202012Validator

from support.configured import KEY, NOWHERE, got, write


def test_without_anything_there_are_defaults(done):
    shown = done("show")
    assert "writeFrequency" in shown
    assert "Postgres: not configured" in shown
    assert "Honcho's key: workers would find none" in shown
    report = json.loads(done("show", "--json"))
    assert {one["origin"] for one in report["settings"].values()} == {"default"}
    assert (report["postgres"], report["honchoKey"]) == ("not configured", None)
    assert [one["exists"] for one in report["files"]] == [False, False, False]


def test_every_value_says_where_it_comes_from(done, room, file, monkeypatch):
    monkeypatch.setenv("AFTERTURN_AI_PEER", "ada")
    write(
        file, {"timeoutMs": 5000, "contextTokens": 300, "hosts": {"afterturn": {"peerName": "ann"}}}
    )
    done("set", "contextTokens", "400")
    done("set", "contextTokens", "500", "--agent", "ada")
    done("set", "contextTokens", "600", "--session", "talk")
    report = json.loads(done("show", "--json", "--session", "talk"))["settings"]
    origins = {key: one["origin"] for key, one in report.items() if one["origin"] != "default"}
    assert origins == {
        "databaseUrl": "the environment (AFTERTURN_DATABASE_URL)",
        "workspace": "the environment (AFTERTURN_WORKSPACE)",
        "aiPeer": "the environment (AFTERTURN_AI_PEER)",
        "peerName": f"{file} (host afterturn)",
        "requestSeconds": str(file),
        "contextTokens": "Postgres (session talk)",
    }
    assert [(one["origin"], one["value"]) for one in report["contextTokens"]["also"]] == [
        ("Postgres (agent ada)", 500), (f"Postgres (workspace {room})", 400), (str(file), 300),
    ]  # fmt: skip
    assert got(done, "contextTokens") == (500, "Postgres (agent ada)")
    assert got(done, "contextTokens", "--agent", "bob") == (400, f"Postgres (workspace {room})")
    assert got(done, "timeout") == (5.0, str(file))
    shown = done("show", "--session", "talk")
    assert "Postgres (session talk)" in shown


def test_a_sessions_own_agent_counts_with_it(done, room):
    done("set", "recallMode", "tools", "--agent", "ada")
    assert got(done, "recallMode", "--session", "talk") == ("tools", "Postgres (agent ada)")
    assert got(done, "recallMode", "--session", "talk", "--agent", "bob") == ("hybrid", "default")


def test_get_prints_what_a_script_can_use(done, file):
    write(file, {"noisePatterns": ["é"], "saveMessages": False, "workspace": "home"})
    assert done("get", "workspace") == "home\n"
    assert done("get", "saveMessages") == "false\n"
    assert json.loads(done("get", "noisePatterns")) == ["é"]
    assert done("get", "memoryMode") == "\n"


def test_not_enabled_is_said_as_the_reason(done, file):
    write(file, {"enabled": False})
    assert got(done, "saveMessages") == (False, f"enabled is false: {file}")


@pytest.mark.parametrize(
    "command",
    ["config show", "config get workspace", "mode", "peer", "recall", "frequency", "strategy"],
)
def test_a_key_that_is_none_is_told_once_by_every_command(called, file, caplog, command):
    write(file, {"memorymode": "local"})
    done = called(*command.split())
    assert caplog.text.count("did you mean memoryMode?") == 1
    assert "memorymode" not in done.stdout


def test_what_is_told_of_keys_is_on_stderr(afterturn, file):
    write(file, {"memorymode": "local"})
    done = afterturn("recall")
    assert done.returncode == 0
    assert done.stderr.count("did you mean memoryMode?") == 1
    assert "memorymode" not in done.stdout


def test_warnings_are_in_the_json(called, file):
    write(file, {"memorymode": "local"})
    assert "memorymode" in json.loads(called("config", "show", "--json").stdout)["warnings"][0]


def test_passwords_and_keys_are_never_shown(called, file, monkeypatch):
    write(
        file, {"redisUrl": "redis://:hunter2@h/0", "apiKey": KEY, "targets": {"x": {"apiKey": KEY}}}
    )
    monkeypatch.setenv("AFTERTURN_DATABASE_URL", NOWHERE)
    for arguments in (["show"], ["show", "--json"], ["get", "redisUrl"], ["get", "databaseUrl"]):
        found = called("config", *arguments)
        assert found.returncode == 1  # Postgres cannot be asked
        assert "***@" in found.stdout
        assert "hunter2" not in found.stdout + found.stderr
        assert KEY not in found.stdout + found.stderr
    report = json.loads(called("config", "show", "--json").stdout)
    assert report["honchoKey"] == {"place": str(file), "refused": None}
    assert report["postgres"].startswith("Postgres: ")


def test_a_key_that_workers_would_refuse_is_said_to_be_one(done, file):
    write(file, {"apiKey": KEY}, mode=0o644)
    assert f"Workers refuse it there: others can read it; run: chmod 600 {file}" in done("show")


# Files and the schema.


def test_paths(done, file):
    assert done("path") == f"{file}\n"
    write(file, {})
    first, second, third = done("path", "--all").splitlines()
    assert (first, second.endswith("config.json (not there)")) == (str(file), True)
    assert third.endswith("stack.json (not there)")
    assert json.loads(done("path", "--json")) == [{"path": str(file), "exists": True}]


def test_the_schema_takes_what_set_writes(done, file):
    schema = json.loads(done("schema"))
    Draft202012Validator.check_schema(schema)
    done("set", "messageMaxChars", "5000")
    done("set", "sessions", '{"/d": "k"}', "--file")
    assert list(Draft202012Validator(schema).iter_errors(json.loads(file.read_text()))) == []


@pytest.mark.parametrize("name", ["show", "get", "set", "unset", "path", "schema"])
def test_every_command_has_help_with_an_example(called, name):
    done = called("config", name, "--help")
    assert done.returncode == 0
    assert f"afterturn config {name}" in done.stdout or f"config {name})" in done.stdout


def test_as_users_run_it(afterturn, room):
    done = afterturn("config", "set", "writeFrequency", "7", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["value"] == "7"
    wrong = afterturn("config", "set", "writeFrequency", "often")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "Traceback" not in wrong.stderr
