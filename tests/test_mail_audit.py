"""What a mail's pages leave in the audit: who opened what, by its code, and nothing that is in it."""

import pytest

from messenger.accounts import AccountsError
from messenger.link import reference

from .mail_pages_fixtures import deliver, logged_in, mail, with_file
from .reader_fixtures import ALICE, BOB, portal


@pytest.fixture(name="site")
def site_fixture(tmp_path):
    return portal(tmp_path)


@pytest.fixture(name="alice")
def alice_fixture(site):
    return logged_in(site)


def written(site):
    lines = site.app.extensions["messenger"].accounts.trail()
    return [
        (line.event, line.address, line.client, line.detail) for line in lines if line.event in ("read", "download")
    ]


@pytest.mark.parametrize(
    ("path", "event", "face"),
    [
        ("", "read", ""),
        ("/body", "read", " body"),
        ("/text", "read", " text"),
        ("/print", "read", " print"),
        ("/headers", "read", " headers"),
        ("/eml", "download", ""),
        ("/attachment/2", "download", " part 2"),
    ],
)
def test_whatever_shows_a_mail_is_written_down_by_its_code(site, alice, path, event, face):
    name = deliver(site, with_file(b"content", "text/csv", "secret.csv"))

    assert site.get(alice, f"/message/{name}{path}").status_code == 200

    assert written(site) == [(event, ALICE, "127.0.0.1", reference(name) + face)]


def test_what_is_not_shown_is_not_written_down(site, alice):
    of_bob = deliver(site, mail("For Bob"), BOB)
    mine = deliver(site, mail())

    site.get(alice, f"/message/{of_bob}")
    site.get(alice, f"/message/{mine}/attachment/99")
    site.get(alice, "/")
    site.get(site.browser(), f"/message/{mine}")

    assert written(site) == []


@pytest.mark.parametrize("path", ["", "/eml"])
def test_a_full_disk_hides_no_mail_from_its_reader(site, alice, monkeypatch, caplog, path):
    name = deliver(site, mail(text="Good morning"))
    accounts = site.app.extensions["messenger"].accounts

    def full():
        raise AccountsError("database or disk is full")

    monkeypatch.setattr(accounts._file, "writing", full)
    answer = site.get(alice, f"/message/{name}{path}")

    assert answer.status_code == 200
    assert "Good morning" in answer.text
    assert "not in the audit: read" in caplog.text or "not in the audit: download" in caplog.text
