"""Sessions: who is let in on which device, and until when."""

import pytest

from messenger.accounts import Accounts

from .accounts_fixtures import ALICE, AWAY, BOB, HASHER, HOME, NOW, accounts_fixture, path_fixture, rows, sign_up  # noqa: F401


def test_a_session_is_known_by_its_token_alone(accounts):
    account = sign_up(accounts)

    token = accounts.open_session(account.id, HOME, NOW)

    found = accounts.session(token, NOW)
    assert found is not None
    assert found.account == account
    assert len(token) >= 43
    for other in ("", token[:-1], token + "A", token.swapcase(), "\x00", "é" * 43):
        assert accounts.session(other, NOW) is None


def test_every_session_has_a_token_of_its_own(accounts):
    account = sign_up(accounts)

    assert len({accounts.open_session(account.id, HOME, NOW) for _ in range(20)}) == 20


def test_a_session_left_alone_for_a_quarter_of_an_hour_is_over(accounts):
    token = accounts.open_session(sign_up(accounts).id, HOME, NOW)

    assert accounts.session(token, NOW + 899) is not None
    assert accounts.session(token, NOW + 899 + 900) is None


def test_a_session_in_use_lasts_eight_hours_and_not_longer(accounts):
    token = accounts.open_session(sign_up(accounts).id, HOME, NOW)
    minutes = [minute for minute in range(0, 600, 10) if accounts.session(token, NOW + minute * 60)]

    assert minutes[-1] == 470


def test_reading_writes_at_most_once_a_minute(accounts, path):
    token = accounts.open_session(sign_up(accounts).id, HOME, NOW)

    accounts.session(token, NOW + 59)
    before = rows(path, "SELECT seen FROM session")
    accounts.session(token, NOW + 60)

    assert before == [(NOW,)]
    assert rows(path, "SELECT seen FROM session") == [(NOW + 60,)]


def test_a_late_request_does_not_turn_a_session_back(accounts, path):
    token = accounts.open_session(sign_up(accounts).id, HOME, NOW)

    accounts.session(token, NOW + 500)
    accounts.session(token, NOW + 400)

    assert rows(path, "SELECT seen FROM session") == [(NOW + 500,)]


def test_a_log_out_ends_that_session_and_no_other(accounts):
    account = sign_up(accounts)
    here, there = (accounts.open_session(account.id, HOME, NOW) for _ in range(2))

    accounts.end_session(here, HOME, NOW)
    accounts.end_session(here, HOME, NOW)
    accounts.end_session("no such token", HOME, NOW)

    assert accounts.session(here, NOW) is None
    assert accounts.session(there, NOW) is not None


def test_all_sessions_of_one_account_end_at_once(accounts):
    alice, bob = sign_up(accounts), sign_up(accounts, BOB)
    tokens = [accounts.open_session(alice.id, HOME, NOW) for _ in range(3)]
    other = accounts.open_session(bob.id, HOME, NOW)

    assert accounts.end_all(alice.id, HOME, NOW) == 3

    assert [accounts.session(token, NOW) for token in tokens] == [None] * 3
    assert accounts.session(other, NOW) is not None


def test_sessions_that_are_over_are_thrown_away(accounts, path):
    account = sign_up(accounts)
    accounts.open_session(account.id, HOME, NOW)

    accounts.open_session(account.id, HOME, NOW + 3600)
    assert accounts.end_all(account.id, HOME, NOW + 3600) == 1  # the one that ran out is none to count
    accounts.open_session(account.id, HOME, NOW + 3600)
    later = NOW + 3600 + 8 * 3600 + 86_400
    accounts.open_session(account.id, HOME, later)

    assert rows(path, "SELECT opened FROM session") == [(later,)]


def test_a_session_tells_its_device_and_when_it_ends(accounts):
    account = sign_up(accounts)
    token = accounts.open_session(account.id, HOME, NOW, agent="Firefox\n\x1b[31m on \u202e Linux " + "x" * 500)

    found = accounts.session(token, NOW + 30)

    assert (found.client, found.opened, found.seen) == (HOME, NOW, NOW + 30)
    assert found.agent.startswith("Firefox [31m on Linux xxx")
    assert len(found.agent) == 200
    assert (found.ends, found.latest) == (NOW + 900, NOW + 8 * 3600)


@pytest.mark.parametrize("used", [0, 59, 60, 500])
def test_a_session_left_alone_ends_when_it_said(accounts, used):
    token = accounts.open_session(sign_up(accounts).id, HOME, NOW)
    ends = accounts.session(token, NOW + used).ends

    assert accounts.session(token, ends) is None
    assert [session.ends for session in accounts.sessions(1, ends - 1)] == [ends]
    assert accounts.session(token, ends - 1) is not None


def test_a_session_never_ends_later_than_in_any_case(path):
    accounts = Accounts(path, idle_minutes=1440, absolute_hours=1, hasher=HASHER)

    found = accounts.session(accounts.open_session(sign_up(accounts).id, HOME, NOW), NOW)

    assert found.ends == found.latest == NOW + 3600


def test_what_names_a_session_on_pages_logs_nobody_in(accounts):
    token = accounts.open_session(sign_up(accounts).id, HOME, NOW)

    assert accounts.session(accounts.session(token, NOW).id, NOW) is None


def test_live_sessions_are_listed_the_last_used_first(accounts):
    account = sign_up(accounts)
    accounts.open_session(account.id, HOME, NOW - 900)
    first = accounts.open_session(account.id, HOME, NOW)
    second = accounts.open_session(account.id, AWAY, NOW + 1)
    accounts.open_session(sign_up(accounts, BOB).id, HOME, NOW)
    accounts.session(first, NOW + 120)

    assert [session.client for session in accounts.sessions(account.id, NOW + 120)] == [HOME, AWAY]
    accounts.session(second, NOW + 240)
    assert [session.client for session in accounts.sessions(account.id, NOW + 240)] == [AWAY, HOME]
    assert accounts.sessions(account.id, NOW + 1200) == []


def test_one_session_is_ended_by_its_name_and_only_by_its_owner(accounts):
    alice, bob = sign_up(accounts), sign_up(accounts, BOB)
    here, there = (accounts.open_session(alice.id, HOME, NOW) for _ in range(2))
    name = accounts.session(there, NOW).id

    assert not accounts.end_one(bob.id, name, HOME, NOW)
    assert accounts.end_one(alice.id, name, HOME, NOW)
    assert not accounts.end_one(alice.id, name, HOME, NOW)

    assert accounts.session(there, NOW) is None
    assert accounts.session(here, NOW) is not None
    assert [event.address for event in accounts.trail() if event.event == "session ended"] == [ALICE]


def test_all_sessions_but_this_one_end(accounts):
    account = sign_up(accounts)
    tokens = [accounts.open_session(account.id, HOME, NOW) for _ in range(3)]

    assert accounts.end_all(account.id, HOME, NOW, except_token=tokens[1]) == 2

    assert [bool(accounts.session(token, NOW)) for token in tokens] == [False, True, False]


@pytest.mark.parametrize("number", [0, 99])
def test_a_session_of_nobody_opens_nothing(accounts, number):
    assert accounts.session(accounts.open_session(number, HOME, NOW), NOW) is None


def test_a_look_at_a_session_is_one_read(accounts):
    token = accounts.open_session(sign_up(accounts).id, HOME, NOW)
    statements: list[str] = []
    with accounts._file.reading() as db:
        db.conn.set_trace_callback(statements.append)

    accounts.session(token, NOW + 59)

    assert len(statements) == 1
    assert statements[0].split()[0] == "SELECT"


def test_a_second_factor_begun_long_ago_is_thrown_away_at_the_next_log_in(accounts):
    account = sign_up(accounts)
    accounts.begin_totp(account.id, NOW)

    accounts.open_session(account.id, HOME, NOW + 3599)
    kept = accounts.pending_totp(account.id)
    accounts.open_session(account.id, HOME, NOW + 3600)

    assert kept is not None
    assert accounts.pending_totp(account.id) is None


def test_a_session_that_ran_out_says_for_a_day_whose_it_was_and_lets_nobody_in(accounts):
    account = sign_up(accounts)
    token = accounts.open_session(account.id, HOME, NOW)
    accounts.open_session(sign_up(accounts, BOB).id, HOME, NOW + 2000)  # throws old ones away

    assert accounts.lapsed(token, NOW + 899) is None  # it is live
    for moment in (NOW + 900, NOW + 900 + 86_399):
        assert accounts.lapsed(token, moment) == account
        assert accounts.session(token, moment) is None
    assert accounts.lapsed(token, NOW + 900 + 86_400) is None
    assert accounts.lapsed(token[:-1], NOW + 1000) is None


def test_a_session_that_was_ended_on_purpose_is_nobodys(accounts):
    account = sign_up(accounts)
    out, everywhere, changed, pending, shut = (
        accounts.open_session(account.id, HOME, NOW, pending="code" if at == 3 else "") for at in range(5)
    )

    accounts.end_session(out, HOME, NOW + 1)
    assert accounts.lapsed(out, NOW + 1000) is None
    assert accounts.lapsed(pending, NOW + 1000) is None
    assert accounts.lapsed(everywhere, NOW + 1000) == account
    accounts.disable(account.id, "admin:root", NOW + 1001)
    accounts.enable(account.id, "admin:root", NOW + 1002)
    for token in (everywhere, changed, shut):
        assert accounts.lapsed(token, NOW + 1003) is None


def test_so_many_are_allowed_in_an_hour_and_refusals_do_not_count(accounts, path):
    account, other = sign_up(accounts), sign_up(accounts, BOB)

    first = [accounts.allow("reply", account.id, 3, HOME, NOW + at) for at in range(5)]

    assert first == [True, True, True, False, False]
    assert accounts.allow("reply", other.id, 3, HOME, NOW)
    assert accounts.allow("draft kept", account.id, 3, HOME, NOW)
    assert not accounts.allow("reply", account.id, 3, HOME, NOW + 3599)
    assert [accounts.allow("reply", account.id, 3, HOME, NOW + 3601) for _ in range(3)] == [True, True, False]
