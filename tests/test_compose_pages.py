"""Writing in the portal: answers, forwards, new mail, drafts, and what is never lost or sent twice."""

import threading
from dataclasses import replace

import pytest

from messenger import message
from messenger.accounts import Accounts
from messenger.mailbox import Mailbox, MailboxError
from messenger.submission import SubmissionUnclear
from messenger_reader import sending

from . import cms_makers as make
from .compose_fixtures import REFUSAL, Desk, desk, form_on
from .mail_pages_fixtures import deliver, flags, logged_in, mail, mailbox_at, with_file
from .reader_fixtures import ALICE, BOB, Portal
from .tunnel_fixtures import gateway, messenger

CROWD = mail("Offer", "Hello\nthere").replace(
    b"To: Alice <alice@example.net>",
    b"To: Alice <alice@example.net>, Carl <carl@example.org>\r\nCc: eve@elsewhere.example\r\n"
    b"Message-ID: <one@example.org>",
)
TWO = [("plan.pdf", b"%PDF-1.7\n" + bytes(range(256))), ("Größe.csv", b"1;2\r\n")]


@pytest.fixture
def alice(tmp_path) -> Desk:
    return desk(tmp_path)


def audit(site: Portal) -> list[tuple[str, str, str]]:
    accounts: Accounts = site.app.extensions["messenger"].accounts
    return [(one.event, one.outcome, one.detail) for one in accounts.trail() if one.event in ("reply", "draft kept")]


def files(read: message.Message, raw: bytes) -> list[tuple[str, bytes]]:
    return [(part.filename, message.part(raw, part.number)[1]) for part in read.attachments]


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


def test_the_original_goes_into_the_text_and_out_again(alice):
    name = deliver(alice.site, CROWD)
    form = alice.form(f"/message/{name}/reply")

    quoted = alice.post(form, do="quote", text="Yes").location
    inside = alice.form(quoted)
    stripped = alice.form(alice.post(inside, do="unquote").location)

    assert inside["text"] == "Yes\r\n\r\nOn 2 January 2026, 23:30, Bob wrote:\r\n> Hello\r\n> there"
    assert "quote" not in inside
    assert stripped["text"] == "Yes"


def test_the_same_form_sends_once(alice):
    form = alice.form("/compose")

    first = alice.post(form, do="send", to="bob@example.org", text="one")
    second = alice.post(form, do="send", to="bob@example.org", text="two")

    assert len(alice.system.taken) == 1
    assert second.location == first.location + "?again="
    assert "was not sent a second time" in alice.get(second.location).text
    assert len(alice.folder("Sent")) == 1


def test_a_form_sent_by_four_at_once_sends_once(alice):
    form = {**alice.form("/compose"), "to": "bob@example.org", "text": "one", "do": "send"}
    cookie = alice.browser.get_cookie("__Host-session", domain="mail.example.org")
    places: list[str] = []

    def press() -> None:
        browser = alice.site.browser()
        browser.set_cookie("__Host-session", cookie.value, domain="mail.example.org", secure=True)
        places.append(Desk(alice.site, browser, alice.system).post(form).location.partition("?")[0])

    threads = [threading.Thread(target=press) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(alice.system.taken) == 1
    assert len(set(places)) == 1


def test_a_mail_that_is_refused_comes_back_with_everything(alice):
    name = deliver(alice.site, CROWD)
    alice.system.trouble = REFUSAL

    answer = alice.send(f"/message/{name}/reply", TWO, text="Yes")

    page = alice.get(answer.location).text
    assert "the mail system didn’t take the message" in page
    assert "plan.pdf" in page
    assert form_on(page)["text"] == "Yes"
    assert alice.folder("Sent") == []
    assert "R" not in flags(alice.site, name)
    assert [outcome for _, outcome, _ in audit(alice.site)] == ["begun", "refused"]
    alice.system.trouble = None
    alice.post(form_on(page), do="send")
    assert files(alice.sent[0], alice.system.taken[0][0]) == TWO
    assert (len(alice.folder("Sent")), alice.folder("Drafts")) == (1, [])


def test_nobody_is_told_that_a_mail_left_which_perhaps_did_not(alice, monkeypatch):
    monkeypatch.setattr(sending, "WAIT_SECONDS", 0.2)
    alice.system.trouble = SubmissionUnclear("no answer")
    form = alice.form("/compose")

    answer = alice.post(form, TWO, do="send", to="bob@example.org", text="one")
    twice = alice.post(form, do="send", to="bob@example.org", text="one")

    page = alice.get(answer.location).text
    assert "It is not known whether your message left." in page
    assert twice.location == answer.location
    assert alice.system.taken == []
    [(_, flagged, _)] = alice.folder("Sent")
    assert flagged == "DS"
    assert "It is not known" in alice.get(answer.location.replace("/sent/", "/message/")).text
    alice.system.trouble = None
    draft = alice.site.post(alice.browser, f"{answer.location}/again").location
    again = alice.get(draft).text
    assert "gets it twice" in again
    alice.post(form_on(again), do="send")
    assert files(alice.sent[0], alice.system.taken[0][0]) == TWO
    assert [flagged for _, flagged, _ in alice.folder("Sent")] == ["S"]


def test_an_answer_of_which_nothing_is_known_is_still_one_when_it_is_sent_again(tmp_path, monkeypatch):
    monkeypatch.setattr(sending, "WAIT_SECONDS", 0.2)
    alice = desk(tmp_path, reply='compose_to = "off"')
    name = deliver(alice.site, CROWD)
    alice.system.trouble = SubmissionUnclear("no answer")
    unclear = alice.send(f"/message/{name}/reply", text="Yes").location
    alice.system.trouble = None

    alice.post(alice.form(alice.site.post(alice.browser, f"{unclear}/again").location), do="send")

    [read] = alice.sent
    assert dict(read.headers)["In-Reply-To"] == "<one@example.org>"
    assert read.text.startswith("Yes\n\nOn 2 January")
    assert alice.folder("Drafts") == []


def test_who_finds_out_that_a_mail_left_says_so(alice):
    alice.system.trouble = SubmissionUnclear("no answer")
    page = alice.save("/compose", to="bob@example.org", text="one")
    sent = alice.post(alice.form(page), do="send").location

    alice.site.post(alice.browser, f"{sent}/arrived")

    assert "on its way" in alice.get(sent).text
    assert [flagged for _, flagged, _ in alice.folder("Sent")] == ["S"]
    assert alice.folder("Drafts") == []
    assert alice.site.post(alice.browser, f"{sent}/again").location == sent
    assert alice.folder("Drafts") == []


def test_a_crash_between_sending_and_tidying_up_sends_nothing_twice(alice, monkeypatch):
    page = alice.save("/compose", to="bob@example.org", text="one")
    form = alice.form(page)

    with monkeypatch.context() as patch:
        patch.setattr(sending, "_finish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            alice.post(form, do="send")
    monkeypatch.setattr(sending, "WAIT_SECONDS", 0.2)

    assert len(alice.system.taken) == 1
    assert len(alice.folder("Drafts")) == 1
    answer = alice.post(alice.form(page), do="send")
    assert "It is not known" in alice.get(answer.location).text
    assert len(alice.system.taken) == 1


def test_files_that_are_too_large_are_named_and_the_text_is_kept(tmp_path):
    alice = desk(tmp_path, reply="size_limit = 200000")
    page = alice.get("/compose").text
    huge = [("film.mp4", bytes(6_000_000))]

    for files_given in ([("film.mp4", bytes(150_000))], huge):
        answer = alice.post(form_on(page), files_given, do="send", to="bob@example.org", text="My words")

        assert answer.status_code == 413
        assert "Too large: film.mp4. All files of a message together can have up to 98 KB." in answer.text
        assert form_on(answer.text)["text"] == "My words"
        assert form_on(answer.text)["draft"]
    assert "up to 98 KB" in page
    assert alice.system.taken == []
    alice.post(form_on(answer.text), [("small.txt", b"x")], do="send")
    assert alice.sent[0].text == "My words"


def test_files_that_only_together_are_too_large_are_not_taken_beside_those_that_were(tmp_path):
    alice = desk(tmp_path, reply="size_limit = 200000")
    page = alice.save("/compose", [("one.bin", bytes(60_000))], to="bob@example.org", text="x")

    answer = alice.post(alice.form(page), [("two.bin", bytes(60_001))], do="send")

    assert answer.status_code == 413
    assert "Too large: two.bin." in answer.text
    assert "one.bin" in answer.text


def test_what_is_endless_is_not_read(tmp_path):
    alice = desk(tmp_path, reply="size_limit = 200000")

    answer = alice.browser.post(
        "/compose",
        base_url=alice.site.base,
        headers=alice.site.headers,
        content_type="multipart/form-data; boundary=x",
        environ_overrides={"CONTENT_LENGTH": "99999999999"},
    )

    assert answer.status_code == 413


def test_a_disk_that_is_full_loses_no_text(alice, monkeypatch):
    def full(*_: object, **__: object) -> bool:
        raise MailboxError("no space left")

    form = alice.form("/compose")
    monkeypatch.setattr(Mailbox, "deliver", full)

    for button in ("save", "send"):
        answer = alice.post(form, TWO, do=button, to="bob@example.org", text="My words")

        assert answer.status_code == 503
        assert form_on(answer.text)["text"] == "My words"
        assert "choose the files again" in answer.text
    assert alice.system.taken == []


def test_a_mailbox_that_is_full_loses_no_text(alice):
    own = alice.site.app.extensions["messenger"]
    full = replace(own.config, mail=replace(own.config.mail, quota=5000))
    form = alice.form("/compose")
    alice.save("/compose", to="bob@example.org", text="small")
    alice.site.app.extensions["messenger"] = replace(own, config=full)

    for button in ("save", "send"):
        answer = alice.post(form, [("large.bin", bytes(5000))], do=button, to="bob@example.org", text="My words")

        assert answer.status_code == 507
        assert "Your mailbox is full" in answer.text
        assert form_on(answer.text)["text"] == "My words"
    assert alice.system.taken == []
    assert alice.folder("Sent") == []
    assert alice.post(form, do="send", to="bob@example.org", text="small").status_code == 303
    assert len(alice.system.taken) == 1


def test_an_account_sends_so_many_an_hour(tmp_path):
    alice = desk(tmp_path, reply="per_hour = 2")

    answers = [alice.send("/compose", to="bob@example.org", text=f"number {at}") for at in range(3)]

    assert len(alice.system.taken) == 2
    assert "so many messages in an hour" in alice.get(answers[2].location).text
    assert form_on(alice.get(answers[2].location).text)["text"] == "number 2"
    alice.site.clock.now += 3601
    logged = Desk(alice.site, alice.browser, alice.system)
    alice.site.log_in(alice.browser)
    logged.send("/compose", to="bob@example.org", text="later")
    assert len(alice.system.taken) == 3


@pytest.mark.parametrize(
    ("settings", "shut", "ajar"),
    [
        ("enabled = false", ["/compose", "/message/{}/reply", "/message/{}/reply-all", "/message/{}/forward"], []),
        ("reply_all = false", ["/message/{}/reply-all"], ["/message/{}/reply", "/compose"]),
        ('compose_to = "off"', ["/compose", "/message/{}/forward"], ["/message/{}/reply", "/message/{}/reply-all"]),
    ],
)
def test_what_the_settings_shut_is_not_there(tmp_path, settings, shut, ajar):
    alice = desk(tmp_path, reply=settings)
    name = deliver(alice.site, CROWD)
    page = alice.get(f"/message/{name}").text + alice.get("/").text

    for path in shut:
        assert alice.get(path.format(name)).status_code == 404
        assert f'"{path.format(name)}"' not in page
    for path in ajar:
        assert alice.get(path.format(name)).status_code == 200
    if settings == "enabled = false":
        assert alice.post({"id": "0" * 32, "kind": "new", "whose": ALICE}, do="send", to=BOB).status_code == 404


def test_a_draft_answered_by_its_own_writer_is_no_way_around_the_settings(tmp_path):
    alice = desk(tmp_path, reply='compose_to = "off"')
    form = {"id": "0" * 32, "kind": "new", "whose": ALICE, "to": "dora@example.org", "cc": "emil@example.org"}
    draft = alice.post(form, do="save", text="x").location.partition("?")[0].rpartition("/")[2]

    for before, folder in (("", ""), ("Drafts", "Archive"), ("Archive", "Sent")):
        if before:
            alice.mailbox.move(draft, before, folder)
        for kind in ("reply", "reply-all"):
            assert alice.get(f"/message/{draft}/{kind}").status_code == 404
            answer = {**form, "id": "1" * 32, "kind": kind, "original": draft}
            alice.post(answer, do="send", text="x")
    assert alice.system.taken == []


def test_with_a_list_only_those_on_it_are_written_to_and_whoever_wrote_is_answered(tmp_path):
    alice = desk(tmp_path, reply='compose_to = "list"\ncompose_list = ["desk@example.org"]')
    name = deliver(alice.site, CROWD)

    page = alice.get("/compose").text
    refused = alice.post(form_on(page), do="send", to="bob@example.org", text="x")
    alice.post(alice.form("/compose"), do="send", to="desk@example.org", text="x")
    alice.send(f"/message/{name}/reply", text="x")
    elsewhere = alice.send(f"/message/{name}/reply", text="x", to="bob@example.org, dora@example.org")

    assert 'type="checkbox" name="to" value="desk@example.org"' in page
    assert "bob@example.org can’t be reached" in alice.get(refused.location).text
    assert "dora@example.org can’t be reached" in alice.get(elsewhere.location).text
    assert [to for _, _, to in alice.system.taken] == [("desk@example.org",), ("bob@example.org",)]


def test_mail_is_from_the_person_where_the_site_wants_that(tmp_path):
    alice = desk(tmp_path, reply='reply_from = "own"')

    alice.send("/compose", to="bob@example.org", text="x")

    assert alice.system.taken[0][1] == ALICE
    assert alice.sent[0].senders[0].address == ALICE
    assert alice.sent[0].reply_to == ()


def test_nobody_answers_or_passes_on_another_persons_mail(alice):
    name = deliver(alice.site, with_file(b"secret", "text/plain", "secret.txt"), BOB)
    draft = mailbox_at(alice.site, BOB)
    draft.deliver(mail("Theirs", "secret"), "d" * 64, "Drafts", "D")

    for path in (f"/message/{name}/reply", f"/message/{name}/forward", f"/draft/{'d' * 64}", f"/sent/{'d' * 64}"):
        assert alice.get(path).status_code == 404
    form = {**alice.form("/compose"), "kind": "forward", "original": name, "draft": "d" * 64}
    alice.post(form, do="send", to="bob@example.org", text="x")
    assert alice.site.post(alice.browser, f"/draft/{'d' * 64}/delete").status_code == 303
    assert alice.sent[0].attachments == ()
    assert "secret" not in alice.sent[0].text
    assert draft.read("d" * 64, "Drafts")


def test_a_form_of_somebody_else_in_the_same_browser_is_not_sent(alice):
    form = alice.form("/compose")
    bob = Desk(alice.site, logged_in(alice.site, BOB), alice.system)

    answer = bob.post(form, do="send", to="carl@example.org", text="Alice's words")

    assert answer.status_code == 409
    assert "Alice&#39;s words" in answer.text
    assert alice.system.taken == []


def test_another_site_sends_nothing(alice):
    form = alice.form("/compose")

    answer = alice.browser.post(
        "/compose",
        base_url=alice.site.base,
        headers={"Sec-Fetch-Site": "cross-site"},
        data={**form, "do": "send", "to": "bob@example.org", "text": "x"},
    )

    assert answer.status_code == 403
    assert alice.system.taken == []


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
