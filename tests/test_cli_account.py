"""messenger account: who has one, ways in for who lost one, and what an administrator changes."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from messenger import preferences
from messenger.cli import rows
from messenger.preferences import Preferences

from .account_commands_fixtures import desk_fixture, text_of  # noqa: F401
from .account_words_fixtures import TODAY, by, events
from .accounts_fixtures import ALICE, AWAY, BOB, CAROL, HOME, NOW, PASSWORD, enrol
from .cli_fixtures import made_site_fixture, messenger_fixture, site_fixture  # noqa: F401
from .mailbox_fixtures import NAME, RAW

ACTS = ("disable", "enable", "reset-totp", "end-sessions", "delete")


def with_second_factor(desk, address=ALICE):
    accounts = desk.accounts()
    enrol(accounts, accounts.sign_up(address, PASSWORD, HOME, NOW))


def test_the_list_has_one_line_for_each_account_by_address_in_columns(desk):
    desk.sign_up(BOB, NOW)
    with_second_factor(desk, ALICE)
    desk.accounts().disable(desk.accounts().find(BOB).id, "admin:x", NOW + 60)

    done = desk.account("list")

    assert (done.status, done.err) == (0, "")
    assert done.out == (
        "address            created               last log-in           second factor       disabled\n"
        "alice@example.net  2027-01-15T08:00:00Z  2027-01-15T08:00:00Z  yes, 10 codes left  -\n"
        "bob@example.net    2027-01-15T08:00:00Z  2027-01-15T08:00:00Z  no                  2027-01-15T08:01:00Z\n"
    )


def test_the_list_for_scripts_has_one_object_a_line(desk):
    desk.sign_up(ALICE, NOW)

    (line,) = desk.account("list", "--json").out.splitlines()

    assert json.loads(line) == {
        "address": ALICE,
        "created": "2027-01-15T08:00:00Z",
        "last_log_in": "2027-01-15T08:00:00Z",
        "second_factor": False,
        "recovery_codes": 0,
        "disabled": None,
    }


def test_the_list_can_be_of_those_alone_who_are_disabled_or_have_no_second_factor(desk):
    with_second_factor(desk, ALICE)
    desk.sign_up(BOB, NOW)
    desk.sign_up(CAROL, NOW)
    desk.account("disable", CAROL)

    def listed(*words):
        return [json.loads(line)["address"] for line in desk.account("list", "--json", *words).out.splitlines()]

    assert listed("--disabled") == [CAROL]
    assert listed("--without-totp") == [BOB, CAROL]
    assert listed("--without-totp", "--disabled") == [CAROL]


def test_an_empty_list_is_a_heading_for_people_and_nothing_for_scripts(desk):
    assert desk.account("list").out.startswith("address  created")
    assert desk.account("list", "--json").out == ""


def test_a_column_widens_for_later_rows_and_never_again_narrows(capsys):
    cells = [("a", "b")] * rows.ROWS + [("a" * 9, "b"), *[("a", "b")] * rows.ROWS]

    rows.print_columns(("x", "y"), cells)

    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(cells) + 1
    assert lines[:2] == ["x  y", "a  b"]
    assert lines[-1] == "a          b"


def test_what_could_play_tricks_on_a_terminal_is_not_printed(capsys):
    rows.print_columns(("x",), [("a\x1b]0;title\x07\u202eb\nc",)])

    assert capsys.readouterr().out == "x\na ]0;title b c\n"


def test_show_tells_all_but_the_owners_phrase(desk):
    desk.sign_up(ALICE, NOW, language="de", time_zone="Europe/Berlin")
    token = desk.accounts().open_session(desk.accounts().find(ALICE).id, HOME, TODAY)
    assert desk.accounts().session(token, TODAY)
    mailbox = desk.mailbox(ALICE)
    mailbox.deliver(RAW, NAME)
    mailbox.deliver(RAW, NAME, folder="Archive")
    preferences.write(mailbox.root.parent, Preferences(phrase="seven green herons", notices="hourly"))

    done = desk.account("show", ALICE)
    found = json.loads(desk.account("show", ALICE, "--json").out)

    assert found == {
        "address": ALICE,
        "created": "2027-01-15T08:00:00Z",
        "disabled": None,
        "language": "de",
        "time_zone": "Europe/Berlin",
        "second_factor": False,
        "recovery_codes": 0,
        "sessions": 1,
        "last_seen": rows.moment(TODAY),
        "notices": "hourly",
        "phrase_set": True,
        "mailbox": str(mailbox.root),
        "messages": 2,
        "octets": 2 * len(RAW),
    }
    assert "heron" not in done.out
    assert re.search(r"^second factor: +no$", done.out, re.MULTILINE)
    assert re.search(r"^disabled: +-$", done.out, re.MULTILINE)


def test_who_still_owes_a_code_counts_as_no_session(desk):
    with_second_factor(desk)
    desk.accounts().open_session(desk.accounts().find(ALICE).id, HOME, TODAY)

    found = json.loads(desk.account("show", ALICE, "--json").out)

    assert (found["sessions"], found["last_seen"]) == (0, None)
    assert (found["second_factor"], found["recovery_codes"], found["messages"]) == (True, 10, 0)


@pytest.mark.parametrize("spelling", ["ALICE@Example.NET", "<alice@example.net>", '"alice"@example.net'])
@pytest.mark.parametrize("act", ["show", "disable", "delete"])
def test_an_address_may_be_in_any_spelling(desk, act, spelling):
    desk.sign_up(ALICE, NOW)

    done = desk.account(act, spelling, "--json", *["--yes"] * (act == "delete"))

    assert json.loads(done.out)["address"] == ALICE


@pytest.mark.parametrize("act", ["show", *ACTS])
def test_an_address_without_an_account_leaves_with_67_and_says_where_to_look(desk, act):
    done = desk.account(act, ALICE, *["--yes"] * (act == "delete"))

    assert (done.status, done.out) == (67, "")
    assert done.err.startswith(f"messenger: {ALICE}: no account; `messenger account list` shows")


@pytest.mark.parametrize("act", ["show", "invite", *ACTS])
def test_what_is_no_address_leaves_with_65(desk, act):
    done = desk.account(act, "alice at example")

    assert done.status == 65
    assert "expected user@domain" in done.err


def test_a_disabled_account_is_logged_out_and_shut_and_its_owner_told(desk):
    account = desk.sign_up(ALICE, NOW)
    token = desk.accounts().open_session(account, HOME, TODAY)

    done = desk.account("disable", ALICE)

    accounts = desk.accounts()
    assert accounts.session(token, TODAY) is None
    assert accounts.verify(ALICE, PASSWORD, HOME, TODAY) is None
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith(f"{ALICE}: disabled, and logged out everywhere")
    assert "have closed your account" in text_of(desk.letters()[0])
    assert ("disable", by()) in events(desk)


def test_an_enabled_account_is_open_again_and_its_owner_told(desk):
    desk.sign_up(ALICE, NOW)
    desk.account("disable", ALICE)

    done = desk.account("enable", ALICE)

    assert desk.accounts().verify(ALICE, PASSWORD, HOME, TODAY)
    assert (done.status, done.err) == (0, "")
    assert "have opened your account again" in text_of(desk.letters()[1]).replace("\n", " ")
    assert ("enable", by()) in events(desk)


def test_a_second_factor_that_was_lost_is_taken_off_and_its_owner_told(desk):
    with_second_factor(desk)

    done = desk.account("reset-totp", ALICE)

    accounts = desk.accounts()
    assert accounts.find(ALICE).second_factor is False
    assert accounts.recovery_left(accounts.find(ALICE).id) == 0
    assert (done.status, done.err) == (0, "")
    assert done.out.endswith("the password alone is enough now. A letter tells the owner.\n")
    assert "have removed the authenticator app" in text_of(desk.letters()[0]).replace("\n", " ")
    assert ("reset-totp", by()) in events(desk)


def test_where_everybody_needs_one_the_next_log_in_sets_up_another_second_factor(desk):
    with_second_factor(desk)
    settings = desk.folder / "messenger.toml"
    settings.write_text(settings.read_text().replace('require_totp = "offered"', 'require_totp = "always"'))

    done = desk.account("reset-totp", ALICE)

    assert done.out.endswith("the next log-in sets another one up. A letter tells the owner.\n")


@pytest.mark.parametrize(
    ("act", "said"),
    [
        ("disable", "disabled already, since 2027-01-15T08:00:00Z"),
        ("enable", "open already"),
        ("reset-totp", "has no second factor"),
    ],
)
def test_what_is_so_already_is_said_and_nobody_is_written_to(desk, act, said):
    account = desk.sign_up(ALICE, NOW)
    if act == "disable":
        desk.accounts().disable(account, "admin:x", NOW)
    before = events(desk)

    done = desk.account(act, ALICE)

    assert (done.status, done.out) == (0, f"{ALICE}: {said}\n")
    assert desk.letters() == []
    assert events(desk) == before


def test_sessions_end_on_every_device_and_the_password_stays(desk):
    account = desk.sign_up(ALICE, NOW)
    tokens = [desk.accounts().open_session(account, client, TODAY) for client in (HOME, AWAY)]

    done = desk.account("end-sessions", ALICE)

    assert [desk.accounts().session(token, TODAY) for token in tokens] == [None, None]
    assert desk.accounts().verify(ALICE, PASSWORD, HOME, TODAY)
    assert done.out == f"{ALICE}: logged out everywhere (2 sessions)\n"
    assert desk.letters() == []
    assert ("end-sessions", by()) in events(desk)


@pytest.mark.parametrize("act", ["disable", "enable", "reset-totp", "delete"])
def test_what_was_done_stays_done_when_its_letter_can_not_be_sent(desk, act):
    with_second_factor(desk)
    if act == "enable":
        desk.account("disable", ALICE)
    desk.break_mail()

    done = desk.account(act, ALICE, *["--yes"] * (act == "delete"))

    found = desk.accounts().find(ALICE)
    state = "gone" if found is None else "shut" if found.disabled else "plain" if not found.second_factor else "open"
    assert state == {"disable": "shut", "enable": "open", "reset-totp": "plain", "delete": "gone"}[act]
    assert done.status == 75
    assert done.out.startswith(f"{ALICE}: ")
    assert f"{ALICE}: that is done, but the letter about it was not sent: " in done.err
    assert "tell the owner in another way" in done.err


def test_for_scripts_a_failed_letter_is_in_the_object_too(desk):
    desk.sign_up(ALICE, NOW)
    desk.break_mail()

    done = desk.account("disable", ALICE, "--json")

    assert json.loads(done.out) == {"address": ALICE, "act": "disable", "changed": True, "letter": "failed"}
    assert done.status == 75


def test_a_letter_is_in_its_owners_language_with_their_phrase(desk):
    desk.sign_up(ALICE, NOW, language="de")
    desk.mailbox(ALICE).ensure()
    preferences.write(desk.mailbox(ALICE).root.parent, Preferences(phrase="sieben grüne Reiher"))

    desk.account("disable", ALICE)

    assert desk.letters()[0]["Content-Language"] == "de"
    assert "sieben grüne Reiher" in text_of(desk.letters()[0])


def test_the_audit_names_who_became_root(desk, monkeypatch):
    monkeypatch.setenv("SUDO_USER", "mia\x1b")
    desk.sign_up(ALICE, NOW)

    desk.account("disable", ALICE)

    assert events(desk)[-1] == ("disable", "admin:mia")


def test_a_database_that_is_not_there_yet_leaves_with_66_and_is_not_made(desk):
    database = desk.config().accounts.database
    database.unlink()

    done = desk.account("list")

    assert done.status == 66
    assert "no accounts yet; messenger-reader makes them when it starts" in done.err
    assert not database.exists()


def test_a_database_that_is_none_leaves_with_75_and_names_the_mend(desk):
    database = desk.config().accounts.database
    database.write_bytes(b"no database at all" * 100)

    done = desk.account("list")

    assert done.status == 75
    assert "it must be a SQLite file" in done.err


def test_a_list_that_nobody_reads_on_is_no_error(desk):
    with desk.accounts()._file.writing() as db:
        for number in range(1, 5001):
            db.execute(
                "INSERT INTO account(id, created, language, time_zone, generation) VALUES (?, ?, 'en', 'UTC', 0)",
                [number, NOW],
            )
            db.execute("INSERT INTO address VALUES (?, ?, 1, ?)", [f"n{number:07}@example.net", number, NOW])

    done = subprocess.run(
        f"'{Path(sys.executable).parent}/messenger' account list --config {desk.folder}/messenger.toml "
        "| head -2; exit ${PIPESTATUS[0]}",
        shell=True, executable="/bin/bash", capture_output=True, text=True,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 2
    assert len(desk.account("list", "--json").out.splitlines()) == 5000


def test_the_key_of_second_factors_is_not_needed(desk):
    with_second_factor(desk)
    desk.config().accounts.totp_key.unlink(missing_ok=True)

    assert desk.account("reset-totp", ALICE).status == 0
