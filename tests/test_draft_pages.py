"""Drafts: kept with everything, taken up again, sent or deleted."""

from .mail_pages_fixtures import deliver, flags
from .writing_fixtures import CROWD, TWO, alice_fixture, files  # noqa: F401


def test_a_draft_opens_again_with_everything_and_goes_when_it_is_sent(alice):
    name = deliver(alice.site, CROWD)

    page = alice.save(f"/message/{name}/reply-all", TWO, text="Half a\r\n\r\n  sentence", subject="Größe")

    [(kept, flagged, stored)] = alice.folder("Drafts")
    assert f'href="/draft/{kept}"' in alice.get("/folder/Drafts").text
    assert f'href="/draft/{kept}"' in alice.get(f"/message/{kept}").text
    assert flagged == "DS"
    assert stored.text == "Half a\n\n  sentence"
    form = alice.form(page)
    assert (form["text"], form["subject"]) == ("Half a\r\n\r\n  sentence", "Größe")
    assert (form["to"], form["cc"]) == ("bob@example.org", "carl@example.org")
    shown = alice.get(page).text
    assert "plan.pdf" in shown
    assert "eve@elsewhere.example" in shown
    alice.post(form, do="send")
    [read] = alice.sent
    assert files(read, alice.system.taken[0][0]) == TWO
    assert dict(read.headers)["In-Reply-To"] == "<one@example.org>"
    assert not any(key.startswith("X-Messenger") for key, _ in read.headers)
    assert alice.folder("Drafts") == []
    assert flags(alice.site, name) == "R"


def test_a_draft_that_is_saved_again_is_one_draft(alice):
    page = alice.save("/compose", TWO, to="bob", text="one")
    again = alice.save(page, [("more.txt", b"x")], text="two")

    key = alice.get(again).text.partition('name="remove" value="')[2].partition('"')[0]
    last = alice.save(again, remove=key)

    [(_, _, stored)] = alice.folder("Drafts")
    assert alice.form(last)["to"] == "bob"
    assert stored.text == "two"
    assert [part.filename for part in stored.attachments] == ["Größe.csv", "more.txt"]


def test_a_page_that_is_older_than_its_draft_loses_no_file(alice):
    page = alice.save("/compose", TWO, to="bob@example.org", text="one")
    old = alice.form(page)
    alice.save(page, text="two")

    alice.post(old, do="send", text="three")

    assert files(alice.sent[0], alice.system.taken[0][0]) == TWO
    assert alice.folder("Drafts") == []


def test_a_draft_of_another_mail_program_is_taken_up(alice):
    raw = b"From: alice@example.net\r\nTo: bob@example.org\r\nSubject: Theirs\r\nMessage-ID: <x@y>\r\n"
    raw += b"In-Reply-To: odd \xc3\xbc <a@b>\r\nReferences: <a@b> x" + b"y" * 2000 + b"\r\n\r\nWords\r\n"
    alice.mailbox.deliver(raw, "1234.theirs", "Drafts", "D")

    form = alice.form("/draft/1234.theirs")
    alice.post(form, do="send")

    assert (form["to"], form["subject"], form["text"]) == ("bob@example.org", "Theirs", "Words")
    assert [dict(read.headers)["In-Reply-To"] for read in alice.sent] == ["<a@b>"]
    assert dict(alice.sent[0].headers)["References"] == "<a@b>"
    assert alice.folder("Drafts") == []


def test_a_draft_can_be_deleted(alice):
    page = alice.save("/compose", text="one")

    answer = alice.site.post(alice.browser, f"{page}/delete")

    assert answer.location == "/folder/Drafts"
    assert alice.folder("Drafts") == []
