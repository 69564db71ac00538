"""The dialectic's account on real Postgres: windows, limits, and many who count at once."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from afterturn_models.policy.reasoning import LEVELS, WEIGHTS
from afterturn_models.recall_settings import RecallSettings
from afterturn_models.store.dialectic import (
    LIMITS,
    Ask,
    accounts,
    give_back,
    grant,
    note_refusal,
    overrun,
    settle,
)

UNLIMITED = dict.fromkeys((f"dialectic_{name}" for name in LIMITS), 0)


def limited(**limits):
    """Give settings with these limits and no other."""
    return RecallSettings(
        **UNLIMITED | {f"dialectic_{name}": most for name, most in limits.items()}
    )


@pytest.fixture
def account(desk):
    return Account(desk, desk.open().workspace_id)


class Account:
    """One workspace's account."""

    def __init__(self, desk, workspace):
        self.desk = desk
        self.workspace = workspace

    def ask(self, settings, peer="ann", level="low"):
        """Ask for a call, as a worker does; gives its number and why it was refused."""
        with self.desk.database.transaction() as connection:
            return grant(connection, Ask(self.workspace, peer, level), settings)

    def granted(self, settings, times, **more):
        """Ask so many times; gives how many calls were granted."""
        return sum(self.ask(settings, **more)[0] is not None for _ in range(times))

    def pass_(self, span):
        """Let time pass for every row that is there."""
        self.desk.sql(f"UPDATE dialectic_calls SET at = at - interval '{span}'")

    def refuse(self, peer="ann"):
        """Note a refusal."""
        self.desk.run(note_refusal, Ask(self.workspace, peer, "low"))

    def rows(self):
        """Give every row."""
        return self.desk.sql("SELECT * FROM dialectic_calls ORDER BY id")


def test_without_limits_every_call_is_granted_and_none_queues(account):
    with account.desk.database.transaction() as connection:
        connection.execute(
            text("SELECT pg_advisory_xact_lock(:c, (:w % 2147483647)::integer)"),
            {"c": 0x61667464, "w": account.workspace},
        )
        assert account.granted(limited(), 30) == 30


@pytest.mark.parametrize("name", LIMITS)
def test_each_limit_by_itself(account, name):
    settings = limited(**{name: 6})
    assert account.granted(settings, 8) == (3 if "weight" in name else 6)
    refused = account.ask(settings)[1]
    whose = "for this user" if "peer" in name else "in this workspace"
    key = "dialectic" + "".join(part.capitalize() for part in name.split("_"))
    for said in (whose, f"({key})", f"last {name.rpartition('_')[2]}", "of 6 "):
        assert said in refused
    others = account.granted(settings, 8, peer="bob")
    assert others == ((3 if "weight" in name else 6) if "peer" in name else 0)


@pytest.mark.parametrize("level", LEVELS)
def test_a_call_weighs_by_its_level(account, level):
    most = 3 * WEIGHTS[level]
    assert account.granted(limited(weight_per_hour=most), 5, level=level) == 3
    assert account.granted(limited(weight_per_hour=most + 1), 5, level="minimal") == 1


def test_a_lighter_call_has_room_where_a_heavier_has_none(account):
    settings = limited(weight_per_day=9)
    assert account.granted(settings, 1, level="high") == 1
    assert account.ask(settings, level="low")[1] == (
        "the budget for asking is spent: in this workspace a weight of 8 of 9 was used in the last"
        " day (dialecticWeightPerDay), and this call weighs 2"
    )
    assert account.granted(settings, 2, level="minimal") == 1


def test_windows_slide(account):
    settings = limited(calls_per_hour=3, calls_per_day=5)
    assert account.granted(settings, 2) == 2
    account.pass_("40 minutes")
    assert account.granted(settings, 2) == 1
    account.pass_("19 minutes 58 seconds")
    assert account.granted(settings, 1) == 0  # three in the last hour, if only just
    account.pass_("3 seconds")
    assert account.granted(settings, 4) == 2  # the first two are an hour old
    account.pass_("22 hours")
    assert "dialecticCallsPerDay" in account.ask(settings)[1]
    account.pass_("2 hours")
    assert account.granted(settings, 4) == 3


def test_workspaces_have_accounts_of_their_own(desk):
    one = Account(desk, desk.open().workspace_id)
    two = Account(desk, desk.open(workspace="other").workspace_id)
    settings = limited(calls_per_hour=2)
    assert one.granted(settings, 3) == 2
    assert two.granted(settings, 3) == 2


@pytest.mark.parametrize("limits", [{"calls_per_hour": 20}, {"peer_weight_per_day": 40}])
def test_many_at_once_never_get_more(account, together, limits):
    """A count and an insert in one statement would let each of them see room for itself."""
    settings = limited(**limits)
    granted = together(lambda _: account.granted(settings, 10), 12)
    assert sum(granted) == 20
    assert len(account.rows()) == 20


def test_who_queues_is_seen_by_who_queues_behind(account):
    """The count is of a statement behind the lock's, or it would not see what was just granted."""
    settings = limited(calls_per_hour=1)
    first = account.desk.database.transaction()
    with first as connection:
        assert grant(connection, Ask(account.workspace, "ann", "low"), settings)[0] is not None
        assert account.desk.run(overrun, Ask(account.workspace, "bob", "low"), settings) is None
    assert account.ask(settings)[0] is None


def test_a_call_given_back_was_never_made(account):
    settings = limited(calls_per_hour=1)
    call, _ = account.ask(settings)
    assert account.ask(settings)[0] is None
    account.desk.run(give_back, call)
    assert account.granted(settings, 2) == 1


@pytest.mark.parametrize("outcome", ["answered", "empty", "failed"])
def test_a_call_that_came_to_anything_is_paid_for(account, outcome):
    settings = limited(calls_per_hour=1)
    account.desk.run(settle, account.ask(settings)[0], outcome)
    assert account.rows()[0].outcome == outcome
    assert account.ask(settings)[0] is None


def test_refusals_are_a_row_a_minute_a_user_and_cost_nothing(account):
    settings = limited(calls_per_hour=5)
    for _ in range(50):
        account.refuse()
    account.refuse("bob")
    assert [(row.peer, row.times) for row in account.rows()] == [("ann", 50), ("bob", 1)]
    account.pass_("61 seconds")
    account.refuse()
    assert [(row.peer, row.times) for row in account.rows()] == [
        ("ann", 50), ("bob", 1), ("ann", 1),
    ]  # fmt: skip
    assert account.granted(settings, 9) == 5


def test_what_is_older_than_a_day_goes_as_others_come(account):
    account.granted(limited(), 5)
    account.refuse()
    account.pass_("25 hours")
    account.ask(limited())
    assert [row.outcome for row in account.rows()] == ["refused", "asked"]
    account.refuse()
    assert [(row.outcome, row.times) for row in account.rows()] == [("asked", 1), ("refused", 1)]


def test_counting_reads_only_what_was_granted_lately(account):
    account.desk.sql(
        "INSERT INTO dialectic_calls (workspace_id, peer, level, weight, outcome, at)"
        " SELECT :w, 'p' || n % 9, 'low', 2, CASE WHEN n % 5 = 0 THEN 'answered' ELSE 'refused' END,"
        " clock_timestamp() - make_interval(secs => n) FROM generate_series(1, 80000) n",
        w=account.workspace,
    )
    account.desk.sql("ANALYZE dialectic_calls")
    plan = account.desk.sql(
        "EXPLAIN SELECT count(*) FROM dialectic_calls WHERE workspace_id = :w"
        " AND outcome <> 'refused' AND at > statement_timestamp() - make_interval(secs => 3600)",
        w=account.workspace,
    )
    assert "ix_dialectic_calls_granted" in str(plan)
    assert account.granted(limited(calls_per_hour=700), 2) == 0


def test_the_account_tells_what_came_of_calls_and_who_makes_most(account):
    outcomes = ["answered", "answered", "empty", "failed"]
    for outcome in outcomes:
        account.desk.run(settle, account.ask(limited(), level="medium")[0], outcome)
    account.pass_("2 hours")
    account.ask(limited(), peer="bob", level="minimal")  # still under way
    for name in ("c", "d", "e"):
        account.refuse(name)
    whole, *peers = account.desk.run(accounts, account.workspace, peers=3)
    assert (whole.peer, whole.hour.calls, whole.hour.weight) == (None, 1, 1)
    assert (whole.hour.unanswered, whole.hour.empty, whole.hour.refused) == (0, 0, 3)
    assert (whole.day.calls, whole.day.weight) == (5, 17)
    assert (whole.day.unanswered, whole.day.empty, whole.day.refused) == (1, 1, 3)
    assert [found.peer for found in peers] == ["ann", "bob", "c"]
    assert (peers[0].day.weight, peers[0].hour.weight) == (16, 0)
    account.pass_("6 minutes")
    assert account.desk.run(accounts, account.workspace)[0].day.unanswered == 2  # its worker died


def test_an_account_that_was_never_used_is_empty(account):
    (whole,) = account.desk.run(accounts, account.workspace)
    assert (whole.day.calls, whole.day.refused, whole.hour.weight) == (0, 0, 0)


def test_deleting_a_workspace_deletes_its_account(account):
    account.ask(limited())
    account.desk.sql("DELETE FROM workspaces WHERE id = :w", w=account.workspace)
    assert account.rows() == []
