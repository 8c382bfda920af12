"""The line about a signature on a message's page, and the file of issuers it goes by."""

import re
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from messenger import chain
from messenger.chain import RootsError, load_roots
from messenger_reader import own_trust, trust

from .mail_pages_fixtures import deliver, logged_in, mail
from .reader_fixtures import BOB, portal
from .signed_mail import ANNA, HEAD, TEXT, issued, office, root, signed


@pytest.fixture
def site(tmp_path):
    (tmp_path / "roots.pem").write_bytes(root().pair.certificate.public_bytes(Encoding.PEM))
    return portal(tmp_path, reader='trusted_roots = "roots.pem"')


def page(site, browser, raw):
    return " ".join(site.get(browser, f"/message/{deliver(site, raw)}").text.split())


def test_the_page_says_who_signed_and_what_that_means(site, tmp_path):
    browser = logged_in(site)

    found = page(site, browser, signed(tmp_path))

    assert f"<strong>Signed by {ANNA}.</strong>" in found
    assert "issued by Example Root." in found
    assert "What Anna signed." in found


def test_each_doubt_has_its_sentence(site, tmp_path):
    browser = logged_in(site)
    sign = signed(tmp_path)
    eve = issued("Eve", office(), address="eve@example.com")
    said = {
        "Signed, but the certificate is not known here.": signed(tmp_path, issued("X", address=ANNA), chain=()),
        "Signed by somebody else than the sender.": signed(tmp_path, eve),
        "The signature doesn’t fit the message.": sign.replace(b"What Anna", b"What Eve"),
        "Signed, but the message doesn’t name exactly one sender.": signed(tmp_path, head=HEAD + "From: b@b.test\r\n"),
        "This message is encrypted with PGP.": mail(text="-----BEGIN PGP MESSAGE-----\n\nhF4D\n"),
    }

    for sentence, raw in said.items():
        found = page(site, browser, raw)
        assert f"<strong>{sentence}</strong>" in found
        assert "Signed by anna" not in found


def test_the_certificate_is_looked_at_each_time_and_the_mail_once(site, tmp_path, monkeypatch):
    browser = logged_in(site)
    raw = signed(tmp_path)
    assert "Signed by" in page(site, browser, raw)
    monkeypatch.setattr(trust, "examine", lambda *_: pytest.fail("examined again"))

    assert "Signed by" in page(site, browser, raw)
    site.clock.now += timedelta(days=201).total_seconds()
    again = site.browser()
    site.log_in(again)
    assert "the certificate has expired on" in page(site, again, raw)


def test_what_is_kept_in_mind_belongs_to_one_mailbox_and_does_not_grow(site, tmp_path, monkeypatch):
    monkeypatch.setattr(own_trust, "KEPT", 2)
    alice, bob = logged_in(site), logged_in(site, BOB)
    raw = signed(tmp_path)
    name = deliver(site, raw)
    deliver(site, signed(tmp_path, None, TEXT, "-keyid"), BOB)

    for subject in "abc":
        page(site, alice, mail(subject))
    site.get(alice, f"/message/{name}")

    kept = site.app.extensions["messenger-trust"]._kept
    assert list(kept)[-1] == ("alice@example.net", name)
    assert len(kept) == 2
    assert site.get(bob, f"/message/{name}").status_code == 404


def test_nothing_of_a_certificate_is_markup(site, tmp_path):
    browser = logged_in(site)
    hostile = issued("<b>x</b>", office(), address='"<script>alert(1)</script>"@example.com')

    found = page(site, browser, signed(tmp_path, hostile))

    assert "Signed by somebody else" in found
    assert not re.search(r"<script|<b>x", found)


def test_without_issuers_nobody_is_trusted_and_all_is_shown(tmp_path):
    site = portal(tmp_path, reader='trusted_roots = "/dev/null"')
    browser = logged_in(site)

    found = page(site, browser, signed(tmp_path))

    assert "the certificate is not known here" in found
    assert "What Anna signed." in found


@pytest.mark.parametrize("content", [b"something else", b"-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n"])
def test_a_file_that_holds_no_issuers_is_refused(tmp_path, content):
    path = tmp_path / "roots.pem"
    path.write_bytes(content)

    with pytest.raises(RootsError, match=r"roots\.pem"):
        load_roots(path)
    with pytest.raises(RootsError, match="no such file"):
        load_roots(tmp_path / "other.pem")


def test_the_systems_issuers_may_be_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(chain, "SYSTEM_ROOTS", tmp_path / "none.pem")

    assert load_roots(tmp_path / "none.pem") == ()
