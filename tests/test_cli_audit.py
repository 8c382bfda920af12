"""messenger audit: what is in it, since when and of whom, for people and for scripts."""

import json
import time

import pytest

from .account_commands_fixtures import desk_fixture  # noqa: F401
from .accounts_fixtures import ALICE, AWAY, BOB, HOME, NOW, WRONG
from .cli_fixtures import made_site_fixture, messenger_fixture, site_fixture  # noqa: F401

DAY = 86_400


def lines(done):
    return [json.loads(line) for line in done.out.splitlines()]


def test_the_audit_is_in_columns_the_oldest_line_first(desk):
    desk.sign_up(ALICE, NOW)
    desk.accounts().verify(ALICE, WRONG, AWAY, NOW + 60)
    desk.accounts().audit("read", "done", desk.accounts().find(ALICE).id, HOME, NOW + 120, "4CDF-7KMQ")

    done = desk.audit()

    assert (done.status, done.err) == (0, "")
    assert done.out == (
        "time                  event    outcome  address            client        detail\n"
        "2027-01-15T08:00:00Z  sign-up  done     alice@example.net  192.0.2.7     -\n"
        "2027-01-15T08:01:00Z  log-in   refused  alice@example.net  198.51.100.9  -\n"
        "2027-01-15T08:02:00Z  read     done     alice@example.net  192.0.2.7     4CDF-7KMQ\n"
    )


def test_the_audit_for_scripts_has_one_object_a_line(desk):
    desk.accounts().verify("nobody@example.net", WRONG, AWAY, NOW)

    assert lines(desk.audit("--json")) == [
        {
            "time": "2027-01-15T08:00:00Z",
            "event": "log-in",
            "outcome": "refused",
            "address": None,
            "client": AWAY,
            "detail": None,
        }
    ]


def test_the_audit_can_be_of_one_address_in_any_spelling_and_outlives_the_account(desk):
    desk.sign_up(ALICE, NOW)
    desk.sign_up(BOB, NOW)
    desk.account("delete", ALICE, "--yes")

    found = lines(desk.audit("--json", "--account", "Alice@EXAMPLE.net"))

    assert [(line["event"], line["address"]) for line in found] == [("sign-up", ALICE), ("delete", ALICE)]


def test_only_lines_of_administrators_are_found_by_the_address_they_name(desk):
    desk.account("invite", BOB)
    desk.accounts().audit("read", "done", None, HOME, NOW, BOB)

    assert [line["event"] for line in lines(desk.audit("--json", "--account", BOB))] == ["invite"]


@pytest.mark.parametrize(
    ("since", "count"),
    [
        ("2027-01-15", 2),
        ("2027-01-15T08:00", 2),
        ("2027-01-15T08:00:01", 1),
        ("2027-01-15T10:00+02:00", 2),
        ("2027-01-15T08:00:00Z", 2),
        ("2027-01-16", 1),
        ("2027-01-16T08:00:01", 0),
        ("1969-01-01", 2),
        ("0001-01-01", 2),
    ],
)
def test_since_is_a_moment_in_utc_that_still_counts(desk, since, count):
    desk.sign_up(ALICE, NOW)
    desk.sign_up(BOB, NOW + DAY)

    assert len(lines(desk.audit("--json", "--since", since))) == count


@pytest.mark.parametrize(("since", "count"), [("7d", 3), ("48h", 2), ("1d", 1), ("0h", 0), ("999999d", 3)])
def test_since_can_be_how_long_ago(desk, since, count):
    now = int(time.time())
    for number, ago in enumerate((3 * DAY, DAY + 3600, 3600)):
        desk.sign_up(f"n{number}@example.net", now - ago)

    assert len(lines(desk.audit("--json", "--since", since))) == count


@pytest.mark.parametrize(
    "since", ["yesterday", "7", "7 d", "-1d", "2026-13-01", "", "9999999d", "9999-12-31T23:59-14:00x"]
)
def test_any_other_since_is_wrong_usage(desk, since):
    done = desk.audit("--since", since)

    assert (done.status, done.out) == (64, "")
    assert "expected 2026-11-01, 2026-11-01T10:00 (UTC), 7d or 12h" in done.err


def test_what_is_no_address_leaves_with_65(desk):
    assert desk.audit("--account", "alice").status == 65


def test_nothing_found_is_a_heading_for_people_and_nothing_for_scripts(desk):
    assert len(desk.audit("--account", ALICE).out.splitlines()) == 1
    assert desk.audit("--account", ALICE, "--json").out == ""
