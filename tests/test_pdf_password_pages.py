"""Passwords of PDFs in the portal: the owner sees them, and nobody else sees that there is one."""

import re
import sqlite3

import pytest

from messenger import link, pdf_password, pdf_record
from messenger.mailbox import mailbox_of
from messenger.pdf_record import Record

from .pdf_fixtures import mail
from .reader_fixtures import ALICE, BOB, KEY, OURS, PASSWORD, Portal, heading, portal

DIGEST = "ab" * 32
DAY = 86_400


@pytest.fixture
def site(tmp_path):
    return _site(tmp_path)


def _site(home, settings=""):
    (home / "keys").mkdir()
    (home / "keys" / "pdf.key").write_text(KEY.hex() + "\n")
    return portal(home, reader=f"[pdf]\n{settings}\n")


def sent(site: Portal, address=ALICE, digest=DIGEST, generation=0, options="otp-pdf") -> str:
    """What the milter leaves behind when it orders a PDF."""
    mailbox = mailbox_of(site.home / "mail", address)
    trace = f"Return-Path: <bob@example.org>\r\nX-Webmail-Options: {options}\r\nDelivered-To: {address}\r\n"
    raw = mail(Subject="A secret plan", **{"From": "bob@example.org"})
    mailbox.deliver(trace.encode() + raw, digest, "PDF", "S")
    pdf_id = pdf_password.id_of(digest, address)
    record = Record(pdf_id, digest, generation, int(site.clock.now), "bob@example.org")
    pdf_record.keep(mailbox.root.parent, record)
    return pdf_id


def shown(html: str) -> str:
    found = re.search(r'<output class="secret"[^>]*>([^<]*)</output>', html)
    return found[1] if found else ""


def audited(site: Portal, event="pdf password") -> list[str]:
    database = sqlite3.connect(site.home / "accounts" / "accounts.sqlite")
    return [row[0] for row in database.execute("SELECT detail FROM audit WHERE event = ?", (event,))]


def test_who_has_no_account_yet_comes_from_the_link_to_a_new_account_and_from_there_to_the_password(site):
    pdf_id, browser = sent(site), site.browser()

    led = site.get(browser, f"/l/{site.token(ALICE)}/{pdf_id}", follow_redirects=True)
    token = re.search(r'name="token" value="([^"]+)"', led.text)[1]
    back = re.search(r'name="next" value="([^"]+)"', led.text)[1]
    made = site.post(browser, "/signup", token=token, next=back, password=PASSWORD, again=PASSWORD)
    page = site.get(browser, made.location)

    assert heading(led.text) == "Choose a password"
    assert "To see its password, choose one of your own for this site first" in led.text
    assert "don’t travel as ordinary email" not in led.text + page.text
    assert shown(page.text) == pdf_password.password(KEY, ALICE, 0, pdf_id)
    assert "A secret plan" in page.text
    assert "bob@example.org" in page.text


def test_who_has_an_account_comes_from_the_link_to_the_log_in_and_from_there_to_the_password(site):
    pdf_id = sent(site)
    site.sign_up(site.browser())
    browser = site.browser()

    led = site.get(browser, f"/l/{site.token(ALICE)}/{pdf_id}", follow_redirects=True)
    back = re.search(r'name="next" value="([^"]+)"', led.text)[1]
    done = site.post(browser, "/login", address=ALICE, password=PASSWORD, next=back)

    assert heading(led.text) == "Log in"
    assert "To see the password of the PDF, log in with your own password" in led.text
    assert "A secret plan" not in led.text
    assert shown(site.get(browser, done.location).text)


def test_the_password_takes_the_generation_that_the_pdf_was_made_with(site):
    pdf_id, browser = sent(site, generation=7), site.browser()
    site.sign_up(browser)

    assert shown(site.get(browser, f"/pdfs/{pdf_id}").text) == pdf_password.password(KEY, ALICE, 7, pdf_id)


def test_without_a_log_in_there_is_no_password_and_no_list(site):
    pdf_id, browser = sent(site), site.browser()

    for path in (f"/pdfs/{pdf_id}", "/pdfs", f"/pdfs/{pdf_id}/answer"):
        answer = site.get(browser, path)
        assert answer.status_code == 303
        assert answer.location.startswith("/login?next=")


def test_somebody_elses_pdf_and_one_that_never_was_get_the_same_answer(site):
    theirs, browser = sent(site, BOB), site.browser()
    never = pdf_password.id_of("cd" * 32, BOB)
    site.sign_up(browser)

    answers = [site.get(browser, f"/pdfs/{pdf_id}") for pdf_id in (theirs, never)]

    assert [one.status_code for one in answers] == [404, 404]
    pages = [re.sub(r"\S*Z\S*|\d\d:\d\d", "", one.text).replace(theirs, "ID").replace(never, "ID") for one in answers]
    assert pages[0] == pages[1]
    assert audited(site) == []


def test_each_showing_is_in_the_audit_and_the_first_one_on_the_page(site):
    pdf_id, browser = sent(site), site.browser()
    site.sign_up(browser)

    site.get(browser, f"/pdfs/{pdf_id}")
    site.clock.now += 600
    again = site.get(browser, f"/pdfs/{pdf_id}")

    record = pdf_record.find(mailbox_of(site.home / "mail", ALICE).root.parent, pdf_id)
    assert audited(site) == [pdf_id, pdf_id]
    assert (record.shown, record.shown_from) == (1_800_000_000, "127.0.0.1")
    assert "from 127.0.0.1" in again.text


@pytest.mark.parametrize("purpose", ["prefetch", "prefetch;prerender"])
def test_a_browser_that_fetches_ahead_is_shown_nothing_and_notes_nothing(site, purpose):
    pdf_id, browser = sent(site), site.browser()
    site.sign_up(browser)

    answer = browser.get(f"/pdfs/{pdf_id}", base_url=site.base, headers=OURS | {"Sec-Purpose": purpose})

    assert (answer.status_code, shown(answer.text), audited(site)) == (404, "", [])


def test_a_sender_who_asked_for_a_receipt_is_told_of_the_first_showing_and_the_page_says_so(site):
    pdf_id, browser = sent(site, options="otp-pdf, read-receipt"), site.browser()
    other = sent(site, digest="cd" * 32)
    site.sign_up(browser)

    page, again, quiet = (site.get(browser, f"/pdfs/{one}").text for one in (pdf_id, pdf_id, other))

    assert "the password of its PDF was shown" in page
    assert "the password of its PDF was shown" in again
    assert "The sender asked" not in quiet
    assert len(audited(site, "receipt")) == 1


def test_a_typed_id_is_found_in_any_spelling_and_another_word_is_explained(site):
    pdf_id, browser = sent(site), site.browser()
    site.sign_up(browser)

    found = site.get(browser, "/pdfs?id=" + pdf_id.upper().replace("-", "+"))
    odd = site.get(browser, "/pdfs?id=%3Cb%3E0O1l")

    assert found.location == f"/pdfs/{pdf_id}"
    assert odd.status_code == 422
    assert 'value="' + "x" * 60 + '"' in site.get(browser, "/pdfs?id=" + "x" * 9000).text
    assert "sixteen letters and digits" in odd.text
    assert "<b>0O1l" not in odd.text


@pytest.mark.parametrize("rest", ["", "/answer"])
def test_what_stands_in_an_address_and_is_no_id_goes_into_no_field(site, rest):
    browser = site.browser()
    site.sign_up(browser)

    answer = site.get(browser, f"/pdfs/{'nonsense' * 20}{rest}")

    assert answer.status_code == 404
    assert "sixteen letters and digits" in answer.text
    assert re.search(r'<input id="id"[^>]* value=""', answer.text)
    assert "nonsense" not in answer.text.replace(f"/pdfs/{'nonsense' * 20}{rest}", "")


def test_of_a_message_that_was_deleted_the_password_stays_and_the_page_says_which_it_is(site):
    pdf_id, browser = sent(site), site.browser()
    site.sign_up(browser)
    mailbox_of(site.home / "mail", ALICE).remove(DIGEST, "PDF")

    listed, page = site.get(browser, "/pdfs").text, site.get(browser, f"/pdfs/{pdf_id}").text

    assert "Deleted message" in listed
    assert shown(page) == pdf_password.password(KEY, ALICE, 0, pdf_id)
    assert "Answer this message" not in page


def test_the_list_says_what_a_password_that_somebody_saw_gives_away_and_leads_to_the_log_in(site):
    sent(site)
    browser = site.browser()
    site.sign_up(browser)

    page = site.get(browser, "/pdfs").text

    assert "Each PDF has a password of its own: if somebody else saw one, the others are safe." in page
    assert 'href="/account/password"' in page
    assert 'href="/account/sessions"' in page


def test_the_list_names_what_was_sent_newest_first_and_what_was_not_seen_yet(site):
    first = sent(site)
    site.clock.now += 60
    second, browser = sent(site, digest="cd" * 32), site.browser()
    site.sign_up(browser)
    site.get(browser, f"/pdfs/{first}")

    page = site.get(browser, "/pdfs").text

    assert page.index(second) < page.index(first)
    assert page.count("not seen yet") == 1
    assert page.count("A secret plan") == 2
    inbox = site.get(browser, "/").text
    assert "<summary>Folders and PDF passwords</summary>" in inbox
    assert 'Their passwords are here: <a href="/pdfs">' in inbox


def test_who_was_never_sent_a_pdf_sees_no_link_to_any(site):
    browser = site.browser()
    site.sign_up(browser)

    assert "PDF passwords" not in site.get(browser, "/").text
    page = site.get(browser, "/pdfs").text
    assert "No message was sent to you as a PDF yet." in page
    assert f"you are logged in as {ALICE}" in page
    assert 'id="id"' not in page


def test_a_password_is_shown_for_as_long_as_the_site_says(tmp_path):
    site = _site(tmp_path, "password_days = 30")
    pdf_id, other, browser = sent(site), sent(site, digest="cd" * 32), site.browser()
    site.sign_up(browser)

    site.clock.now += 30 * DAY
    site.log_in(browser)
    before = site.get(browser, f"/pdfs/{pdf_id}")
    site.clock.now += 1
    after = site.get(browser, f"/pdfs/{pdf_id}")

    assert shown(before.text)
    assert (after.status_code, shown(after.text)) == (410, "")
    assert "First shown" in after.text
    unseen = site.get(browser, f"/pdfs/{other}").text
    assert "no longer shown" in unseen
    assert "First shown" not in unseen
    assert "no longer shown" in site.get(browser, "/pdfs").text


def test_a_link_that_is_too_old_for_a_new_account_still_leads_who_has_one_to_the_password(site):
    pdf_id = sent(site)
    token = site.token(ALICE)
    site.sign_up(site.browser())
    site.clock.now += 400 * DAY
    browser = site.browser()

    led = site.get(browser, f"/l/{token}/{pdf_id}", follow_redirects=True)
    back = re.search(r'name="next" value="([^"]+)"', led.text)[1]
    done = site.post(browser, "/login", address=ALICE, password=PASSWORD, next=back)

    assert heading(led.text) == "Log in"
    # Who has no account is told that this link opens none, instead of being sent back to it.
    assert "ask the sender to write to you again" in led.text
    assert shown(site.get(browser, done.location).text)
    assert site.get(browser, f"/l/{token}/{pdf_id}", follow_redirects=True).request.path == f"/pdfs/{pdf_id}"


def test_the_button_in_a_pdf_opens_the_form_to_answer_for_as_long_as_the_site_says(tmp_path):
    site = _site(tmp_path, "reply_days = 10")
    pdf_id, browser = sent(site), site.browser()
    token = site.token(ALICE)
    site.sign_up(browser)

    led = site.get(browser, f"/l/{token}/{pdf_id}/answer", follow_redirects=True)
    site.clock.now += 10 * DAY + 1
    site.log_in(browser)
    late = site.get(browser, f"/l/{token}/{pdf_id}/answer", follow_redirects=True)

    assert led.request.path == f"/message/{DIGEST}/reply"
    assert "A secret plan" in led.text
    assert late.request.path == f"/pdfs/{pdf_id}"
    assert "too old. The one below still works." in late.text
    assert "Answer this message" in late.text


def test_a_link_leads_to_no_other_site_and_one_that_was_cut_to_the_list(site):
    pdf_id, token, browser = sent(site), site.token(ALICE), site.browser()

    for rest in ("evil.test", "%2F%2Fevil.test", "%3Cb%3E", "0000-0000-0000-0000", pdf_id[:12]):
        led = site.get(browser, f"/l/{token}/{rest}", follow_redirects=True)
        assert heading(led.text) == "Choose a password"
        assert 'name="next" value="/pdfs"' in led.text
        assert rest not in led.text
    assert site.get(browser, f"/l/{token}/{pdf_id[:12]}/answer").status_code == 404
    forged = site.get(browser, f"/l/{link.token(bytes(32), ALICE, 1_800_000_000)}/{sent(site)}")
    assert "__Host-link" not in forged.headers.get("Set-Cookie", "")


def test_the_page_may_run_the_one_script_that_copies_and_no_other(site):
    pdf_id, browser = sent(site), site.browser()
    site.sign_up(browser)

    policies = [site.get(browser, f"/pdfs/{pdf_id}").headers["Content-Security-Policy"] for _ in range(2)]

    nonces = [re.search(r"script-src 'nonce-([\w-]{22})'", policy)[1] for policy in policies]
    assert nonces[0] != nonces[1]
    assert all("default-src 'none'" in policy for policy in policies)


def test_a_missing_pdf_key_is_trouble_of_the_site_and_told_as_such(site):
    pdf_id, browser = sent(site), site.browser()
    site.sign_up(browser)
    (site.home / "keys" / "pdf.key").unlink()

    answer = site.get(browser, f"/pdfs/{pdf_id}")

    assert answer.status_code == 500
    assert shown(answer.text) == ""
    assert audited(site) == []
