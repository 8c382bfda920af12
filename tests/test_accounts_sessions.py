"""Sessions: who is let in on which device, and until when."""

from .accounts_fixtures import BOB, HOME, NOW, accounts_fixture, path_fixture, rows, sign_up  # noqa: F401


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

    assert rows(path, "SELECT opened FROM session") == [(NOW + 3600,)]
