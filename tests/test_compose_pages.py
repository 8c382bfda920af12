"""Answers, forwards and new mail: from the form through the mail system into the folder of sent mail."""

from dataclasses import replace

import pytest

from messenger import message

from . import cms_makers as make
from .compose_fixtures import REFUSAL, desk, form_on
from .mail_pages_fixtures import deliver, flags, mail, with_file
from .reader_fixtures import ALICE
from .tunnel_fixtures import gateway, messenger
from .writing_fixtures import CROWD, TWO, alice_fixture, audit, files  # noqa: F401


def test_an_answer_goes_out_is_kept_and_marks_the_original(alice):
    name = deliver(alice.site, CROWD)

    answer = alice.send(f"/message/{name}/reply", TWO, text="Yes, gladly.\r\n\r\nAlice")

    page = alice.get(answer.location).text
    [(raw, mail_from, rcpt_tos)] = alice.system.taken
    [read] = alice.sent
    assert (mail_from, rcpt_tos) == ("webmail@example.org", ("bob@example.org",))
    assert [one.address for one in read.senders] == ["webmail@example.org"]
    assert read.senders[0].name == "alice@example.net via Webmail Messenger"
    assert [one.address for one in read.reply_to] == [ALICE]
    assert read.subject == "Re: Offer"
    assert read.text == "Yes, gladly.\n\nAlice\n\nOn 2 January 2026, 23:30, Bob wrote:\n> Hello\n> there"
    assert files(read, raw) == TWO
    assert dict(read.headers)["In-Reply-To"] == dict(read.headers)["References"] == "<one@example.org>"
    assert read.message_id.endswith("@example.org>")
    assert "on its way" in page
    assert "bob@example.org" in page
    [(kept, flagged, copy)] = alice.folder("Sent")
    assert (flagged, copy) == ("S", read)
    assert "shows another email address" not in alice.get(f"/message/{kept}").text  # it is one's own
    assert flags(alice.site, name) == "R"
    assert alice.folder("Drafts") == []
    assert [(event, outcome) for event, outcome, _ in audit(alice.site)] == [("reply", "begun"), ("reply", "done")]
    assert "Offer" not in str(audit(alice.site))


def test_an_answer_to_all_says_who_is_left_out(alice):
    name = deliver(alice.site, CROWD)

    page = alice.get(f"/message/{name}/reply-all").text
    alice.send(f"/message/{name}/reply-all", text="Yes")

    assert "eve@elsewhere.example can’t be reached from here." in page
    assert "They don’t get your message." in page
    assert alice.system.taken[0][2] == ("bob@example.org", "carl@example.org")
    assert [one.address for one in alice.sent[0].cc] == ["carl@example.org"]


def test_who_is_outside_cannot_be_answered_and_is_named(alice):
    name = deliver(alice.site, mail(sender="Eve <eve@elsewhere.example>"))

    page = alice.get(f"/message/{name}/reply").text

    assert "eve@elsewhere.example can’t be reached from here. You can write to people at example.org." in page
    assert "<form class" not in page
    assert f"/message/{name}/reply" not in alice.get(f"/message/{name}").text


def test_a_recipient_outside_is_refused_and_everything_is_still_there(alice):
    name = deliver(alice.site, CROWD)

    answer = alice.send(f"/message/{name}/reply", TWO, to="bob@example.org, x@elsewhere.example, y", text="Secret")

    page = alice.get(answer.location).text
    assert alice.system.taken == []
    assert "x@elsewhere.example can’t be reached from here." in page
    assert "This is not an email address: y." in page
    form = form_on(page)
    assert form["to"] == "bob@example.org, x@elsewhere.example, y"
    assert form["text"] == "Secret"
    assert "quote" in form
    assert "plan.pdf" in page
    assert "Größe.csv" in page
    assert alice.post(form, do="send", to="bob@example.org").location.startswith("/sent/")
    assert files(alice.sent[0], alice.system.taken[0][0]) == TWO


def test_a_forward_has_the_text_the_facts_and_the_files(alice):
    name = deliver(alice.site, with_file(b"\x00content", "application/pdf", "Über.pdf"))

    page = alice.get(f"/message/{name}/forward").text
    alice.send(f"/message/{name}/forward", [("more.txt", b"x")], to="Carl <carl@example.org>", text="Look")

    [read] = alice.sent
    assert "Über.pdf" in page
    assert read.subject == "Fwd: With a file"
    assert read.text.startswith("Look\n\n---------- Forwarded message ----------\nFrom: bob@example.org\n")
    assert read.text.endswith("\n\nSee the file.")
    assert files(read, alice.system.taken[0][0]) == [("Über.pdf", b"\x00content"), ("more.txt", b"x")]
    assert "P" in flags(alice.site, name)
    assert "In-Reply-To" not in dict(read.headers)


def test_a_file_of_a_forward_can_be_left_out(alice):
    name = deliver(alice.site, with_file(b"content", "application/pdf", "one.pdf"))
    page = alice.get(f"/message/{name}/forward").text
    key = page.partition('name="remove" value="')[2].partition('"')[0]

    alice.send(f"/message/{name}/forward", to="carl@example.org", remove=key, quote=None, text="Look")

    assert alice.sent[0].attachments == ()
    assert alice.sent[0].text == "Look"


def test_a_new_mail_goes_to_people_of_the_own_domains(alice):
    assert "/compose" in alice.get("/").text

    alice.send("/compose", to="Bob@Example.org", cc="carl@example.org, bob@example.org", subject="Größe", text="Hi")

    [read] = alice.sent
    assert alice.system.taken[0][2] == ("bob@example.org", "carl@example.org")
    assert read.subject == "Größe"
    assert read.headers[0][0] == "From"
    assert "Bcc" not in dict(read.headers)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"to": "", "text": "x"}, "Please say who the message goes to."),
        ({"to": "bob@example.org", "text": " "}, "The message is empty."),
        ({"to": ",".join(f"p{at}@example.org" for at in range(51)), "text": "x"}, "at most 50 people"),
        ({"to": "bob@example.org", "text": "x" * 500_001}, "The text is too long."),
        ({"to": "bob@example.org", "cc": "eve@evil.example", "text": "x"}, "eve@evil.example can’t be reached"),
        ({"to": "<script>@x", "text": "x"}, "&lt;script&gt;"),
    ],
)
def test_what_is_missing_or_wrong_is_said_and_nothing_is_sent(alice, changes, words):
    answer = alice.send("/compose", **changes)

    page = alice.get(answer.location).text
    assert words in page
    assert form_on(page)["text"] == changes["text"].strip()
    assert alice.system.taken == []


def test_the_original_goes_into_the_text_and_out_again(alice):
    name = deliver(alice.site, CROWD)
    form = alice.form(f"/message/{name}/reply")

    quoted = alice.post(form, do="quote", text="Yes").location
    inside = alice.form(quoted)
    stripped = alice.form(alice.post(inside, do="unquote").location)

    assert inside["text"] == "Yes\r\n\r\nOn 2 January 2026, 23:30, Bob wrote:\r\n> Hello\r\n> there"
    assert "quote" not in inside
    assert stripped["text"] == "Yes"


@pytest.mark.parametrize("changes", [{"id": "x"}, {"kind": "all"}, {"id": "../" * 10}])
def test_a_form_that_is_not_ours_is_refused(alice, changes):
    assert alice.post(alice.form("/compose"), **changes).status_code == 400


def test_names_of_files_lose_their_path_and_what_is_unseen(alice):
    alice.send("/compose", [("/x/../plan.pdf", b"x"), ("../../etc/passwd", b"y")], to="bob@example.org", text="x")

    assert [part.filename for part in alice.sent[0].attachments] == ["plan.pdf", "passwd"]


def test_what_a_mail_says_is_drawn_as_text_in_the_form(alice):
    evil = "</textarea><script>alert(1)</script>\"'>"
    raw = mail("x", evil).replace(b"Subject: x", f"Subject: {evil}".encode())
    name = deliver(alice.site, raw)

    for kind in ("reply", "forward"):
        page = alice.get(f"/message/{name}/{kind}").text
        assert "<script" not in page
        assert form_on(page)["subject"].endswith(evil)


def test_addresses_beyond_ascii_are_written_to(tmp_path):
    alice = desk(tmp_path, address="用户@example.net")

    alice.send("/compose", to="büro@example.org", text="x")

    [(raw, _, rcpt_tos)] = alice.system.taken
    assert rcpt_tos == ("büro@example.org",)
    assert "Reply-To: 用户@example.net\r\n".encode() in raw
    alice.system.trouble = REFUSAL
    refused = alice.send("/compose", to="büro@example.org", text="x")
    assert "doesn’t know addresses with letters like those in büro@example.org" in alice.get(refused.location).text


def test_a_signed_and_sealed_mail_leaves_sealed_and_is_kept_readable(alice, tmp_path):
    own = alice.site.app.extensions["messenger"]
    sealed = replace(own.post, recipients=(messenger().certificate,), signer=gateway().sender, hide_subject=True)
    alice.site.app.extensions["messenger"] = replace(own, post=sealed)

    alice.send("/compose", TWO, to="bob@example.org", subject="Offer", text="My words")

    [(raw, _, _)] = alice.system.taken
    [(_, _, copy)] = alice.folder("Sent")
    certificate, key = messenger().write(tmp_path, "opens")
    opened = message.read(make.openssl("cms", "-decrypt", "-recip", certificate, "-inkey", key, stdin=raw))
    assert dict(opened.headers)["Content-Type"].startswith("multipart/signed")
    assert (opened.text, [part.filename for part in opened.attachments][:2]) == (
        "Subject: Offer\n\nMy words",
        ["plan.pdf", "Größe.csv"],
    )
    assert b"application/pkcs7-mime" in raw
    assert alice.sent[0].subject == "Protected message"
    assert (copy.subject, copy.text) == ("Offer", "My words")
    assert "What you write travels encrypted." in alice.get("/compose").text
