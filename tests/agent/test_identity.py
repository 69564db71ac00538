"""Seeding a home from an agent's process: what is read, what is refused, what is noted."""

from __future__ import annotations

import os
import socket

import pytest
import sqlalchemy as sa

from afterturn import Memory
from afterturn.identity import FirstSessions, Seeding, pair_of, seed
from afterturn.local_files import MAX_BYTES
from afterturn.services import Services
from afterturn_models.policy.identity import NAME_SOURCE, Kind
from afterturn_models.settings import load
from afterturn_models.store.sessions import workspace_id
from afterturn_models.store.settings import set_setting
from afterturn_models.values import Scope

FILES = {
    "SOUL.md": "I am kind.",
    "IDENTITY.md": "I am Clerk.",
    "AGENTS.md": "Work in small steps.",
    "BOOTSTRAP.md": "Read SOUL.md first.",
    "USER.md": "Ann likes tea.",
    "MEMORY.md": "not a persona",
}
AGENTS = ("SOUL.md", "IDENTITY.md", "AGENTS.md", "BOOTSTRAP.md")


@pytest.fixture
def home(tmp_path):
    folder = tmp_path / "persona"
    folder.mkdir()
    for name, text in FILES.items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def services(agent_env):
    made = Services(load({"ai_peer": "clerk", "peer_name": "ann"}))
    yield made
    made.close()


@pytest.fixture
def sent():
    return []


@pytest.fixture
def run_seed(services, sent):
    def run(folder, **more):
        settings = services.settings
        return seed(
            services.database, sent.append, pair_of(settings), services.profile, folder, **more
        )

    return run


def noted(look, workspace):
    return look.query(
        "SELECT s.* FROM identity_seeds s JOIN workspaces w ON w.id = s.workspace_id"
        " WHERE w.name = %(workspace)s ORDER BY s.source",
        workspace=workspace,
    )


def test_a_home_is_noted_once_each_file_to_its_peer(run_seed, home, sent, look, workspace):
    assert run_seed(home) == Seeding(new=(*AGENTS, "USER.md"))
    lines = noted(look, workspace)
    assert {line["source"]: line["peer"] for line in lines} == {
        **dict.fromkeys((*AGENTS, NAME_SOURCE), "clerk"),
        "USER.md": "ann",
    }
    assert {line["source"]: line["content"] for line in lines} == {
        name: text for name, text in FILES.items() if name != "MEMORY.md"
    } | {NAME_SOURCE: "clerk"}
    assert {(line["agent"], line["owner"]) for line in lines} == {("clerk", "ann")}
    # A task for each, which carries an id and none of the text.
    assert sorted(task.kwargs["seed_id"] for task in sent) == sorted(line["id"] for line in lines)
    assert {tuple(task.kwargs) for task in sent} == {("seed_id",)}
    sent.clear()
    assert run_seed(home) == Seeding(known=(*AGENTS, "USER.md"))
    assert sent == []


def test_a_changed_file_is_new_and_the_others_are_known(run_seed, home, sent):
    run_seed(home)
    sent.clear()
    (home / "SOUL.md").write_text("I am kinder.")
    came = run_seed(home)
    assert (came.new, set(came.known)) == (("SOUL.md",), {*AGENTS[1:], "USER.md"})
    assert len(sent) == 1


def test_an_empty_file_is_skipped_and_an_absent_one_is_nothing(run_seed, home):
    (home / "IDENTITY.md").write_text(" \n\u200b\n")
    (home / "AGENTS.md").unlink()
    came = run_seed(home)
    assert came.skipped == {"IDENTITY.md": "is empty"}
    assert "AGENTS.md" not in {*came.new, *came.known, *came.skipped, *came.refused}


def _link(path, outside):
    path.symlink_to(outside)


def _fifo(path, outside):
    os.mkfifo(path)


def _folder(path, outside):
    path.mkdir()


def _socket(path, outside):
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (_link, "symbolic link"),
        (_fifo, "not a regular file"),
        (_folder, "not a regular file"),
        (_socket, "cannot be used"),
        (lambda path, _: path.write_bytes(b"a\0b"), "binary"),
        (lambda path, _: path.write_bytes(b"caf\xe9"), "not text in UTF-8"),
        (lambda path, _: path.write_bytes(b"x" * (MAX_BYTES + 1)), "larger than"),
    ],
)
def test_what_is_no_plain_text_is_refused_with_a_reason_and_the_rest_goes_on(
    run_seed, home, tmp_path, make, reason, look, workspace
):
    outside = tmp_path / "outside.md"
    outside.write_text("a secret of somebody else's")
    (home / "SOUL.md").unlink()
    make(home / "SOUL.md", outside)
    came = run_seed(home)
    assert list(came.refused) == ["SOUL.md"]
    assert "SOUL.md" in came.refused["SOUL.md"]
    assert reason in came.refused["SOUL.md"]
    assert set(came.new) == {*AGENTS[1:], "USER.md"}
    assert all("secret" not in line["content"] for line in noted(look, workspace))


@pytest.mark.parametrize(
    "name", ["../outside.md", "/etc/hostname", "sub/SOUL.md", "..", ".", "", "a\0b"]
)
def test_a_path_out_of_the_folder_is_refused(run_seed, home, tmp_path, name, look, workspace):
    (tmp_path / "outside.md").write_text("secret")
    (home / "sub").mkdir()
    (home / "sub" / "SOUL.md").write_text("another home's")
    came = run_seed(home, names=[name])
    assert "is not in the folder" in came.refused[name]
    assert noted(look, workspace) == []


def test_the_folder_itself_may_be_a_link(run_seed, home, tmp_path):
    (tmp_path / "link").symlink_to(home)
    assert "SOUL.md" in run_seed(tmp_path / "link").new


def test_a_folder_that_is_not_there_is_a_reason(run_seed, tmp_path):
    came = run_seed(tmp_path / "nowhere")
    assert set(came.refused) == {*AGENTS, "USER.md"}
    assert all("No such file" in why for why in came.refused.values())


def test_a_file_that_was_asked_for_must_be_there(run_seed, home):
    assert run_seed(home, names=["other.md"]).refused == {"other.md": "other.md is not there."}


def test_the_owners_file_goes_to_the_owner_only_and_the_agents_to_the_agent(run_seed, home):
    came = run_seed(home, names=["USER.md", "SOUL.md"], kind=Kind.AGENT)
    assert came.new == ("SOUL.md",)
    assert "for that peer only" in came.refused["USER.md"]
    came = run_seed(home, names=["USER.md", "SOUL.md"], kind=Kind.USER)
    assert came.new == ("USER.md",)
    assert "for that peer only" in came.refused["SOUL.md"]


def test_a_file_of_another_name_is_about_whom_one_says(run_seed, home, look, workspace):
    (home / "about.md").write_text("likes walks")
    assert run_seed(home, names=["about.md"], kind=Kind.USER).new == ("about.md",)
    assert [(one["source"], one["peer"], one["kind"]) for one in noted(look, workspace)] == [
        ("about.md", "ann", "user")
    ]
    assert run_seed(home, names=["about.md"]).new == ("about.md",)  # about the agent now


def test_of_a_home_only_one_peers_files(run_seed, home):
    assert run_seed(home, kind=Kind.USER).new == ("USER.md",)
    assert run_seed(home, kind=Kind.AGENT).new == AGENTS


def test_an_agent_without_a_name_gets_none(agent_env, home, look, workspace):
    made = Services(load())
    try:
        pair = pair_of(made.settings)
        seed(made.database, lambda _: None, pair, made.profile, home)
    finally:
        made.close()
    assert NAME_SOURCE not in {line["source"] for line in noted(look, workspace)}


def set_mode(services, key, value):
    with services.database.statement() as connection:
        workspace = workspace_id(connection, services.settings.workspace)
        set_setting(connection, workspace, Scope.AGENT, "clerk", key, value)


def test_nothing_is_noted_of_a_peer_whose_memory_stays_here(
    run_seed, services, home, sent, look, workspace
):
    run_seed(home, names=["AGENTS.md"])  # the workspace is there, and can be told of a mode
    sent.clear()
    set_mode(services, "agentMemoryMode", "local")
    came = run_seed(home)
    assert came.new == ("USER.md",)
    assert came.skipped == dict.fromkeys(AGENTS, "stays here: agentMemoryMode is local")
    assert len(sent) == 1
    assert {one["source"] for one in noted(look, workspace)} == {
        "AGENTS.md",
        "USER.md",
        NAME_SOURCE,
    }
    set_mode(services, "agentMemoryMode", "hybrid")
    assert set(run_seed(home).new) == {"SOUL.md", "IDENTITY.md", "BOOTSTRAP.md"}


def test_a_mode_that_the_process_was_told_counts_too(agent_env, home):
    made = Services(load({"memory_mode": "local"}))
    try:
        came = seed(made.database, lambda _: None, pair_of(made.settings), made.profile, home)
    finally:
        made.close()
    assert came.new == ()
    assert set(came.skipped) == {*AGENTS, "USER.md"}


@pytest.fixture
def first(agent_env, home):
    made = Services(load({"ai_peer": "clerk", "peer_name": "ann", "memory_folder": str(home)}))
    yield FirstSessions(made)
    made.close()


def test_the_first_session_of_an_agent_seeds_its_home_and_later_ones_read_nothing(
    first, home, look, workspace
):
    first.seed("somebody-else")
    assert noted(look, workspace) == []
    first.seed("clerk")
    assert len(noted(look, workspace)) == 6
    (home / "SOUL.md").write_text("changed")
    first.seed("clerk")
    assert len(noted(look, workspace)) == 6


def test_a_mode_that_changes_is_seen_at_the_next_session(first, look, workspace):
    services = first._services
    with services.database.statement() as connection:
        connection.exec_driver_sql("INSERT INTO workspaces (name) VALUES (%s)", (workspace,))
    set_mode(services, "memoryMode", "local")
    first.seed("clerk")
    assert noted(look, workspace) == []
    set_mode(services, "memoryMode", "hybrid")
    first.seed("clerk")
    assert len(noted(look, workspace)) == 6


def test_a_session_opens_all_the_same_while_postgres_is_away(home, redis_url, monkeypatch):
    monkeypatch.setenv("AFTERTURN_DATABASE_URL", "postgresql://u@127.0.0.1:1/x")
    monkeypatch.setenv("AFTERTURN_REDIS_URL", redis_url)
    made = Services(load({"memory_folder": str(home), "ai_peer": "clerk"}))
    try:
        FirstSessions(made).seed("clerk")
        assert made.capturer.away
    finally:
        made.close()


def test_without_a_configured_home_nothing_is_read(agent_env, look, workspace):
    with Memory.open() as memory:
        FirstSessions(memory._services).seed("agent")
    assert noted(look, workspace) == []


def test_the_first_session_of_the_configured_agent_seeds_its_home(home, agent_env):
    with Memory.open(memory_folder=str(home), ai_peer="clerk") as memory:

        def noted():
            with memory._services.database.statement() as connection:
                return connection.execute(
                    sa.text(
                        "SELECT count(*) FROM identity_seeds i JOIN workspaces w"
                        " ON w.id = i.workspace_id WHERE w.name = :name"
                    ),
                    {"name": memory.settings.workspace},
                ).scalar()

        memory.session(name="one", agent="another")
        assert noted() == 0
        memory.session(name="two")
        seeded = noted()
        assert seeded >= len(AGENTS)
        memory.session(name="three")
        assert noted() == seeded
