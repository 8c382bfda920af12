"""Sending: once, whatever happens between the form and the mail system, and within what a site holds."""

import threading
from dataclasses import replace

import pytest

from messenger.mailbox import Mailbox, MailboxError
from messenger.submission import SubmissionUnclear
from messenger_reader import sending

from .compose_fixtures import REFUSAL, Desk, desk, form_on
from .mail_pages_fixtures import deliver, flags
from .writing_fixtures import CROWD, TWO, alice_fixture, audit, files  # noqa: F401


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
